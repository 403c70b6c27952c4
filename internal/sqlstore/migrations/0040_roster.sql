-- +goose Up
-- The roster: who belongs to the network, as a sequence of changes that prove
-- themselves (docs/decisions/0035). A row that was put in, altered or removed is
-- found by whoever replays them; none of them grants anything by being here.
CREATE TABLE roster_changes (
    seq    BIGINT PRIMARY KEY,
    change BLOB   NOT NULL
);

-- Acts that wait for those who have to agree, with the proofs that were given.
-- state is waits, done or
-- withdrawn; expires is in seconds; version counts what was changed here.
CREATE TABLE requests (
    id      TEXT   PRIMARY KEY,
    act     BLOB   NOT NULL,
    proofs  BLOB   NOT NULL,
    state   TEXT   NOT NULL,
    change  BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX requests_waiting ON requests (expires) WHERE state = 'waits';

-- +goose Down
DROP TABLE requests;
DROP TABLE roster_changes;
