-- +goose Up
-- What is kept for a record: its age file for the agencies that may read it, and the key
-- of what the main database keeps of a case, in a box of one size. The name is a keyed
-- hash of the record's id.
-- It is cut into parts so that rewriting the one that a row was in, which is what removes
-- its bytes, takes little time. Rows stay whole in their pages, where rewriting puts them
-- into the order of the names.
DROP TABLE key_files;
CREATE TABLE keys (
    name BLOB NOT NULL PRIMARY KEY,
    box  BLOB NOT NULL
) PARTITION BY HASH (name);
DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE keys_%s PARTITION OF keys FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
        EXECUTE format('ALTER TABLE keys_%s ALTER COLUMN box SET STORAGE MAIN', part);
    END LOOP;
END $$;
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
