//! `xueliang token`: what other systems sign in with, on the store of the settings file.

use clap::Subcommand;
use jiff::Timestamp;
use xueliang_alerting::accounts::tokens::{MAX_DAYS, TokenPurpose, TokenTerms};

use crate::{
    Settings,
    account::{self, Change},
    config,
};

const HELP: &str = "\
Purposes, each good for its routes and nothing else, never for pictures:
  read_incidents   GET /api/v1/incidents, /api/v1/incidents/{id}, /api/v1/stream
  read_devices     GET /api/v1/devices, /api/v1/stream

A machine sends its token with each request: `Authorization: Bearer TOKEN`. 120 requests a minute; each is a row of the audit by
`token:NAME`. Give each system a token of its own, so that one can be revoked without the others.

Examples:
  xueliang token add city-platform --purpose read_incidents --assessment PIA-2026-7 --region 340203 --days 180
  curl -H \"Authorization: Bearer $TOKEN\" https://console.example/api/v1/incidents
  xueliang token revoke city-platform --reason 'contract ended'";

/// What to do with tokens.
#[derive(Subcommand)]
#[command(after_help = HELP)]
pub enum Command {
    /// Make a token; it is shown once.
    Add {
        /// The system that gets it: a-z, 0-9, '.', '_', '-'. Given once.
        name: String,
        /// What it is good for.
        #[arg(long, value_parser = purpose)]
        purpose: TokenPurpose,
        /// The id of the impact assessment that permits that this system reads here.
        #[arg(long, value_name = "ID")]
        assessment: String,
        /// The region's code; left out, the deployment's own.
        #[arg(long, value_name = "CODE")]
        region: Option<String>,
        /// How many days it lasts.
        #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_DAYS)))]
        days: u16,
        #[command(flatten)]
        change: Change,
    },
    /// Show the tokens: purpose, region, end and last use; never the token itself.
    List {
        #[command(flatten)]
        settings: Settings,
    },
    /// Make a token worthless at once.
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        change: Change,
    },
}

/// Runs one command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Add { name, purpose, assessment, region, days, change } => {
            let region = match region {
                Some(region) => region,
                None => config::alerting(&change.settings.config)?.region.to_string(),
            };
            let token = change.open().await?.add_token(name, TokenTerms { purpose, region, assessment, days }).await?;
            println!("token: {token}");
            println!("it is shown once and can't be read again");
        }
        Command::List { settings } => {
            let now = Timestamp::now();
            for token in account::open(&settings.config, None).await?.tokens().await? {
                let (purpose, region) = (token.purpose.as_str(), &token.region);
                let stands = match token.revoked_at {
                    Some(at) => format!("REVOKED {at:.0}"),
                    None if token.is_live(now) => format!("to {:.0}", token.expires_at),
                    None => format!("ENDED {:.0}", token.expires_at),
                };
                let assessed = Some(token.assessment.as_str()).filter(|id| !id.is_empty()).unwrap_or("NOT ASSESSED");
                let used = token.used_at.map_or("never used".to_owned(), |at| format!("used {at:.0}"));
                println!("{}  {purpose}@{region}  {stands}  {used}  {assessed}", token.name);
            }
        }
        Command::Revoke { name, change } => change.open().await?.revoke_token(name).await?,
    }
    Ok(())
}

fn purpose(key: &str) -> Result<TokenPurpose, String> {
    let known = TokenPurpose::ALL.iter().map(|purpose| purpose.as_str()).collect::<Vec<_>>();
    TokenPurpose::parse(key).ok_or_else(|| format!("no such purpose; known: {}", known.join(", ")))
}
