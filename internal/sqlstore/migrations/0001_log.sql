-- +goose Up
-- An entry of the log, in the order in which it was appended. hash is public
-- once it has a position; case_id, sealed and day never leave. Erasing a case
-- empties case_id and sealed and keeps the hash, because a published tree
-- cannot lose a leaf.
CREATE TABLE log_entries (
    added    INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    case_id  TEXT,
    hash     BLOB    NOT NULL,
    sealed   BLOB,
    day      BIGINT  NOT NULL,
    position BIGINT  UNIQUE
);
CREATE INDEX log_entries_case ON log_entries (case_id, added) WHERE case_id IS NOT NULL;
CREATE INDEX log_entries_waiting ON log_entries (added) WHERE position IS NULL;

-- +goose Down
DROP TABLE log_entries;
