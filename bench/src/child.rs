//! Children of the bench: this program again, or Python, talking in JSON lines. Each ends when its standard input closes, so none outlives the bench,
//! however that ends.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{progress, usage};

/// How often a wait looks whether the bench was asked to end.
const LOOK: Duration = Duration::from_millis(100);

/// Time for a child to end what it started itself.
const GRACE: Duration = Duration::from_secs(2);

/// A running child.
pub struct Talker {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Talker {
    /// Starts it; what it says on standard error is shown.
    pub fn start(name: &'static str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("can't start {name} ({:?})", command.get_program()))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no standard output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name, child, input, lines })
    }

    /// This program with other arguments.
    pub fn of_this_program(name: &'static str, arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("this program has no path")?);
        command.arg("bench").args(arguments);
        Self::start(name, command)
    }

    /// Says something to it.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").with_context(|| format!("{} has ended", self.name))?;
        Ok(input.flush()?)
    }

    /// Its next line.
    pub fn hear(&mut self, within: Duration) -> Result<Value> {
        let until = Instant::now() + within;
        loop {
            progress::check()?;
            match self.lines.recv_timeout(LOOK) {
                Ok(line) => match serde_json::from_str(&line) {
                    Ok(value) => return Ok(value),
                    Err(_) => bail!("{} said something odd: {line:.200}", self.name),
                },
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(RecvTimeoutError::Timeout) => bail!("{} said nothing for {within:?}", self.name),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{} ended ({}); what it said stands above", self.name, self.child.wait()?)
                }
            }
        }
    }

    /// Processor time that it used so far.
    pub fn cpu(&self) -> Result<Duration> {
        usage::cpu_of(self.child.id())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        drop(self.input.take());
        let until = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
