//! A camera that goes up and down: told once, not each time. Pure; the time is a parameter.
//!
//! The rule: the third time within five minutes that a camera stops delivering it is flapping. From then on its ups and downs
//! are no changes of its status; the status says that it is flapping and how often. That ends when it has stayed up, or
//! stayed down, for a minute.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Falls are counted over so long.
const WINDOW: Duration = Duration::from_secs(300);
/// So many falls within the window are flapping.
const FALLS: usize = 3;
/// A camera that stays as it is for so long flaps no more.
const STEADY: Duration = Duration::from_secs(60);

/// Watches one camera's ups and downs.
#[derive(Debug, Default)]
pub struct Flapping {
    falls: VecDeque<Instant>,
    last: Option<(bool, Instant)>,
    flaps: bool,
}

impl Flapping {
    /// Takes whether the camera delivers now; the answer is how often it fell within the window, while it flaps.
    pub fn judge(&mut self, delivers: bool, now: Instant) -> Option<usize> {
        match self.last {
            Some((delivered, since)) if delivered == delivers => {
                if now.duration_since(since) >= STEADY {
                    if self.flaps {
                        self.falls.clear();
                    }
                    self.flaps = false;
                }
            }
            last => {
                if last.is_some_and(|(delivered, _)| delivered) {
                    self.falls.push_back(now);
                }
                self.last = Some((delivers, now));
            }
        }
        while self.falls.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
            self.falls.pop_front();
        }
        self.flaps |= self.falls.len() >= FALLS;
        self.flaps.then_some(self.falls.len().max(FALLS))
    }

    /// The window, in minutes.
    pub fn window_minutes() -> u64 {
        WINDOW.as_secs() / 60
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges each second of a script: u for up, d for down; the answers, with how often it fell as a digit.
    fn told(script: &str) -> String {
        let (start, mut flapping) = (Instant::now(), Flapping::default());
        let judge = |(second, letter): (usize, char)| {
            let told = flapping.judge(letter == 'u', start + Duration::from_secs(second as u64));
            told.map_or('.', |n_falls| char::from_digit(n_falls as u32, 10).unwrap_or('+'))
        };
        script.chars().enumerate().map(judge).collect()
    }

    #[test]
    fn two_falls_are_told_as_they_are() {
        assert_eq!(told("uuduudddu"), ".........");
    }

    #[test]
    fn the_third_fall_is_flapping_and_further_ones_are_counted() {
        assert_eq!(told("dudududuud"), "......3334");
    }

    #[test]
    fn a_minute_of_either_ends_it() {
        for (letter, before) in [('u', "udududu"), ('d', "ududud")] {
            let after = told(&format!("{before}{}", letter.to_string().repeat(70)));
            assert!(after[before.len()..].starts_with("333") && after.ends_with("..."), "{after}");
        }
    }

    #[test]
    fn falls_that_are_far_apart_are_no_flapping() {
        let day = format!("{}d", "u".repeat(170)).repeat(20);
        assert!(told(&day).chars().all(|letter| letter == '.'));
    }

    #[test]
    fn a_camera_that_never_was_up_does_not_flap() {
        assert!(told(&"d".repeat(500)).chars().all(|letter| letter == '.'));
    }
}
