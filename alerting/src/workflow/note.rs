//! What may be done with an incident without moving it: supervise, acknowledge, comment, attach.
//!
//! A note is stored as a change, like a command: with its actor, for everybody to see. It takes no edge and touches no
//! clock, except that an acknowledgement is remembered by the clock it is about. Not here: region scope, storage.

use std::collections::BTreeMap;

use super::{
    clocks::{ClockName, Clocks},
    command::{FieldSpec, Role, State, vocabulary},
    guard::{Actor, RefusedCommand, check_role},
};

vocabulary! {
    /// What can be done without moving an incident.
    Note {
        /// 督办: the supervisor wants it done; shown with the incident until it is closed. A job does so when a clock is overdue.
        Supervise => "supervise",
        /// I have seen that it is due, overdue or was passed up.
        Acknowledge => "acknowledge",
        /// Something to say.
        Comment => "comment",
        /// Something to show: a stored, redacted still by its digest.
        Attach => "attach",
    }
}

/// A note with all that came with it.
#[derive(Debug, Clone, Copy)]
pub struct NoteInput<'a> {
    /// What to do.
    pub note: Note,
    /// Its fields.
    pub fields: &'a BTreeMap<String, String>,
}

impl Note {
    /// Who may make it.
    pub fn roles(self) -> &'static [Role] {
        use Role::{DeptLiaison, Dispatcher, GridWorker, Job, Operator, Supervisor};
        match self {
            Note::Supervise => &[Supervisor, Job],
            Note::Acknowledge => &[GridWorker, Dispatcher, Supervisor, DeptLiaison],
            Note::Comment | Note::Attach => &[GridWorker, Operator, Dispatcher, Supervisor, DeptLiaison],
        }
    }

    /// What it must carry.
    pub fn fields(self) -> &'static [FieldSpec] {
        const CLOCK: &[FieldSpec] = &[FieldSpec { name: "clock", required: true }];
        const TEXT: &[FieldSpec] = &[FieldSpec { name: "text", required: true }];
        const DIGEST: &[FieldSpec] = &[FieldSpec { name: "sha256", required: true }];
        match self {
            Note::Supervise => &[],
            Note::Acknowledge => CLOCK,
            Note::Comment => TEXT,
            Note::Attach => DIGEST,
        }
    }

    /// True where it can be made: words always, things to show until it is counted or given up, the rest while it is open.
    pub fn is_possible(self, state: State) -> bool {
        match self {
            Note::Supervise | Note::Acknowledge => state.is_open(),
            Note::Comment => true,
            Note::Attach => state.is_open() || state == State::Closed,
        }
    }
}

/// The notes that this actor may make now, apart from what must be written into them.
pub fn notes_allowed(state: State, actor: Actor<'_>) -> Vec<Note> {
    let may = |note: &Note| note.is_possible(state) && check_role(note.roles(), actor).is_ok();
    Note::ALL.iter().copied().filter(may).collect()
}

/// Makes a note, or says why not; the clocks afterwards.
pub fn note(state: State, clocks: &Clocks, actor: Actor<'_>, input: NoteInput<'_>) -> Result<Clocks, RefusedCommand> {
    check_role(input.note.roles(), actor)?;
    if !input.note.is_possible(state) {
        return Err(RefusedCommand::Condition("this isn't possible any more: the incident is not open"));
    }
    for spec in input.note.fields().iter().filter(|spec| spec.required) {
        if input.fields.get(spec.name).is_none_or(|value| value.trim().is_empty()) {
            return Err(RefusedCommand::Field(spec.name, "is missing"));
        }
    }
    let mut clocks = clocks.clone();
    if input.note == Note::Acknowledge {
        let name = input.fields.get("clock").and_then(|name| ClockName::parse(name.trim()));
        let name = name.ok_or(RefusedCommand::Field("clock", "must be accept, check or handling"))?;
        let clock = clocks.of_mut(name).filter(|clock| clock.told().is_unanswered());
        clock.ok_or(RefusedCommand::Condition("there is nothing to acknowledge"))?.acknowledge();
    }
    Ok(clocks)
}
