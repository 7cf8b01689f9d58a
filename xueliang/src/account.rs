//! `xueliang account`: who may sign in and what they are there for, on the store of the settings file.
//!
//! Works while alerting runs. Each change is a row of the audit by `local:NAME`, the operating system's user who ran the command:
//! whoever may read the settings and the store administers accounts, and no other account of alerting is claimed.

use std::{io::Read as _, path::Path};

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::{Timestamp, civil::Date};
use xueliang_alerting::{
    access::Assignment,
    accounts::administration::{Administration, NewAccount},
    store::people::Account,
    workflow::Role,
};

use crate::{Settings, config, local};

const HELP: &str = "\
Roles: grid_worker, operator, dispatcher, supervisor, dept_liaison, camera_integrator, privacy_officer, auditor, system_admin,
security_admin, audit_admin. Operator, dispatcher and supervisor may be one account; every other role stands alone, and the three
administrators are three people (RULES P29). What each may do: alerting/access-table.md.

An account does nothing without a training and confidentiality record that holds (RULES P20). Dates are days in the deployer's
time zone, each to its end.

Examples:
  xueliang account add li --name '李' --role operator --region 340203 --trained-until 2027-06-30 --signed-on 2026-12-01
  xueliang account assign li --role dispatcher --region 340203 --until 2027-01-31
  xueliang account train li --until 2027-12-31 --signed-on 2027-06-15
  xueliang account disable li --reason 'left on 1 March'";

/// What to do with accounts.
#[derive(Subcommand)]
#[command(after_help = HELP)]
pub enum Command {
    /// Make an account with its first role; its password is made and shown once, or read from standard input.
    Add {
        /// What it signs in with: a-z, 0-9, '.', '_', '-'. Given once.
        account: String,
        /// The name that others see.
        #[arg(long = "name", value_name = "TEXT")]
        display_name: String,
        /// The department whose incidents a dept_liaison handles.
        #[arg(long, value_name = "TEXT")]
        department: Option<String>,
        #[command(flatten)]
        role: Given,
        #[command(flatten)]
        trained: Trained,
        /// Read the password from the first line of standard input, at least 12 characters.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Show the accounts: roles, training, and who is disabled or locked.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Give an account a role in a region, or the same role another end; ends its sessions.
    Assign {
        /// The account.
        account: String,
        #[command(flatten)]
        role: Given,
        #[command(flatten)]
        change: Change,
    },
    /// Take a role in a region away; ends the account's sessions.
    Revoke {
        /// The account.
        account: String,
        /// The role.
        #[arg(long, value_parser = role)]
        role: Role,
        /// The region's code.
        #[arg(long, value_name = "CODE")]
        region: String,
        #[command(flatten)]
        change: Change,
    },
    /// Record that somebody was trained and has signed confidentiality (RULES P20).
    Train {
        /// The account.
        account: String,
        /// The last day on which the record holds, at most three years ahead.
        #[arg(long, value_name = "DATE")]
        until: Date,
        /// The day on which confidentiality was signed.
        #[arg(long, value_name = "DATE")]
        signed_on: Date,
        #[command(flatten)]
        change: Change,
    },
    /// Set a new password, made and shown once or read from standard input; lifts a lock and ends the account's sessions.
    Password {
        /// The account.
        account: String,
        /// Read the password from the first line of standard input, at least 12 characters.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Let an account sign in by the identity provider of [alerting.oidc]; its roles stay here.
    Link {
        /// The account.
        account: String,
        /// The subject (`sub`) by which the provider knows the person; a refused sign-in shows it.
        #[arg(long, value_name = "TEXT")]
        subject: String,
        #[command(flatten)]
        change: Change,
    },
    /// Take all links of an account to the identity provider away; ends its sessions.
    Unlink {
        /// The account.
        account: String,
        #[command(flatten)]
        change: Change,
    },
    /// Let nobody sign in with an account any more; ends its sessions. Accounts are never deleted, for the audit names them.
    Disable {
        /// The account.
        account: String,
        #[command(flatten)]
        change: Change,
    },
    /// Let a disabled account sign in again, with the roles that it has.
    Enable {
        /// The account.
        account: String,
        #[command(flatten)]
        change: Change,
    },
}

/// A role in a region until a day.
#[derive(Args)]
pub struct Given {
    /// The role.
    #[arg(long, value_parser = role)]
    role: Role,
    /// The region's code; covers all regions below it.
    #[arg(long, value_name = "CODE")]
    region: String,
    /// The last day on which the role holds; left out, until it is revoked.
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
}

/// A training record that there is already.
#[derive(Args)]
pub struct Trained {
    /// The last day on which the training record holds.
    #[arg(long, value_name = "DATE", requires = "signed_on")]
    trained_until: Option<Date>,
    /// The day on which confidentiality was signed.
    #[arg(long, value_name = "DATE", requires = "trained_until")]
    signed_on: Option<Date>,
}

/// A change of the store that these settings name.
#[derive(Args)]
pub struct Change {
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub settings: Settings,
}

impl Change {
    /// Whoever runs this command, before the store.
    pub async fn open(self) -> anyhow::Result<Administration> {
        open(&self.settings.config, self.reason).await
    }
}

/// Opens the accounts for whoever runs this command.
pub async fn open(file: &Path, reason: Option<String>) -> anyhow::Result<Administration> {
    Ok(Administration::open(&config::alerting(file)?, &local::actor(), reason).await?)
}

/// Runs one command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Add { account, display_name, department, role, trained, password_stdin, change } => {
            let (chosen, admin) = (chosen(password_stdin)?, change.open().await?);
            let training = match (trained.trained_until, trained.signed_on) {
                (Some(until), Some(signed_on)) => Some(admin.training(until, signed_on)?),
                _ => None,
            };
            let assignment = assignment(&admin, role)?;
            let name = account.clone();
            let made =
                admin.add(NewAccount { account, display_name, department, assignment, training }, chosen).await?;
            println!("{name} is made");
            show(made);
            if training.is_none() {
                println!("it does nothing before `xueliang account train {name}`");
            }
        }
        Command::List { json, settings } => list(&open(&settings.config, None).await?, json).await?,
        Command::Assign { account, role, change } => {
            let admin = change.open().await?;
            admin.assign(account, assignment(&admin, role)?).await?;
        }
        Command::Revoke { account, role, region, change } => {
            change.open().await?.revoke(account, (role, region)).await?
        }
        Command::Train { account, until, signed_on, change } => {
            let admin = change.open().await?;
            admin.train(account, admin.training(until, signed_on)?).await?;
        }
        Command::Password { account, password_stdin, change } => {
            let chosen = chosen(password_stdin)?;
            show(change.open().await?.set_password(account, chosen).await?);
        }
        Command::Link { account, subject, change } => {
            let file = &change.settings.config;
            let oidc = config::alerting(file)?.oidc;
            let issuer = oidc.with_context(|| format!("{}: there is no [alerting.oidc]", file.display()))?.issuer;
            change.open().await?.link(account, (issuer, subject)).await?;
        }
        Command::Unlink { account, change } => change.open().await?.unlink(account).await?,
        Command::Disable { account, change } => change.open().await?.disable(account).await?,
        Command::Enable { account, change } => change.open().await?.enable(account).await?,
    }
    Ok(())
}

fn role(key: &str) -> Result<Role, String> {
    let known = || Role::ALL.iter().filter(|role| !role.is_service()).map(|role| role.as_str()).collect::<Vec<_>>();
    Role::parse(key).ok_or_else(|| format!("no such role; known: {}", known().join(", ")))
}

fn assignment(admin: &Administration, given: Given) -> anyhow::Result<Assignment> {
    let Given { role, region, until } = given;
    let valid_until = until.map(|until| admin.end_of(until)).transpose()?;
    Ok(Assignment { role, region, valid_until })
}

/// The first line of standard input, when it holds the password.
fn chosen(is_given: bool) -> anyhow::Result<Option<String>> {
    if !is_given {
        return Ok(None);
    }
    let mut text = String::new();
    let read = std::io::stdin().take(1024).read_to_string(&mut text);
    read.context("the password can't be read from standard input")?;
    Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
}

fn show(made: Option<String>) {
    if let Some(password) = made {
        println!("password: {password}");
        println!("it is shown once and can't be read again");
    }
}

async fn list(admin: &Administration, json: bool) -> anyhow::Result<()> {
    let accounts = admin.accounts().await?;
    if accounts.is_empty() {
        eprintln!("no accounts; `xueliang account add --help` makes one, the first start of alerting makes five");
    }
    for (account, locked_until) in accounts {
        println!("{}", if json { as_json(&account, locked_until) } else { as_text(admin, &account, locked_until) });
    }
    Ok(())
}

fn as_json(account: &Account, locked_until: Option<Timestamp>) -> String {
    let Account { person, signed_on, disabled_at } = account;
    let roles = person.assignments.iter().map(|given| {
        serde_json::json!({
            "role": given.role.as_str(),
            "region": given.region,
            "valid_until": given.valid_until.map(|end| end.to_string()),
        })
    });
    let answer = serde_json::json!({
        "account": person.account,
        "name": person.display_name,
        "department": person.department,
        "roles": roles.collect::<Vec<_>>(),
        "training_valid_until": person.training_valid_until.map(|end| end.to_string()),
        "confidentiality_signed_on": signed_on.map(|day| day.to_string()),
        "disabled_at": disabled_at.map(|at| at.to_string()),
        "locked_until": locked_until.map(|at| at.to_string()),
    });
    answer.to_string()
}

fn as_text(admin: &Administration, account: &Account, locked_until: Option<Timestamp>) -> String {
    let Account { person, signed_on, disabled_at } = account;
    let now = Timestamp::now();
    let mut parts = vec![person.account.clone(), person.display_name.clone()];
    parts.extend(person.department.clone());
    parts.extend(person.assignments.iter().map(|given| {
        let role = format!("{}@{}", given.role.as_str(), given.region);
        match given.valid_until {
            Some(end) if end <= now => format!("{role} (ended)"),
            Some(end) => format!("{role} to {}", admin.last_day(end)),
            None => role,
        }
    }));
    parts.push(match (person.training_valid_until, signed_on) {
        (None, _) => "not trained".to_owned(),
        (Some(end), _) if end <= now => format!("training ended on {}", admin.last_day(end)),
        (Some(end), None) => format!("provisional to {}, nothing signed", admin.last_day(end)),
        (Some(end), Some(day)) => format!("trained to {}, signed {day}", admin.last_day(end)),
    });
    parts.extend(disabled_at.map(|at| format!("DISABLED since {at:.0}")));
    parts.extend(locked_until.map(|at| format!("LOCKED until {at:.0}")));
    parts.join("  ")
}
