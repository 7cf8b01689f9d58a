-- The audit's chain (docs/audit.md). Its numbers are the chain's own. What was viewed before stays in `view`.
CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY,
    utc         INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    unit        TEXT,
    assignment  TEXT,
    purpose     TEXT,
    reason      TEXT,
    action      TEXT NOT NULL,
    resource    TEXT NOT NULL,
    decision    TEXT NOT NULL CHECK (decision IN ('permit', 'deny')),
    rule_ids    TEXT NOT NULL,
    policy_hash TEXT NOT NULL,
    prev_hash   TEXT NOT NULL,
    hash        TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_actor ON audit (actor, seq);
CREATE INDEX audit_of_resource ON audit (resource, seq);

-- Free text beside the chain: deleted, it leaves the chain whole.
CREATE TABLE audit_reason (
    seq  INTEGER PRIMARY KEY,
    salt TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
