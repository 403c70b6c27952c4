-- +goose Up
-- The root's statement that names the key which signed the trust list beside it; empty
-- where the root signed the list itself.
ALTER TABLE packs ADD COLUMN trust_key TEXT NOT NULL DEFAULT '';
ALTER TABLE network ADD COLUMN trust_key TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE network DROP COLUMN trust_key;
ALTER TABLE packs DROP COLUMN trust_key;
