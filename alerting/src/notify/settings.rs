//! `[[notify]]`: the channels, what each wants to hear and how fast; and what all share under `[alerting]`.
//!
//! Every address must stand on the list `allowed_endpoints` (RULES P26). Secrets are read once, here, so that a missing file is a
//! mistake with its line. Telling others is sharing, so each channel names the impact assessment that permits it (P30), wherever its
//! receiver is.

use std::time::Duration;

use jiff::tz::TimeZone;
use url::Url;
use xueliang_events::{GridCode, payload::Category};
use xueliang_rules::{Calendar, Urgency};
use xueliang_settings::{AllowedEndpoints, Reader};

use super::{
    Kind,
    way::{self, Way},
};

/// What both robots bear, and more than people read (DingTalk and WeCom: 20 messages a minute).
const PER_MINUTE: usize = 20;
const MAX_PER_MINUTE: usize = 600;
const MAX_NAME_BYTES: usize = 64;

/// One channel.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name; messages and groups are kept under it.
    pub name: String,
    /// The id of the impact assessment that permits it.
    pub assessment: String,
    /// How messages get there.
    pub way: Way,
    /// What it wants to hear.
    pub filter: Filter,
    /// When.
    pub timing: Timing,
    /// Most messages in any minute.
    pub per_minute: usize,
    /// How it is spoken to.
    pub voice: Voice,
    /// How long its receiver may take for an answer.
    pub patience: Duration,
}

/// What a channel wants to hear; an empty list means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    categories: Vec<Category>,
    urgency: Vec<Urgency>,
    regions: Vec<GridCode>,
    kinds: Vec<Kind>,
    /// True when more than the channel's pace is told in a digest; else it waits.
    pub digests: bool,
}

impl Filter {
    /// True when the channel looks at this category in this region.
    pub fn covers(&self, category: Category, region: &str) -> bool {
        is_any(&self.categories, &category)
            && (self.regions.is_empty() || self.regions.iter().any(|prefix| region.starts_with(prefix.as_str())))
    }

    /// True when it wants to be told so of an incident so urgent.
    pub fn wants(&self, kind: Kind, urgency: Urgency) -> bool {
        is_any(&self.kinds, &kind) && is_any(&self.urgency, &urgency)
    }
}

fn is_any<T: PartialEq>(wanted: &[T], value: &T) -> bool {
    wanted.is_empty() || wanted.contains(value)
}

/// When a group is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a burst is gathered.
    pub group_wait: Duration,
    /// The least time between two messages of a group.
    pub group_interval: Duration,
    /// When what nobody has acknowledged is told again.
    pub repeat: Duration,
}

/// The languages of a channel's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// 中文
    Zh,
    /// English.
    En,
    /// 中文, then English.
    Both,
}

/// How a channel is spoken to.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// The languages.
    pub language: Language,
    /// Where the console is for those who read; without a slash at the end.
    pub public_url: String,
    /// In which times are written.
    pub zone: TimeZone,
}

/// Reads `[[notify]]` of `root` and what they share of `alerting`; what is wrong is reported.
pub fn read_channels(
    root: &mut Reader<'_>,
    alerting: &mut Reader<'_>,
    (allowed, calendar): (&AllowedEndpoints, &Calendar),
) -> Vec<Channel> {
    let public_url = read_public_url(alerting);
    let sections = root.sections("notify");
    if !sections.is_empty() && public_url.is_none() && !alerting.has("public_url") {
        let cure = "add public_url = \"https://…\", where people open the console: messages link to it";
        alerting.refuse("public_url", "is missing", cure);
    }
    let public_url = public_url.unwrap_or_default();
    let mut channels: Vec<Channel> = Vec::new();
    for mut section in sections {
        let voice = (public_url.clone(), calendar.zone().clone());
        if let Some(channel) = Channel::read(&mut section, allowed, voice) {
            if channels.iter().any(|known| known.name == channel.name) {
                section.refuse("name", format!("channel {} exists already", channel.name), "give each its own name");
            }
            channels.push(channel);
        }
        section.finish();
    }
    channels
}

impl Channel {
    fn read(
        reader: &mut Reader<'_>,
        allowed: &AllowedEndpoints,
        (public_url, zone): (String, TimeZone),
    ) -> Option<Self> {
        let name = read_name(reader);
        let assessment = read_assessment(reader);
        let way = way::read(reader, allowed);
        let filter = read_filter(reader);
        let timing = Timing {
            group_wait: read_duration(reader, "group_wait", "30s", "1h"),
            group_interval: read_duration(reader, "group_interval", "5m", "1d"),
            repeat: read_duration(reader, "repeat", "4h", "7d"),
        };
        let per_minute = reader.or("per_minute", PER_MINUTE);
        if !(1..=MAX_PER_MINUTE).contains(&per_minute) {
            reader.refuse("per_minute", format!("{per_minute} is out of range"), "write 1 to 600 messages a minute");
        }
        let languages = [("zh", Language::Zh), ("en", Language::En), ("both", Language::Both)];
        let language = reader.choice("language", &languages).unwrap_or(Language::Zh);
        let patience = read_duration(reader, "timeout", "15s", "60s");
        let voice = Voice { language, public_url, zone };
        Some(Self { name: name?, assessment: assessment?, way: way?, filter, timing, per_minute, voice, patience })
    }
}

fn read_name(reader: &mut Reader<'_>) -> Option<String> {
    let name: String = reader.required("name")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
        reader.refuse("name", format!("{name:?} is no name"), "write 1 to 64 of a-z A-Z 0-9 . _ -");
        return None;
    }
    Some(name)
}

fn read_assessment(reader: &mut Reader<'_>) -> Option<String> {
    let assessment: Option<String> = reader.optional("assessment");
    let assessment = assessment.filter(|id| !id.trim().is_empty());
    if assessment.is_none() {
        let cure = "add assessment = \"…\": the id of the impact assessment of telling these receivers";
        reader.refuse("assessment", "is missing, and nobody is told anything without it", cure);
    }
    assessment
}

fn read_filter(reader: &mut Reader<'_>) -> Filter {
    let categories = read_some_of(reader, "categories", &Category::ALL.map(|category| (category.as_str(), category)));
    let urgency = read_some_of(reader, "urgency", &[("A", Urgency::A), ("B", Urgency::B), ("C", Urgency::C)]);
    let regions = reader.texts("regions");
    let [reminder, opened, overdue, escalated, glass_broken] = Kind::ALL.map(|kind| (kind.as_str(), Some(kind)));
    let known = [opened, reminder, overdue, escalated, glass_broken, ("digest", None)];
    let chosen = read_some_of(reader, "kinds", &known);
    let kinds: Vec<Kind> = chosen.iter().copied().flatten().collect();
    if kinds.is_empty() && !chosen.is_empty() {
        reader.refuse("kinds", "has nothing that a digest could stand for", "add opened, or leave kinds out for all");
    }
    Filter { categories, urgency, regions, kinds, digests: chosen.is_empty() || chosen.contains(&None) }
}

/// The values that a list names; empty when it is left out.
fn read_some_of<T: Copy + PartialEq>(reader: &mut Reader<'_>, key: &'static str, known: &[(&str, T)]) -> Vec<T> {
    let mut chosen = Vec::new();
    for name in reader.texts::<String>(key) {
        match known.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => chosen.push(*value),
            None => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                reader.refuse(key, format!("{name:?} is not known"), format!("choose from {}", names.join(", ")));
            }
        }
    }
    chosen
}

/// A duration from a second to `most`, both written as settings write them.
fn read_duration(reader: &mut Reader<'_>, key: &'static str, default: &str, most: &str) -> Duration {
    let bound = |text: &str| xueliang_settings::parse_duration(text).unwrap_or(Duration::from_secs(1));
    let duration = reader.or(key, bound(default));
    if !(Duration::from_secs(1)..=bound(most)).contains(&duration) {
        reader.refuse(key, "is out of range", format!("write \"1s\" to \"{most}\", or leave it out for \"{default}\""));
    }
    duration
}

/// Where people open the console; without a slash at the end.
pub(crate) fn read_public_url(alerting: &mut Reader<'_>) -> Option<String> {
    let text: String = alerting.optional("public_url")?;
    let url = Url::parse(&text).ok().filter(|url| {
        let is_web = matches!(url.scheme(), "https" | "http") && url.host().is_some();
        let is_bare = url.query().is_none() && url.fragment().is_none();
        is_web && is_bare && url.username().is_empty() && url.password().is_none()
    });
    if url.is_none() {
        let cure = "write https://host or https://host/path, as people open the console";
        alerting.refuse("public_url", "is no plain web address", cure);
    }
    url.map(|url| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests;
