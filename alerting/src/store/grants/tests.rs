//! Grants on both databases: who may take which step, what is registered, and what a grant opens.

use prometheus::IntCounter;

use super::*;
use crate::{
    access::{Access, Assignment, Person, Purpose},
    export::{Handed, pack},
    grant::{State, Terms},
    region::RegionScheme,
    store::{Store, break_glass, sealed, testing},
    workflow::Role,
};

pub(in crate::store) const INCIDENT: &str = "019abc00-0000-7000-8000-000000000001";

pub(in crate::store) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

/// A centre with one incident, whose still was taken at second -3600.
pub(in crate::store) struct Centre {
    pub store: Store,
    access: Access,
}

impl Centre {
    pub fn on_both(check: impl Fn(&Self)) {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let opened_at = at(-3600).as_microsecond();
            let fill = format!(
                "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device,
                     place, region, rule, rule_version, measures)
                     VALUES ('{INCIDENT}', 'crowding', 'suspected', 1, 'B', 1, {opened_at}, {opened_at}, 'cam', 'device',
                     '340203', 'r', 1, '[]');
                 INSERT INTO incident_device (incident, device, place) VALUES ('{INCIDENT}', 'cam', 'device');
                 INSERT INTO incident_snapshot (incident, sha256, taken_at)
                     VALUES ('{INCIDENT}', '{}', {opened_at})",
                "ab".repeat(32),
            );
            store.write_blocking(move |tx| tx.batch(&fill)).unwrap();
            let alarms = IntCounter::new("alarms", "alarms").unwrap();
            check(&Self { store, access: Access::load(RegionScheme::default(), alarms).unwrap() });
        });
    }

    /// Runs something as somebody at a time.
    pub fn by<T: Send + 'static>(
        &self,
        (account, second): (&str, i64),
        work: impl FnOnce(&Tx<'_>, Asker<'_>, Context<'_>) -> Stored<Result<T, Rejection>> + Send + 'static,
    ) -> Result<T, Rejection> {
        let (person, access) = (person(account), self.access.clone());
        let done = self.store.write_blocking(move |tx| {
            let asker = Asker { access: &access, person: &person };
            work(tx, asker, Context::new(at(second), Some(Timestamp::MAX)))
        });
        done.unwrap()
    }

    pub fn asks(&self, by: (&str, i64), request: Request) -> Result<Uuid, Rejection> {
        let key = format!("key-{}-{}", by.0, by.1);
        let given = Given { incident: INCIDENT.parse().unwrap(), key, request };
        self.by(by, move |tx, asker, context| super::request(tx, asker, &given, context))
    }

    pub fn steps(&self, by: (&str, i64), grant: Uuid, (step, version): (Step, u64)) -> Result<(), Rejection> {
        let given = GivenStep { grant, key: format!("step-{}-{}", by.0, by.1), version, step, note: None };
        self.by(by, move |tx, asker, context| take_step(tx, asker, &given, context))
    }

    /// A grant that both have approved.
    pub fn granted(&self, second: i64, request: Request) -> Uuid {
        let grant = self.asks(("chief", second), request).unwrap();
        self.steps(("second-chief", second), grant, (Step::Approve, 1)).unwrap();
        self.steps(("privacy", second), grant, (Step::Approve, 2)).unwrap();
        grant
    }

    fn opens(&self, by: (&str, i64), grant: Uuid, action: Sealed) -> Result<sealed::Opened, Rejection> {
        let wanted = sealed::Wanted { incident: INCIDENT.parse().unwrap(), grant, action, range: (None, None) };
        self.by(by, move |tx, asker, context| sealed::open(tx, asker, &wanted, context))
    }

    fn state(&self, grant: Uuid, second: i64) -> State {
        self.load(grant).course.state(at(second))
    }

    fn load(&self, grant: Uuid) -> Grant {
        self.store.write_blocking(move |tx| load(tx, grant)).unwrap().unwrap()
    }

    /// The register's rows as actor, action, decision.
    pub fn register(&self) -> Vec<String> {
        let rows = self.store.write_blocking(|tx| audit::after(tx, 0, 1000)).unwrap();
        let told = |entry: crate::audit::Entry| format!("{} {} {:?}", entry.actor, entry.action, entry.decision);
        rows.into_iter().map(|row| told(row.entry)).collect()
    }
}

fn person(account: &str) -> Person {
    let role = match account {
        "chief" | "second-chief" => Role::Supervisor,
        "privacy" | "second-privacy" => Role::PrivacyOfficer,
        "auditor" => Role::Auditor,
        _ => Role::Operator,
    };
    let assignments = vec![Assignment { role, region: "3402".to_owned(), valid_until: None }];
    let training_valid_until = Some(at(1_000_000));
    let (account, display_name) = (account.to_owned(), account.to_owned());
    Person { account, display_name, department: None, assignments, training_valid_until }
}

pub(in crate::store) fn wanted(action: Sealed) -> Request {
    let mut terms = Terms::default();
    if action == Sealed::Hold {
        (terms.case, terms.days) = (Some("case 5".to_owned()), Some(30));
    }
    let (purpose, reason) = (Purpose::IncidentHandling, "why".to_owned());
    Request { action, purpose, reason, range: (at(-7200), at(-60)), minutes: 60, terms }
}

#[test]
fn two_people_open_a_grant_for_the_one_who_asked() {
    Centre::on_both(|centre| {
        let grant = centre.granted(0, wanted(Sealed::Export));
        assert_eq!(centre.state(grant, 0), State::Granted);
        let opened = centre.opens(("chief", 10), grant, Sealed::Export).unwrap();
        assert_eq!((opened.stills.len(), &opened.devices[..]), (1, &["cam".to_owned()][..]));
        let denied = |by, action| matches!(centre.opens(by, grant, action), Err(Rejection::Denied(_)));
        assert!(denied(("second-chief", 10), Sealed::Export), "it is one person's");
        assert!(denied(("chief", 10), Sealed::Release), "and one action's");
        assert!(denied(("chief", 3600), Sealed::Export), "for an hour");
        centre.steps(("chief", 20), grant, (Step::Withdraw, 3)).unwrap();
        assert!(denied(("chief", 30), Sealed::Export), "until it is given back");
        let said = [
            "chief request_grant Permit",
            "second-chief approve_grant Permit",
            "privacy approve_grant Permit",
            "chief export Permit",
            "second-chief export Deny",
            "chief release Deny",
            "chief export Deny",
            "chief request_grant Permit",
            "chief export Deny",
        ];
        assert_eq!(centre.register(), said);
    });
}

#[test]
fn who_may_not_decide_is_refused_and_registered() {
    Centre::on_both(|centre| {
        let grant = centre.asks(("chief", 0), wanted(Sealed::Export)).unwrap();
        let steps = |by, step| centre.steps(by, grant, (step, 1));
        assert!(matches!(steps(("chief", 1), Step::Approve), Err(Rejection::Denied(_))), "not the one who asked");
        assert!(matches!(steps(("operator", 2), Step::Approve), Err(Rejection::Denied(_))));
        assert!(matches!(steps(("auditor", 3), Step::Refuse), Err(Rejection::Denied(_))));
        assert_eq!(steps(("second-chief", 4), Step::Withdraw), Err(Refused::NotOwn.into()));
        steps(("second-chief", 5), Step::Approve).unwrap();
        assert_eq!(centre.steps(("privacy", 6), grant, (Step::Approve, 1)), Err(Rejection::Version(2)));
        assert!(matches!(centre.steps(("second-chief", 7), grant, (Step::Approve, 2)), Err(Rejection::Denied(_))));
        let late = centre.steps(("privacy", 86_401), grant, (Step::Approve, 2));
        assert!(matches!(late, Err(Rejection::Denied(_))), "{late:?}");
        assert_eq!(centre.state(grant, 86_401), State::Lapsed);
        assert_eq!(centre.register().iter().filter(|row| row.ends_with("Deny")).count(), 7);
        let asked = centre.asks(("auditor", 8), wanted(Sealed::Export));
        assert!(matches!(asked, Err(Rejection::Denied(_))), "{asked:?}");
        let unfit = centre.asks(("chief", 9), Request { minutes: 241, ..wanted(Sealed::Export) });
        assert!(matches!(unfit, Err(Rejection::Unfit(Unfit { field: "minutes", .. }))), "{unfit:?}");
    });
}

#[test]
fn a_repetition_asks_once() {
    Centre::on_both(|centre| {
        let first = centre.asks(("chief", 0), wanted(Sealed::Export)).unwrap();
        assert_eq!(centre.asks(("chief", 0), wanted(Sealed::Export)), Ok(first));
        assert_eq!(centre.asks(("chief", 0), wanted(Sealed::Release)), Err(Rejection::KeyReused));
        centre.steps(("privacy", 1), first, (Step::Approve, 1)).unwrap();
        centre.steps(("privacy", 1), first, (Step::Approve, 1)).unwrap();
        let listed = centre.store.write_blocking(|tx| newest(tx, at(5))).unwrap();
        assert_eq!(listed.iter().map(|grant| (grant.id, grant.version)).collect::<Vec<_>>(), [(first, 2)]);
    });
}

#[test]
fn nobody_fills_the_list_of_those_who_decide() {
    Centre::on_both(|centre| {
        let decided = centre.granted(0, wanted(Sealed::Export));
        for second in 1..50 {
            centre.asks(("chief", second), wanted(Sealed::Export)).unwrap();
        }
        let more = centre.asks(("chief", 50), wanted(Sealed::Export));
        assert!(matches!(more, Err(Rejection::NotNow(_))), "{more:?}");
        centre.asks(("second-chief", 51), wanted(Sealed::Export)).unwrap();
        centre.asks(("chief", 86_401), wanted(Sealed::Export)).unwrap();
        let listed = centre.store.write_blocking(|tx| newest(tx, at(86_402))).unwrap();
        assert_eq!(listed.last().map(|grant| grant.id), Some(decided), "what waits for somebody stands first");
    });
}

/// A release takes the same two people and an action of its own, and only redacted stills of the incident go in.
#[test]
fn p23_no_path_for_unredacted() {
    Centre::on_both(|centre| {
        let grant = centre.granted(0, wanted(Sealed::Release));
        let opened = centre.opens(("chief", 10), grant, Sealed::Release).unwrap();
        let asked = std::cell::RefCell::new(Vec::new());
        let packed = pack(&Handed { at: at(10), opened }, |digest| {
            asked.borrow_mut().push(digest.as_str().to_owned());
            Some(b"redacted".to_vec())
        });
        assert_eq!(asked.into_inner(), ["ab".repeat(32)], "nothing but the incident's stills is read");
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(packed.unwrap())).unwrap();
        let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, [format!("{}.jpg", "ab".repeat(32)), "manifest.json".to_owned()]);
        let manifest: serde_json::Value = serde_json::from_reader(zip.by_name("manifest.json").unwrap()).unwrap();
        assert_eq!((&manifest["evidentiary"], &manifest["redacted"]), (&false.into(), &true.into()));
        assert_eq!(manifest["stills"][0]["sha256"], "ab".repeat(32));
        assert_eq!(
            (&manifest["supervisor"], &manifest["privacy_officer"]),
            (&"second-chief".into(), &"privacy".into())
        );
    });
}

pub(in crate::store) fn breaks(centre: &Centre, by: (&str, i64)) -> Result<Uuid, Rejection> {
    let key = format!("break-{}-{}", by.0, by.1);
    let given =
        break_glass::Given { incident: INCIDENT.parse().unwrap(), key, reason: "a fire".to_owned(), minutes: 15 };
    centre.by(by, move |tx, asker, context| break_glass::break_glass(tx, asker, &given, context))
}

fn reviews(centre: &Centre, by: (&str, i64), grant: Uuid) -> Result<(), Rejection> {
    let (key, note) = (format!("review-{}-{}", by.0, by.1), "it burnt".to_owned());
    let given = break_glass::GivenReview { grant, key, version: 1, is_justified: true, note };
    centre.by(by, move |tx, asker, context| break_glass::review(tx, asker, &given, context))
}

#[test]
fn broken_glass_lasts_a_quarter_of_an_hour_and_is_reviewed_before_the_next() {
    Centre::on_both(|centre| {
        assert!(matches!(breaks(centre, ("operator", 0)), Err(Rejection::Denied(_))));
        let grant = breaks(centre, ("chief", 0)).unwrap();
        assert_eq!(breaks(centre, ("chief", 0)), Ok(grant), "a repetition breaks nothing");
        assert!(centre.opens(("chief", 899), grant, Sealed::ViewOriginal).is_ok());
        let denied = |by, action| matches!(centre.opens(by, grant, action), Err(Rejection::Denied(_)));
        assert!(denied(("chief", 900), Sealed::ViewOriginal));
        assert!(denied(("second-chief", 10), Sealed::ViewOriginal));
        assert!(denied(("chief", 10), Sealed::Export), "only to see");
        let stored = centre.load(grant);
        assert_eq!(break_glass::review_due_at(&stored), Some(at(86_400)));
        assert_eq!(stored.right().unwrap().expires_at.duration_since(at(0)), SignedDuration::from_mins(15));
        assert!(matches!(breaks(centre, ("chief", 1000)), Err(Rejection::Denied(_))), "the first is not reviewed");
        assert!(breaks(centre, ("second-chief", 1000)).is_ok(), "each answers for their own");
        assert!(matches!(reviews(centre, ("second-chief", 1001), grant), Err(Rejection::Denied(_))));
        let listed = |second| centre.store.write_blocking(move |tx| newest(tx, at(second))).unwrap();
        let later = centre.asks(("chief", 1001), wanted(Sealed::Export)).unwrap();
        assert_eq!(listed(1001).last().map(|grant| grant.id), Some(later), "what is to be reviewed comes first");
        assert!(listed(86_400 * 90).iter().any(|listed| listed.id == grant), "and until somebody did");
        reviews(centre, ("privacy", 1002), grant).unwrap();
        assert!(listed(86_400 * 90).iter().all(|listed| listed.id != grant));
        assert!(centre.load(grant).review.unwrap().is_justified);
        assert!(breaks(centre, ("chief", 1003)).is_ok());
        let told: i64 = centre
            .store
            .write_blocking(|tx| tx.value("SELECT count(*) FROM change WHERE action = 'break_glass'", &[]))
            .unwrap();
        assert_eq!(told, 3, "the incident's timeline says so");
    });
}
