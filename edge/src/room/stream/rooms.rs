//! Inputs to rooms that live in the database: what the room is before and after each of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use codecrafter_shared::api::SessionContent;
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::time::Timestamp;

use super::hub::Hub;
use super::store::{self, Commit, Head};
use crate::error::Refusal;
use crate::ports::{Clock, Db, DbError, Rng, Signals};
use crate::room::host::{RoomHost, Storage};
use crate::room::shard;
use crate::room::write::Written;
use crate::room::{
    Change, ConnectionId, Input, LoadedDocument, Output, Principal, Room, Step, Wishes,
};

/// How often an input is given to the room anew because another one was stored in between. Each
/// time one of those that are under way comes through.
const TRIES_MAX: u32 = 40;
/// Numbers of connections stay within what every platform's database carries (E3).
const ID_BITS: u32 = 53;

/// The rooms of a deployment. Holds what the requests of one instance share.
pub struct StreamedRooms {
    pub(super) db: Arc<dyn Db>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signals: Arc<dyn Signals>,
    pub(super) hub: Hub,
    rng: Arc<dyn Rng>,
    frames_per_second: u32,
}

/// What came of a `POST`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// Frames for who posted.
    pub frames: Vec<Vec<u8>>,
}

/// Why nothing came of it.
#[derive(Debug)]
pub enum NotPosted {
    /// There is no such connection any more, or it is somebody else's: open another.
    Gone,
    /// The database said no.
    Failed(Refusal),
}

/// What came of some inputs.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Frames for the connection that they were from.
    pub(super) replies: Vec<Vec<u8>>,
    /// The number of the last frame then.
    pub(super) seq: u64,
    /// The answer to [`Input::Write`].
    pub(super) written: Option<Written>,
}

impl StreamedRooms {
    /// Rooms in `db`, in which a connection may send so many frames in a second.
    pub fn new(
        db: Arc<dyn Db>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        signals: Arc<dyn Signals>,
        frames_per_second: u32,
    ) -> Self {
        let hub = Hub::default();
        Self {
            db,
            clock,
            signals,
            hub,
            rng,
            frames_per_second,
        }
    }

    /// A room for the calls of front and Directory.
    pub fn host(self: &Arc<Self>, session: SessionId) -> impl RoomHost + use<> {
        Host {
            rooms: self.clone(),
            session,
        }
    }

    /// Gives the room frames of a connection, in their order. `leaves` says that it ends with them.
    ///
    /// # Errors
    /// See [`NotPosted`].
    pub async fn post(
        &self,
        session: SessionId,
        principal: &Principal,
        connection: ConnectionId,
        frames: &[&[u8]],
        leaves: bool,
    ) -> Result<Posted, NotPosted> {
        let mut inputs: Vec<Input<'_>> = frames
            .iter()
            .map(|bytes| Input::Frame { connection, bytes })
            .collect();
        if leaves {
            inputs.push(Input::Disconnect { connection });
        }
        let from = From {
            connection,
            of: Some(principal),
        };
        let taken = self.take(session, &inputs, Some(from)).await?;
        Ok(Posted {
            frames: taken.replies,
        })
    }

    /// Lets somebody in; what they are told first is in [`Taken::replies`].
    pub(super) async fn connect(
        &self,
        session: SessionId,
        principal: Principal,
        wishes: Wishes,
    ) -> Result<(ConnectionId, Taken), NotPosted> {
        let random = u64::from_le_bytes((&*self.rng as &dyn Rng).bytes());
        // Never 0, which no connection has.
        let id = ConnectionId((random >> (u64::BITS - ID_BITS)) | 1);
        let input = Input::Connect {
            id,
            principal,
            wishes,
        };
        let from = From {
            connection: id,
            of: None,
        };
        Ok((id, self.take(session, &[input], Some(from)).await?))
    }

    /// Does what is due in a room, if anything is.
    pub(super) async fn tend(&self, session: SessionId, now: Timestamp) -> Result<(), NotPosted> {
        let lost = store::lost(&*self.db, session, now).await.map_err(failed)?;
        let head = store::head(&*self.db, session).await.map_err(failed)?;
        let mut inputs: Vec<Input<'_>> = lost
            .into_iter()
            .map(|connection| Input::Disconnect { connection })
            .collect();
        if head.due.is_some_and(|due| due <= now) {
            inputs.push(Input::Tick);
        }
        if !inputs.is_empty() {
            self.take(session, &inputs, None).await?;
        }
        Ok(())
    }

    /// Gives a room inputs in their order. What is for the connection that they are from is given
    /// back; everything else is stored for its stream.
    pub(super) async fn take(
        &self,
        session: SessionId,
        inputs: &[Input<'_>],
        from: Option<From<'_>>,
    ) -> Result<Taken, NotPosted> {
        self.hub.migrate(&*self.db).await.map_err(failed)?;
        let mut taken = Taken::default();
        let mut rest = inputs;
        let mut tries: u32 = 0;
        while !rest.is_empty() {
            match self.attempt(session, rest, from, &mut taken).await {
                Ok(done) => rest = rest.get(done..).unwrap_or_default(),
                Err(Attempt::Failed(DbError::Busy)) if tries < TRIES_MAX => {
                    tries = tries.saturating_add(1);
                }
                Err(Attempt::Failed(error)) => return Err(failed(error)),
                Err(Attempt::Gone) => return Err(NotPosted::Gone),
            }
        }
        self.hub.changed(session);
        self.signals.notify(&topic(session));
        Ok(taken)
    }

    /// As many of `inputs` as can be stored together; gives how many.
    async fn attempt(
        &self,
        session: SessionId,
        inputs: &[Input<'_>],
        from: Option<From<'_>>,
        taken: &mut Taken,
    ) -> Result<usize, Attempt> {
        let db = &*self.db;
        let Head {
            version,
            seq,
            first_seq,
            document,
            room,
            ..
        } = store::head(db, session).await?;
        if let Some(From {
            connection,
            of: Some(principal),
        }) = from
        {
            let known = room.connection(connection);
            if known.is_none_or(|known| known.principal.user_id != principal.user_id) {
                return Err(Attempt::Gone);
            }
        }
        let before: Vec<ConnectionId> = room.connection_ids().collect();
        let now = self.clock.now();
        let stored = crate::room::store::restore(db, session).await?;
        let mut room = Room::resume(stored, room, self.frames_per_second, now);

        let mut changes: Vec<Change> = Vec::new();
        let mut outputs: Vec<Output> = Vec::new();
        let mut written = None;
        let mut done: usize = 0;
        for input in inputs {
            if room.needs_document(input) {
                // What is stored is behind what this room has just done.
                if !changes.is_empty() {
                    break;
                }
                room.provide(self.document(session, document.as_deref(), now).await?);
            }
            for step in [room.step(now, input.clone()), room.step(now, Input::Flush)] {
                let Step {
                    changes: more,
                    outputs: told,
                    written: answer,
                } = step;
                changes.extend(more);
                outputs.extend(told);
                written = answer.or(written);
            }
            done = done.saturating_add(1);
        }

        let own = from.map(|from| from.connection);
        let (replies, others): (Vec<Output>, Vec<Output>) = outputs
            .into_iter()
            .partition(|output| matches!(output, Output::Send { to, .. } if Some(*to) == own));
        let forgotten = room.is_deleted() && others.is_empty();
        let (room, loaded) = room.suspend();
        let mark = loaded.as_ref().map(LoadedDocument::mark).or(document);
        let state = serde_json::to_string(&room).map_err(|e| DbError::Failed(e.to_string()))?;
        let gone: Vec<ConnectionId> = before
            .into_iter()
            .filter(|id| room.connection(*id).is_none())
            .collect();
        let commit = Commit {
            version,
            seq,
            first_seq,
            document: mark.as_deref(),
            due: room.wake_at(),
            state: &state,
            changes: &changes,
            outputs: &others,
            gone: &gone,
            forgotten,
            now,
        };
        store::commit(db, session, &commit).await?;
        if let (Some(document), Some(mark)) = (loaded, mark) {
            self.hub.keep_document(session, mark, document);
        }
        taken.seq = seq;
        taken.written = written.or(taken.written.take());
        taken
            .replies
            .extend(replies.into_iter().filter_map(|reply| match reply {
                Output::Send { frame, .. } => Some(frame),
                _ => None,
            }));
        Ok(done)
    }

    /// The document: from memory if that is the newest, else from the database.
    async fn document(
        &self,
        session: SessionId,
        mark: Option<&str>,
        now: Timestamp,
    ) -> Result<LoadedDocument, DbError> {
        if let Some(kept) = mark.and_then(|mark| self.hub.take_document(session, mark)) {
            return Ok(kept);
        }
        crate::room::store::load_document(&*self.db, session, now).await
    }
}

/// Whose inputs they are.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) connection: ConnectionId,
    /// Who says so; nobody need if it is new.
    pub(super) of: Option<&'a Principal>,
}

enum Attempt {
    Gone,
    Failed(DbError),
}

impl std::convert::From<DbError> for Attempt {
    fn from(error: DbError) -> Self {
        Self::Failed(error)
    }
}

fn failed(error: DbError) -> NotPosted {
    NotPosted::Failed(error.into())
}

/// What those listen to who wait for a room's frames.
pub(super) fn topic(session: SessionId) -> String {
    format!("room {session}")
}

/// One room.
struct Host {
    rooms: Arc<StreamedRooms>,
    session: SessionId,
}

#[async_trait]
impl RoomHost for Host {
    async fn take(&self, input: Input<'_>) -> Result<Option<Written>, Refusal> {
        match self.rooms.take(self.session, &[input], None).await {
            Ok(taken) => Ok(taken.written),
            Err(NotPosted::Failed(refusal)) => Err(refusal),
            Err(NotPosted::Gone) => Err(DbError::Busy.into()),
        }
    }

    async fn content(&self) -> Result<Option<SessionContent>, Refusal> {
        let db = &*self.rooms.db;
        crate::room::store::migrate(db).await?;
        let now = self.rooms.clock.now();
        let stored = crate::room::store::restore(db, self.session).await?;
        let mut room = Room::restore(stored, Vec::new(), now);
        if room.is_deleted() {
            return Ok(None);
        }
        room.provide(crate::room::store::load_document(db, self.session, now).await?);
        Ok(Some(shard::read(&room)))
    }

    async fn here(&self) -> Result<BTreeSet<UserId>, Refusal> {
        let (db, now) = (&*self.rooms.db, self.rooms.clock.now());
        self.rooms.hub.migrate(db).await?;
        // Whoever has gone without a word is there until somebody looks after the room.
        if let Err(NotPosted::Failed(refusal)) = self.rooms.tend(self.session, now).await {
            return Err(refusal);
        }
        Ok(store::head(db, self.session).await?.room.here())
    }

    async fn storage(&self) -> Result<Storage, Refusal> {
        crate::room::store::migrate(&*self.rooms.db).await?;
        Ok(Storage {
            db: self.rooms.db.clone(),
            session: self.session,
            now: self.rooms.clock.now(),
        })
    }
}
