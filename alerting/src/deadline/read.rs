//! Deadline rules from `[[deadline]]` tables, and which rule a name means.
//!
//! A name is that of a table, else a category's key, which means the category's built-in rule, else a limit itself, such as
//! `2h` or `3 working days`, for handling whatever the urgency. So a small deployment needs no table.

use std::collections::BTreeMap;

use xueliang_events::payload::Category;
use xueliang_rules::Governance;
use xueliang_settings::Reader;

use super::{limit::Limit, rule::DeadlineRule};

/// The deadline rules of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deadlines(BTreeMap<String, DeadlineRule>);

impl Deadlines {
    /// Reads all `[[deadline]]` tables, and checks that each `[[rule]]` names a deadline rule that is there.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let mut deadlines = Self::default();
        for mut section in reader.sections("deadline") {
            let read = read_rule(&mut section);
            if let Some((id, rule)) = read
                && deadlines.0.insert(id.clone(), rule).is_some()
            {
                section.refuse("id", format!("deadline rule {id:?} exists already"), "give each its own id");
            }
            section.finish();
        }
        deadlines.check_names(reader);
        deadlines
    }

    /// The deadline rule of this name.
    pub fn find(&self, name: &str) -> Option<DeadlineRule> {
        let of_category = || Category::parse(name).map(DeadlineRule::of_category);
        let of_limit = || name.parse().ok().map(DeadlineRule::of_handling);
        self.0.get(name).copied().or_else(of_category).or_else(of_limit)
    }

    /// The deadline rule of an incident: the one that its rule names, else that of its category.
    pub fn of(&self, governance: Option<&Governance>, category: Category) -> DeadlineRule {
        let named = governance.and_then(|governance| self.find(&governance.deadline));
        let of_category = || self.find(category.as_str()).unwrap_or(DeadlineRule::of_category(category));
        named.unwrap_or_else(of_category)
    }

    fn check_names(&self, reader: &mut Reader<'_>) {
        for mut rule in reader.sections("rule") {
            let name: Option<String> = rule.optional("deadline");
            let Some(name) = name.filter(|name| !name.trim().is_empty() && self.find(name).is_none()) else { continue };
            let cure = "write the id of a [[deadline]], a category for its built-in one, or a limit such as \"2h\" or \"3 working days\"";
            rule.refuse("deadline", format!("there is no deadline rule {name:?}"), cure);
        }
    }
}

fn read_rule(reader: &mut Reader<'_>) -> Option<(String, DeadlineRule)> {
    let id: Option<String> = reader.required("id");
    let id = id.filter(|id| {
        let is_name = (1..=64).contains(&id.trim().chars().count());
        if !is_name {
            reader.refuse("id", "is no name", "write 1 to 64 characters");
        }
        is_name
    });
    let accept: Option<Limit> = reader.optional_text("accept");
    let check: Option<Limit> = reader.optional_text("check");
    let suspended: Option<Limit> = reader.optional_text("suspended");
    let mut by_urgency = reader.section("handling");
    let handling = ["A", "B", "C"].map(|urgency| by_urgency.required_text::<Limit>(urgency));
    by_urgency.finish();
    // Whatever was wrong has been told; the rest is kept so that the names of rules are checked too.
    let usual = DeadlineRule::of_handling(Limit::hours(2));
    let rule = DeadlineRule {
        accept: accept.unwrap_or(usual.accept),
        check: check.unwrap_or(usual.check),
        handling: handling.map(|limit| limit.unwrap_or(usual.handling[0])),
        suspended: suspended.unwrap_or(usual.suspended),
    };
    Some((id?, rule))
}

#[cfg(test)]
mod tests {
    use xueliang_rules::Urgency;
    use xueliang_settings::Document;

    use super::*;

    fn read(text: &str) -> Result<Deadlines, Vec<String>> {
        let read = Document::from_text("a.toml", text).read(|reader| Some(Deadlines::read(reader)));
        read.map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
    }

    const ROADS: &str = "[[deadline]]\nid = \"roads\"\naccept = \"20m\"\nsuspended = \"10 working days\"\n\
        handling = { A = \"1h\", B = \"4 working hours\", C = \"3 working days\" }\n";

    #[test]
    fn limits_are_read_and_the_rest_is_as_usual() {
        let rule = read(ROADS).unwrap().find("roads").unwrap();
        let said = [rule.accept, rule.check, rule.handling(Urgency::B), rule.suspended].map(|limit| limit.to_string());
        assert_eq!(said, ["20m", "30m", "4 working hours", "10 working days"]);
    }

    #[test]
    fn a_name_is_a_table_or_a_category_or_a_limit() {
        let limit = |text: &str| text.parse::<Limit>().unwrap();
        let check = |text: &str, name: &str, expected: Option<&str>| {
            let found = read(text).unwrap().find(name).map(|rule| rule.handling(Urgency::A));
            assert_eq!(found, expected.map(limit), "{name}");
        };
        check("", "gas_leak", Some("1h"));
        check("", "2h", Some("2h"));
        check("", "3 working days", Some("3 working days"));
        check("", "roads", None);
        check(ROADS, "roads", Some("1h"));
        check(&ROADS.replace("roads", "gas_leak").replace("1h", "30m"), "gas_leak", Some("30m"));
    }

    #[test]
    fn an_incident_without_a_rule_has_its_categorys_deadlines() {
        let governance = |deadline: &str| Governance {
            owner: "o".to_owned(),
            legal_basis: "l".to_owned(),
            department: "d".to_owned(),
            assessment: "a".to_owned(),
            deadline: deadline.to_owned(),
        };
        let check = |text: &str, governance: Option<Governance>, expected: &str| {
            let rule = read(text).unwrap().of(governance.as_ref(), Category::GasLeak);
            assert_eq!(rule.handling(Urgency::C).to_string(), expected);
        };
        check("", None, "1h");
        check("", Some(governance("5h")), "5h");
        check("", Some(governance("gone since")), "1h");
        check(&ROADS.replace("roads", "gas_leak"), None, "3 working days");
    }

    #[test]
    fn mistakes_name_line_and_cure() {
        let rule = |name: &str| format!("[[rule]]\nid = \"r\"\ndeadline = {name}\n");
        let mistakes = [
            (ROADS.replace("20m", "soon"), "a.toml:3: deadline[0].accept: \"soon\" is no limit such as \"2h\""),
            (ROADS.replace("C = ", "D = "), "deadline[0].handling.C: is missing"),
            (ROADS.replace("C = ", "D = "), "deadline[0].handling.D: unknown key"),
            (ROADS.replace("accept", "acept"), "did you mean \"accept\"?"),
            (ROADS.replace("\"roads\"", "\" \""), "deadline[0].id: is no name"),
            (ROADS.repeat(2), "a.toml:7: deadline[1].id: deadline rule \"roads\" exists already"),
            ("[[deadline]]\nid = \"x\"\n".to_owned(), "deadline[0].handling.A: is missing"),
            (
                rule("\"x\""),
                "a.toml:3: rule[0].deadline: there is no deadline rule \"x\"; write the id of a [[deadline]]",
            ),
            (rule("3"), "rule[0].deadline: is a TOML integer"),
        ];
        for (text, expected) in mistakes {
            let found = read(&text).unwrap_err();
            assert!(found.iter().any(|found| found.contains(expected)), "{text}: {found:#?}");
        }
        assert!(read(&format!("{ROADS}{}", rule("\"roads\""))).is_ok());
    }
}
