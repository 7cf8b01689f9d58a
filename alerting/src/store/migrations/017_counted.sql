-- When an incident's count of events last grew: pages are told of it now and again, though nothing else changed.
ALTER TABLE incident ADD COLUMN counted_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX incident_counted_at ON incident (counted_at) WHERE is_open = 1;
