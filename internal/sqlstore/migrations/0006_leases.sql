-- +goose Up
-- Who does a piece of work that one process at a time does. until is in seconds,
-- by the database's clock: a lease lives for some of them.
CREATE TABLE leases (
    name   TEXT   PRIMARY KEY,
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE leases;
