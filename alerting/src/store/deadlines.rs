//! What time brings to incidents: reminders, overdue with 督办, the next level, the end of a wait, and counting once it is over.
//!
//! Each is a change by a job, told once: the clocks that say what was told are written with it. Which incidents are to be looked
//! at is asked of an indexed column, so that a quiet hour costs nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use xueliang_events::IncidentId;

use super::{
    Stored, Tx,
    changes::{self, Announcement, NewChange},
    columns::{key, to_json},
    incidents::{self, Incident},
    sql::params,
};
use crate::{
    deadline::Milestone,
    procedure::Procedure,
    workflow::{Actor, ClockName, Command, Input, Kind, advance},
};

/// The actor of these changes.
const JOB: &str = "deadlines";
/// Most incidents looked at in one transaction.
const STEP: usize = 100;

/// True when time brings something to an incident; asked by readers, so that a quiet hour takes nobody's turn to write.
pub fn is_any_due(tx: &Tx<'_>, now: Timestamp) -> Stored<bool> {
    tx.value("SELECT EXISTS (SELECT 1 FROM incident WHERE next_at <= ?1)", params![now])
}

/// Looks at those that are due; what was told, and true when there may be more.
pub fn look(tx: &Tx<'_>, procedure: &Procedure, now: Timestamp) -> Stored<(Vec<Announcement>, bool)> {
    let rows = tx.rows("SELECT id FROM incident WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2", params![now, STEP])?;
    let mut announced = Vec::new();
    for row in &rows {
        let id: IncidentId = key(row, "id", |text| text.parse().ok())?;
        if let Some(incident) = incidents::load(tx, id)? {
            announced.extend(look_at(tx, procedure, incident, now)?);
        }
    }
    Ok((announced, rows.len() == STEP))
}

fn look_at(tx: &Tx<'_>, procedure: &Procedure, mut incident: Incident, now: Timestamp) -> Stored<Option<Announcement>> {
    let due = incident.course().due(now, procedure.calendar());
    incident.clocks = due.clocks;
    for (clock, milestone) in due.milestones {
        tell(tx, &mut incident, (clock, milestone), now)?;
    }
    let command = match due.resumes {
        true => Some(Command::Resume),
        false => incident.evaluate_at().filter(|at| *at <= now).map(|_| Command::Evaluate),
    };
    let moved = match command {
        Some(command) => move_on(tx, procedure, &mut incident, (command, now))?,
        None => None,
    };
    incidents::update(tx, &incident, procedure.calendar())?;
    Ok(moved)
}

fn tell(
    tx: &Tx<'_>,
    incident: &mut Incident,
    (clock, milestone): (ClockName, Milestone),
    now: Timestamp,
) -> Stored<()> {
    let (action, level) = match milestone {
        Milestone::Remind => ("remind", None),
        Milestone::Overdue => {
            incident.supervised = true;
            ("overdue", None)
        }
        Milestone::Escalate(n_levels) => {
            incident.n_escalated = incident.n_escalated.max(u32::from(n_levels));
            ("escalate", Some(n_levels.to_string()))
        }
    };
    incident.updated_at = now;
    let mut fields = BTreeMap::from([("clock", clock.as_str().to_owned())]);
    fields.extend(level.map(|level| ("level", level)));
    let fields = to_json("fields", &fields)?;
    changes::append(
        tx,
        NewChange {
            incident: incident.id,
            version: incident.version,
            at: now,
            actor: ("job", JOB),
            action,
            from: Some(incident.state),
            to: incident.state,
            reason: None,
            comment: None,
            fields: Some(&fields),
        },
    )
}

/// What a job does of its own: whatever the workflow refuses it stays as it is.
fn move_on(
    tx: &Tx<'_>,
    procedure: &Procedure,
    incident: &mut Incident,
    (command, now): (Command, Timestamp),
) -> Stored<Option<Announcement>> {
    let (deadline, fields) = (procedure.deadline(incident), BTreeMap::new());
    let actor = Actor { kind: Kind::Job, name: JOB, roles: &[] };
    let input = Input { command, reason: None, fields: &fields, now };
    let from = incident.state;
    match advance(&incident.course(), procedure.terms(&deadline, incident), actor, input) {
        Ok(step) => {
            incident.follow(step.course, now);
            let (version, to) = (incident.version, incident.state);
            let (reason, comment, fields) = (None, None, None);
            let (actor, action, from) = (("job", JOB), command.as_str(), Some(from));
            let change =
                NewChange { incident: incident.id, version, at: now, actor, action, from, to, reason, comment, fields };
            changes::append(tx, change)?;
            Ok(Some(Announcement::new(incident)))
        }
        Err(refused) => {
            tracing::warn!(incident = %incident.id, command = command.as_str(), %refused, "job refused");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
