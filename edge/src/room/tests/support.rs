//! A world around the room: an adapter that keeps its promises, sockets that record what they
//! get, and a client that does what y-websocket does.

use std::collections::BTreeMap;

use codecrafter_shared::document::MAIN_TEXT;
use codecrafter_shared::id::{LoginSessionId, SessionId, UserId};
use codecrafter_shared::relay::{AppFrame, CloseCode, MESSAGE_APP};
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    ClientID, Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update,
    WriteTxn,
};

use crate::room::frame::{self, Message};
use crate::room::read::Reader;
use crate::room::write::Written;
use crate::room::{
    AccessNotice, Audience, Change, Connection, ConnectionId, Document, EndedLogin, Input,
    LoadedDocument, Output, Principal, Room, Stored,
};

pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub fn user(n: u8) -> UserId {
    UserId::at(START, [n; 10])
}

/// The login session that everybody's first tokens are of.
pub fn login(n: u8) -> LoginSessionId {
    LoginSessionId::at(START, [n; 10])
}

pub fn session(n: u8) -> SessionId {
    SessionId::at(START, [n; 10])
}

pub fn principal(n: u8, role: Role) -> Principal {
    Principal {
        user_id: user(n),
        login_session_id: login(n),
        username: format!("user{n}"),
        display_name: format!("User {n}"),
        role,
        access_version: 1,
        expires_at: START.plus_millis(3_600_000),
    }
}

pub fn notice(version: u64, participants: &[(u8, Role)]) -> AccessNotice {
    AccessNotice {
        access_version: version,
        locked: false,
        deleted: false,
        participants: participants
            .iter()
            .map(|(n, role)| (user(*n), *role))
            .collect(),
    }
}

/// What is left when a room goes.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub access: Option<AccessNotice>,
    pub ended_logins: Vec<EndedLogin>,
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
            } => {
                assert!(parts.iter().all(|part| part.len() <= 512 * 1024));
                assert!(*generation > self.generation);
                self.generation = *generation;
                self.base_seq = *base_seq;
                self.state = Some(parts.concat());
                self.updates.retain(|seq, _| seq > base_seq);
                self.compactions += 1;
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
            last_seq: self.updates.keys().last().copied().unwrap_or(self.base_seq),
            tail_rows: u64::try_from(self.updates.len()).unwrap(),
            tail_bytes: self.updates.values().map(Vec::len).sum(),
            lost: 0,
        }
    }
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
    pub written: Option<Written>,
    next: u64,
}

impl World {
    pub fn new() -> Self {
        Self {
            room: Room::restore(Stored::default(), vec![], START),
            now: START,
            kept: Kept::default(),
            sockets: BTreeMap::new(),
            wake_at: None,
            written: None,
            next: 0,
        }
    }

    /// What an adapter does with an input.
    pub fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        if self.room.needs_document(&input) {
            self.room.provide(self.kept.load());
        }
        let step = self.room.step(self.now, input);
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
            Output::WakeAt(at) => self.wake_at = Some(*at),
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
        self.next += 1;
        let id = ConnectionId(self.next);
        self.sockets.insert(
            id,
            Socket {
                app_frames,
                ..Socket::default()
            },
        );
        self.give(Input::Connect {
            id,
            principal,
            app_frames,
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
        };
        self.room = Room::restore(stored, connections, self.now);
    }

    pub fn later(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
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

pub fn app_frame(frame: &[u8]) -> Option<AppFrame> {
    let mut reader = Reader::new(frame);
    (reader.byte().ok()? == MESSAGE_APP)
        .then(|| serde_json::from_slice(reader.var_bytes().unwrap()).unwrap())
}

/// A Yjs document with the manners of y-websocket: SyncStep1 when it connects, an answer to
/// SyncStep1, an Update for each edit.
pub struct Client {
    pub doc: Doc,
    pub principal: Principal,
    pub socket: Option<ConnectionId>,
    /// Frames on their way to the room.
    pub outbox: Vec<Vec<u8>>,
    pub synced: bool,
}

impl Client {
    pub fn new(n: u8, role: Role) -> Self {
        Self::with_id(n, role, 1_000 + u64::from(n))
    }

    pub fn with_id(n: u8, role: Role, client: u64) -> Self {
        let mut options = Options::with_client_id(ClientID::new(client));
        options.offset_kind = OffsetKind::Utf16;
        Self {
            doc: Doc::with_options(options),
            principal: principal(n, role),
            socket: None,
            outbox: vec![],
            synced: false,
        }
    }

    pub fn connect(&mut self, world: &mut World) {
        self.socket = Some(world.connect_as(self.principal.clone(), false));
        self.synced = false;
        let state_vector = self.doc.transact().state_vector().encode_v1();
        self.outbox = vec![frame::sync_step1(&state_vector)];
    }

    pub fn disconnect(&mut self, world: &mut World) {
        if let Some(socket) = self.socket.take() {
            world.disconnect(socket);
            self.outbox.clear();
        }
    }

    /// Sends the first `count` of the frames that are under way.
    pub fn send(&mut self, world: &mut World, count: usize) {
        let Some(socket) = self.socket else { return };
        for frame in self
            .outbox
            .drain(..count.min(self.outbox.len()))
            .collect::<Vec<_>>()
        {
            world.frame(socket, &frame);
        }
    }

    /// Takes in the first `count` of the frames that have come.
    pub fn receive(&mut self, world: &mut World, count: usize) {
        let Some(socket) = self.socket else { return };
        let inbox = &mut world.sockets.get_mut(&socket).unwrap().inbox;
        let frames: Vec<Vec<u8>> = inbox.drain(..count.min(inbox.len())).collect();
        for frame in frames {
            self.hear(&frame);
        }
    }

    pub fn hear(&mut self, frame: &[u8]) {
        match frame::read(frame) {
            Ok(Message::SyncStep1(state_vector)) => {
                let state_vector = StateVector::decode_v1(state_vector).unwrap();
                let lacking = self.doc.transact().encode_state_as_update_v1(&state_vector);
                self.outbox.push(frame::sync_step2(&lacking));
            }
            Ok(Message::SyncStep2(update)) => {
                self.synced = true;
                self.apply(update);
            }
            Ok(Message::Update(update)) => self.apply(update),
            _ => {}
        }
    }

    fn apply(&mut self, update: &[u8]) {
        let update = Update::decode_v1(update).unwrap();
        self.doc.transact_mut().apply_update(update).unwrap();
    }

    /// Edits, and sends the update if the socket is open.
    pub fn edit(&mut self, edit: impl FnOnce(&mut yrs::TransactionMut<'_>)) {
        let mut transaction = self.doc.transact_mut();
        edit(&mut transaction);
        transaction.commit();
        if transaction.has_changes() && self.socket.is_some() {
            self.outbox
                .push(frame::update(&transaction.encode_update_v1()));
        }
    }

    pub fn insert(&mut self, at: u32, text: &str) {
        self.edit(|transaction| {
            let content = transaction.get_or_insert_text(MAIN_TEXT);
            content.insert(transaction, at, text);
        });
    }

    pub fn remove(&mut self, at: u32, length: u32) {
        self.edit(|transaction| {
            let content = transaction.get_or_insert_text(MAIN_TEXT);
            content.remove_range(transaction, at, length);
        });
    }

    pub fn text(&self) -> String {
        let transaction = self.doc.transact();
        transaction
            .get_text(MAIN_TEXT)
            .map(|t| t.get_string(&transaction))
            .unwrap_or_default()
    }
}

/// Lets all frames arrive, in every direction, until there are none.
pub fn settle(world: &mut World, clients: &mut [&mut Client]) {
    for _ in 0..100 {
        let mut quiet = true;
        for client in clients.iter_mut() {
            let Some(socket) = client.socket else {
                continue;
            };
            quiet &= client.outbox.is_empty() && world.sockets[&socket].inbox.is_empty();
            client.send(world, usize::MAX);
            client.receive(world, usize::MAX);
        }
        if quiet {
            return;
        }
    }
    panic!("the frames do not come to rest");
}

/// A small generator of numbers (xorshift64*): a failing test prints its seed.
pub struct Luck(u64);

impl Luck {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// The seeds of a test: `count` of them, or as many as `ROOM_SEEDS` says for a long run, or the
/// one of `ROOM_SEED` to look into a failure.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test searches is not a setting"
)]
pub fn seeds(count: u64) -> Vec<u64> {
    let given = |name| {
        std::env::var(name)
            .ok()
            .map(|n| n.parse::<u64>().expect("a number"))
    };
    match given("ROOM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=given("ROOM_SEEDS").unwrap_or(count)).collect(),
    }
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
