//! A client that does what y-websocket does.

use std::collections::VecDeque;

use codecrafter_shared::document::MAIN_TEXT;
use codecrafter_shared::relay::AppFrame;
use codecrafter_shared::role::Role;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    ClientID, Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update,
    WriteTxn,
};

use super::{World, app_frame, principal};
use crate::room::frame::{self, Message};
use crate::room::{ConnectionId, Principal};

/// A Yjs document with the manners of y-websocket: SyncStep1 when it connects, an answer to
/// SyncStep1, an Update for each edit.
pub struct Client {
    pub doc: Doc,
    pub principal: Principal,
    pub socket: Option<ConnectionId>,
    /// Of its awareness.
    clock: u64,
    /// Frames on their way to the room.
    pub outbox: Vec<Vec<u8>>,
    pub synced: bool,
    /// Whether it asks for frames of ours, and so is told what is saved.
    pub app_frames: bool,
    /// The updates that it has sent on this socket and does not know to be saved, oldest first.
    pub unsaved: VecDeque<Vec<u8>>,
    /// Those that the room has named as saved.
    pub saved: Vec<Vec<u8>>,
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
            clock: 0,
            outbox: vec![],
            synced: false,
            app_frames: false,
            unsaved: VecDeque::new(),
            saved: vec![],
        }
    }

    pub fn connect(&mut self, world: &mut World) {
        self.socket = Some(world.connect_as(self.principal.clone(), self.app_frames));
        self.synced = false;
        self.unsaved.clear();
        let state_vector = self.doc.transact().state_vector().encode_v1();
        self.outbox = vec![frame::sync_step1(&state_vector)];
    }

    /// Speaks of itself, as a provider does right after it has connected.
    pub fn appear(&mut self, world: &mut World) {
        self.clock += 1;
        let entries = [(self.doc.client_id().get(), self.clock, Some("{}"))];
        world.frame(self.socket.unwrap(), &frame::awareness(entries.into_iter()));
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
            if let Ok(Message::SyncStep2(update) | Message::Update(update)) = frame::read(&frame) {
                self.unsaved.push_back(update.to_vec());
            }
            world.frame(socket, &frame);
        }
    }

    /// Notices that the socket is gone, if it is.
    pub fn notice_loss(&mut self, world: &World) {
        if self
            .socket
            .is_some_and(|socket| !world.sockets.contains_key(&socket))
        {
            self.socket = None;
            self.outbox.clear();
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
            Err(_) => {
                if let Some(AppFrame::Saved { edits }) = app_frame(frame) {
                    let edits = usize::try_from(edits).unwrap();
                    self.saved.extend(self.unsaved.drain(..edits));
                }
            }
            _ => {}
        }
    }

    /// Everything that it has.
    pub fn state(&self) -> Vec<u8> {
        let nothing = StateVector::default();
        self.doc.transact().encode_state_as_update_v1(&nothing)
    }

    pub fn apply(&mut self, update: &[u8]) {
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
