-- +goose Up
-- Whose tries with a card number these are: 'actor:' or 'agency:' and an id, so that
-- somebody can be asked who uses up what she may get wrong; empty for everybody's. number
-- is a keyed hash of both then.
ALTER TABLE paper_tries ADD COLUMN who TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE paper_tries DROP COLUMN who;
