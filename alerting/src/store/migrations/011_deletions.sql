-- Receipts of what was deleted; rows are only added. What they vouch for is registered in the audit.
CREATE TABLE deletion (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    object   TEXT NOT NULL,
    n        INTEGER NOT NULL,
    rule     TEXT NOT NULL,
    settings TEXT NOT NULL
) STRICT;

-- Stills whose rows are gone and whose files go next; a row leaves with its file.
CREATE TABLE doomed_still (
    sha256 TEXT PRIMARY KEY,
    since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Pictures that a case needs beyond their end. A hold is its grant's, so that a grant makes one.
CREATE TABLE hold (
    id        TEXT PRIMARY KEY,
    incident  TEXT NOT NULL REFERENCES incident (id),
    case_name TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at INTEGER NOT NULL,
    ends_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_of_incident ON hold (incident, ends_at);
CREATE INDEX hold_newest ON hold (placed_at DESC);

-- When an incident's stills, attachments and events were deleted.
ALTER TABLE incident ADD COLUMN emptied_at INTEGER;
CREATE INDEX incident_to_empty ON incident (id) WHERE is_open = 0 AND emptied_at IS NULL;
CREATE INDEX incident_snapshot_of ON incident_snapshot (sha256);
CREATE INDEX attachment_of ON attachment (sha256);
CREATE INDEX incident_event_of ON incident_event (event);
