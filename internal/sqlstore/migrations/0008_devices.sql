-- +goose Up
-- An invitation lets one device ask to be taken in, until expires, in seconds.
-- secret is the SHA-256 of the secret; the secret itself is kept nowhere.
CREATE TABLE invitations (
    id         TEXT    PRIMARY KEY,
    agency_id  TEXT    NOT NULL REFERENCES agencies (id),
    label      TEXT    NOT NULL,
    secret     BLOB    NOT NULL UNIQUE,
    invited_by TEXT    NOT NULL,
    expires    BIGINT  NOT NULL,
    used       BOOLEAN NOT NULL
);

-- Devices that wait for a second person. They are not in devices, so that
-- whoever does not know of waiting, as the version before this one, lets none of
-- them in. tries counts how often symbols were typed.
CREATE TABLE enrolments (
    id            TEXT   PRIMARY KEY,
    agency_id     TEXT   NOT NULL REFERENCES agencies (id),
    label         TEXT   NOT NULL,
    recipient     BLOB   NOT NULL,
    token         BLOB   NOT NULL UNIQUE,
    invited_by    TEXT   NOT NULL,
    invitation_id TEXT   NOT NULL UNIQUE REFERENCES invitations (id),
    tries         BIGINT NOT NULL
);

ALTER TABLE devices ADD COLUMN invited_by TEXT;

-- +goose Down
ALTER TABLE devices DROP COLUMN invited_by;
DROP TABLE enrolments;
DROP TABLE invitations;
