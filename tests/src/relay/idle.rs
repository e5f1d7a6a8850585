//! What it takes to hold rooms and sockets in which nothing happens.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::edits::letter;
use super::peer::Peer;
use super::server::Server;
use super::times::usage;

/// What a server holds, in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Before anything.
    pub before: u64,
    /// For each socket in one room.
    pub per_socket: f64,
    /// For each further room with one socket.
    pub per_room: f64,
}

/// Opens `sockets` in one room, then `rooms` with one socket and one letter each, and looks after
/// `rest` of silence.
///
/// # Errors
/// If a socket is refused.
pub async fn run(
    server: &mut Server,
    sockets: usize,
    rooms: usize,
    rest: Duration,
) -> Result<Held> {
    let resident = |server: &Server| Ok::<_, anyhow::Error>(usage(Some(server.pid))?.resident);
    // The first of everything makes what all others share.
    let first = server.room(1).await?;
    let mut peers = vec![Peer::join(server, &first[0]).await?];
    let seats = server.room(sockets).await?;
    peers.push(Peer::join(server, &seats[0]).await?);
    tokio::time::sleep(rest).await;
    let before = resident(server)?;
    for seat in &seats[1..] {
        peers.push(Peer::join(server, seat).await?);
    }
    tokio::time::sleep(rest).await;
    let with_sockets = resident(server)?;
    let mut single = Vec::new();
    for _ in 0..rooms {
        single.extend(server.room(1).await?);
    }
    // Accounts and sessions are none of the room's.
    let with_sessions = resident(server)?;
    for (number, seat) in single.iter().enumerate() {
        let mut peer = Peer::join(server, seat).await?;
        peer.edit(&letter(5_000 + number as u64, 0, None)).await?;
        peers.push(peer);
    }
    tokio::time::sleep(rest).await;
    let with_rooms = resident(server)?;
    let each = |more: u64, less: u64, count: usize| (more as f64 - less as f64) / count as f64;
    Ok(Held {
        before,
        per_socket: each(with_sockets, before, sockets - 1),
        per_room: each(with_rooms, with_sessions, rooms),
    })
}
