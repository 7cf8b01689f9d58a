-- Which run of the device's pipeline spoke last: within it the order of its events counts, not the clocks.
ALTER TABLE device ADD COLUMN session TEXT NOT NULL DEFAULT '';
