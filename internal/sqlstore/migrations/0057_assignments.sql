-- +goose Up
-- Who works on a case, and until when, in seconds; 0 is until somebody takes it back. No
-- row says who began the cases of before: nobody is assigned to them, and they are the
-- supervisor's.
CREATE TABLE assignments (
    case_id     TEXT   NOT NULL REFERENCES records (id),
    person      TEXT   NOT NULL,
    assigned_by TEXT   NOT NULL,
    until       BIGINT NOT NULL,
    PRIMARY KEY (case_id, person)
);
CREATE INDEX assignments_person ON assignments (person, case_id);

-- Two cases of an agency that are about one person: a row for each of them.
CREATE TABLE joined_cases (
    case_id   TEXT   NOT NULL REFERENCES records (id),
    other_id  TEXT   NOT NULL,
    joined_by TEXT   NOT NULL,
    day       BIGINT NOT NULL,
    PRIMARY KEY (case_id, other_id)
);

-- +goose Down
DROP TABLE joined_cases;
DROP TABLE assignments;
