-- +goose Up
-- An opening is one person's, where she acted, of one grant, for a quarter of an hour, and
-- hangs on the card and the device that it came by. expires is in seconds. What was open to
-- a whole agency for a day is closed.
DROP TABLE openings;
CREATE TABLE openings (
    id        TEXT   PRIMARY KEY,
    grant_id  TEXT   NOT NULL,
    word_id   TEXT   NOT NULL,
    record_id TEXT   NOT NULL REFERENCES records (id),
    case_id   TEXT   NOT NULL REFERENCES records (id),
    agency    TEXT   NOT NULL,
    person    TEXT   NOT NULL,
    at        TEXT   NOT NULL,
    how       TEXT   NOT NULL,
    device    TEXT   NOT NULL,
    card      TEXT   NOT NULL,
    purpose   TEXT   NOT NULL,
    parts     BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    mac       BLOB
);
CREATE INDEX openings_grant ON openings (grant_id, person, expires);
CREATE INDEX openings_expires ON openings (expires);

-- How many of the readings that were left an agency has taken, and how often it opened the
-- record on the last day on which it did.
ALTER TABLE grants ADD COLUMN taken BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN opened BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN opened_on BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE grants DROP COLUMN opened_on;
ALTER TABLE grants DROP COLUMN opened;
ALTER TABLE grants DROP COLUMN taken;
DROP TABLE openings;
CREATE TABLE openings (
    id        TEXT   PRIMARY KEY,
    record_id TEXT   NOT NULL REFERENCES records (id),
    case_id   TEXT   NOT NULL REFERENCES records (id),
    agency    TEXT   NOT NULL,
    parts     BIGINT NOT NULL,
    day       BIGINT NOT NULL,
    mac       BLOB
);
CREATE INDEX openings_case ON openings (case_id, agency, day);
