use proptest::prelude::*;

use super::*;

/// A box at this place of a line; boxes at different whole places don't touch.
fn seen(frame: u32, id: u64, place: f32) -> Sighting {
    Sighting { frame, id, bbox: BBox { x: place, y: 0.0, w: 0.5, h: 0.5 } }
}

/// Sightings of one trajectory that stays where it is.
fn stays(id: u64, frames: std::ops::Range<u32>, place: f32) -> Vec<Sighting> {
    frames.map(|frame| seen(frame, id, place)).collect()
}

fn check(truth: &[Vec<Sighting>], tracks: &[Vec<Sighting>], expected: Accuracy) -> Accuracy {
    let accuracy = evaluate(&truth.concat(), &tracks.concat());
    assert_eq!(accuracy, expected);
    accuracy
}

#[test]
fn perfect_tracks_are_measured_as_perfect_whatever_their_ids() {
    let truth = [stays(1, 0..10, 0.0), stays(2, 3..8, 2.0)];
    let tracks = [stays(2, 0..10, 0.0), stays(77, 3..8, 2.0)];
    let expected = Accuracy { n_true: 15, n_tracked: 15, n_matched: 15, n_switches: 0, n_identified: 15 };
    let all = check(&truth, &tracks, expected);
    assert_eq!([all.precision(), all.recall(), all.mota(), all.idf1()], [Some(1.0); 4]);
}

#[test]
fn ids_swapped_half_way_cost_two_switches_and_half_the_identities() {
    let truth = [stays(1, 0..10, 0.0), stays(2, 0..10, 2.0)];
    let tracks = [stays(1, 0..5, 0.0), stays(2, 5..10, 0.0), stays(2, 0..5, 2.0), stays(1, 5..10, 2.0)];
    let expected = Accuracy { n_true: 20, n_tracked: 20, n_matched: 20, n_switches: 2, n_identified: 10 };
    let all = check(&truth, &tracks, expected);
    assert_eq!((all.mota(), all.idf1()), (Some(0.9), Some(0.5)));
}

#[test]
fn a_track_that_breaks_after_three_quarters_costs_one_switch_and_a_quarter_of_the_identities() {
    let truth = [stays(1, 0..20, 0.0)];
    let tracks = [stays(1, 0..15, 0.0), stays(2, 15..20, 0.0)];
    let expected = Accuracy { n_true: 20, n_tracked: 20, n_matched: 20, n_switches: 1, n_identified: 15 };
    let all = check(&truth, &tracks, expected);
    assert_eq!((all.mota(), all.idf1()), (Some(0.95), Some(0.75)));
}

#[test]
fn a_new_track_after_a_gap_is_a_switch_and_the_gap_is_missed() {
    let truth = [stays(1, 0..10, 0.0)];
    let tracks = [stays(1, 0..4, 0.0), stays(2, 6..10, 0.0)];
    let expected = Accuracy { n_true: 10, n_tracked: 8, n_matched: 8, n_switches: 1, n_identified: 4 };
    let all = check(&truth, &tracks, expected);
    assert_eq!(all.mota(), Some(1.0 - 3.0 / 10.0));
    assert_eq!(all.idf1(), Some(8.0 / 18.0));
    assert_eq!((all.precision(), all.recall()), (Some(1.0), Some(0.8)));
}

#[test]
fn the_same_track_after_a_gap_is_no_switch() {
    let truth = [stays(1, 0..10, 0.0)];
    let tracks = [stays(1, 0..4, 0.0), stays(1, 6..10, 0.0)];
    check(&truth, &tracks, Accuracy { n_true: 10, n_tracked: 8, n_matched: 8, n_switches: 0, n_identified: 8 });
}

#[test]
fn a_pair_stays_while_it_overlaps_enough_although_another_track_is_closer() {
    let truth = [stays(1, 0..4, 0.0)];
    let further = [seen(0, 1, 0.0), seen(1, 1, 0.1), seen(2, 1, 0.1), seen(3, 1, 0.1)];
    let closer = [seen(1, 2, 0.0), seen(2, 2, 0.0), seen(3, 2, 0.0)];
    let tracks = [further.to_vec(), closer.to_vec()];
    check(&truth, &tracks, Accuracy { n_true: 4, n_tracked: 7, n_matched: 4, n_switches: 0, n_identified: 4 });
}

#[test]
fn as_many_pairs_as_possible_are_made_rather_than_the_closest_one() {
    // The track between the two could be the first one's best pair, which would leave the second without any.
    let truth = [vec![seen(0, 1, 0.0)], vec![seen(0, 2, 0.12)]];
    let tracks = [vec![seen(0, 1, 0.02)], vec![seen(0, 2, -0.14)]];
    let all = evaluate(&truth.concat(), &tracks.concat());
    assert_eq!((all.n_matched, all.n_identified), (2, 2));
}

#[test]
fn boxes_that_overlap_by_less_than_half_are_a_miss_and_a_false_alarm() {
    // Half of its width apart: a third in common.
    let all = evaluate(&[seen(0, 1, 0.0)], &[seen(0, 1, 0.25)]);
    assert_eq!((all.n_misses(), all.n_false_alarms(), all.mota(), all.idf1()), (1, 1, Some(-1.0), Some(0.0)));
    // Less than a third apart: more than half in common.
    assert_eq!(evaluate(&[seen(0, 1, 0.0)], &[seen(0, 1, 0.16)]).n_matched, 1);
}

#[test]
fn nothing_has_no_share() {
    let none = evaluate(&[], &[]);
    assert_eq!([none.precision(), none.recall(), none.mota(), none.idf1()], [None; 4]);
    let missed = evaluate(&stays(1, 0..3, 0.0), &[]);
    assert_eq!((missed.precision(), missed.recall(), missed.mota()), (None, Some(0.0), Some(0.0)));
    let invented = evaluate(&[], &stays(1, 0..3, 0.0));
    assert_eq!((invented.precision(), invented.recall(), invented.mota()), (Some(0.0), None, None));
}

/// Up to 4 ids in up to 6 frames, each id once in a frame.
fn any_sightings() -> impl Strategy<Value = Vec<Sighting>> {
    let place = prop::option::of(0.0f32..1.5);
    prop::collection::vec(place, 24).prop_map(|places| {
        let numbered = places.into_iter().zip(0u32..);
        numbered.filter_map(|(place, i)| place.map(|place| seen(i / 4, u64::from(i % 4), place))).collect()
    })
}

/// The best assignment by trying all.
fn n_identified_by_trying(truth: &[Sighting], tracks: &[Sighting], id: u64, taken: &mut [bool; 4]) -> u64 {
    if id == 4 {
        return 0;
    }
    let mut best = n_identified_by_trying(truth, tracks, id + 1, taken);
    for track in 0..4 {
        if taken[track] {
            continue;
        }
        taken[track] = true;
        let of_id = truth.iter().filter(|seen| seen.id == id);
        let is_shared = |seen: &&Sighting| {
            let same = |other: &&Sighting| other.frame == seen.frame && other.id == track as u64;
            tracks.iter().find(same).is_some_and(|other| seen.bbox.iou(&other.bbox) >= MIN_OVERLAP)
        };
        let n_shared = of_id.filter(is_shared).count() as u64;
        best = best.max(n_shared + n_identified_by_trying(truth, tracks, id + 1, taken));
        taken[track] = false;
    }
    best
}

proptest! {
    #[test]
    fn truth_measured_against_itself_is_perfect(truth in any_sightings()) {
        // Boxes of one frame that lie on each other may be paired crosswise at first, but never later.
        let all = evaluate(&truth, &truth);
        prop_assert_eq!((all.n_matched, all.n_identified), (all.n_true, all.n_true));
    }

    #[test]
    fn other_ids_of_tracks_change_nothing(truth in any_sightings(), tracks in any_sightings(), key in any::<u64>()) {
        let renamed: Vec<_> = tracks.iter().map(|seen| Sighting { id: seen.id ^ key, ..*seen }).collect();
        prop_assert_eq!(evaluate(&truth, &tracks), evaluate(&truth, &renamed));
    }

    #[test]
    fn identities_are_the_best_of_all_assignments(truth in any_sightings(), tracks in any_sightings()) {
        let best = n_identified_by_trying(&truth, &tracks, 0, &mut [false; 4]);
        prop_assert_eq!(evaluate(&truth, &tracks).n_identified, best);
    }

    #[test]
    fn shares_are_shares(truth in any_sightings(), tracks in any_sightings()) {
        let all = evaluate(&truth, &tracks);
        prop_assert!(all.n_matched <= all.n_true.min(all.n_tracked));
        prop_assert!(all.n_switches <= all.n_matched);
        for share in [all.precision(), all.recall(), all.idf1()].into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&share));
        }
        prop_assert!(all.mota().is_none_or(|mota| mota <= 1.0));
    }
}
