//! Rules from `[[rule]]` tables: every mistake with its line and cure, including what RULES C demands before enabling.

mod kind;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use xueliang_events::{Class, DeviceId, payload::Category};
use xueliang_settings::Reader;

use self::kind::{check_fit, read_kind, read_kind_name, read_place};
use crate::{
    rule::{Governance, Rule, Urgency},
    schedule::{Calendar, Schedule},
    silence::Silence,
};

/// All rules of a deployment; ids are unique.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleSet {
    rules: Vec<Rule>,
    calendar: Calendar,
    silences: Vec<Silence>,
    /// Which enabled rules look at a device that a rule names.
    named: HashMap<DeviceId, Vec<usize>>,
    /// Which enabled rules look at every device.
    everywhere: Vec<usize>,
}

impl RuleSet {
    /// Reads `[calendar]`, all `[[silence]]` and all `[[rule]]` tables; what is wrong is reported, the rest is kept so that all mistakes come at once.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let mut calendar_table = reader.section("calendar");
        let calendar = Calendar::read(&mut calendar_table);
        calendar_table.finish();
        let mut rules: Vec<Rule> = Vec::new();
        for mut section in reader.sections("rule") {
            if let Some(rule) = Rule::read(&mut section) {
                if rules.iter().any(|known| known.id == rule.id) {
                    section.refuse("id", format!("rule {} exists already", rule.id), "give each rule its own id");
                }
                rules.push(rule);
            }
            section.finish();
        }
        let mut silences: Vec<Silence> = Vec::new();
        for mut section in reader.sections("silence") {
            if let Some(silence) = Silence::read(&mut section) {
                if silences.iter().any(|known| known.id == silence.id) {
                    section.refuse("id", format!("silence {} exists already", silence.id), "give each its own id");
                }
                silences.push(silence);
            }
            section.finish();
        }
        Self::new(rules, calendar, silences)
    }

    fn new(rules: Vec<Rule>, calendar: Calendar, silences: Vec<Silence>) -> Self {
        let enabled = || rules.iter().enumerate().filter(|(_, rule)| rule.enabled);
        let watching = |device: &DeviceId| -> Vec<usize> {
            enabled().filter(|(_, rule)| rule.watches(device)).map(|(nth, _)| nth).collect()
        };
        let devices: BTreeSet<&DeviceId> = enabled().flat_map(|(_, rule)| &rule.devices).collect();
        let named = devices.into_iter().map(|device| (device.clone(), watching(device))).collect();
        let everywhere = enabled().filter(|(_, rule)| rule.devices.is_empty()).map(|(nth, _)| nth).collect();
        Self { named, everywhere, rules, calendar, silences }
    }

    /// All rules.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// By which the rules' schedules go.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Times in which rules don't look at some devices.
    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// The same rules, all enabled: to try those that are not yet.
    pub fn with_all_enabled(mut self) -> Self {
        self.rules.iter_mut().for_each(|rule| rule.enabled = true);
        Self::new(self.rules, self.calendar, self.silences)
    }

    /// The enabled rules that look at a device.
    pub fn of(&self, device: &DeviceId) -> impl Iterator<Item = &Rule> {
        let watching = self.named.get(device).unwrap_or(&self.everywhere);
        watching.iter().filter_map(|nth| self.rules.get(*nth))
    }
}

impl Rule {
    /// Reads one `[[rule]]` table; `None` when a mistake, which was reported, leaves no rule.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let id = reader.required_text("id");
        let version = reader.required("version");
        let categories: Vec<(&str, Category)> = Category::ALL.iter().map(|c| (c.as_str(), *c)).collect();
        let category = required_choice(reader, "category", &categories);
        let enabled = reader.or("enabled", false);
        let devices = reader.texts("devices");
        let kind_name = read_kind_name(reader);
        let kind = kind_name.and_then(|name| read_kind(reader, name));
        let place = kind_name.and_then(|name| read_place(reader, name));
        let classes = category.map(|category| read_classes(reader, category));
        let scored = matches!(kind_name, Some("presence" | "dwell" | "line" | "balance"));
        let min_confidence = if scored { read_confidence(reader, enabled) } else { 0.0 };
        let schedule = Schedule::read(reader);
        let cool_down = reader.or("cool_down", Duration::from_secs(60));
        let urgency = reader.choice("urgency", &[("A", Urgency::A), ("B", Urgency::B), ("C", Urgency::C)]);
        let governance = read_governance(reader, enabled);
        let (category, kind) = (category?, kind?);
        check_fit(reader, category, &kind);
        Some(Self {
            id: id?,
            version: version?,
            category,
            enabled,
            devices,
            place: place?,
            classes: classes?,
            min_confidence,
            kind,
            schedule,
            cool_down,
            urgency: urgency.unwrap_or(Urgency::B),
            governance,
        })
    }
}

fn required_choice<T: Clone>(reader: &mut Reader<'_>, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
    if !reader.has(key) {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        reader.refuse(key, "is missing", format!("add {key} = one of {}", names.join(", ")));
    }
    reader.choice(key, choices)
}

/// The values that a list names; `None` when it is empty or left out.
pub(crate) fn read_some_of<T: Copy>(
    reader: &mut Reader<'_>,
    key: &'static str,
    known: &[T],
    name_of: fn(T) -> &'static str,
    what: &str,
) -> Option<Vec<T>> {
    let names: Vec<String> = reader.texts(key);
    let mut chosen = Vec::new();
    for name in &names {
        match known.iter().find(|value| name_of(**value) == name) {
            Some(value) => chosen.push(*value),
            None => {
                let known: Vec<&str> = known.iter().map(|value| name_of(*value)).collect();
                reader.refuse(key, format!("{name:?} is no {what}"), format!("choose from {}", known.join(", ")));
            }
        }
    }
    (!names.is_empty()).then_some(chosen)
}

fn read_classes(reader: &mut Reader<'_>, category: Category) -> Vec<Class> {
    let allowed = classes_of(category);
    if allowed.is_empty() {
        return Vec::new();
    }
    let what = format!("class of {}", category.as_str());
    let classes = read_some_of(reader, "classes", allowed, Class::as_str, &what);
    classes.unwrap_or_else(|| allowed.to_vec())
}

fn read_confidence(reader: &mut Reader<'_>, enabled: bool) -> f32 {
    let confidence = if enabled { reader.required("min_confidence") } else { reader.optional("min_confidence") };
    let confidence: f32 = confidence.unwrap_or(0.5);
    if !(0.0..=1.0).contains(&confidence) {
        reader.refuse("min_confidence", format!("{confidence} is no score"), "write a number from 0 to 1");
    }
    confidence
}

fn read_governance(reader: &mut Reader<'_>, enabled: bool) -> Option<Governance> {
    let mut text = |key: &'static str, meaning: &str| -> Option<String> {
        let text: Option<String> = reader.optional(key);
        let text = text.filter(|text| !text.trim().is_empty());
        if text.is_none() && enabled {
            reader.refuse(
                key,
                "is missing, and no rule is enabled without it",
                format!("add {key} = \"…\": {meaning}"),
            );
        }
        text
    };
    let owner = text("owner", "the unit that answers for the rule");
    let legal_basis = text("legal_basis", "the law or regulation it rests on");
    let department = text("department", "the department that receives its incidents");
    let assessment = text("assessment", "the id of its impact assessment");
    let deadline = text("deadline", "the name of its deadline rule");
    Some(Governance {
        owner: owner?,
        legal_basis: legal_basis?,
        department: department?,
        assessment: assessment?,
        deadline: deadline?,
    })
}

/// Which classes a category is about; a rule may narrow them.
fn classes_of(category: Category) -> &'static [Class] {
    match category {
        Category::ZoneIntrusion | Category::Crowding | Category::OverCapacity | Category::Dwelling => &[Class::Person],
        Category::LineCrossed => &Class::ALL,
        Category::NonmotorOnMotorway | Category::NonmotorParking => &[Class::Bicycle, Class::Motorcycle],
        Category::WrongWayVehicle | Category::FireLaneBlocked | Category::MotorNoParking => {
            &[Class::Car, Class::Bus, Class::Truck, Class::Motorcycle]
        }
        _ => &[],
    }
}
