//! Which categories, rules and cameras raise what a person then discards, and what to change about a rule that mostly does.
//!
//! Only what a rule raised counts here. Shown to people in scope only: rows of single cameras are never published.

use std::{cmp::Reverse, collections::BTreeMap};

use xueliang_events::{DeviceId, payload::Category};
use xueliang_rules::RuleId;

use super::{
    CaseFact,
    figures::{Rate, false_alarm_columns, raised_column},
    table::{Cell, Column, Table, column, words},
};
use crate::{
    words::{self, Bilingual},
    workflow::Command,
};

/// So many must have been judged before anything is suggested.
const MIN_JUDGED: u64 = 10;
/// Rows of one table, those with most discarded first.
const MAX_ROWS: usize = 50;

/// Incidents that one rule raised at one device and that were judged alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// Their category.
    pub category: Category,
    /// The rule.
    pub rule: RuleId,
    /// The device.
    pub device: Option<DeviceId>,
    /// True when a person said that it is so, or that it was nothing.
    pub is_judged: bool,
    /// Why it was nothing.
    pub discarded: Option<String>,
    /// How many.
    pub n: u64,
}

/// By what nuisance is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The category.
    Category,
    /// The rule.
    Rule,
    /// The camera or sensor.
    Device,
}

/// What came of that which one rule, device or category raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nuisance {
    /// Its key or id.
    pub key: String,
    /// What people read.
    pub name: Bilingual,
    /// All of them.
    pub n_raised: u64,
    /// A person said that it is so, or that it was nothing.
    pub n_judged: u64,
    /// A person said that it was nothing.
    pub n_discarded: u64,
    n_by_reason: BTreeMap<String, u64>,
    /// Of the first of them; all of one rule are of one category.
    category: Category,
}

/// Counts; those with most discarded first, at most 50.
pub fn count(raised: &[Raised], by: By) -> Vec<Nuisance> {
    let mut groups: BTreeMap<String, Nuisance> = BTreeMap::new();
    for raised in raised {
        if let Some((key, name)) = by.group(raised) {
            groups.entry(key.clone()).or_insert_with(|| Nuisance::new(key, name, raised.category)).add(raised);
        }
    }
    let mut groups: Vec<Nuisance> = groups.into_values().collect();
    groups.sort_by_key(|nuisance| Reverse((nuisance.n_discarded, nuisance.n_raised)));
    groups.truncate(MAX_ROWS);
    groups
}

/// The three tables: by category, by rule, by camera.
pub(super) fn tables(cases: &[&CaseFact]) -> [Table; 3] {
    let raised: Vec<Raised> = cases.iter().filter_map(|case| of_case(case)).collect();
    [
        table("nuisance_by_category", words("各类别误报", "False alarms by category"), &raised, By::Category),
        table("nuisance_by_rule", words("各规则误报", "False alarms by rule"), &raised, By::Rule),
        table("nuisance_by_camera", words("各设备误报", "False alarms by camera"), &raised, By::Device),
    ]
}

/// Only what a rule raised.
fn of_case(case: &CaseFact) -> Option<Raised> {
    Some(Raised {
        category: case.category,
        rule: case.rule.clone()?,
        device: case.camera.clone(),
        is_judged: case.discarded.is_some() || case.reported_at.is_some(),
        discarded: case.discarded.clone(),
        n: 1,
    })
}

fn table(key: &'static str, title: Bilingual, raised: &[Raised], by: By) -> Table {
    let rows = count(raised, by).into_iter().map(|nuisance| nuisance.row(by)).collect();
    Table { key, title, columns: columns(by), rows }
}

fn columns(by: By) -> Vec<Column> {
    let counts = [
        column("name", "名称", "Name"),
        raised_column(),
        column("judged", "已研判", "Judged"),
        column("discarded", "误报", "Discarded"),
    ];
    let reason = [column("reason", "主要原因", "Most frequent reason")];
    let suggestion = (by == By::Rule).then(|| column("suggestion", "建议", "Suggestion"));
    counts.into_iter().chain(false_alarm_columns()).chain(reason).chain(suggestion).collect()
}

impl By {
    /// All of them.
    pub const ALL: [By; 3] = [By::Category, By::Rule, By::Device];

    /// The key in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Category => "category",
            By::Rule => "rule",
            By::Device => "device",
        }
    }

    fn group(self, raised: &Raised) -> Option<(String, Bilingual)> {
        let text = |id: &str| (id.to_owned(), words(id, id));
        match self {
            By::Category => {
                let (zh, en) = words::category_name(raised.category);
                Some((raised.category.as_str().to_owned(), words(zh, en)))
            }
            By::Rule => Some(text(raised.rule.as_str())),
            By::Device => raised.device.as_ref().map(|device| text(device.as_str())),
        }
    }
}

impl Nuisance {
    fn new(key: String, name: Bilingual, category: Category) -> Self {
        Self { key, name, category, n_raised: 0, n_judged: 0, n_discarded: 0, n_by_reason: BTreeMap::new() }
    }

    fn add(&mut self, raised: &Raised) {
        self.n_raised += raised.n;
        self.n_judged += if raised.is_judged { raised.n } else { 0 };
        if let Some(reason) = &raised.discarded {
            self.n_discarded += raised.n;
            *self.n_by_reason.entry(reason.clone()).or_default() += raised.n;
        }
    }

    /// Discarded by raised, 0 to 1; `None` of nothing.
    pub fn rate(&self) -> Option<f64> {
        Rate::new(self.n_discarded, self.n_raised).map(Rate::share)
    }

    fn row(&self, by: By) -> Vec<Cell> {
        let name = if by == By::Category { Cell::Words(self.name.clone()) } else { Cell::Text(self.key.clone()) };
        let counts = [self.n_raised, self.n_judged, self.n_discarded].map(Cell::Count);
        let rate = Rate::cells(Rate::new(self.n_discarded, self.n_raised));
        let in_words = |words: Option<Bilingual>| words.map_or(Cell::Empty, Cell::Words);
        let suggestion = (by == By::Rule).then(|| in_words(self.suggestion()));
        let row = [name].into_iter().chain(counts).chain(rate);
        row.chain([in_words(self.reason())]).chain(suggestion).collect()
    }

    /// The most frequent reason to discard, in words.
    pub fn reason(&self) -> Option<Bilingual> {
        self.reason_code().map(words::reason)
    }

    /// The most frequent reason to discard; of two, the one that people are offered first.
    fn reason_code(&self) -> Option<&'static str> {
        let n = |reason: &str| self.n_by_reason.get(reason).copied().unwrap_or_default();
        let reasons = Command::Discard.reasons().iter().copied();
        reasons.rev().max_by_key(|reason| n(reason)).filter(|reason| n(reason) > 0)
    }

    /// What to change, when at least half of what was judged was discarded.
    pub fn suggestion(&self) -> Option<Bilingual> {
        if self.n_judged < MIN_JUDGED || self.n_discarded * 2 < self.n_judged {
            return None;
        }
        Some(match self.reason_code()? {
            "nothing_there" | "wrong_class" => found_wrongly(self.category),
            "permitted" => words("用 schedule 限定规则生效的时段", "limit the rule to certain hours with schedule"),
            "repeated" => words("延长 cool_down", "raise cool_down"),
            _ => return None,
        })
    }
}

/// The cure for what was not there, in keys that a rule of the category has.
fn found_wrongly(category: Category) -> Bilingual {
    match category {
        Category::Crowding | Category::NonmotorParking => words(
            "提高 at_least 或延长规则的持续时间",
            "raise at_least, or let it hold for longer before the rule fires",
        ),
        Category::RoadFlood
        | Category::UnderpassFlood
        | Category::ManholeOpen
        | Category::GasLeak
        | Category::SmokeFire => words(
            "检查传感器，调整限值或延长规则的持续时间",
            "look at the sensor, move the bound, or let it hold for longer before the rule fires",
        ),
        Category::CameraTampered | Category::CameraOffline => {
            words("延长规则的持续时间", "let it hold for longer before the rule fires")
        }
        Category::ZoneIntrusion
        | Category::LineCrossed
        | Category::OverCapacity
        | Category::Dwelling
        | Category::WrongWayVehicle
        | Category::NonmotorOnMotorway
        | Category::FireLaneBlocked
        | Category::MotorNoParking => words(
            "提高 min_confidence 或延长规则的持续时间",
            "raise min_confidence, or let it hold for longer before the rule fires",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::case, *};
    use crate::workflow::State;

    fn cases(n_discarded: usize, reason: &str, n_confirmed: usize, n_open: usize) -> Vec<CaseFact> {
        let discarded = |_| {
            let mut case = case(State::Discarded);
            case.category = Category::ZoneIntrusion;
            case.discarded = Some(reason.to_owned());
            case
        };
        let of = |state| CaseFact { category: Category::ZoneIntrusion, ..case(state) };
        let confirmed = (0..n_confirmed).map(|_| of(State::Reported));
        (0..n_discarded).map(discarded).chain(confirmed).chain((0..n_open).map(|_| of(State::Suspected))).collect()
    }

    fn by_rule(cases: &[CaseFact]) -> Vec<Cell> {
        let [_, by_rule, _] = tables(&cases.iter().collect::<Vec<_>>());
        by_rule.rows.into_iter().next().unwrap()
    }

    #[test]
    fn a_rule_that_is_mostly_discarded_gets_the_cure_for_its_reason() {
        let check = |cases: Vec<CaseFact>, expected: Option<&str>| {
            let row = by_rule(&cases);
            let Some(suggestion) = row.last() else { panic!("no row") };
            match (suggestion, expected) {
                (Cell::Empty, None) => {}
                (Cell::Words(words), Some(expected)) => assert!(words.en.contains(expected), "{words:?}"),
                other => panic!("{other:?}"),
            }
        };
        check(cases(5, "nothing_there", 5, 0), Some("min_confidence"));
        check(cases(9, "wrong_class", 9, 90), Some("min_confidence"));
        check(cases(9, "permitted", 1, 0), Some("schedule"));
        check(cases(10, "repeated", 0, 0), Some("cool_down"));
        check(cases(10, "test", 0, 0), None);
        check(cases(9, "nothing_there", 0, 90), None);
        check(cases(5, "nothing_there", 6, 0), None);
        check([cases(3, "permitted", 0, 0), cases(7, "repeated", 0, 0)].concat(), Some("cool_down"));
        check([cases(5, "permitted", 0, 0), cases(5, "repeated", 0, 0)].concat(), Some("schedule"));
    }

    #[test]
    fn a_cure_is_a_key_that_the_rule_has() {
        let cure = |category| {
            let cases = cases(10, "nothing_there", 0, 0).into_iter();
            let cases: Vec<CaseFact> = cases.map(|case| CaseFact { category, ..case }).collect();
            let Some(Cell::Words(cure)) = by_rule(&cases).pop() else { panic!("no cure") };
            cure.en
        };
        assert!(cure(Category::Crowding).contains("at_least"));
        assert!(cure(Category::GasLeak).contains("bound"));
        assert!(!cure(Category::CameraOffline).contains("min_confidence"));
    }

    #[test]
    fn rates_say_what_they_are_a_part_of() {
        let row = by_rule(&cases(2, "permitted", 3, 5));
        let expected = [10, 5, 2].map(Cell::Count);
        assert_eq!(row[1..4], expected);
        assert_eq!(row[4..7], [Cell::Count(2), Cell::Count(10), Cell::Share(0.2)]);
    }

    #[test]
    fn what_people_reported_is_no_rules_nuisance() {
        let mut by_people = case(State::Discarded);
        by_people.rule = None;
        assert!(tables(&[&by_people]).iter().all(|table| table.rows.is_empty()));
    }
}
