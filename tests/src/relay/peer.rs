//! A client of a relay: its handshake, and what it makes of what it hears.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::edits::{Reader, write_number};
use super::server::{Seat, Server};
use super::socket::{self, Ear, Mouth, append, framed};

/// How long a server may take to have a document.
const DOCUMENT_MAX: Duration = Duration::from_secs(30);

const SYNC: u64 = 0;
const AUTH: u64 = 2;
const SYNC_REPLY: u64 = 4;
const STEP1: u64 = 0;
const STEP2: u64 = 1;
const UPDATE: u64 = 2;

/// How a server's messages begin.
#[derive(Debug, Clone)]
pub struct Dialect {
    prefix: Option<String>,
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// The client's state is asked for.
    Asked,
    /// An answer to the client's question.
    Answer(&'a [u8]),
    /// Somebody has edited.
    Update(&'a [u8]),
    /// Something else.
    Other,
}

/// A client that is synced.
pub struct Peer {
    /// What it hears.
    pub ear: Ear,
    /// What it says.
    pub mouth: Mouth,
    /// How.
    pub dialect: Dialect,
    /// The document that it got.
    pub document: Vec<u8>,
}

impl Dialect {
    fn sync(&self, kind: u64, body: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(body.len() + 32);
        if let Some(prefix) = &self.prefix {
            write_bytes(&mut message, prefix.as_bytes());
        }
        write_number(&mut message, SYNC);
        write_number(&mut message, kind);
        write_bytes(&mut message, body);
        message
    }

    /// Appends the frame of an edit.
    pub fn append_update(&self, frames: &mut Vec<u8>, update: &[u8]) {
        append(frames, &self.sync(UPDATE, update));
    }

    /// What `message` says.
    ///
    /// # Errors
    /// If it is cut off.
    pub fn read<'a>(&self, message: &'a [u8]) -> Result<Said<'a>> {
        let mut reader = Reader(message);
        if self.prefix.is_some() {
            reader.bytes()?;
        }
        match reader.number()? {
            SYNC | SYNC_REPLY => match reader.number()? {
                STEP1 => Ok(Said::Asked),
                STEP2 => Ok(Said::Answer(reader.bytes()?)),
                UPDATE => Ok(Said::Update(reader.bytes()?)),
                other => bail!("a sync message of the kind {other}"),
            },
            _ => Ok(Said::Other),
        }
    }
}

impl Peer {
    /// Takes a seat, and asks for the whole document until it is there.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn join(server: &Server, seat: &Seat) -> Result<Self> {
        let (mut ear, mut mouth) = socket::open(&server.authority, &seat.path).await?;
        let dialect = Dialect {
            prefix: seat.prefix.clone(),
        };
        let mut first = Vec::new();
        if let Some(prefix) = &seat.prefix {
            let mut auth = Vec::new();
            write_bytes(&mut auth, prefix.as_bytes());
            write_number(&mut auth, AUTH);
            write_number(&mut auth, 0);
            write_bytes(&mut auth, b"token");
            append(&mut first, &auth);
        }
        // "I have nothing", which is one byte of state vector.
        append(&mut first, &dialect.sync(STEP1, &[0]));
        mouth.say(&first).await?;
        let nothing = framed(&dialect.sync(STEP2, &[0, 0]));
        let mut document = None;
        while document.is_none() {
            match dialect.read(ear.next().await.context("while joining")?)? {
                Said::Asked => mouth.say(&nothing).await?,
                Said::Answer(update) => document = Some(update.to_vec()),
                Said::Update(_) | Said::Other => {}
            }
        }
        Ok(Self {
            ear,
            mouth,
            dialect,
            document: document.unwrap_or_default(),
        })
    }

    /// Sends one edit.
    ///
    /// # Errors
    /// If the socket is closed.
    pub async fn edit(&mut self, update: &[u8]) -> Result<()> {
        let mut frames = Vec::new();
        self.dialect.append_update(&mut frames, update);
        self.mouth.say(&frames).await
    }
}

/// Puts the update `document` into the empty room that has `seats`, and waits until it is there.
/// Gives who has written it: a server that stores nothing forgets a room that all have left.
///
/// # Errors
/// If the server refuses.
pub async fn fill(server: &Server, seats: &[Seat], document: &[u8]) -> Result<Peer> {
    let (first, last) = seats.first().zip(seats.last()).context("no seat")?;
    let mut writer = Peer::join(server, first).await?;
    writer.edit(document).await?;
    let limit = Instant::now() + DOCUMENT_MAX;
    // Servers write the same document in more or fewer bytes.
    let least = document.len() * 9 / 10;
    while Peer::join(server, last).await?.document.len() < least {
        ensure!(Instant::now() < limit, "the document does not arrive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(writer)
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len() as u64);
    out.extend(bytes);
}
