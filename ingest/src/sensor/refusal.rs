//! Why a reading was refused: a short word for metrics, a sentence with the cure for people.

use std::time::Duration;

/// Why a message became no reading.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No sensor of the settings has this topic or id.
    #[error("no sensor is set up for it; add a [[sensor]] or [[sensor_group]], or stop the device that sends it")]
    UnknownSensor,
    /// An open group has as many sensors as it may.
    #[error("its group has its most sensors already; raise max_sensors or list the ids")]
    TooManySensors,
    /// The payload is larger than any reading.
    #[error("the message has {n_bytes} bytes, more than a reading needs ({limit}); correct what the device sends")]
    TooLarge {
        /// Its size.
        n_bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The payload can't be read.
    #[error("the message can't be read: {cause}; correct value_at, time_at or what the device sends")]
    Unreadable {
        /// What is wrong; never the payload itself.
        cause: String,
    },
    /// The value can't be true.
    #[error("{value} {unit} is outside {low} to {high} {unit}; check the sensor, its unit, or range")]
    Range {
        /// The value.
        value: f64,
        /// Lowest believable value.
        low: f64,
        /// Highest believable value.
        high: f64,
        /// Unit of all three.
        unit: &'static str,
    },
    /// The value changed faster than it can.
    #[error(
        "it changed by {change} {unit}, more than the {allowed} {unit} that are possible in the time; check the sensor or max_change_per_minute"
    )]
    Change {
        /// The change.
        change: f64,
        /// The most that is possible.
        allowed: f64,
        /// Unit of both.
        unit: &'static str,
    },
    /// More readings than agreed.
    #[error("more than {per_minute} readings a minute; slow the device down or raise max_per_minute")]
    TooOften {
        /// The bound.
        per_minute: u32,
    },
    /// Measured long ago.
    #[error("it was measured {} s ago, more than max_age; check the device's clock and its connection", .age.as_secs())]
    Stale {
        /// How long ago.
        age: Duration,
    },
    /// Measured before everything that is remembered of the sensor.
    #[error(
        "it was measured before the last {n_remembered} readings of the sensor, so it may be a repetition; check the device's clock and queue"
    )]
    Late {
        /// How many are remembered.
        n_remembered: usize,
    },
    /// A retained message that does not say when it was measured.
    #[error(
        "it is a retained message without a time that can be believed, so its age is unknown; set time_at, or publish without retain"
    )]
    RetainedWithoutTime,
}

impl Refusal {
    /// The word in metrics and answers.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::UnknownSensor => "unknown_sensor",
            Refusal::TooManySensors => "too_many_sensors",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::Unreadable { .. } => "unreadable",
            Refusal::Range { .. } => "range",
            Refusal::Change { .. } => "change",
            Refusal::TooOften { .. } => "too_often",
            Refusal::Stale { .. } => "stale",
            Refusal::Late { .. } => "late",
            Refusal::RetainedWithoutTime => "retained_without_time",
        }
    }

    /// True when the sensor itself is at fault. A message that the broker merely kept says nothing of it.
    pub fn is_fault(&self) -> bool {
        !matches!(self, Refusal::RetainedWithoutTime)
    }
}
