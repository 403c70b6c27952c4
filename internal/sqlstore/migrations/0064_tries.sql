-- +goose Up
-- Who tries codes, with which card and in which hours: the row is called by a keyed hash
-- of that, and what it counts is in a box of one size (docs/decisions/0066-no-moment-of-a-check.md).
-- day is that of the newest try, after which a row is forgotten, and used_up says that
-- somebody has to be told. They are written anew after a right code and a wrong one.
DROP TABLE code_tries;
CREATE TABLE code_tries (
    name BLOB   NOT NULL PRIMARY KEY,
    day  BIGINT NOT NULL,
    box  BLOB   NOT NULL
) WITHOUT ROWID;

DROP TABLE paper_tries;
CREATE TABLE paper_tries (
    name    BLOB    NOT NULL PRIMARY KEY,
    day     BIGINT  NOT NULL,
    used_up BOOLEAN NOT NULL,
    box     BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX paper_tries_used_up ON paper_tries (used_up);
CREATE INDEX paper_tries_day ON paper_tries (day);

-- +goose Down
DROP TABLE code_tries;
DROP TABLE paper_tries;
