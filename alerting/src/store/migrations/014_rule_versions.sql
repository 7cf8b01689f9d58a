-- What each version of a rule meant, from when it first came into force; rows are only added, so that an incident of years ago
-- can be read.
CREATE TABLE rule_version (
    rule    TEXT NOT NULL,
    version INTEGER NOT NULL,
    sha256  TEXT NOT NULL,
    meaning TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (rule, version)
) STRICT, WITHOUT ROWID;

-- What permits that another system reads here (RULES P30); tokens made before this was asked for name none.
ALTER TABLE machine_token ADD COLUMN assessment TEXT NOT NULL DEFAULT '';

-- A replay reads events in the order in which workers had them.
CREATE INDEX event_received ON event (received_at, id);
