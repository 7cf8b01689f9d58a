-- Requests for grants of four eyes, and broken glass, which is a grant that nobody approved and somebody reviews (RULES B).
CREATE TABLE grant_request (
    id              TEXT PRIMARY KEY,
    request_key     TEXT NOT NULL,
    incident        TEXT NOT NULL REFERENCES incident (id),
    region          TEXT NOT NULL,
    action          TEXT NOT NULL,
    purpose         TEXT NOT NULL,
    reason          TEXT NOT NULL,
    range_from      INTEGER NOT NULL,
    range_until     INTEGER NOT NULL,
    minutes         INTEGER NOT NULL,
    terms           TEXT NOT NULL,
    requester       TEXT NOT NULL,
    requested_at    INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    supervisor      TEXT,
    privacy_officer TEXT,
    granted_at      INTEGER,
    is_withdrawn    INTEGER,
    ended_by        TEXT,
    ended_at        INTEGER,
    ended_note      TEXT,
    is_break_glass  INTEGER NOT NULL DEFAULT 0,
    reviewed_by     TEXT,
    reviewed_at     INTEGER,
    is_justified    INTEGER,
    review_note     TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX grant_request_newest ON grant_request (requested_at DESC, id DESC);
CREATE INDEX grant_request_of_key ON grant_request (requester, request_key);
CREATE INDEX grant_request_unreviewed ON grant_request (requester) WHERE is_break_glass = 1 AND reviewed_at IS NULL;

-- When a still was taken; of those kept before, when their incident was opened.
ALTER TABLE incident_snapshot ADD COLUMN taken_at INTEGER NOT NULL DEFAULT 0;
UPDATE incident_snapshot SET taken_at = (SELECT opened_at FROM incident WHERE incident.id = incident_snapshot.incident);
