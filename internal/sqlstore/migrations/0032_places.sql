-- +goose Up
-- Further places of a document in the index of numbers: what its machine-readable
-- zone says where something else was typed. The version before knows number_index
-- alone, so that the first place stays there; what it erases goes from here too.
CREATE TABLE number_places (
    record_id TEXT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    place     BLOB NOT NULL,
    PRIMARY KEY (record_id, place)
);
CREATE INDEX number_places_place ON number_places (place);

-- +goose Down
DROP TABLE number_places;
