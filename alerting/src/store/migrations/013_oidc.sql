-- By which subjects of an identity provider accounts are known; an account may have several.
CREATE TABLE account_link (
    issuer  TEXT NOT NULL,
    sub     TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES account (id),
    PRIMARY KEY (issuer, sub)
) STRICT, WITHOUT ROWID;
