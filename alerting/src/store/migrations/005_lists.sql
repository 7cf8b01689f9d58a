-- Lists are read newest first from an index that holds what they are filtered by; a rare state or device has its own.
CREATE INDEX incident_listed ON incident
    (opened_at DESC, id DESC, region, state, category, urgency, department, checker, verifier, reporter, device);
DROP INDEX incident_newest;
CREATE INDEX incident_of_state ON incident
    (state, opened_at DESC, id DESC, region, category, urgency, department, checker, verifier, reporter, device);
CREATE INDEX incident_named_for ON incident (device, opened_at DESC, id DESC);
CREATE INDEX incident_counted ON incident (state, region, category, department, checker, verifier, reporter) WHERE is_open = 1;
