-- The clocks of an incident and when to look at them; what was told of them.
ALTER TABLE incident ADD COLUMN clocks TEXT NOT NULL DEFAULT '{}';
ALTER TABLE incident ADD COLUMN next_at INTEGER;
ALTER TABLE incident ADD COLUMN supervised INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incident ADD COLUMN n_escalated INTEGER NOT NULL DEFAULT 0;
CREATE INDEX incident_due ON incident (next_at) WHERE next_at IS NOT NULL;
