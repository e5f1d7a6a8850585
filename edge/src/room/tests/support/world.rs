//! An adapter that keeps its promises, and sockets that record what they get.

use std::collections::BTreeMap;

use codecrafter_shared::id::UserId;
use codecrafter_shared::relay::{AppFrame, CloseCode, MESSAGE_APP};
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use yrs::updates::decoder::Decode;
use yrs::{ClientID, StateVector};

use super::{START, app_frame, principal};
use crate::room::authors::Authors;
use crate::room::frame;
use crate::room::write::Written;
use crate::room::{
    AccessNotice, Audience, Change, Connection, ConnectionId, Document, EndedLogin, Input,
    LoadedDocument, Output, Principal, Room, Stored, Wishes,
};

/// What is left when a room goes.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub access: Option<AccessNotice>,
    pub ended_logins: Vec<EndedLogin>,
    pub authors: BTreeMap<u64, UserId>,
    pub generation: u64,
    pub state: Option<Vec<u8>>,
    pub updates: BTreeMap<u64, Vec<u8>>,
    pub base_seq: u64,
    pub compactions: u32,
}

impl Kept {
    fn take(&mut self, change: &Change) {
        match change {
            Change::AppendUpdate { seq, data, .. } => {
                assert!(data.len() <= 512 * 1024);
                assert_eq!(
                    self.updates.insert(*seq, data.clone()),
                    None,
                    "a number used twice"
                );
            }
            Change::Compact {
                generation,
                base_seq,
                parts,
                last: _,
            } => {
                assert!(parts.iter().all(|part| part.len() <= 512 * 1024));
                assert!(*generation > self.generation);
                self.generation = *generation;
                self.base_seq = *base_seq;
                self.state = Some(parts.concat());
                self.updates.retain(|seq, _| seq > base_seq);
                self.compactions += 1;
            }
            Change::Author { client, user } => {
                let before = self.authors.insert(*client, *user);
                assert_eq!(before, None, "an author twice");
            }
            Change::Access(notice) => self.access = Some(notice.clone()),
            Change::Purge => {
                let access = self.access.take();
                *self = Self {
                    access,
                    ..Self::default()
                };
            }
            Change::LoginEnded(login) => {
                let known = |known: &EndedLogin| known.login_session_id == login.login_session_id;
                self.ended_logins.retain(|login| !known(login));
                self.ended_logins.push(*login);
            }
            Change::ForgetLogin(login) => self.ended_logins.retain(|known| known != login),
        }
    }

    /// The number of the newest update, whether it is a row or in a state.
    pub fn last_seq(&self) -> u64 {
        let last = self.updates.keys().last().copied();
        last.unwrap_or(self.base_seq).max(self.base_seq)
    }

    /// Everything that is kept must be readable at any time.
    pub fn load(&self) -> LoadedDocument {
        let mut document = Document::new();
        if let Some(state) = &self.state {
            document
                .integrate_stored(state)
                .expect("the state is readable");
        }
        for update in self.updates.values() {
            document
                .integrate_stored(update)
                .expect("every update is readable");
        }
        LoadedDocument {
            document,
            generation: self.generation,
            last_seq: self.last_seq(),
            tail_rows: u64::try_from(self.updates.len()).unwrap(),
            tail_bytes: self.updates.values().map(Vec::len).sum(),
            lost: 0,
            authors: Authors::new(self.authors.clone()),
        }
    }
}

/// Where changes are stored besides.
pub trait Disk: Send {
    /// Stores the changes of a step. False if that has failed, and nothing of them is stored.
    fn persist(&self, changes: &[Change]) -> bool;
    /// Has the next changes fail, or takes that back.
    fn fail(&self, fails: bool);
    /// Has the next changes end with that statement, counted from 1, as if the power were cut.
    fn break_at(&self, statement: u32);
    /// What is stored.
    fn load(&self, now: Timestamp) -> LoadedDocument;
}

/// A socket, from the other side.
#[derive(Debug, Default)]
pub struct Socket {
    pub app_frames: bool,
    pub inbox: Vec<Vec<u8>>,
    pub closed: Option<CloseCode>,
    attachment: Option<String>,
}

pub struct World {
    pub room: Room,
    pub now: Timestamp,
    pub kept: Kept,
    pub sockets: BTreeMap<ConnectionId, Socket>,
    pub wake_at: Option<Timestamp>,
    /// How often the room has asked for a version.
    pub versions_due: u32,
    pub written: Option<Written>,
    /// When the room has asked to flush; `None` if it has not.
    pub flush_at: Option<Timestamp>,
    /// Whether everything waits for the time that the room asks for, rather than being flushed as
    /// soon as it asks.
    pub waits: bool,
    /// A database in which everything is kept as well.
    pub database: Option<Box<dyn Disk>>,
    next: u64,
}

impl World {
    pub fn new() -> Self {
        Self {
            room: Room::restore(Stored::default(), vec![], START),
            now: START,
            kept: Kept::default(),
            versions_due: 0,
            sockets: BTreeMap::new(),
            wake_at: None,
            written: None,
            flush_at: None,
            waits: false,
            database: None,
            next: 0,
        }
    }

    /// What an adapter does with an input.
    pub fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        let mut outputs = self.give_one(input);
        let written = self.written.take();
        if !self.waits && self.flush_at.is_some() {
            outputs.extend(self.give_one(Input::Flush));
        }
        self.written = written;
        outputs
    }

    fn give_one(&mut self, input: Input<'_>) -> Vec<Output> {
        if matches!(input, Input::Flush) {
            self.flush_at = None;
        }
        if self.room.needs_document(&input) {
            self.room.provide(self.kept.load());
        }
        let step = self.room.step(self.now, input);
        let stored = self.database.as_ref();
        if !stored.is_none_or(|database| database.persist(&step.changes)) {
            self.crash();
            return Vec::new();
        }
        for change in &step.changes {
            self.kept.take(change);
        }
        for output in &step.outputs {
            self.perform(output);
        }
        self.written = step.written;
        step.outputs
    }

    fn perform(&mut self, output: &Output) {
        match output {
            Output::Send { to, frame } => self.deliver(*to, frame),
            Output::Broadcast { to, except, frame } => {
                let ids: Vec<ConnectionId> = self.sockets.keys().copied().collect();
                for id in ids {
                    let meant = *to == Audience::Everybody || self.sockets[&id].app_frames;
                    if meant && Some(id) != *except {
                        self.deliver(id, frame);
                    }
                }
            }
            Output::Close { connection, code } => {
                assert!(
                    self.room.connection(*connection).is_none(),
                    "closed, but not forgotten"
                );
                self.sockets.get_mut(connection).unwrap().closed = Some(*code);
            }
            Output::Remember(id) => {
                if let Some(connection) = self.room.connection(*id) {
                    let json = serde_json::to_string(connection).unwrap();
                    assert!(json.len() <= 4096, "{} bytes of attachment", json.len());
                    self.sockets.get_mut(id).unwrap().attachment = Some(json);
                }
            }
            Output::FlushIn(millis) => {
                let at = self.now.plus_millis(i64::from(*millis));
                assert!(
                    self.flush_at.is_none_or(|sooner| at < sooner),
                    "asked twice"
                );
                self.flush_at = Some(at);
            }
            Output::WakeAt(at) => self.wake_at = Some(*at),
            Output::TakeVersion => self.versions_due += 1,
        }
    }

    fn deliver(&mut self, id: ConnectionId, frame: &[u8]) {
        let socket = self
            .sockets
            .get_mut(&id)
            .expect("a frame for a socket that was never there");
        if socket.closed.is_none() {
            if frame.first() == Some(&MESSAGE_APP) {
                assert!(socket.app_frames, "a frame of ours to a stock client");
            } else if frame.first() != Some(&2) {
                frame::read(frame).expect("the room speaks the protocol");
            }
            socket.inbox.push(frame.to_vec());
        }
    }

    pub fn connect_as(&mut self, principal: Principal, app_frames: bool) -> ConnectionId {
        let quiet = false;
        self.connect_with(principal, Wishes { app_frames, quiet })
    }

    pub fn connect_with(&mut self, principal: Principal, wishes: Wishes) -> ConnectionId {
        self.next += 1;
        let id = ConnectionId(self.next);
        self.sockets.insert(
            id,
            Socket {
                app_frames: wishes.app_frames,
                ..Socket::default()
            },
        );
        self.give(Input::Connect {
            id,
            principal,
            wishes,
        });
        id
    }

    pub fn connect(&mut self, n: u8, role: Role) -> ConnectionId {
        self.connect_as(principal(n, role), false)
    }

    pub fn connect_app(&mut self, n: u8, role: Role) -> ConnectionId {
        self.connect_as(principal(n, role), true)
    }

    pub fn frame(&mut self, connection: ConnectionId, bytes: &[u8]) -> Vec<Output> {
        self.give(Input::Frame { connection, bytes })
    }

    /// The other side closes.
    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.sockets.remove(&connection);
        self.give(Input::Disconnect { connection });
    }

    /// The room loses its memory and wakes with what was stored and remembered.
    pub fn sleep(&mut self) {
        let open = self
            .sockets
            .values()
            .filter(|socket| socket.closed.is_none());
        let connections: Vec<Connection> = open
            .map(|socket| serde_json::from_str(socket.attachment.as_ref().unwrap()).unwrap())
            .collect();
        let stored = Stored {
            access: self.kept.access.clone(),
            ended_logins: self.kept.ended_logins.clone(),
            last_edit: None,
            tail_rows: u64::try_from(self.kept.updates.len()).unwrap(),
        };
        self.room = Room::restore(stored, connections, self.now);
        self.flush_at = None;
    }

    /// The room loses its memory in the middle of everything, and with it its sockets.
    pub fn crash(&mut self) {
        self.sockets.clear();
        self.sleep();
    }

    pub fn later(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
        if self.flush_at.is_some_and(|at| at <= self.now) {
            self.give(Input::Flush);
        }
    }

    pub fn take(&mut self, id: ConnectionId) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sockets.get_mut(&id).unwrap().inbox)
    }

    pub fn closed(&self, id: ConnectionId) -> Option<CloseCode> {
        self.sockets[&id].closed
    }

    pub fn app_frames(&mut self, id: ConnectionId) -> Vec<AppFrame> {
        let frames = self.take(id);
        frames.iter().filter_map(|frame| app_frame(frame)).collect()
    }

    /// Where the history of a client ends in the room, if its document is awake.
    pub fn clock(&self, client: u64) -> Option<u32> {
        let state_vector = self.room.document()?.state_vector();
        Some(
            StateVector::decode_v1(&state_vector)
                .unwrap()
                .get(&ClientID::new(client)),
        )
    }

    /// The main file, as the next room will find it.
    pub fn stored_content(&self) -> String {
        self.kept.load().document.content()
    }
}
