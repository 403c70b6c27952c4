-- +goose Up
-- The keyring that belongs to these records, as its own bond names it, and how
-- many changes of it were seen here. One row, or none before the first bond.
CREATE TABLE keyring_bond (
    id      TEXT   NOT NULL,
    changes BIGINT NOT NULL
);
-- Records that stay shut: a restore has said that their keys did not come back.
CREATE TABLE shut_records (
    record_id TEXT PRIMARY KEY REFERENCES records (id) ON DELETE CASCADE
);

-- +goose Down
DROP TABLE shut_records;
DROP TABLE keyring_bond;
