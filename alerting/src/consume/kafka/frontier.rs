//! How far in time each partition has been read, so that a condition is not completed while an event lies unread that ends it.
//!
//! Where a condition is due, the partition's end is asked for; once everything before that end is stored, all that was published
//! until then is known, and time may pass until then. While no broker answers, and for partitions of others, time stands still.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::runtime::Handle;
use xueliang_events::EVENTS_TOPIC;

use super::{Group, log_name};
use crate::{
    consume::{Intake, TICK},
    store::{StoreError, apply::ReadUntil},
};

const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// The ends that are to be reached.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    looked_at: Option<Instant>,
    ends: BTreeMap<i32, End>,
}

/// Where a partition ended at a moment.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Timestamp,
    next: u64,
}

impl Frontier {
    /// Lets time pass for the partitions whose ends have been reached.
    pub fn pass(&mut self, consumer: &BaseConsumer<Group>, intake: &Intake) {
        if self.looked_at.is_none_or(|at| at.elapsed() >= TICK) {
            self.looked_at = Some(Instant::now());
            self.look(consumer, intake);
        }
        let group = consumer.context();
        let ends = std::mem::take(&mut self.ends);
        for (partition, end) in ends {
            match group.expected(partition) {
                Some(expected) if expected >= end.next => tick(intake, partition, expected, end.at),
                Some(_) => drop(self.ends.insert(partition, end)),
                None => {}
            }
        }
    }

    fn look(&mut self, consumer: &BaseConsumer<Group>, intake: &Intake) {
        let at = Timestamp::now();
        let due = match Handle::current().block_on(intake.due_logs(at)) {
            Ok(due) => due,
            Err(error) => {
                let error = crate::error_chain(&error);
                return tracing::warn!(error, "what is due can't be read, the next look tries again");
            }
        };
        for partition in consumer.context().partitions() {
            if self.ends.contains_key(&partition) || !due.contains(&log_name(partition)) {
                continue;
            }
            match consumer.fetch_watermarks(EVENTS_TOPIC, partition, ANSWER_WITHIN) {
                Ok((_, next)) => drop(self.ends.insert(partition, End { at, next: next.unsigned_abs() })),
                Err(error) => return tracing::debug!(partition, %error, "partition's end is not known"),
            }
        }
    }
}

fn tick(intake: &Intake, partition: i32, expected: u64, at: Timestamp) {
    let read = ReadUntil { log: log_name(partition), expected: Some(expected), at };
    match Handle::current().block_on(intake.tick(read)) {
        // Another consumer has the partition, and its ticks.
        Ok(()) | Err(StoreError::Fenced { .. }) => {}
        Err(error) => {
            tracing::warn!(error = crate::error_chain(&error), "tick failed, the next one tries again");
        }
    }
}
