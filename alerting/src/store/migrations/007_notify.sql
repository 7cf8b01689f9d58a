-- Notifications: how far each channel has taken the changes in, what its groups remember, and what is on its way.
CREATE TABLE notify_channel (
    channel TEXT PRIMARY KEY,
    seen    INTEGER NOT NULL,
    pace    TEXT NOT NULL,
    next_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE notify_group (
    channel  TEXT NOT NULL,
    region   TEXT NOT NULL,
    category TEXT NOT NULL,
    json     TEXT NOT NULL,
    PRIMARY KEY (channel, region, category)
) STRICT, WITHOUT ROWID;

CREATE TABLE notification (
    id           TEXT PRIMARY KEY,
    channel      TEXT NOT NULL,
    json         TEXT NOT NULL,
    made_at      INTEGER NOT NULL,
    n_tries      INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER NOT NULL,
    leased_until INTEGER NOT NULL DEFAULT 0,
    outcome      TEXT NOT NULL DEFAULT 'waiting' CHECK (outcome IN ('waiting', 'delivered', 'dead')),
    detail       TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_due ON notification (channel, next_at) WHERE outcome = 'waiting';
