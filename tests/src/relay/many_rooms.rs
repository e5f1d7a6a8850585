//! Many rooms, in each some people who all type at their own pace, whatever the server does: what
//! a deployment sees on an ordinary day.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::{JoinSet, LocalSet};

use super::edits::{LAST_LETTER, Progress, letter};
use super::peer::{self, Peer, Said};
use super::server::Server;
use super::times::{Measured, Row, Times};

/// Before what counts, beside the time in which everybody strikes once: rooms that have gone to
/// sleep while the others were filled are awake then.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the last letters may take.
const SILENCE: Duration = Duration::from_secs(20);

/// What all of them share.
struct Board {
    counting: Cell<bool>,
    typing: Cell<bool>,
    times: RefCell<Times>,
    frames: Cell<u64>,
    /// Deliveries that are under way.
    awaited: Cell<u64>,
}

/// When each letter of somebody was due.
type Due = Rc<RefCell<Vec<Instant>>>;

/// What goes on in the rooms.
#[derive(Debug)]
pub struct Typing {
    /// Rooms.
    pub rooms: usize,
    /// People in each.
    pub people: usize,
    /// The time between two letters of each.
    pub pace: Duration,
    /// What each room has before: one of the documents that end with [`LAST_LETTER`].
    pub document: Option<Vec<u8>>,
}

/// Types for `time`.
///
/// # Errors
/// If a socket breaks, or a letter is not delivered to everybody.
pub async fn run(server: &mut Server, typing: &Typing, time: Duration) -> Result<Row> {
    let Typing {
        rooms,
        people,
        pace,
        ref document,
    } = *typing;
    let behind = document.as_ref().map(|_| LAST_LETTER);
    let (mut seats, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..rooms {
        let room = server.room(people).await?;
        if let Some(document) = document {
            writers.push(peer::fill(server, &room, document).await?);
        }
        seats.push(room);
    }
    let board = Rc::new(Board {
        counting: Cell::new(false),
        typing: Cell::new(true),
        times: RefCell::default(),
        frames: Cell::new(0),
        awaited: Cell::new(0),
    });
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut tasks = JoinSet::new();
            let mut typists = Vec::new();
            for (room, seats) in seats.iter().enumerate() {
                let typed: Vec<Due> = seats.iter().map(|_| Due::default()).collect();
                for (who, seat) in seats.iter().enumerate() {
                    let peer = Peer::join(server, seat).await?;
                    let (ear, dialect) = (peer.ear, peer.dialect.clone());
                    tasks.spawn_local(read(ear, dialect, room, who, typed.clone(), board.clone()));
                    typists.push((peer.mouth, peer.dialect, room, who, typed[who].clone()));
                }
            }
            drop(writers);
            // Spread evenly over the pace, as no two people strike together.
            let (all, start) = (typists.len(), Instant::now());
            for (number, (mut mouth, dialect, room, who, due)) in typists.into_iter().enumerate() {
                let first = start + pace.mul_f64(spread(number, all));
                let board = board.clone();
                tasks.spawn_local(async move {
                    for clock in 0.. {
                        let at = first + pace * u32::try_from(clock)?;
                        tokio::time::sleep_until(at.into()).await;
                        if !board.typing.get() {
                            break;
                        }
                        due.borrow_mut().push(at);
                        let others = people as u64 - 1;
                        board.awaited.set(board.awaited.get() + others);
                        let mut frames = Vec::new();
                        dialect
                            .append_update(&mut frames, &letter(client(room, who), clock, behind));
                        mouth.say(&frames).await?;
                    }
                    std::future::pending().await
                });
            }
            let watched = async {
                tokio::time::sleep(WARM_UP + pace).await;
                board.counting.set(true);
                let letters = 1.0 / pace.as_secs_f64();
                let mut name = format!("{rooms} rooms, {people} people, {letters} edits/s each");
                if let Some(document) = document {
                    name += &format!(", in {} KB", document.len() / 1000);
                }
                let measured = Measured::begin(name, server.pid)?;
                tokio::time::sleep(time).await;
                board.counting.set(false);
                let row = measured.end(&board.times.borrow(), board.frames.get())?;
                board.typing.set(false);
                let limit = Instant::now() + SILENCE;
                while board.awaited.get() > 0 {
                    let lost = board.awaited.get();
                    ensure!(Instant::now() < limit, "{lost} letters were not delivered");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(row)
            };
            tokio::select! {
                row = watched => row,
                ended = tasks.join_next() => {
                    ended.context("nobody types")???;
                    anyhow::bail!("somebody has left")
                }
            }
        })
        .await
}

/// Letters of a room are spread over the pace, and those of all rooms.
fn spread(number: usize, all: usize) -> f64 {
    // A step that has no divisor in common with the count visits each place once.
    (number * 377 % all) as f64 / all as f64
}

fn client(room: usize, who: usize) -> u64 {
    1_000_000 + (room * 1_000 + who) as u64
}

async fn read(
    mut ear: super::socket::Ear,
    dialect: super::peer::Dialect,
    room: usize,
    me: usize,
    due: Vec<Due>,
    board: Rc<Board>,
) -> Result<()> {
    let mut progress = vec![Progress::default(); due.len()];
    loop {
        let message = ear.next().await.context("a reader")?;
        let (Said::Update(update) | Said::Answer(update)) = dialect.read(message)? else {
            continue;
        };
        let now = Instant::now();
        let mut others = false;
        for who in (0..due.len()).filter(|who| *who != me) {
            let before = progress[who].clock;
            progress[who].advance(client(room, who), update)?;
            let due = due[who].borrow();
            for clock in before..progress[who].clock {
                let due = due.get(usize::try_from(clock)?).context("not typed yet")?;
                board.awaited.set(board.awaited.get() - 1);
                others = true;
                if board.counting.get() {
                    board.times.borrow_mut().add(now - *due);
                }
            }
        }
        if others && board.counting.get() {
            board.frames.set(board.frames.get() + 1);
        }
    }
}
