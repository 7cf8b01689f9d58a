//! What a report counts: incidents of a period with what was done to them, and cameras with how long they were well.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use xueliang_events::{GridCode, IncidentId, payload::Category};
use xueliang_rules::{Calendar, Urgency};

use super::{
    Stored, Tx,
    columns::key,
    incidents::{self, Incident},
    sql::{Row, params},
    uptime::Day,
};
use crate::{
    access::{Kind, Resource, Scope},
    deadline::{Clock, ClockState},
    report::{CameraFact, CaseFact, nuisance::Raised},
    workflow::{Command, Entry, State},
};

/// The incidents of one report.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Whose incidents.
    pub scope: &'a Scope,
    /// Only what lies in this region.
    pub region: Option<&'a str>,
    /// From when, until before when.
    pub span: (Timestamp, Timestamp),
    /// How many digits of its code a grid is told by; 0 for all.
    pub n_digits: usize,
}

impl Asked<'_> {
    fn takes(&self, resource: Resource<'_>) -> bool {
        self.scope.covers(resource) && self.region.is_none_or(|region| resource.region.starts_with(region))
    }

    /// A grid's code, shortened; `None` for what lies nowhere.
    fn grid(&self, code: &str) -> Option<GridCode> {
        let n_digits = if self.n_digits == 0 { code.len() } else { self.n_digits.min(code.len()) };
        code.get(..n_digits)?.parse().ok()
    }
}

/// What was done to an incident, each with how often and when first.
type Done = BTreeMap<String, (u32, Timestamp)>;

/// The incidents that were raised in the span.
pub fn cases(tx: &Tx<'_>, asked: &Asked<'_>, (now, calendar): (Timestamp, &Calendar)) -> Stored<Vec<CaseFact>> {
    let (from, until) = asked.span;
    let sql = "SELECT incident, action, reason, count(*) AS n, min(at) AS first FROM change WHERE incident IN
        (SELECT id FROM incident WHERE opened_at >= ?1 AND opened_at < ?2) GROUP BY incident, action, reason";
    let mut done: BTreeMap<IncidentId, (Done, Option<String>)> = BTreeMap::new();
    for row in tx.rows(sql, params![from, until])? {
        let of = done.entry(key(&row, "incident", |text| text.parse().ok())?).or_default();
        let (action, first): (String, Timestamp) = (row.get("action")?, row.get("first")?);
        if action == Command::Discard.as_str() {
            of.1 = row.get("reason")?;
        }
        let known = of.0.entry(action).or_insert((0, first));
        *known = (known.0 + row.get::<u32>("n")?, known.1.min(first));
    }
    let mut facts = Vec::new();
    for incident in incidents::opened_within(tx, asked.span)? {
        let Some(grid) = asked.grid(&incident.region).filter(|_| asked.takes(incident.resource())) else { continue };
        let (done, discarded) = done.remove(&incident.id).unwrap_or_default();
        facts.push(case(incident, (grid, &done, discarded), (now, calendar)));
    }
    Ok(facts)
}

fn case(
    incident: Incident,
    (grid, done, discarded): (GridCode, &Done, Option<String>),
    (now, calendar): (Timestamp, &Calendar),
) -> CaseFact {
    let times = |command: Command| done.get(command.as_str()).map_or(0, |(n, _)| *n);
    let first = |command: Command| done.get(command.as_str()).map(|(_, at)| *at);
    let is_by_person = incident.entry != Entry::Rule;
    CaseFact {
        category: incident.category,
        grid,
        department: incident.facts.department,
        rule: incident.rule.map(|(rule, _)| rule),
        camera: incident.device,
        urgency: Urgency::parse(&incident.urgency).unwrap_or(Urgency::C),
        opened_at: incident.opened_at,
        reported_at: if is_by_person { Some(incident.opened_at) } else { first(Command::Report) },
        filed_at: first(Command::File),
        dispatched_at: first(Command::Dispatch),
        state: incident.state,
        discarded,
        n_returns: times(Command::Return),
        n_reworks: times(Command::Rework) + times(Command::Reject),
        n_attempts: incident.facts.attempt,
        on_time: incident.clocks.handling.as_ref().and_then(|clock| on_time(clock, now, calendar)),
    }
}

/// Whether a clock kept its limit; `None` while it still may.
fn on_time(clock: &Clock, now: Timestamp, calendar: &Calendar) -> Option<bool> {
    let is_used_up = clock.used(now, calendar) > clock.limit().amount();
    (is_used_up || clock.state() == ClockState::Stopped).then_some(!is_used_up)
}

/// The cameras, over the local days of the span.
pub fn cameras(tx: &Tx<'_>, asked: &Asked<'_>, zone: &TimeZone) -> Stored<Vec<CameraFact>> {
    let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let (first, after) = (day(asked.span.0), day(asked.span.1));
    let rows = tx.rows(
        "SELECT device.id, device.region, device_day.day, device_day.observed_us, device_day.live_us, device_day.good_us
         FROM device JOIN device_day ON device_day.device = device.id
         WHERE device.kind = 'camera' AND device_day.day >= ?1 AND device_day.day < ?2
         UNION ALL SELECT id, region, counted_day, observed_us, live_us, good_us FROM device
         WHERE kind = 'camera' AND counted_day >= ?1 AND counted_day < ?2",
        params![first.to_string(), after.to_string()],
    )?;
    let mut facts: BTreeMap<String, CameraFact> = BTreeMap::new();
    for row in &rows {
        let (id, region): (String, String) = (row.get("id")?, row.get("region")?);
        let Some(grid) = asked.grid(&region).filter(|_| asked.takes(Resource::new(Kind::Device, &region))) else {
            continue;
        };
        let camera = key(row, "id", |text| text.parse().ok())?;
        let begun = CameraFact { camera, grid, observed_s: 0, live_s: 0, good_s: 0 };
        add(facts.entry(id).or_insert(begun), &read_day(row)?);
    }
    Ok(facts.into_values().collect())
}

/// What machines raised since then within the scope, and what people said of it.
pub fn raised(tx: &Tx<'_>, scope: Option<&Scope>, since: Timestamp) -> Stored<Vec<Raised>> {
    let rows = tx.rows(
        "SELECT incident.category, incident.rule, incident.device, incident.region, incident.state, change.reason,
         count(*) AS n FROM incident
         LEFT JOIN change ON change.incident = incident.id AND change.action = 'discard'
         WHERE incident.opened_at >= ?1 AND incident.entry = 'rule'
         GROUP BY incident.category, incident.rule, incident.device, incident.region, incident.state, change.reason",
        params![since],
    )?;
    let mut raised = Vec::new();
    for row in &rows {
        let region: String = row.get("region")?;
        if scope.is_some_and(|scope| !scope.covers(Resource::new(Kind::Incident, &region))) {
            continue;
        }
        raised.push(Raised {
            category: key(row, "category", Category::parse)?,
            rule: key(row, "rule", |text| text.parse().ok())?,
            device: Some(key(row, "device", |text| text.parse().ok())?),
            is_judged: key(row, "state", State::parse)? != State::Suspected,
            discarded: row.get("reason")?,
            n: row.get("n")?,
        });
    }
    Ok(raised)
}

fn add(fact: &mut CameraFact, day: &Day) {
    fact.observed_s += day.observed_us / 1_000_000;
    fact.live_s += day.live_us / 1_000_000;
    fact.good_s += day.good_us / 1_000_000;
}

fn read_day(row: &Row) -> Stored<Day> {
    let date = key(row, "day", |text| text.parse::<Date>().ok())?.to_string();
    let (observed_us, live_us, good_us) = (row.get("observed_us")?, row.get("live_us")?, row.get("good_us")?);
    Ok(Day { date, observed_us, live_us, good_us })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Part,
        report::Figures,
        store::{Store, testing},
        workflow::Role,
    };

    const NOON: i64 = 1_790_000_000;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(NOON + second).unwrap()
    }

    /// An incident that took these commands a minute apart, its handling clock as it stopped.
    fn lived(tx: &Tx<'_>, nth: u32, commands: &[&str], clocks: &str) -> Stored<()> {
        let id = format!("019abc00-0000-7000-8000-{nth:012}");
        let state = if commands.contains(&"discard") { "discarded" } else { "closed" };
        tx.execute(
            "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
             region, rule, rule_version, measures, clocks, department) VALUES (?1, 'crowding', ?2, 0, 'B', 1, ?3, ?3, 'cam', 'device',
             '340203001', 'r', 1, '[]', ?4, 'd')",
            params![&id, state, second(0), clocks],
        )?;
        for (at, command) in (1i64..).zip(commands) {
            let reason = (*command == "discard").then(|| "permitted".to_owned());
            tx.execute(
                "INSERT INTO change (incident, version, at, actor_kind, actor, action, to_state, reason)
                 VALUES (?1, 1, ?2, 'person', 'p', ?3, 'closed', ?4)",
                params![&id, second(60 * at), *command, &reason],
            )?;
        }
        Ok(())
    }

    fn stopped(used_s: u64) -> String {
        let (calendar, mut clock) = (Calendar::default(), Clock::start("10m".parse().unwrap(), second(0)));
        clock.stop(second(used_s.cast_signed()), &calendar);
        format!("{{\"handling\":{}}}", serde_json::to_string(&clock).unwrap())
    }

    fn everything(region: &str) -> Scope {
        Scope(vec![Part {
            role: Role::Supervisor,
            region: region.to_owned(),
            department: None,
            checker: None,
            verifier: None,
            reporter: None,
        }])
    }

    #[test]
    fn c20_four_rates_come_from_what_was_done() {
        const DONE: &[&str] = &["report", "file", "dispatch", "handle", "feedback", "verify", "close"];
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let found = store.write_blocking(|tx| {
                lived(tx, 1, &["discard"], "{}")?;
                lived(tx, 2, DONE, &stopped(300))?;
                lived(tx, 3, &[DONE, &["return", "rework"]].concat(), &stopped(900))?;
                let (scope, span) = (everything("340203"), (second(-1), second(1)));
                let asked = Asked { scope: &scope, region: None, span, n_digits: 6 };
                let beyond = Asked { region: Some("340204"), ..asked.clone() };
                let now = (second(9000), &Calendar::default());
                assert_eq!(cases(tx, &beyond, now)?, []);
                cases(tx, &asked, now)
            });
            let mut figures = Figures::default();
            for case in found.unwrap() {
                assert_eq!(case.grid.as_str(), "340203");
                figures.add(&case);
            }
            let shares = [figures.on_time(), figures.rework(), figures.returned(), figures.false_alarm()]
                .map(|rate| rate.map(|rate| (rate.share() * 6.0).round()));
            assert_eq!(shares, [Some(3.0), Some(3.0), Some(3.0), Some(2.0)]);
        });
    }

    #[test]
    fn nuisance_counts_what_people_discarded_of_what_rules_raised() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let found = store.write_blocking(|tx| {
                lived(tx, 1, &["discard"], "{}")?;
                lived(tx, 2, &["report"], "{}")?;
                tx.batch("UPDATE incident SET entry = 'hotline', rule = '' WHERE state = 'closed'")?;
                lived(tx, 3, &["report"], "{}")?;
                assert_eq!(raised(tx, Some(&everything("340204")), second(-1))?, []);
                raised(tx, Some(&everything("3402")), second(-1))
            });
            let found = found.unwrap();
            assert_eq!(found.len(), 2);
            assert!(found.iter().all(|raised| raised.is_judged && raised.n == 1));
            let reasons: Vec<_> = found.iter().filter_map(|raised| raised.discarded.as_deref()).collect();
            assert_eq!(reasons, ["permitted"]);
        });
    }
}
