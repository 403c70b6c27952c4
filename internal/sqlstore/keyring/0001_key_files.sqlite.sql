-- +goose Up
-- A record's key file: an age file for the agencies that may read the record.
CREATE TABLE key_files (
    record_id TEXT PRIMARY KEY,
    file      BLOB NOT NULL
);

-- +goose Down
DROP TABLE key_files;
