-- +goose Up
-- Whose keyring this is. The network's database notes the same id, and how many
-- changes it has seen: one that counts fewer is an older copy. There is one row,
-- or none in a keyring that a version before this made and nobody has bound yet.
CREATE TABLE bond (
    network TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    changes BIGINT NOT NULL
);
-- The SHA-256 of the key file, so that a damaged one is found without opening it.
-- It is NULL until the keyring is bound.
ALTER TABLE key_files ADD COLUMN sha256 BLOB;

-- +goose Down
ALTER TABLE key_files DROP COLUMN sha256;
DROP TABLE bond;
