//! Who opens the original of one still, on both databases; each attempt is a row of the register.

use super::*;
use crate::{
    access::Action,
    grant::{Request, Step, Terms},
    store::grants::tests::{Centre, INCIDENT, at, breaks, wanted},
};

/// Another incident, which shows a still of its own and the same one too.
const OTHER: &str = "019abc00-0000-7000-8000-000000000002";

fn still(byte: &str) -> Digest {
    Digest::try_from(byte.repeat(32)).unwrap()
}

fn with_another_incident(centre: &Centre) {
    let taken_at = at(-3600).as_microsecond();
    let fill = format!(
        "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
             region, rule, rule_version, measures)
             VALUES ('{OTHER}', 'crowding', 'suspected', 1, 'B', 1, {taken_at}, {taken_at}, 'cam', 'device', '340203',
             'r', 1, '[]');
         INSERT INTO incident_snapshot (incident, sha256, taken_at) VALUES ('{OTHER}', '{}', {taken_at});
         INSERT INTO incident_snapshot (incident, sha256, taken_at) VALUES ('{OTHER}', '{}', {taken_at})",
        "ab".repeat(32),
        "cd".repeat(32),
    );
    centre.store.write_blocking(move |tx| tx.batch(&fill)).unwrap();
}

struct Attempt {
    incident: &'static str,
    still: &'static str,
    obstacle: Option<&'static str>,
}

const PLAIN: Attempt = Attempt { incident: INCIDENT, still: "ab", obstacle: None };

fn opens(centre: &Centre, by: (&str, i64), grant: Uuid, attempt: Attempt) -> Result<(Timestamp, Timestamp), Rejection> {
    let Attempt { incident, still: of, obstacle } = attempt;
    let wanted = WantedOriginal { incident: incident.parse().unwrap(), grant, still: still(of), obstacle };
    centre.by(by, move |tx, asker, context| open_original(tx, asker, &wanted, context))
}

/// The newest row of the register.
fn newest(centre: &Centre) -> String {
    centre.register().pop().unwrap()
}

fn refused(centre: &Centre, by: (&str, i64), grant: Uuid, attempt: Attempt) {
    let n_before = centre.register().len();
    let opened = opens(centre, by, grant, attempt);
    assert!(matches!(opened, Err(Rejection::Denied(_))), "{opened:?}");
    assert_eq!((centre.register().len(), newest(centre)), (n_before + 1, format!("{} view_original Deny", by.0)));
}

#[test]
fn a_sealed_original_opens_only_with_an_approved_grant() {
    Centre::on_both(|centre| {
        with_another_incident(centre);
        refused(centre, ("chief", 1), Uuid::nil(), PLAIN);
        let grant = centre.asks(("chief", 2), wanted(Sealed::ViewOriginal)).unwrap();
        refused(centre, ("chief", 3), grant, PLAIN);
        centre.steps(("privacy", 4), grant, (Step::Approve, 1)).unwrap();
        refused(centre, ("chief", 5), grant, PLAIN);
        centre.steps(("second-chief", 6), grant, (Step::Approve, 2)).unwrap();

        let range = wanted(Sealed::ViewOriginal).range;
        assert_eq!(opens(centre, ("chief", 7), grant, PLAIN), Ok(range));
        assert_eq!(newest(centre), "chief view_original Permit");
        for other in ["second-chief", "operator", "privacy", "auditor"] {
            refused(centre, (other, 8), grant, PLAIN);
        }
        refused(centre, ("chief", 9), grant, Attempt { incident: OTHER, ..PLAIN });
        refused(centre, ("chief", 9), grant, Attempt { incident: OTHER, still: "cd", ..PLAIN });
        let foreign = opens(centre, ("chief", 10), grant, Attempt { still: "cd", ..PLAIN });
        assert_eq!((foreign, newest(centre)), (Err(Rejection::Unknown), "chief view_original Deny".to_owned()));
        refused(centre, ("chief", 3606), grant, PLAIN);
        centre.steps(("chief", 11), grant, (Step::Withdraw, 3)).unwrap();
        refused(centre, ("chief", 12), grant, PLAIN);
    });
}

#[test]
fn an_original_is_within_the_times_that_the_grant_names() {
    Centre::on_both(|centre| {
        // The still was taken at -3600.
        for (second, range) in [(0, (at(-7200), at(-3601))), (10, (at(-3599), at(-60)))] {
            let grant = centre.granted(second, Request { range, ..wanted(Sealed::ViewOriginal) });
            refused(centre, ("chief", second + 1), grant, PLAIN);
        }
        let grant = centre.granted(20, Request { range: (at(-3600), at(-3600)), ..wanted(Sealed::ViewOriginal) });
        assert!(opens(centre, ("chief", 21), grant, PLAIN).is_ok());
    });
}

#[test]
fn p23_no_path_leads_from_a_sealed_original_into_export_or_release() {
    Centre::on_both(|centre| {
        for (second, action) in [(0, Sealed::Export), (10, Sealed::Release), (20, Sealed::Hold)] {
            let grant = centre.granted(second, wanted(action));
            refused(centre, ("chief", second + 1), grant, PLAIN);
        }
        // And a grant to see originals hands out and publishes nothing.
        let grant = centre.granted(30, wanted(Sealed::ViewOriginal));
        for action in [Sealed::Export, Sealed::Release] {
            let wanted = Wanted { incident: INCIDENT.parse().unwrap(), grant, action, range: (None, None) };
            let opened = centre.by(("chief", 31), move |tx, asker, context| open(tx, asker, &wanted, context));
            assert!(matches!(opened, Err(Rejection::Denied(_))), "{action:?}");
        }
        assert_eq!(Sealed::ViewOriginal.action(), Action::ViewOriginal);
    });
}

#[test]
fn p22_whom_a_picture_shows_sees_no_original_with_others_on_it() {
    Centre::on_both(|centre| {
        let terms = Terms { consent: Some("file 7".to_owned()), ..Terms::default() };
        let request = Request { purpose: Purpose::DataSubjectAccess, terms, ..wanted(Sealed::ViewOriginal) };
        let grant = centre.granted(0, request);
        let opened = opens(centre, ("chief", 1), grant, PLAIN);
        assert!(matches!(opened, Err(Rejection::Unfit(Unfit { field: "grant", .. }))), "{opened:?}");
        assert_eq!(newest(centre), "chief view_original Deny");
    });
}

#[test]
fn broken_glass_opens_originals_for_a_quarter_of_an_hour() {
    Centre::on_both(|centre| {
        let grant = breaks(centre, ("chief", 0)).unwrap();
        assert!(opens(centre, ("chief", 899), grant, PLAIN).is_ok());
        refused(centre, ("chief", 900), grant, PLAIN);
        refused(centre, ("second-chief", 10), grant, PLAIN);
    });
}

#[test]
fn what_can_t_be_opened_here_is_told_to_those_who_might_and_registered() {
    Centre::on_both(|centre| {
        let grant = centre.granted(0, wanted(Sealed::ViewOriginal));
        let locked = || Attempt { obstacle: Some("no key"), ..PLAIN };
        assert_eq!(opens(centre, ("chief", 1), grant, locked()), Err(Rejection::NotNow("no key")));
        assert_eq!(newest(centre), "chief view_original Deny");
        refused(centre, ("operator", 2), grant, locked());
    });
}
