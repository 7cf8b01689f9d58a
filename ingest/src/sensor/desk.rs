//! The registry of sensors: whose message this is, what it reads, whether it counts, and how each sensor is.
//!
//! In: messages and pushed readings. Out: drafts for the outbox, each with its verdict. Time is a parameter, nothing is sent here,
//! so that `xueliang sensor probe` judges exactly as a worker does.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use xueliang_events::{
    SensorId, SessionId, Source,
    payload::{DeviceState, DeviceStatus, SensorReading, SensorRegistered},
};

use super::{
    checks::{Accepted, Arrival, Checks, Raw, Seen, Verdict},
    health::{Moment, SensorHealth},
    payload::Message,
    refusal::Refusal,
};
use crate::{
    outbox::{Draft, Remembered},
    settings::{IntakeSettings, SensorGroup, SensorShape},
};

/// Refusals of one sensor are logged at most so often.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// The desk that every reading passes.
pub struct Desk {
    session: SessionId,
    /// Sensors by broker and topic, for topics without a wildcard.
    by_topic: HashMap<(usize, String), Vec<SensorId>>,
    patterns: Vec<Pattern>,
    groups: Vec<Group>,
    sensors: Mutex<BTreeMap<SensorId, Sensor>>,
    strangers: Mutex<LogPause>,
    kept: Mutex<LogPause>,
    /// Readings of sensors that an open group has not found again yet.
    remembered: Mutex<HashMap<SensorId, Vec<Seen>>>,
}

/// What became of one reading.
#[derive(Debug)]
pub struct Taken {
    /// Whose it is, as far as is known.
    pub sensor: Option<SensorId>,
    /// What the sensor measures.
    pub shape: Option<Arc<SensorShape>>,
    /// Whether it counts.
    pub verdict: Verdict,
    /// The event that it makes.
    pub draft: Option<Draft>,
}

struct Pattern {
    broker: usize,
    sensor: SensorId,
    shape: Arc<SensorShape>,
}

struct Group {
    broker: Option<usize>,
    settings: SensorGroup,
    n_found: Mutex<usize>,
}

struct Sensor {
    shape: Arc<SensorShape>,
    names: BTreeMap<String, String>,
    position: Option<[f64; 2]>,
    broker: Option<usize>,
    checks: Checks,
    health: SensorHealth,
    pause: LogPause,
    is_registered: bool,
}

impl Desk {
    /// A desk for these sensors; `remembered` is what they sent before the restart.
    pub fn new(settings: &IntakeSettings, remembered: Remembered, now: Moment) -> Self {
        let mut desk = Self {
            session: SessionId::random(),
            by_topic: HashMap::new(),
            patterns: Vec::new(),
            groups: Vec::new(),
            sensors: Mutex::default(),
            strangers: Mutex::default(),
            kept: Mutex::default(),
            remembered: Mutex::new(remembered.seen),
        };
        for sensor in &settings.sensors {
            let broker = settings.broker_of(&sensor.shape);
            desk.add_route(&sensor.id, &sensor.shape, broker);
            let entry = desk.entry(&sensor.id, (&sensor.shape, broker), sensor.names.clone(), now);
            desk.sensors.lock().insert(sensor.id.clone(), Sensor { position: sensor.position, ..entry });
        }
        for group in &settings.groups {
            let broker = settings.broker_of(&group.shape);
            for id in &group.ids {
                let entry = desk.entry(id, (&group.shape, broker), group.names_of(id), now);
                desk.sensors.lock().insert(id.clone(), entry);
            }
            desk.groups.push(Group { broker, settings: group.clone(), n_found: Mutex::default() });
        }
        desk.find_again(&remembered.found, now);
        desk
    }

    /// The filters to subscribe to at a broker.
    pub fn filters(&self, broker: usize) -> Vec<String> {
        let topics = self.by_topic.keys().filter(|(of, _)| *of == broker).map(|(_, topic)| topic.clone());
        let patterns = self.patterns.iter().filter(|pattern| pattern.broker == broker).map(|pattern| &pattern.shape);
        let groups = self.groups.iter().filter(|group| group.broker == Some(broker)).map(|group| &group.settings.shape);
        let filters = patterns.chain(groups).filter_map(|shape| shape.way.as_ref());
        let mut all: Vec<String> = topics.chain(filters.map(|way| way.topic.filter().to_owned())).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Takes an MQTT message: one reading for each sensor that it is of.
    pub fn take_message(&self, (broker, topic): (usize, &str), payload: &[u8], arrival: Arrival) -> Vec<Taken> {
        let message = Message::parse(payload);
        let owners = self.owners(broker, topic, message.as_ref().ok());
        if owners.is_empty() {
            return vec![self.stranger(topic)];
        }
        let read = |shape: &SensorShape| match &message {
            Ok(message) => message.read(&shape.places, &shape.measure, shape.inverted),
            Err(refusal) => Err(refusal.clone()),
        };
        owners.into_iter().map(|(id, shape)| self.take(&id, shape.clone(), read(&shape), arrival)).collect()
    }

    /// Takes a reading whose sensor is named beside it; `read` makes the value with the sensor's shape.
    pub fn take_pushed(
        &self,
        id: &SensorId,
        read: impl FnOnce(&SensorShape) -> Result<Raw, Refusal>,
        arrival: Arrival,
    ) -> Taken {
        let shape = self.sensors.lock().get(id).map(|sensor| Arc::clone(&sensor.shape));
        match shape {
            Some(shape) => self.take(id, Arc::clone(&shape), read(&shape), arrival),
            None => self.stranger("HTTP push"),
        }
    }

    /// Entries for the registry that were not made yet, and every status to be said now. `way` tells what is wrong with a broker.
    pub fn announce(&self, now: Moment, way: impl Fn(usize) -> Option<String>) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for (id, sensor) in self.sensors.lock().iter_mut() {
            if !sensor.is_registered {
                sensor.is_registered = true;
                let payload = SensorRegistered { names: sensor.names.clone(), position: sensor.position }.into();
                let source = Source::Registry(id.clone().into());
                drafts.push(Draft {
                    source,
                    session: self.session,
                    grid: sensor.shape.grid.clone(),
                    time: now.time,
                    payload,
                });
            }
            let trouble = sensor.broker.and_then(&way);
            if let Some(status) = sensor.health.status(now, trouble.as_deref()) {
                drafts.push(self.status(id, sensor, now.time, status));
            }
        }
        drafts
    }

    /// That every sensor is switched off here.
    pub fn goodbye(&self, now: Timestamp) -> Vec<Draft> {
        let stopped = DeviceStatus::new(DeviceState::Stopped, now);
        let sensors = self.sensors.lock();
        sensors.iter().map(|(id, sensor)| self.status(id, sensor, now, stopped.clone())).collect()
    }

    /// How many sensors are in each state.
    pub fn n_by_state(&self) -> HashMap<DeviceState, usize> {
        let mut n_by_state = HashMap::new();
        for state in self.sensors.lock().values().filter_map(|sensor| sensor.health.said()) {
            *n_by_state.entry(state).or_default() += 1;
        }
        n_by_state
    }

    fn add_route(&mut self, id: &SensorId, shape: &Arc<SensorShape>, broker: Option<usize>) {
        let (Some(broker), Some(way)) = (broker, &shape.way) else { return };
        let filter = way.topic.filter();
        if filter.contains(['+', '#']) {
            self.patterns.push(Pattern { broker, sensor: id.clone(), shape: Arc::clone(shape) });
        } else {
            self.by_topic.entry((broker, filter.to_owned())).or_default().push(id.clone());
        }
    }

    fn entry(
        &self,
        id: &SensorId,
        (shape, broker): (&Arc<SensorShape>, Option<usize>),
        names: BTreeMap<String, String>,
        now: Moment,
    ) -> Sensor {
        let seen = self.remembered.lock().remove(id).unwrap_or_default();
        Sensor {
            shape: Arc::clone(shape),
            names,
            position: None,
            broker,
            checks: Checks::remembering(seen),
            health: SensorHealth::new(shape.silent_after, now),
            pause: LogPause::default(),
            is_registered: false,
        }
    }

    fn owners(&self, broker: usize, topic: &str, message: Option<&Message>) -> Vec<(SensorId, Arc<SensorShape>)> {
        let mut owners = Vec::new();
        if let Some(ids) = self.by_topic.get(&(broker, topic.to_owned())) {
            let sensors = self.sensors.lock();
            owners.extend(ids.iter().filter_map(|id| Some((id.clone(), Arc::clone(&sensors.get(id)?.shape)))));
        }
        let fits = |shape: &SensorShape| shape.way.as_ref().is_some_and(|way| way.topic.matches(topic).is_some());
        for pattern in self.patterns.iter().filter(|pattern| pattern.broker == broker && fits(&pattern.shape)) {
            owners.push((pattern.sensor.clone(), Arc::clone(&pattern.shape)));
        }
        for group in self.groups.iter().filter(|group| group.broker == Some(broker)) {
            let Some(id) = group.sensor(topic, message) else { continue };
            let is_known = owners.iter().any(|(known, _)| *known == id);
            if !is_known && (group.settings.ids.is_empty() || group.settings.ids.contains(&id)) {
                owners.push((id, Arc::clone(&group.settings.shape)));
            }
        }
        owners
    }

    fn take(&self, id: &SensorId, shape: Arc<SensorShape>, read: Result<Raw, Refusal>, arrival: Arrival) -> Taken {
        let verdict = match self.find(id, &shape, Moment::now()) {
            Ok(()) => self.judge(id, read, arrival),
            Err(refusal) => Verdict::Refused(refusal),
        };
        let draft = match &verdict {
            Verdict::Accepted(accepted) => Some(self.reading(id, &shape, accepted)),
            Verdict::Repeated | Verdict::Refused(_) => None,
        };
        Taken { sensor: Some(id.clone()), shape: Some(shape), verdict, draft }
    }

    /// The filter of the open group that found a sensor of this shape, if one did.
    pub fn found_by(&self, shape: &Arc<SensorShape>) -> Option<&str> {
        let group = self.groups.iter().find(|group| group.is_open() && Arc::ptr_eq(&group.settings.shape, shape))?;
        group.filter()
    }

    /// Sensors that open groups found before the restart are missed when they stay silent now.
    fn find_again(&self, found: &HashMap<SensorId, String>, now: Moment) {
        for (id, filter) in found {
            let group = self.groups.iter().find(|group| group.is_open() && group.filter() == Some(filter));
            let is_known = self.sensors.lock().contains_key(id);
            if let Some(group) = group.filter(|_| !is_known)
                && self.find(id, &Arc::clone(&group.settings.shape), now).is_err()
            {
                tracing::warn!(sensor = %id, "a sensor that was found before has no room in its group now");
            }
        }
    }

    /// Makes sure that the sensor is known and is the one of this shape.
    fn find(&self, id: &SensorId, shape: &Arc<SensorShape>, now: Moment) -> Result<(), Refusal> {
        let mut sensors = self.sensors.lock();
        if let Some(sensor) = sensors.get(id) {
            return if Arc::ptr_eq(&sensor.shape, shape) { Ok(()) } else { Err(Refusal::UnknownSensor) };
        }
        let group = self.groups.iter().find(|group| Arc::ptr_eq(&group.settings.shape, shape));
        let group = group.ok_or(Refusal::UnknownSensor)?;
        let mut n_found = group.n_found.lock();
        if *n_found >= group.settings.max_sensors {
            return Err(Refusal::TooManySensors);
        }
        *n_found += 1;
        let entry = self.entry(id, (shape, group.broker), group.settings.names_of(id), now);
        sensors.insert(id.clone(), entry);
        Ok(())
    }

    fn judge(&self, id: &SensorId, read: Result<Raw, Refusal>, arrival: Arrival) -> Verdict {
        let mut sensors = self.sensors.lock();
        let Some(sensor) = sensors.get_mut(id) else { return Verdict::Refused(Refusal::UnknownSensor) };
        let verdict = match read {
            Ok(raw) => sensor.checks.judge(&sensor.shape.limits, raw, arrival),
            Err(refusal) => Verdict::Refused(refusal),
        };
        match &verdict {
            Verdict::Accepted(accepted) => {
                let age = arrival.at.duration_since(accepted.time);
                let age = if age.is_negative() { Duration::ZERO } else { age.unsigned_abs() };
                sensor.health.heard(Moment::now(), age, accepted.clock_error.map(clock_fault));
            }
            Verdict::Repeated => {}
            Verdict::Refused(refusal) => {
                if refusal.is_fault() && !arrival.retained {
                    sensor.health.heard(Moment::now(), Duration::ZERO, Some(refusal.to_string()));
                }
                // At each connection the broker shows all that it kept: one line is enough for that.
                let due =
                    if refusal.is_fault() { sensor.pause.due(arrival.at) } else { self.kept.lock().due(arrival.at) };
                if let Some(n_more) = due {
                    tracing::warn!(sensor = %id, reason = refusal.reason(), cause = %refusal, n_more, "reading refused");
                }
            }
        }
        verdict
    }

    fn stranger(&self, way: &str) -> Taken {
        let refusal = Refusal::UnknownSensor;
        if let Some(n_more) = self.strangers.lock().due(Timestamp::now()) {
            let way: String = way.chars().filter(|c| !c.is_control()).take(120).collect();
            tracing::warn!(way, cause = %refusal, n_more, "reading refused");
        }
        Taken { sensor: None, shape: None, verdict: Verdict::Refused(refusal), draft: None }
    }

    fn reading(&self, id: &SensorId, shape: &SensorShape, accepted: &Accepted) -> Draft {
        let reading = SensorReading {
            quantity: shape.measure.quantity.to_owned(),
            value: accepted.value,
            unit: shape.measure.unit.to_owned(),
            quality: accepted.quality,
        };
        Draft {
            source: Source::Sensor(id.clone()),
            session: self.session,
            grid: shape.grid.clone(),
            time: accepted.time,
            payload: reading.into(),
        }
    }

    fn status(&self, id: &SensorId, sensor: &Sensor, now: Timestamp, status: DeviceStatus) -> Draft {
        if !status.heartbeat {
            tracing::info!(sensor = %id, state = ?status.state, cause = status.cause.as_deref().unwrap_or("-"), "sensor status");
        }
        let source = Source::Sensor(id.clone());
        Draft { source, session: self.session, grid: sensor.shape.grid.clone(), time: now, payload: status.into() }
    }
}

impl Group {
    /// Whether it takes any sensor that speaks.
    fn is_open(&self) -> bool {
        self.settings.ids.is_empty()
    }

    fn filter(&self) -> Option<&str> {
        self.settings.shape.way.as_ref().map(|way| way.topic.filter())
    }

    /// Which sensor a message is from; `None` when it is none of this group's.
    fn sensor(&self, topic: &str, message: Option<&Message>) -> Option<SensorId> {
        let way = self.settings.shape.way.as_ref()?;
        let captured = way.topic.matches(topic)?;
        let id = match &way.id_at {
            Some(place) => message?.text(place)?,
            None => captured?.to_owned(),
        };
        id.parse().ok()
    }
}

fn clock_fault(error: jiff::SignedDuration) -> String {
    let side = if error.is_negative() { "behind" } else { "ahead" };
    let seconds = error.unsigned_abs().as_secs();
    format!("its clock is {seconds} s {side}, so the time of arrival is used; set its time server or time_at")
}

#[derive(Default)]
struct LogPause {
    logged_at: Option<Timestamp>,
    n_silent: u64,
}

impl LogPause {
    /// How many were left out since the last line, when one may be written again.
    fn due(&mut self, now: Timestamp) -> Option<u64> {
        let waits = self.logged_at.is_some_and(|at| now.duration_since(at).unsigned_abs() < LOG_PAUSE);
        if waits {
            self.n_silent += 1;
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.n_silent))
    }
}

#[cfg(test)]
mod tests;
