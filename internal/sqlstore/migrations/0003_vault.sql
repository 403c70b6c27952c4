-- +goose Up
-- A record: a case (id = case_id) or a document of it. recipient is the public
-- half of the record's age key.
CREATE TABLE records (
    id        TEXT    PRIMARY KEY,
    case_id   TEXT    NOT NULL REFERENCES records (id),
    agency    TEXT    NOT NULL,
    recipient TEXT    NOT NULL,
    findable  BOOLEAN NOT NULL,
    day       BIGINT  NOT NULL
);
CREATE INDEX records_case ON records (case_id);
CREATE INDEX records_agency ON records (agency, id) WHERE id = case_id;

-- One version of a document's fields (page 0) or of one of its pages. salt and
-- entry_id lead to the commitment in the log.
CREATE TABLE objects (
    record_id     TEXT    NOT NULL REFERENCES records (id),
    page          BIGINT  NOT NULL,
    version       BIGINT  NOT NULL,
    media_type    TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    seen_original BOOLEAN NOT NULL,
    length        BIGINT  NOT NULL,
    sha256        BLOB    NOT NULL,
    salt          BLOB    NOT NULL,
    entry_id      TEXT    NOT NULL REFERENCES log_entries (id),
    blob          TEXT,
    sealed        BLOB,
    day           BIGINT  NOT NULL,
    PRIMARY KEY (record_id, page, version),
    CHECK ((blob IS NULL) <> (sealed IS NULL))
);

-- Where a document stands in the index of numbers: a keyed hash of 16 bytes.
CREATE TABLE number_index (
    record_id TEXT PRIMARY KEY REFERENCES records (id),
    place     BLOB NOT NULL
);
CREATE INDEX number_index_place ON number_index (place);

CREATE TABLE lookup_budgets (
    day  BIGINT NOT NULL,
    who  TEXT   NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (day, who)
);

CREATE TABLE grants (
    record_id TEXT   NOT NULL REFERENCES records (id),
    agency    TEXT   NOT NULL,
    case_id   TEXT   NOT NULL REFERENCES records (id),
    purpose   TEXT   NOT NULL,
    until_day BIGINT NOT NULL,
    day       BIGINT NOT NULL,
    PRIMARY KEY (record_id, agency)
);
CREATE INDEX grants_case ON grants (case_id);
CREATE INDEX grants_agency ON grants (agency);
CREATE INDEX grants_until ON grants (until_day);

-- expires is in seconds: a nonce lives two minutes.
CREATE TABLE nonces (
    nonce   TEXT   PRIMARY KEY,
    actor   TEXT   NOT NULL,
    agency  TEXT   NOT NULL,
    expires BIGINT NOT NULL
);

-- parts is a bit for each part, in the order of vault.Parts.
CREATE TABLE openings (
    id        TEXT   PRIMARY KEY,
    record_id TEXT   NOT NULL REFERENCES records (id),
    case_id   TEXT   NOT NULL REFERENCES records (id),
    agency    TEXT   NOT NULL,
    parts     BIGINT NOT NULL,
    day       BIGINT NOT NULL
);
CREATE INDEX openings_case ON openings (case_id, agency, day);

-- The erasure journal. It refers to nothing, because what it speaks of is gone.
CREATE TABLE erasures (
    case_id TEXT   PRIMARY KEY,
    agency  TEXT   NOT NULL,
    records TEXT   NOT NULL,
    day     BIGINT NOT NULL,
    mac     BLOB   NOT NULL
);

-- +goose Down
DROP TABLE erasures;
DROP TABLE openings;
DROP TABLE nonces;
DROP TABLE grants;
DROP TABLE lookup_budgets;
DROP TABLE number_index;
DROP TABLE objects;
DROP TABLE records;
