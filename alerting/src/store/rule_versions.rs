//! What each version of a rule meant, so that "rule crowd, version 2" at an incident of years ago can be read.
//!
//! A version gets its row in the transaction before the first that evaluates it; whoever is first says what it means, for all
//! instances and for good. Not here: what counts as another meaning, which is `rules_file/versions.rs`'s.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use xueliang_rules::{Rule, RuleId, RuleSet};

use super::{
    Stored, Tx,
    columns::key,
    sql::{Row, params},
};
use crate::rules_file::versions::{Conflict, conflicts};

/// One version.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleVersion {
    /// The rule.
    pub rule: RuleId,
    /// The version.
    pub version: u32,
    /// SHA-256 of the meaning.
    pub sha256: String,
    /// What it means, as settings say it.
    pub meaning: String,
    /// When it first came into force.
    pub seen_at: Timestamp,
}

/// The newest version of each rule that ever was in force.
pub fn newest(tx: &Tx<'_>) -> Stored<Vec<RuleVersion>> {
    let sql = "SELECT * FROM rule_version WHERE NOT EXISTS (SELECT 1 FROM rule_version AS later
         WHERE later.rule = rule_version.rule AND later.version > rule_version.version) ORDER BY rule";
    tx.rows(sql, &[])?.iter().map(read).collect()
}

/// The newest versions of a rule, at most `limit`.
pub fn of_rule(tx: &Tx<'_>, rule: &RuleId, limit: usize) -> Stored<Vec<RuleVersion>> {
    let sql = "SELECT * FROM rule_version WHERE rule = ?1 ORDER BY version DESC LIMIT ?2";
    tx.rows(sql, params![rule.as_str(), limit])?.iter().map(read).collect()
}

/// Notes what the enabled rules mean, unless one contradicts what was noted before: then nothing.
pub fn note(tx: &Tx<'_>, rules: &RuleSet, now: Timestamp) -> Stored<Vec<Conflict>> {
    let contradicted = conflicts(rules, &newest(tx)?);
    if contradicted.is_empty() {
        let row = |rule: &Rule| {
            let meaning = rule.meaning();
            let sha256 = hex::encode(Sha256::digest(&meaning));
            params![rule.id.as_str(), rule.version, sha256, meaning, now].to_vec()
        };
        tx.execute_each(
            "INSERT INTO rule_version (rule, version, sha256, meaning, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            &rules.iter().filter(|rule| rule.enabled).map(row).collect::<Vec<_>>(),
        )?;
    }
    Ok(contradicted)
}

fn read(row: &Row) -> Stored<RuleVersion> {
    Ok(RuleVersion {
        rule: key(row, "rule", |text| text.parse().ok())?,
        version: row.get("version")?,
        sha256: row.get("sha256")?,
        meaning: row.get("meaning")?,
        seen_at: row.get("seen_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Place, Store, testing};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn noted(place: &Place, rules: RuleSet) -> Vec<Conflict> {
        // A new process each time.
        Store::open(place).unwrap().write_blocking(move |tx| note(tx, &rules, NOW)).unwrap()
    }

    fn rules(changes: &[(&str, &str)]) -> RuleSet {
        testing::rules(&changes.iter().fold(testing::OFFLINE.to_owned(), |text, (from, to)| text.replace(from, to)))
    }

    fn kept(place: &Place) -> Vec<(u32, String)> {
        let rule: RuleId = "offline".parse().unwrap();
        let store = Store::open(place).unwrap();
        let found = store.write_blocking(move |tx| of_rule(tx, &rule, 50)).unwrap();
        found.into_iter().map(|found| (found.version, found.meaning)).collect()
    }

    #[test]
    fn a_version_means_the_same_for_good_over_restarts_and_instances() {
        testing::on_both(|place| {
            assert_eq!(noted(place, rules(&[])), []);
            assert_eq!(noted(place, rules(&[("owner = \"o\"", "owner = \"p\"")])), [], "papers may change");
            assert_eq!(noted(place, RuleSet::default()), [], "a rule may go");
            let conflict = noted(place, rules(&[("20s", "30s")])).remove(0).to_string();
            let why = "rule offline means something else than the version 1 that was in force";
            assert_eq!(conflict, format!("{why}: what makes it fire; raise version to 2"));
            assert_eq!(noted(place, rules(&[("20s", "30s"), ("version = 1", "version = 3")])), []);
            let conflict = noted(place, rules(&[])).remove(0).to_string();
            assert_eq!(conflict, "rule offline: version 1 is behind the 3 that was in force; write 4 or more");
            let found = kept(place);
            assert_eq!(found.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [3, 1], "the newest first");
            assert!(found[0].1.contains("for = \"30s\"") && found[1].1.contains("for = \"20s\""), "{found:?}");
        });
    }

    #[test]
    fn what_never_was_in_force_has_no_version() {
        testing::on_both(|place| {
            assert_eq!(noted(place, rules(&[("enabled = true", "enabled = false")])), []);
            assert_eq!(noted(place, rules(&[("enabled = true", "enabled = false"), ("20s", "25s")])), [], "a draft");
            assert_eq!(kept(place), []);
        });
    }

    #[test]
    fn what_contradicts_leaves_nothing_of_its_set() {
        testing::on_both(|place| {
            assert_eq!(noted(place, rules(&[])), []);
            let both = format!(
                "{}{}",
                testing::OFFLINE.replace("20s", "9s"),
                testing::OFFLINE.replace("offline\"\nv", "b\"\nv")
            );
            assert_eq!(noted(place, testing::rules(&both)).len(), 1);
            let store = Store::open(place).unwrap();
            assert_eq!(store.write_blocking(newest).unwrap().len(), 1);
        });
    }

    #[test]
    fn what_an_earlier_program_wrote_and_this_one_cant_read_keeps_its_number() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let insert = "INSERT INTO rule_version VALUES ('offline', 2, 'x', 'kind = \"smell\"', 1)";
            store.write_blocking(move |tx| tx.batch(insert)).unwrap();
            assert_eq!(noted(place, rules(&[])).len(), 1, "1 is behind");
            assert_eq!(noted(place, rules(&[("version = 1", "version = 2")])), []);
            assert_eq!(kept(place)[0].1, "kind = \"smell\"");
        });
    }
}
