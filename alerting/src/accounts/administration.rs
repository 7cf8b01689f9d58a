//! Accounts are made and changed by whoever administers the machine that the settings file is on.
//!
//! In: an account's name and what becomes of it. Out: the change and its row in the audit, in one transaction, or why not.
//! Invariants: roles that must be different people's never meet in one account (RULES P29); a change of what an account may
//! do ends its sessions; no role of the software's parts is given to people. Works while alerting runs: it is asked anew with
//! each request. Not here: tokens of machines ([`tokens`](super::tokens)).

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

use super::password::{hash, random_text};
use crate::{
    access::{Access, Assignment, Person, PolicyError, check_assignments},
    audit::Decision,
    settings::AlertingSettings,
    store::{
        Store, StoreError, Stored, Tx,
        audit::{self, Asked},
        failures,
        people::{self, Account, Training},
    },
    workflow::Role,
};

mod error;

pub use error::AdministrationError;
use error::{MAX_PASSWORD, MAX_TRAINING_YEARS, MIN_PASSWORD};

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name that it signs in with.
    pub account: String,
    /// The name that others see.
    pub display_name: String,
    /// Its department.
    pub department: Option<String>,
    /// Its first role.
    pub assignment: Assignment,
    /// Its training record, when there is one already.
    pub training: Option<Training>,
}

/// Somebody who administers accounts on this machine.
#[derive(Debug)]
pub struct Administration {
    pub(super) store: Store,
    pub(super) access: Access,
    pub(super) actor: Person,
    zone: TimeZone,
    reason: Option<String>,
}

impl Administration {
    /// Opens the store of these settings for this actor, whose name no account can have; `reason` goes into the audit.
    pub async fn open(
        settings: &AlertingSettings,
        actor: &str,
        reason: Option<String>,
    ) -> Result<Self, AdministrationError> {
        let alarms = prometheus::IntCounter::new("xueliang_access_alarms_total", "not served here");
        let alarms = alarms.map_err(|error| PolicyError::Text(error.to_string()))?;
        let access = Access::load(settings.region_scheme.clone(), alarms)?;
        let (place, data_dir) = (settings.store.clone(), settings.data_dir.clone());
        let opened = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&data_dir).map_err(|error| StoreError::Folder(data_dir, error))?;
            Store::open(&place)
        });
        let store = opened.await.map_err(|_| StoreError::Closed)??;
        let actor = Person {
            account: actor.to_owned(),
            display_name: actor.to_owned(),
            department: None,
            assignments: Vec::new(),
            training_valid_until: None,
        };
        Ok(Self { store, access, actor, zone: settings.rules.calendar().zone().clone(), reason })
    }

    /// The end of a day that is still to come, in the deployer's time zone.
    pub fn end_of(&self, day: Date) -> Result<Timestamp, AdministrationError> {
        let end = day.tomorrow().and_then(|next| next.to_zoned(self.zone.clone()));
        let end = end.map_err(|_| AdministrationError::TooLong(day))?.timestamp();
        if end <= Timestamp::now() { Err(AdministrationError::Over(day)) } else { Ok(end) }
    }

    /// The last day before a moment, as people write it.
    pub fn last_day(&self, end: Timestamp) -> Date {
        let before = end.checked_sub(Span::new().microseconds(1)).unwrap_or(end);
        before.to_zoned(self.zone.clone()).date()
    }

    /// A training record that holds to the end of a day.
    pub fn training(&self, until: Date, signed_on: Date) -> Result<Training, AdministrationError> {
        let today = Timestamp::now().to_zoned(self.zone.clone()).date();
        let valid_until = self.end_of(until)?;
        if signed_on > today {
            return Err(AdministrationError::ToCome(signed_on));
        }
        if today.checked_add(Span::new().years(MAX_TRAINING_YEARS)).is_ok_and(|latest| until > latest) {
            return Err(AdministrationError::TooLong(until));
        }
        Ok(Training { valid_until, signed_on })
    }

    /// All accounts by name, each with the end of its lock.
    pub async fn accounts(&self) -> Result<Vec<(Account, Option<Timestamp>)>, AdministrationError> {
        let now = Timestamp::now();
        let found = self.store.read(move |tx| {
            let accounts = people::all(tx)?.into_iter();
            let locked = accounts.map(|account| {
                let locked_until = failures::locked_until(tx, &account.person.account, now)?;
                Ok((account, locked_until))
            });
            locked.collect::<Stored<Vec<_>>>()
        });
        Ok(found.await?)
    }

    /// Makes an account; gives the password when it was made here.
    pub async fn add(&self, new: NewAccount, chosen: Option<String>) -> Result<Option<String>, AdministrationError> {
        let NewAccount { account, display_name, department, assignment, training } = new;
        check_name(&account)?;
        check_text("the display name", &display_name)?;
        department.iter().try_for_each(|department| check_text("the department", department))?;
        self.check_role(&assignment, department.as_deref())?;
        let (hashed, made) = password(chosen).await?;
        let detail = format!("{}@{}", assignment.role.as_str(), assignment.region);
        let person = Person {
            account: account.clone(),
            display_name,
            department,
            assignments: vec![assignment],
            training_valid_until: training.map(|training| training.valid_until),
        };
        self.registered(account, ("add_account", Some(detail)), move |tx, name| {
            if people::load(tx, name)?.is_some() {
                return Err(AdministrationError::Taken(name.to_owned()));
            }
            people::add(tx, &person, &hashed)?;
            training.iter().try_for_each(|training| people::train(tx, name, *training))?;
            Ok(())
        })
        .await?;
        Ok(made)
    }

    /// Gives an account a role in a region.
    pub async fn assign(&self, account: String, assignment: Assignment) -> Result<(), AdministrationError> {
        self.check_role(&assignment, Some("looked at below"))?;
        let detail = format!("{}@{}", assignment.role.as_str(), assignment.region);
        self.registered(account, ("assign_role", Some(detail)), move |tx, name| {
            let Person { assignments, department, .. } = known(tx, name)?.person;
            if assignment.role == Role::DeptLiaison && department.is_none() {
                return Err(AdministrationError::NoDepartment);
            }
            let now = Timestamp::now();
            let mut all: Vec<Assignment> = assignments.into_iter().filter(|given| is_live(given, now)).collect();
            all.push(assignment.clone());
            check_assignments(&all)?;
            people::assign(tx, name, &assignment)?;
            Ok(people::end_all(tx, name)?)
        })
        .await
    }

    /// Takes a role in a region away.
    pub async fn revoke(&self, account: String, (role, region): (Role, String)) -> Result<(), AdministrationError> {
        let detail = format!("{}@{region}", role.as_str());
        self.registered(account, ("revoke_role", Some(detail)), move |tx, name| {
            known(tx, name)?;
            if !people::unassign(tx, name, (role, &region))? {
                return Err(AdministrationError::NotAssigned(role, region));
            }
            Ok(people::end_all(tx, name)?)
        })
        .await
    }

    /// Records training and confidentiality (RULES P20).
    pub async fn train(&self, account: String, training: Training) -> Result<(), AdministrationError> {
        let detail = format!("until {}, signed {}", self.last_day(training.valid_until), training.signed_on);
        self.registered(account, ("record_training", Some(detail)), move |tx, name| {
            known(tx, name)?;
            Ok(people::train(tx, name, training)?)
        })
        .await
    }

    /// Sets a password and lifts a lock; gives the password when it was made here.
    pub async fn set_password(
        &self,
        account: String,
        chosen: Option<String>,
    ) -> Result<Option<String>, AdministrationError> {
        let (hashed, made) = password(chosen).await?;
        self.registered(account, ("set_password", None), move |tx, name| {
            known(tx, name)?;
            people::set_password(tx, name, &hashed)?;
            failures::forget(tx, name)?;
            Ok(people::end_all(tx, name)?)
        })
        .await?;
        Ok(made)
    }

    /// Lets an account sign in by an identity provider, which knows it by this subject.
    pub async fn link(&self, account: String, (issuer, subject): (String, String)) -> Result<(), AdministrationError> {
        check_text("the subject", &subject)?;
        self.registered(account, ("link_account", Some(subject.clone())), move |tx, name| {
            known(tx, name)?;
            let is_linked = people::link(tx, name, (&issuer, &subject))?;
            if is_linked { Ok(()) } else { Err(AdministrationError::Linked(subject)) }
        })
        .await
    }

    /// Takes all links of an account away, and ends its sessions.
    pub async fn unlink(&self, account: String) -> Result<(), AdministrationError> {
        self.registered(account, ("unlink_account", None), |tx, name| {
            known(tx, name)?;
            if !people::unlink(tx, name)? {
                return Err(AdministrationError::Already(name.to_owned(), "without links"));
            }
            Ok(people::end_all(tx, name)?)
        })
        .await
    }

    /// Disables an account: it can't sign in, and its sessions end.
    pub async fn disable(&self, account: String) -> Result<(), AdministrationError> {
        self.registered(account, ("disable_account", None), |tx, name| {
            if known(tx, name)?.disabled_at.is_some() {
                return Err(AdministrationError::Already(name.to_owned(), "disabled"));
            }
            people::disable(tx, name, Some(Timestamp::now()))?;
            Ok(people::end_all(tx, name)?)
        })
        .await
    }

    /// Lets a disabled account sign in again, with the roles that it has.
    pub async fn enable(&self, account: String) -> Result<(), AdministrationError> {
        self.registered(account, ("enable_account", None), |tx, name| {
            let Account { person, disabled_at, .. } = known(tx, name)?;
            if disabled_at.is_none() {
                return Err(AdministrationError::Already(name.to_owned(), "enabled"));
            }
            let now = Timestamp::now();
            let live: Vec<Assignment> = person.assignments.into_iter().filter(|given| is_live(given, now)).collect();
            check_assignments(&live)?;
            Ok(people::disable(tx, name, None)?)
        })
        .await
    }

    fn check_role(&self, assignment: &Assignment, department: Option<&str>) -> Result<(), AdministrationError> {
        if assignment.role.is_service() {
            return Err(AdministrationError::Service(assignment.role));
        }
        if assignment.role == Role::DeptLiaison && department.is_none() {
            return Err(AdministrationError::NoDepartment);
        }
        self.access.regions().level(&assignment.region)?;
        Ok(())
    }

    /// One change with its row in the audit. Of what was refused only excluding roles are registered.
    async fn registered(
        &self,
        account: String,
        (action, detail): (&'static str, Option<String>),
        change: impl FnOnce(&Tx<'_>, &str) -> Result<(), AdministrationError> + Send + 'static,
    ) -> Result<(), AdministrationError> {
        let resource = match detail {
            Some(detail) => format!("account/{account}/{detail}"),
            None => format!("account/{account}"),
        };
        self.noted((action, resource), move |tx| change(tx, &account)).await
    }

    /// The same for anything that is administered here.
    pub(super) async fn noted(
        &self,
        (action, resource): (&'static str, String),
        change: impl FnOnce(&Tx<'_>) -> Result<(), AdministrationError> + Send + 'static,
    ) -> Result<(), AdministrationError> {
        let (actor, access, reason) = (self.actor.clone(), self.access.clone(), self.reason.clone());
        let changed = self.store.write(move |tx| {
            let changed = match change(tx) {
                Err(AdministrationError::Store(error)) => return Err(error),
                changed => changed,
            };
            let decision = match &changed {
                Ok(()) => Decision::Permit,
                Err(AdministrationError::Conflict(_)) => Decision::Deny,
                Err(_) => return Ok(changed),
            };
            let (at, resource, reason) = (Timestamp::now(), resource.as_str(), reason.as_deref());
            let asked = Asked { person: &actor, at, purpose: None, reason, action, resource };
            audit::note(tx, &access, asked, decision)?;
            Ok(changed)
        });
        changed.await?
    }
}

fn known(tx: &Tx<'_>, account: &str) -> Result<Account, AdministrationError> {
    people::administered(tx, account)?.ok_or_else(|| AdministrationError::Unknown(account.chars().take(64).collect()))
}

fn is_live(assignment: &Assignment, now: Timestamp) -> bool {
    assignment.valid_until.is_none_or(|end| now < end)
}

/// Names hold nothing that the audit uses between names, so that an account is never taken for something else.
pub(super) fn check_name(name: &str) -> Result<(), AdministrationError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let begins = name.bytes().next().is_some_and(is_plain);
    let holds = name.bytes().all(|byte| is_plain(byte) || matches!(byte, b'.' | b'_' | b'-'));
    if begins && holds && name.len() <= 64 {
        return Ok(());
    }
    Err(AdministrationError::Name(name.chars().take(80).collect()))
}

pub(super) fn check_text(what: &'static str, text: &str) -> Result<(), AdministrationError> {
    let is_shown = !text.trim().is_empty() && !text.chars().any(char::is_control);
    // A row of the audit has room for so many bytes.
    if is_shown && text.chars().count() <= 100 && text.len() <= 256 {
        Ok(())
    } else {
        Err(AdministrationError::Text(what))
    }
}

/// The hash of a chosen password, or of one that is made and given back.
async fn password(chosen: Option<String>) -> Result<(String, Option<String>), AdministrationError> {
    let (password, made) = match chosen {
        Some(chosen) if chosen.chars().count() >= MIN_PASSWORD && chosen.len() <= MAX_PASSWORD => (chosen, None),
        Some(_) => return Err(AdministrationError::BadPassword),
        None => {
            let made = random_text(16);
            (made.clone(), Some(made))
        }
    };
    Ok((hash(password).await.map_err(AdministrationError::Password)?, made))
}
