//! A room in the memory of its Durable Object: the core's state machine, its database and its
//! sockets.

use std::collections::{BTreeMap, BTreeSet};

use codecrafter_shared::api::SessionContent;
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::time::Timestamp;
use futures_util::FutureExt as _;
use worker::worker_sys::ext::WebSocketExt as _;
use worker::{State, WebSocket, web_sys};

use super::clock::{WorkerClock, WorkerRng};
use super::db::ObjectDb;
use super::glue::Sockets;
use super::js;
use super::rooms::Visitor;
use crate::ports::{Clock as _, Db, DbError, Rng};
use crate::room::write::Written;
use crate::room::{Audience, Connection, ConnectionId, Input, Output, Room, Step, shard, store};

/// The number of no socket.
const NONE: i32 = -1;

/// The room of a session.
pub struct LiveRoom {
    session: SessionId,
    db: ObjectDb,
    room: Room,
    sockets: Sockets,
    /// The number of each among `sockets`, and back.
    numbers: BTreeMap<ConnectionId, i32>,
    ids: BTreeMap<i32, ConnectionId>,
}

/// What is left to do after an input.
#[derive(Default)]
pub struct Taken {
    /// When to wake the room, if that has changed.
    pub wake_at: Option<Timestamp>,
    /// After how many milliseconds to give it [`Input::Flush`], if it has asked for that.
    pub flush_in: Option<u32>,
    /// Whether the document is to be kept as a version, if that is worth it.
    pub take_version: bool,
    /// The answer to [`Input::Write`].
    pub written: Option<Written>,
}

impl LiveRoom {
    /// The room as it is stored, with the sockets that are open.
    ///
    /// # Errors
    /// What the database says.
    pub fn wake(state: &State, frames_per_second: u32) -> Result<Self, DbError> {
        let db = ObjectDb::of(state)?;
        let session = now(session_of(state, &db))?;
        now(store::migrate(&db))?;
        let stored = now(store::restore(&db, session))?;

        let mut live = Self {
            session,
            db,
            room: Room::default(),
            sockets: Sockets::new(),
            numbers: BTreeMap::new(),
            ids: BTreeMap::new(),
        };
        let mut connections = Vec::new();
        for socket in state.as_raw().get_websockets().unwrap_or_default() {
            if let Some(connection) = remembered(&socket) {
                live.add(connection.id, &socket, connection.app_frames);
                connections.push(connection);
            }
        }
        live.room = Room::restore(stored, connections, WorkerClock.now())
            .with_frames_per_second(frames_per_second);
        Ok(live)
    }

    /// Takes a new socket in, or closes it if the room refuses. As [`LiveRoom::take`] otherwise.
    ///
    /// # Errors
    /// As [`LiveRoom::take`], and if the platform does not take the socket.
    pub fn connect(
        &mut self,
        state: &State,
        socket: &WebSocket,
        visitor: Visitor,
    ) -> Result<Taken, DbError> {
        let id = ConnectionId(u64::from_le_bytes((&WorkerRng as &dyn Rng).bytes()));
        let wishes = visitor.wishes;
        let step = self.step(Input::Connect {
            id,
            principal: visitor.principal,
            wishes,
        })?;
        let accepted = if self.room.connection(id).is_some() {
            let tags = vec![id.0.to_string().into()];
            let state = state.as_raw();
            state.accept_websocket_with_tags(socket.as_ref(), tags)
        } else {
            // Without hibernation: workerd does not end the connection of a hibernating socket
            // that is closed before the other side has said anything.
            socket.as_ref().accept()
        };
        accepted.map_err(|error| DbError::Failed(js::describe(&error)))?;
        self.add(id, socket.as_ref(), wishes.app_frames);
        Ok(self.perform(step))
    }

    /// Which socket of the room it is; none if the room has closed it.
    pub fn id_of(&self, socket: &web_sys::WebSocket) -> Option<ConnectionId> {
        self.ids.get(&self.sockets.number_of(socket)).copied()
    }

    /// Takes an input in, stores what it changes, and then does what follows.
    ///
    /// # Errors
    /// What the database says. This room is then not to be used any more.
    pub fn take(&mut self, input: Input<'_>) -> Result<Taken, DbError> {
        let gone = match input {
            Input::Disconnect { connection } => Some(connection),
            _ => None,
        };
        let step = self.step(input)?;
        if let Some(gone) = gone {
            self.forget(gone);
        }
        Ok(self.perform(step))
    }

    fn step(&mut self, input: Input<'_>) -> Result<Step, DbError> {
        if self.room.needs_document(&input) {
            self.provide_document()?;
        }
        let step = self.room.step(WorkerClock.now(), input);
        now(store::persist(&self.db, self.session, &step.changes))?;
        Ok(step)
    }

    fn perform(&mut self, step: Step) -> Taken {
        let mut taken = Taken {
            written: step.written,
            ..Taken::default()
        };
        for output in step.outputs {
            match output {
                Output::Send { to, frame } => self.sockets.send(self.number_of(to), &frame),
                Output::Broadcast { to, except, frame } => {
                    let except = except.map_or(NONE, |id| self.number_of(id));
                    let app_only = to == Audience::AppClients;
                    self.sockets.broadcast(&frame, except, app_only);
                }
                Output::Close { connection, code } => {
                    if let Some(socket) = self.forget(connection) {
                        close(&socket, code);
                    }
                }
                Output::Remember(connection) => self.remember(connection),
                Output::FlushIn(millis) => taken.flush_in = Some(millis),
                Output::TakeVersion => taken.take_version = true,
                Output::WakeAt(at) => taken.wake_at = Some(at),
            }
        }
        taken
    }

    /// The document as it stands; nothing if its session is deleted. The room has to be flushed
    /// before.
    ///
    /// # Errors
    /// What the database says. This room is then not to be used any more.
    pub fn content(&mut self) -> Result<Option<SessionContent>, DbError> {
        if self.room.is_deleted() {
            return Ok(None);
        }
        if self.room.document().is_none() {
            self.provide_document()?;
        }
        Ok(Some(shard::read(&self.room)))
    }

    /// Who has an open connection, each once.
    pub fn here(&self) -> BTreeSet<UserId> {
        let of = self.room.connections();
        of.map(|connection| connection.principal.user_id).collect()
    }

    /// Which room it is.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    fn provide_document(&mut self) -> Result<(), DbError> {
        let document = store::load_document(&self.db, self.session, WorkerClock.now());
        self.room.provide(now(document)?);
        Ok(())
    }

    fn add(&mut self, id: ConnectionId, socket: &web_sys::WebSocket, app_frames: bool) {
        let number = self.sockets.add(socket, app_frames);
        self.numbers.insert(id, number);
        self.ids.insert(number, id);
    }

    fn forget(&mut self, id: ConnectionId) -> Option<WebSocket> {
        let number = self.numbers.remove(&id)?;
        self.ids.remove(&number);
        self.sockets.take(number).map(Into::into)
    }

    fn number_of(&self, id: ConnectionId) -> i32 {
        self.numbers.get(&id).copied().unwrap_or(NONE)
    }

    fn remember(&self, id: ConnectionId) {
        let socket = self.sockets.get(self.number_of(id));
        if let Some((socket, connection)) = socket.zip(self.room.connection(id))
            && let Err(error) = write_beside(&socket.into(), connection)
        {
            tracing::error!(cause = %error, "a socket was not remembered");
        }
    }
}

/// Which session this object is the Room of: the name that it is called by. The platform does not
/// tell it to an object that is started by its alarm, so it is noted at the first call.
async fn session_of(state: &State, db: &dyn Db) -> Result<SessionId, DbError> {
    let name = state.as_raw().id().ok().and_then(|id| id.name());
    let named: Option<SessionId> = name.and_then(|name| name.parse().ok());
    db.transaction(|tx| async move {
        let table = "CREATE TABLE IF NOT EXISTS object (
            id INTEGER PRIMARY KEY, session TEXT NOT NULL)";
        tx.execute(table, []).await?;
        if let Some(session) = named {
            let sql = "INSERT INTO object (id, session) VALUES (1, ?) ON CONFLICT DO NOTHING";
            tx.execute(sql, [session.into()]).await?;
            return Ok(session);
        }
        let noted = tx
            .first("SELECT session FROM object WHERE id = 1", [])
            .await?;
        let nobody = || DbError::Failed("the object is not named by a session".into());
        noted.ok_or_else(nobody)?.get("session")
    })
    .await
}

/// Closes a socket and takes away what is remembered of it, so that a room that wakes before the
/// other side has answered does not take it for an open one.
pub fn close(socket: &WebSocket, code: CloseCode) {
    // Both fail for a socket that is closed already.
    let _ = socket.serialize_attachment(());
    let _ = socket.close(Some(code.code()), Some(code.reason()));
}

fn write_beside(socket: &WebSocket, connection: &Connection) -> worker::Result<()> {
    socket.serialize_attachment(serde_json::to_string(connection)?)
}

/// What [`Output::Remember`] put beside a socket. Nothing beside one that is closing, or was not
/// taken in yet.
fn remembered(socket: &web_sys::WebSocket) -> Option<Connection> {
    let socket = WebSocket::from(socket.clone());
    let beside: String = socket.deserialize_attachment().ok()??;
    serde_json::from_str(&beside).ok()
}

/// The result of something that never waits here: the database of an object answers at once.
fn now<T>(future: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    let waits = || Err(DbError::Failed("the database made a room wait".into()));
    future.now_or_never().unwrap_or_else(waits)
}
