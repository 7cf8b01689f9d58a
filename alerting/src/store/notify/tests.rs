use jiff::SignedDuration;

use super::*;
use crate::{
    notify::testing::channel,
    store::{Place, Store, testing},
};

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_secs(second)).unwrap()
}

/// A camera that is silent from `second` on, so that an incident opens 20 seconds later.
fn fail(store: &Store, camera: &str, (second, position): (i64, u64)) {
    let (applier, batch) =
        (testing::applier(testing::rules(testing::OFFLINE)), testing::silent(camera, at(second), position));
    store.write_blocking(move |tx| applier.apply(tx, &batch, at(second + 20))).unwrap();
}

/// What each of two instances would deliver at this second; both look.
fn delivered_at(place: &Place, second: i64) -> Vec<Message> {
    let wanted = channel("");
    let mut delivered = Vec::new();
    for _ in 0..2 {
        let (store, channel) = (Store::open(place).unwrap(), wanted.clone());
        let messages = store.write_blocking(move |tx| {
            while advance(tx, &channel, at(second))? {}
            let mut messages = Vec::new();
            while let Some(leased) = lease(tx, &channel, at(second))? {
                settle(tx, &leased, &Delivery::Delivered, at(second))?;
                messages.push(leased.message);
            }
            Ok(messages)
        });
        delivered.extend(messages.unwrap());
    }
    delivered
}

#[test]
fn an_incident_is_told_once_however_many_instances_look() {
    testing::on_both(|place| {
        let store = Store::open(place).unwrap();
        assert_eq!(delivered_at(place, 0), [], "a new channel begins with what changes from now on");
        fail(&store, "a", (0, 0));
        assert_eq!(delivered_at(place, 25), [], "a burst is gathered first");
        let told = delivered_at(place, 60);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(delivered_at(place, 61), []);
    });
}

/// Something that happens to the one incident at a second.
fn happens(store: &Store, action: &str, to: &str, second: i64) {
    let at = at(second).as_microsecond();
    let sql = format!(
        "UPDATE incident SET state = '{to}';
         INSERT INTO change (incident, version, at, actor_kind, actor, action, from_state, to_state)
         SELECT id, version, {at}, 'job', 'test', '{action}', state, '{to}' FROM incident"
    );
    store.write_blocking(move |tx| tx.batch(&sql)).unwrap();
}

#[test]
fn an_incident_whose_region_grows_ends_where_it_was_told() {
    testing::on_both(|place| {
        let store = Store::open(place).unwrap();
        delivered_at(place, 0);
        fail(&store, "a", (0, 0));
        assert_eq!(delivered_at(place, 60).len(), 1);
        store.write_blocking(|tx| tx.batch("UPDATE incident SET region = '3402031'")).unwrap();
        happens(&store, "discard", "discarded", 70);
        delivered_at(place, 71);
        let left = |tx: &Tx<'_>| tx.value::<i64>("SELECT count(*) FROM notify_group WHERE json LIKE '%urgency%'", &[]);
        assert_eq!(store.write_blocking(left).unwrap(), 0, "nobody is reminded of it for ever");
    });
}

#[test]
fn once_somebody_has_answered_a_deadline_nobody_else_is_told_of_it() {
    testing::on_both(|place| {
        let store = Store::open(place).unwrap();
        delivered_at(place, 0);
        fail(&store, "a", (0, 0));
        assert_eq!(delivered_at(place, 60).len(), 1);
        happens(&store, "report", "reported", 70);
        happens(&store, "overdue", "reported", 1000);
        assert_eq!(delivered_at(place, 1001), [], "a burst is gathered first");
        happens(&store, "acknowledge", "reported", 1010);
        assert_eq!(delivered_at(place, 9000), []);
        happens(&store, "overdue", "reported", 9001);
        delivered_at(place, 9002);
        assert_eq!(delivered_at(place, 20_000).len(), 1, "the next one is news");
    });
}

#[test]
fn a_message_that_does_not_arrive_is_tried_again_and_then_given_up() {
    testing::on_both(|place| {
        let store = Store::open(place).unwrap();
        delivered_at(place, 0);
        fail(&store, "a", (0, 0));
        let wanted = channel("");
        let attempt = |second: i64, delivery: Delivery| {
            let channel = wanted.clone();
            let tried = store.write_blocking(move |tx| {
                advance(tx, &channel, at(second))?;
                let Some(leased) = lease(tx, &channel, at(second))? else { return Ok(None) };
                let nobody_else = lease(tx, &channel, at(second))?;
                assert!(nobody_else.is_none(), "leased by one at a time");
                let is_dead = settle(tx, &leased, &delivery, at(second))?;
                Ok(Some((leased.message.id, leased.n_tries, is_dead)))
            });
            tried.unwrap()
        };
        let away = || Delivery::Retry { after: None, reason: "away".to_owned() };
        let (id, ..) = attempt(60, away()).unwrap();
        assert_eq!(attempt(61, away()), None, "not before its time");
        assert_eq!(attempt(70, away()), Some((id, 2, false)));
        let gone = Delivery::Dead { reason: "gone".to_owned() };
        assert_eq!(attempt(200, gone), Some((id, 3, true)));
        assert_eq!(attempt(9_000, away()), None, "given up for good");
    });
}
