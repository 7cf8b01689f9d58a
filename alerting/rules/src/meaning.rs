//! A rule's meaning as a text: what is kept of each version, so that "rule crowd, version 2" can still be read after years.
//!
//! Out: the keys of `[[rule]]` in a fixed order, defaults written out, without what may change under a version (whether it is
//! enabled, its devices and papers). Invariant: the text read again means the same, so it can be compared by a later program too.

use std::time::Duration;

use xueliang_events::{
    Class,
    payload::{Direction, PictureFault},
};
use xueliang_settings::{Document, Mistakes};

use crate::rule::{Bound, Kind, Place, Rule};

impl Rule {
    /// The meaning of this version.
    pub fn meaning(&self) -> String {
        let mut lines = vec![
            line("id", text(self.id.as_str())),
            line("version", self.version),
            line("category", text(self.category.as_str())),
            line("kind", text(self.kind.as_str())),
        ];
        lines.extend(match &self.place {
            Place::Zone(zone) => Some(line("zone", text(zone.as_str()))),
            Place::Line(over) => Some(line("line", text(over.as_str()))),
            Place::Device => None,
        });
        lines.extend(of_kind(&self.kind));
        if !self.classes.is_empty() {
            lines.push(line("classes", list(self.classes.iter().copied().map(Class::as_str))));
        }
        if self.is_scored() {
            lines.push(line("min_confidence", format!("{:?}", self.min_confidence)));
        }
        lines.extend(self.schedule.to_toml().map(|windows| line("schedule", windows)));
        lines.push(line("cool_down", span(self.cool_down)));
        lines.push(line("urgency", text(self.urgency.as_str())));
        lines.concat()
    }

    /// Reads such a text; the rule is not enabled, and has neither devices nor papers.
    pub fn from_meaning(text: &str) -> Result<Self, Mistakes> {
        Document::from_text("meaning", text).read(Self::read)
    }

    /// Whether both mean the same, whatever their versions.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let like_other = Self {
            version: other.version,
            enabled: other.enabled,
            devices: other.devices.clone(),
            governance: other.governance.clone(),
            ..self.clone()
        };
        like_other == *other
    }

    /// Whether its evidence carries a score of its own.
    fn is_scored(&self) -> bool {
        matches!(self.kind, Kind::Presence { .. } | Kind::Dwell { .. } | Kind::Line { .. } | Kind::Balance { .. })
    }
}

/// The keys of the kind, in the order in which people write them.
fn of_kind(kind: &Kind) -> Vec<String> {
    let timed = |hold: &Duration, clear_for: &Duration| [line("for", span(*hold)), line("clear_for", span(*clear_for))];
    match kind {
        Kind::Presence { hold, clear_for } | Kind::NoData { hold, clear_for } | Kind::Status { hold, clear_for } => {
            timed(hold, clear_for).into()
        }
        Kind::Occupancy { n, hysteresis, hold, clear_for } => {
            [&[line("at_least", n), line("hysteresis", hysteresis)][..], &timed(hold, clear_for)].concat()
        }
        Kind::Dwell { hold, still, clear_for } => [&[line("still", still)][..], &timed(hold, clear_for)].concat(),
        Kind::Line { direction } => vec![line("direction", text(direction.map_or("both", name_of)))],
        Kind::Balance { inward, capacity, hysteresis, hold, clear_for, reset_at } => {
            let counted = [
                line("inward", text(name_of(*inward))),
                line("capacity", capacity),
                line("hysteresis", hysteresis),
                line("reset_at", text(&reset_at.to_string())),
            ];
            [&counted[..], &timed(hold, clear_for)].concat()
        }
        Kind::Threshold { quantity, bound, hysteresis, hold, clear_for, max_gap } => {
            let measured = [
                line("quantity", text(quantity)),
                beyond(*bound),
                line("hysteresis", format!("{hysteresis:?}")),
                line("max_gap", span(*max_gap)),
            ];
            [&measured[..], &timed(hold, clear_for)].concat()
        }
        Kind::Repeated { quantity, bound, n, within, clear_for } => vec![
            line("quantity", text(quantity)),
            beyond(*bound),
            line("at_least", n),
            line("within", span(*within)),
            line("clear_for", span(*clear_for)),
        ],
        Kind::Picture { faults, hold, clear_for } => {
            let faults = line("faults", list(faults.iter().copied().map(PictureFault::as_str)));
            [&[faults][..], &timed(hold, clear_for)].concat()
        }
    }
}

fn beyond(bound: Bound) -> String {
    match bound {
        Bound::Above(limit) => line("above", format!("{limit:?}")),
        Bound::Below(limit) => line("below", format!("{limit:?}")),
    }
}

fn name_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Backward => "backward",
    }
}

fn line(key: &str, value: impl std::fmt::Display) -> String {
    format!("{key} = {value}\n")
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    format!("[{}]", names.map(text).collect::<Vec<_>>().join(", "))
}

/// Seconds, with as many decimals as it takes.
fn span(duration: Duration) -> String {
    let (s, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let decimals = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
    text(&format!("{s}{}s", decimals.trim_end_matches('0')))
}

/// A basic string of TOML.
fn text(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEDULE: &str = "schedule = [{ days = [\"workdays\", \"sat\"], from = \"22:00\", to = \"06:30\" }, \
        { from = \"09:00\", to = \"24:00\" }]\n";

    /// One of each kind, in few words; the meaning has them all.
    const RULES: [(&str, &str); 10] = [
        ("zone_intrusion", "kind = \"presence\"\nzone = \"z\"\nfor = \"3s\"\n"),
        ("crowding", "kind = \"occupancy\"\nzone = \"z\"\nat_least = 3\nfor = \"1500ms\"\n"),
        ("fire_lane_blocked", "kind = \"dwell\"\nzone = \"z\"\nfor = \"2m\"\nstill = true\n"),
        ("wrong_way_vehicle", "kind = \"line\"\nline = \"l\"\ndirection = \"backward\"\nmin_confidence = 0.7\n"),
        ("over_capacity", "kind = \"balance\"\nline = \"l\"\ninward = \"forward\"\ncapacity = 9\nfor = \"0s\"\n"),
        ("gas_leak", "kind = \"threshold\"\nquantity = \"a \\\"b\\\" \\u007F\\\\\"\nabove = 3\nfor = \"1m\"\n"),
        ("road_flood", "kind = \"repeated\"\nquantity = \"level\"\nbelow = -1e-7\nat_least = 4\nwithin = \"1h\"\n"),
        ("manhole_open", "kind = \"no_data\"\nfor = \"1d\"\n"),
        ("camera_tampered", "kind = \"picture\"\nfor = \"30s\"\n"),
        ("camera_offline", "kind = \"status\"\nfor = \"0.1s\"\n"),
    ];

    fn rule((category, keys): (&str, &str), more: &str) -> Rule {
        let text = format!("id = \"r\"\nversion = 7\ncategory = \"{category}\"\n{keys}{more}");
        Document::from_text("rules.toml", text).read(Rule::read).unwrap()
    }

    #[test]
    fn each_kind_is_read_again_as_it_was() {
        for found in RULES {
            for more in ["", SCHEDULE, "urgency = \"A\"\ncool_down = \"90s\"\nclear_for = \"1.25s\"\n"] {
                if found.1.contains("\"line\"\n") && more.contains("clear_for") {
                    continue;
                }
                let rule = rule(found, more);
                let meaning = rule.meaning();
                let again = Rule::from_meaning(&meaning).unwrap_or_else(|mistakes| panic!("{mistakes}{meaning}"));
                assert_eq!(again, rule);
                assert_eq!(again.meaning(), meaning);
            }
        }
    }

    #[test]
    fn the_text_is_the_settings_with_their_defaults() {
        let crowding = rule(RULES[1], "devices = [\"a\"]\nowner = \"o\"\n");
        let expected = "id = \"r\"\nversion = 7\ncategory = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\nat_least = 3\n\
            hysteresis = 0\nfor = \"1.5s\"\nclear_for = \"30s\"\nclasses = [\"person\"]\ncool_down = \"60s\"\nurgency = \"B\"\n";
        assert_eq!(crowding.meaning(), expected);
        assert!(Rule::from_meaning(expected).unwrap().means_the_same(&crowding), "devices belong to no meaning");
    }

    proptest! {
        #[test]
        fn what_means_the_same_has_one_text(
            hold in 0u64..10_000_000, clear_ms in 0u64..1_000_000, limit in any::<f64>(), quantity in "\\PC{1,12}",
        ) {
            prop_assume!(limit.is_finite());
            let (hold, clear_for) = (Duration::from_secs(hold), Duration::from_millis(clear_ms));
            let (bound, max_gap) = (Bound::Below(limit), Duration::from_secs(1));
            let kind = Kind::Threshold { quantity, bound, hysteresis: 0.0, hold, clear_for, max_gap };
            let rule = Rule { kind, ..rule(RULES[5], "") };
            let again = Rule::from_meaning(&rule.meaning()).unwrap();
            prop_assert!(again.means_the_same(&rule));
            prop_assert_eq!(again.meaning(), rule.meaning());
        }
    }
}
