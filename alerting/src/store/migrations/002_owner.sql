-- Who owns a device of a worker group: the newest epoch seen, and the time of its first event.
CREATE TABLE owner (
    device TEXT PRIMARY KEY,
    epoch  INTEGER NOT NULL,
    since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
