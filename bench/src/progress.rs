//! What the bench tells while it runs, on standard error, and Ctrl-C: every pause ends at once and everything started is ended.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

const STEP: Duration = Duration::from_millis(50);

/// One line of progress.
pub fn say(text: &str) {
    eprintln!("  {text}");
}

/// Asks the bench to end, from a signal's handler.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// For a child: whoever started it is gone when standard input closes.
pub fn interrupt_when_input_closes() {
    std::thread::spawn(|| {
        // Whether it ends cleanly or not, it is over.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        interrupt();
    });
}

/// An error once the bench was asked to end.
pub fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// Lets time pass.
pub fn pause(duration: Duration) -> Result<()> {
    let until = Instant::now() + duration;
    loop {
        check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(STEP));
    }
}

/// Waits for a condition; an error that completes "waited in vain for …" when it does not come.
pub fn wait(what: &str, within: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + within;
    while !holds()? {
        if Instant::now() >= until {
            bail!("waited {within:?} in vain for {what}");
        }
        pause(STEP)?;
    }
    Ok(())
}
