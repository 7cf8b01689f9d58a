//! What may be asked for, and every course that a request can take.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::access::Purpose;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn actor<'a>(account: &'a str, roles: &'a [Role]) -> Actor<'a> {
    Actor { account, roles, note: None }
}

const SUPERVISOR: &[Role] = &[Role::Operator, Role::Supervisor];
const OFFICER: &[Role] = &[Role::PrivacyOfficer];
const HOUR: Duration = Duration::from_secs(3600);

fn requested() -> Course {
    Course::request("asks", HOUR, at(0))
}

#[test]
fn two_people_grant_and_time_takes_it_back() {
    let once = requested().advance(Step::Approve, actor("one", SUPERVISOR), at(10)).unwrap();
    assert_eq!((once.state(at(10)), once.granted_at), (State::Approved, None));
    let twice = once.advance(Step::Approve, actor("two", OFFICER), at(20)).unwrap();
    assert_eq!((twice.state(at(20)), twice.expires_at()), (State::Granted, Some(at(3620))));
    assert_eq!((twice.state(at(3619)), twice.state(at(3620))), (State::Granted, State::Expired));
    let pending = 24 * 3600;
    assert_eq!((requested().state(at(pending)), requested().state(at(pending + 1))), (State::Requested, State::Lapsed));
    assert_eq!(once.state(at(pending + 1)), State::Lapsed, "one is not two");
}

#[test]
fn whoever_asked_or_approved_does_not_approve_again() {
    let once = requested().advance(Step::Approve, actor("one", SUPERVISOR), at(10)).unwrap();
    let check = |course: &Course, step, by, expected| {
        assert_eq!(course.advance(step, by, at(20)), Err(expected), "{step:?} {by:?}");
    };
    check(&requested(), Step::Approve, actor("asks", SUPERVISOR), Refused::OwnRequest);
    check(&requested(), Step::Refuse, actor("asks", OFFICER), Refused::OwnRequest);
    check(&requested(), Step::Withdraw, actor("one", SUPERVISOR), Refused::NotOwn);
    check(&requested(), Step::Approve, actor("one", &[Role::Operator]), Refused::NoSeat);
    check(&once, Step::Approve, actor("one", OFFICER), Refused::SamePerson);
    check(&once, Step::Approve, actor("third", SUPERVISOR), Refused::SeatTaken(Role::Supervisor));
    let refused = once.advance(Step::Refuse, actor("two", OFFICER), at(20)).unwrap();
    check(&refused, Step::Approve, actor("third", OFFICER), Refused::NotNow(State::Refused));
    let late = once.advance(Step::Approve, actor("two", OFFICER), at(24 * 3600 + 1));
    assert_eq!(late, Err(Refused::NotNow(State::Lapsed)));
}

proptest! {
    /// Whatever is tried in whatever order: a grant has two approvers of both roles, neither of whom asked, for 4 h at most.
    #[test]
    fn a_grant_always_has_four_eyes(
        lasts in 0..40_000_u64,
        steps in proptest::collection::vec((0..3_usize, 0..4_usize, 0..3_usize, 0..9_000_i64), 0..12),
    ) {
        let accounts = ["asks", "one", "two", "three"];
        let roles = [SUPERVISOR, OFFICER, &[Role::Operator][..]];
        let (mut course, mut now) = (Course::request("asks", Duration::from_secs(lasts), at(0)), 0);
        for (step, account, role, later) in steps {
            now += later;
            let before = course.state(at(now));
            match course.advance(Step::ALL[step], actor(accounts[account], roles[role]), at(now)) {
                Ok(next) => course = next,
                Err(_) => prop_assert_eq!(course.state(at(now)), before),
            }
            if matches!(before, State::Refused | State::Withdrawn | State::Lapsed | State::Expired) {
                prop_assert_eq!(course.state(at(now)), before, "an end is an end");
            }
        }
        if let Some(granted_at) = course.granted_at {
            let (one, two) = (course.supervisor.clone().unwrap(), course.privacy_officer.clone().unwrap());
            prop_assert!(one != two && one != "asks" && two != "asks");
            prop_assert!(granted_at <= at(24 * 3600));
            prop_assert!(course.expires_at().unwrap().duration_since(granted_at) <= SignedDuration::from_hours(4));
        }
    }
}

fn request(action: Sealed, purpose: Purpose) -> Request {
    let terms = Terms::default();
    Request { action, purpose, reason: "why".to_owned(), range: (at(-7200), at(-3600)), minutes: 60, terms }
}

fn check(request: &Request, expected: Option<&str>) {
    let found = request.check(at(0)).err();
    assert_eq!(found.as_ref().map(|unfit| unfit.field), expected, "{found:?}");
}

fn statutory() -> Request {
    let officer = |number: &str| Officer { unit: "a bureau".to_owned(), document: number.to_owned() };
    let document = Document {
        basis: "an article".to_owned(),
        number: "17".to_owned(),
        range: (at(-7200), at(-3600)),
        officers: vec![officer("1"), officer("2")],
    };
    let terms = Terms { document: Some(document), ..Terms::default() };
    Request { terms, ..request(Sealed::Export, Purpose::StatutoryRequest) }
}

fn changed(change: impl FnOnce(&mut Document)) -> Request {
    let mut request = statutory();
    change(request.terms.document.as_mut().unwrap());
    request
}

#[test]
fn p21_one_officer_is_refused() {
    check(&statutory(), None);
    check(&changed(|document| document.officers.truncate(1)), Some("document.officers"));
    check(&changed(|document| document.officers.clear()), Some("document.officers"));
    check(&changed(|document| document.officers.push(document.officers[0].clone())), Some("document.officers"));
    check(&changed(|document| document.officers[1] = document.officers[0].clone()), Some("document.officers"));
    check(&changed(|document| document.officers[1].unit.clear()), Some("document.officers"));
    check(&changed(|document| document.basis = " ".to_owned()), Some("document.basis"));
    check(&changed(|document| document.number.clear()), Some("document.number"));
    check(&request(Sealed::Export, Purpose::StatutoryRequest), Some("document"));
    check(&Request { purpose: Purpose::IncidentHandling, ..statutory() }, Some("document"));
}

#[test]
fn p21_a_range_beyond_the_document_is_refused() {
    check(&changed(|document| document.range.0 = at(-7199)), Some("document.from"));
    check(&changed(|document| document.range.1 = at(-3601)), Some("document.from"));
    check(&changed(|document| document.range = (at(-3600), at(-7200))), Some("document.until"));
    check(&changed(|document| document.range = (at(-9000), at(0))), None);
    check(&Request { range: (at(-3600), at(1)), ..statutory() }, Some("until"));
    check(&Request { range: (at(-32 * 86_400), at(-1)), ..statutory() }, Some("from"));
}

#[test]
fn p22_whom_a_picture_shows_views_it_with_the_units_consent() {
    let consent = Terms { consent: Some("file 3".to_owned()), ..Terms::default() };
    let viewing = request(Sealed::ViewOriginal, Purpose::DataSubjectAccess);
    check(&viewing, Some("consent"));
    check(&Request { terms: consent.clone(), ..viewing }, None);
    for action in [Sealed::Export, Sealed::Release, Sealed::Hold] {
        check(&Request { terms: consent.clone(), ..request(action, Purpose::DataSubjectAccess) }, Some("purpose"));
    }
    check(&Request { terms: consent, ..request(Sealed::Export, Purpose::IncidentHandling) }, Some("consent"));
}

#[test]
fn p23_an_organ_of_state_publishes_nothing_through_us() {
    check(&Request { action: Sealed::Release, ..statutory() }, Some("purpose"));
    check(&request(Sealed::Release, Purpose::IncidentHandling), None);
}

#[test]
fn p17_a_hold_names_its_case_and_ends() {
    let hold = |case: Option<&str>, days| {
        let terms = Terms { case: case.map(str::to_owned), days, ..Terms::default() };
        Request { terms, ..request(Sealed::Hold, Purpose::IncidentHandling) }
    };
    check(&hold(Some("case 5"), Some(30)), None);
    check(&hold(None, Some(30)), Some("case"));
    check(&hold(Some("case 5"), None), Some("days"));
    check(&hold(Some("case 5"), Some(0)), Some("days"));
    check(&hold(Some("case 5"), Some(31)), Some("days"));
    check(&Request { action: Sealed::Export, ..hold(Some("case 5"), Some(3)) }, Some("case"));
}

#[test]
fn bounds_are_told_with_their_field() {
    let plain = request(Sealed::Export, Purpose::IncidentHandling);
    check(&plain, None);
    check(&Request { minutes: 0, ..plain.clone() }, Some("minutes"));
    check(&Request { minutes: 241, ..plain.clone() }, Some("minutes"));
    check(&Request { reason: " ".to_owned(), ..plain.clone() }, Some("reason"));
    check(&Request { range: (at(-1), at(-2)), ..plain.clone() }, Some("until"));
    check(&Request { purpose: Purpose::AggregateStatistics, ..plain }, Some("purpose"));
}
