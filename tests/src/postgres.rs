//! A real PostgreSQL of Debian's package on a socket in a folder of its own, with a switch to kill it and start it again.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait;

/// The user that Debian's package makes; the server refuses to run as root.
const USER: &str = "postgres";
const PORT: &str = "5432";
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

/// The server, with one database `xueliang`.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    process: Option<Process>,
}

impl Postgres {
    /// Makes a cluster in a new folder and starts it.
    pub fn start() -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("xueliang-pg").permissions(fs::Permissions::from_mode(0o755)).tempdir()?;
        chown(folder.path(), Some(id("-u")?), Some(id("-g")?))?;
        let mut server = Self { folder, programs: programs()?, process: None };
        let data = server.data();
        server.run("initdb", |initdb| {
            initdb.arg("-D").arg(data).args(["-U", USER, "-A", "trust", "--no-locale", "-E", "UTF8"]);
        })?;
        server.resume()?;
        server.run("createdb", |createdb| {
            createdb.args(["-h"]).arg(server.folder.path()).args(["-p", PORT, "-U", USER, "xueliang"]);
        })?;
        Ok(server)
    }

    /// The table of settings that names it.
    pub fn settings(&self) -> String {
        format!("[alerting.postgres]\nhost = {:?}\nport = {PORT}\nuser = \"{USER}\"\n", self.folder.path())
    }

    /// Its socket's folder and its port, as `xueliang bench alerting --postgres` takes them.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", self.folder.path().display())
    }

    /// The first column of a query's rows.
    pub fn query(&self, sql: &str) -> Result<Vec<String>> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-h"])
            .arg(self.folder.path())
            .args(["-p", PORT, "-U", USER, "-At", "-c", sql, "xueliang"])
            .output()
            .context("can't run psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }

    /// The number that a query gives.
    pub fn count(&self, sql: &str) -> Result<u64> {
        Ok(self.query(sql)?.first().context("no row")?.parse()?)
    }

    /// As if the machine lost its power: no checkpoint, no goodbye.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts it again with what it had, and waits until it answers.
    pub fn resume(&mut self) -> Result<()> {
        let (folder, data) = (self.folder.path().to_owned(), self.data());
        let program = self.programs.join("postgres");
        let log = self.folder.path().join("log");
        let mut process = Process::spawn("postgres", Path::new("setpriv"), &log, |command| {
            as_user(command).arg(program).arg("-D").arg(data).arg("-k").arg(&folder);
            command.args(["-p", PORT, "-c", "listen_addresses=", "-c", "max_connections=100"]);
        })?;
        wait::until("postgres to answer", START, || {
            process.check_running()?;
            let ready = Command::new(self.programs.join("pg_isready"))
                .arg("-q")
                .arg("-h")
                .arg(&folder)
                .args(["-p", PORT])
                .status()?;
            Ok(ready.success().then_some(()))
        })?;
        self.process = Some(process);
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, configure: impl FnOnce(&mut Command)) -> Result<()> {
        let mut command = Command::new("setpriv");
        as_user(&mut command).arg(self.programs.join(program));
        configure(&mut command);
        let output = command.output().with_context(|| format!("can't run {program}"))?;
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its backends end when the first process does; then the folder can go.
        if let Some(mut process) = self.process.take() {
            let _ = process.terminate(STOP);
        }
    }
}

fn as_user(command: &mut Command) -> &mut Command {
    let (user, group) = (format!("--reuid={USER}"), format!("--regid={USER}"));
    command.args([user.as_str(), group.as_str(), "--clear-groups", "--pdeathsig", "KILL", "--"])
}

fn id(which: &str) -> Result<u32> {
    let output = Command::new("id").args([which, USER]).output().context("can't run id")?;
    ensure!(output.status.success(), "there is no user {USER}; run ./check once, it installs PostgreSQL");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Debian keeps each version's programs apart; any will do.
fn programs() -> Result<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not there; run ./check once, it installs it")?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").is_file()).max().context("no initdb in /usr/lib/postgresql")
}
