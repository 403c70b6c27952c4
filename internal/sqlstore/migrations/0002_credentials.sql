-- +goose Up
-- A status list and the answers list beside it. used counts its real entries;
-- closed lists take no new ones; status and answers are the newest signed tokens.
CREATE TABLE status_lists (
    number  INTEGER PRIMARY KEY,
    used    INTEGER NOT NULL,
    closed  BOOLEAN NOT NULL,
    status  TEXT    NOT NULL,
    answers TEXT    NOT NULL
);

-- What was issued, attestations and cards alike. case_id, about, replaces and
-- the rest are random ids; sealed is ciphertext to the case. request is a hash.
CREATE TABLE issued (
    id          TEXT    PRIMARY KEY,
    kind        TEXT    NOT NULL,
    case_id     TEXT    NOT NULL,
    agency_id   TEXT    NOT NULL,
    about       TEXT    NOT NULL,
    replaces    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    list        INTEGER NOT NULL REFERENCES status_lists (number),
    list_index  INTEGER NOT NULL,
    digest      BLOB    NOT NULL,
    issued_day  BIGINT  NOT NULL,
    until_day   BIGINT  NOT NULL,
    review_day  BIGINT  NOT NULL,
    matched     BOOLEAN NOT NULL,
    sealed      BLOB,
    request     TEXT    UNIQUE
);
CREATE INDEX issued_case ON issued (case_id);
CREATE INDEX issued_drafts ON issued (state) WHERE state = 'draft';

-- What the service keeps of a card: keyed hashes, and the public key that a
-- holder's consent is checked with.
CREATE TABLE cards (
    id          TEXT    PRIMARY KEY REFERENCES issued (id),
    epoch       BIGINT  NOT NULL,
    number      BLOB    NOT NULL UNIQUE,
    handle      BLOB    NOT NULL UNIQUE,
    nationality BLOB    NOT NULL,
    open_key    BLOB
);

-- One index of a status list and of the answers list beside it. An index is
-- here once and for ever, so that it is never given out twice; decoys belong
-- to nothing. waiting orders what is not public yet.
CREATE TABLE status_entries (
    list             INTEGER NOT NULL REFERENCES status_lists (number),
    list_index       INTEGER NOT NULL,
    decoy            BOOLEAN NOT NULL,
    wanted_status    INTEGER NOT NULL,
    published_status INTEGER NOT NULL,
    wanted_answer    INTEGER NOT NULL,
    published_answer INTEGER NOT NULL,
    waiting          BIGINT  NOT NULL,
    PRIMARY KEY (list, list_index)
);
CREATE INDEX status_entries_waiting ON status_entries (waiting);

-- +goose Down
DROP TABLE status_entries;
DROP TABLE cards;
DROP TABLE issued;
DROP TABLE status_lists;
