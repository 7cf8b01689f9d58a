//! The search itself: pure over whatever tries a number of cameras. A box is shared, so what is refused is tried once more before it counts.

use anyhow::Result;

/// What a try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The box carries so many.
    Carried,
    /// It does not.
    Refused,
}

/// How many cameras the box carries, `most` at most: doubles from `start` on, then bisects, until the answer is known to a sixteenth.
pub fn search(start: usize, most: usize, mut attempt: impl FnMut(usize) -> Result<Tried>) -> Result<usize> {
    let (mut carried, mut refused) = (0, most + 1);
    let mut next = start.clamp(1, most.max(1));
    while carried + step_width(carried) < refused {
        let is_carried = attempt(next)? == Tried::Carried || attempt(next)? == Tried::Carried;
        if is_carried {
            carried = next;
        } else {
            refused = next;
        }
        next = if refused > most { (carried * 2).min(most) } else { (carried + refused) / 2 };
    }
    Ok(carried)
}

/// Numbers of cameras are told apart by a sixteenth.
fn step_width(carried: usize) -> usize {
    (carried / 16).max(1)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use proptest::prelude::*;

    use super::*;

    /// The answer for a box that carries so many, and what was tried.
    fn on_a_box_of(capacity: usize, start: usize, most: usize) -> (usize, Vec<usize>) {
        let mut tried = Vec::new();
        let carried = search(start, most, |n| {
            tried.push(n);
            Ok(if n <= capacity { Tried::Carried } else { Tried::Refused })
        });
        (carried.unwrap(), tried)
    }

    #[test]
    fn it_doubles_and_then_bisects() {
        let (carried, tried) = on_a_box_of(11, 4, 512);
        assert_eq!(carried, 11);
        assert_eq!(tried, [4, 8, 16, 16, 12, 12, 10, 11]);
        assert_eq!(on_a_box_of(0, 4, 512).0, 0);
        assert_eq!(on_a_box_of(100, 4, 20), (20, vec![4, 8, 16, 20]));
    }

    #[test]
    fn one_bad_moment_refuses_nothing() {
        let mut n_tries = 0;
        let carried = search(4, 8, |_| {
            n_tries += 1;
            Ok(if n_tries == 2 { Tried::Refused } else { Tried::Carried })
        });
        assert_eq!((carried.unwrap(), n_tries), (8, 3));
    }

    #[test]
    fn a_try_that_fails_ends_the_search() {
        assert!(search(4, 8, |_| bail!("interrupted")).is_err());
    }

    proptest! {
        #[test]
        fn the_answer_is_carried_and_right_to_a_sixteenth(capacity in 0usize..600, start in 0usize..600, most in 1usize..600) {
            let (carried, tried) = on_a_box_of(capacity, start, most);
            let truth = capacity.min(most);
            prop_assert!(carried <= truth);
            prop_assert!(truth - carried < step_width(carried).max(1), "{carried} of {truth}");
            prop_assert!(carried == 0 || tried.contains(&carried));
        }

        #[test]
        fn it_tries_what_may_be_tried_and_soon_ends(capacity in 0usize..600, start in 0usize..600, most in 1usize..600) {
            let (_, tried) = on_a_box_of(capacity, start, most);
            prop_assert!(tried.iter().all(|n| (1..=most).contains(n)), "{tried:?}");
            prop_assert!(tried.len() <= 2 * 11 + 10, "{tried:?}");
            let mut counts = std::collections::BTreeMap::new();
            tried.iter().for_each(|n| *counts.entry(*n).or_insert(0) += 1);
            prop_assert!(counts.iter().all(|(n, count)| *count == if *n <= capacity { 1 } else { 2 }), "{counts:?}");
        }
    }
}
