//! A fleet for tests: everything is real but the detectors.

use std::{sync::Arc, time::Duration};

use jiff::civil::Date;
use prometheus::Registry;

use crate::{
    decode::DecoderPool,
    fleet::{Fleet, Parts},
    metrics::Metrics,
    outbox::{Outbox, Writer},
    scheduler::Scheduler,
    session::Deadlines,
    snapshots::SnapshotStore,
    status::StatusBoard,
};

/// A fleet with everything real but detectors.
pub struct Bed {
    pub folder: tempfile::TempDir,
    pub registry: Registry,
    pub fleet: Fleet,
    pub writer: Writer,
}

/// The day of the tests.
pub const TODAY: Date = jiff::civil::date(2026, 11, 27);

pub fn bed() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let path = folder.path().join("outbox.db");
    let (outbox, writer) = Outbox::open(&path, 1 << 30, metrics.clone(), Arc::default()).unwrap();
    let parts = Parts {
        admission: crate::backoff::Admission::default(),
        deadlines: Deadlines { connect: Duration::from_secs(1), stall: Duration::from_secs(1) },
        decoders: Arc::new(DecoderPool::start(1, 1, crate::decode::DecoderSettings::default(), &metrics).unwrap()),
        scheduler: Arc::new(Scheduler::start(Vec::new(), &metrics).unwrap()),
        outbox,
        snapshots: SnapshotStore::new(folder.path().join("snapshots"), 1 << 20, metrics.clone()),
        board: StatusBoard::default(),
        metrics,
    };
    Bed { folder, registry, fleet: Fleet::new(parts, TODAY), writer }
}
