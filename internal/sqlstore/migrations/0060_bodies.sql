-- +goose Up
-- Every key of a row that is about a case is a keyed hash, and what a row says is in a
-- box (docs/decisions/0061-bodies.md). A table by such keys is in their order, so that
-- nothing keeps the order in which rows came.

-- Seals of all rows about one subject, or the body of a case. The keyed hash of a head is
-- over the digest of what it holds, so that numbers are added up without reading that.
DROP TABLE heads;
DELETE FROM head_count;
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

-- All of this stands in bodies now. The journal of erasures stays.
DROP TABLE shut_records;
CREATE TABLE shut_records (
    record_id TEXT PRIMARY KEY
);
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
