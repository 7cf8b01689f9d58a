//! Silences: times in which devices are worked on or something is expected, and no rule is in force there.
//!
//! What holds when a silence begins is over for the rules, and what still holds when it ends begins then, so that nothing that
//! outlasts a silence is lost.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use xueliang_events::{DeviceId, GridCode, payload::Category};
use xueliang_settings::Reader;

use crate::{read::read_some_of, rule::Rule};

/// Longer than any maintenance; what is to be off for longer is a matter of the rule.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// One silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its id.
    pub id: String,
    from: Timestamp,
    until: Timestamp,
    /// Only these devices; empty means all.
    devices: BTreeSet<DeviceId>,
    /// Only what lies in a grid or region that begins so.
    region: Option<String>,
    /// Only these categories; empty means all.
    categories: Vec<Category>,
}

impl Silence {
    /// Reads one `[[silence]]` table; `None` when a mistake, which was reported, leaves none.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let id = reader.required_text::<String>("id");
        let (from, until) = (reader.required_text::<Timestamp>("from"), reader.required_text::<Timestamp>("until"));
        let devices: BTreeSet<DeviceId> = reader.texts("devices").into_iter().collect();
        let region = reader.optional::<String>("region");
        let categories = read_some_of(reader, "categories", &Category::ALL, Category::as_str, "category");
        for key in ["owner", "reason"] {
            if reader.required_text::<String>(key).is_some_and(|text| text.trim().is_empty()) {
                reader.refuse(key, "is empty", "say who answers for the silence, and why it is");
            }
        }
        if let Some(region) = &region
            && region.parse::<GridCode>().is_err()
        {
            reader.refuse("region", format!("{region:?} is no code of a region or grid"), "write its digits");
        }
        if devices.is_empty() && region.is_none() {
            let cure = "name devices = [\"…\"] or a region; what is to be silent everywhere is a matter of the rule";
            reader.refuse("devices", "are missing", cure);
            return None;
        }
        let (from, until) = (from?, until?);
        if until <= from || until.duration_since(from).unsigned_abs() > LONGEST {
            reader.refuse(
                "until",
                "is not within 31 days after from",
                "write an end that is after from, at most 31 days",
            );
            return None;
        }
        Some(Self { id: id?, from, until, devices, region, categories: categories.unwrap_or_default() })
    }

    /// Whether it keeps a rule from looking at a device in this grid at this moment.
    pub(crate) fn covers(&self, rule: &Rule, device: &DeviceId, grid: Option<&GridCode>, at: Timestamp) -> bool {
        let in_region = |region: &String| grid.is_some_and(|grid| grid.as_str().starts_with(region.as_str()));
        (self.from..self.until).contains(&at)
            && (self.devices.is_empty() || self.devices.contains(device))
            && self.region.as_ref().is_none_or(in_region)
            && (self.categories.is_empty() || self.categories.contains(&rule.category))
    }
}
