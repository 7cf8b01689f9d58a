//! Notes beside an incident: 督办, acknowledgements, comments and pictures. Permit, register, note and timeline in one transaction.

use std::collections::BTreeMap;

use jiff::Timestamp;
use xueliang_events::{IncidentId, values::Digest};

use super::{
    Stored, Tx,
    audit::{self, Asked},
    changes::{self, NewChange},
    columns::{key, to_json},
    commands::Rejection,
    idempotency::{Keyed, Used},
    incidents::{self, Incident},
    sql::{Row, params},
};
use crate::{
    access::{Action, Asker, Context, Permit, Purpose},
    procedure::Procedure,
    text::FreeText,
    workflow::{Actor, Kind, Note, NoteInput, note},
};

/// A note as it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The incident.
    pub incident: IncidentId,
    /// Chosen by the client; a repetition of the same note carries the same one.
    pub key: String,
    /// What it is.
    pub note: Note,
    /// In words.
    pub text: Option<FreeText>,
    /// Its fields.
    pub fields: BTreeMap<String, String>,
}

/// A picture that somebody attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Digest of its JPEG.
    pub sha256: Digest,
    /// Who.
    pub account: String,
    /// When.
    pub at: Timestamp,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The action that a note asks for.
pub fn action(note: Note) -> Action {
    match note {
        Note::Supervise => Action::Supervise,
        Note::Acknowledge => Action::Acknowledge,
        Note::Comment => Action::Comment,
        Note::Attach => Action::Attach,
    }
}

/// Makes the note, or says why not, and registers which; `false` for a repetition.
pub fn make(
    tx: &Tx<'_>,
    (asker, procedure): (Asker<'_>, &Procedure),
    given: &Given,
    asked: Context<'_>,
) -> Stored<Result<bool, Rejection>> {
    let Asker { access, person } = asker;
    let Some(incident) = incidents::load(tx, given.incident)? else { return Ok(Err(Rejection::Unknown)) };
    let action = action(given.note);
    let asked = Context { has_reason: given.text.is_some(), ..asked };
    let permit = access.authorize(person, action, incident.resource(), asked);
    let registered = Asked {
        person,
        at: asked.now,
        purpose: Some(Purpose::IncidentHandling),
        reason: given.text.as_ref().map(FreeText::as_str),
        action: action.as_str(),
        resource: &format!("incident/{}", given.incident),
    };
    let made = match &permit {
        Ok(permit) => make_permitted(tx, (asker, permit, procedure), (given, incident), asked.now)?,
        Err(denied) => Err(denied.clone().into()),
    };
    if made != Ok(false) {
        audit::settle(tx, access, registered, (&permit, &made))?;
    }
    Ok(made)
}

fn make_permitted(
    tx: &Tx<'_>,
    (asker, permit, procedure): (Asker<'_>, &Permit, &Procedure),
    (given, mut incident): (&Given, Incident),
    now: Timestamp,
) -> Stored<Result<bool, Rejection>> {
    let account = &asker.person.account;
    let text = given.text.as_ref().map(FreeText::as_str);
    let keyed = Keyed::new(account, &given.key, &(given.incident, given.note.as_str(), text, &given.fields))?;
    match keyed.used(tx)? {
        Used::ForThis => return Ok(Ok(false)),
        Used::ForAnother => return Ok(Err(Rejection::KeyReused)),
        Used::Never => {}
    }
    let actor = Actor { kind: Kind::Person, name: account, roles: permit.roles() };
    let mut fields = given.fields.clone();
    fields.extend(text.map(|text| ("text".to_owned(), text.to_owned())));
    let input = NoteInput { note: given.note, fields: &fields };
    match note(incident.state, &incident.clocks, actor, input) {
        Ok(clocks) => incident.clocks = clocks,
        Err(refused) => return Ok(Err(refused.into())),
    }
    incident.supervised |= given.note == Note::Supervise;
    incident.updated_at = now;
    incidents::update(tx, &incident, procedure.calendar())?;
    keyed.remember(tx, now)?;
    write_down(tx, (&incident, given, account), now)?;
    Ok(Ok(true))
}

fn write_down(tx: &Tx<'_>, (incident, given, account): (&Incident, &Given, &str), now: Timestamp) -> Stored<()> {
    let fields = if given.fields.is_empty() { None } else { Some(to_json("fields", &given.fields)?) };
    let change = NewChange {
        incident: incident.id,
        version: incident.version,
        at: now,
        actor: ("person", account),
        action: given.note.as_str(),
        from: Some(incident.state),
        to: incident.state,
        reason: None,
        comment: given.text.as_ref().map(FreeText::as_str),
        fields: fields.as_deref(),
    };
    changes::append(tx, change)
}

/// Links a picture that is kept; the same one twice is one.
pub fn attach(tx: &Tx<'_>, incident: IncidentId, attached: &Attached) -> Stored<()> {
    let Attached { sha256, account, at, width, height } = attached;
    tx.execute(
        "INSERT INTO attachment (incident, sha256, account, at, width, height) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
        params![incident.to_string(), sha256.as_str(), account, *at, *width, *height],
    )?;
    Ok(())
}

/// What people attached to an incident, oldest first.
pub fn attachments(tx: &Tx<'_>, incident: IncidentId) -> Stored<Vec<Attached>> {
    let sql = "SELECT * FROM attachment WHERE incident = ?1 ORDER BY at, sha256";
    tx.rows(sql, params![incident.to_string()])?.iter().map(read).collect()
}

fn read(row: &Row) -> Stored<Attached> {
    Ok(Attached {
        sha256: key(row, "sha256", |text| Digest::try_from(text.to_owned()).ok())?,
        account: row.get("account")?,
        at: row.get("at")?,
        width: row.get("width")?,
        height: row.get("height")?,
    })
}
