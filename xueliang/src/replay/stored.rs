//! The events that alerting's store keeps, as a recording of them: read beside alerting, which goes on.
//!
//! In: a SQLite file, or the store of the settings. What this program can't read any more is kept as a refusal, never fatal.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::{Timestamp, tz::TimeZone};
use xueliang_alerting::store::{Place, StoreError, events::KeptEvents};
use xueliang_events::Event;

use super::{Span, recording::Refusals};
use crate::config;

/// A store's events.
pub struct Stored {
    name: String,
    kept: KeptEvents,
    refusals: Refusals,
    failed: Option<StoreError>,
}

impl Stored {
    /// Opens this file, or else the store that the settings name.
    pub fn open(file: Option<PathBuf>, settings: &Path) -> anyhow::Result<Self> {
        let place = match file {
            Some(file) => Place::File(file),
            None => config::alerting(settings)?.store,
        };
        let name = place.to_string();
        let kept = KeptEvents::open(&place).with_context(|| format!("the events of {name} can't be read"))?;
        Ok(Self { name, kept, refusals: Refusals::default(), failed: None })
    }

    /// Holds the reading to a span, which begins where all events are there when nothing else is asked for; says what is missing.
    pub fn within(&mut self, span: Span, zone: &TimeZone) -> Span {
        let whole_since = self.kept.whole_since();
        let from = if span.from == Timestamp::MIN { whole_since.unwrap_or(Timestamp::MIN) } else { span.from };
        match whole_since {
            None => {
                eprintln!("{}: all events that are there belong to incidents; what made none is deleted", self.name)
            }
            Some(whole_since) => {
                let local = whole_since.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
                eprintln!("{}: all events since {local} are there", self.name);
                if from < whole_since {
                    eprintln!("of the time before only those of incidents are, so nothing shows there that made none");
                }
            }
        }
        self.kept.between(from, span.to);
        Span { from, ..span }
    }

    /// What was refused, when all was read.
    pub fn end(self) -> anyhow::Result<Refusals> {
        let failed = self.failed.map(|error| anyhow::Error::new(error).context(format!("{} can't be read", self.name)));
        failed.map_or(Ok(self.refusals), Err)
    }
}

impl Iterator for Stored {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            match self.kept.take() {
                Ok(Some(Ok(event))) => return Some(*event),
                Ok(Some(Err((id, refused)))) => self.refusals.add(|| format!("event {id}: {refused}")),
                Ok(None) => return None,
                Err(error) => {
                    self.failed = Some(error);
                    return None;
                }
            }
        }
    }
}
