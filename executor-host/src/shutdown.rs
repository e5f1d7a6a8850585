//! When to stop: on the first SIGTERM or SIGINT in good order, on the second at once; on SIGUSR1,
//! which `executor-host drain` sends, once all that is there has been finished.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal: as of a process that SIGINT has ended.
const EXIT_AT_ONCE: i32 = 130;

/// How a service is told to end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Take nothing more; what runs may go on for the grace, and is given back then.
    pub now: CancellationToken,
    /// Take nothing more, finish all that there is, then end.
    pub drain: CancellationToken,
}

impl Stop {
    /// Waits until one of both has fired.
    pub async fn either(&self) {
        tokio::select! {
            () = self.now.cancelled() => {}
            () = self.drain.cancelled() => {}
        }
    }
}

/// Never told to drain.
impl From<CancellationToken> for Stop {
    fn from(now: CancellationToken) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }
}

/// Fires on the first signal of its kind. After one that says now, a second ends the process.
///
/// # Errors
///
/// When the process may not handle signals.
pub fn on_signals() -> io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut finish = signal(SignalKind::user_defined1())?;
    let stop = Stop::default();
    let (fire, drain) = (stop.now.clone(), stop.drain.clone());
    tokio::spawn(async move {
        if finish.recv().await.is_some() {
            tracing::info!("draining: what is there is finished, and nothing more is taken");
            drain.cancel();
        }
    });
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping; a second signal ends the process at once");
        fire.cancel();
        next().await;
        tracing::warn!("ended by a second signal; the next start cleans up");
        std::process::exit(EXIT_AT_ONCE);
    });
    Ok(stop)
}
