//! Local accounts: first passwords, sign-in with argon2id, sessions of twelve hours, and a brake on guessing.
//!
//! Invariants: an unknown account takes as long as a wrong password and gets the same answer; tokens are kept only as
//! digests; hashing never runs on an async thread.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use argon2::{
    Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{SaltString, rand_core::OsRng},
};
use jiff::Timestamp;
use rand::{Rng as _, distr::Alphanumeric};
use sha2::{Digest as _, Sha256};

use crate::{
    access::{Assignment, Person},
    files::keep,
    store::{Store, StoreError, people, people::Session},
    workflow::Role,
};

/// How long a session lasts.
pub const SESSION_FOR: Duration = Duration::from_secs(12 * 3600);

/// How long the first accounts work before somebody has recorded their training (RULES P20).
const FIRST_TRAINING_FOR: Duration = Duration::from_secs(30 * 86_400);

const FAILURES: u32 = 5;
const FAILURES_WITHIN: Duration = Duration::from_secs(15 * 60);
const MAX_THROTTLED: usize = 10_000;

/// Why an account could not be used or made.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Unknown account or wrong password; which one is not said.
    #[error("account or password is wrong")]
    Wrong,
    /// Too many failures.
    #[error("too many failed tries, try again in {0} seconds")]
    Throttled(u64),
    /// The store failed.
    #[error("accounts can't be read or written")]
    Store(#[from] StoreError),
    /// Hashing failed.
    #[error("a password can't be hashed: {0}")]
    Hash(String),
    /// The file of first passwords can't be written.
    #[error("{0} can't be written")]
    File(PathBuf, #[source] io::Error),
}

/// A session that has just begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The token for the cookie; known to nobody else.
    pub token: String,
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub person: Person,
}

/// The accounts; cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: Store,
    brake: Arc<Brake>,
    /// Verified for unknown accounts, so that they take as long.
    nobody: Arc<str>,
}

impl Accounts {
    /// The accounts in this store.
    pub async fn new(store: Store) -> Result<Self, AccountError> {
        let nobody = hash(random_text(24)).await?;
        Ok(Self { store, brake: Arc::default(), nobody: nobody.into() })
    }

    /// Makes the first accounts when there is none, and writes their passwords to a file only its owner reads.
    pub async fn bootstrap(&self, data_dir: &Path, region: &str) -> Result<Option<PathBuf>, AccountError> {
        const FIRST: [(&str, &str, Role); 5] = [
            ("operator", "值守 Operator", Role::Operator),
            ("dispatcher", "派遣员 Dispatcher", Role::Dispatcher),
            ("supervisor", "值班长 Supervisor", Role::Supervisor),
            ("privacy", "个人信息保护负责人 Privacy officer", Role::PrivacyOfficer),
            ("auditor", "审计员 Auditor", Role::Auditor),
        ];
        if !self.store.read(people::is_empty).await? {
            return Ok(None);
        }
        let training_valid_until = Timestamp::now().checked_add(FIRST_TRAINING_FOR).ok();
        let mut lines = first_lines(training_valid_until);
        let mut accounts = Vec::new();
        for (account, display_name, role) in FIRST {
            let password = random_text(16);
            lines.push_str(&format!("{account} {password}\n"));
            let assignments = vec![Assignment { role, region: region.to_owned(), valid_until: None }];
            let (account, display_name) = (account.to_owned(), display_name.to_owned());
            let person = Person { account, display_name, department: None, assignments, training_valid_until };
            accounts.push((person, hash(password).await?));
        }
        let file = data_dir.join("initial-passwords.txt");
        let written = file.clone();
        let made = self.store.write(move |transaction| {
            // Another process may have been faster.
            if !people::is_empty(transaction)? {
                return Ok(false);
            }
            for (person, password) in &accounts {
                people::add(transaction, person, password)?;
            }
            keep(&written, &lines, 0o600).map_err(|error| StoreError::Folder(written.clone(), error))?;
            Ok(true)
        });
        Ok(made.await?.then_some(file))
    }

    /// Signs in.
    pub async fn sign_in(&self, account: &str, password: String) -> Result<Begun, AccountError> {
        let now = Timestamp::now();
        self.brake.check(account, now)?;
        let wanted = account.to_owned();
        let known = self.store.read(move |transaction| people::password(transaction, &wanted)).await?;
        let is_known = known.is_some();
        let expected = known.unwrap_or_else(|| self.nobody.to_string());
        if !(verify(password, expected).await? && is_known) {
            self.brake.failed(account, now);
            return Err(AccountError::Wrong);
        }
        self.brake.forget(account);
        let token = random_text(43);
        let session = Session {
            token_sha256: digest(&token),
            account: account.to_owned(),
            csrf_token: random_text(43),
            expires_at: now.checked_add(SESSION_FOR).unwrap_or(Timestamp::MAX),
        };
        let begun = session.clone();
        let person = self.store.write(move |transaction| {
            // A service's role never signs in (RULES B), whoever gave it an account and a password.
            let person = people::load(transaction, &begun.account)?.filter(|person| !person.is_service());
            if person.is_some() {
                people::begin(transaction, &begun)?;
            }
            Ok(person)
        });
        let person = person.await?.ok_or(AccountError::Wrong)?;
        Ok(Begun { token, session, person })
    }

    /// Who holds this token.
    pub async fn whose(&self, token: &str) -> Result<Option<(Session, Person)>, AccountError> {
        let token_sha256 = digest(token);
        let now = Timestamp::now();
        Ok(self.store.read(move |transaction| people::session(transaction, &token_sha256, now)).await?)
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: &Session) -> Result<(), AccountError> {
        let token_sha256 = session.token_sha256.clone();
        Ok(self.store.write(move |transaction| people::end(transaction, &token_sha256)).await?)
    }
}

/// The head of the file of first passwords.
fn first_lines(training_valid_until: Option<Timestamp>) -> String {
    let until = training_valid_until.map(|until| until.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    format!(
        "# First passwords. Sign in, then delete this file.\n\
         # Nobody has recorded training and confidentiality of these accounts yet: they work until {until}.\n\
         # Before that: xueliang account train NAME --until DATE --signed-on DATE\n"
    )
}

/// Compares secrets without telling by the time where they differ.
pub fn same_secret(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

async fn hash(password: String) -> Result<String, AccountError> {
    let hashed = tokio::task::spawn_blocking(move || {
        let salt = SaltString::generate(&mut OsRng);
        Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    let hashed = hashed.await.map_err(|error| AccountError::Hash(error.to_string()))?;
    hashed.map_err(|error| AccountError::Hash(error.to_string()))
}

async fn verify(password: String, expected: String) -> Result<bool, AccountError> {
    let verified = tokio::task::spawn_blocking(move || {
        PasswordHash::new(&expected)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    });
    verified.await.map_err(|error| AccountError::Hash(error.to_string()))
}

/// Failed tries by account, in this process.
#[derive(Debug, Default)]
struct Brake(Mutex<HashMap<String, (u32, Timestamp)>>);

impl Brake {
    fn check(&self, account: &str, now: Timestamp) -> Result<(), AccountError> {
        let failures = self.lock();
        let Some((n_failed, since)) = failures.get(account) else { return Ok(()) };
        let age = now.duration_since(*since).unsigned_abs();
        if *n_failed < FAILURES || age >= FAILURES_WITHIN {
            return Ok(());
        }
        Err(AccountError::Throttled((FAILURES_WITHIN - age).as_secs().max(1)))
    }

    fn failed(&self, account: &str, now: Timestamp) {
        let mut failures = self.lock();
        if failures.len() >= MAX_THROTTLED {
            failures.retain(|_, (_, since)| now.duration_since(*since).unsigned_abs() < FAILURES_WITHIN);
        }
        if failures.len() >= MAX_THROTTLED {
            return;
        }
        let entry = failures.entry(account.chars().take(64).collect()).or_insert((0, now));
        if now.duration_since(entry.1).unsigned_abs() >= FAILURES_WITHIN {
            *entry = (0, now);
        }
        entry.0 += 1;
    }

    fn forget(&self, account: &str) {
        self.lock().remove(account);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (u32, Timestamp)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifth_failure_closes_the_door_for_a_while() {
        let brake = Brake::default();
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        for _ in 0..FAILURES {
            assert!(brake.check("a", now).is_ok());
            brake.failed("a", now);
        }
        assert!(matches!(brake.check("a", now), Err(AccountError::Throttled(_))));
        assert!(brake.check("b", now).is_ok());
        assert!(brake.check("a", now.checked_add(FAILURES_WITHIN).unwrap()).is_ok());
    }
}
