//! A room in the memory of its Durable Object: the core's state machine, its database and its
//! sockets.

use std::collections::BTreeMap;

use codecrafter_shared::api::SessionContent;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::time::Timestamp;
use futures_util::FutureExt as _;
use worker::js_sys::{ArrayBuffer, Uint8Array};
use worker::worker_sys::ext::WebSocketExt as _;
use worker::{State, WebSocket};

use super::clock::{WorkerClock, WorkerRng};
use super::db::ObjectDb;
use super::js;
use super::rooms::Visitor;
use crate::ports::{Clock as _, Db, DbError, Rng};
use crate::room::write::Written;
use crate::room::{Audience, Connection, ConnectionId, Input, Output, Room, Step, shard, store};

/// The room of a session.
pub struct LiveRoom {
    session: SessionId,
    db: ObjectDb,
    room: Room,
    sockets: BTreeMap<ConnectionId, WebSocket>,
}

/// What is left to do after an input.
pub struct Taken {
    /// When to wake the room, if that has changed.
    pub wake_at: Option<Timestamp>,
    /// The answer to [`Input::Write`].
    pub written: Option<Written>,
}

impl LiveRoom {
    /// The room as it is stored, with the sockets that are open.
    ///
    /// # Errors
    /// What the database says.
    pub fn wake(state: &State) -> Result<Self, DbError> {
        let db = ObjectDb::of(state)?;
        let session = now(session_of(state, &db))?;
        now(store::migrate(&db))?;
        let stored = now(store::restore(&db, session))?;

        let mut sockets = BTreeMap::new();
        let mut connections = Vec::new();
        for socket in state.as_raw().get_websockets().unwrap_or_default() {
            let socket = WebSocket::from(socket);
            if let Some(connection) = remembered(&socket) {
                sockets.insert(connection.id, socket);
                connections.push(connection);
            }
        }
        Ok(Self {
            session,
            db,
            room: Room::restore(stored, connections, WorkerClock.now()),
            sockets,
        })
    }

    /// Takes a new socket in, or closes it if the room refuses. As [`LiveRoom::take`] otherwise.
    ///
    /// # Errors
    /// As [`LiveRoom::take`], and if the platform does not take the socket.
    pub fn connect(
        &mut self,
        state: &State,
        socket: WebSocket,
        visitor: Visitor,
    ) -> Result<Taken, DbError> {
        let id = ConnectionId(u64::from_le_bytes((&WorkerRng as &dyn Rng).bytes()));
        let step = self.step(Input::Connect {
            id,
            principal: visitor.principal,
            app_frames: visitor.app_frames,
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
        self.sockets.insert(id, socket);
        Ok(self.perform(step))
    }

    /// Takes an input in, stores what it changes, and then does what follows.
    ///
    /// # Errors
    /// What the database says. This room is then not to be used any more.
    pub fn take(&mut self, input: Input<'_>) -> Result<Taken, DbError> {
        let step = self.step(input)?;
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
        let mut wake_at = None;
        for output in step.outputs {
            match output {
                Output::Send { to, frame } => {
                    if let Some(socket) = self.sockets.get(&to) {
                        send(socket, &encoded(&frame));
                    }
                }
                Output::Broadcast { to, except, frame } => self.broadcast(to, except, &frame),
                Output::Close { connection, code } => {
                    if let Some(socket) = self.sockets.remove(&connection) {
                        close(&socket, code);
                    }
                }
                Output::Remember(connection) => self.remember(connection),
                Output::WakeAt(at) => wake_at = Some(at),
            }
        }
        let written = step.written;
        Taken { wake_at, written }
    }

    /// The document as it stands; nothing if its session is deleted.
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

    fn provide_document(&mut self) -> Result<(), DbError> {
        let document = store::load_document(&self.db, self.session, WorkerClock.now());
        self.room.provide(now(document)?);
        Ok(())
    }

    fn broadcast(&self, to: Audience, except: Option<ConnectionId>, frame: &[u8]) {
        // One buffer for all: the platform sends it as it is, and nobody writes to it.
        let frame = encoded(frame);
        for connection in self.room.connections() {
            let addressed = match to {
                Audience::Everybody => true,
                Audience::AppClients => connection.app_frames,
            };
            if addressed
                && Some(connection.id) != except
                && let Some(socket) = self.sockets.get(&connection.id)
            {
                send(socket, &frame);
            }
        }
    }

    fn remember(&self, id: ConnectionId) {
        let (socket, connection) = (self.sockets.get(&id), self.room.connection(id));
        if let Some((socket, connection)) = socket.zip(connection)
            && let Err(error) = write_beside(socket, connection)
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

/// Which socket an event is about: its tag, as it was given when it was accepted.
pub fn id_of(state: &State, socket: &WebSocket) -> Option<ConnectionId> {
    let tags = state.as_raw().get_tags(socket.as_ref()).ok()?;
    tags.first()?.parse().ok().map(ConnectionId)
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
fn remembered(socket: &WebSocket) -> Option<Connection> {
    let beside: String = socket.deserialize_attachment().ok()??;
    serde_json::from_str(&beside).ok()
}

fn encoded(frame: &[u8]) -> ArrayBuffer {
    Uint8Array::from(frame).buffer()
}

fn send(socket: &WebSocket, frame: &ArrayBuffer) {
    // Fails for a socket that is closing; the room hears of that by itself.
    let _ = socket.as_ref().send_with_array_buffer(frame);
}

/// The result of something that never waits here: the database of an object answers at once.
fn now<T>(future: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    let waits = || Err(DbError::Failed("the database made a room wait".into()));
    future.now_or_never().unwrap_or_else(waits)
}
