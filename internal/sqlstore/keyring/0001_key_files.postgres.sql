-- +goose Up
-- A record's key file: an age file for the agencies that may read the record.
-- It is cut into parts so that rewriting the one that a key file was in, which
-- is what removes its bytes, takes little time.
CREATE TABLE key_files (
    record_id TEXT PRIMARY KEY,
    file      BLOB NOT NULL
) PARTITION BY HASH (record_id);
DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE key_files_%s PARTITION OF key_files FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
    END LOOP;
END $$;

-- What writers queue for. It stays empty, so that no VACUUM ever stands in the
-- queue.
CREATE TABLE turn ();

-- +goose Down
DROP TABLE turn;
DROP TABLE key_files;
