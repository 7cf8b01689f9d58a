//! One simulated camera and street: a person is there from and to given frames; the analysis is played by the test.

use super::*;
use crate::access_unit::Codec;

const FPS: i64 = 25;

/// A camera's coding, and what happens before it.
struct Street {
    gop: i64,
    /// Bytes of a quiet and a busy access unit between keyframes.
    sizes: (usize, usize),
    keyframe_bytes: usize,
    n_frames: i64,
    /// Frames in which somebody moves.
    moving: Vec<std::ops::Range<i64>>,
    /// The same of whom the sizes don't show.
    faint: Vec<std::ops::Range<i64>>,
    /// Frames in which somebody stands.
    standing: Vec<std::ops::Range<i64>>,
    /// Whether stream decoders are to be had.
    may_open: bool,
}

impl Default for Street {
    fn default() -> Self {
        Self {
            gop: 50,
            sizes: (176, 272),
            keyframe_bytes: 60_000,
            n_frames: 5000,
            moving: Vec::new(),
            faint: Vec::new(),
            standing: Vec::new(),
            may_open: true,
        }
    }
}

/// What a run came to.
struct Outcome {
    gate: Adaptive,
    /// Frames that were analysed in sequence.
    analysed: Vec<i64>,
    carried: Vec<i64>,
    n_stills: usize,
}

fn once(frames: std::ops::Range<i64>) -> Vec<std::ops::Range<i64>> {
    std::iter::once(frames).collect()
}

fn at(frame: i64) -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_000 + frame * 1000 / FPS).unwrap()
}

fn frame_of(at: Timestamp) -> i64 {
    (at.as_millisecond() - 1_790_000_000_000) * FPS / 1000
}

impl Street {
    fn is_in(ranges: &[std::ops::Range<i64>], frame: i64) -> bool {
        ranges.iter().any(|range| range.contains(&frame))
    }

    fn unit(&self, frame: i64) -> AccessUnit {
        let keyframe = frame % self.gop == 0;
        let between = if Self::is_in(&self.moving, frame) { self.sizes.1 } else { self.sizes.0 };
        let n_bytes = if keyframe { self.keyframe_bytes } else { between };
        AccessUnit {
            codec: Codec::H264,
            keyframe,
            captured_at: at(frame),
            lost_packets: 0,
            bytes: vec![0; n_bytes].into(),
        }
    }

    /// Five analysed frames a second, and what a check compares: who was there at the last look.
    fn run(&self) -> Outcome {
        let mut outcome = Outcome { gate: Adaptive::new(), analysed: Vec::new(), carried: Vec::new(), n_stills: 0 };
        let mut seen_standing = false;
        for frame in 0..self.n_frames {
            let mut jobs = Vec::new();
            outcome.gate.take(self.unit(frame), self.may_open, &mut jobs);
            while !jobs.is_empty() {
                for verdict in self.analyse(std::mem::take(&mut jobs), &mut outcome, &mut seen_standing) {
                    outcome.gate.hear(verdict, self.may_open, &mut jobs);
                }
            }
        }
        outcome
    }

    fn analyse(&self, jobs: Vec<Job>, outcome: &mut Outcome, seen_standing: &mut bool) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for job in jobs {
            if let Job::Carry { at } = job {
                outcome.carried.push(frame_of(at));
            }
            let Job::Decode { unit, purpose, mode } = job else { continue };
            let frame = frame_of(unit.captured_at);
            let moves = Self::is_in(&self.moving, frame) || Self::is_in(&self.faint, frame);
            let stands = Self::is_in(&self.standing, frame);
            outcome.n_stills += usize::from(mode == Mode::Still);
            let finding = match purpose {
                Purpose::Check if moves || stands != *seen_standing => Finding::Moving,
                _ if moves => Finding::Moving,
                _ if stands => Finding::Standing,
                _ => Finding::Nobody,
            };
            if purpose != Purpose::Check {
                if frame % 5 != 0 || outcome.analysed.last().is_some_and(|last| *last >= frame) {
                    continue;
                }
                outcome.analysed.push(frame);
                *seen_standing = stands;
            }
            verdicts.push(Verdict { at: unit.captured_at, purpose, finding, is_settled: true });
        }
        verdicts
    }
}

impl Outcome {
    fn analysed_all_of(&self, range: std::ops::Range<i64>) -> bool {
        range.filter(|frame| frame % 5 == 0).all(|frame| self.analysed.contains(&frame))
    }

    fn share_analysed(&self, n_frames: i64) -> f64 {
        self.analysed.len() as f64 * 5.0 / n_frames as f64
    }
}

/// A street on which nobody ever comes, with sizes like these: closed, by this evidence and so many looks.
fn check_quiet(sizes: (usize, usize), evidence: Evidence, n_stills: std::ops::RangeInclusive<usize>) {
    let outcome = Street { sizes, ..Street::default() }.run();
    assert!(!outcome.gate.is_open());
    assert_eq!(outcome.gate.evidence(), evidence);
    assert!(outcome.share_analysed(5000) < 0.05, "{}", outcome.share_analysed(5000));
    assert!(n_stills.contains(&outcome.n_stills), "{}", outcome.n_stills);
}

#[test]
fn quiet_street_is_closed_and_looked_at_by_keyframes() {
    check_quiet((9143, 9083), Evidence::Keyframes, 90..=100);
}

#[test]
fn where_next_to_nothing_is_coded_sizes_are_trusted_before_anybody_came_and_keyframes_looked_at_every_five_seconds() {
    check_quiet((176, 272), Evidence::Sizes, 30..=36);
}

#[test]
fn the_first_whom_next_to_nothing_does_not_show_is_analysed_whole_if_long_there_and_then_keyframes_decide() {
    let first = 1010..1170;
    let later = vec![2049..2100, 3001..3055];
    let faint: Vec<_> = std::iter::once(first).chain(later).collect();
    let outcome = Street { faint: faint.clone(), ..Street::default() }.run();
    assert!(faint.into_iter().all(|walker| outcome.analysed_all_of(walker)));
    assert_eq!(outcome.gate.evidence(), Evidence::Keyframes);
}

#[test]
fn sizes_earn_trust_and_then_keyframes_are_looked_at_less_often() {
    let walkers = vec![1000..1100, 2000..2100];
    let quiet = Street { n_frames: 10_000, moving: walkers.clone(), ..Street::default() }.run();
    assert_eq!(quiet.gate.evidence(), Evidence::Sizes);
    assert!(quiet.n_stills < 140, "{}", quiet.n_stills);
    assert!(walkers.into_iter().all(|walker| quiet.analysed_all_of(walker)));
}

#[test]
fn walkers_whom_sizes_don_t_show_beside_cars_are_analysed_once_a_few_were_missed() {
    let minutes = 0..40;
    let at_second = |second: i64| move |minute: i64| (60 * minute + second) * FPS..(60 * minute + second + 6) * FPS;
    let cars = [5, 20, 35].into_iter().flat_map(|second| minutes.clone().map(at_second(second))).collect();
    let walkers: Vec<_> = minutes.clone().map(at_second(47)).collect();
    let street = Street {
        sizes: (176, 20_000),
        n_frames: 60 * FPS * minutes.end,
        moving: cars,
        faint: walkers.clone(),
        ..Street::default()
    };
    let outcome = street.run();
    let n_missed = walkers.iter().filter(|walker| !outcome.analysed_all_of((*walker).clone())).count();
    assert!(n_missed <= 3, "{n_missed}");
    assert_eq!(outcome.gate.evidence(), Evidence::Keyframes);
}

#[test]
fn constant_bit_rate_goes_by_keyframes_and_misses_no_walker() {
    let walkers = vec![1030..1130, 2049..2100, 3001..3055];
    let street = Street { sizes: (9143, 9083), moving: walkers.clone(), ..Street::default() };
    let outcome = street.run();
    assert_eq!(outcome.gate.evidence(), Evidence::Keyframes);
    assert!(walkers.into_iter().all(|walker| outcome.analysed_all_of(walker)));
    assert!(outcome.share_analysed(5000) < 0.2);
}

#[test]
fn long_groups_without_a_signal_are_decoded_whole() {
    let outcome = Street { gop: 250, sizes: (9143, 9083), ..Street::default() }.run();
    assert_eq!(outcome.gate.evidence(), Evidence::Everything);
    assert!(outcome.gate.is_open() && outcome.share_analysed(5000) > 0.99);
}

#[test]
fn long_groups_with_a_signal_are_gated() {
    let walkers = vec![1000..1100, 3010..3200];
    let outcome = Street { gop: 250, n_frames: 8000, moving: walkers.clone(), ..Street::default() }.run();
    assert_eq!(outcome.gate.evidence(), Evidence::Sizes);
    assert!(walkers.into_iter().all(|walker| outcome.analysed_all_of(walker)));
    assert!(outcome.share_analysed(8000) < 0.5, "{}", outcome.share_analysed(8000));
}

#[test]
fn who_stands_still_is_confirmed_by_every_keyframe_where_sizes_say_nothing() {
    let street = Street { sizes: (9143, 9083), moving: once(500..600), standing: once(600..4000), ..Street::default() };
    let outcome = street.run();
    assert!(outcome.share_analysed(5000) < 0.15, "{}", outcome.share_analysed(5000));
    assert!(outcome.n_stills >= 85, "{}", outcome.n_stills);
    assert!(outcome.carried.is_empty(), "nothing vouches for what is between keyframes");
    assert!(outcome.analysed_all_of(4000..4010), "that it left must be analysed");
}

#[test]
fn who_stands_still_is_carried_while_sizes_vouch_and_confirmed_now_and_then() {
    let street = Street { moving: vec![250..350, 500..600], standing: once(600..4000), ..Street::default() };
    let outcome = street.run();
    assert!(outcome.share_analysed(5000) < 0.15, "{}", outcome.share_analysed(5000));
    assert!((14..40).contains(&outcome.n_stills), "{}", outcome.n_stills);
    let closed = outcome.carried.first().copied().unwrap_or(5000)..4000;
    assert!(closed.start < 1000, "{}", closed.start);
    assert!(closed.clone().step_by(50).all(|frame| outcome.carried.iter().any(|at| (at - frame).abs() <= 50)));
    assert!(outcome.analysed_all_of(4000..4010), "that it left must be analysed");
}

#[test]
fn an_opening_begins_with_the_group_in_which_the_sizes_began_to_rise() {
    let street = Street { n_frames: 10_000, moving: vec![250..350, 500..700, 8040..8100], ..Street::default() };
    let outcome = street.run();
    let first = outcome.analysed.iter().copied().find(|frame| *frame > 7000);
    assert!(first.is_some_and(|first| (7950..=8040).contains(&first)), "{first:?}");
    assert!(outcome.analysed_all_of(8040..8100));
}

#[test]
fn groups_too_large_to_keep_are_decoded_whole() {
    let outcome = Street { sizes: (60_000, 61_000), ..Street::default() }.run();
    assert_eq!(outcome.gate.evidence(), Evidence::Everything);
    assert!(outcome.gate.is_open());
}

#[test]
fn without_a_decoder_keyframes_are_analysed() {
    let outcome = Street { may_open: false, moving: once(1000..2000), ..Street::default() }.run();
    assert!(!outcome.gate.is_open());
    assert!(outcome.n_stills >= 95);
}

#[test]
fn a_session_that_ends_keeps_what_was_learned() {
    let mut outcome = Street { n_frames: 10_000, moving: vec![1000..1200, 2000..2100], ..Street::default() }.run();
    outcome.gate.interrupted();
    let mut jobs = Vec::new();
    let street = Street::default();
    for frame in 20_000..20_052 {
        outcome.gate.take(street.unit(frame), true, &mut jobs);
    }
    assert_eq!(outcome.gate.evidence(), Evidence::Sizes);
}

proptest::proptest! {
    #[test]
    fn whoever_moves_across_a_keyframe_is_analysed(
        gop in proptest::sample::select(vec![25i64, 50, 100, 250]),
        sizes in proptest::prop_oneof![(proptest::strategy::Just(176), 250usize..2000), (proptest::strategy::Just(9143), 7500usize..12_000)],
        walkers in proptest::collection::vec((300i64..3800, 60i64..200), 0..4),
    ) {
        let moving: Vec<_> = walkers.iter().map(|&(from, n)| from..from + n).collect();
        let street = Street { gop, sizes, n_frames: 4000, moving: moving.clone(), ..Street::default() };
        let outcome = street.run();
        for walker in moving {
            let crosses_keyframe = (walker.start..walker.end).any(|frame| frame % gop == 0);
            if crosses_keyframe {
                proptest::prop_assert!(outcome.analysed_all_of(walker.clone()), "{:?} of {:?}", walker, street.moving);
            }
        }
    }

    #[test]
    fn jobs_always_decode_from_a_keyframe_on(
        units in proptest::collection::vec((0usize..40_000, -300i64..2000, proptest::bool::ANY, proptest::bool::ANY, 0u8..4), 1..300),
    ) {
        let mut gate = Adaptive::new();
        let (mut time, mut streams, mut may_go_on) = (0i64, false, false);
        for (n_bytes, step, keyframe, may_open, heard) in units {
            time += step;
            let captured_at = at(0).checked_add(SignedDuration::from_millis(time)).unwrap();
            let bytes = vec![0; n_bytes].into();
            let unit = AccessUnit { codec: Codec::H264, keyframe, captured_at, lost_packets: 0, bytes };
            let mut jobs = Vec::new();
            gate.take(unit, may_open, &mut jobs);
            if heard > 0 {
                let finding = [Finding::Nobody, Finding::Standing, Finding::Moving][usize::from(heard) - 1];
                for purpose in [Purpose::Check, Purpose::Live] {
                    gate.hear(Verdict { at: captured_at, purpose, finding, is_settled: true }, may_open, &mut jobs);
                }
            }
            for job in jobs {
                match job {
                    Job::BeginStream => (streams, may_go_on) = (true, false),
                    Job::EndStream => streams = false,
                    Job::Decode { unit, mode: Mode::Stream, .. } => {
                        proptest::prop_assert!(streams && (may_go_on || unit.keyframe));
                        may_go_on = true;
                    }
                    Job::Decode { unit, mode: Mode::Still, .. } => proptest::prop_assert!(unit.keyframe),
                    Job::Carry { .. } => proptest::prop_assert!(!streams),
                }
            }
            proptest::prop_assert_eq!(gate.is_open(), streams);
        }
    }
}

#[test]
fn who_moves_in_a_picture_that_was_on_its_way_when_the_gate_closed_opens_it_again() {
    let street = Street { n_frames: 1000, ..Street::default() };
    let mut gate = street.run().gate;
    assert!(!gate.is_open());
    let State::Closed { closed_at: Some(closed_at), .. } = gate.state else { panic!("it never was open") };
    let mut jobs = Vec::new();
    let verdict = |at| Verdict { at, purpose: Purpose::Live, finding: Finding::Moving, is_settled: true };
    gate.hear(verdict(closed_at), true, &mut jobs);
    assert!(!gate.is_open() && jobs.is_empty(), "that is what it closed by");
    gate.hear(verdict(closed_at + SignedDuration::from_millis(200)), true, &mut jobs);
    assert!(gate.is_open());
}

#[test]
fn time_passes_for_whoever_stands_there_after_the_clock_was_set_back() {
    let street = Street {
        moving: vec![500..600, 1000..1100, 1500..1600],
        standing: once(1600..9000),
        n_frames: 4000,
        ..Street::default()
    };
    let mut gate = street.run().gate;
    gate.carried_at = Some(at(3_600 * FPS));
    let mut jobs = Vec::new();
    for frame in 4000..4200 {
        let unit = street.unit(frame);
        let back = AccessUnit { captured_at: at(frame - 1800 * FPS), ..unit };
        gate.take(back, true, &mut jobs);
    }
    assert!(gate.carried_at.is_none_or(|carried_at| carried_at < at(0)), "{:?}", gate.carried_at);
}

#[test]
fn a_main_stream_whose_keyframes_are_rare_is_decoded_whatever_its_sub_stream_tells() {
    let mut gate = Adaptive::new();
    gate.watch_sub_stream(true);
    let (main, sub) = (Street { gop: 1500, ..Street::default() }, Street::default());
    let mut jobs = Vec::new();
    for frame in 0..1600 {
        gate.watch(sub.unit(frame), true, &mut jobs);
        gate.take(main.unit(frame), true, &mut jobs);
        if frame % 5 == 0 {
            let verdict = Verdict { at: at(frame), purpose: Purpose::Live, finding: Finding::Nobody, is_settled: true };
            gate.hear(verdict, true, &mut jobs);
        }
    }
    assert_eq!(gate.evidence(), Evidence::Everything);
    assert!(gate.is_open());
}
