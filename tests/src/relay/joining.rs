//! Coming into a room whose document is a large one, until it is there.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::peer::{self, Peer};
use super::server::Server;
use super::times::{Measured, Row, Times};

/// Puts the update in `document` into a room, then joins it over and over for `time`.
///
/// # Errors
/// If the document does not come.
pub async fn run(server: &mut Server, document: &Path, time: Duration) -> Result<Row> {
    let update = fs::read(document).with_context(|| document.display().to_string())?;
    let seats = server.room(2).await?;
    let _writer = peer::fill(server, &seats, &update).await?;
    let seat = seats.last().context("no seat")?;
    let least = update.len() * 9 / 10;
    let mut times = Times::default();
    let name = format!("join a document of {} KB", update.len() / 1000);
    let measured = Measured::begin(name, server.pid)?;
    let ends = Instant::now() + time;
    while Instant::now() < ends {
        let begun = Instant::now();
        let peer = Peer::join(server, seat).await?;
        times.add(begun.elapsed());
        ensure!(peer.document.len() >= least, "only a part of the document");
    }
    let frames = times.count();
    measured.end(&times, frames)
}
