//! Who may take an edge, and what must be true of the incident then.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    command::{Command, Role, State},
    edge::{ClockEffect, edge},
};

/// How long after closing an incident may be reopened.
pub const REOPEN_WITHIN: Duration = Duration::from_secs(7 * 86_400);

/// What kind of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody signed in.
    Person,
    /// A rule that fired.
    Rule,
    /// A job of the software.
    Job,
}

/// Who gives a command, with the roles that hold for this incident.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its account or name.
    pub name: &'a str,
    /// Its roles in the incident's region.
    pub roles: &'a [Role],
}

/// What is known of the incident's course.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who reported it.
    pub reporter: Option<String>,
    /// The grid worker sent to look.
    pub checker: Option<String>,
    /// The department it was given to.
    pub department: Option<String>,
    /// Who handles it.
    pub handler: Option<String>,
    /// Who verifies it.
    pub verifier: Option<String>,
    /// How often a department gave it back in this attempt.
    pub n_returns: u32,
    /// True after the supervisor's binding decision.
    pub arbitrated: bool,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Until when it may wait.
    pub suspended_until: Option<Timestamp>,
}

/// A command with all that came with it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What to do.
    pub command: Command,
    /// Why, from the command's list.
    pub reason: Option<&'a str>,
    /// The command's fields.
    pub fields: &'a BTreeMap<String, String>,
    /// The time.
    pub now: Timestamp,
}

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The edge's number in RULES C.
    pub edge: u8,
    /// Where it led.
    pub to: State,
    /// What it does to the clocks.
    pub clock: ClockEffect,
    /// From when on it does so: now, or when the time an incident might wait ran out, however late it is resumed.
    pub clock_at: Timestamp,
    /// What is known afterwards.
    pub facts: Facts,
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCommand {
    /// No such edge.
    #[error("{} is not possible while the incident is {}", command.as_str(), state.as_str())]
    Unlisted {
        /// Where it stands.
        state: State,
        /// What was asked.
        command: Command,
    },
    /// Not this actor.
    #[error("this needs one of the roles {0}")]
    Role(String),
    /// Somebody who may not do both.
    #[error("{0}")]
    Separation(&'static str),
    /// Not now.
    #[error("{0}")]
    Condition(&'static str),
    /// A reason is missing or none of the list.
    #[error("a reason is needed, one of {0}")]
    Reason(String),
    /// A field is missing or can't be read.
    #[error("{1}")]
    Field(&'static str, &'static str),
}

/// Carries out a command, or says why not.
pub fn transition(
    state: State,
    facts: &Facts,
    actor: Actor<'_>,
    input: Input<'_>,
) -> Result<Transition, RefusedCommand> {
    let command = input.command;
    let edge = edge(state, command).ok_or(RefusedCommand::Unlisted { state, command })?;
    check_role(edge.roles, actor)?;
    check_facts(state, facts, actor, input)?;
    let reasons = command.reasons();
    if !reasons.is_empty() && !input.reason.is_some_and(|reason| reasons.contains(&reason)) {
        return Err(RefusedCommand::Reason(reasons.join(", ")));
    }
    for spec in command.fields().iter().filter(|spec| spec.required) {
        if input.fields.get(spec.name).is_none_or(|value| value.trim().is_empty()) {
            return Err(RefusedCommand::Field(spec.name, "is missing"));
        }
    }
    let after = facts_after(state, facts, actor, input)?;
    let clock = match edge.clock {
        ClockEffect::ResumeHandling if after.department != facts.department => ClockEffect::StartHandling,
        clock => clock,
    };
    let waited_until = facts.suspended_until.filter(|_| command == Command::Resume);
    let clock_at = waited_until.map_or(input.now, |until| until.min(input.now));
    Ok(Transition { edge: edge.number, to: edge.to, clock, clock_at, facts: after })
}

/// The commands that this actor may give now, apart from what must be written into them.
pub fn allowed(state: State, facts: &Facts, actor: Actor<'_>, now: Timestamp) -> Vec<(Command, State)> {
    let fields = BTreeMap::new();
    let possible = Command::ALL.iter().filter_map(|command| {
        let edge = edge(state, *command)?;
        let input = Input { command: *command, reason: None, fields: &fields, now };
        let may = check_role(edge.roles, actor).is_ok() && check_facts(state, facts, actor, input).is_ok();
        may.then_some((*command, edge.to))
    });
    possible.collect()
}

/// P32: whatever needs a person's role needs a person; jobs and rules carry none of those roles.
pub(super) fn check_role(roles: &[Role], actor: Actor<'_>) -> Result<(), RefusedCommand> {
    let holds = |role: &Role| match role {
        role if role.is_service() => actor.kind == Kind::Job,
        role => actor.kind == Kind::Person && actor.roles.contains(role),
    };
    if roles.iter().any(holds) {
        return Ok(());
    }
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    Err(RefusedCommand::Role(names.join(", ")))
}

fn check_facts(state: State, facts: &Facts, actor: Actor<'_>, input: Input<'_>) -> Result<(), RefusedCommand> {
    use RefusedCommand::{Condition, Separation};
    let is = |name: &Option<String>| name.as_deref() == Some(actor.name);
    match input.command {
        Command::Dispatch | Command::Redispatch if is(&facts.reporter) => {
            Err(Separation("who reported an incident doesn't dispatch it"))
        }
        Command::Checked if !is(&facts.checker) => {
            Err(Separation("only the grid worker who was sent says what is there"))
        }
        Command::Feedback if !is(&facts.handler) => Err(Separation("only the named handler says that it is done")),
        Command::Close if is(&facts.reporter) => Err(Separation("who reported an incident doesn't close it")),
        Command::Close if is(&facts.handler) => Err(Separation("who handled an incident doesn't close it")),
        Command::Return if facts.arbitrated => Err(Condition("the supervisor's decision is binding")),
        Command::Redispatch if state == State::Returned && facts.n_returns >= 2 => {
            Err(Condition("it was returned twice: the supervisor decides"))
        }
        Command::Arbitrate if facts.n_returns < 2 => Err(Condition("only the second return goes to the supervisor")),
        Command::Resume if actor.kind == Kind::Job && facts.suspended_until.is_none_or(|until| input.now < until) => {
            Err(Condition("only a supervisor ends the wait before its time"))
        }
        Command::Reopen if !may_reopen(facts, input.now) => {
            Err(Condition("an incident is reopened within seven days of closing"))
        }
        Command::Evaluate if may_reopen(facts, input.now) => {
            Err(Condition("an incident is counted once it can't be reopened any more"))
        }
        _ => Ok(()),
    }
}

fn may_reopen(facts: &Facts, now: Timestamp) -> bool {
    let since_closing = facts.closed_at.map(|closed_at| now.duration_since(closed_at));
    since_closing.is_some_and(|since| since.is_negative() || since.unsigned_abs() <= REOPEN_WITHIN)
}

fn facts_after(state: State, before: &Facts, actor: Actor<'_>, input: Input<'_>) -> Result<Facts, RefusedCommand> {
    let mut facts = before.clone();
    let field = |name: &str| input.fields.get(name).map(|value| value.trim().to_owned());
    match input.command {
        Command::Report => facts.reporter = Some(actor.name.to_owned()),
        Command::Check => facts.checker = field("checker"),
        Command::Dispatch => facts.department = field("department"),
        Command::Redispatch => {
            facts.department = field("department");
            facts.arbitrated = state == State::Arbitration;
        }
        Command::Return => facts.n_returns += 1,
        Command::Handle => facts.handler = field("handler"),
        Command::Verify => {
            facts.verifier = field("verifier");
            if facts.verifier == facts.handler {
                return Err(RefusedCommand::Separation("who handled an incident doesn't verify it"));
            }
        }
        Command::Close => facts.closed_at = Some(input.now),
        Command::Suspend => {
            let until = field("until").and_then(|until| until.parse::<Timestamp>().ok());
            let Some(until) = until.filter(|until| *until > input.now) else {
                return Err(RefusedCommand::Field("until", "must be a time to come, such as 2027-01-31T00:00:00Z"));
            };
            facts.suspended_until = Some(until);
        }
        Command::Resume => facts.suspended_until = None,
        Command::Reopen => {
            let attempt = before.attempt + 1;
            facts = Facts { reporter: facts.reporter, attempt, ..Facts::default() };
        }
        _ => {}
    }
    Ok(facts)
}
