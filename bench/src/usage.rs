//! Processor time and memory of this process, its threads by name, and its children, from /proc.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result};

/// What the threads of the sessions' runtime are for.
pub const PULLING: &str = "pull, gate and publish";

/// Processor time of a process so far, without its children.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    Ok(ticks(&stat).unwrap_or_default())
}

/// Processor time of this process so far.
pub fn cpu_of_self() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident memory of this process in bytes.
pub fn memory_of_self() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc tells no memory")?;
    let kib: u64 = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(kib * 1024)
}

/// Processor time of this process's threads so far, by what they are for.
pub fn cpu_of_threads() -> Result<BTreeMap<&'static str, Duration>> {
    let mut by_group = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task")? {
        // A thread may end between the listing and the look.
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
        let name = stat.split(['(', ')']).nth(1).unwrap_or_default();
        *by_group.entry(group(name)).or_default() += ticks(&stat).unwrap_or_default();
    }
    Ok(by_group)
}

fn group(thread: &str) -> &'static str {
    match thread {
        name if name.starts_with("tokio") => PULLING,
        name if name.starts_with("decode") => "decode",
        name if name.starts_with("detect") => "detect and analyse",
        name if name.starts_with("outbox") => "outbox",
        _ => "rest",
    }
}

/// User and system time of a `stat` line; the second field is the name in parentheses and may hold spaces.
fn ticks(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |nth: usize| fields.get(nth).and_then(|field| field.parse::<u64>().ok());
    let spent = (ticks(11)? + ticks(12)?) as f64 / rustix::param::clock_ticks_per_second() as f64;
    Some(Duration::from_secs_f64(spent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4 0 0 0 0 200 100 0 0 20 0 1";
        let expected = 300.0 / rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(ticks(stat), Some(Duration::from_secs_f64(expected)));
    }

    #[test]
    fn this_process_has_used_memory_and_time() {
        assert!(memory_of_self().unwrap() > 100_000);
        assert!(cpu_of_self() > Duration::ZERO);
        assert!(cpu_of_threads().unwrap().contains_key("rest"));
    }
}
