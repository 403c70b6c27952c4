-- +goose Up
-- What is kept for a record: its age file for the agencies that may read it, and the key
-- of what the main database keeps of a case, in a box of one size. The name is a keyed
-- hash of the record's id. Without a number of its own a row lies where its name says, so
-- that nothing tells which one came first.
DROP TABLE key_files;
CREATE TABLE keys (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) WITHOUT ROWID;
-- Whose keyring this is. The network's database notes the same id, and how many changes it
-- has seen: one that counts fewer is an older copy. sum adds up the keyed hashes of all
-- rows, and mac is over all of this. There is one row.
DROP TABLE bond;
CREATE TABLE bond (
    network TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    changes BIGINT NOT NULL,
    sum     BLOB   NOT NULL,
    mac     BLOB   NOT NULL
);
