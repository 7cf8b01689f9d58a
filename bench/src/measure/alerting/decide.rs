//! One decision of the access policies, and the audit's verification: what each costs on one core.

use std::{fmt::Write as _, hint::black_box, io::Cursor, time::Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use prometheus::IntCounter;
use xueliang_alerting::{
    access::{Access, Action, Assignment, Context, Kind, Person, Purpose, Resource},
    audit::{Checkpoint, Decision, Entry, Extent, Hash, Head, Keys, Signer, Witness, append, lines, verify},
    region::RegionScheme,
    workflow::{Command, Role},
};

const DECISIONS: u32 = 5_000;
const ROWS: u64 = 100_000;
/// Rows between two checkpoints, as the register signs them under load.
const SIGNED_EVERY: u64 = 1_000;

/// Microseconds of a decision: commands, views and a denial on incidents of two regions, asked by somebody with one role.
pub fn authorize_us() -> Result<f64> {
    let alarms = IntCounter::new("bench_alarms", "Decisions that could not be made")?;
    let access = Access::load(RegionScheme::default(), alarms.clone())?;
    let now = Timestamp::now();
    let trained = now.checked_add(SignedDuration::from_hours(24))?;
    let context =
        Context { has_reason: true, ..Context::new(now, Some(trained)).for_purpose(Purpose::IncidentHandling) };
    let person = Person {
        account: "operator".to_owned(),
        display_name: "operator".to_owned(),
        department: None,
        training_valid_until: Some(trained),
        assignments: vec![Assignment { role: Role::Operator, region: "340203".to_owned(), valid_until: None }],
    };
    let actions = [Action::ReadIncident, Action::ViewStill, Action::Command(Command::Report), Action::Comment];
    let regions = ["340203001002003", "110101001001001"];
    let mut n_permitted = 0;
    let begun = Instant::now();
    for (action, region) in actions.iter().cycle().zip(regions.iter().cycle()).take(DECISIONS as usize) {
        let incident = Resource { reporter: Some("worker"), ..Resource::new(Kind::Incident, region) };
        n_permitted += u32::from(black_box(access.authorize(&person, *action, incident, context)).is_ok());
    }
    let took = begun.elapsed();
    ensure!(
        n_permitted > 0 && n_permitted < DECISIONS && alarms.get() == 0,
        "the policies answered otherwise than meant"
    );
    Ok(took.as_secs_f64() * 1e6 / f64::from(DECISIONS))
}

/// Rows a second of `xueliang audit verify`: read as exported, hashed, chained, checked against signed checkpoints.
pub fn audit_rows_per_s() -> Result<f64> {
    let signer = Signer::generate()?;
    let (mut rows, mut checkpoints) = (Vec::new(), Vec::new());
    let (mut head, mut last): (Head, Option<Checkpoint>) = (Head::GENESIS, None);
    let now = Timestamp::now();
    for nth in 0..ROWS {
        let row = append(head, entry(now, nth)?)?;
        head = Head { seq: row.seq, hash: row.hash };
        lines::write_row(&mut rows, &row)?;
        if row.seq % SIGNED_EVERY == 0 {
            let signed = Checkpoint::sign(&signer, head, last.as_ref(), now);
            lines::write_checkpoint(&mut checkpoints, &signed)?;
            last = Some(signed);
        }
    }
    let keys = Keys(vec![signer.public_key()]);
    let begun = Instant::now();
    let witness = Witness { checkpoints: lines::checkpoints(Cursor::new(checkpoints)), keys: &keys };
    let verified = verify(lines::rows(Cursor::new(rows)), std::iter::empty(), witness, Extent::Live { hot_from: now });
    let took = begun.elapsed();
    ensure!(verified.context("the audit does not hold")?.last_signed == ROWS, "not every row was vouched for");
    Ok(ROWS as f64 / took.as_secs_f64())
}

/// A view of a still, the most frequent row.
fn entry(utc: Timestamp, nth: u64) -> Result<Entry> {
    let mut resource = String::new();
    write!(resource, "incident/019abc00-0000-7000-8000-{:012}/still/{nth:064x}", nth % 5_000)?;
    Ok(Entry {
        utc,
        actor: format!("operator-{}", nth % 40),
        unit: None,
        assignment: Some("operator@340203".to_owned()),
        purpose: Some("incident_handling".to_owned()),
        reason: Some(Hash::ZERO),
        action: "view_still".to_owned(),
        resource,
        decision: Decision::Permit,
        rule_ids: vec!["centre-watch".to_owned()],
        policy_hash: Hash::ZERO,
    })
}
