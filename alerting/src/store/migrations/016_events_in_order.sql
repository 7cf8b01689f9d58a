-- Events stand in the order in which they came: by their ids, which are random, each one written touched another page of the file.
CREATE TABLE event_in_order (
    id          TEXT PRIMARY KEY,
    type        TEXT NOT NULL,
    device      TEXT NOT NULL,
    time        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    json        TEXT NOT NULL,
    linked      INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO event_in_order (id, type, device, time, received_at, json, linked)
    SELECT id, type, device, time, received_at, json, linked FROM event ORDER BY received_at, id;
DROP TABLE event;
ALTER TABLE event_in_order RENAME TO event;
CREATE INDEX event_unlinked ON event (time) WHERE linked = 0;
CREATE INDEX event_received ON event (received_at, id);
