//! The rules in force, read again from the settings file when it changes.
//!
//! A [`Rulebook`] is where everybody asks for the rules: once for each batch, so that a batch meets one set. `[[rule]]` and
//! `[calendar]` are taken over within seconds; what else changes in the file waits for a restart. Invariant: a file with any
//! mistake, or with a rule that means something else under its old version, changes nothing; what is wrong is told. Rules are in
//! force once the store has noted what they mean, and then nothing stays of what others before them remembered.
//! Files are looked at rather than watched, which also holds on network file systems and where a mount swaps links.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use xueliang_rules::{Engine, RuleSet};
use xueliang_settings::{Document, Mistake, Mistakes};

use crate::{
    error_chain,
    metrics::Metrics,
    settings::AlertingSettings,
    store::{
        Store, StoreError, Stored, memories,
        rule_versions::{self, RuleVersion},
    },
};

pub(crate) mod versions;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The rules in force, and what is wrong with their file; cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct Rulebook(Arc<RwLock<Page>>);

#[derive(Debug)]
struct Page {
    engine: Arc<Engine>,
    mistakes: Vec<Mistake>,
}

/// What came of reading the file again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// Nothing that was not known.
    Nothing,
    /// Other rules are in force now, or the file has no mistakes any more.
    Applied,
    /// The file has mistakes; the rules are those from before.
    Refused,
}

impl Rulebook {
    /// A rulebook that begins with these rules.
    pub fn new(rules: RuleSet) -> Self {
        Self(Arc::new(RwLock::new(Page { engine: Arc::new(Engine::new(rules)), mistakes: Vec::new() })))
    }

    /// The rules in force, ready to be evaluated.
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).engine)
    }

    /// What is wrong in the file as it was read last.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).mistakes.clone()
    }

    /// How the file is, in one line for people.
    pub fn describe(&self) -> String {
        let page = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let n_enabled = page.engine.rules().iter().filter(|rule| rule.enabled).count();
        match page.mistakes.first() {
            None => format!("{n_enabled} in force"),
            Some(first) => {
                let n_mistakes = page.mistakes.len();
                let mistakes = if n_mistakes == 1 { "mistake" } else { "mistakes" };
                format!("{n_enabled} in force as before; {n_mistakes} {mistakes} in the file, the first: {first}")
            }
        }
    }

    /// Takes over what was read, or notes what is wrong with it.
    pub fn turn(&self, read: Result<RuleSet, Mistakes>) -> Turned {
        let mut page = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(rules) if page.mistakes.is_empty() && rules == *page.engine.rules() => Turned::Nothing,
            Ok(rules) => {
                if rules != *page.engine.rules() {
                    page.engine = Arc::new(Engine::new(rules));
                }
                page.mistakes.clear();
                Turned::Applied
            }
            Err(mistakes) if mistakes.0 == page.mistakes => Turned::Nothing,
            Err(mistakes) => {
                page.mistakes = mistakes.0;
                Turned::Refused
            }
        }
    }
}

/// Why rules can't be put in force.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The store.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Their versions.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Contradicted(Vec<versions::Conflict>),
}

/// Notes what the rules mean.
pub async fn note(store: &Store, rules: &RuleSet) -> Result<(), RulesError> {
    let rules = rules.clone();
    let conflicts = store.write(move |tx| rule_versions::note(tx, &rules, Timestamp::now())).await?;
    if conflicts.is_empty() { Ok(()) } else { Err(RulesError::Contradicted(conflicts)) }
}

/// Lets every device forget what these rules don't go on with.
pub async fn settle(store: &Store, engine: &Arc<Engine>) -> Stored<()> {
    let mut last = Some(String::new());
    while let Some(device) = last {
        let engine = Arc::clone(engine);
        last = store.write(move |tx| memories::settle(tx, &engine, &device)).await?;
    }
    Ok(())
}

/// Reads the file's rules again, after those that are in force and those that ever were.
pub fn read_again(file: &Path, before: &RuleSet, kept: &[RuleVersion]) -> Result<RuleSet, Mistakes> {
    let document = Document::load(file)?;
    let rules = AlertingSettings::from_document(&document)?.rules;
    versions::check(&document, before, kept)?;
    Ok(rules)
}

/// Looks at the file until `shutdown`, and reads it when it changed and came to rest.
pub async fn watch((rulebook, file): (Rulebook, PathBuf), store: Store, metrics: Metrics, shutdown: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Nothing: what changed since the settings were read is read once more.
    let (mut read, mut seen) = (None, None);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = look.tick() => {}
        }
        let looked_at = file.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || stamp(&looked_at)).await else { return };
        // Twice the same: nobody is writing any more.
        let rests = seen == Some(now);
        seen = Some(now);
        if !rests || read == seen {
            continue;
        }
        match turn(&rulebook, &store, file.clone()).await {
            Ok(turned) => {
                tell(&rulebook, turned, &metrics);
                // What could not be settled is settled at the next look.
                match settle(&store, &rulebook.engine()).await {
                    Ok(()) => read = seen,
                    Err(error) => tracing::warn!(error = error_chain(&error), "what rules remember is not settled yet"),
                }
            }
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "rules not read again, the next look tries again")
            }
        }
    }
}

/// Reads the file and takes it over, when the store has noted what the rules mean.
async fn turn(rulebook: &Rulebook, store: &Store, file: PathBuf) -> Result<Turned, RulesError> {
    let kept = store.read(rule_versions::newest).await?;
    let before = rulebook.engine();
    let read = tokio::task::spawn_blocking(move || read_again(&file, before.rules(), &kept)).await;
    let read = read.map_err(|_| StoreError::Closed)?;
    if let Ok(rules) = &read {
        note(store, rules).await?;
    }
    Ok(rulebook.turn(read))
}

/// Says what came of a reading, in the log and in metrics.
fn tell(rulebook: &Rulebook, turned: Turned, metrics: &Metrics) {
    let mistakes = rulebook.mistakes();
    metrics.rule_mistakes.set(i64::try_from(mistakes.len()).unwrap_or(i64::MAX));
    match turned {
        Turned::Nothing => return,
        Turned::Applied => tracing::info!(rules = rulebook.describe(), "rules read again"),
        Turned::Refused => {
            for mistake in &mistakes {
                tracing::warn!(%mistake, "settings refused; the rules go on as they were");
            }
        }
    }
    let outcome = if turned == Turned::Applied { "applied" } else { "refused" };
    metrics.rule_reloads.with_label_values(&[outcome]).inc();
}

/// A file's inode, length and time of change; `None` when it can't be seen.
type Stamp = Option<(u64, u64, i64, i64)>;

fn stamp(file: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "[[rule]]\nid = \"crowd\"\nversion = 2\ncategory = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\n\
        at_least = 3\nfor = \"5s\"\nenabled = true\nowner = \"o\"\nlegal_basis = \"l\"\ndepartment = \"d\"\n\
        assessment = \"a\"\ndeadline = \"2h\"\n";
    const SETTINGS: &str = "[alerting]\ndata_dir = \"data\"\nregion = \"3402\"\n";

    fn read(rules: &str, before: &RuleSet) -> Result<RuleSet, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.toml");
        fs::write(&file, format!("{SETTINGS}{rules}")).unwrap();
        read_again(&file, before, &[]).map_err(|mistakes| {
            let said =
                mistakes.0.iter().map(|mistake| mistake.to_string().split_off(folder.path().as_os_str().len() + 1));
            said.collect()
        })
    }

    fn rules() -> RuleSet {
        read(RULE, &RuleSet::default()).unwrap()
    }

    /// Replaces a text of the rule; the mistakes that come of it.
    fn check(text: &str, by: &str, expected: &[&str]) {
        assert!(RULE.contains(text), "{text}");
        let found = read(&RULE.replace(text, by), &rules()).map_or_else(|found| found, |_| Vec::new());
        assert_eq!(found, expected, "{text} → {by}");
    }

    #[test]
    fn a_rule_that_means_something_else_needs_a_higher_version() {
        let is_refused = |text: &str, by: &str, what: &str| {
            let why = "rule crowd means something else than the version 2 that is in force";
            check(text, by, &[&format!("x.toml:6: rule[0].version: {why}: {what}; raise version to 3")]);
        };
        is_refused("at_least = 3", "at_least = 4", "what makes it fire");
        is_refused("for = \"5s\"", "for = \"6s\"", "what makes it fire");
        is_refused("zone = \"z\"", "zone = \"y\"", "its place");
        is_refused("at_least = 3", "at_least = 3\nurgency = \"A\"\ncool_down = \"1s\"", "cool_down, urgency");
        let windowed = "for = \"5s\"\nschedule = [{ from = \"08:00\", to = \"09:00\" }]";
        is_refused("for = \"5s\"", windowed, "schedule");
    }

    #[test]
    fn a_raised_version_papers_devices_and_enabling_are_taken() {
        check("version = 2", "version = 3", &[]);
        check("version = 2\ncategory = \"crowding\"", "version = 3\ncategory = \"nonmotor_parking\"", &[]);
        check("owner = \"o\"", "owner = \"another unit\"", &[]);
        check("enabled = true", "enabled = false", &[]);
        check("at_least = 3", "at_least = 3\ndevices = [\"a\"]", &[]);
        assert_eq!(read("", &rules()), Ok(RuleSet::default()), "a rule can go");
        assert_eq!(read(RULE, &RuleSet::default()).unwrap().iter().count(), 1, "and come");
        let calendar = format!("{RULE}[calendar]\nholidays = [\"2026-10-01\"]\n");
        assert!(read(&calendar, &rules()).is_ok_and(|read| read != rules()));
    }

    #[test]
    fn a_version_never_falls() {
        let refused = "x.toml:6: rule[0].version: 1 is behind the 2 that is in force; write 2 or more";
        check("version = 2", "version = 1", &[refused]);
    }

    #[test]
    fn mistakes_anywhere_in_alertings_part_refuse_the_whole() {
        check(
            "for = \"5s\"",
            "forr = \"5s\"",
            &[
                "x.toml:4: rule[0].for: is missing; add for = …",
                "x.toml:11: rule[0].forr: unknown key; did you mean \"for\"?",
            ],
        );
        let found = read("listen = 5\n", &rules()).unwrap_err();
        assert!(found[0].starts_with("x.toml:4: alerting.listen"), "{found:?}");
        let found = read("[[camera]]\nwhatever = 1\n[[rul]]\n", &rules()).unwrap_err();
        assert!(found.len() == 1 && found[0].contains("did you mean \"rule\"?"), "{found:?}");
    }

    #[test]
    fn a_refused_reading_leaves_the_rules_and_a_good_one_clears_the_mistakes() {
        let rulebook = Rulebook::new(rules());
        let before = rulebook.engine();
        let broken = || Document::from_text("x.toml", "rule = 1").read(|reader| Some(RuleSet::read(reader)));
        assert_eq!(rulebook.turn(broken()), Turned::Refused);
        assert_eq!(rulebook.turn(broken()), Turned::Nothing, "told once");
        assert!(Arc::ptr_eq(&rulebook.engine(), &before));
        assert!(
            rulebook.describe().starts_with("1 in force as before; 1 mistake in the file, the first: x.toml:1: rule")
        );
        assert_eq!(rulebook.turn(Ok(rules())), Turned::Applied, "without mistakes again");
        assert!(Arc::ptr_eq(&rulebook.engine(), &before) && rulebook.mistakes().is_empty());
        assert_eq!(rulebook.turn(Ok(rules())), Turned::Nothing);
        assert_eq!(rulebook.turn(Ok(RuleSet::default())), Turned::Applied);
        assert_eq!((rulebook.describe().as_str(), before.rules().iter().count()), ("0 in force", 1));
    }
}
