-- +goose Up
-- Who is signed in. hash is the SHA-256 of the token, times are milliseconds, and
-- seal is a keyed hash over all the rest under a key that is not here: a row that
-- somebody else wrote is no session. All of it is gone after twelve hours.
CREATE TABLE sessions (
    hash     BLOB   PRIMARY KEY,
    person   TEXT   NOT NULL,
    made     BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    verified BIGINT NOT NULL,
    seal     BLOB   NOT NULL
);
CREATE INDEX sessions_person ON sessions (person);

-- Challenges that were used, by their hashes, until they are over. A row only
-- refuses.
CREATE TABLE spent_challenges (
    hash    BLOB   PRIMARY KEY,
    expires BIGINT NOT NULL
);

-- What a passkey said when it last signed in, by the hash of its id. A row only
-- refuses.
CREATE TABLE passkey_uses (
    passkey    BLOB    PRIMARY KEY,
    sign_count BIGINT  NOT NULL,
    backed_up  BOOLEAN NOT NULL
);

-- +goose Down
DROP TABLE passkey_uses;
DROP TABLE spent_challenges;
DROP TABLE sessions;
