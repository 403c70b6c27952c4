-- +goose Up
-- The salt of a code's stretch; cards from before have none.
ALTER TABLE cards ADD COLUMN salt BLOB;

-- Tries with a card number and a code, by anybody. number is a keyed hash under a
-- key of its own, so that the rows do not lead to cards; hour counts the hours
-- since 1970. Kept for two days.
CREATE TABLE paper_tries (
    number BLOB   NOT NULL,
    hour   BIGINT NOT NULL,
    tries  BIGINT NOT NULL,
    PRIMARY KEY (number, hour)
);
CREATE INDEX paper_tries_hour ON paper_tries (hour);

-- +goose Down
DROP TABLE paper_tries;
ALTER TABLE cards DROP COLUMN salt;
