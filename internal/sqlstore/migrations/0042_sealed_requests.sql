-- +goose Up
-- What an act has a digest of, encrypted to the case that it is about.
ALTER TABLE requests ADD COLUMN sealed BLOB;

-- +goose Down
ALTER TABLE requests DROP COLUMN sealed;
