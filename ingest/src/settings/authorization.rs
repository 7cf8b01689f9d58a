//! `[camera.authorization]`, and `[ingest.authorization]`, from which the cameras of the settings files inherit it key by key.
//!
//! Not inherited: `place`, the review of the view, `changed_on`, and that a filing covers the camera at all. Somebody must have
//! looked at each camera for these; one line could else vouch for hundreds that nobody looked at.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde_json::{Map, Value};
use xueliang_settings::Reader;

use crate::authorization::{Authorization, Filing, LegalClass, Place, Review, Signage};

/// Longest text under each key.
const MAX_UNIT_CHARS: usize = 120;
const MAX_NECESSITY_CHARS: usize = 400;
const MAX_PROOF_CHARS: usize = 200;
const MAX_NUMBER_CHARS: usize = 80;

/// What may be said of many cameras at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    legal_class: Option<LegalClass>,
    responsible_unit: Option<String>,
    necessity: Option<String>,
    signage_proof: Option<String>,
    signage_valid_until: Option<Date>,
    first_used_on: Option<Date>,
    filing: InheritedFiling,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct InheritedFiling {
    number: Option<String>,
    filed_on: Option<Date>,
    legal_class: Option<LegalClass>,
    responsible_unit: Option<String>,
}

impl Inherited {
    /// Reads `[ingest.authorization]`.
    pub(super) fn read(ingest: &mut Reader<'_>) -> Self {
        let mut section = ingest.section("authorization");
        let mut filing = section.section("filing");
        let inherited = Self::read_keys(&mut section, &mut filing);
        let cure = "write it under [camera.authorization], where somebody looked at the camera";
        for key in ["place", "view_reviewed_on", "view_valid_until", "changed_on"] {
            section.ignore(key);
            if section.has(key) {
                section.refuse(key, "is said of each camera by itself", cure);
            }
        }
        filing.ignore("place");
        if filing.has("place") {
            filing.refuse("place", "is said of each camera by itself", "write it under [camera.authorization.filing]");
        }
        filing.finish();
        section.finish();
        inherited
    }

    fn read_keys(section: &mut Reader<'_>, filing: &mut Reader<'_>) -> Self {
        Self {
            legal_class: section.choice("legal_class", &LegalClass::NAMED),
            responsible_unit: text(section, "responsible_unit", MAX_UNIT_CHARS),
            necessity: text(section, "necessity", MAX_NECESSITY_CHARS),
            signage_proof: text(section, "signage_proof", MAX_PROOF_CHARS),
            signage_valid_until: day(section, "signage_valid_until"),
            first_used_on: day(section, "first_used_on"),
            filing: InheritedFiling {
                number: text(filing, "number", MAX_NUMBER_CHARS),
                filed_on: day(filing, "filed_on"),
                legal_class: filing.choice("legal_class", &LegalClass::NAMED),
                responsible_unit: text(filing, "responsible_unit", MAX_UNIT_CHARS),
            },
        }
    }

    fn or(self, defaults: &Self) -> Self {
        let of = defaults.clone();
        Self {
            legal_class: self.legal_class.or(of.legal_class),
            responsible_unit: self.responsible_unit.or(of.responsible_unit),
            necessity: self.necessity.or(of.necessity),
            signage_proof: self.signage_proof.or(of.signage_proof),
            signage_valid_until: self.signage_valid_until.or(of.signage_valid_until),
            first_used_on: self.first_used_on.or(of.first_used_on),
            filing: InheritedFiling {
                number: self.filing.number.or(of.filing.number),
                filed_on: self.filing.filed_on.or(of.filing.filed_on),
                legal_class: self.filing.legal_class.or(of.filing.legal_class),
                responsible_unit: self.filing.responsible_unit.or(of.filing.responsible_unit),
            },
        }
    }
}

/// Reads `[camera.authorization]`; what is lacking without which nothing can be judged is a mistake (RULES P01), what is lacking or over
/// beyond that suspends the camera.
pub(super) fn read_authorization(camera: &mut Reader<'_>, defaults: &Inherited) -> Option<Authorization> {
    let mut section = camera.section("authorization");
    let is_filed = section.has("filing");
    let mut filing = section.section("filing");
    let given = Inherited::read_keys(&mut section, &mut filing).or(defaults);
    let place = section.choice("place", &Place::NAMED);
    let review = (day(&mut section, "view_reviewed_on"), day(&mut section, "view_valid_until"));
    let changed_on = day(&mut section, "changed_on");
    let filed = if is_filed { read_filing(&mut filing, &given.filing) } else { Some(None) };
    section.finish();
    let legal_class = needed(&section, "legal_class", given.legal_class);
    let responsible_unit = needed(&section, "responsible_unit", given.responsible_unit);
    let place = needed(&section, "place", place);
    let first_used_on = needed(&section, "first_used_on", given.first_used_on);
    if let (Some(reviewed_on), Some(valid_until)) = review
        && valid_until < reviewed_on
    {
        section.refuse(
            "view_valid_until",
            "lies before view_reviewed_on",
            "write the last day on which the review counts",
        );
    }
    Some(Authorization {
        legal_class: legal_class?,
        responsible_unit: responsible_unit?,
        place: place?,
        necessity: given.necessity,
        view: review.0.zip(review.1).map(|(reviewed_on, valid_until)| Review { reviewed_on, valid_until }),
        signage: given
            .signage_proof
            .zip(given.signage_valid_until)
            .map(|(proof, valid_until)| Signage { proof, valid_until }),
        first_used_on: first_used_on?,
        changed_on,
        filing: filed?,
    })
}

/// The outer `None` means that a mistake was reported.
fn read_filing(filing: &mut Reader<'_>, given: &InheritedFiling) -> Option<Option<Filing>> {
    let place = filing.choice("place", &Place::NAMED);
    filing.finish();
    let number = needed(filing, "number", given.number.clone());
    let filed_on = needed(filing, "filed_on", given.filed_on);
    let legal_class = needed(filing, "legal_class", given.legal_class);
    let responsible_unit = needed(filing, "responsible_unit", given.responsible_unit.clone());
    let place = needed(filing, "place", place);
    Some(Some(Filing {
        number: number?,
        filed_on: filed_on?,
        legal_class: legal_class?,
        responsible_unit: responsible_unit?,
        place: place?,
    }))
}

/// A value that is neither here nor inherited is a mistake; one that is here and wrong was reported already.
fn needed<T>(section: &Reader<'_>, key: &'static str, value: Option<T>) -> Option<T> {
    if value.is_none() && !section.has(key) {
        let names = |named: &[&str]| format!("add {key} = one of {}", named.join(", "));
        let cure = match key {
            "legal_class" => names(&LegalClass::NAMED.map(|(name, _)| name)),
            "place" => names(&Place::NAMED.map(|(name, _)| name)),
            "first_used_on" | "filed_on" => format!("add {key} = \"2026-08-01\", the day"),
            _ => format!("add {key} = \"…\""),
        };
        section.refuse(key, "is missing", cure);
    }
    value
}

fn text(section: &mut Reader<'_>, key: &'static str, max_chars: usize) -> Option<String> {
    let text: String = section.optional(key)?;
    let text = text.trim();
    if text.is_empty() || text.chars().count() > max_chars || text.chars().any(char::is_control) {
        let problem = format!("is empty, longer than {max_chars} characters, or holds line breaks");
        section.refuse(key, problem, "write one line; units and document numbers, no persons");
        return None;
    }
    Some(text.to_owned())
}

fn day(section: &mut Reader<'_>, key: &'static str) -> Option<Date> {
    section.optional_text::<Day>(key).map(|day| day.0)
}

/// A date as settings write it, in quotes: JSON and CSV know no other.
struct Day(Date);

/// What is no date.
struct NoDay(String);

impl FromStr for Day {
    type Err = NoDay;
    fn from_str(text: &str) -> Result<Self, NoDay> {
        let is_plain = text.len() == 10 && text.is_ascii();
        let date = is_plain.then(|| text.parse().ok()).flatten();
        date.map(Day).ok_or_else(|| NoDay(text.to_owned()))
    }
}

impl fmt::Display for NoDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no day; write it as \"2026-08-01\", year-month-day", self.0)
    }
}

/// What may be said of many cameras, as it stands in one camera's JSON.
pub(super) fn as_json(inherited: &Inherited) -> Map<String, Value> {
    let day = |date: Option<Date>| date.map(|date| date.to_string());
    let class = |class: Option<LegalClass>| class.map(|class| class.as_str().to_owned());
    let filing = &inherited.filing;
    let filing = texts([
        ("number", filing.number.clone()),
        ("filed_on", day(filing.filed_on)),
        ("legal_class", class(filing.legal_class)),
        ("responsible_unit", filing.responsible_unit.clone()),
    ]);
    let mut json = texts([
        ("legal_class", class(inherited.legal_class)),
        ("responsible_unit", inherited.responsible_unit.clone()),
        ("necessity", inherited.necessity.clone()),
        ("signage_proof", inherited.signage_proof.clone()),
        ("signage_valid_until", day(inherited.signage_valid_until)),
        ("first_used_on", day(inherited.first_used_on)),
    ]);
    json.insert("filing".to_owned(), Value::Object(filing));
    json
}

fn texts<const N: usize>(keys: [(&str, Option<String>); N]) -> Map<String, Value> {
    keys.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::String(text?)))).collect()
}

#[cfg(test)]
mod tests {
    use xueliang_settings::Document;

    use super::*;
    use crate::authorization::testing::TOML;

    /// Reads the tests' block after this replacement.
    fn read(from: &str, to: &str) -> Result<Authorization, String> {
        assert!(TOML.contains(from), "{from}");
        let document = Document::from_text("x.toml", TOML.replacen(from, to, 1));
        let read = document.read(|camera| read_authorization(camera, &Inherited::default()));
        read.map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn p01_every_mistake_names_its_key_and_cure() {
        let check = |from: &str, to: &str, expected: &str| {
            let mistakes = read(from, to).expect_err(to);
            assert!(mistakes.contains(expected), "{expected:?} is not in {mistakes}");
        };
        check(
            "799-33",
            "799-34",
            "authorization.legal_class: \"799-34-nonpublic\" is not known; write one of 799-7-gov",
        );
        check(
            "legal_class = \"799-33-nonpublic\", ",
            "",
            "authorization.legal_class: is missing; add legal_class = one of 799-7-gov",
        );
        check("responsible_unit = \"Test stand\", ", "", "authorization.responsible_unit: is missing");
        check("\"Test stand\"", "\"\"", "authorization.responsible_unit: is empty");
        check("\"Tests\"", &format!("{:?}", "x".repeat(401)), "authorization.necessity: is empty, longer than 400");
        check("\"Tests\"", "\"a\\nb\"", "authorization.necessity:");
        check(
            "place = \"simulated\", n",
            "place = \"roof\", n",
            "authorization.place: \"roof\" is not known; write one of street",
        );
        check(
            "\"2026-11-01\"",
            "\"2026-11-31\"",
            "authorization.view_reviewed_on: \"2026-11-31\" is no day; write it as",
        );
        check(
            "\"2026-11-01\"",
            "2026-11-01",
            "authorization.view_reviewed_on: is a TOML datetime; write a text in quotes",
        );
        check("view_valid_until = \"2999", "view_valid_until = \"2025", "lies before view_reviewed_on");
        check("filed_on = \"2026-11-02\", ", "", "authorization.filing.filed_on: is missing");
        check("number", "nummer", "authorization.filing.nummer: unknown key; did you mean \"number\"?");
        check("necessity", "allow_prohibited_place", "authorization.allow_prohibited_place: unknown key");
        check("responsible_unit", "responsible_person", "authorization.responsible_person: unknown key");
    }

    #[test]
    fn p02_no_key_lifts_a_prohibited_place() {
        let inside = read("place = \"simulated\", n", "place = \"fitting_room\", n").unwrap();
        assert!(inside.place.is_prohibited(), "it is read, so that a camera that runs can be stopped by it");
    }
}
