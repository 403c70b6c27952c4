-- +goose Up
-- What writers queue for. It stays empty, so that no VACUUM ever stands in the
-- queue.
CREATE TABLE turn ();

-- +goose Down
DROP TABLE turn;
