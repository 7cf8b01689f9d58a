//! Counters of sensors, brokers and HTTP push.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::{counter, counters, registered};

/// Counters of all sensors; cheap to clone.
#[derive(Clone)]
pub struct SensorMetrics {
    readings: IntCounterVec,
    refused: IntCounterVec,
    repeated: IntCounter,
    clock: IntCounter,
    sensors: IntGaugeVec,
    connected: IntGaugeVec,
    messages: IntCounterVec,
    disconnects: IntCounterVec,
    pushes: IntCounterVec,
}

impl SensorMetrics {
    /// Registers everything in `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name, help, label| counters(registry, name, help, &[label]);
        let gauges = |name: &str, help: &str, label: &str| {
            registered(registry, IntGaugeVec::new(Opts::new(name, help), &[label])?)
        };
        Ok(Self {
            readings: counters("xueliang_readings_total", "Sensor readings accepted.", "kind")?,
            refused: counters("xueliang_readings_refused_total", "Sensor readings refused, by the reason.", "reason")?,
            repeated: counter(
                registry,
                "xueliang_readings_repeated_total",
                "Sensor readings that came again: redelivered, retained or sent twice.",
            )?,
            clock: counter(
                registry,
                "xueliang_readings_clock_wrong_total",
                "Sensor readings accepted with the time of arrival because their own time can't be believed.",
            )?,
            sensors: gauges("xueliang_sensors", "Sensors by state.", "state")?,
            connected: gauges("xueliang_mqtt_connected", "1 while the broker is connected.", "broker")?,
            messages: counters("xueliang_mqtt_messages_total", "MQTT messages received.", "broker")?,
            disconnects: counters(
                "xueliang_mqtt_disconnects_total",
                "Connections to the broker that ended or could not be made.",
                "broker",
            )?,
            pushes: counters("xueliang_push_requests_total", "HTTP push requests by the status answered.", "status")?,
        })
    }

    pub(crate) fn accepted(&self, kind: &str) {
        self.readings.with_label_values(&[kind]).inc();
    }

    pub(crate) fn refused(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    pub(crate) fn repeated(&self) {
        self.repeated.inc();
    }

    pub(crate) fn clock_wrong(&self) {
        self.clock.inc();
    }

    pub(crate) fn sensors(&self, state: &str, n_sensors: usize) {
        self.sensors.with_label_values(&[state]).set(i64::try_from(n_sensors).unwrap_or(i64::MAX));
    }

    pub(crate) fn connected(&self, broker: &str, is_connected: bool) {
        self.connected.with_label_values(&[broker]).set(i64::from(is_connected));
    }

    pub(crate) fn message(&self, broker: &str) {
        self.messages.with_label_values(&[broker]).inc();
    }

    pub(crate) fn disconnected(&self, broker: &str) {
        self.disconnects.with_label_values(&[broker]).inc();
    }

    pub(crate) fn pushed(&self, status: u16) {
        self.pushes.with_label_values(&[status.to_string().as_str()]).inc();
    }
}
