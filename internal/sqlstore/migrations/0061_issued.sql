-- +goose Up
-- What was issued stands in the body of its case, and what leads to it in names
-- (docs/decisions/0062-issued.md).
DROP TABLE cards;
DROP TABLE status_entries;
DROP TABLE issued;

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
