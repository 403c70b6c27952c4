-- +goose Up
-- Who belongs to the network stands in the roster alone. Of agencies only the keys are
-- read from here, and of devices those that nobody has let in yet. A network of before
-- has no roster, and is refused.
DROP TABLE members;

-- +goose Down
CREATE TABLE members (
    id        TEXT    PRIMARY KEY,
    agency_id TEXT    REFERENCES agencies (id),
    role      TEXT    NOT NULL,
    token     BLOB    NOT NULL UNIQUE,
    revoked   BOOLEAN NOT NULL
);
