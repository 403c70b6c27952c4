-- +goose Up
-- What the log has to publish: of each entry the hash, called by a keyed hash of it, and
-- where it stands, called by a keyed hash of its number; NULL while it waits. box says
-- both. Leaves that fill a window have no row (docs/decisions/0063-leaves.md).
CREATE TABLE leaves (
    name  BLOB NOT NULL PRIMARY KEY,
    place BLOB UNIQUE,
    box   BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX leaves_waiting ON leaves (name) WHERE place IS NULL;

-- How many leaves have numbers, without those of windows that a restore began. At most
-- one row.
CREATE TABLE log_size (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    numbered BIGINT  NOT NULL
);

-- How far the leaves had come when the log began anew.
ALTER TABLE log_restarts ADD COLUMN carried BIGINT NOT NULL DEFAULT 0;

-- Entries are cells.
DROP TABLE log_entries;
