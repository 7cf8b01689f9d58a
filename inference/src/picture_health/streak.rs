//! One symptom over time: it becomes a fault when it lasts, and goes when its absence lasts.

use std::time::Duration;

use jiff::Timestamp;

/// How long is long enough.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// From the first picture with the symptom until it is a fault.
    pub confirm: Duration,
    /// From the first picture without it until it is none.
    pub clear: Duration,
    /// Fewest further pictures for either.
    pub n_pictures: u32,
}

/// When a picture was taken.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Time watched so far; never goes back.
    pub watched: Duration,
    /// By the camera's clock.
    pub at: Timestamp,
}

/// A symptom's memory.
#[derive(Default)]
pub(super) struct Streak {
    present: Option<Run>,
    absent: Option<Run>,
    fault_since: Option<Timestamp>,
}

struct Run {
    from: Moment,
    n_after: u32,
    n_contrary: u32,
}

impl Streak {
    /// Takes what one picture shows; `true` when the symptom became a fault with it.
    pub fn take(&mut self, shown: bool, now: Moment, patience: Patience) -> bool {
        extend(&mut self.present, shown, now);
        extend(&mut self.absent, !shown, now);
        let is_long = |run: &Option<Run>, least: Duration| {
            run.as_ref().is_some_and(|run| {
                run.n_after >= patience.n_pictures && now.watched.saturating_sub(run.from.watched) >= least
            })
        };
        if self.fault_since.is_some() {
            if !shown && is_long(&self.absent, patience.clear) {
                *self = Self::default();
            }
            return false;
        }
        if shown && is_long(&self.present, patience.confirm) {
            self.fault_since = self.present.as_ref().map(|run| run.from.at);
        }
        self.fault_since.is_some()
    }

    /// Since when it has been a fault: the first picture that showed it.
    pub fn since(&self) -> Option<Timestamp> {
        self.fault_since
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// After five pictures that agree one contrary picture is forgiven, two in a row are not.
fn extend(run: &mut Option<Run>, supports: bool, now: Moment) {
    match run {
        Some(run) if supports => {
            run.n_after += 1;
            run.n_contrary = 0;
        }
        Some(known) => {
            known.n_contrary += 1;
            if known.n_contrary > 1 || known.n_after < 4 {
                *run = None;
            }
        }
        None if supports => *run = Some(Run { from: now, n_after: 0, n_contrary: 0 }),
        None => {}
    }
}
