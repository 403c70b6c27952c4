-- +goose Up
-- Stores that tell nothing to whoever has a copy and no key. Every key of a row that is about
-- a case is a keyed hash, and what a row says is in a box of few sizes
-- (docs/decisions/0061-bodies.md and those behind it). A table by such keys is in their order,
-- so that nothing keeps the order in which rows came. What is forgotten by its time has the
-- hour or the day behind it, and no finer one. Nothing is taken over: a network of before is
-- refused.
DROP TABLE shut_records;
DROP TABLE openings;
DROP TABLE grants;
DROP TABLE consents;
DROP TABLE assignments;
DROP TABLE joined_cases;
DROP TABLE document_sameness;
DROP TABLE number_places;
DROP TABLE number_index;
DROP TABLE objects;
DROP TABLE records;
DROP TABLE cards;
DROP TABLE status_entries;
DROP TABLE issued;
DROP TABLE log_entries;
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
DROP TABLE code_tries;
DROP TABLE paper_tries;
DROP TABLE heads;
DELETE FROM head_count;

-- Seals of all rows about one subject, or the body of a case. The keyed hash of a head is
-- over the digest of what it holds, so that numbers are added up without reading that.
CREATE TABLE heads (
    slot    BIGINT NOT NULL,
    subject TEXT   NOT NULL,
    number  BIGINT NOT NULL,
    digest  BLOB   NOT NULL,
    mac     BLOB   NOT NULL,
    content BLOB   NOT NULL,
    PRIMARY KEY (slot, subject)
) WITHOUT ROWID;
CREATE INDEX heads_number ON heads (number);

-- What leads to a case: a set, what it has in it, and a box of one size.
CREATE TABLE names (
    set_name BLOB NOT NULL,
    item     BLOB NOT NULL,
    box      BLOB NOT NULL,
    PRIMARY KEY (set_name, item)
) WITHOUT ROWID;

-- Parts of cases that never change.
CREATE TABLE cells (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) WITHOUT ROWID;

-- A draft that is being signed, and the process that does it. box says where it stands.
CREATE TABLE drafts (
    name  BLOB NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    box   BLOB NOT NULL
) WITHOUT ROWID;

-- One index of a status list and of the answers list beside it: real or decoy, wanted and
-- public, and since when it waits, in a box of one size. block is its list and which 256
-- of it, so that a list is read whole. An index is here once and for ever, so that it is
-- never given out twice.
CREATE TABLE status_entries (
    block BIGINT NOT NULL,
    name  BLOB   NOT NULL,
    box   BLOB   NOT NULL,
    PRIMARY KEY (block, name)
) WITHOUT ROWID;

-- What the log has to publish: of each entry the hash, called by a keyed hash of it, and
-- where it stands, called by a keyed hash of its number; NULL while it waits. box says
-- both. Leaves that fill a window have no row (docs/decisions/0063-leaves.md).
CREATE TABLE leaves (
    name  BLOB NOT NULL PRIMARY KEY,
    place BLOB UNIQUE,
    box   BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX leaves_waiting ON leaves (name) WHERE place IS NULL;

-- How many leaves have numbers, without those of windows that a restore began. At most
-- one row.
CREATE TABLE log_size (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    numbered BIGINT  NOT NULL
);

-- How far the leaves had come when the log began anew.
ALTER TABLE log_restarts ADD COLUMN carried BIGINT NOT NULL DEFAULT 0;

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
    id  BLOB   NOT NULL PRIMARY KEY,
    tag BLOB   NOT NULL,
    day BIGINT NOT NULL,
    box BLOB   NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_tag ON idempotency (tag);
CREATE INDEX idempotency_day ON idempotency (day);

-- Records that stay shut: a restore has said that their keys did not come back.
CREATE TABLE shut_records (
    name BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- Who tries codes, with which card and in which hours: the row is called by a keyed hash
-- of that, and what it counts is in a box of one size (docs/decisions/0066-no-moment-of-a-check.md).
-- day is that of the newest try, after which a row is forgotten, and used_up says that
-- somebody has to be told. They are written anew after a right code and a wrong one.
CREATE TABLE code_tries (
    name BLOB   NOT NULL PRIMARY KEY,
    day  BIGINT NOT NULL,
    box  BLOB   NOT NULL
) WITHOUT ROWID;

CREATE TABLE paper_tries (
    name    BLOB    NOT NULL PRIMARY KEY,
    day     BIGINT  NOT NULL,
    used_up BOOLEAN NOT NULL,
    box     BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX paper_tries_used_up ON paper_tries (used_up);
CREATE INDEX paper_tries_day ON paper_tries (day);

-- How far migrations have come that take keys, and so more than SQL: place is where the
-- next batch begins. A program that does not know one of them leaves the database alone
-- (docs/decisions/0071-stores-last.md).
CREATE TABLE steps (
    number BIGINT  NOT NULL PRIMARY KEY,
    place  BLOB,
    done   BOOLEAN NOT NULL
);
