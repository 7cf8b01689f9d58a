-- Where an incident comes from, its case code, and what people attach to it. One that a person reported has no device and
-- no rule: both are the empty text.
ALTER TABLE incident ADD COLUMN entry TEXT NOT NULL DEFAULT 'rule';
ALTER TABLE incident ADD COLUMN code TEXT;
CREATE UNIQUE INDEX incident_of_code ON incident (code);

-- The last number that was given out to a case of a county on a day.
CREATE TABLE case_number (
    county TEXT NOT NULL,
    day    TEXT NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (county, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE attachment (
    incident TEXT NOT NULL REFERENCES incident (id),
    sha256   TEXT NOT NULL,
    account  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    width    INTEGER NOT NULL,
    height   INTEGER NOT NULL,
    PRIMARY KEY (incident, sha256)
) STRICT, WITHOUT ROWID;

-- How long a device was heard, delivered, and delivered without fault: the day that runs, and the days before it.
ALTER TABLE device ADD COLUMN counted_day TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN observed_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN live_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN good_us INTEGER NOT NULL DEFAULT 0;
CREATE TABLE device_day (
    device      TEXT NOT NULL,
    day         TEXT NOT NULL,
    observed_us INTEGER NOT NULL,
    live_us     INTEGER NOT NULL,
    good_us     INTEGER NOT NULL,
    PRIMARY KEY (device, day)
) STRICT, WITHOUT ROWID;
