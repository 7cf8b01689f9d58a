//! Local accounts: first passwords, sign-in with argon2id, sessions that end, and two brakes on guessing.
//!
//! Invariants: an unknown account takes as long as a wrong password and gets the same answer; tokens are kept only as
//! digests; hashing never runs on an async thread; what becomes of a try is registered with it. Not here: who may make
//! accounts ([`administration`]).

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use prometheus::IntCounter;
use tokio::sync::Semaphore;

use crate::{
    access::{Access, Assignment, Person},
    audit::Decision,
    files::keep,
    store::{
        Store, StoreError, Stored, Tx,
        audit::{self, Asked},
        failures, people,
        people::Session,
    },
    workflow::Role,
};

pub mod administration;
mod brake;
mod pace;
mod password;
pub mod tokens;

use pace::Pace;

use brake::Brake;
pub use password::same_secret;
use password::{digest, hash, random_text, verify};

/// How long a session lasts at most.
pub const SESSION_FOR: Duration = Duration::from_secs(12 * 3600);
/// What is signed in to and out of, in the audit.
const SESSION: &str = "session";
/// How often it is written down that a session is used.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// How long the first accounts work before somebody has recorded their training (RULES P20).
const FIRST_TRAINING_FOR: Duration = Duration::from_secs(30 * 86_400);
/// So many passwords are hashed at once, each in 19 MiB of memory.
const HASHED_AT_ONCE: usize = 4;

/// Why an account could not be used or made.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Unknown account or wrong password; which one is not said.
    #[error("account or password is wrong")]
    Wrong,
    /// Too many failures.
    #[error("too many failed tries, try again in {0} seconds")]
    Throttled(u64),
    /// More requests than one account may make; so many seconds to wait.
    #[error("this account asks too often; try again in {0} s")]
    TooOften(u64),
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

impl AccountError {
    fn throttled(wait: Duration) -> Self {
        Self::Throttled(wait.as_secs().max(1))
    }
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

/// Whether a request shows that somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Somebody did something.
    Active,
    /// A page follows by itself.
    Following,
}

/// The accounts; cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: Store,
    access: Access,
    brake: Arc<Brake>,
    hashing: Arc<Semaphore>,
    people_pace: Arc<Pace>,
    machine_pace: Arc<Pace>,
    /// Verified for unknown accounts, so that they take as long.
    nobody: Arc<str>,
}

impl Accounts {
    /// The accounts in this store; each may ask so often a minute, and `throttled` counts what is beyond.
    pub async fn new(
        (store, access): (Store, Access),
        requests_per_minute: u32,
        throttled: IntCounter,
    ) -> Result<Self, AccountError> {
        let nobody = hash(random_text(24)).await?.into();
        let hashing = Arc::new(Semaphore::new(HASHED_AT_ONCE));
        let people_pace = Arc::new(Pace::new(requests_per_minute, throttled.clone()));
        let machine_pace = Arc::new(Pace::new(tokens::REQUESTS_A_MINUTE, throttled));
        Ok(Self { store, access, brake: Arc::default(), hashing, people_pace, machine_pace, nobody })
    }

    /// Makes the first accounts when there is none, and writes their passwords to a file only its owner reads.
    pub async fn bootstrap(&self, data_dir: &Path, region: &str) -> Result<Option<PathBuf>, AccountError> {
        const FIRST: [(&str, &str, Role); 6] = [
            ("operator", "值守 Operator", Role::Operator),
            ("dispatcher", "派遣员 Dispatcher", Role::Dispatcher),
            ("supervisor", "值班长 Supervisor", Role::Supervisor),
            // Who asks for a grant does not approve it.
            ("supervisor-2", "值班长二 Second supervisor", Role::Supervisor),
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

    /// Signs in from this client.
    pub async fn sign_in(&self, account: &str, password: String, client: IpAddr) -> Result<Begun, AccountError> {
        let now = Timestamp::now();
        self.brake.check(client, now).map_err(AccountError::throttled)?;
        let name = account.to_owned();
        let begun = self.store.write(move |tx| {
            let known = people::password(tx, &name)?;
            Ok(failures::begin(tx, &name, known.is_some(), now)?.map(|()| known))
        });
        let known = begun.await?.map_err(AccountError::throttled)?;
        let is_known = known.is_some();
        let expected = known.unwrap_or_else(|| self.nobody.to_string());
        let is_right = {
            let _turn = self.hashing.acquire().await;
            verify(password, expected).await? && is_known
        };
        let signed_in = if is_right { self.begin(account.to_owned(), SESSION, now).await? } else { None };
        match signed_in {
            Some(begun) => Ok(begun),
            None => {
                self.brake.failed(client, now);
                self.failed(account.to_owned()).await?;
                Err(AccountError::Wrong)
            }
        }
    }

    /// Refuses a client that has failed too often.
    pub fn check_client(&self, client: IpAddr) -> Result<(), AccountError> {
        self.brake.check(client, Timestamp::now()).map_err(AccountError::throttled)
    }

    /// Signs in whom an identity provider vouches for by this subject, when an account is linked to it.
    pub async fn sign_in_subject(
        &self,
        (issuer, subject): (String, String),
        client: IpAddr,
    ) -> Result<Begun, AccountError> {
        const RESOURCE: &str = "session/oidc";
        let now = Timestamp::now();
        let account = self.store.read(move |tx| people::by_subject(tx, &issuer, &subject)).await?;
        if let Some(account) = account {
            if let Some(begun) = self.begin(account.clone(), RESOURCE, now).await? {
                return Ok(begun);
            }
            let access = self.access.clone();
            let refused = self.store.write(move |tx| {
                let Some(person) = people::load(tx, &account)? else { return Ok(()) };
                note(tx, &access, (&person, "sign_in", RESOURCE), Decision::Deny)
            });
            refused.await?;
        }
        self.brake.failed(client, now);
        Err(AccountError::Wrong)
    }

    /// Begins a session of an account that is known to be there; `None` when it may have none.
    async fn begin(
        &self,
        account: String,
        resource: &'static str,
        now: Timestamp,
    ) -> Result<Option<Begun>, AccountError> {
        let token = random_text(43);
        let session = Session {
            token_sha256: digest(&token),
            account,
            csrf_token: random_text(43),
            expires_at: now.checked_add(SESSION_FOR).unwrap_or(Timestamp::MAX),
            used_at: now,
        };
        let access = self.access.clone();
        let begun = self.store.write(move |tx| {
            // A service's role never signs in (RULES B), whoever gave it an account and a password.
            let person = people::enabled(tx, &session.account)?.filter(|person| !person.is_service());
            let Some(person) = person else { return Ok(None) };
            failures::forget(tx, &person.account)?;
            people::begin(tx, &session)?;
            note(tx, &access, (&person, "sign_in", resource), Decision::Permit)?;
            Ok(Some((session, person)))
        });
        Ok(begun.await?.map(|(session, person)| Begun { token, session, person }))
    }

    /// Registers a failure; a name that is no account's is not kept, for anybody could write anything.
    async fn failed(&self, account: String) -> Result<(), AccountError> {
        let access = self.access.clone();
        let failed = self.store.write(move |tx| {
            let is_locked = failures::failed(tx, &account, Timestamp::now())?;
            let Some(person) = people::load(tx, &account)? else { return Ok(()) };
            note(tx, &access, (&person, "sign_in", SESSION), Decision::Deny)?;
            if is_locked {
                tracing::warn!(account, "an account is locked after too many failed tries");
                note(tx, &access, (&person, "lock_account", SESSION), Decision::Deny)?;
            }
            Ok(())
        });
        Ok(failed.await?)
    }

    /// Who holds this token; a session that is used lasts longer.
    pub async fn whose(&self, token: &str, presence: Presence) -> Result<Option<(Session, Person)>, AccountError> {
        let token_sha256 = digest(token);
        let now = Timestamp::now();
        let found = self.store.read(move |transaction| people::session(transaction, &token_sha256, now)).await?;
        let Some((session, person)) = found else { return Ok(None) };
        self.people_pace.check(&person.account, now).map_err(AccountError::TooOften)?;
        let is_noted = now.duration_since(session.used_at).unsigned_abs() < USE_NOTED_EVERY;
        if presence == Presence::Active && !is_noted {
            let token_sha256 = session.token_sha256.clone();
            self.store.write(move |transaction| people::used(transaction, &token_sha256, now)).await?;
        }
        Ok(Some((session, person)))
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: &Session, person: &Person) -> Result<(), AccountError> {
        let (token_sha256, person, access) = (session.token_sha256.clone(), person.clone(), self.access.clone());
        let ended = self.store.write(move |tx| {
            people::end(tx, &token_sha256)?;
            note(tx, &access, (&person, "sign_out", SESSION), Decision::Permit)
        });
        Ok(ended.await?)
    }
}

/// Registers what somebody did with the own session.
fn note(
    tx: &Tx<'_>,
    access: &Access,
    (person, action, resource): (&Person, &str, &str),
    decision: Decision,
) -> Stored<()> {
    let at = Timestamp::now();
    audit::note(tx, access, Asked { person, at, purpose: None, reason: None, action, resource }, decision)
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
