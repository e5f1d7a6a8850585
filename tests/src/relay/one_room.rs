//! One room, one writer who replays what somebody has typed, many readers. The writer has at most
//! a window of edits under way that not every reader has got: a closed loop, so that no server is
//! asked for more than it delivers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};

use super::edits::{Progress, Recorded};
use super::peer::{Peer, Said};
use super::server::Server;
use super::times::{Measured, Row, Times};

/// Edits before those that count.
const WARM_UP: usize = 1_000;
/// A server that delivers nothing for so long has lost something.
const SILENCE: Duration = Duration::from_secs(20);

/// Who has got what.
struct Board {
    recorded: Recorded,
    readers: u32,
    window: usize,
    /// When each edit was sent.
    sent: RefCell<Vec<Instant>>,
    /// How many readers have got each edit that was sent.
    got: RefCell<Vec<u32>>,
    /// Edits that everybody has got.
    done: Cell<usize>,
    times: RefCell<Times>,
    frames: Cell<u64>,
    freed: Notify,
}

/// Replays `recorded` before `readers`, for `time` or to its end.
///
/// # Errors
/// If a socket breaks, or nothing is delivered any more.
pub async fn run(
    server: &mut Server,
    recorded: Recorded,
    readers: usize,
    window: usize,
    time: Duration,
) -> Result<Row> {
    let seats = server.room(readers + 1).await?;
    let board = Rc::new(Board {
        recorded,
        readers: u32::try_from(readers)?,
        window,
        sent: RefCell::default(),
        got: RefCell::default(),
        done: Cell::new(0),
        times: RefCell::default(),
        frames: Cell::new(0),
        freed: Notify::new(),
    });
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut writer = Peer::join(server, seats.first().context("no seat")?).await?;
            let mut hearing = JoinSet::new();
            for seat in seats.iter().skip(1) {
                let reader = Peer::join(server, seat).await?;
                hearing.spawn_local(read(reader, board.clone()));
            }
            // Whatever the server tells its writer is not waited for, but read.
            let mut ear = writer.ear;
            hearing.spawn_local(async move {
                loop {
                    ear.next().await.context("the writer")?;
                }
            });
            let name = format!("one room, {} clients, one writes", readers + 1);
            let mut measured = None;
            let mut ends = None;
            loop {
                let done = board.done.get();
                if measured.is_none() && done >= WARM_UP {
                    board.times.take();
                    board.frames.take();
                    measured = Some(Measured::begin(&name, server.pid)?);
                    ends = Some(Instant::now() + time);
                }
                let over = ends.is_some_and(|ends| Instant::now() >= ends);
                if over || done == board.recorded.edits.len() {
                    break;
                }
                let frames = board.next_frames(&writer.dialect, over);
                if frames.is_empty() {
                    tokio::select! {
                        () = board.freed.notified() => {}
                        ended = hearing.join_next() => ended.context("nobody listens")???,
                        () = tokio::time::sleep(SILENCE) => ensure!(false, "nothing is delivered any more"),
                    }
                } else {
                    writer.mouth.say(&frames).await?;
                }
            }
            let measured = measured.context("too few edits to measure")?;
            let row = measured.end(&board.times.borrow(), board.frames.get())?;
            hearing.abort_all();
            Ok(row)
        })
        .await
}

async fn read(mut reader: Peer, board: Rc<Board>) -> Result<()> {
    let (mut progress, mut next) = (Progress::default(), 0);
    loop {
        let message = reader.ear.next().await.context("a reader")?;
        if let Said::Update(update) | Said::Answer(update) = reader.dialect.read(message)? {
            progress.advance(board.recorded.client, update)?;
            next = board.has_got(next, progress);
        }
    }
}

impl Board {
    /// The frames of the edits that may be sent now.
    fn next_frames(&self, dialect: &super::peer::Dialect, over: bool) -> Vec<u8> {
        let mut frames = Vec::new();
        let (mut sent, mut got) = (self.sent.borrow_mut(), self.got.borrow_mut());
        let end = (self.done.get() + self.window).min(self.recorded.edits.len());
        while !over && sent.len() < end {
            let (update, _) = &self.recorded.edits[sent.len()];
            dialect.append_update(&mut frames, update);
            sent.push(Instant::now());
            got.push(0);
        }
        frames
    }

    /// Somebody who has got all edits before `next` has come to `progress`; gives the new `next`.
    fn has_got(&self, mut next: usize, progress: Progress) -> usize {
        let now = Instant::now();
        self.frames.set(self.frames.get() + 1);
        let (sent, mut got) = (self.sent.borrow(), self.got.borrow_mut());
        let mut times = self.times.borrow_mut();
        while let Some((_, wanted)) = self.recorded.edits.get(next)
            && next < sent.len()
            && progress.has(wanted)
        {
            times.add(now - sent[next]);
            got[next] += 1;
            next += 1;
        }
        let mut done = self.done.get();
        while got.get(done) == Some(&self.readers) {
            done += 1;
        }
        if done > self.done.replace(done) || done == 0 {
            self.freed.notify_one();
        }
        next
    }
}
