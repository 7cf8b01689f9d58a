//! A hold from its request to its end, on both databases.

use super::*;
use crate::{
    grant::{Sealed, Step},
    retention::Retention,
    store::{
        grants::tests::{Centre, INCIDENT, at, wanted},
        sweep::sweep,
    },
};

const DAY: i64 = 86_400;

fn places(centre: &Centre, by: (&str, i64), grant: Uuid) -> Result<Hold, Rejection> {
    centre.by(by, move |tx, asker, context| place(tx, asker, grant, context))
}

fn swept_shows(centre: &Centre, second: i64) -> bool {
    let swept = centre.store.write_blocking(move |tx| {
        while sweep(tx, &Retention::default(), at(second))? {}
        tx.value::<i64>("SELECT count(*) FROM incident_snapshot", &[])
    });
    swept.unwrap() == 1
}

#[test]
fn p17_two_people_hold_pictures_for_a_case_and_they_go_at_the_next_sweep() {
    Centre::on_both(|centre| {
        let close = format!("UPDATE incident SET is_open = 0, closed_at = {}", at(0).as_microsecond());
        centre.store.write_blocking(move |tx| tx.batch(&close)).unwrap();
        let asked = centre.asks(("chief", 20 * DAY), wanted(Sealed::Hold)).unwrap();
        centre.steps(("privacy", 20 * DAY), asked, (Step::Approve, 1)).unwrap();
        let one = places(centre, ("chief", 20 * DAY), asked);
        assert!(matches!(one, Err(Rejection::Denied(_))), "one approver is not two: {one:?}");

        let grant = centre.granted(20 * DAY + 1, wanted(Sealed::Hold));
        assert!(matches!(places(centre, ("second-chief", 20 * DAY + 2), grant), Err(Rejection::Denied(_))));
        let hold = places(centre, ("chief", 20 * DAY + 2), grant).unwrap();
        assert_eq!((hold.case.as_str(), hold.ends_at), ("case 5", at(50 * DAY + 2)));
        assert_eq!(places(centre, ("chief", 40 * DAY), grant), Ok(hold.clone()), "a grant holds once");
        assert!(swept_shows(centre, 50 * DAY + 1), "held beyond closure and 30 days");

        let renewed = centre.granted(45 * DAY, wanted(Sealed::Hold));
        let renewed = places(centre, ("chief", 45 * DAY), renewed).unwrap();
        assert!(swept_shows(centre, 75 * DAY - 1));
        assert!(!swept_shows(centre, 75 * DAY), "gone at the next sweep");
        let listed = centre.store.write_blocking(|tx| newest(tx, at(76 * DAY))).unwrap();
        assert_eq!(listed.into_iter().map(|(hold, _)| hold).collect::<Vec<_>>(), [renewed, hold]);

        let late = centre.granted(76 * DAY, wanted(Sealed::Hold));
        let late = places(centre, ("chief", 76 * DAY), late);
        assert!(matches!(late, Err(Rejection::NotNow(_))), "{INCIDENT} has nothing left: {late:?}");
    });
}

#[test]
fn p17_a_grant_of_another_kind_holds_nothing() {
    Centre::on_both(|centre| {
        let grant = centre.granted(0, wanted(Sealed::Export));
        assert!(matches!(places(centre, ("chief", 1), grant), Err(Rejection::Denied(_))));
        let late = centre.granted(10, wanted(Sealed::Hold));
        assert!(matches!(places(centre, ("chief", 10 + 3600), late), Err(Rejection::Denied(_))), "it has expired");
        assert!(matches!(places(centre, ("chief", 11), Uuid::nil()), Err(Rejection::Unknown)));
    });
}
