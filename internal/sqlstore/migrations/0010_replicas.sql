-- +goose Up
-- A process that works with this database, and when it last said so, in
-- milliseconds by the database's clock.
CREATE TABLE instances (
    id   TEXT   PRIMARY KEY,
    seen BIGINT NOT NULL
);

-- owner is the process that reserved a draft, or works on a request: when that
-- process is gone, others end what it began. changed names the request that
-- last changed a record's status; a hash, like request.
ALTER TABLE issued ADD COLUMN owner TEXT;
ALTER TABLE issued ADD COLUMN changed TEXT;
ALTER TABLE idempotency ADD COLUMN owner TEXT;

-- The newest pack, which every process serves as it stands here. At most one row.
CREATE TABLE packs (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    sequence   BIGINT  NOT NULL,
    trust_list TEXT    NOT NULL,
    pack       TEXT    NOT NULL
);

-- Public files of the log, where no folder holds them.
CREATE TABLE log_files (
    name TEXT PRIMARY KEY,
    data BLOB NOT NULL
);

-- Wrong codes that an actor has tried: times under hashes of cards, for a day.
CREATE TABLE code_tries (
    actor   TEXT   PRIMARY KEY,
    version BIGINT NOT NULL,
    wrong   TEXT   NOT NULL,
    day     BIGINT NOT NULL
);

-- +goose Down
DROP TABLE code_tries;
DROP TABLE log_files;
DROP TABLE packs;
ALTER TABLE idempotency DROP COLUMN owner;
ALTER TABLE issued DROP COLUMN changed;
ALTER TABLE issued DROP COLUMN owner;
DROP TABLE instances;
