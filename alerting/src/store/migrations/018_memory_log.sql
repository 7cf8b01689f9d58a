-- Which log a device's events come in: time passes for its rules only as far as that has been read.
ALTER TABLE rule_memory ADD COLUMN log TEXT NOT NULL DEFAULT '';
