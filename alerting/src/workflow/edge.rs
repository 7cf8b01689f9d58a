//! The table of edges (RULES C): from where, by what, to where, by whom, with what effect on the clocks.

use super::command::{Command, Role, State};

/// What an edge does to the deadline clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEffect {
    /// Nothing.
    None,
    /// Starts the accept clock.
    StartAccept,
    /// Pauses the accept clock and starts the one for checking.
    PauseAccept,
    /// Lets the accept clock go on.
    ResumeAccept,
    /// Stops the accept clock.
    StopAccept,
    /// Starts the handling clock afresh.
    StartHandling,
    /// Pauses the handling clock.
    PauseHandling,
    /// Lets the handling clock go on from where it stood. Where the edge names another department, the transition makes
    /// it [`ClockEffect::StartHandling`].
    ResumeHandling,
    /// Stops the handling clock.
    StopHandling,
}

/// One edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Its number in RULES C.
    pub number: u8,
    /// Where it goes.
    pub to: State,
    /// Who may take it.
    pub roles: &'static [Role],
    /// What it does to the clocks.
    pub clock: ClockEffect,
}

const fn to(number: u8, to: State, roles: &'static [Role], clock: ClockEffect) -> Option<Edge> {
    Some(Edge { number, to, roles, clock })
}

/// The edge that a command takes from a state; `None` when it is not listed.
///
/// Edges 1 (a rule fires) and 4 (reported by a grid worker or the hotline) come from nowhere: see [`super::enter`].
pub fn edge(state: State, command: Command) -> Option<Edge> {
    use ClockEffect as Clock;
    use Role::{DeptLiaison, Dispatcher, GridWorker, Job, Operator, Supervisor};
    match state {
        // → Discarded, Reported
        State::Suspected => match command {
            Command::Discard => to(2, State::Discarded, &[Operator], Clock::None),
            Command::Report => to(3, State::Reported, &[Operator], Clock::StartAccept),
            _ => None,
        },
        // → Checking, Void, Filed
        State::Reported => match command {
            Command::Check => to(5, State::Checking, &[Dispatcher], Clock::PauseAccept),
            Command::Void => to(6, State::Void, &[Dispatcher], Clock::StopAccept),
            Command::File => to(7, State::Filed, &[Dispatcher], Clock::StopAccept),
            _ => None,
        },
        // → Reported
        State::Checking => match command {
            Command::Checked => to(5, State::Reported, &[GridWorker], Clock::ResumeAccept),
            _ => None,
        },
        // → Dispatched
        State::Filed => match command {
            Command::Dispatch => to(8, State::Dispatched, &[Dispatcher], Clock::StartHandling),
            _ => None,
        },
        // → Returned, Handling
        State::Dispatched => match command {
            Command::Return => to(9, State::Returned, &[DeptLiaison], Clock::PauseHandling),
            Command::Handle => to(12, State::Handling, &[DeptLiaison], Clock::None),
            _ => None,
        },
        // → Dispatched, Arbitration
        State::Returned => match command {
            Command::Redispatch => to(10, State::Dispatched, &[Dispatcher], Clock::ResumeHandling),
            Command::Arbitrate => to(11, State::Arbitration, &[Dispatcher], Clock::None),
            _ => None,
        },
        // → Dispatched, binding
        State::Arbitration => match command {
            Command::Redispatch => to(11, State::Dispatched, &[Supervisor], Clock::ResumeHandling),
            _ => None,
        },
        // → Feedback, Suspended
        State::Handling => match command {
            Command::Feedback => to(13, State::Feedback, &[DeptLiaison], Clock::PauseHandling),
            Command::Suspend => to(18, State::Suspended, &[Supervisor], Clock::PauseHandling),
            _ => None,
        },
        // → Handling; a job, once the time it may wait has passed
        State::Suspended => match command {
            Command::Resume => to(18, State::Handling, &[Supervisor, Job], Clock::ResumeHandling),
            _ => None,
        },
        // → Handling, Verifying
        State::Feedback => match command {
            Command::Rework => to(14, State::Handling, &[DeptLiaison, Dispatcher], Clock::ResumeHandling),
            Command::Verify => to(15, State::Verifying, &[Dispatcher], Clock::StopHandling),
            _ => None,
        },
        // → Dispatched, and the clock goes on: bad work buys no time; → Closed
        State::Verifying => match command {
            Command::Reject => to(16, State::Dispatched, &[Supervisor], Clock::ResumeHandling),
            Command::Close => to(17, State::Closed, &[Supervisor], Clock::None),
            _ => None,
        },
        // → Reopened, Evaluated
        State::Closed => match command {
            Command::Reopen => to(19, State::Reopened, &[Supervisor], Clock::None),
            Command::Evaluate => to(20, State::Evaluated, &[Job], Clock::None),
            _ => None,
        },
        // → Dispatched
        State::Reopened => match command {
            Command::Redispatch => to(19, State::Dispatched, &[Supervisor], Clock::StartHandling),
            _ => None,
        },
        // the end
        State::Discarded | State::Void | State::Evaluated => None,
    }
}
