//! Which categories, rules and cameras raise what a person then discards, and what to change about a rule that mostly does.
//!
//! Only what a rule raised counts here. Shown to people in scope only: rows of single cameras are never published.

use std::collections::BTreeMap;

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

/// What came of that which one rule, camera or category raised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Nuisance {
    n_raised: u64,
    /// A person said that it is so, or that it was nothing.
    n_judged: u64,
    n_discarded: u64,
    n_by_reason: BTreeMap<String, u64>,
}

/// The three tables: by category, by rule, by camera.
pub(super) fn tables(cases: &[&CaseFact]) -> [Table; 3] {
    let category = |case: &CaseFact| {
        let (zh, en) = words::category_name(case.category);
        Some((case.category.as_str().to_owned(), Cell::Words(words(zh, en))))
    };
    let text = |id: &str| (id.to_owned(), Cell::Text(id.to_owned()));
    let rule = |case: &CaseFact| case.rule.as_ref().map(|rule| text(rule.as_str()));
    let camera = |case: &CaseFact| case.camera.as_ref().map(|camera| text(camera.as_str()));
    [
        table("nuisance_by_category", words("各类别误报", "False alarms by category"), cases, category),
        table("nuisance_by_rule", words("各规则误报", "False alarms by rule"), cases, rule),
        table("nuisance_by_camera", words("各设备误报", "False alarms by camera"), cases, camera),
    ]
}

fn table(
    key: &'static str,
    title: Bilingual,
    cases: &[&CaseFact],
    group: impl Fn(&CaseFact) -> Option<(String, Cell)>,
) -> Table {
    let mut groups: BTreeMap<String, (Cell, Nuisance)> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.rule.is_some()) {
        if let Some((key, name)) = group(case) {
            groups.entry(key).or_insert_with(|| (name, Nuisance::default())).1.add(case);
        }
    }
    let mut groups: Vec<(Cell, Nuisance)> = groups.into_values().collect();
    groups.sort_by_key(|(_, nuisance)| std::cmp::Reverse((nuisance.n_discarded, nuisance.n_raised)));
    let suggests = key == "nuisance_by_rule";
    let rows = groups.into_iter().take(MAX_ROWS).map(|(name, nuisance)| nuisance.row(name, suggests)).collect();
    Table { key, title, columns: columns(suggests), rows }
}

fn columns(suggests: bool) -> Vec<Column> {
    let counts = [
        column("name", "名称", "Name"),
        raised_column(),
        column("judged", "已研判", "Judged"),
        column("discarded", "误报", "Discarded"),
    ];
    let reason = [column("reason", "主要原因", "Most frequent reason")];
    let suggestion = suggests.then(|| column("suggestion", "建议", "Suggestion"));
    counts.into_iter().chain(false_alarm_columns()).chain(reason).chain(suggestion).collect()
}

impl Nuisance {
    fn add(&mut self, case: &CaseFact) {
        self.n_raised += 1;
        self.n_judged += u64::from(case.discarded.is_some() || case.reported_at.is_some());
        if let Some(reason) = &case.discarded {
            self.n_discarded += 1;
            *self.n_by_reason.entry(reason.clone()).or_default() += 1;
        }
    }

    fn row(&self, name: Cell, suggests: bool) -> Vec<Cell> {
        let reason = self.reason();
        let counts = [self.n_raised, self.n_judged, self.n_discarded].map(Cell::Count);
        let rate = Rate::cells(Rate::new(self.n_discarded, self.n_raised));
        let in_words = |words: Option<Bilingual>| words.map_or(Cell::Empty, Cell::Words);
        let suggestion = suggests.then(|| in_words(self.suggestion()));
        let row = [name].into_iter().chain(counts).chain(rate);
        row.chain([in_words(reason.map(words::reason))]).chain(suggestion).collect()
    }

    /// The most frequent reason to discard; of two, the one that people are offered first.
    fn reason(&self) -> Option<&'static str> {
        let n = |reason: &str| self.n_by_reason.get(reason).copied().unwrap_or_default();
        let reasons = Command::Discard.reasons().iter().copied();
        reasons.rev().max_by_key(|reason| n(reason)).filter(|reason| n(reason) > 0)
    }

    /// What to change, when at least half of what was judged was discarded.
    fn suggestion(&self) -> Option<Bilingual> {
        if self.n_judged < MIN_JUDGED || self.n_discarded * 2 < self.n_judged {
            return None;
        }
        Some(match self.reason()? {
            "nothing_there" | "wrong_class" => words(
                "提高 min_confidence 或延长规则的持续时间",
                "raise min_confidence, or let it hold for longer before the rule fires",
            ),
            "permitted" => words("用 schedule 限定规则生效的时段", "limit the rule to certain hours with schedule"),
            "repeated" => words("延长 cool_down", "raise cool_down"),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::case, *};
    use crate::workflow::State;

    fn cases(n_discarded: usize, reason: &str, n_confirmed: usize, n_open: usize) -> Vec<CaseFact> {
        let discarded = |_| {
            let mut case = case(State::Discarded);
            case.discarded = Some(reason.to_owned());
            case
        };
        let confirmed = (0..n_confirmed).map(|_| case(State::Reported));
        (0..n_discarded).map(discarded).chain(confirmed).chain((0..n_open).map(|_| case(State::Suspected))).collect()
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
