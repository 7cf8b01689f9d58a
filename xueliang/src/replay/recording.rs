//! Recorded events from files of JSON lines, as one sequence.
//!
//! Several files are merged by when their events were received, so that files of partitions and files of days both do; within
//! a window of [`WINDOW`] events lines may be out of order. A line that is no event is kept as a refusal, never fatal. A
//! line longer than an event may be is skipped without being held.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use jiff::Timestamp;
use xueliang_events::{Event, wire::MAX_EVENT_BYTES};

/// So many events are looked at ahead, to put them in order.
const WINDOW: usize = 65_536;
/// Refused lines that are shown; the others are counted.
const MAX_SHOWN: usize = 20;
/// Most files at once.
const MAX_FILES: usize = 256;

/// The events of some files.
pub struct Recording {
    files: Vec<Lines>,
    window: BinaryHeap<Reverse<Waiting>>,
    n_arrived: u64,
    refusals: Refusals,
    failed: Option<anyhow::Error>,
}

/// Lines that are no events.
#[derive(Debug, Default)]
pub struct Refusals {
    /// How many.
    pub n: u64,
    /// The first of them: file, line, what is wrong.
    pub shown: Vec<String>,
}

/// One file being read.
struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    n_read: u64,
    /// Its next event; `None` at its end.
    next: Option<Event>,
}

/// An event in the window; ordered by when it was received, then as it came.
struct Waiting {
    received_at: Timestamp,
    arrived: u64,
    event: Event,
}

impl Recording {
    /// Opens the files; `-` is standard input.
    pub fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        if paths.len() > MAX_FILES {
            bail!("{} files are too many; join them: cat … | xueliang replay -", paths.len());
        }
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            bail!("standard input can be read only once; write - once");
        }
        let files = paths.iter().map(|path| Lines::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let (window, refusals) = (BinaryHeap::new(), Refusals::default());
        let mut recording = Self { files, window, n_arrived: 0, refusals, failed: None };
        for nth in 0..recording.files.len() {
            recording.advance(nth);
        }
        Ok(recording)
    }

    /// What was refused, when all was read.
    pub fn end(self) -> anyhow::Result<Refusals> {
        self.failed.map_or(Ok(self.refusals), Err)
    }

    /// The next event of the file whose next one was received first.
    fn arrive(&mut self) -> Option<Waiting> {
        let heads = self.files.iter().enumerate();
        let received = heads.filter_map(|(nth, file)| Some((file.next.as_ref()?.received_at, nth)));
        let (_, nth) = received.min()?;
        let event = self.files.get_mut(nth)?.next.take()?;
        self.advance(nth);
        self.n_arrived += 1;
        Some(Waiting { received_at: event.received_at, arrived: self.n_arrived, event })
    }

    fn advance(&mut self, nth: usize) {
        let Some(file) = self.files.get_mut(nth) else { return };
        match file.read_next(&mut self.refusals) {
            Ok(next) => file.next = next,
            Err(error) => {
                let failed = anyhow::Error::new(error).context(format!("{} can't be read", file.name));
                self.failed.get_or_insert(failed);
            }
        }
    }
}

impl Iterator for Recording {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.failed.is_none() && self.window.len() < WINDOW {
            let Some(waiting) = self.arrive() else { break };
            self.window.push(Reverse(waiting));
        }
        if self.failed.is_some() {
            return None;
        }
        self.window.pop().map(|Reverse(waiting)| waiting.event)
    }
}

impl Refusals {
    /// One more; it is shown when it is among the first.
    pub fn add(&mut self, told: impl FnOnce() -> String) {
        self.n += 1;
        if self.shown.len() < MAX_SHOWN {
            self.shown.push(told());
        }
    }

    /// Shows them on standard error.
    pub fn tell(&self) {
        self.shown.iter().for_each(|refused| eprintln!("refused: {refused}"));
        let n_more = self.n - self.shown.len() as u64;
        if n_more > 0 {
            eprintln!("refused: … and {n_more} more lines");
        }
    }
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let (name, reader): (_, Box<dyn BufRead>) = if is_stdin(path) {
            ("standard input".to_owned(), Box::new(BufReader::new(io::stdin())))
        } else {
            let file = File::open(path).with_context(|| format!("{} can't be opened", path.display()))?;
            (path.display().to_string(), Box::new(BufReader::new(file)))
        };
        Ok(Self { name, reader, n_read: 0, next: None })
    }

    /// The next line that is an event.
    fn read_next(&mut self, refusals: &mut Refusals) -> io::Result<Option<Event>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if !self.read_line(&mut line)? {
                return Ok(None);
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match Event::from_json(text) {
                Ok(event) => return Ok(Some(event)),
                Err(refused) => {
                    refusals.add(|| format!("{}:{}: {refused}", self.name, self.n_read));
                }
            }
        }
    }

    /// One line, cut a byte after what an event may have; false at the end.
    fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let longest = MAX_EVENT_BYTES as u64 + 2;
        if (&mut self.reader).take(longest).read_until(b'\n', line)? == 0 {
            return Ok(false);
        }
        self.n_read += 1;
        if line.len() as u64 == longest && line.last() != Some(&b'\n') {
            self.skip_line()?;
        }
        Ok(true)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let held = self.reader.fill_buf()?;
            let (n, ends) = match held.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (held.len(), held.is_empty()),
            };
            self.reader.consume(n);
            if ends {
                return Ok(());
            }
        }
    }
}

impl Waiting {
    fn key(&self) -> (Timestamp, u64) {
        (self.received_at, self.arrived)
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
