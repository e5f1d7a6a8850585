//! A room's frames as server-sent events, one after the other, until the stream's time is over, the
//! room closes the connection, or the client goes.
//!
//! Each event has the id `<connection>.<number>`. Whoever comes back with it within some seconds
//! goes on behind it, as the same connection; a newcomer gets the event `open` first.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::time::Timestamp;
use futures_util::{Stream, stream};

use super::rooms::{NotPosted, StreamedRooms, topic};
use super::store;
use crate::error::Refusal;
use crate::ports::{Closing, DbError};
use crate::room::{ConnectionId, Principal, Wishes};

/// How long a stream lasts. The next one shows that its client is still there; and hosts end
/// longer ones.
pub const STREAM_MS: i64 = 25_000;
/// How long a connection is kept without a stream.
const RETURN_MS: i64 = 10_000;
/// How often a silent stream gives a sign of life.
const SIGN_MS: i64 = 5_000;
/// How long to wait before looking again, where nobody says that there is something new.
const LOOK_AGAIN_MS: u32 = 25;

/// Where a client wants to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    connection: ConnectionId,
    seq: u64,
}

impl Resume {
    /// From the id of an event.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let (connection, seq) = id.split_once('.')?;
        Some(Self {
            connection: ConnectionId(connection.parse().ok()?),
            seq: seq.parse().ok()?,
        })
    }
}

impl StreamedRooms {
    /// Lets somebody into a room, or back into it; gives what they are to get as it comes.
    ///
    /// # Errors
    /// Those of the database. A room that does not let them in says so in the stream.
    pub async fn open(
        self: &Arc<Self>,
        session: SessionId,
        principal: Principal,
        wishes: Wishes,
        resume: Option<Resume>,
    ) -> Result<impl Stream<Item = Result<Bytes, DbError>> + Send + use<>, Refusal> {
        self.hub.migrate(&*self.db).await?;
        let now = self.clock.now();
        let mut reader = match self.resumed(session, &principal, resume).await? {
            Some(reader) => reader,
            None => self.entered(session, principal, wishes).await?,
        };
        reader.ends_at = now.plus_millis(STREAM_MS);
        reader.said_at = now;
        let until = reader.ends_at.plus_millis(RETURN_MS);
        store::seen(&*self.db, session, reader.connection, until).await?;
        Ok(stream::unfold(reader, |mut reader| async move {
            let chunk = reader.next().await?;
            Some((chunk, reader))
        }))
    }

    /// The stream that goes on where another one has ended, if that is possible.
    async fn resumed(
        self: &Arc<Self>,
        session: SessionId,
        principal: &Principal,
        resume: Option<Resume>,
    ) -> Result<Option<Reader>, Refusal> {
        let Some(Resume { connection, seq }) = resume else {
            return Ok(None);
        };
        let head = store::head(&*self.db, session).await?;
        let own = head.room.connection(connection).filter(|known| {
            let same = known.principal.user_id == principal.user_id;
            same && (head.first_seq.saturating_sub(1)..=head.seq).contains(&seq)
        });
        Ok(own.map(|known| Reader::new(self, session, connection, known.app_frames, seq)))
    }

    async fn entered(
        self: &Arc<Self>,
        session: SessionId,
        principal: Principal,
        wishes: Wishes,
    ) -> Result<Reader, Refusal> {
        let entered = self.connect(session, principal, wishes).await;
        let (connection, taken) = entered.map_err(|why| match why {
            NotPosted::Failed(refusal) => refusal,
            NotPosted::Gone => DbError::Busy.into(),
        })?;
        let mut reader = Reader::new(self, session, connection, wishes.app_frames, taken.seq);
        let id = reader.id(taken.seq);
        push(&mut reader.chunk, "open", &id, &connection.0.to_string());
        for frame in &taken.replies {
            push(&mut reader.chunk, "frame", &id, &STANDARD.encode(frame));
        }
        Ok(reader)
    }
}

/// A stream of nothing but the reason why it ends, and when to open the next.
#[must_use]
pub fn refused(closing: Closing) -> Bytes {
    let Closing {
        code,
        retry_after_seconds,
    } = closing;
    let mut chunk = String::new();
    if let Some(seconds) = retry_after_seconds {
        // Writing into a string does not fail.
        let _ = writeln!(chunk, "retry: {}", u64::from(seconds).saturating_mul(1_000));
    }
    push(&mut chunk, "close", "", &code.code().to_string());
    chunk.into()
}

fn push(chunk: &mut String, event: &str, id: &str, data: &str) {
    // Writing into a string does not fail.
    let _ = write!(chunk, "event: {event}\nid: {id}\ndata: {data}\n\n");
}

/// One stream.
struct Reader {
    rooms: Arc<StreamedRooms>,
    session: SessionId,
    connection: ConnectionId,
    app_frames: bool,
    /// The number of the last frame that it has looked at.
    seq: u64,
    /// What is to be sent next.
    chunk: String,
    ends_at: Timestamp,
    said_at: Timestamp,
    ended: bool,
}

impl Reader {
    fn new(
        rooms: &Arc<StreamedRooms>,
        session: SessionId,
        connection: ConnectionId,
        app_frames: bool,
        seq: u64,
    ) -> Self {
        rooms.hub.join(session, seq);
        Self {
            rooms: rooms.clone(),
            session,
            connection,
            app_frames,
            seq,
            chunk: String::new(),
            ends_at: Timestamp::default(),
            said_at: Timestamp::default(),
            ended: false,
        }
    }

    fn id(&self, seq: u64) -> String {
        format!("{}.{seq}", self.connection.0)
    }

    /// What is sent next; nothing once it is over.
    async fn next(&mut self) -> Option<Result<Bytes, DbError>> {
        loop {
            if self.ended && self.chunk.is_empty() {
                return None;
            }
            // Listened to before looking, so that nothing falls between the two.
            let listener = self.rooms.signals.listen(&[topic(self.session)]);
            if let Err(error) = self.look().await {
                tracing::error!(cause = %error, session.id = %self.session, "a stream has ended");
                self.ended = true;
                return Some(Err(error));
            }
            let now = self.rooms.clock.now();
            if now >= self.ends_at || now.since(self.said_at) >= SIGN_MS {
                self.ended |= now >= self.ends_at;
                // An event without data: the client notes how far it is.
                let id = self.id(self.seq);
                let _ = write!(self.chunk, "id: {id}\n\n");
            }
            if !self.chunk.is_empty() {
                self.said_at = now;
                return Some(Ok(std::mem::take(&mut self.chunk).into()));
            }
            listener.wait(LOOK_AGAIN_MS).await;
        }
    }

    /// Puts what is new into the chunk.
    async fn look(&mut self) -> Result<(), DbError> {
        if self.ended {
            return Ok(());
        }
        self.rooms.poll(self.session).await?;
        let news = match self.rooms.hub.after(self.session, self.seq) {
            Ok(news) => news,
            Err(_) => {
                let read = store::frames_after(&*self.rooms.db, self.session, self.seq).await?;
                read.into_iter().map(Arc::new).collect()
            }
        };
        for frame in news {
            self.seq = frame.seq;
            if !frame.is_for(self.connection, self.app_frames) {
                continue;
            }
            let id = self.id(frame.seq);
            if let Some(code) = frame.code {
                push(&mut self.chunk, "close", &id, &code.to_string());
                self.ended = true;
                break;
            }
            push(
                &mut self.chunk,
                "frame",
                &id,
                &STANDARD.encode(&frame.frame),
            );
        }
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.rooms.hub.leave(self.session);
    }
}
