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
        let far = self.interval * 2;
        let due = match self.next_at {
            None => at,
            Some(next_at) if at < next_at - self.interval / 4 => {
                // A clock that stepped back must not silence the camera.
                if next_at.duration_since(at) > far { at } else { return false }
            }
            Some(next_at) if at.duration_since(next_at) > far => at,
            Some(next_at) => next_at,
        };
        self.next_at = Some(due + self.interval);
        true
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
        assert!(pace.admits(at(-3_600_000)));
        assert!(pace.admits(at(3_600_000)));
    }
}
