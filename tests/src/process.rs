//! A child process that never outlives its test: its log goes to a file, it can be killed or asked to end, and it dies
//! when this process does, however that happens.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running child; dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with standard output and error appended to `log`.
    pub fn spawn(name: &str, program: &Path, log: &Path, configure: impl FnOnce(&mut Command)) -> Result<Self> {
        let open = || File::options().create(true).append(true).open(log);
        let output = open().with_context(|| format!("can't write {}", log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        configure(&mut command);
        let child = spawn_from_lasting_thread(command)
            .with_context(|| format!("can't start {name} (with setpriv of util-linux)"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error with the end of the log when it has ended, for conditions that wait on something it should do.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended with {status}; its log ends:\n{}", self.name, self.log_end());
        }
        Ok(())
    }

    /// SIGKILL: no clean-up runs in the process.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and an error if it has not ended in time.
    pub fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).context("no process id")?;
            kill_process(pid, Signal::TERM)?;
        }
        let what = format!("{} to end after SIGTERM", self.name);
        wait::until(&what, within, || self.ended())
    }

    /// All that it has written so far.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).with_context(|| format!("can't read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Processor time that it used so far, of all threads.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The second field is the name in parentheses, and may hold spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |nth: usize| fields.get(nth).and_then(|field| field.parse::<u64>().ok()).context("odd /proc stat");
        Ok(Duration::from_secs_f64((ticks(11)? + ticks(12)?) as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.split_whitespace().next().unwrap_or_default().parse()?;
        Ok(kib * 1024)
    }

    fn log_end(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.kill();
    }
}

/// The kernel sends the parent-death signal when the starting *thread* ends, and a test's thread ends before others
/// that may share the child. So one thread that lasts as long as this process starts them all.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                // The asker waits for the answer, so it is there.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = channel();
    orders.send((command, answer)).map_err(|_| anyhow!("the starting thread is gone"))?;
    Ok(child.recv()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(log: &Path, script: &str) -> Process {
        Process::spawn("sleeper", Path::new("sh"), log, |command| {
            command.args(["-c", script]);
        })
        .unwrap()
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it_and_dies_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut child = std::thread::spawn(move || sleeper(&log, "exec sleep 60")).join().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        child.check_running().unwrap();
        let proc = format!("/proc/{}", child.id());
        drop(child);
        assert!(!Path::new(&proc).exists());
    }

    #[test]
    fn an_early_end_is_told_with_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sleeper(&folder.path().join("log"), "echo no such camera >&2; exit 3");
        let told = wait::until("the end", Duration::from_secs(5), || Ok(child.check_running().err())).unwrap();
        assert!(format!("{told:#}").contains("no such camera"), "{told:#}");
    }

    #[test]
    fn terminate_gives_time_to_clean_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sleeper(
            &folder.path().join("log"),
            "trap 'echo clean; exit 0' TERM; echo up; while :; do sleep 0.05; done",
        );
        wait::until("its start", Duration::from_secs(5), || Ok(child.log()?.contains("up").then_some(()))).unwrap();
        assert!(child.terminate(Duration::from_secs(5)).unwrap().success());
        assert!(child.log().unwrap().contains("clean"));
    }
}
