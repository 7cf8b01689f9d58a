//! Silences and maintenance windows: nothing fires within them, and nothing that outlasts them is lost.

use super::*;

fn silenced(keys: &str) -> Engine {
    let rule =
        "category = \"camera_offline\"\nkind = \"status\"\nfor = \"60s\"\nclear_for = \"10s\"\ncool_down = \"0s\"\n";
    read(rule, keys).unwrap()
}

/// One silence from second 100 to second 400.
fn read(rule: &str, keys: &str) -> Result<Engine, String> {
    let silence = format!(
        "[[silence]]\nid = \"s\"\nowner = \"o\"\nreason = \"r\"\nfrom = \"{}\"\nuntil = \"{}\"\n",
        at(100.0),
        at(400.0)
    );
    let text = format!("[[rule]]\nid = \"r\"\n{GOVERNED}{rule}\n{silence}{keys}");
    let rules = Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader)));
    rules.map(Engine::new).map_err(|mistakes| mistakes.to_string())
}

/// A camera that is gone from one second to another, in its heartbeats.
fn gone(from: u32, to: u32) -> Vec<(u128, f64, Payload)> {
    let state = |s: u32| if (from..to).contains(&s) { DeviceState::Unreachable } else { DeviceState::Live };
    let since = |s: u32| {
        if s >= to {
            f64::from(to)
        } else if s >= from {
            f64::from(from)
        } else {
            0.0
        }
    };
    (0..60).map(|n| n * 10).map(|s| (1, f64::from(s), is(state(s), true, since(s)))).collect()
}

#[test]
fn what_is_over_before_a_silence_ends_never_fires() {
    check(&silenced("devices = [\"c\"]\n"), camera(), gone(120, 380), &[]);
    check(&silenced("devices = [\"c\"]\n"), camera(), gone(60, 380), &[]);
}

#[test]
fn what_outlasts_a_silence_begins_with_its_end() {
    check(&silenced("devices = [\"c\"]\n"), camera(), gone(120, 590), &[460.0]);
    check(&silenced("devices = [\"c\"]\n"), camera(), gone(20, 590), &[80.0, 460.0]);
}

#[test]
fn a_silence_is_of_its_devices_regions_and_categories_only() {
    let fires = |keys: &str, grid: Option<&str>, expected: usize| {
        let events = told(&camera(), gone(120, 380)).into_iter();
        let events = events.map(|event| Event { grid: grid.map(|grid| grid.parse().unwrap()), ..event });
        let fired = observe(&silenced(keys), &mut Memory::default(), &events.collect::<Vec<_>>());
        assert_eq!(fired.len(), expected, "{keys} {grid:?}");
    };
    fires("devices = [\"other\"]\n", None, 1);
    fires("devices = [\"other\", \"c\"]\n", None, 0);
    fires("devices = [\"c\"]\ncategories = [\"crowding\"]\n", None, 1);
    fires("devices = [\"c\"]\ncategories = [\"crowding\", \"camera_offline\"]\n", None, 0);
    fires("region = \"340203001\"\n", Some("340203001001002"), 0);
    fires("region = \"340203001\"\n", Some("340203002001002"), 1);
    fires("region = \"340203001\"\n", None, 1);
}

#[test]
fn a_silence_without_bounds_is_refused_with_its_cure() {
    let rule = "category = \"camera_offline\"\nkind = \"status\"\nfor = \"60s\"\n";
    let check = |keys: &str, expected: &str| {
        let found = read(rule, keys).unwrap_err();
        assert!(found.contains(expected), "{keys}: {found}");
    };
    check("", "name devices");
    check("devices = [\"c\"]\ncategories = [\"crowd\"]\n", "crowd");
    check("region = \"wuhu\"\n", "region");
    let long = |until: &str| {
        let text = format!(
            "[[silence]]\nid = \"s\"\nowner = \"o\"\nreason = \" \"\nfrom = \"2026-11-01T00:00:00Z\"\nuntil = \"{until}\"\ndevices = [\"c\"]\n"
        );
        let rules = Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader)));
        rules.unwrap_err().to_string()
    };
    assert!(long("2026-12-03T00:00:00Z").contains("31 days") && long("2026-10-31T00:00:00Z").contains("31 days"));
    assert!(long("2026-11-02T00:00:00Z").contains("reason"), "an empty reason is none");
}
