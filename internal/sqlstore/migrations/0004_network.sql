-- +goose Up
-- One service serves one network: this table has at most one row. generation
-- is the highest key file seen, so that an older copy of it is refused. The
-- sequence numbers are the last ones given, trust_stored the one of the trust
-- list that is stored.
CREATE TABLE network (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    id             TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    base_url       TEXT    NOT NULL,
    desk           TEXT    NOT NULL,
    demo           BOOLEAN NOT NULL,
    generation     BIGINT  NOT NULL,
    pack_sequence  BIGINT  NOT NULL,
    trust_sequence BIGINT  NOT NULL,
    trust_stored   BIGINT,
    trust_digest   BLOB,
    trust_expires  BIGINT,
    trust_list     TEXT
);

CREATE TABLE agencies (
    id        TEXT    PRIMARY KEY,
    name      TEXT    NOT NULL,
    class     TEXT    NOT NULL,
    country   TEXT    NOT NULL,
    desk      TEXT    NOT NULL,
    suspended BOOLEAN NOT NULL,
    version   BIGINT  NOT NULL
);

-- jwk is a public key. compromised is the JSON of digests that a stolen key
-- had signed before it was stolen.
CREATE TABLE agency_keys (
    agency_id   TEXT    NOT NULL REFERENCES agencies (id),
    kid         TEXT    NOT NULL,
    place       INTEGER NOT NULL,
    jwk         BLOB    NOT NULL,
    from_day    BIGINT  NOT NULL,
    to_day      BIGINT  NOT NULL,
    revoked     BOOLEAN NOT NULL,
    compromised BLOB,
    PRIMARY KEY (agency_id, kid)
);

-- token is the SHA-256 of a bearer token; the token itself is kept nowhere.
CREATE TABLE members (
    id        TEXT    PRIMARY KEY,
    agency_id TEXT    REFERENCES agencies (id),
    role      TEXT    NOT NULL,
    token     BLOB    NOT NULL UNIQUE,
    revoked   BOOLEAN NOT NULL
);

CREATE TABLE devices (
    id        TEXT    PRIMARY KEY,
    agency_id TEXT    NOT NULL REFERENCES agencies (id),
    label     TEXT    NOT NULL,
    recipient BLOB    NOT NULL,
    token     BLOB    NOT NULL UNIQUE,
    revoked   BOOLEAN NOT NULL
);

-- keys is ciphertext. Of a closed epoch it holds the recognition key alone,
-- and after 24 months nothing.
CREATE TABLE epochs (
    id          BIGINT  PRIMARY KEY,
    keys        BLOB,
    created_day BIGINT  NOT NULL,
    seal_day    BIGINT  NOT NULL,
    end_day     BIGINT  NOT NULL,
    burned_day  BIGINT,
    reduced     BOOLEAN NOT NULL
);

-- +goose Down
DROP TABLE epochs;
DROP TABLE devices;
DROP TABLE members;
DROP TABLE agency_keys;
DROP TABLE agencies;
DROP TABLE network;
