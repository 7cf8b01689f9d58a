//! Recorded events through the rules at full speed: what would fire, and which incidents would come of it.
//!
//! In: events, each device's in the order in which it told them. Out: an [`Outcome`]. Time is event time only: before an
//! event is taken, its device passes every moment at which a live tick would find something, so what fires is what fires
//! live where events arrive within [`crate::SETTLE`]. Nobody closes incidents here, so one counts as open for a given time.
//! Not here: where events come from, and how an outcome is shown.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use xueliang_events::{DeviceId, Event, payload::Category};

use crate::{
    condition::later,
    engine::Engine,
    firing::{Firing, FiringId, Measure, Support},
    memory::Memory,
    rule::{Place, RuleId, Urgency},
};

mod compare;

pub use compare::{Comparison, RuleSides, Sides, compare};

/// Most firings, and most incidents, that an outcome holds one by one; all are counted.
pub const MAX_KEPT: usize = 200_000;

/// One run of recorded events through one set of rules.
#[derive(Debug)]
pub struct Replay {
    engine: Engine,
    open_for: Duration,
    devices: BTreeMap<DeviceId, Watched>,
    open: HashMap<(Category, DeviceId, Place), Open>,
    kept: HashMap<FiringId, Kept>,
    tally_of: HashMap<RuleId, usize>,
    outcome: Outcome,
}

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Events taken.
    pub n_events: u64,
    /// Those that the rules had passed already: repeated or overtaken.
    pub n_late: u64,
    /// Those of workers that had lost their camera, which live refuses.
    pub n_stale: u64,
    /// Devices that told something.
    pub n_devices: usize,
    /// The earliest event's time.
    pub first_at: Option<Timestamp>,
    /// The latest event's time.
    pub last_at: Option<Timestamp>,
    /// Each enabled rule's, in the order of the settings.
    pub tallies: Vec<Tally>,
    /// The first [`MAX_KEPT`] firings, by time.
    pub situations: Vec<Situation>,
    /// The first [`MAX_KEPT`] incidents, by time.
    pub incidents: Vec<Incident>,
}

/// What came of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: u32,
    /// Its category.
    pub category: Category,
    /// How often it fired.
    pub n_firings: u64,
    /// Incidents that it opened; its other firings joined one.
    pub n_incidents: u64,
    /// How often it fired on each device.
    pub by_device: BTreeMap<DeviceId, u64>,
    /// Its first firing.
    pub first_at: Option<Timestamp>,
    /// Its last firing.
    pub last_at: Option<Timestamp>,
}

/// One firing and how long its situation was heard of.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    /// The rule.
    pub rule: RuleId,
    /// The category.
    pub category: Category,
    /// The device.
    pub device: DeviceId,
    /// Where on the device.
    pub place: Place,
    /// When the condition began.
    pub started_at: Timestamp,
    /// When it had held long enough.
    pub at: Timestamp,
    /// The last event that belongs to it.
    pub last_at: Timestamp,
}

/// One incident that would have been opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The rule that opened it.
    pub rule: RuleId,
    /// The rule's version.
    pub version: u32,
    /// The category.
    pub category: Category,
    /// How urgent it is.
    pub urgency: Urgency,
    /// The device.
    pub device: DeviceId,
    /// Where on the device.
    pub place: Place,
    /// When the condition of its first firing began.
    pub started_at: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The last event that belongs to one of its firings.
    pub last_at: Timestamp,
    /// How many firings it holds.
    pub n_firings: u64,
    /// What made it fire.
    pub values: Vec<Measure>,
}

/// One device as the replay goes by.
#[derive(Debug, Default)]
struct Watched {
    memory: Memory,
    /// The newest owner's epoch, and since when.
    owner: Option<(u64, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    opened_at: Timestamp,
    incident: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    situation: usize,
    incident: Option<usize>,
}

impl Replay {
    /// A replay that has heard nothing; a firing joins an incident of its category, device and place for `open_for`.
    pub fn new(engine: Engine, open_for: Duration) -> Self {
        let enabled = engine.rules().iter().filter(|rule| rule.enabled);
        let tallies: Vec<Tally> = enabled
            .map(|rule| Tally {
                rule: rule.id.clone(),
                version: rule.version,
                category: rule.category,
                n_firings: 0,
                n_incidents: 0,
                by_device: BTreeMap::new(),
                first_at: None,
                last_at: None,
            })
            .collect();
        let tally_of = tallies.iter().enumerate().map(|(nth, tally)| (tally.rule.clone(), nth)).collect();
        Self {
            engine,
            open_for,
            devices: BTreeMap::new(),
            open: HashMap::new(),
            kept: HashMap::new(),
            tally_of,
            outcome: Outcome { tallies, ..Outcome::default() },
        }
    }

    /// Takes in the next event.
    pub fn take(&mut self, event: &Event) {
        self.outcome.n_events += 1;
        let Outcome { first_at, last_at, .. } = &mut self.outcome;
        *first_at = Some(first_at.map_or(event.time, |first_at| first_at.min(event.time)));
        *last_at = Some(last_at.map_or(event.time, |last_at| last_at.max(event.time)));
        let Some(device) = event.source.device() else { return };
        let mut watched = self.devices.remove(&device).unwrap_or_default();
        if watched.is_stale(event) {
            self.outcome.n_stale += 1;
        } else {
            let passed = pass(&self.engine, &mut watched.memory, &device, event.time);
            let observed = self.engine.observe(&mut watched.memory, event);
            self.outcome.n_late += u64::from(observed.late);
            passed.into_iter().chain(observed.firings).for_each(|firing| self.fire(firing));
            observed.supports.iter().for_each(|support| self.support(*support, event.time));
        }
        self.devices.insert(device, watched);
    }

    /// Lets time pass for every device; events before `until` must not come any more.
    pub fn pass(&mut self, until: Timestamp) {
        let mut devices = std::mem::take(&mut self.devices);
        for (device, watched) in &mut devices {
            let passed = pass(&self.engine, &mut watched.memory, device, until);
            passed.into_iter().for_each(|firing| self.fire(firing));
        }
        self.devices = devices;
    }

    /// What was found, when time has passed until the latest event: what would come after it is not known.
    pub fn finish(mut self) -> Outcome {
        if let Some(last_at) = self.outcome.last_at {
            self.pass(last_at);
        }
        let Outcome { situations, incidents, n_devices, .. } = &mut self.outcome;
        *n_devices = self.devices.len();
        situations.sort_by(|one, other| (one.at, &one.device, &one.rule).cmp(&(other.at, &other.device, &other.rule)));
        let by_time = |incident: &Incident| (incident.opened_at, incident.device.clone(), incident.rule.clone());
        incidents.sort_by_cached_key(by_time);
        self.outcome
    }

    fn fire(&mut self, firing: Firing) {
        if self.kept.contains_key(&firing.id) {
            return;
        }
        let key = (firing.category, firing.device.clone(), firing.place.clone());
        let joined = self.open.get(&key).filter(|open| firing.at <= later(open.opened_at, self.open_for)).copied();
        self.count(&firing, joined.is_none());
        let incident = match joined {
            Some(open) => {
                if let Some(incident) = open.incident.and_then(|nth| self.outcome.incidents.get_mut(nth)) {
                    incident.n_firings += 1;
                    incident.last_at = incident.last_at.max(firing.at);
                }
                open.incident
            }
            None => {
                let incident = self.keep_incident(&firing);
                self.open.insert(key, Open { opened_at: firing.at, incident });
                incident
            }
        };
        self.keep_situation(firing, incident);
    }

    fn count(&mut self, firing: &Firing, opens: bool) {
        let tally = self.tally_of.get(&firing.rule).and_then(|nth| self.outcome.tallies.get_mut(*nth));
        let Some(tally) = tally else { return };
        tally.n_firings += 1;
        tally.n_incidents += u64::from(opens);
        *tally.by_device.entry(firing.device.clone()).or_default() += 1;
        tally.first_at = Some(tally.first_at.map_or(firing.at, |first_at| first_at.min(firing.at)));
        tally.last_at = Some(tally.last_at.map_or(firing.at, |last_at| last_at.max(firing.at)));
    }

    fn keep_incident(&mut self, firing: &Firing) -> Option<usize> {
        let nth = self.outcome.incidents.len();
        if nth >= MAX_KEPT {
            return None;
        }
        self.outcome.incidents.push(Incident {
            rule: firing.rule.clone(),
            version: firing.version,
            category: firing.category,
            urgency: firing.urgency,
            device: firing.device.clone(),
            place: firing.place.clone(),
            started_at: firing.started_at,
            opened_at: firing.at,
            last_at: firing.at,
            n_firings: 1,
            values: firing.values.clone(),
        });
        Some(nth)
    }

    fn keep_situation(&mut self, firing: Firing, incident: Option<usize>) {
        let situation = self.outcome.situations.len();
        if situation >= MAX_KEPT {
            return;
        }
        self.kept.insert(firing.id, Kept { situation, incident });
        let Firing { rule, category, device, place, at, started_at, .. } = firing;
        self.outcome.situations.push(Situation { rule, category, device, place, started_at, at, last_at: at });
    }

    fn support(&mut self, support: Support, at: Timestamp) {
        let Some(Kept { situation, incident }) = self.kept.get(&support.firing).copied() else { return };
        if let Some(situation) = self.outcome.situations.get_mut(situation) {
            situation.last_at = situation.last_at.max(at);
        }
        if let Some(incident) = incident.and_then(|nth| self.outcome.incidents.get_mut(nth)) {
            incident.last_at = incident.last_at.max(at);
        }
    }
}

impl Outcome {
    /// Firings of all rules.
    pub fn n_firings(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.n_firings).sum()
    }

    /// Incidents of all rules.
    pub fn n_incidents(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.n_incidents).sum()
    }

    /// How long the recording is, in days of 24 hours.
    pub fn days(&self) -> f64 {
        let span = self.first_at.zip(self.last_at).map(|(first_at, last_at)| last_at.duration_since(first_at));
        span.map_or(0.0, |span| span.as_secs_f64() / 86_400.0)
    }
}

impl Tally {
    /// The device that it fired on most often; of several the first by id.
    pub fn busiest(&self) -> Option<(&DeviceId, u64)> {
        let most = self.by_device.values().max()?;
        self.by_device.iter().find(|(_, n)| *n == most).map(|(device, n)| (device, *n))
    }
}

impl Watched {
    /// True when a worker says it that had lost the device before; takes note of the owner.
    fn is_stale(&mut self, event: &Event) -> bool {
        let Some(epoch) = event.owner_epoch else { return false };
        match self.owner {
            Some((newest, since)) if epoch <= newest => epoch < newest && event.time >= since,
            _ => {
                self.owner = Some((epoch, event.time));
                false
            }
        }
    }
}

/// Visits every moment until `until` at which a tick may find something.
fn pass(engine: &Engine, memory: &mut Memory, device: &DeviceId, until: Timestamp) -> Vec<Firing> {
    let mut firings = Vec::new();
    let mut visited = None;
    while let Some(due) = engine.due(memory, device).filter(|due| due.at <= due.until && due.at <= until) {
        // A tick that left its moment due would leave it so for ever.
        if visited.is_some_and(|visited| due.at <= visited) {
            break;
        }
        firings.extend(engine.advance(memory, device, due.at));
        visited = Some(due.at);
    }
    firings
}
