-- +goose Up
-- id is a hash over actor and key, request a keyed hash over the request, and
-- response ciphertext to a key derived from the caller's own: a copy of this
-- table tells neither who asked, nor what, nor what was answered.
CREATE TABLE idempotency (
    id       BLOB    PRIMARY KEY,
    request  BLOB    NOT NULL,
    done     BOOLEAN NOT NULL,
    response BLOB,
    claim    BLOB    NOT NULL,
    case_id  TEXT,
    expires  BIGINT  NOT NULL
);
CREATE INDEX idempotency_case ON idempotency (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX idempotency_expires ON idempotency (expires);

-- +goose Down
DROP TABLE idempotency;
