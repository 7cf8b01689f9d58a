//! Failed sign-ins by name, so that guessing ends for all instances and across restarts.
//!
//! Five failures within a quarter of an hour lock a name for a quarter of an hour. Invariants: a try is counted before its
//! password is looked at, so that many at once are not more than five; names that are no account's are counted and locked
//! like the others, so that nobody learns which there are. Names are kept by digest, for anybody could write anything.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{Stored, Tx, sql::params};

/// So many failures lock a name.
pub const FAILURES: u32 = 5;
/// Within this time.
pub const FAILURES_WITHIN: Duration = Duration::from_secs(15 * 60);
/// For so long.
pub const LOCKED_FOR: Duration = Duration::from_secs(15 * 60);
/// At most so many names that are no account's.
const MAX_NAMES: u64 = 10_000;

/// How a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    n_failed: u32,
    since: Timestamp,
    locked_until: Option<Timestamp>,
}

impl Standing {
    /// With one more try, or for how long there must be none.
    fn tried(self, now: Timestamp) -> Result<Self, Duration> {
        let left = |until: Timestamp| until.duration_since(now).unsigned_abs();
        match self.locked_until {
            Some(until) if now < until => return Err(left(until)),
            Some(_) => return Ok(Self::first(now)),
            None => {}
        }
        let ends_at = self.since.checked_add(FAILURES_WITHIN).unwrap_or(Timestamp::MAX);
        // A clock that was set back begins the count anew, rather than locking for long.
        if now >= ends_at || now < self.since {
            return Ok(Self::first(now));
        }
        // The last try is still being looked at.
        if self.n_failed >= FAILURES {
            return Err(left(ends_at));
        }
        Ok(Self { n_failed: self.n_failed + 1, ..self })
    }

    fn first(now: Timestamp) -> Self {
        Self { n_failed: 1, since: now, locked_until: None }
    }
}

/// Counts a try on this name before it is looked at; else says how long nobody may try.
pub fn begin(tx: &Tx<'_>, name: &str, is_account: bool, now: Timestamp) -> Stored<Result<(), Duration>> {
    let name_sha256 = digest(name);
    let next = match standing(tx, &name_sha256)? {
        Some(standing) => match standing.tried(now) {
            Ok(next) => next,
            Err(wait) => return Ok(Err(wait)),
        },
        None if !is_account && is_full(tx, now)? => return Ok(Ok(())),
        None => Standing::first(now),
    };
    tx.execute(
        "INSERT INTO sign_in_failure (name_sha256, n_failed, since, locked_until) VALUES (?1, ?2, ?3, NULL)
         ON CONFLICT (name_sha256) DO UPDATE SET n_failed = ?2, since = ?3, locked_until = NULL",
        params![name_sha256, next.n_failed, next.since],
    )?;
    Ok(Ok(()))
}

/// A try was wrong; true when that has just locked the name. Writes in each case, so that each takes as long.
pub fn failed(tx: &Tx<'_>, name: &str, now: Timestamp) -> Stored<bool> {
    let name_sha256 = digest(name);
    let Some(found) = standing(tx, &name_sha256)? else { return Ok(false) };
    let is_new = found.locked_until.is_none() && found.n_failed >= FAILURES;
    let locked_until = if is_new { now.checked_add(LOCKED_FOR).ok() } else { found.locked_until };
    tx.execute(
        "UPDATE sign_in_failure SET locked_until = ?2 WHERE name_sha256 = ?1",
        params![name_sha256, locked_until],
    )?;
    Ok(is_new)
}

/// Forgets the failures of a name: somebody signed in, or has a new password.
pub fn forget(tx: &Tx<'_>, name: &str) -> Stored<()> {
    tx.execute("DELETE FROM sign_in_failure WHERE name_sha256 = ?1", params![digest(name)])?;
    Ok(())
}

/// Until when a name is locked, if it is.
pub fn locked_until(tx: &Tx<'_>, name: &str, now: Timestamp) -> Stored<Option<Timestamp>> {
    Ok(standing(tx, &digest(name))?.and_then(|found| found.locked_until).filter(|until| now < *until))
}

/// Deletes what counts no more.
pub fn sweep(tx: &Tx<'_>, now: Timestamp) -> Stored<()> {
    let before = now.checked_sub(FAILURES_WITHIN).unwrap_or(Timestamp::MIN);
    tx.execute(
        "DELETE FROM sign_in_failure WHERE since < ?1 AND (locked_until IS NULL OR locked_until < ?2)",
        params![before, now],
    )?;
    Ok(())
}

fn is_full(tx: &Tx<'_>, now: Timestamp) -> Stored<bool> {
    let n_names = |tx: &Tx<'_>| tx.value::<u64>("SELECT count(*) FROM sign_in_failure", &[]);
    if n_names(tx)? < MAX_NAMES {
        return Ok(false);
    }
    sweep(tx, now)?;
    Ok(n_names(tx)? >= MAX_NAMES)
}

fn standing(tx: &Tx<'_>, name_sha256: &str) -> Stored<Option<Standing>> {
    let sql = "SELECT n_failed, since, locked_until FROM sign_in_failure WHERE name_sha256 = ?1";
    let row = tx.row(sql, params![name_sha256])?;
    row.map(|row| {
        Ok(Standing {
            n_failed: row.get("n_failed")?,
            since: row.get("since")?,
            locked_until: row.get("locked_until")?,
        })
    })
    .transpose()
}

fn digest(name: &str) -> String {
    hex::encode(Sha256::digest(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{
        connection::{Connection, Kind},
        migrate, testing,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    #[test]
    fn the_fifth_failure_locks_a_name_for_a_while_known_or_not() {
        testing::on_both(|place| {
            let mut connection = Connection::open(place).unwrap();
            migrate::run(&mut connection).unwrap();
            let mut run = |work: &dyn Fn(&Tx<'_>) -> Stored<()>| connection.run(Kind::Write, |tx| work(tx)).unwrap();
            for (name, is_account) in [("known", true), ("unknown", false)] {
                run(&|tx| {
                    for nth in 1..=FAILURES {
                        assert_eq!(begin(tx, name, is_account, at(0))?, Ok(()), "{name} {nth}");
                        assert_eq!(failed(tx, name, at(1))?, nth == FAILURES, "{name} {nth}");
                    }
                    assert_eq!(begin(tx, name, is_account, at(1))?, Err(LOCKED_FOR));
                    assert!(!failed(tx, name, at(2))?, "told once");
                    assert_eq!(locked_until(tx, name, at(2))?, Some(at(901)));
                    sweep(tx, at(900))?;
                    assert_eq!(begin(tx, name, is_account, at(900))?, Err(Duration::from_secs(1)));
                    assert_eq!(begin(tx, name, is_account, at(901))?, Ok(()));
                    assert_eq!(locked_until(tx, name, at(901))?, None);
                    forget(tx, name)
                });
            }
            run(&|tx| {
                for _ in 0..FAILURES {
                    assert_eq!(begin(tx, "crowd", true, at(0))?, Ok(()));
                }
                assert_eq!(begin(tx, "crowd", true, at(60))?, Err(Duration::from_secs(840)), "the fifth is looked at");
                forget(tx, "crowd")?;
                assert_eq!(begin(tx, "crowd", true, at(60))?, Ok(()), "and was right");
                sweep(tx, at(60 + 901))?;
                assert_eq!(tx.value::<u64>("SELECT count(*) FROM sign_in_failure", &[])?, 0);
                Ok(())
            });
        });
    }

    proptest! {
        /// A count begins with its first try, so that 15 minutes may see the end of one and all of the next.
        #[test]
        fn a_quarter_of_an_hour_sees_fewer_than_ten_tries(gaps in proptest::collection::vec(0i64..400, 1..60)) {
            let (mut standing, mut second): (Option<Standing>, i64) = (None, 0);
            let mut looked_at: Vec<i64> = Vec::new();
            for gap in gaps {
                second += gap;
                let next = standing.map_or(Ok(Standing::first(at(second))), |standing| standing.tried(at(second)));
                if let Ok(next) = next {
                    looked_at.push(second);
                    let locks = next.n_failed >= FAILURES;
                    let locked_until = locks.then(|| at(second).checked_add(LOCKED_FOR).unwrap());
                    standing = Some(Standing { locked_until, ..next });
                }
            }
            for (index, from) in looked_at.iter().enumerate() {
                let n_within = looked_at[index..].iter().take_while(|second| **second - from < 900).count();
                prop_assert!(n_within < 2 * FAILURES as usize, "{looked_at:?}");
            }
        }
    }
}
