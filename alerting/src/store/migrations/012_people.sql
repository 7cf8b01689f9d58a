-- Accounts: until when their training and confidentiality record holds (RULES P20), and since when they are disabled. A record
-- without the day of a signature is the provisional one of the first accounts.
ALTER TABLE account ADD COLUMN training_valid_until INTEGER;
ALTER TABLE account ADD COLUMN confidentiality_signed_on TEXT;
ALTER TABLE account ADD COLUMN disabled_at INTEGER;

-- A session ends also when nobody uses it.
ALTER TABLE session ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;

-- Failed sign-ins by the digest of the name that was tried, whether or not it is an account's.
CREATE TABLE sign_in_failure (
    name_sha256  TEXT PRIMARY KEY,
    n_failed     INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    locked_until INTEGER
) STRICT, WITHOUT ROWID;

-- What machines sign in with: one purpose each, kept by digest. A name is never given twice, so that the audit's rows stay clear.
CREATE TABLE machine_token (
    name         TEXT PRIMARY KEY,
    purpose      TEXT NOT NULL,
    region       TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    made_at      INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    used_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX machine_token_of_digest ON machine_token (token_sha256);
