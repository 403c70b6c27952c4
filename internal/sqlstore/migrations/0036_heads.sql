-- +goose Up
-- The seals of all rows about one subject: a case, a block of places in a status
-- list, the network. number is that of the change that wrote it, and grows; slot
-- is where numbers are added up (docs/decisions/0038-rows.md).
CREATE TABLE heads (
    subject TEXT   PRIMARY KEY,
    slot    BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    seals   BLOB   NOT NULL,
    mac     BLOB   NOT NULL
);
CREATE INDEX heads_slot ON heads (slot);
CREATE INDEX heads_number ON heads (number);

-- The number of the newest change, and the sum of the numbers of all heads. At
-- most one row.
CREATE TABLE head_count (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    number BIGINT  NOT NULL,
    total  BIGINT  NOT NULL,
    mac    BLOB    NOT NULL
);

-- An opening has a seal of its own: it ends with its day.
ALTER TABLE openings ADD COLUMN mac BLOB;

-- +goose Down
ALTER TABLE openings DROP COLUMN mac;
DROP TABLE head_count;
DROP TABLE heads;
