-- +goose Up
-- When an agency was admitted; NULL for those from before it was kept. terms is the
-- JSON of what it may sign: kinds, decision level, quotas. All of it is public.
ALTER TABLE agencies ADD COLUMN admitted_day BIGINT;
ALTER TABLE agencies ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE agencies DROP COLUMN terms;
ALTER TABLE agencies DROP COLUMN admitted_day;
