-- +goose Up
-- What is small and comes and goes has a keyed name and a box with all that it says, of few
-- sizes (docs/decisions/0065-small-tables.md). Tables are in the order of their names. What is
-- forgotten by its time has the hour behind it, and no finer one.
DROP TABLE requests;
DROP TABLE sessions;
DROP TABLE spent_challenges;
DROP TABLE passkey_uses;
DROP TABLE enrolments;
DROP TABLE invitations;
DROP TABLE card_counts;
DROP TABLE lookup_budgets;
DROP TABLE nonces;
DROP TABLE erasures;
DROP TABLE idempotency;
DROP TABLE shut_records;

-- Acts that wait for those who have to agree, and what became of them. front is a box of
-- one size that says it, so that those that are wanted are found without opening all.
CREATE TABLE requests (
    name  BLOB NOT NULL PRIMARY KEY,
    front BLOB NOT NULL,
    box   BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE sessions (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) WITHOUT ROWID;

-- Challenges that were used. A row only refuses.
CREATE TABLE spent_challenges (
    name BLOB   NOT NULL PRIMARY KEY,
    hour BIGINT NOT NULL
) WITHOUT ROWID;

-- What a passkey said when it last signed in. A row only refuses.
CREATE TABLE passkey_uses (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) WITHOUT ROWID;

-- Invitations, and devices that nobody has let in. secret and token are keyed names as well.
CREATE TABLE invitations (
    name   BLOB NOT NULL PRIMARY KEY,
    secret BLOB NOT NULL UNIQUE,
    box    BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE enrolments (
    name  BLOB NOT NULL PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    box   BLOB NOT NULL
) WITHOUT ROWID;

-- One row for each agency that makes cards, and one for each that looks up numbers, and
-- for each of whoever does it for her.
CREATE TABLE card_counts (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE lookup_budgets (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE nonces (
    name BLOB   NOT NULL PRIMARY KEY,
    hour BIGINT NOT NULL,
    box  BLOB   NOT NULL
) WITHOUT ROWID;

-- The erasure journal. It refers to nothing, because what it speaks of is gone.
CREATE TABLE erasures (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) WITHOUT ROWID;

-- id is a hash over the caller's key, tag by what answers are found when a case is erased:
-- one of many names of it, or of nothing.
CREATE TABLE idempotency (
    id   BLOB   NOT NULL PRIMARY KEY,
    tag  BLOB   NOT NULL,
    hour BIGINT NOT NULL,
    box  BLOB   NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_tag ON idempotency (tag);
CREATE INDEX idempotency_hour ON idempotency (hour);

-- Records that stay shut: a restore has said that their keys did not come back.
CREATE TABLE shut_records (
    name BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- Heads list the seals of rows that are gone.
DELETE FROM heads;
DELETE FROM head_count;
