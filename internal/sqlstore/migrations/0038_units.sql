-- +goose Up
-- When an agency was admitted; NULL for those from before it was kept. terms is the
-- JSON of what it may sign: kinds, decision level, quotas. All of it is public.
ALTER TABLE agencies ADD COLUMN admitted_day BIGINT;
ALTER TABLE agencies ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';

-- How many cards each agency has begun on a day, and whether it was refused one.
-- Nothing in it is about a person.
CREATE TABLE card_counts (
    agency_id TEXT    NOT NULL,
    day       BIGINT  NOT NULL,
    cards     BIGINT  NOT NULL,
    refused   BOOLEAN NOT NULL,
    PRIMARY KEY (agency_id, day)
);

-- The name on a card, as a keyed hash that is bound to its case; NULL for cards from
-- before it was kept, and of cases that are erased.
ALTER TABLE cards ADD COLUMN holder BLOB;

-- What tells that one document is recorded in two cases: a keyed hash of 16 bytes,
-- under a label of its own, so that no look-up finds anything here.
CREATE TABLE document_sameness (
    record_id TEXT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    place     BLOB NOT NULL,
    PRIMARY KEY (record_id, place)
);
CREATE INDEX document_sameness_place ON document_sameness (place);

-- +goose Down
DROP TABLE document_sameness;
ALTER TABLE cards DROP COLUMN holder;
DROP TABLE card_counts;
ALTER TABLE agencies DROP COLUMN terms;
ALTER TABLE agencies DROP COLUMN admitted_day;
