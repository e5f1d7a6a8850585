//! When to stop: on the first SIGTERM or SIGINT in good order, on the second at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal: as of a process that SIGINT has ended.
const EXIT_AT_ONCE: i32 = 130;

/// A token that fires on the first signal. From then on a second one ends the process.
///
/// # Errors
///
/// When the process may not handle signals.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let fire = stop.clone();
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
