-- +goose Up
-- Who is an agency and which devices are let in stands in the roster. Here are kept the
-- keys of agencies, and devices that nobody has let in yet, with the day on which each
-- began to wait. Invitations and devices that wait need no agency beside them: it may
-- have no keys yet.
DROP TABLE devices;
ALTER TABLE agencies DROP COLUMN name;
ALTER TABLE agencies DROP COLUMN class;
ALTER TABLE agencies DROP COLUMN country;
ALTER TABLE agencies DROP COLUMN desk;
ALTER TABLE agencies DROP COLUMN suspended;
ALTER TABLE agencies DROP COLUMN admitted_day;
ALTER TABLE agencies DROP COLUMN terms;

ALTER TABLE enrolments RENAME TO enrolments_before;
CREATE TABLE enrolments (
    id            TEXT   PRIMARY KEY,
    agency_id     TEXT   NOT NULL,
    label         TEXT   NOT NULL,
    recipient     BLOB   NOT NULL,
    token         BLOB   NOT NULL UNIQUE,
    invited_by    TEXT   NOT NULL,
    invitation_id TEXT   NOT NULL UNIQUE,
    tries         BIGINT NOT NULL,
    day           BIGINT NOT NULL
);
INSERT INTO enrolments (id, agency_id, label, recipient, token, invited_by, invitation_id, tries, day)
    SELECT e.id, e.agency_id, e.label, e.recipient, e.token, e.invited_by, e.invitation_id, e.tries, i.expires / 86400
    FROM enrolments_before e JOIN invitations i ON i.id = e.invitation_id;
DROP TABLE enrolments_before;

ALTER TABLE invitations RENAME TO invitations_before;
CREATE TABLE invitations (
    id         TEXT    PRIMARY KEY,
    agency_id  TEXT    NOT NULL,
    label      TEXT    NOT NULL,
    secret     BLOB    NOT NULL UNIQUE,
    invited_by TEXT    NOT NULL,
    expires    BIGINT  NOT NULL,
    used       BOOLEAN NOT NULL
);
INSERT INTO invitations (id, agency_id, label, secret, invited_by, expires, used)
    SELECT id, agency_id, label, secret, invited_by, expires, used FROM invitations_before;
DROP TABLE invitations_before;

-- The newest change of the roster when somebody signed in: so a session is from before
-- another change or from after it, whatever the clocks say.
ALTER TABLE sessions ADD COLUMN roster BIGINT NOT NULL DEFAULT 0;

-- More rows have seals than before: all are sealed anew, once, by whoever opens the
-- network next and has its key.
DELETE FROM heads;
DELETE FROM head_count;

-- +goose Down
SELECT 1;
