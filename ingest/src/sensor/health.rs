//! How one sensor is, from what it sent: connecting until it speaks, live, degraded while readings are refused, stalled when it is
//! silent. Silence is measured by a clock that nobody sets. Pure: the time is a parameter.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use xueliang_events::payload::{DeviceState, DeviceStatus};

/// How often an unchanged state is repeated.
const HEARTBEAT: Duration = Duration::from_secs(300);
/// Faults among the last [`HISTORY`] messages that make a sensor degraded.
const DEGRADED_AT: u32 = 3;
/// Messages that are looked at.
const HISTORY: u32 = 16;
/// Messages without a fault that make it live again.
const LIVE_AFTER: u32 = 8;

/// One moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the clock that people set.
    pub time: Timestamp,
    /// By the one that only runs.
    pub instant: Instant,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self { time: Timestamp::now(), instant: Instant::now() }
    }
}

/// What is known of one sensor.
#[derive(Debug, Clone)]
pub struct SensorHealth {
    silent_after: Duration,
    heard_at: Instant,
    has_spoken: bool,
    /// One bit per message, the newest lowest; 1 is a fault.
    faults: u16,
    is_degraded: bool,
    cause: String,
    said: Option<(DeviceState, Option<String>)>,
    since: Timestamp,
    said_at: Instant,
}

impl SensorHealth {
    /// A sensor that has not spoken yet.
    pub fn new(silent_after: Duration, now: Moment) -> Self {
        Self {
            silent_after,
            heard_at: now.instant,
            has_spoken: false,
            faults: 0,
            is_degraded: false,
            cause: String::new(),
            said: None,
            since: now.time,
            said_at: now.instant,
        }
    }

    /// It sent something that speaks for a time `age` ago, which may be long; `fault` says what is wrong with it.
    pub fn heard(&mut self, now: Moment, age: Duration, fault: Option<String>) {
        // What is older than the machine's own clock runs can't end a silence.
        let at = now.instant.checked_sub(age).unwrap_or(self.heard_at);
        (self.heard_at, self.has_spoken) = (self.heard_at.max(at), true);
        self.faults = self.faults << 1 | u16::from(fault.is_some());
        if let Some(fault) = fault {
            self.cause = fault;
        }
        let recent = self.faults & ((1 << LIVE_AFTER) - 1);
        self.is_degraded = self.faults.count_ones() >= DEGRADED_AT || self.is_degraded && recent != 0;
        if recent == 0 {
            self.is_degraded = false;
            self.faults = 0;
        }
    }

    /// The state to be said now: when it changed, or as a heartbeat. `way` is what is wrong with the way from the sensor.
    pub fn status(&mut self, now: Moment, way: Option<&str>) -> Option<DeviceStatus> {
        let (state, cause) = self.state(now.instant, way);
        let unchanged = self.said.as_ref().is_some_and(|said| *said == (state, cause.clone()));
        if unchanged && now.instant.saturating_duration_since(self.said_at) < HEARTBEAT {
            return None;
        }
        if self.said.as_ref().is_none_or(|(said, _)| *said != state) {
            self.since = now.time;
        }
        self.said = Some((state, cause.clone()));
        self.said_at = now.instant;
        Some(DeviceStatus { cause, heartbeat: unchanged, ..DeviceStatus::new(state, self.since) })
    }

    /// The state said last.
    pub fn said(&self) -> Option<DeviceState> {
        self.said.as_ref().map(|(state, _)| *state)
    }

    fn state(&self, now: Instant, way: Option<&str>) -> (DeviceState, Option<String>) {
        if now.saturating_duration_since(self.heard_at) >= self.silent_after {
            let cause = way.map_or_else(|| self.silence(), |way| format!("nothing can come: {way}"));
            return (DeviceState::Stalled, Some(clip(&cause)));
        }
        match (self.has_spoken, self.is_degraded) {
            (false, _) => (DeviceState::Connecting, None),
            (true, true) => (DeviceState::Degraded, Some(clip(&self.cause))),
            (true, false) => (DeviceState::Live, None),
        }
    }

    fn silence(&self) -> String {
        let seconds = self.silent_after.as_secs();
        format!("nothing new came for {seconds} s; check the sensor's power, battery and network, or silent_after")
    }
}

fn clip(cause: &str) -> String {
    cause.chars().take(240).collect()
}

const _: () = assert!(HISTORY == u16::BITS && LIVE_AFTER < HISTORY);

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: u64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second as i64).unwrap()
    }

    fn at(second: u64) -> Moment {
        static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        Moment { time: time(second), instant: *BEGAN.get_or_init(Instant::now) + Duration::from_secs(second) }
    }

    fn heard(sensor: &mut SensorHealth, second: u64, fault: Option<&str>) {
        sensor.heard(at(second), Duration::ZERO, fault.map(str::to_owned));
    }

    fn sensor() -> SensorHealth {
        SensorHealth::new(Duration::from_secs(60), at(0))
    }

    fn state(sensor: &mut SensorHealth, second: u64) -> Option<DeviceState> {
        sensor.status(at(second), None).filter(|status| !status.heartbeat).map(|status| status.state)
    }

    #[test]
    fn a_silent_sensor_is_stalled_and_live_again_when_it_speaks() {
        let mut sensor = sensor();
        assert_eq!(state(&mut sensor, 0), Some(DeviceState::Connecting));
        assert_eq!(state(&mut sensor, 59), None);
        let stalled = sensor.status(at(60), None).unwrap();
        assert_eq!((stalled.state, stalled.since), (DeviceState::Stalled, time(60)));
        assert!(stalled.cause.unwrap().contains("nothing new came for 60 s"));
        heard(&mut sensor, 70, None);
        assert_eq!(state(&mut sensor, 70), Some(DeviceState::Live));
        assert_eq!(state(&mut sensor, 130), Some(DeviceState::Stalled));
    }

    #[test]
    fn a_queue_of_old_readings_does_not_end_silence() {
        let mut sensor = sensor();
        assert_eq!(state(&mut sensor, 60), Some(DeviceState::Stalled));
        sensor.heard(at(60), Duration::from_secs(1000), None);
        assert_eq!(state(&mut sensor, 61), None);
        heard(&mut sensor, 61, None);
        assert_eq!(state(&mut sensor, 61), Some(DeviceState::Live));
    }

    #[test]
    fn a_step_of_this_machines_clock_is_neither_silence_nor_the_end_of_one() {
        let mut sensor = sensor();
        heard(&mut sensor, 0, None);
        assert_eq!(state(&mut sensor, 0), Some(DeviceState::Live));
        for (second, step) in [(10, 3600), (20, -3600)] {
            let now = at(second);
            let stepped = Moment { time: now.time + jiff::SignedDuration::from_secs(step), ..now };
            assert!(sensor.status(stepped, None).is_none(), "{step} s");
        }
        let back = Moment { time: time(0) - jiff::SignedDuration::from_hours(1), ..at(60) };
        assert_eq!(sensor.status(back, None).map(|status| status.state), Some(DeviceState::Stalled));
    }

    #[test]
    fn silence_blames_the_broker_when_it_is_away() {
        let stalled = sensor().status(at(60), Some("the broker is away")).unwrap();
        assert_eq!(stalled.cause.as_deref(), Some("nothing can come: the broker is away"));
    }

    #[test]
    fn faults_degrade_when_they_persist() {
        let mut sensor = sensor();
        for (n, expected) in [(1, Some(DeviceState::Live)), (2, None), (3, Some(DeviceState::Degraded))] {
            heard(&mut sensor, n, Some("out of range"));
            assert_eq!(state(&mut sensor, n), expected, "{n}");
        }
        for n in 4..11 {
            heard(&mut sensor, n, None);
            assert_eq!(state(&mut sensor, n), None, "{n}");
        }
        heard(&mut sensor, 11, None);
        assert_eq!(state(&mut sensor, 11), Some(DeviceState::Live));
    }

    #[test]
    fn an_unchanged_state_is_repeated_as_a_heartbeat() {
        let mut sensor = SensorHealth::new(Duration::from_secs(3600), at(0));
        sensor.status(at(0), None).unwrap();
        assert!(sensor.status(at(299), None).is_none());
        assert!(sensor.status(at(300), None).unwrap().heartbeat);
    }
}
