//! Drives a relay for Yjs documents: ours, or another one for comparison. Prints one line of JSON
//! for each row. `cargo xtask bench relay` runs it and draws the table.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use codecrafter_tests::relay::edits::Recorded;
use codecrafter_tests::relay::many_rooms::Typing;
use codecrafter_tests::relay::server::{Kind, Server};
use codecrafter_tests::relay::{idle, joining, many_rooms, one_room};
use serde::Serialize;

#[derive(Parser)]
struct Arguments {
    /// Which server.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Where it is, such as `http://127.0.0.1:8787`.
    #[arg(long)]
    url: String,
    /// The secret of ours.
    #[arg(
        long,
        env = "CODECRAFTER_SECRET",
        hide_env_values = true,
        default_value = ""
    )]
    secret: String,
    /// Its process.
    #[arg(long)]
    server_pid: u32,
    /// How long each row takes at most.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One writer who replays a recorded file, many readers.
    OneRoom {
        /// What is replayed.
        #[arg(long)]
        edits: PathBuf,
        /// Sockets besides the writer's.
        #[arg(long, default_value_t = 49)]
        readers: usize,
        /// Edits under way.
        #[arg(long, default_value_t = 64)]
        window: usize,
    },
    /// Many rooms where everybody types.
    ManyRooms {
        /// Rooms.
        #[arg(long, default_value_t = 100)]
        rooms: usize,
        /// People in each.
        #[arg(long, default_value_t = 5)]
        people: usize,
        /// Letters of each in a minute.
        #[arg(long, default_value_t = 600)]
        per_minute: u32,
        /// What each room has before, as an update.
        #[arg(long)]
        document: Option<PathBuf>,
    },
    /// Coming into a large document.
    Join {
        /// The document, as an update.
        #[arg(long)]
        document: PathBuf,
    },
    /// Memory of rooms and sockets in which nothing happens.
    Idle {
        /// Sockets in one room.
        #[arg(long, default_value_t = 200)]
        sockets: usize,
        /// Rooms with one socket.
        #[arg(long, default_value_t = 200)]
        rooms: usize,
    },
}

// One thread: a driver that took more than one of two processors would measure itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Arguments { kind, url, .. } = &arguments;
    let time = Duration::from_secs(arguments.seconds);
    let mut server = Server::new(*kind, url, &arguments.secret, arguments.server_pid).await?;
    match arguments.what {
        What::OneRoom {
            edits,
            readers,
            window,
        } => {
            let recorded = Recorded::read(&edits)?;
            print(&one_room::run(&mut server, recorded, readers, window, time).await?)
        }
        What::ManyRooms {
            rooms,
            people,
            per_minute,
            document,
        } => {
            let typing = Typing {
                rooms,
                people,
                pace: Duration::from_secs(60) / per_minute,
                document: document.map(fs::read).transpose()?,
            };
            print(&many_rooms::run(&mut server, &typing, time).await?)
        }
        What::Join { document } => print(&joining::run(&mut server, &document, time).await?),
        What::Idle { sockets, rooms } => {
            // Longer than workerd keeps an object in memory that nobody calls.
            let rest = Duration::from_secs(if *kind == Kind::Ours { 12 } else { 3 });
            print(&idle::run(&mut server, sockets, rooms, rest).await?)
        }
    }
}

fn print(row: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(row)?);
    Ok(())
}
