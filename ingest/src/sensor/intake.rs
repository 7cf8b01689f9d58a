//! Where readings go: counted, then into the outbox together with what must be remembered of them.

use super::{
    checks::{Accepted, Verdict},
    desk::{Desk, Taken},
};
use crate::{
    metrics::SensorMetrics,
    outbox::{Delivery, Draft, Outbox, Remember, Written},
};

/// The way from the desk to the disk, shared by all collectors.
pub struct Intake {
    /// Whose reading it is and whether it counts.
    pub desk: Desk,
    /// Counters.
    pub metrics: SensorMetrics,
    outbox: Outbox,
}

impl Intake {
    /// An intake that writes to `outbox`.
    pub fn new(desk: Desk, metrics: SensorMetrics, outbox: Outbox) -> Self {
        Self { desk, metrics, outbox }
    }

    /// Stores what one message made; `None` when nothing has to reach the disk before it is answered.
    pub async fn store(&self, taken: Vec<Taken>, delivery: Option<Delivery>) -> Option<Written> {
        let (mut drafts, mut remember) = (Vec::new(), Remember::default());
        let (mut is_repeated, mut is_timeless) = (false, false);
        for Taken { sensor, shape, verdict, draft } in taken {
            match verdict {
                Verdict::Refused(refusal) => self.metrics.refused(refusal.reason()),
                Verdict::Repeated => {
                    self.metrics.repeated();
                    is_repeated = true;
                }
                Verdict::Accepted(Accepted { seen, clock_error, .. }) => {
                    self.metrics.accepted(shape.as_ref().map_or("", |shape| shape.kind.as_str()));
                    if clock_error.is_some() {
                        self.metrics.clock_wrong();
                    }
                    is_timeless |= seen.is_none();
                    let filter = shape.as_ref().and_then(|shape| self.desk.found_by(shape));
                    remember.found.extend(sensor.clone().zip(filter.map(str::to_owned)));
                    remember.seen.extend(sensor.zip(seen));
                    drafts.extend(draft);
                }
            }
        }
        // Of a repetition the first may still be on its way to the disk.
        if drafts.is_empty() && !is_repeated {
            return None;
        }
        remember.delivery = delivery.filter(|_| is_timeless);
        Some(self.outbox.append_together(drafts, Some(remember)).await)
    }

    /// Counts a message that the broker delivered again; it may be answered when the first is on disk.
    pub async fn redelivered(&self) -> Written {
        self.metrics.repeated();
        self.outbox.append_together(Vec::new(), None).await
    }

    /// Stores what the desk has to say of the sensors themselves.
    pub async fn tell(&self, drafts: Vec<Draft>) {
        for draft in drafts {
            self.outbox.append(draft).await;
        }
    }
}
