//! Puts the parts together, starts them and ends them in order.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use jiff::Timestamp;
use prometheus::Registry;
use tokio::{net::TcpListener, sync::broadcast, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Access, PolicyError},
    accounts::{AccountError, Accounts},
    api::{self, Api, Probe, client::Peer},
    consume::{
        Health, Intake, Source,
        embedded::EmbeddedSource,
        kafka::{KafkaSettings, KafkaSource},
    },
    deadline::Deadlines,
    error_chain,
    evidence::Evidence,
    group::Opened,
    live::Live,
    metrics::Metrics,
    notifier,
    notify::{Courier, CourierError},
    oidc::Oidc,
    procedure::Procedure,
    publish, register,
    report::nuisance::{By, count},
    rules_file::{self, Rulebook, RulesError},
    settings::AlertingSettings,
    store::{
        Store, StoreError,
        apply::Applier,
        changes,
        deadlines::{is_any_due, look as look_at_due},
        facts,
    },
    sweeper::{self, Sweeper},
    tls::TlsListener,
};

/// How often incidents are looked at that time brings something to.
const DEADLINES_EVERY: Duration = Duration::from_secs(5);
/// How often nuisance is counted for the metrics.
const NUISANCE_EVERY: Duration = Duration::from_secs(600);
/// How far back it is counted.
const NUISANCE_FOR: Duration = Duration::from_secs(30 * 86_400);
/// How long shutdown waits for what was begun.
const GRACE: Duration = Duration::from_secs(10);

/// Why alerting did not start.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// The store.
    #[error("the store can't be opened")]
    Store(#[from] StoreError),
    /// The accounts.
    #[error("accounts can't be prepared")]
    Accounts(#[from] AccountError),
    /// The address.
    #[error("can't listen on {0}; choose another [alerting] listen")]
    Listen(SocketAddr, #[source] io::Error),
    /// The policies.
    #[error("access policies can't be used")]
    Policies(#[from] PolicyError),
    /// A channel of notifications.
    #[error("a channel of [[notify]] can't be used")]
    Notify(#[from] CourierError),
    /// The identity provider.
    #[error("[alerting.oidc] can't be used")]
    Oidc(#[source] reqwest::Error),
    /// The rules.
    #[error("the rules can't be put in force")]
    Rules(#[from] RulesError),
    /// The metrics.
    #[error("metrics can't be registered")]
    Metrics(#[from] prometheus::Error),
    /// Neither an embedded source nor Kafka.
    #[error("no event source: add [alerting.kafka] brokers = …, or run ingest in the same process")]
    NoSource,
}

/// What the caller wants to know once it runs.
#[derive(Debug)]
pub struct Started {
    /// Where the API and the console are.
    pub listen_addr: SocketAddr,
    /// True when they are reached by TLS.
    pub has_tls: bool,
    /// The file of first passwords, when it was just made.
    pub initial_passwords: Option<PathBuf>,
    /// Incidents that this process opens.
    pub incidents: broadcast::Receiver<Opened>,
}

/// The running parts.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<()>,
}

impl Running {
    /// Waits until everything has ended; to be called after the shutdown token was cancelled.
    pub async fn ended(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!(grace = ?GRACE, "alerting did not end in time, the rest is cut off");
        }
    }
}

/// What shares the process on one box.
#[derive(Debug)]
pub struct OneBox {
    /// Ingest's log.
    pub source: EmbeddedSource,
    /// Ingest's parts, for readiness.
    pub probes: Vec<Probe>,
}

/// Starts alerting; without `one_box` events come from Kafka.
pub async fn start(
    settings: AlertingSettings,
    one_box: Option<OneBox>,
    registry: Registry,
    shutdown: CancellationToken,
) -> Result<(Started, Running), AlertingError> {
    let metrics = Metrics::new(&registry)?;
    let access = Access::load(settings.region_scheme.clone(), metrics.access_alarms.clone())?;
    let data_dir = &settings.data_dir;
    std::fs::create_dir_all(data_dir).map_err(|error| StoreError::Folder(data_dir.clone(), error))?;
    let place = settings.store.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(&place)).await;
    let store = opened.map_err(|_| StoreError::Closed)??;
    let accounts = {
        let throttled = metrics.throttled.clone();
        Accounts::new((store.clone(), access.clone()), settings.requests_per_minute, throttled).await?
    };
    let initial_passwords = accounts.bootstrap(&settings.data_dir, settings.region.as_str()).await?;
    let listener =
        TcpListener::bind(settings.listen).await.map_err(|error| AlertingError::Listen(settings.listen, error))?;
    let listen_addr = listener.local_addr().map_err(|error| AlertingError::Listen(settings.listen, error))?;
    let (embedded, probes) = match one_box {
        Some(OneBox { source, probes }) => (Some(source), probes),
        None => (None, Vec::new()),
    };
    let couriers: Vec<Courier> = settings.channels.iter().cloned().map(Courier::new).collect::<Result<_, _>>()?;
    let oidc = settings.oidc.clone().map(Oidc::new).transpose().map_err(AlertingError::Oidc)?;
    let live = Live::default();
    let incidents = live.listen_opened();
    let evidence = Evidence::new(settings.snapshot_dir.clone(), settings.evidence_dir());
    let evidence = evidence.with_originals(settings.originals.is_some());
    let rules = Rulebook::new(settings.rules);
    rules_file::note(&store, rules.engine().rules()).await?;
    rules_file::settle(&store, &rules.engine()).await?;
    let intake = Intake {
        applier: Arc::new(Applier {
            rules: rules.clone(),
            evidence: evidence.clone(),
            regions: settings.region_scheme.clone(),
            root_region: settings.region.to_string(),
            publishes: settings.kafka.is_some(),
        }),
        store: store.clone(),
        metrics: metrics.clone(),
        live: live.clone(),
        health: Health::starting("not connected yet"),
    };
    let sweeper = Sweeper {
        store: store.clone(),
        evidence: evidence.clone(),
        access: access.clone(),
        region: settings.region.to_string(),
        retention: settings.retention,
        audit: settings.audit.clone(),
        archives: settings.data_dir.join("audit-archive"),
    };
    let register = Health::starting("no checkpoint was looked at yet");
    let deadlines = Arc::new(settings.deadlines);
    let publishes = settings.kafka.is_some();
    let api = Api {
        store: store.clone(),
        access,
        accounts,
        live: live.clone(),
        evidence,
        originals: settings.originals,
        rules: rules.clone(),
        deadlines: deadlines.clone(),
        region: settings.region.as_str().into(),
        register: register.clone(),
        metrics: metrics.clone(),
        registry,
        health: intake.health.clone(),
        probes: probes.into(),
        followers: api::Followers::default(),
        condition: api::Condition::default(),
        publishes: settings.kafka.is_some(),
        oidc,
        behind_tls: settings.behind_tls,
        has_tls: settings.tls.is_some(),
        shutdown: shutdown.clone(),
    };
    let mut tasks = JoinSet::new();
    start_source(&mut tasks, (embedded, settings.kafka), &intake, &shutdown)?;
    let data_dir = settings.data_dir.clone();
    let (audit, audited, ends) = (settings.audit, (store.clone(), register), shutdown.clone());
    tasks.spawn(async move { register::run(audit, &data_dir, audited, ends).await });
    for courier in couriers {
        tasks.spawn(notifier::run(courier, store.clone(), metrics.clone(), shutdown.clone()));
    }
    tasks.spawn(look_at_deadlines(
        (store.clone(), live.clone()),
        (rules.clone(), deadlines, publishes),
        shutdown.clone(),
    ));
    tasks.spawn(count_nuisance(store.clone(), metrics.clone(), shutdown.clone()));
    tasks.spawn(rules_file::watch((rules, settings.file), store.clone(), metrics, shutdown.clone()));
    tasks.spawn(live.run(store.clone(), shutdown.clone()));
    tasks.spawn(sweeper::run(sweeper, shutdown.clone()));
    tasks.spawn(api::watch(api.clone()));
    let has_tls = api.has_tls;
    match settings.tls {
        Some(tls) => {
            let encrypted = TlsListener::new(tls, listener, shutdown.clone());
            let encrypted = encrypted.map_err(|error| AlertingError::Listen(settings.listen, error))?;
            tasks.spawn(serve(encrypted, api, shutdown));
        }
        None => drop(tasks.spawn(serve(listener, api, shutdown))),
    }
    Ok((Started { listen_addr, has_tls, initial_passwords, incidents }, Running { tasks }))
}

fn start_source(
    tasks: &mut JoinSet<()>,
    (embedded, kafka): (Option<EmbeddedSource>, Option<KafkaSettings>),
    intake: &Intake,
    shutdown: &CancellationToken,
) -> Result<(), AlertingError> {
    if let Some(kafka) = &kafka {
        let ends = (intake.live.clone(), intake.metrics.clone());
        tasks.spawn(publish::run(kafka.clone(), intake.store.clone(), ends, shutdown.clone()));
    }
    match (embedded, kafka) {
        (Some(embedded), _) => tasks.spawn(embedded.run(intake.clone(), shutdown.clone())),
        (None, Some(kafka)) => tasks.spawn(KafkaSource::new(kafka).run(intake.clone(), shutdown.clone())),
        (None, None) => return Err(AlertingError::NoSource),
    };
    Ok(())
}

/// Tells what time brings to incidents.
async fn look_at_deadlines(
    (store, live): (Store, Live),
    (rules, deadlines, publishes): (Rulebook, Arc<Deadlines>, bool),
    shutdown: CancellationToken,
) {
    let mut often = tokio::time::interval(DEADLINES_EVERY);
    often.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = often.tick() => {}
        }
        if matches!(store.read(|tx| is_any_due(tx, Timestamp::now())).await, Ok(false)) {
            continue;
        }
        loop {
            let procedure = Procedure { engine: rules.engine(), deadlines: Arc::clone(&deadlines) };
            let looked = store.write(move |tx| {
                let (announced, more) = look_at_due(tx, &procedure, Timestamp::now())?;
                for announcement in announced.into_iter().filter(|_| publishes) {
                    changes::announce(tx, announcement)?;
                }
                Ok(more)
            });
            match looked.await {
                Ok(more) => {
                    live.wake();
                    if !more {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "deadlines not looked at, the next look tries again");
                    break;
                }
            }
        }
    }
}

/// Counts what people discarded of that which machines raised.
async fn count_nuisance(store: Store, metrics: Metrics, shutdown: CancellationToken) {
    let mut often = tokio::time::interval(NUISANCE_EVERY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = often.tick() => {}
        }
        let since = Timestamp::now().checked_sub(NUISANCE_FOR).unwrap_or(Timestamp::MIN);
        match store.read(move |tx| facts::raised(tx, None, since)).await {
            Ok(raised) => {
                metrics.nuisance.reset();
                for by in By::ALL {
                    for nuisance in count(&raised, by) {
                        let rate = nuisance.rate().unwrap_or_default();
                        metrics.nuisance.with_label_values(&[by.as_str(), nuisance.key.as_str()]).set(rate);
                    }
                }
            }
            Err(error) => tracing::warn!(error = error_chain(&error), "nuisance not counted, tried again later"),
        }
    }
}

async fn serve<L: Listener<Addr = SocketAddr>>(listener: L, api: Api, shutdown: CancellationToken)
where
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let service = api::router(api).into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!(%error, "api ended");
    }
}
