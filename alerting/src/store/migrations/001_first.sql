-- Times are microseconds since 1970 UTC; JSON columns hold what is only ever read as a whole.

CREATE TABLE event (
    id          TEXT PRIMARY KEY,
    type        TEXT NOT NULL,
    device      TEXT NOT NULL,
    time        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    json        TEXT NOT NULL,
    linked      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX event_unlinked ON event (time) WHERE linked = 0;

-- How far each log has been taken in; written in the same transaction as the effects.
CREATE TABLE position (
    log  TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE refused (
    log      TEXT NOT NULL,
    position INTEGER NOT NULL,
    path     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (log, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_memory (
    device    TEXT PRIMARY KEY,
    json      TEXT NOT NULL,
    due_at    INTEGER,
    due_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX rule_memory_due ON rule_memory (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE device (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL CHECK (kind IN ('camera', 'sensor')),
    name_zh   TEXT,
    name_en   TEXT,
    state     TEXT NOT NULL,
    cause     TEXT,
    since     INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    grid      TEXT,
    region    TEXT NOT NULL,
    revision  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_revision ON device (revision);

CREATE TABLE incident (
    id           TEXT PRIMARY KEY,
    category     TEXT NOT NULL,
    state        TEXT NOT NULL,
    is_open      INTEGER NOT NULL,
    urgency      TEXT NOT NULL,
    version      INTEGER NOT NULL,
    opened_at    INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    device       TEXT NOT NULL,
    place        TEXT NOT NULL,
    grid         TEXT,
    region       TEXT NOT NULL,
    rule         TEXT NOT NULL,
    rule_version INTEGER NOT NULL,
    n_events     INTEGER NOT NULL DEFAULT 0,
    n_firings    INTEGER NOT NULL DEFAULT 1,
    measures     TEXT NOT NULL,
    snapshot     TEXT,
    reporter     TEXT,
    checker      TEXT,
    department   TEXT,
    handler      TEXT,
    verifier     TEXT,
    n_returns    INTEGER NOT NULL DEFAULT 0,
    arbitrated   INTEGER NOT NULL DEFAULT 0,
    attempt      INTEGER NOT NULL DEFAULT 1,
    closed_at    INTEGER,
    suspended_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_newest ON incident (opened_at DESC, id DESC);
CREATE INDEX incident_at_place ON incident (category, device, place, opened_at DESC) WHERE is_open = 1;

CREATE TABLE firing (
    id       TEXT PRIMARY KEY,
    incident TEXT NOT NULL REFERENCES incident (id),
    at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE incident_event (
    incident TEXT NOT NULL REFERENCES incident (id),
    event    TEXT NOT NULL,
    PRIMARY KEY (incident, event)
) STRICT, WITHOUT ROWID;

-- Redacted stills that an incident may show; kept by alerting itself.
CREATE TABLE incident_snapshot (
    incident TEXT NOT NULL REFERENCES incident (id),
    sha256   TEXT NOT NULL,
    PRIMARY KEY (incident, sha256)
) STRICT, WITHOUT ROWID;

-- The timeline of all incidents, and what the live stream is made of.
CREATE TABLE change (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    incident   TEXT NOT NULL REFERENCES incident (id),
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('person', 'rule', 'job')),
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    from_state TEXT,
    to_state   TEXT NOT NULL,
    reason     TEXT,
    comment    TEXT,
    fields     TEXT
) STRICT;
CREATE INDEX change_of_incident ON change (incident, seq);

CREATE TABLE account (
    id           TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    password     TEXT NOT NULL,
    department   TEXT
) STRICT, WITHOUT ROWID;

-- An assignment is a triple (RULES B): role, region and end belong together.
CREATE TABLE assignment (
    account     TEXT NOT NULL REFERENCES account (id),
    role        TEXT NOT NULL,
    region      TEXT NOT NULL,
    valid_until INTEGER,
    PRIMARY KEY (account, role, region)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    token_sha256 TEXT PRIMARY KEY,
    account      TEXT NOT NULL REFERENCES account (id),
    csrf_token   TEXT NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    account  TEXT NOT NULL,
    key      TEXT NOT NULL,
    request  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

-- Every view of a still is written down before it is served (RULES P19).
CREATE TABLE view (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    account  TEXT NOT NULL,
    incident TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    purpose  TEXT NOT NULL,
    reason   TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('permit', 'deny'))
) STRICT;

-- What still has to go to Kafka; written with the effect it tells of.
CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    topic       TEXT NOT NULL,
    key         TEXT NOT NULL,
    json        TEXT NOT NULL,
    leased_until INTEGER NOT NULL DEFAULT 0
) STRICT;
