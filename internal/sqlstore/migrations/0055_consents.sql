-- +goose Up
-- A grant has an id, which is a new one whenever it is given again; the word of the
-- holder that it stands on; a bit for each part, in the order of vault.Parts; and how many
-- readings are left for the agency. One from before has no id: it stands on no word, and
-- is of all parts.
ALTER TABLE grants ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN word_id TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN parts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN readings BIGINT NOT NULL DEFAULT 0;

-- A word of a holder: whom it is for, '' for the agency that keeps the case, and what has
-- become of it. What was said is sealed to the case.
CREATE TABLE consents (
    id        TEXT   PRIMARY KEY,
    case_id   TEXT   NOT NULL REFERENCES records (id),
    record_id TEXT   NOT NULL REFERENCES records (id),
    agency    TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    sealed    BLOB   NOT NULL,
    day       BIGINT NOT NULL
);
CREATE INDEX consents_case ON consents (case_id);

-- Whether a card says that a mission may be contacted.
ALTER TABLE cards ADD COLUMN contact BOOLEAN NOT NULL DEFAULT FALSE;

-- What a challenge was given for: a digest, and nothing for an opening.
ALTER TABLE nonces ADD COLUMN about TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE nonces DROP COLUMN about;
ALTER TABLE cards DROP COLUMN contact;
DROP TABLE consents;
ALTER TABLE grants DROP COLUMN readings;
ALTER TABLE grants DROP COLUMN parts;
ALTER TABLE grants DROP COLUMN word_id;
ALTER TABLE grants DROP COLUMN id;
