//! Trying an image out: a container of it is started, and its runtime asked for its version.

use std::sync::Arc;
use std::time::Duration;

use agent_protocol::{Event, Exec, Exit, Limits, Order, Stream};
use codecrafter_shared::language::LanguageRow;

use super::container::{Container, Request};
use super::engine::Engine;
use super::retryable;
use crate::sandbox::HostFault;

const LIMITS: Limits = Limits {
    cpu_ms: 20_000,
    wall_ms: 30_000,
    output_bytes: 4096,
};

/// What the language's runtime prints as its version, in a container of its own.
pub async fn version(
    engine: &Arc<Engine>,
    request: Request,
    row: &LanguageRow,
) -> Result<String, HostFault> {
    let mut container = Container::start(Arc::clone(engine), request).await?;
    let version = ask(&mut container, row).await;
    container.remove().await;
    version
}

/// Runs the row's version command and gives the first line that it prints.
async fn ask(container: &mut Container, row: &LanguageRow) -> Result<String, HostFault> {
    let exec = Exec {
        argv: row.version.clone(),
        // The row's is for compiling and running, and means something in a job only.
        env: Vec::new(),
        limits: LIMITS,
        ..Exec::default()
    };
    let events = async {
        container.send(&[Order::Exec(exec)]).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match container.next_event().await? {
                Some(Event::Output {
                    stream: Stream::Stdout,
                    bytes,
                }) => stdout.extend(bytes),
                Some(Event::Output {
                    stream: Stream::Stderr,
                    bytes,
                }) => stderr.extend(bytes),
                Some(Event::Ended(ended)) if ended.exit == Exit::Code(0) => break,
                other => return Err(retryable(format!("{:?} ended with {other:?}", row.version))),
            }
        }
        // Some runtimes print their version on standard error.
        let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let line = text
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
            .find(|l| !l.is_empty());
        let line = line.ok_or_else(|| retryable(format!("{:?} printed nothing", row.version)))?;
        Ok(line.chars().take(100).collect())
    };
    let limit = Duration::from_millis(u64::from(LIMITS.wall_ms) + 3000);
    tokio::time::timeout(limit, events)
        .await
        .unwrap_or_else(|_| Err(retryable(format!("{:?} did not end", row.version))))
}
