//! Machines: each holds a token that is good for one thing, in one region, until a time (RULES B).
//!
//! In: the token of a request and which route it wants. Out: the machine as a [`Person`] of one service's role, or why not.
//! Invariants: each use is registered before it is served; nothing but the routes of its purpose is served, whatever the
//! policies would say; no purpose shows a picture. A machine has no session and no cookie, so no other site's page can use
//! one.

use jiff::{Span, Timestamp};

use super::{
    Accounts,
    administration::{Administration, AdministrationError, check_name, check_text},
    password::{digest, random_text},
};
use crate::{
    access::{Access, Action, Assignment, Context, Denied, Kind, Person, Purpose, Resource},
    audit::Decision,
    store::{
        StoreError, Stored, Tx,
        audit::{self, Asked},
        tokens::{self, MachineToken},
    },
    workflow::{Role, vocabulary},
};

/// A token lasts at most so many days.
pub const MAX_DAYS: u16 = 365;
/// How tokens begin, so that whoever finds one in a file knows what it is.
const PREFIX: &str = "xueliang_";
/// So many requests of one token, in this process.
pub(super) const REQUESTS_A_MINUTE: u32 = 120;

vocabulary! {
    /// What a token is for; closed. A purpose is one action on a few routes.
    TokenPurpose {
        /// A city's platform follows the incidents of a region.
        ReadIncidents => "read_incidents",
        /// A platform of operation follows how devices are.
        ReadDevices => "read_devices",
        /// Prometheus fetches the metrics.
        ReadMetrics => "read_metrics",
    }
}

impl TokenPurpose {
    /// The service's role that may do it.
    pub fn role(self) -> Role {
        match self {
            Self::ReadIncidents => Role::IncidentReader,
            Self::ReadDevices | Self::ReadMetrics => Role::DeviceReader,
        }
    }

    /// The routes that serve it; each by GET.
    pub fn routes(self) -> &'static [&'static str] {
        match self {
            Self::ReadIncidents => &["/api/v1/incidents", "/api/v1/incidents/{id}", "/api/v1/stream"],
            Self::ReadDevices => &["/api/v1/devices", "/api/v1/stream"],
            Self::ReadMetrics => &["/metrics"],
        }
    }

    fn asks(self) -> (Action, Kind, Purpose) {
        match self {
            Self::ReadIncidents => (Action::ReadIncident, Kind::Incident, Purpose::IncidentHandling),
            Self::ReadDevices | Self::ReadMetrics => (Action::ReadDevices, Kind::Device, Purpose::DeviceMaintenance),
        }
    }
}

/// What a token is to be good for.
#[derive(Debug, Clone)]
pub struct TokenTerms {
    /// What it is for.
    pub purpose: TokenPurpose,
    /// Where.
    pub region: String,
    /// The id of the impact assessment that permits it, for another system's reading is sharing (RULES P30).
    pub assessment: String,
    /// For how many days.
    pub days: u16,
}

/// Why a machine is not served.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Unknown, ended or revoked; which one is not said.
    #[error("the token is not good")]
    Unknown,
    /// Another route.
    #[error("this token is not for that")]
    OtherPurpose,
    /// The policies.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Too often.
    #[error("more than {REQUESTS_A_MINUTE} requests a minute, try again in {0} seconds")]
    TooOften(u64),
    /// The store.
    #[error("tokens can't be read")]
    Store(#[from] StoreError),
}

/// What a machine wants.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The route's pattern.
    pub route: &'a str,
    /// The method and path, for the audit.
    pub request: &'a str,
    /// True when the route serves machines at all.
    pub is_open: bool,
}

impl Accounts {
    /// The machine that holds this token, when it may have what it wants; registers the use.
    pub async fn machine(&self, token: &str, wanted: Wanted<'_>) -> Result<Person, TokenError> {
        let now = Timestamp::now();
        let token_sha256 = digest(token);
        let found = self.store.read(move |tx| tokens::live(tx, &token_sha256, now)).await?;
        let found = found.ok_or(TokenError::Unknown)?;
        self.machine_pace.check(&found.name, now).map_err(TokenError::TooOften)?;
        let is_served = wanted.is_open && found.purpose.routes().contains(&wanted.route);
        let (access, request) = (self.access.clone(), wanted.request.to_owned());
        let served = self.store.write(move |tx| {
            tokens::used(tx, &found.name, now)?;
            let machine = person(&found);
            if is_served {
                return permit(tx, (&access, &machine), (&found, &request), now);
            }
            let (action, resource) = (found.purpose.asks().0.as_str(), request.as_str());
            let asked = Asked { person: &machine, at: now, purpose: None, reason: None, action, resource };
            audit::note(tx, &access, asked, Decision::Deny)?;
            Ok(Err(TokenError::OtherPurpose))
        });
        served.await?
    }

    /// The machine that holds this token, while it is good; for what was permitted before and goes on.
    pub async fn still_machine(&self, token: &str) -> Result<Option<Person>, StoreError> {
        let (now, token_sha256) = (Timestamp::now(), digest(token));
        let found = self.store.read(move |tx| tokens::live(tx, &token_sha256, now)).await?;
        Ok(found.as_ref().map(person))
    }
}

/// Asks whether the machine may do what it is there for, and writes the answer down.
fn permit(
    tx: &Tx<'_>,
    (access, machine): (&Access, &Person),
    (token, request): (&MachineToken, &str),
    now: Timestamp,
) -> Stored<Result<Person, TokenError>> {
    let (action, kind, purpose) = token.purpose.asks();
    let context = Context::new(now, None).for_purpose(purpose);
    let permit = access.authorize(machine, action, Resource::new(kind, &token.region), context);
    let (purpose, action) = (context.purpose, action.as_str());
    let asked = Asked { person: machine, at: now, purpose, reason: None, action, resource: request };
    audit::register(tx, access, asked, permit.as_ref())?;
    Ok(permit.map(|_| machine.clone()).map_err(TokenError::Denied))
}

fn person(token: &MachineToken) -> Person {
    let role = token.purpose.role();
    Person {
        account: format!("token:{}", token.name),
        display_name: token.name.clone(),
        department: None,
        assignments: vec![Assignment { role, region: token.region.clone(), valid_until: Some(token.expires_at) }],
        training_valid_until: None,
    }
}

impl Administration {
    /// Makes a token and gives it; it is shown once and kept by digest.
    pub async fn add_token(
        &self,
        name: String,
        TokenTerms { purpose, region, assessment, days }: TokenTerms,
    ) -> Result<String, AdministrationError> {
        check_name(&name)?;
        check_text("an assessment's id", &assessment)?;
        self.access.regions().level(&region)?;
        let token = format!("{PREFIX}{}", random_text(43));
        let (made_at, token_sha256) = (Timestamp::now(), digest(&token));
        let lasts = Span::new().hours(24 * i64::from(days.clamp(1, MAX_DAYS)));
        let expires_at = made_at.checked_add(lasts).unwrap_or(Timestamp::MAX);
        let resource = format!("token/{name}/{}@{region}", purpose.as_str());
        let (revoked_at, used_at) = (None, None);
        let new = MachineToken { name, purpose, region, assessment, made_at, expires_at, revoked_at, used_at };
        self.noted(("add_token", resource), move |tx| {
            if tokens::add(tx, &new, &token_sha256)? { Ok(()) } else { Err(AdministrationError::Taken(new.name)) }
        })
        .await?;
        Ok(token)
    }

    /// All tokens by name, also those that have ended.
    pub async fn tokens(&self) -> Result<Vec<MachineToken>, AdministrationError> {
        Ok(self.store.read(tokens::all).await?)
    }

    /// Revokes a token at once.
    pub async fn revoke_token(&self, name: String) -> Result<(), AdministrationError> {
        let resource = format!("token/{name}");
        self.noted(("revoke_token", resource), move |tx| {
            let is_revoked = tokens::revoke(tx, &name, Timestamp::now())?;
            if is_revoked { Ok(()) } else { Err(AdministrationError::UnknownToken(name)) }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_is_one_action_of_a_service() {
        for purpose in TokenPurpose::ALL {
            assert!(purpose.role().is_service(), "{purpose:?}");
            assert!(!purpose.routes().is_empty(), "{purpose:?}");
        }
    }
}
