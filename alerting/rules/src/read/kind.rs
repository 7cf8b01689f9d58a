//! What makes a rule fire, from its table: the keys of each kind, and which kinds find which category (RULES C).

use std::time::Duration;

use xueliang_events::payload::{Category, Direction, PictureFault};
use xueliang_settings::Reader;

use super::{read_some_of, required_choice};
use crate::{
    rule::{Bound, Kind, Place},
    schedule::Minute,
};

/// Most readings that a repeated threshold may ask for.
const MAX_READINGS: u32 = 100;

pub(super) fn read_kind_name(reader: &mut Reader<'_>) -> Option<&'static str> {
    const KINDS: [&str; 10] =
        ["presence", "occupancy", "dwell", "line", "balance", "threshold", "repeated", "no_data", "picture", "status"];
    let name = required_choice(reader, "kind", &KINDS.map(|kind| (kind, kind)));
    if name.is_none() {
        accept_keys_of_every_kind(reader);
    }
    name
}

/// Which of these are wrong is known only with the kind, so none of them is reported before.
fn accept_keys_of_every_kind(reader: &mut Reader<'_>) {
    for text in ["zone", "line", "direction", "quantity", "inward", "reset_at"] {
        reader.optional::<String>(text);
    }
    for number in ["hysteresis", "above", "below", "at_least", "min_confidence", "capacity"] {
        reader.optional::<f64>(number);
    }
    for duration in ["for", "clear_for", "max_gap", "within"] {
        reader.optional::<Duration>(duration);
    }
    reader.optional::<bool>("still");
    reader.texts::<String>("faults");
}

pub(super) fn read_kind(reader: &mut Reader<'_>, kind: &str) -> Option<Kind> {
    match kind {
        "line" => {
            let ways = [("forward", Some(Direction::Forward)), ("backward", Some(Direction::Backward)), ("both", None)];
            return Some(Kind::Line { direction: required_choice(reader, "direction", &ways)? });
        }
        "repeated" => return read_repeated(reader),
        _ => {}
    }
    let hold = reader.required("for");
    let clear_for = read_clear_for(reader);
    match kind {
        "presence" => Some(Kind::Presence { hold: hold?, clear_for }),
        "occupancy" => {
            let n = read_number(reader, "at_least", 1);
            let hysteresis = reader.or("hysteresis", 0);
            Some(Kind::Occupancy { n: n?, hysteresis, hold: hold?, clear_for })
        }
        "dwell" => {
            let still = reader.or("still", false);
            Some(Kind::Dwell { hold: hold?, still, clear_for })
        }
        "balance" => read_balance(reader, hold, clear_for),
        "threshold" => {
            let quantity = reader.required("quantity");
            let bound = read_bound(reader);
            let hysteresis = reader.or("hysteresis", 0.0);
            let max_gap = reader.or("max_gap", Duration::from_secs(600));
            Some(Kind::Threshold { quantity: quantity?, bound: bound?, hysteresis, hold: hold?, clear_for, max_gap })
        }
        "no_data" => Some(Kind::NoData { hold: hold?, clear_for }),
        "picture" => {
            let faults = read_faults(reader);
            Some(Kind::Picture { faults, hold: hold?, clear_for })
        }
        _ => Some(Kind::Status { hold: hold?, clear_for }),
    }
}

fn read_balance(reader: &mut Reader<'_>, hold: Option<Duration>, clear_for: Duration) -> Option<Kind> {
    let inward =
        required_choice(reader, "inward", &[("forward", Direction::Forward), ("backward", Direction::Backward)]);
    let capacity = read_number(reader, "capacity", 1);
    let hysteresis = reader.or("hysteresis", 0);
    let reset_at = reader.optional_text("reset_at").unwrap_or(Minute::FOUR_AT_NIGHT);
    Some(Kind::Balance { inward: inward?, capacity: capacity?, hysteresis, hold: hold?, clear_for, reset_at })
}

fn read_repeated(reader: &mut Reader<'_>) -> Option<Kind> {
    let quantity = reader.required("quantity");
    let bound = read_bound(reader);
    let n = read_number(reader, "at_least", 2).filter(|n| {
        let is_bounded = *n <= MAX_READINGS;
        if !is_bounded {
            reader.refuse("at_least", format!("{n} is too many"), format!("write {MAX_READINGS} or less"));
        }
        is_bounded
    });
    let within = reader.required("within");
    let clear_for = read_clear_for(reader);
    Some(Kind::Repeated { quantity: quantity?, bound: bound?, n: n?, within: within?, clear_for })
}

fn read_clear_for(reader: &mut Reader<'_>) -> Duration {
    reader.or("clear_for", Duration::from_secs(30))
}

/// Those that somebody causes, unless others are named.
fn read_faults(reader: &mut Reader<'_>) -> Vec<PictureFault> {
    let faults = read_some_of(reader, "faults", &PictureFault::ALL, PictureFault::as_str, "fault of a picture");
    faults.unwrap_or_else(|| vec![PictureFault::Covered, PictureFault::Moved, PictureFault::Blurred])
}

fn read_number(reader: &mut Reader<'_>, key: &'static str, least: u32) -> Option<u32> {
    let number: u32 = reader.required(key)?;
    if number < least {
        reader.refuse(key, format!("{number} is too few"), format!("write {least} or more"));
    }
    (number >= least).then_some(number)
}

fn read_bound(reader: &mut Reader<'_>) -> Option<Bound> {
    match (reader.optional("above"), reader.optional("below")) {
        (Some(above), None) => Some(Bound::Above(above)),
        (None, Some(below)) => Some(Bound::Below(below)),
        _ => {
            reader.refuse("above", "one bound is needed", "write either above = … or below = …");
            None
        }
    }
}

pub(super) fn read_place(reader: &mut Reader<'_>, kind: &str) -> Option<Place> {
    match kind {
        "presence" | "occupancy" | "dwell" => reader.required_text("zone").map(Place::Zone),
        "line" | "balance" => reader.required_text("line").map(Place::Line),
        _ => Some(Place::Device),
    }
}

/// A kind that would find something else under the category's name is refused.
pub(super) fn check_fit(reader: &Reader<'_>, category: Category, kind: &Kind) {
    let kinds = kinds_of(category);
    let name = category.as_str();
    if !kinds.contains(&kind.as_str()) {
        let problem = format!("{:?} can't find {name}", kind.as_str());
        reader.refuse("kind", problem, format!("write one of {}", kinds.join(", ")));
    }
    let must_stand = matches!(category, Category::FireLaneBlocked | Category::MotorNoParking);
    if must_stand && matches!(kind, Kind::Dwell { still: false, .. }) {
        reader.refuse("still", format!("{name} means a vehicle that stands still"), "add still = true");
    }
    if category == Category::WrongWayVehicle && matches!(kind, Kind::Line { direction: None }) {
        let cure = "write the direction that is against the lane: forward or backward";
        reader.refuse("direction", format!("both can't find {name}"), cure);
    }
}

/// Which kinds of rule find a category by its honest trigger.
fn kinds_of(category: Category) -> &'static [&'static str] {
    match category {
        Category::ZoneIntrusion | Category::NonmotorOnMotorway => &["presence"],
        Category::LineCrossed | Category::WrongWayVehicle => &["line"],
        Category::Crowding => &["occupancy"],
        Category::OverCapacity => &["balance"],
        Category::Dwelling | Category::FireLaneBlocked | Category::MotorNoParking => &["dwell"],
        Category::NonmotorParking => &["occupancy", "dwell"],
        Category::RoadFlood
        | Category::UnderpassFlood
        | Category::ManholeOpen
        | Category::GasLeak
        | Category::SmokeFire => &["threshold", "repeated", "no_data"],
        Category::CameraOffline => &["status"],
        Category::CameraTampered => &["picture"],
    }
}
