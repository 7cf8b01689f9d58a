-- Where devices are (WGS-84 degrees), and which devices an incident is about: several of one place, or of one cause.
ALTER TABLE device ADD COLUMN longitude REAL;
ALTER TABLE device ADD COLUMN latitude REAL;

ALTER TABLE incident ADD COLUMN longitude REAL;
ALTER TABLE incident ADD COLUMN latitude REAL;
ALTER TABLE incident ADD COLUMN n_devices INTEGER NOT NULL DEFAULT 1;
ALTER TABLE incident ADD COLUMN last_fired_at INTEGER NOT NULL DEFAULT 0;
UPDATE incident SET last_fired_at = updated_at;

CREATE TABLE incident_device (
    incident TEXT NOT NULL REFERENCES incident (id),
    device   TEXT NOT NULL,
    place    TEXT NOT NULL,
    PRIMARY KEY (incident, device, place)
) STRICT, WITHOUT ROWID;
INSERT INTO incident_device (incident, device, place) SELECT id, device, place FROM incident;
CREATE INDEX incident_of_device ON incident_device (device, place);

DROP INDEX incident_at_place;
CREATE INDEX incident_open ON incident (category, opened_at DESC) WHERE is_open = 1;
