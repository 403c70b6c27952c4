-- +goose Up
-- What a request is to do, so that those are found of whom others are told. The act
-- says it too, and is believed.
ALTER TABLE requests ADD COLUMN what TEXT NOT NULL DEFAULT '';
CREATE INDEX requests_told ON requests (what, expires) WHERE state IN ('agreed', 'done');

-- +goose Down
DROP INDEX requests_told;
ALTER TABLE requests DROP COLUMN what;
