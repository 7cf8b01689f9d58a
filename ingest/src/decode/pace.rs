//! How many of a camera's pictures are analysed: thinned by capture time, whatever its clock does.

use jiff::{SignedDuration, Timestamp};

/// Lets at most so many frames a second through, by capture time.
pub(crate) struct Pace {
    interval: SignedDuration,
    next_at: Option<Timestamp>,
}

impl Pace {
    /// At most so many frames a second.
    pub(crate) fn new(fps: f32) -> Self {
        Self { interval: SignedDuration::from_secs_f64(1.0 / f64::from(fps.max(0.1))), next_at: None }
    }

    /// Whether a frame that was taken then goes through.
    pub(crate) fn admits(&mut self, at: Timestamp) -> bool {
        let due = self.due(at);
        if let Some(due) = due {
            self.next_at = Some(due + self.interval);
        }
        due.is_some()
    }

    /// The grid on which frames go through moves to this one, if it is near: then it goes through.
    pub(crate) fn align(&mut self, at: Timestamp) {
        let is_near = |next_at: &Timestamp| next_at.duration_since(at).abs() <= self.interval / 2;
        if self.next_at.as_ref().is_some_and(is_near) {
            self.next_at = Some(at);
        }
    }

    /// Whether a frame that was taken then would go through now.
    pub(crate) fn would_admit(&self, at: Timestamp) -> bool {
        self.due(at).is_some()
    }

    /// Since when a frame that was taken then is due; `None`: it comes too early.
    fn due(&self, at: Timestamp) -> Option<Timestamp> {
        let far = self.interval * 2;
        match self.next_at {
            Some(next_at) if at < next_at - self.interval / 10 => {
                // A clock that stepped back must not silence the camera.
                (next_at.duration_since(at) > far).then_some(at)
            }
            Some(next_at) if at.duration_since(next_at) <= far => Some(next_at),
            _ => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_thins_to_the_rate_and_survives_clock_steps() {
        let at = |ms: i64| Timestamp::from_millisecond(1_790_000_000_000 + ms).unwrap();
        let mut pace = Pace::new(5.0);
        let admitted = (0..50).filter(|index| pace.admits(at(index * 100))).count();
        assert_eq!(admitted, 25);
        pace.align(at(5_080));
        assert!(pace.admits(at(5_080)) && !pace.admits(at(5_200)) && pace.admits(at(5_280)));
        assert!(pace.admits(at(-3_600_000)));
        assert!(pace.admits(at(3_600_000)));
    }
}
