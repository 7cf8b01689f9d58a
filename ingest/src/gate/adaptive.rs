//! The adaptive gate: closed while nothing happens, and never at the price of missing what happened.
//!
//! Closed, it keeps access units and has a keyframe looked at now and then; what the camera's own sizes say, or a keyframe that
//! shows something new, opens it with everything kept since the last keyframe that was found quiet. Open, it stays so until the
//! analysis has said for a while that nothing moves. Pure: access units and verdicts in, jobs out; times are capture times.

use jiff::{SignedDuration, Timestamp};

use super::{
    Evidence, Finding, Job, KEYFRAMES_SUFFICE_WITHIN, Mode, Purpose, Verdict,
    kept::{Kept, MAX_BYTES},
    sizes::SizeEvidence,
};
use crate::access_unit::AccessUnit;

/// The gate closes after so long without movement.
const HOLD: SignedDuration = SignedDuration::from_secs(2);
/// The same while sizes say that nothing moves, and vouch for what still waits for time to pass.
const HOLD_VOUCHED: SignedDuration = SignedDuration::from_secs(1);
/// What waits for time to pass when the gate closes has waited long enough by then: lost tracks are dropped, counts are told.
const SETTLES_WITHIN: SignedDuration = SignedDuration::from_secs(6);
/// While sizes are trusted, a keyframe is looked at so often.
const CHECK_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// The same where nobody was seen to move yet.
const CHECK_UNPROVEN_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// The first check after closing comes by this share of that sooner or later each time (the golden ratio spreads best): what follows
/// whatever opens the gate at a steady pace must not fall between checks again and again.
const FIRST_CHECK_SHIFTS: f32 = 0.618;
/// Keyframes that come faster than this are not all looked at.
const CHECK_AT_MOST_EVERY: SignedDuration = SignedDuration::from_millis(900);
/// While sizes say that nothing moves, whoever stands there is carried on so often.
const CARRY_EVERY: SignedDuration = SignedDuration::from_millis(200);
/// Keyframes come a little early or late.
const JITTER: SignedDuration = SignedDuration::from_millis(100);
/// Keyframes further apart leave too much to keep, even when sizes are trusted.
const SIZES_SUFFICE_WITHIN: SignedDuration = SignedDuration::from_millis(12_500);
/// A keyframe without a verdict for so long is looked at again.
const VERDICT_WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// Capture times that jump by more begin a new timeline.
const JUMP: SignedDuration = SignedDuration::from_secs(10);
/// Main and sub-stream agree on the time to within this.
const SUB_SLACK: SignedDuration = SignedDuration::from_secs(1);
/// A group of pictures must fit so often into what may be kept.
const GROUPS_KEPT: usize = 3;

/// One camera's adaptive gate.
pub struct Adaptive {
    state: State,
    kept: Kept,
    sizes: SizeEvidence,
    last_at: Option<Timestamp>,
    keyframe_at: Option<Timestamp>,
    keyframe_interval: Option<SignedDuration>,
    /// Since when the main stream has had no keyframe, and how far apart its last two were.
    main_keyframes: (Option<Timestamp>, SignedDuration),
    /// Bytes since the last keyframe.
    n_group_bytes: usize,
    /// Groups of pictures so large can't be kept, and what can't be kept can't be gated.
    too_large: bool,
    /// Whether something stands still in the watched area.
    occupied: bool,
    carried_at: Option<Timestamp>,
    /// How long after the last look a check is due while sizes are trusted.
    check_after: SignedDuration,
    /// Where in its span the first check after closing comes, 0..1.
    first_check: f32,
    /// What opened it, and whether that came to anything.
    opening: Opening,
    /// It opens as soon as there is a decoder for it.
    wants_to_open: bool,
    /// Sizes and keyframes are those of a sub-stream; what is kept and decoded is the main stream.
    watches_sub: bool,
}

#[derive(Clone, Copy)]
enum State {
    /// → `Closed` after [`HOLD`] without movement, when what is left can be confirmed by keyframes.
    Open { active_at: Timestamp },
    /// → `Open` when sizes or a keyframe say so, or nothing else would do.
    Closed { closed_at: Option<Timestamp>, checked_at: Option<Timestamp>, pending: Option<Timestamp> },
}

impl State {
    /// Closed, of which nothing is known yet.
    const UNKNOWN: Self = Self::Closed { closed_at: None, checked_at: None, pending: None };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// By the sizes, and nothing moved yet.
    Alarm,
    Other,
}

impl Adaptive {
    /// A gate that opens at once and stays open until it knows its camera.
    pub fn new() -> Self {
        Self {
            state: State::UNKNOWN,
            kept: Kept::default(),
            sizes: SizeEvidence::default(),
            last_at: None,
            keyframe_at: None,
            keyframe_interval: None,
            main_keyframes: (None, SignedDuration::ZERO),
            n_group_bytes: 0,
            too_large: false,
            occupied: false,
            carried_at: None,
            check_after: CHECK_EVERY,
            first_check: 0.0,
            opening: Opening::Other,
            wants_to_open: true,
            watches_sub: false,
        }
    }

    /// Which stream sizes and keyframes are looked at.
    pub fn watch_sub_stream(&mut self, yes: bool) {
        if self.watches_sub != yes {
            self.watches_sub = yes;
            self.sizes = SizeEvidence::default();
            (self.keyframe_at, self.keyframe_interval) = (None, None);
        }
    }

    /// Whether everything is decoded now.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether it would be open if there were a decoder.
    pub fn is_starved(&self) -> bool {
        !self.is_open() && self.wants_to_open
    }

    /// What it goes by.
    pub fn evidence(&self) -> Evidence {
        let evidence = self.evidence_of_watched();
        if self.watches_sub { evidence.of_sub_stream() } else { evidence }
    }

    fn evidence_of_watched(&self) -> Evidence {
        let Some(interval) = self.keyframe_interval.filter(|_| !self.too_large) else { return Evidence::Everything };
        let since_keyframe = match (self.keyframe_at, self.last_at) {
            (Some(keyframe_at), Some(last_at)) => last_at.duration_since(keyframe_at),
            _ => SignedDuration::ZERO,
        };
        if self.main_spacing() > SIZES_SUFFICE_WITHIN {
            return Evidence::Everything;
        }
        let spacing = interval.max(since_keyframe);
        if self.sizes.is_trusted() && spacing <= SIZES_SUFFICE_WITHIN {
            Evidence::Sizes
        } else if spacing <= KEYFRAMES_SUFFICE_WITHIN {
            Evidence::Keyframes
        } else {
            Evidence::Everything
        }
    }

    /// How far apart the keyframes are from which what is kept can be decoded.
    fn main_spacing(&self) -> SignedDuration {
        let (keyframe_at, interval) = self.main_keyframes;
        let since = keyframe_at.zip(self.last_at).map(|(keyframe_at, last_at)| last_at.duration_since(keyframe_at));
        interval.max(since.unwrap_or_default())
    }

    /// Takes the camera's next access unit; `may_open` says whether a stream decoder is to be had.
    pub fn take(&mut self, unit: AccessUnit, may_open: bool, jobs: &mut Vec<Job>) {
        if !self.watches_sub {
            self.follow(&unit);
        }
        self.measure_group(&unit);
        match self.state {
            State::Open { .. } => {
                if unit.keyframe {
                    self.kept.clear();
                }
                self.kept.push(unit.share());
                jobs.push(Job::Decode { unit, mode: Mode::Stream, purpose: Purpose::Live });
            }
            State::Closed { .. } => self.take_closed(unit, may_open, jobs),
        }
    }

    /// Takes the sub-stream's next access unit.
    pub fn watch(&mut self, unit: AccessUnit, may_open: bool, jobs: &mut Vec<Job>) {
        self.follow(&unit);
        if self.is_open() {
            return;
        }
        let at = unit.captured_at;
        self.want();
        let opened = self.wants_to_open && may_open && self.open(at, jobs);
        if !opened && unit.keyframe && self.is_check_due(at) {
            self.check(unit, Purpose::Check, jobs);
        }
        self.carry(at, jobs);
    }

    /// Hears what the analysis found in a picture.
    pub fn hear(&mut self, verdict: Verdict, may_open: bool, jobs: &mut Vec<Job>) {
        match (self.state, verdict.purpose) {
            (State::Closed { closed_at, checked_at, pending }, Purpose::Check) => {
                let pending = pending.filter(|pending| *pending != verdict.at);
                self.state = State::Closed { closed_at, checked_at, pending };
                self.hear_check(verdict, may_open, jobs);
            }
            (State::Open { active_at }, Purpose::Live | Purpose::CatchUp) => {
                let moves = verdict.finding == Finding::Moving;
                self.sizes.label(verdict.at, moves);
                self.occupied = verdict.finding != Finding::Nobody;
                let mut active_at = active_at;
                if moves {
                    active_at = active_at.max(verdict.at);
                    self.opening = Opening::Other;
                }
                self.state = State::Open { active_at };
                if self.is_over(&verdict, verdict.at.duration_since(active_at)) && self.may_close() {
                    self.close(verdict.at, jobs);
                }
            }
            // What was on its way to be analysed when the gate closed.
            (State::Closed { closed_at: Some(closed_at), .. }, Purpose::Live | Purpose::CatchUp)
                if verdict.at > closed_at =>
            {
                self.occupied = verdict.finding != Finding::Nobody;
                if verdict.finding == Finding::Moving {
                    (self.wants_to_open, self.opening) = (true, Opening::Other);
                    if may_open {
                        self.open(verdict.at, jobs);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether so long without movement is long enough.
    fn is_over(&self, verdict: &Verdict, still_for: SignedDuration) -> bool {
        let vouched = self.evidence_of_watched() == Evidence::Sizes && !self.sizes.says_movement();
        (verdict.is_settled && still_for >= HOLD) || (vouched && still_for >= HOLD_VOUCHED)
    }

    fn close(&mut self, at: Timestamp, jobs: &mut Vec<Job>) {
        jobs.push(Job::EndStream);
        if self.opening == Opening::Alarm {
            self.sizes.false_alarm(at);
        }
        self.sizes.gate_closed();
        self.first_check = (self.first_check + FIRST_CHECK_SHIFTS).fract();
        self.check_after = SignedDuration::from_secs_f32(self.check_every().as_secs_f32() * self.first_check);
        self.state = State::Closed { closed_at: Some(at), checked_at: Some(at), pending: None };
    }

    /// The session ended: what was kept can't be continued, what was learned stays.
    pub fn interrupted(&mut self) {
        self.kept.clear();
        self.sizes.interrupted();
        self.state = State::UNKNOWN;
        (self.last_at, self.keyframe_at, self.carried_at, self.main_keyframes.0) = (None, None, None, None);
        self.wants_to_open = true;
    }

    /// Clock, keyframe and size bookkeeping of the stream that is watched.
    fn follow(&mut self, unit: &AccessUnit) {
        let at = unit.captured_at;
        if self.last_at.is_some_and(|last_at| at.duration_since(last_at).abs() > JUMP) {
            self.sizes.interrupted();
            (self.keyframe_at, self.carried_at, self.main_keyframes.0) = (None, None, None);
            match &mut self.state {
                State::Open { active_at } => *active_at = at,
                State::Closed { .. } => self.wants_to_open = true,
            }
        }
        self.last_at = Some(at);
        if !unit.keyframe {
            self.sizes.observe(at, unit.bytes.len());
            return;
        }
        self.sizes.observe_keyframe(unit.bytes.len());
        if let Some(before) = self.keyframe_at.replace(at) {
            self.keyframe_interval = Some(at.duration_since(before));
        }
    }

    /// Whether what is kept could be kept.
    fn measure_group(&mut self, unit: &AccessUnit) {
        if unit.keyframe {
            let (before, interval) = &mut self.main_keyframes;
            if let Some(before) = before.replace(unit.captured_at) {
                *interval = unit.captured_at.duration_since(before);
            }
            self.too_large = self.n_group_bytes > MAX_BYTES / GROUPS_KEPT;
            self.n_group_bytes = 0;
        }
        self.n_group_bytes += unit.bytes.len();
    }

    fn want(&mut self) {
        let evidence = self.evidence_of_watched();
        self.wants_to_open |= evidence == Evidence::Everything;
        if evidence == Evidence::Sizes && self.sizes.says_movement() && !self.wants_to_open {
            self.wants_to_open = true;
            self.opening = Opening::Alarm;
            // The sizes vouch for everything before they began to rise.
            if let Some(since) = self.sizes.rising_since() {
                self.kept.forget_before(self.with_slack(since));
            }
        }
    }

    fn take_closed(&mut self, unit: AccessUnit, may_open: bool, jobs: &mut Vec<Job>) {
        let at = unit.captured_at;
        // Of a camera whose sub-stream is watched, keyframes are looked at only when nothing else can be decoded.
        let looks = !self.watches_sub || (self.wants_to_open && !may_open);
        let check = (unit.keyframe && looks && self.is_check_due(at)).then(|| unit.share());
        let left_over = if self.kept.has_room_for(&unit) {
            self.kept.push(unit);
            None
        } else {
            self.too_large = true;
            Some(unit)
        };
        self.want();
        let opened = self.wants_to_open && may_open && self.open(at, jobs);
        match (left_over, check) {
            (Some(unit), _) if opened => {
                jobs.push(Job::Decode { unit, mode: Mode::Stream, purpose: Purpose::Live });
            }
            (_, Some(keyframe)) if !opened => {
                // When it should be open and there is no decoder, keyframes are all that is analysed.
                let purpose = if self.wants_to_open { Purpose::Live } else { Purpose::Check };
                self.check(keyframe, purpose, jobs);
            }
            (Some(unit), None) => self.kept.push(unit),
            _ => {}
        }
        if !self.watches_sub {
            self.carry(at, jobs);
        }
    }

    /// Lets time pass for whoever stands there, as long as the sizes vouch for it.
    fn carry(&mut self, at: Timestamp, jobs: &mut Vec<Job>) {
        let State::Closed { closed_at, checked_at: Some(checked_at), pending: None } = self.state else { return };
        let vouched = !self.wants_to_open && self.evidence_of_watched() == Evidence::Sizes;
        let settles = closed_at.is_some_and(|closed_at| at.duration_since(closed_at) <= SETTLES_WITHIN);
        let last_at = self.carried_at.map_or(checked_at, |carried_at| carried_at.max(checked_at));
        if vouched && (self.occupied || settles) && at.duration_since(last_at) >= CARRY_EVERY {
            self.carried_at = Some(at);
            jobs.push(Job::Carry { at });
        }
    }

    /// Has a keyframe looked at.
    fn check(&mut self, keyframe: AccessUnit, purpose: Purpose, jobs: &mut Vec<Job>) {
        let at = keyframe.captured_at;
        let pending = (purpose == Purpose::Check).then_some(at);
        self.check_after = self.check_every();
        let State::Closed { closed_at, .. } = self.state else { return };
        self.state = State::Closed { closed_at, checked_at: Some(at), pending };
        jobs.push(Job::Decode { unit: keyframe, mode: Mode::Still, purpose });
    }

    fn check_every(&self) -> SignedDuration {
        if self.sizes.are_proven() { CHECK_EVERY } else { CHECK_UNPROVEN_EVERY }
    }

    fn is_check_due(&self, at: Timestamp) -> bool {
        let State::Closed { checked_at, pending, .. } = self.state else { return false };
        if pending.is_some_and(|pending| at.duration_since(pending) < VERDICT_WITHIN) {
            return false;
        }
        let is_relaxed = self.evidence_of_watched() == Evidence::Sizes && self.kept.n_bytes() < MAX_BYTES / GROUPS_KEPT;
        let every = if is_relaxed { self.check_after } else { CHECK_AT_MOST_EVERY };
        checked_at.is_none_or(|checked_at| at.duration_since(checked_at).abs() >= every - JITTER)
    }

    fn hear_check(&mut self, verdict: Verdict, may_open: bool, jobs: &mut Vec<Job>) {
        if verdict.finding == Finding::Moving {
            self.wants_to_open = true;
            self.opening = Opening::Other;
            if may_open {
                self.open(verdict.at, jobs);
            }
            return;
        }
        self.occupied = verdict.finding == Finding::Standing;
        self.sizes.label(verdict.at, false);
        self.kept.forget_before(self.with_slack(verdict.at));
    }

    /// Two streams of one camera need not agree on the moment.
    fn with_slack(&self, at: Timestamp) -> Timestamp {
        let slack = if self.watches_sub { SUB_SLACK } else { SignedDuration::ZERO };
        at.checked_sub(slack).unwrap_or(at)
    }

    /// False when nothing is kept to begin with.
    fn open(&mut self, at: Timestamp, jobs: &mut Vec<Job>) -> bool {
        if self.kept.is_empty() {
            return false;
        }
        jobs.push(Job::BeginStream);
        let units = self.kept.units().map(AccessUnit::share);
        jobs.extend(units.map(|unit| Job::Decode { unit, mode: Mode::Stream, purpose: Purpose::CatchUp }));
        self.state = State::Open { active_at: at };
        self.wants_to_open = false;
        true
    }

    /// Something must tell who comes and who stands there, and it must be possible to go on.
    fn may_close(&self) -> bool {
        self.evidence_of_watched() != Evidence::Everything && !self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests;
