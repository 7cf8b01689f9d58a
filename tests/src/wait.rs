//! Waiting for a condition with a deadline, the only way in which a test may let time pass.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until the probe gives a value.
///
/// An error of the probe means "not yet" and is told only when the deadline passes. `what` completes the sentence
/// "waited in vain for …".
pub fn until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let seen = match probe() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => "the condition did not hold".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() >= deadline {
            bail!("waited {within:?} in vain for {what}; last seen: {seen}");
        }
        std::thread::sleep(PAUSE);
    }
}

/// Checks that a condition holds all the time, for absences ("no second incident").
pub fn holds<T>(what: &str, during: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<()> {
    let deadline = Instant::now() + during;
    while Instant::now() < deadline {
        if probe()?.is_none() {
            bail!("{what} did not hold for {during:?}");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_tells_the_last_error() {
        let waited = until("rain", Duration::from_millis(1), || -> Result<Option<()>> { bail!("blue sky") });
        assert!(format!("{:#}", waited.unwrap_err()).contains("rain; last seen: blue sky"));
    }

    #[test]
    fn an_error_before_the_value_does_not_matter() {
        let mut n_probes = 0;
        let waited = until("the third probe", Duration::from_secs(5), || {
            n_probes += 1;
            if n_probes < 3 { bail!("not yet") } else { Ok(Some(n_probes)) }
        });
        assert_eq!(waited.unwrap(), 3);
    }

    #[test]
    fn a_condition_that_breaks_is_told() {
        let mut n_probes = 0;
        let held = holds("calm", Duration::from_secs(5), || {
            n_probes += 1;
            Ok((n_probes < 3).then_some(()))
        });
        assert!(held.is_err());
    }
}
