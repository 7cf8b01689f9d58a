use jiff::civil::date;
use proptest::prelude::*;

use super::*;

const TODAY: Date = date(2026, 11, 27);

/// A camera that has everything.
fn complete() -> Authorization {
    Authorization {
        legal_class: LegalClass::Government,
        responsible_unit: "North district".to_owned(),
        place: Place::Street,
        necessity: Some("Closed lawn".to_owned()),
        view: Some(Review { reviewed_on: date(2026, 6, 1), valid_until: date(2027, 5, 31) }),
        signage: Some(Signage { proof: "S-7".to_owned(), valid_until: date(2027, 1, 31) }),
        first_used_on: date(2026, 6, 2),
        changed_on: None,
        filing: Some(Filing {
            number: "F-1".to_owned(),
            filed_on: date(2026, 6, 20),
            legal_class: LegalClass::Government,
            responsible_unit: "North district".to_owned(),
            place: Place::Street,
        }),
    }
}

/// All reasons on a day after an edit; empty: active.
fn why(edit: impl FnOnce(&mut Authorization), today: Date) -> Vec<Suspension> {
    let mut authorization = complete();
    edit(&mut authorization);
    match state(&authorization, today) {
        State::Active { .. } => Vec::new(),
        State::Suspended { why } => why,
    }
}

#[test]
fn what_is_complete_is_active_until_the_first_thing_ends() {
    assert_eq!(state(&complete(), TODAY), State::Active { last_day: date(2027, 1, 31) });
}

#[test]
fn p03_what_is_missing_or_over_suspends_and_the_last_day_counts() {
    use Suspension::{
        BeforeFirstUse, NecessityMissing, SignageLapsed, SignageMissing, ViewReviewLapsed, ViewReviewMissing,
    };
    assert_eq!(why(|camera| camera.necessity = None, TODAY), [NecessityMissing]);
    assert_eq!(why(|camera| camera.view = None, TODAY), [ViewReviewMissing]);
    assert_eq!(why(|camera| camera.signage = None, TODAY), [SignageMissing]);
    let review = Review { reviewed_on: date(2026, 11, 28), valid_until: date(2027, 11, 28) };
    assert_eq!(why(|camera| camera.view = Some(review), TODAY), [ViewReviewMissing], "nobody has reviewed it yet");
    assert_eq!(
        why(|camera| camera.changed_on = Some(TODAY), TODAY),
        [ViewReviewMissing],
        "what was reviewed is no more"
    );
    assert_eq!(why(|camera| camera.first_used_on = date(2026, 11, 28), TODAY), [BeforeFirstUse]);
    assert_eq!(why(|_| (), date(2027, 1, 31)), []);
    assert_eq!(why(|_| (), date(2027, 2, 1)), [SignageLapsed]);
    assert_eq!(why(|_| (), date(2027, 6, 1)), [ViewReviewLapsed, SignageLapsed]);
}

#[test]
fn p05_an_unfiled_camera_runs_through_day_30_and_not_on_day_31() {
    let unfiled = |camera: &mut Authorization| {
        (camera.filing, camera.first_used_on) = (None, date(2026, 10, 28));
    };
    for (today, expected) in
        [(date(2026, 10, 28), &[][..]), (date(2026, 11, 27), &[]), (date(2026, 11, 28), &[Suspension::FilingMissing])]
    {
        assert_eq!(why(unfiled, today), expected, "{today}");
    }
    let mut camera = complete();
    unfiled(&mut camera);
    assert_eq!(state(&camera, TODAY), State::Active { last_day: date(2026, 11, 27) });
    let to_come = |camera: &mut Authorization| {
        unfiled(camera);
        camera.filing = complete().filing.map(|filing| Filing { filed_on: date(2026, 12, 1), ..filing });
    };
    assert_eq!(why(to_come, date(2026, 11, 28)), [Suspension::FilingMissing], "a filing to come is none");
}

#[test]
fn p05_a_change_is_filed_again_through_day_30() {
    type Edit = fn(&mut Authorization);
    let edits: [Edit; 4] = [
        |camera| camera.legal_class = LegalClass::Other,
        |camera| camera.responsible_unit = "South district".to_owned(),
        |camera| camera.place = Place::Park,
        |_| (),
    ];
    for edit in edits {
        let changed = |camera: &mut Authorization| {
            edit(camera);
            camera.changed_on = Some(date(2026, 10, 28));
            camera.view = camera.view.map(|view| Review { reviewed_on: date(2026, 10, 28), ..view });
        };
        assert_eq!(why(changed, date(2026, 11, 27)), []);
        assert_eq!(why(changed, date(2026, 11, 28)), [Suspension::FilingOutdated]);
        let filed_again = |camera: &mut Authorization| {
            changed(camera);
            camera.filing = Some(Filing {
                number: "F-2".to_owned(),
                filed_on: date(2026, 11, 20),
                legal_class: camera.legal_class,
                responsible_unit: camera.responsible_unit.clone(),
                place: camera.place,
            });
        };
        assert_eq!(why(filed_again, date(2026, 11, 28)), []);
    }
}

#[test]
fn p05_a_change_that_is_not_dated_or_was_never_filed_gains_no_time() {
    assert_eq!(why(|camera| camera.place = Place::Park, TODAY), [Suspension::FilingOutdated]);
    let unfiled = |camera: &mut Authorization| {
        camera.filing = None;
        camera.changed_on = Some(date(2026, 11, 20));
        camera.view = camera.view.map(|view| Review { reviewed_on: date(2026, 11, 20), ..view });
    };
    assert_eq!(why(unfiled, TODAY), [Suspension::FilingMissing]);
}

#[test]
fn the_day_is_that_of_beijing() {
    let at = |text: &str| today(text.parse().unwrap());
    assert_eq!(at("2026-11-26T15:59:59Z"), date(2026, 11, 26));
    assert_eq!(at("2026-11-26T16:00:00Z"), date(2026, 11, 27));
}

#[test]
fn every_cause_fits_a_status() {
    for suspension in Suspension::ALL {
        let others: Vec<Suspension> = Suspension::ALL.into_iter().filter(|other| *other > suspension).collect();
        assert!(cause(&[suspension]).chars().count() <= 240, "{suspension:?}");
        assert!(cause(&[&[suspension], &others[..]].concat()).contains(advice(suspension)));
    }
}

fn day() -> impl Strategy<Value = Date> {
    (0..4000i64).prop_map(|days| date(2020, 1, 1).saturating_add(days.days()))
}

fn class() -> impl Strategy<Value = LegalClass> {
    prop::sample::select(LegalClass::NAMED.map(|(_, class)| class).to_vec())
}

fn any_place() -> impl Strategy<Value = Place> {
    prop::sample::select(Place::NAMED.map(|(_, place)| place).to_vec())
}

prop_compose! {
    fn any_filing()(number in ".{1,9}", filed_on in day(), legal_class in class(), unit in ".{1,9}", place in any_place()) -> Filing {
        Filing { number, filed_on, legal_class, responsible_unit: unit, place }
    }
}

prop_compose! {
    /// Anything that settings could say of a camera in a place.
    fn anything(place: impl Strategy<Value = Place>)(
        place in place,
        legal_class in class(),
        unit in ".{1,9}",
        necessity in prop::option::of(".{1,9}"),
        view in prop::option::of((day(), day())),
        signage in prop::option::of((".{1,9}", day())),
        first_used_on in day(),
        changed_on in prop::option::of(day()),
        filing in prop::option::of(any_filing()),
    ) -> Authorization {
        Authorization {
            legal_class,
            responsible_unit: unit,
            place,
            necessity,
            view: view.map(|(reviewed_on, valid_until)| Review { reviewed_on, valid_until }),
            signage: signage.map(|(proof, valid_until)| Signage { proof, valid_until }),
            first_used_on,
            changed_on,
            filing,
        }
    }
}

const PROHIBITED: [&str; 8] = [
    "guest_room",
    "dormitory_room",
    "bath",
    "toilet",
    "changing_room",
    "nursing_room",
    "fitting_room",
    "other_private",
];

fn prohibited() -> impl Strategy<Value = Place> {
    let places = Place::NAMED.iter().filter(|(name, _)| PROHIBITED.contains(name)).map(|(_, place)| *place);
    prop::sample::select(places.collect::<Vec<_>>())
}

#[test]
fn p02_the_prohibited_places_are_those_of_article_8() {
    let prohibited: Vec<&str> =
        Place::NAMED.iter().filter(|(_, place)| place.is_prohibited()).map(|(name, _)| *name).collect();
    assert_eq!(prohibited, PROHIBITED);
}

proptest! {
    #[test]
    fn p02_a_prohibited_place_is_never_active(camera in anything(prohibited()), today in day()) {
        let State::Suspended { why } = state(&camera, today) else { panic!("{camera:?} is active") };
        prop_assert_eq!(why[0], Suspension::ProhibitedPlace);
    }

    #[test]
    fn the_last_day_is_the_last_day(camera in anything(any_place()), today in day()) {
        if let State::Active { last_day } = state(&camera, today) {
            prop_assert!(last_day >= today);
            // A change or a filing that is dated ahead begins to count on its day.
            let dated_ahead = |camera: &Authorization| {
                camera.changed_on.is_some_and(|day| day > today) || camera.filing.as_ref().is_some_and(|filing| filing.filed_on > today)
            };
            if last_day < Date::MAX && !dated_ahead(&camera) {
                let is_active = |day| matches!(state(&camera, day), State::Active { .. });
                prop_assert!(is_active(last_day), "{:?}", state(&camera, last_day));
                prop_assert!(!is_active(last_day.saturating_add(1.day())));
            }
        }
    }
}
