//! The signals: the first SIGINT or SIGTERM asks to end, the second insists; SIGHUP asks to read the cameras again.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGINT or SIGTERM cancels; the second ends the process at once.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let asked = token.clone();
    tokio::spawn(async move {
        for attempt in 0u32.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if attempt > 0 {
                tracing::warn!("a second signal came; ending at once");
                std::process::exit(130);
            }
            tracing::info!("shutting down; a second signal ends at once");
            asked.cancel();
        }
    });
    Ok(token)
}

/// Calls `reload` at each SIGHUP, which would end the process otherwise.
#[cfg(feature = "ingest")]
pub fn on_hangup<F: Future<Output = ()> + Send>(reload: impl Fn() -> F + Send + 'static) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload().await;
        }
    });
    Ok(())
}
