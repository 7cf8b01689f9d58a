//! How long things are kept (RULES P16): each has an end, and no value stands for "forever".
//!
//! Not here: who deletes what when, which is `sweeper.rs`'s and `store/sweep.rs`'s; how long the audit stays, `audit/settings.rs`'s.

use std::time::Duration;

use xueliang_settings::Reader;

use crate::workflow::REOPEN_WITHIN;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// How long a still stays that no incident shows.
pub const UNLINKED_STILLS: Duration = Duration::from_secs(72 * 3600);
/// Longest that events without an incident stay.
const MOST_UNLINKED: Duration = Duration::from_secs(90 * 86_400);
/// Longest that an incident's pictures and events stay after it was closed.
const MOST_CLOSED: Duration = Duration::from_secs(365 * 86_400);

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Events without an incident, and messages that were refused.
    pub unlinked: Duration,
    /// An incident's stills and events after it was closed, discarded or voided.
    pub closed: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { unlinked: 7 * DAY, closed: 30 * DAY }
    }
}

impl Retention {
    /// Reads `retention` and `keep_closed` of `[alerting]`.
    pub fn read(alerting: &mut Reader<'_>) -> Self {
        let Self { unlinked, closed } = Self::default();
        let unlinked = alerting.or("retention", unlinked);
        if !(HOUR..=MOST_UNLINKED).contains(&unlinked) {
            alerting.refuse("retention", "is out of bounds", "write \"1h\" to \"90d\"; nothing is kept without an end");
        }
        // What may be reopened must still have its pictures.
        let closed = alerting.or("keep_closed", closed);
        if !(REOPEN_WITHIN..=MOST_CLOSED).contains(&closed) {
            let cure = "write \"7d\" to \"365d\"; pictures that a case needs for longer are held by a grant";
            alerting.refuse("keep_closed", "is out of bounds", cure);
        }
        Self { unlinked, closed }
    }

    /// What a receipt says of the settings.
    pub(crate) fn told(&self) -> String {
        let hours = |time: Duration| time.as_secs() / 3600;
        format!("retention={}h keep_closed={}h", hours(self.unlinked), hours(self.closed))
    }
}

#[cfg(test)]
mod tests {
    use xueliang_settings::Document;

    use super::*;

    fn read(text: &str) -> Result<Retention, String> {
        let read = Document::from_text("x.toml", text).read(|root| {
            let read = Retention::read(root);
            Some(read)
        });
        read.map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn p16_there_is_no_forever() {
        assert_eq!(read(""), Ok(Retention::default()));
        let both = read("retention = \"1h\"\nkeep_closed = \"365d\"").unwrap();
        assert_eq!((both.unlinked, both.closed), (HOUR, MOST_CLOSED));
        let refused = [
            ("retention = \"59m\"", "x.toml:1: retention: is out of bounds; write \"1h\" to \"90d\""),
            ("retention = \"91d\"", "retention: is out of bounds"),
            ("keep_closed = \"6d\"", "keep_closed: is out of bounds; write \"7d\" to \"365d\""),
            ("keep_closed = \"366d\"", "held by a grant"),
            ("keep_closed = \"forever\"", "keep_closed"),
            ("keep_closed = 0", "keep_closed"),
            ("keep_closed = -1", "keep_closed"),
            ("keep_closed = inf", "keep_closed"),
        ];
        for (text, expected) in refused {
            let told = read(text).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }
}
