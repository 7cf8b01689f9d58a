//! Two outcomes of the same events side by side: what only one of them has, and what both have.
//!
//! Firings are compared rule by rule, incidents category by category; two are the same when they stand at one place of one
//! device and their times, from where the condition began to the last event that belongs, overlap. Each is the same as at
//! most one other, so three firings where the other has a long one are one of both and two of one side.

use std::collections::BTreeMap;

use jiff::Timestamp;
use xueliang_events::payload::Category;

use super::{Incident, MAX_KEPT, Outcome, Situation};
use crate::rule::RuleId;

/// How many there are on each side, and in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    /// In A.
    pub n_a: u64,
    /// In B.
    pub n_b: u64,
    /// The same in both.
    pub n_both: u64,
}

/// One rule's firings on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSides {
    /// The rule.
    pub rule: RuleId,
    /// Its category.
    pub category: Category,
    /// Its version in A, when it is in force there.
    pub version_a: Option<u32>,
    /// Its version in B, when it is in force there.
    pub version_b: Option<u32>,
    /// Its firings.
    pub firings: Sides,
}

/// Two outcomes, compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Firings by rule.
    pub rules: Vec<RuleSides>,
    /// Incidents by category.
    pub categories: Vec<(Category, Sides)>,
    /// Incidents that only A has.
    pub only_a: Vec<Incident>,
    /// Incidents that only B has.
    pub only_b: Vec<Incident>,
    /// False when one side has more than [`MAX_KEPT`], so that the rest was not compared.
    pub is_whole: bool,
}

/// Compares two outcomes of the same events.
pub fn compare(a: &Outcome, b: &Outcome) -> Comparison {
    let incidents = Pairs::of(&a.incidents, &b.incidents, |incident| {
        let place = (incident.category, &incident.device, &incident.place);
        (place, (incident.started_at, incident.last_at))
    });
    let only = |all: &[Incident], paired: &[bool]| -> Vec<Incident> {
        all.iter().zip(paired).filter(|(_, paired)| !**paired).map(|(incident, _)| incident.clone()).collect()
    };
    let fits = |outcome: &Outcome| outcome.n_firings() <= MAX_KEPT as u64;
    Comparison {
        rules: rules(a, b),
        categories: categories(a, b, &incidents),
        only_a: only(&a.incidents, &incidents.a),
        only_b: only(&b.incidents, &incidents.b),
        is_whole: fits(a) && fits(b),
    }
}

fn rules(a: &Outcome, b: &Outcome) -> Vec<RuleSides> {
    let pairs = Pairs::of(&a.situations, &b.situations, |situation: &Situation| {
        let rule = (situation.category, &situation.rule, &situation.device, &situation.place);
        (rule, (situation.started_at, situation.last_at))
    });
    let mut n_both: BTreeMap<(Category, &RuleId), u64> = BTreeMap::new();
    for (situation, _) in a.situations.iter().zip(&pairs.a).filter(|(_, paired)| **paired) {
        *n_both.entry((situation.category, &situation.rule)).or_default() += 1;
    }
    let mut rows: Vec<RuleSides> = Vec::new();
    for tally in a.tallies.iter().chain(&b.tallies) {
        if rows.iter().any(|row| row.rule == tally.rule && row.category == tally.category) {
            continue;
        }
        let same = |outcome: &Outcome| -> Option<(u32, u64)> {
            let mut tallies = outcome.tallies.iter();
            let found = tallies.find(|other| other.rule == tally.rule && other.category == tally.category)?;
            Some((found.version, found.n_firings))
        };
        let (in_a, in_b) = (same(a), same(b));
        rows.push(RuleSides {
            rule: tally.rule.clone(),
            category: tally.category,
            version_a: in_a.map(|(version, _)| version),
            version_b: in_b.map(|(version, _)| version),
            firings: Sides {
                n_a: in_a.map_or(0, |(_, n)| n),
                n_b: in_b.map_or(0, |(_, n)| n),
                n_both: n_both.get(&(tally.category, &tally.rule)).copied().unwrap_or(0),
            },
        });
    }
    rows
}

fn categories(a: &Outcome, b: &Outcome, pairs: &Pairs) -> Vec<(Category, Sides)> {
    let mut sides: BTreeMap<Category, Sides> = BTreeMap::new();
    a.tallies.iter().for_each(|tally| sides.entry(tally.category).or_default().n_a += tally.n_incidents);
    b.tallies.iter().for_each(|tally| sides.entry(tally.category).or_default().n_b += tally.n_incidents);
    let both = a.incidents.iter().zip(&pairs.a).filter(|(_, paired)| **paired);
    both.for_each(|(incident, _)| sides.entry(incident.category).or_default().n_both += 1);
    sides.into_iter().collect()
}

/// From and to.
type Span = (Timestamp, Timestamp);

/// When, and its place in its list.
type Nth = (Span, usize);

/// Which of each side have one on the other.
struct Pairs {
    a: Vec<bool>,
    b: Vec<bool>,
}

impl Pairs {
    /// Pairs what has the same key and overlaps, in the order of time.
    fn of<'i, T, K: Ord>(a: &'i [T], b: &'i [T], key: impl Fn(&'i T) -> (K, Span)) -> Self {
        let mut keyed: BTreeMap<K, [Vec<Nth>; 2]> = BTreeMap::new();
        for (nth, item) in a.iter().enumerate() {
            let (place, span) = key(item);
            keyed.entry(place).or_default()[0].push((span, nth));
        }
        for (nth, item) in b.iter().enumerate() {
            let (place, span) = key(item);
            keyed.entry(place).or_default()[1].push((span, nth));
        }
        let mut pairs = Self { a: vec![false; a.len()], b: vec![false; b.len()] };
        for [mut of_a, mut of_b] in keyed.into_values() {
            of_a.sort_unstable();
            of_b.sort_unstable();
            pairs.pair(&of_a, &of_b);
        }
        pairs
    }

    fn pair(&mut self, mut of_a: &[Nth], mut of_b: &[Nth]) {
        while let ([(in_a, nth_a), rest_a @ ..], [(in_b, nth_b), rest_b @ ..]) = (of_a, of_b) {
            if in_a.1 < in_b.0 {
                of_a = rest_a;
            } else if in_b.1 < in_a.0 {
                of_b = rest_b;
            } else {
                (self.a[*nth_a], self.b[*nth_b]) = (true, true);
                (of_a, of_b) = (rest_a, rest_b);
            }
        }
    }
}
