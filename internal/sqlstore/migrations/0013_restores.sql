-- +goose Up
-- A list that a restore found open or published takes no new entries and no new
-- decoys: cards that were issued after the backup have places in it that nobody
-- knows of any more.
ALTER TABLE status_lists ADD COLUMN frozen BOOLEAN NOT NULL DEFAULT FALSE;

-- A place that was public with a value and belongs to no record of ours, nor to
-- a decoy: what it says stays.
ALTER TABLE status_entries ADD COLUMN held BOOLEAN NOT NULL DEFAULT FALSE;

-- A log that begins anew after a restore: its name, the newest checkpoint that
-- is known of the one before, and its first entry, which says so. All of it is
-- public.
CREATE TABLE log_restarts (
    number INTEGER PRIMARY KEY,
    origin TEXT    NOT NULL,
    former TEXT    NOT NULL,
    note   TEXT    NOT NULL
);

-- +goose Down
DROP TABLE log_restarts;
ALTER TABLE status_entries DROP COLUMN held;
ALTER TABLE status_lists DROP COLUMN frozen;
