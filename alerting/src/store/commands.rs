//! Carries out a person's command: permit, version, transition, timeline and announcement in one transaction.

use std::collections::BTreeMap;

use jiff::Timestamp;
use xueliang_events::IncidentId;

use super::{
    Stored, Tx,
    audit::{self, Asked},
    cases,
    changes::{self, Announcement, NewChange},
    columns::to_json,
    idempotency::{Keyed, Used},
    incidents::{self, Incident},
    sql::params,
};
use crate::{
    access::{Action, Asker, Context, Denied, Permit, Person, Purpose},
    procedure::Procedure,
    workflow::{Actor, Command, Input, Kind, RefusedCommand, Step, advance},
};

/// A command as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The incident.
    pub incident: IncidentId,
    /// Chosen by the client; a repetition of the same command carries the same one.
    pub key: String,
    /// What to do.
    pub command: Command,
    /// The version that the person saw.
    pub version: u64,
    /// The reason's code.
    pub reason: Option<String>,
    /// In words.
    pub comment: Option<String>,
    /// The command's fields.
    pub fields: BTreeMap<String, String>,
}

/// Why it was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such incident.
    #[error("no such incident")]
    Unknown,
    /// The table says no.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Somebody else was faster.
    #[error("the incident has changed: it has version {0} now")]
    Version(u64),
    /// The workflow says no.
    #[error(transparent)]
    Workflow(#[from] RefusedCommand),
    /// The key was used for something else.
    #[error("this idempotency key was used for another command")]
    KeyReused,
}

/// Carries the command out, or says why not, and registers which; a repetition moves nothing and gives `None`.
pub fn carry_out(
    tx: &Tx<'_>,
    (asker, procedure): (Asker<'_>, &Procedure),
    given: &Given,
    asked: Context<'_>,
) -> Stored<Result<Option<Announcement>, Rejection>> {
    let Asker { access, person } = asker;
    let Some(incident) = incidents::load(tx, given.incident)? else { return Ok(Err(Rejection::Unknown)) };
    let action = Action::Command(given.command);
    let permit = access.authorize(person, action, incident.resource(), asked);
    let registered = Asked {
        person,
        at: asked.now,
        purpose: Some(Purpose::IncidentHandling),
        reason: given.comment.as_deref(),
        action: action.as_str(),
        resource: &format!("incident/{}", given.incident),
    };
    let done = match &permit {
        Ok(permit) => carry_out_permitted(tx, (asker, permit, procedure), (given, incident), asked.now)?,
        Err(denied) => Err(denied.clone().into()),
    };
    if !matches!(done, Ok(None)) {
        audit::settle(tx, access, registered, (&permit, &done))?;
    }
    Ok(done)
}

fn carry_out_permitted(
    tx: &Tx<'_>,
    (asker, permit, procedure): (Asker<'_>, &Permit, &Procedure),
    (given, incident): (&Given, Incident),
    now: Timestamp,
) -> Stored<Result<Option<Announcement>, Rejection>> {
    let person = asker.person;
    let keyed = keyed(person, given)?;
    match keyed.used(tx)? {
        Used::ForThis => return Ok(Ok(None)),
        Used::ForAnother => return Ok(Err(Rejection::KeyReused)),
        Used::Never => {}
    }
    if incident.version != given.version {
        return Ok(Err(Rejection::Version(incident.version)));
    }
    if let Some(field) = unknown_account(tx, given)? {
        return Ok(Err(RefusedCommand::Field(field, "must be the name of an account").into()));
    }
    let actor = Actor { kind: Kind::Person, name: &person.account, roles: permit.roles() };
    let input = Input { command: given.command, reason: given.reason.as_deref(), fields: &given.fields, now };
    let deadline = procedure.deadline(&incident);
    match advance(&incident.course(), procedure.terms(&deadline, &incident), actor, input) {
        Ok(step) => {
            keyed.remember(tx, now)?;
            store(tx, Moved { asker, procedure, given, now }, incident, step).map(|moved| Ok(Some(moved)))
        }
        Err(refused) => Ok(Err(refused.into())),
    }
}

struct Moved<'m> {
    asker: Asker<'m>,
    procedure: &'m Procedure,
    given: &'m Given,
    now: Timestamp,
}

fn store(tx: &Tx<'_>, by: Moved<'_>, mut incident: Incident, step: Step) -> Stored<Announcement> {
    let Moved { asker: Asker { access, person }, procedure, given, now } = by;
    let from = incident.state;
    incident.follow(step.course, now);
    if given.command == Command::File && incident.code.is_none() {
        let zone = procedure.calendar().zone();
        incident.code = Some(cases::next_code(tx, (access.regions(), &incident.region), (now, zone))?);
    }
    incidents::update(tx, &incident, procedure.calendar())?;
    let fields = if given.fields.is_empty() { None } else { Some(to_json("fields", &given.fields)?) };
    let change = NewChange {
        incident: incident.id,
        version: incident.version,
        at: now,
        actor: ("person", &person.account),
        action: given.command.as_str(),
        from: Some(from),
        to: incident.state,
        reason: given.reason.as_deref(),
        comment: given.comment.as_deref(),
        fields: fields.as_deref(),
    };
    changes::append(tx, change)?;
    Ok(Announcement::new(&incident))
}

fn keyed(person: &Person, given: &Given) -> Stored<Keyed> {
    let Given { incident, key, command, version, reason, comment, fields } = given;
    Keyed::new(&person.account, key, &(incident, command.as_str(), version, reason, comment, fields))
}

/// The field that should name an account and doesn't.
fn unknown_account(tx: &Tx<'_>, given: &Given) -> Stored<Option<&'static str>> {
    for field in ["checker", "handler", "verifier"] {
        let Some(account) = given.fields.get(field) else { continue };
        if tx.row("SELECT id FROM account WHERE id = ?1", params![account.trim()])?.is_none() {
            return Ok(Some(field));
        }
    }
    Ok(None)
}
