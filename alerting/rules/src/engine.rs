//! Evaluates the rules over one device's events, in event time.
//!
//! "For T" is proved by later events of the same device, or by [`Engine::advance`] while the device is current: its newest
//! event is at most [`CURRENT_WITHIN`] old. A longer silence proves nothing, so a condition that was still rising starts
//! again after it. A camera that does not deliver silences its own picture rules.
//!
//! What is remembered belongs to one version of a rule. Under a higher one it begins anew, for it means something else; without
//! the rule it goes. Papers and devices may change under a version, and what is remembered goes on.

use std::time::Duration;

use jiff::Timestamp;
use xueliang_events::{DeviceId, Event, Payload, Source};

use crate::{
    condition::{Complete, Condition, Evidence, Last, Timing, later},
    evidence::{Bearing, read, zone::shown},
    firing::{Firing, FiringId, Measure, Support},
    memory::Memory,
    order::Noted,
    read::RuleSet,
    rule::{Kind, Place, Rule},
    silence::Silence,
};

/// How long a device's last word counts as the present; heartbeats must come more often than this.
pub const CURRENT_WITHIN: Duration = Duration::from_secs(30);

/// The same for what is said of a sensor, whose state is repeated every five minutes.
const SENSOR_CURRENT_WITHIN: Duration = Duration::from_secs(660);

/// How far a tick stays behind the clock, so that an event on its way is not overtaken.
pub const SETTLE: Duration = Duration::from_millis(250);

/// The rules, ready to be evaluated.
#[derive(Debug, Clone)]
pub struct Engine {
    rules: RuleSet,
}

/// What one event brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// What fired.
    pub firings: Vec<Firing>,
    /// Earlier firings that the event belongs to.
    pub supports: Vec<Support>,
    /// Repeated or overtaken: nothing changed.
    pub late: bool,
}

/// When a tick may find something without another event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Not before this.
    pub at: Timestamp,
    /// Nor after this: the device is not current then.
    pub until: Timestamp,
}

impl Engine {
    /// An engine for these rules.
    pub fn new(rules: RuleSet) -> Self {
        Self { rules }
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Takes in one event of the device that `memory` belongs to.
    pub fn observe(&self, memory: &mut Memory, event: &Event) -> Observed {
        let Some(device) = event.source.device() else { return Observed::default() };
        if memory.has_passed(event) {
            return Observed { late: true, ..Observed::default() };
        }
        self.settle(memory, &device);
        let mut observed = Observed::default();
        let heard_before = memory.newest.map(|newest| newest.time);
        let Noted { session_changed, .. } = memory.note(event);
        if let Payload::DeviceStatus(status) = &event.payload {
            memory.delivers = Some(status.state.delivers());
        }
        for rule in self.rules.of(&device).filter(|rule| fits(rule, event)) {
            match memory.conditions.get(&rule.id) {
                Some(known) if known.is_after(rule.version) => continue,
                None if !is_about(rule, event) => continue,
                _ => {}
            }
            let known = memory.conditions.remove_entry(&rule.id);
            let (id, mut condition) = known.map_or_else(Default::default, |(id, known)| (Some(id), known));
            condition.version = None;
            let rules = &self.rules;
            let mut step = Step { rule, rules, memory, device: &device, observed: &mut observed };
            if session_changed && rule.kind.needs_pictures() {
                step.leave_session(&mut condition);
            }
            step.take(&mut condition, event, heard_before);
            if condition != Condition::default() {
                condition.version = Some(rule.version);
                memory.conditions.insert(id.unwrap_or_else(|| rule.id.clone()), condition);
            }
        }
        observed
    }

    /// Lets time pass until `now` without an event.
    pub fn advance(&self, memory: &mut Memory, device: &DeviceId, now: Timestamp) -> Vec<Firing> {
        let Some(newest) = memory.newest else { return Vec::new() };
        self.settle(memory, device);
        let until = now.checked_sub(SETTLE).unwrap_or(Timestamp::MIN);
        let mut observed = Observed::default();
        for rule in self.rules.of(device) {
            let silenced = rule.kind.needs_pictures() && memory.delivers == Some(false);
            let Some(mut condition) = memory.conditions.remove(&rule.id) else { continue };
            if !silenced && !condition.is_after(rule.version) && now <= current_until(rule, &condition, newest.time) {
                let rules = &self.rules;
                Step { rule, rules, memory, device, observed: &mut observed }.pass(&mut condition, until);
            }
            memory.conditions.insert(rule.id.clone(), condition);
        }
        observed.firings
    }

    /// Forgets what belongs to rules that don't look at the device any more, and to earlier versions of those that do; true when
    /// there was something. What a later version remembers is left to those who have it.
    pub fn settle(&self, memory: &mut Memory, device: &DeviceId) -> bool {
        memory.forget(|id, condition| {
            let rule = self.rules.of(device).find(|rule| rule.id == *id);
            rule.is_none_or(|rule| condition.is_before(rule.version))
        })
    }

    /// When [`Engine::advance`] may find something; `None` when only an event can.
    pub fn due(&self, memory: &Memory, device: &DeviceId) -> Option<Due> {
        let newest = memory.newest?;
        let rising = self.rules.of(device).filter_map(|rule| {
            let condition = memory.conditions.get(&rule.id)?;
            if condition.is_before(rule.version) || condition.is_after(rule.version) {
                return None;
            }
            let at = later(condition.completes_at(timing(rule))?, SETTLE);
            let until = current_until(rule, condition, newest.time);
            (at <= until).then_some((at, until))
        });
        rising.reduce(|(at, until), next| (at.min(next.0), until.max(next.1))).map(|(at, until)| Due { at, until })
    }
}

/// One rule meets one event.
struct Step<'s> {
    rule: &'s Rule,
    rules: &'s RuleSet,
    memory: &'s mut Memory,
    device: &'s DeviceId,
    observed: &'s mut Observed,
}

impl Step<'_> {
    /// Tracks say nothing more; how many are inside stays true.
    fn leave_session(&self, condition: &mut Condition) {
        if !matches!(self.rule.kind, Kind::Balance { .. }) {
            condition.forget_tracks();
        }
    }

    fn take(&mut self, condition: &mut Condition, event: &Event, heard_before: Option<Timestamp>) {
        if heard_before.is_some_and(|heard| event.time > current_until(self.rule, condition, heard)) {
            condition.give_up_rising();
        }
        self.pass(condition, event.time);
        if self.rule.kind.needs_pictures() && self.memory.delivers == Some(false) {
            condition.give_up_rising();
            return;
        }
        let was_raised = condition.is_raised();
        let bearing = read(self.rule, condition, event, &self.memory.spots);
        self.set_day(condition, event.time);
        match bearing.and_then(|bearing| self.as_scheduled(bearing, event.time, heard_before)) {
            Some(Bearing::Level(evidence)) => {
                match condition.apply(evidence, timing(self.rule)) {
                    Some(complete) => self.fire(condition, complete),
                    None if evidence.holds && evidence.tells && was_raised => self.support(condition, event),
                    None if evidence.holds && evidence.tells => condition.remember(event.id()),
                    None => {}
                }
                if let (true, true, Payload::ZoneDwelled(dwelled)) =
                    (condition.is_raised(), evidence.holds, &event.payload)
                {
                    self.memory.spots.has_fired(self.rule, shown(dwelled));
                }
            }
            Some(Bearing::Pulse) => match condition.pulse(event.time, event.id(), timing(self.rule)) {
                Some(complete) => self.fire(condition, complete),
                None => self.support(condition, event),
            },
            None => {}
        }
    }

    /// Lets time go by; what would complete while the rule is not in force, or on another day of a balance, comes to nothing.
    fn pass(&mut self, condition: &mut Condition, until: Timestamp) {
        let timing = timing(self.rule);
        if condition.completes_at(timing).is_some_and(|at| !self.is_in_force(at) || self.is_another_day(condition, at))
        {
            condition.give_up_rising();
        }
        if let Some(complete) = condition.pass(until, timing) {
            self.fire(condition, complete);
        }
        if self.is_another_day(condition, until) {
            condition.count_anew();
        }
    }

    /// A balance is counted on the day of its first crossing.
    fn set_day(&self, condition: &mut Condition, at: Timestamp) {
        if let Kind::Balance { reset_at, .. } = self.rule.kind
            && condition.day.is_none()
            && condition.count > 0
        {
            condition.day = Some(self.rules.calendar().day_of(at, reset_at));
        }
    }

    fn is_another_day(&self, condition: &Condition, at: Timestamp) -> bool {
        let (Kind::Balance { reset_at, .. }, Some(day)) = (&self.rule.kind, condition.day) else { return false };
        self.rules.calendar().day_of(at, *reset_at) > day
    }

    /// While the rule is not in force no situation holds, and what began before it came into force begins with it.
    fn as_scheduled(&self, bearing: Bearing, at: Timestamp, heard_before: Option<Timestamp>) -> Option<Bearing> {
        let was_in_force = heard_before.is_none_or(|heard| self.is_in_force(heard));
        match bearing {
            Bearing::Level(evidence) if !self.is_in_force(at) => {
                Some(Bearing::Level(Evidence { holds: false, clears: true, ..evidence }))
            }
            Bearing::Level(evidence) if !(was_in_force && self.is_in_force(evidence.since)) => {
                Some(Bearing::Level(Evidence { since: at, ..evidence }))
            }
            Bearing::Pulse if !self.is_in_force(at) => None,
            bearing => Some(bearing),
        }
    }

    fn is_in_force(&self, at: Timestamp) -> bool {
        let grid = self.memory.grid.as_ref();
        let is_silenced = |silence: &Silence| silence.covers(self.rule, self.device, grid, at);
        self.rule.schedule.is_in_force(at, self.rules.calendar()) && !self.rules.silences().iter().any(is_silenced)
    }

    fn fire(&mut self, condition: &mut Condition, complete: Complete) {
        let Complete { at, since, began_with } = complete;
        let id = FiringId::derive(self.rule, self.device, began_with);
        condition.last = Some(Last { firing: id, at });
        let mut values = condition.values.clone();
        if timing(self.rule).hold > Duration::ZERO {
            let held_s = at.duration_since(since).as_secs_f64();
            values.push(Measure { name: "held".to_owned(), value: held_s, unit: Some("s".to_owned()) });
        }
        let mut events = std::mem::take(&mut condition.recent);
        if !events.contains(&began_with) {
            events.insert(0, began_with);
        }
        self.observed.firings.push(Firing {
            id,
            rule: self.rule.id.clone(),
            version: self.rule.version,
            category: self.rule.category,
            urgency: self.rule.urgency,
            device: self.device.clone(),
            place: self.rule.place.clone(),
            grid: self.memory.grid.clone(),
            at,
            started_at: since,
            values,
            events,
            snapshot: condition.snapshot.take(),
        });
    }

    fn support(&mut self, condition: &Condition, event: &Event) {
        if let Some(last) = condition.last {
            self.observed.supports.push(Support { firing: last.firing, event: event.id() });
        }
    }
}

fn fits(rule: &Rule, event: &Event) -> bool {
    match event.source {
        Source::Camera(_) => !rule.kind.needs_sensor(),
        Source::Sensor(_) => rule.kind.needs_sensor(),
        _ => false,
    }
}

/// Whether the event tells of the rule's place; another one only lets time pass under what the rule remembers.
fn is_about(rule: &Rule, event: &Event) -> bool {
    match (&rule.place, &event.payload) {
        (Place::Zone(zone), Payload::ZoneEntered(entered)) => *zone == entered.zone,
        (Place::Zone(zone), Payload::ZoneExited(exited)) => *zone == exited.zone,
        (Place::Zone(zone), Payload::ZoneOccupancy(seen)) => *zone == seen.zone,
        (Place::Zone(zone), Payload::ZoneDwelled(dwelled)) => *zone == dwelled.zone,
        (Place::Line(line), Payload::LineCrossed(crossed)) => *line == crossed.line,
        (Place::Device, Payload::DeviceStatus(_) | Payload::SensorReading(_)) => true,
        _ => false,
    }
}

/// Dwell is measured by ingest on the track itself, so its condition is complete with the event that says so.
fn timing(rule: &Rule) -> Timing {
    let cool_down = rule.cool_down;
    let (hold, clear_for) = match &rule.kind {
        Kind::Presence { hold, clear_for }
        | Kind::Occupancy { hold, clear_for, .. }
        | Kind::Balance { hold, clear_for, .. }
        | Kind::Threshold { hold, clear_for, .. }
        | Kind::NoData { hold, clear_for }
        | Kind::Picture { hold, clear_for, .. }
        | Kind::Status { hold, clear_for } => (*hold, *clear_for),
        Kind::Dwell { clear_for, .. } | Kind::Repeated { clear_for, .. } => (Duration::ZERO, *clear_for),
        Kind::Line { .. } => (Duration::ZERO, Duration::ZERO),
    };
    Timing { hold, clear_for, cool_down }
}

/// Until when the last word holds: a sensor's reading for as long as its rule says, another word until the next heartbeat.
fn current_until(rule: &Rule, condition: &Condition, heard_at: Timestamp) -> Timestamp {
    match &rule.kind {
        Kind::Threshold { max_gap, .. } => later(condition.read_at.unwrap_or(heard_at), *max_gap),
        Kind::Repeated { within, .. } => later(heard_at, *within),
        Kind::NoData { .. } => later(heard_at, SENSOR_CURRENT_WITHIN),
        _ => later(heard_at, CURRENT_WITHIN),
    }
}
