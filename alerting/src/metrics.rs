//! All metrics of alerting, their names and help.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::store::apply::Effects;

/// The metrics; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// New events by type.
    pub events: IntCounterVec,
    /// Events that came again.
    pub repeated: IntCounter,
    /// Events that came too late for the rules.
    pub late: IntCounter,
    /// Refused messages.
    pub refused: IntCounter,
    /// Refused events of workers that had lost their camera.
    pub stale: IntCounter,
    /// How long a batch takes, from reading to commit.
    pub batch_seconds: Histogram,
    /// Firings by rule.
    pub firings: IntCounterVec,
    /// Readings of the rules' file that brought news, by outcome.
    pub rule_reloads: IntCounterVec,
    /// What is wrong in the rules' file now.
    pub rule_mistakes: IntGauge,
    /// Incidents opened, by category.
    pub incidents: IntCounterVec,
    /// Commands by outcome.
    pub commands: IntCounterVec,
    /// Clients of the live stream.
    pub stream_clients: IntGauge,
    /// Failed transactions.
    pub store_errors: IntCounter,
    /// The next position by log.
    pub position: IntGaugeVec,
    /// 1 while the source is there.
    pub source_up: IntGauge,
    /// Messages sent to Kafka.
    pub published: IntCounter,
    /// Notifications by channel and outcome.
    pub notifications: IntCounterVec,
    /// Requests that could not be decided, and were denied.
    pub access_alarms: IntCounter,
    /// Requests of accounts and tokens that asked too often.
    pub throttled: IntCounter,
    /// Discarded by raised, by category, rule or device.
    pub nuisance: GaugeVec,
}

impl Metrics {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let counters = |name: &str, help: &str, label: &str| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
        let batch_seconds = Histogram::with_opts(
            HistogramOpts::new("xueliang_batch_seconds", "Time to take in one batch of events").buckets(buckets),
        )?;
        registry.register(Box::new(batch_seconds.clone()))?;
        let notifications = IntCounterVec::new(
            Opts::new("xueliang_notifications_total", "Attempts to notify by channel and outcome"),
            &["channel", "outcome"],
        )?;
        registry.register(Box::new(notifications.clone()))?;
        let position = IntGaugeVec::new(Opts::new("xueliang_log_position", "Next position by log"), &["log"])?;
        registry.register(Box::new(position.clone()))?;
        let nuisance = GaugeVec::new(
            Opts::new(
                "xueliang_nuisance_ratio",
                "Incidents of the last 30 days that a person discarded, by all that were raised; the 50 worst of each kind",
            ),
            &["by", "key"],
        )?;
        registry.register(Box::new(nuisance.clone()))?;
        Ok(Self {
            nuisance,
            events: counters("xueliang_consumed_events_total", "New events taken in", "type")?,
            repeated: counter("xueliang_repeated_events_total", "Events that were delivered again")?,
            late: counter("xueliang_late_events_total", "Events that came too late for the rules")?,
            refused: counter("xueliang_refused_events_total", "Messages that are no valid events")?,
            stale: counter(
                "xueliang_stale_owner_events_total",
                "Refused events of workers that had lost their camera to another one",
            )?,
            batch_seconds,
            firings: counters("xueliang_rule_firings_total", "Firings by rule", "rule")?,
            rule_reloads: counters(
                "xueliang_rule_reloads_total",
                "Changes of the rules' file by outcome: applied or refused",
                "outcome",
            )?,
            rule_mistakes: gauge(
                "xueliang_rule_mistakes",
                "Mistakes in the rules' file; while not 0 the old rules go on",
            )?,
            incidents: counters("xueliang_incidents_opened_total", "Incidents opened", "category")?,
            commands: counters("xueliang_incident_commands_total", "Commands by outcome", "outcome")?,
            stream_clients: gauge("xueliang_stream_clients", "Clients of the live stream")?,
            store_errors: counter("xueliang_store_errors_total", "Transactions that failed")?,
            position,
            source_up: gauge("xueliang_source_up", "1 while the event source is there")?,
            published: counter("xueliang_published_messages_total", "Messages sent to Kafka")?,
            notifications,
            throttled: counter(
                "xueliang_throttled_requests_total",
                "Requests of accounts and tokens that asked too often",
            )?,
            access_alarms: counter(
                "xueliang_access_alarms_total",
                "Requests that the access policies could not decide, and that were denied",
            )?,
        })
    }

    /// Counts what a batch or a tick brought.
    pub fn count(&self, effects: &Effects) {
        for (wire_type, n_new) in &effects.n_new {
            self.events.with_label_values(&[wire_type]).inc_by(*n_new);
        }
        self.repeated.inc_by(effects.n_repeated);
        self.late.inc_by(effects.n_late);
        self.refused.inc_by(effects.n_refused);
        self.stale.inc_by(effects.n_stale);
        for rule in &effects.fired {
            self.firings.with_label_values(&[rule.as_str()]).inc();
        }
        for category in effects.categories() {
            self.incidents.with_label_values(&[category.as_str()]).inc();
        }
    }
}
