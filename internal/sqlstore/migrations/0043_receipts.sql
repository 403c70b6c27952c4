-- +goose Up
-- What whoever signed says of what was signed, so that the place of it may change later.
ALTER TABLE issued ADD COLUMN receipt BLOB;
-- The reply that confirms what is wanted of a place in the answers list, and the act by
-- which something paused is in use again.
ALTER TABLE status_entries ADD COLUMN reply TEXT NOT NULL DEFAULT '';
ALTER TABLE status_entries ADD COLUMN agreed BLOB;

-- +goose Down
ALTER TABLE status_entries DROP COLUMN agreed;
ALTER TABLE status_entries DROP COLUMN reply;
ALTER TABLE issued DROP COLUMN receipt;
