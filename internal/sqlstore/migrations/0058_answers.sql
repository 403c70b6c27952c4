-- +goose Up
-- Why the desk that keeps the case contests an answer of somebody else's; empty where it
-- does not.
ALTER TABLE issued ADD COLUMN contested TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE issued DROP COLUMN contested;
