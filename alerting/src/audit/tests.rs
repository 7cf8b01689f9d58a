//! What an auditor relies on: whatever is done to rows, checkpoints or reasons, the first bad row is named.

use jiff::Timestamp;
use proptest::{prelude::*, sample::Index};

use super::{
    testing::{START, chain, chain_of, entry, signed_each},
    *,
};

/// A checkpoint at each so many rows.
const EACH: usize = 4;

/// Verifies what a store holds; no row is old enough to be cut.
fn check(rows: &[AuditRow], (checkpoints, keys): &(Vec<Checkpoint>, Keys)) -> Result<Verified, FirstBad> {
    check_since(Timestamp::MIN, rows, (checkpoints, keys))
}

fn check_since(
    hot_from: Timestamp,
    rows: &[AuditRow],
    (checkpoints, keys): (&[Checkpoint], &Keys),
) -> Result<Verified, FirstBad> {
    let witness = Witness { checkpoints: checkpoints.iter().cloned().map(Ok), keys };
    verify(rows.iter().cloned().map(Ok), [], witness, Extent::Live { hot_from })
}

fn first_bad(checked: Result<Verified, FirstBad>) -> Option<u64> {
    checked.err().map(|bad| bad.seq)
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let name = || "[a-z]{1,6}";
    let texts = (name(), name(), name());
    let optional = (proptest::option::of(name()), proptest::option::of(name()), proptest::option::of(name()));
    let hashes = (proptest::option::of(any::<[u8; 32]>()), any::<[u8; 32]>());
    let rest = (0..1_000_000_000_000_i64, any::<bool>(), proptest::collection::vec(name(), 0..3));
    let entry = (texts, optional, hashes, rest).prop_map(|(texts, optional, hashes, (micros, may, rule_ids))| Entry {
        utc: START.checked_add(jiff::SignedDuration::from_micros(micros)).unwrap(),
        actor: texts.0,
        unit: optional.0,
        assignment: optional.1,
        purpose: optional.2,
        reason: hashes.0.map(Hash),
        action: texts.1,
        resource: texts.2,
        decision: if may { Decision::Permit } else { Decision::Deny },
        rule_ids,
        policy_hash: Hash(hashes.1),
    });
    proptest::collection::vec(entry, 1..24)
}

const N_FIELDS: usize = 14;

/// Another value in one field, one byte away where it has bytes.
fn change(row: &mut AuditRow, field: usize, at: usize) {
    let byte = |bytes: &mut [u8]| bytes[at % bytes.len()] ^= 1;
    let text = |text: &mut String| {
        let mut bytes = std::mem::take(text).into_bytes();
        byte(&mut bytes);
        *text = String::from_utf8(bytes).unwrap();
    };
    let optional = |optional: &mut Option<String>| match optional {
        Some(_) if at.is_multiple_of(5) => *optional = None,
        Some(value) => text(value),
        None => *optional = Some(String::new()),
    };
    let entry = &mut row.entry;
    match field {
        0 => row.seq ^= 1 << (at % 64),
        1 => entry.utc = entry.utc.checked_add(jiff::SignedDuration::from_micros(1 + (at % 1000) as i64)).unwrap(),
        2 => text(&mut entry.actor),
        3 => optional(&mut entry.unit),
        4 => optional(&mut entry.assignment),
        5 => optional(&mut entry.purpose),
        6 => match &mut entry.reason {
            Some(reason) => byte(&mut reason.0),
            None => entry.reason = Some(Hash::ZERO),
        },
        7 => text(&mut entry.action),
        8 => text(&mut entry.resource),
        9 => {
            entry.decision = match entry.decision {
                Decision::Permit => Decision::Deny,
                Decision::Deny => Decision::Permit,
            }
        }
        10 => match entry.rule_ids.first_mut() {
            Some(id) => text(id),
            None => entry.rule_ids.push(String::new()),
        },
        11 => byte(&mut entry.policy_hash.0),
        12 => byte(&mut row.prev_hash.0),
        _ => byte(&mut row.hash.0),
    }
}

/// Chains rows anew from the one at this place on.
fn rehash(rows: &mut [AuditRow], from: usize) {
    for at in from..rows.len() {
        if at > 0 {
            rows[at].prev_hash = rows[at - 1].hash;
        }
        rows[at].hash = rows[at].computed_hash();
    }
}

/// The row of the first checkpoint from this row on.
fn next_signed(seq: usize, n_rows: usize) -> Option<u64> {
    let next = seq.div_ceil(EACH) * EACH;
    (next <= n_rows).then_some(next as u64)
}

proptest! {
    #[test]
    fn p27_an_untouched_chain_holds(entries in entries()) {
        let rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let n = rows.len() as u64;
        let n_checkpoints = n / EACH as u64;
        let last_signed = n_checkpoints * EACH as u64;
        let expected = Verified { n_rows: n, first: 1, last: n, n_checkpoints, last_signed, n_reasons: 0 };
        prop_assert_eq!(check(&rows, &signed), Ok(expected));
        prop_assert_eq!(check(&rows, &Default::default()).unwrap().last_signed, 0);
    }

    #[test]
    fn p27_a_changed_row_is_found(entries in entries(), row: Index, field in 0..N_FIELDS, at in 0..10_000_usize) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let row = row.index(rows.len());
        change(&mut rows[row], field, at);
        prop_assert_eq!(first_bad(check(&rows, &signed)), Some(row as u64 + 1));
        prop_assert_eq!(first_bad(check(&rows, &Default::default())), Some(row as u64 + 1));
    }

    /// The row's own hash is made to fit again; only the last one, while it isn't signed, can be changed so.
    #[test]
    fn p27_a_replaced_row_is_found(entries in entries(), row: Index, field in 1..12_usize, at in 0..10_000_usize) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let (row, n) = (row.index(rows.len()), rows.len());
        change(&mut rows[row], field, at);
        rows[row].hash = rows[row].computed_hash();
        let expected = (row + 1 < n || n.is_multiple_of(EACH)).then_some(row as u64 + 1);
        prop_assert_eq!(first_bad(check(&rows, &signed)), expected);
    }

    /// All that follows is chained anew: the next checkpoint tells, and the one before it bounds where it began.
    #[test]
    fn p27_a_rewritten_end_is_found_at_the_next_checkpoint(entries in entries(), row: Index, field in 1..12_usize) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let row = row.index(rows.len());
        change(&mut rows[row], field, 0);
        rehash(&mut rows, row);
        let expected = next_signed(row + 1, rows.len()).map(|seq| {
            FirstBad { seq, what: Fault::NotAsSigned { after: seq - EACH as u64 } }
        });
        prop_assert_eq!(check(&rows, &signed).err(), expected);
    }

    #[test]
    fn p27_a_dropped_row_is_found(entries in entries(), row: Index) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let (row, n) = (row.index(rows.len()), rows.len());
        rows.remove(row);
        let expected = (row + 1 < n || n.is_multiple_of(EACH)).then_some(row as u64 + 1);
        prop_assert_eq!(first_bad(check(&rows, &signed)), expected);
    }

    #[test]
    fn p27_a_row_that_comes_twice_is_found(entries in entries(), row: Index, to: Index) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let row = row.index(rows.len());
        let to = row + 1 + to.index(rows.len() - row);
        rows.insert(to, rows[row].clone());
        prop_assert_eq!(first_bad(check(&rows, &signed)), Some(row as u64 + 1));
    }

    #[test]
    fn p27_an_inserted_row_is_found(entries in entries(), row: Index, other in entries()) {
        let mut rows = chain_of(entries);
        prop_assume!(rows.len() > 1);
        let signed = signed_each(EACH, &rows);
        let row = row.index(rows.len() - 1);
        let head = row.checked_sub(1).map_or(Head::GENESIS, |before| rows[before].head());
        rows.insert(row, append(head, other[0].clone()).unwrap());
        prop_assert_eq!(first_bad(check(&rows, &signed)), Some(row as u64 + 1));
    }

    #[test]
    fn p27_reordered_rows_are_found(entries in entries(), one: Index, other: Index, swaps: bool) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let (one, other) = (one.index(rows.len()), other.index(rows.len()));
        prop_assume!(one != other);
        if swaps {
            rows.swap(one, other);
        } else {
            let moved = rows.remove(one);
            rows.insert(other, moved);
        }
        prop_assert_eq!(first_bad(check(&rows, &signed)), Some(one.min(other) as u64 + 1));
    }

    #[test]
    fn p27_entries_that_changed_places_are_found(entries in entries(), one: Index, other: Index) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let (one, other) = (one.index(rows.len()), other.index(rows.len()));
        prop_assume!(rows[one].entry != rows[other].entry);
        let entry = rows[other].entry.clone();
        rows[other].entry = std::mem::replace(&mut rows[one].entry, entry);
        prop_assert_eq!(first_bad(check(&rows, &signed)), Some(one.min(other) as u64 + 1));
    }

    /// What was cut off after the last checkpoint can't be seen.
    #[test]
    fn p27_a_lost_end_is_found_up_to_the_last_checkpoint(entries in entries(), left: Index) {
        let mut rows = chain_of(entries);
        let signed = signed_each(EACH, &rows);
        let (left, last_signed) = (left.index(rows.len()), rows.len() / EACH * EACH);
        rows.truncate(left);
        let expected = (left < last_signed).then_some(left as u64 + 1);
        prop_assert_eq!(first_bad(check(&rows, &signed)), expected);
    }

    #[test]
    fn p27_a_lost_beginning_is_found(entries in entries(), gone: Index) {
        let rows = chain_of(entries);
        prop_assume!(rows.len() > 1);
        let signed = signed_each(EACH, &rows);
        let gone = 1 + gone.index(rows.len() - 1);
        prop_assert_eq!(first_bad(check(&rows[gone..], &signed)), Some(1));
    }

    /// Rows may begin behind a checkpoint that is old enough; then, too, a changed row is named.
    #[test]
    fn p27_a_chain_that_was_cut_holds_from_its_anchor(n_rows in 10..30_usize, row: Index, field in 0..N_FIELDS, at: usize) {
        let day = |day: usize| START.checked_add(jiff::SignedDuration::from_hours(24 * day as i64)).unwrap();
        let mut rows = chain_of((0..n_rows).map(|n| entry(day(n))).collect());
        let (checkpoints, keys) = signed_each(EACH, &rows);
        let signed = (checkpoints.as_slice(), &keys);
        let old = check_since(day(8), &rows[8..], signed);
        prop_assert_eq!(old.map(|verified| (verified.first, verified.last)), Ok((9, n_rows as u64)));
        let young = check_since(day(7), &rows[8..], signed);
        prop_assert_eq!(young, Err(FirstBad { seq: 5, what: Fault::CutTooEarly { cut_at: 8 } }));
        prop_assert_eq!(first_bad(check_since(day(8), &rows[9..], signed)), Some(9), "no checkpoint signed row 9");
        let row = 8 + row.index(n_rows - 8);
        change(&mut rows[row], field, at);
        prop_assert_eq!(first_bad(check_since(day(8), &rows[8..], signed)), Some(row as u64 + 1));
    }

    #[test]
    fn p27_a_changed_checkpoint_is_found(place: Index, field in 0..6, at in 0..10_000_usize) {
        let rows = chain(22);
        let mut signed = signed_each(EACH, &rows);
        let checkpoint = &mut signed.0[place.index(5)];
        let seq = checkpoint.head.seq;
        let byte = |bytes: &mut [u8]| bytes[at % bytes.len()] ^= 1;
        match field {
            0 => checkpoint.head.seq ^= 1 << (at % 64),
            1 => byte(&mut checkpoint.head.hash.0),
            2 => checkpoint.utc = checkpoint.utc.checked_add(jiff::SignedDuration::from_micros(1)).unwrap(),
            3 => byte(&mut checkpoint.key_id.0),
            4 => byte(&mut checkpoint.previous.0),
            _ => byte(&mut checkpoint.signature),
        }
        let bad = check(&rows, &signed).unwrap_err();
        let is_unknown = matches!(bad.what, Fault::UnknownKey(_));
        prop_assert!(if field == 3 { is_unknown } else { bad.what == Fault::Forged }, "{bad}");
        // Where its row was changed nobody knows of which row it was, only that those before hold.
        prop_assert!(if field == 0 { bad.seq > seq - EACH as u64 } else { bad.seq == seq }, "{bad}");
    }

    #[test]
    fn p27_a_bad_row_is_named_before_a_bad_checkpoint_that_comes_later(row in 0..7_usize) {
        let mut rows = chain(10);
        let mut signed = signed_each(EACH, &rows);
        signed.0[1].signature[0] ^= 1;
        rows[row].entry.actor.push('x');
        prop_assert_eq!(first_bad(check(&rows, &signed)), Some(row as u64 + 1));
    }

    /// Whatever byte of an export is changed, the line is named.
    #[test]
    fn p27_a_changed_byte_of_an_export_is_found(entries in entries(), at: Index, flip in 1..=255_u8) {
        let rows = chain_of(entries);
        let (mut bytes, mut line_of) = (Vec::new(), Vec::new());
        for row in &rows {
            lines::write_row(&mut bytes, row).unwrap();
            line_of.resize(bytes.len(), row.seq);
        }
        let keys = Keys::default();
        let read = |bytes: &[u8]| {
            let witness = Witness { checkpoints: std::iter::empty(), keys: &keys };
            verify(lines::rows(bytes), [], witness, Extent::Live { hot_from: Timestamp::MIN })
        };
        prop_assert_eq!(read(&bytes).unwrap().n_rows, rows.len() as u64);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_eq!(first_bad(read(&bytes)), Some(line_of[at]));
    }

    #[test]
    fn p27_what_is_written_is_read_again(entries in entries(), texts in proptest::collection::vec(any::<String>(), 3)) {
        let mut entries = entries;
        (entries[0].actor, entries[0].resource) = (format!("a{}", texts[0]), format!("b{}", texts[1]));
        let utf8_len = entries[0].actor.len().max(entries[0].resource.len());
        prop_assume!(utf8_len <= 256);
        let rows = chain_of(entries);
        let mut bytes = Vec::new();
        rows.iter().for_each(|row| lines::write_row(&mut bytes, row).unwrap());
        let read: Result<Vec<AuditRow>, _> = lines::rows(bytes.as_slice()).collect();
        prop_assert_eq!(read.unwrap(), rows);
        let reason = Reason::new(texts[2].as_str());
        let mut bytes = Vec::new();
        lines::write_reason(&mut bytes, 7, &reason).unwrap();
        prop_assert_eq!(lines::reasons(bytes.as_slice()).next(), Some(Ok((7, reason))));
    }

    /// Deleted reasons leave the chain whole; one that was changed, or stands beside another row, is found.
    #[test]
    fn p19_reasons_may_go_and_may_not_change(kept in proptest::collection::vec(any::<bool>(), 2..12), bad: Index, next: Index) {
        let reasons: Vec<Reason> = (0..kept.len()).map(|n| Reason::new(format!("report {}", n % 2))).collect();
        let given = reasons.iter().map(|reason| Entry { reason: Some(reason.commitment()), ..entry(START) });
        let rows = chain_of(given.collect());
        let keys = Keys::default();
        let checked = |reasons: &[(u64, Reason)]| {
            let witness = Witness { checkpoints: std::iter::empty(), keys: &keys };
            let reasons = reasons.iter().cloned().map(Ok);
            verify(rows.iter().cloned().map(Ok), reasons, witness, Extent::Live { hot_from: Timestamp::MIN })
        };
        let numbered = (1_u64..).zip(reasons).zip(&kept).filter(|(_, kept)| **kept);
        let left: Vec<(u64, Reason)> = numbered.map(|(reason, _)| reason).collect();
        prop_assert_eq!(checked(&left).unwrap().n_reasons, left.len() as u64);
        prop_assume!(left.len() > 1);

        let bad = bad.index(left.len());
        let other = (bad + 1 + next.index(left.len() - 1)) % left.len();
        let swapped = |seq| Err(FirstBad { seq, what: Fault::ReasonSwapped });
        let mut changed = left.clone();
        changed[bad].1.text.push('!');
        prop_assert_eq!(checked(&changed), swapped(left[bad].0));
        let mut changed = left.clone();
        (changed[bad].1, changed[other].1) = (left[other].1.clone(), left[bad].1.clone());
        prop_assert_eq!(checked(&changed), swapped(left[bad.min(other)].0), "also where both have the same text");
    }
}

/// Computed by the verifier in `docs/audit.md`, which shares no code with ours.
#[test]
fn p27_bytes_are_those_that_are_documented() {
    let reason = Reason { salt: [7; 32], text: "居民报警 noise".to_owned() };
    let utc = "2026-11-23T08:00:00.123456789Z".parse().unwrap();
    let first = Entry { unit: None, reason: Some(reason.commitment()), ..entry(utc) };
    let second = Entry { decision: Decision::Deny, rule_ids: Vec::new(), purpose: None, ..entry(START) };
    let rows = chain_of(vec![first, second]);
    let mut bytes = Vec::new();
    rows.iter().for_each(|row| lines::write_row(&mut bytes, row).unwrap());
    assert_eq!(String::from_utf8(bytes).unwrap(), include_str!("sample/rows.jsonl"));

    let checkpoints: Result<Vec<Checkpoint>, _> =
        lines::checkpoints(&include_bytes!("sample/checkpoints.jsonl")[..]).collect();
    let checkpoints = checkpoints.unwrap();
    let key = PublicKey::load(concat!(env!("CARGO_MANIFEST_DIR"), "/src/audit/sample/key.pem").as_ref()).unwrap();
    let verified = check(&rows, &(checkpoints, Keys(vec![key]))).unwrap();
    assert_eq!((verified.n_rows, verified.n_checkpoints), (2, 2));
}

#[test]
fn p27_removed_repeated_and_foreign_checkpoints_are_found() {
    let rows = chain(22);
    let signed = signed_each(EACH, &rows);
    let changed = |change: fn(&mut Vec<Checkpoint>)| {
        let mut checkpoints = signed.0.clone();
        change(&mut checkpoints);
        check(&rows, &(checkpoints, signed.1.clone()))
    };
    let misplaced = |seq, after| Err(FirstBad { seq, what: Fault::CheckpointMisplaced { after } });
    assert_eq!(changed(|all| _ = all.remove(0)), misplaced(8, 0));
    assert_eq!(changed(|all| _ = all.remove(2)), misplaced(16, 8));
    assert_eq!(changed(|all| all.insert(2, all[1].clone())), misplaced(9, 8));
    assert_eq!(changed(|all| all.swap(1, 2)), misplaced(12, 4));
    assert_eq!(changed(|all| all.truncate(3)).unwrap().last_signed, 12, "the last ones can go unseen");
    let foreign = signed_each(EACH, &rows);
    let key_id = foreign.0[0].key_id;
    let refused = check(&rows, &(foreign.0, signed.1.clone()));
    assert_eq!(refused, Err(FirstBad { seq: 4, what: Fault::UnknownKey(key_id) }));
}

#[test]
fn p27_an_archive_begins_and_ends_with_a_signed_row() {
    let rows = chain(22);
    let (checkpoints, keys) = signed_each(EACH, &rows);
    let archived = |from: usize, to: usize| {
        let witness = Witness { checkpoints: checkpoints.iter().cloned().map(Ok), keys: &keys };
        first_bad(verify(rows[from..to].iter().cloned().map(Ok), [], witness, Extent::Archive))
    };
    assert_eq!((archived(0, 8), archived(4, 8), archived(8, 20)), (None, None, None));
    assert_eq!((archived(0, 7), archived(4, 22), archived(5, 8)), (Some(7), Some(22), Some(5)));
}

#[test]
fn p27_entries_are_bounded() {
    let refused = |change: fn(&mut Entry)| {
        let mut entry = entry(START);
        change(&mut entry);
        append(Head::GENESIS, entry).map_err(|error| error.to_string()).err()
    };
    type Change = fn(&mut Entry);
    let cases: [(Change, Option<&str>); 7] = [
        (|entry| entry.unit = None, None),
        (|entry| entry.actor.clear(), Some("actor is empty; name it")),
        (|entry| entry.purpose = Some(String::new()), Some("purpose is empty; name it")),
        (|entry| entry.action = "x".repeat(257), Some("action has 257 bytes; keep it to 256")),
        (|entry| entry.resource = "x".repeat(1025), Some("resource has 1025 bytes; keep it to 1024")),
        (|entry| entry.rule_ids = vec!["x".to_owned(); 65], Some("65 rule ids; name the 64 that decided")),
        (|entry| entry.rule_ids.push(String::new()), Some("rule_ids is empty; name it")),
    ];
    for (change, expected) in cases {
        assert_eq!(refused(change).as_deref(), expected);
    }
    let full = Head { seq: u64::MAX, hash: Hash::ZERO };
    assert_eq!(append(full, entry(START)), Err(EntryError::Full));
}

#[test]
fn p19_a_text_fits_only_its_own_commitment() {
    let (one, again) = (Reason::new("noise"), Reason::new("noise"));
    assert!(one.fits(one.commitment()));
    assert_ne!(one.commitment(), again.commitment(), "the same text can't be recognised");
    let other = Reason { text: "noises".to_owned(), ..one.clone() };
    assert!(!other.fits(one.commitment()));
    assert_eq!(format!("{one:?}"), "Reason");
}
