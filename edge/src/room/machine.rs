//! The state machine: what each input does to the room, and what follows. Here who comes and goes;
//! [`frames`] is what clients say, [`keeping`] how edits are stored and told, and [`quiet`] when
//! there is time for more.

mod frames;
mod keeping;
mod quiet;
mod suspended;

use std::collections::{BTreeMap, BTreeSet};

use codecrafter_shared::limits;
use codecrafter_shared::relay::{AppFrame, CloseCode};
use codecrafter_shared::time::Timestamp;

use super::access::{Access, AccessNotice};
use super::awareness::{Awareness, Entries};
use super::connection::{Connection, ConnectionId, Principal, Wishes};
use super::document::Document;
use super::frame::{self, Message};
use super::logins::{EndedLogin, EndedLogins};
use super::pending::{Pending, When};
use super::rate::Rates;
use super::run::LiveRun;
use super::versions::Rest;
use super::{Audience, Change, Input, Output, Step};

pub use keeping::LoadedDocument;
use quiet::Quiet;
pub use suspended::Suspended;

/// A provider that hears nothing for 30 s connects anew. Those that are not answered every 15 s
/// because of their awareness get a sign of life this often.
const KEEPALIVE_MS: i64 = 20_000;
/// No socket has this one, as theirs are drawn at random from all others.
const NOBODY: ConnectionId = ConnectionId(0);
/// Bytes that a socket may be sent without being heard of: three of the largest documents. A
/// provider speaks every 15 s.
const UNHEARD_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Sockets that a woken room asks for their states when somebody comes.
const QUERIES_MAX: usize = 16;

/// What a room begins with, from [`super::store::restore`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The newest access notice.
    pub access: Option<AccessNotice>,
    /// Login sessions that have ended before their tokens.
    pub ended_logins: Vec<EndedLogin>,
    /// The last edit of the document, if no version has it.
    pub last_edit: Option<Timestamp>,
    /// Updates behind the newest state of the document.
    pub tail_rows: u64,
}

/// A room. See the [module](super) for what a caller has to do with it.
#[derive(Debug, Default)]
pub struct Room {
    access: Access,
    ended_logins: EndedLogins,
    connections: BTreeMap<ConnectionId, Connection>,
    awareness: Awareness,
    run: LiveRun,
    /// `None` until it is needed, and after `yrs` has given up on it.
    document: Option<LoadedDocument>,
    /// Edits that are in the document and awareness that is in the table, of which nobody was told.
    pending: Pending,
    rates: Rates,
    rest: Rest,
    /// The last [`Output::WakeAt`].
    wake_at: Option<Timestamp>,
    /// What the quiet is for.
    quiet: Quiet,
}

impl Room {
    /// A room after a start or a wake. `connections` are the sockets that are open, as they were
    /// last remembered.
    #[must_use]
    pub fn restore(stored: Stored, connections: Vec<Connection>, now: Timestamp) -> Self {
        let connections = connections.into_iter().map(|c| (c.id, c)).collect();
        Self {
            access: Access::new(stored.access),
            ended_logins: EndedLogins::new(stored.ended_logins),
            awareness: Awareness::of_woken(&connections, now),
            connections,
            run: LiveRun::default(),
            document: None,
            pending: Pending::default(),
            rates: Rates::default(),
            rest: Rest::of_woken(stored.last_edit),
            wake_at: None,
            quiet: Quiet::new(stored.tail_rows, now),
        }
    }

    /// The same room, in which a socket may send so many frames in a second;
    /// [`limits::ROOM_FRAMES_PER_SECOND`] unless said.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames: u32) -> Self {
        self.rates = Rates::new(frames);
        self
    }

    /// Whether [`Room::provide`] must be called before `input` is given to [`Room::step`].
    #[must_use]
    pub fn needs_document(&self, input: &Input<'_>) -> bool {
        let needs = match input {
            Input::Frame { connection, bytes } => {
                self.connections.contains_key(connection)
                    && matches!(
                        frame::parse(bytes),
                        Ok(Message::SyncStep1(_) | Message::SyncStep2(_) | Message::Update(_))
                    )
            }
            Input::Initialise { .. } | Input::Write(_) => true,
            Input::Tick => self.quiet.wants_document(),
            _ => false,
        };
        needs && self.document.is_none() && !self.is_deleted()
    }

    /// Whether its session is deleted, and with it all that the room held.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.access.deleted()
    }

    /// Gives the room its document.
    pub fn provide(&mut self, document: LoadedDocument) {
        self.quiet.loaded(document.tail_rows);
        self.document = Some(document);
    }

    /// The document, once it was provided.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        self.document.as_ref().map(|loaded| &loaded.document)
    }

    /// The main file, once the document was provided.
    #[must_use]
    pub fn content(&self) -> Option<String> {
        self.document().map(Document::content)
    }

    /// A socket, for [`Output::Remember`].
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// Every open socket.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.values()
    }

    /// Takes an input in.
    pub fn step(&mut self, now: Timestamp, input: Input<'_>) -> Step {
        let mut step = Step::default();
        self.take(now, input, &mut step);
        match self.pending.when(now) {
            When::Now => self.flush(now, &mut step),
            When::In(millis) => step.outputs.push(Output::FlushIn(millis)),
            When::AsAsked => {}
        }
        self.close_deaf(now, &mut step);
        step
    }

    fn take(&mut self, now: Timestamp, input: Input<'_>, step: &mut Step) {
        match input {
            Input::Connect {
                id,
                principal,
                wishes,
            } => {
                if let Err(code) = self.connect(now, id, principal, wishes, step) {
                    refuse(id, code, step);
                }
            }
            Input::Frame { connection, bytes } => self.frame(now, connection, bytes, step),
            Input::Disconnect { connection } => {
                if let Some(gone) = self.connections.remove(&connection) {
                    self.pending.gone(gone.id);
                    self.awareness.lose(&gone, now);
                    self.flush(now, step);
                    self.plan_wake(now, step);
                }
            }
            Input::Flush => {
                self.pending.woken(now);
                self.flush(now, step);
            }
            Input::Notice(notice) => self.notice(now, notice, step),
            Input::LoginEnded(login) => self.login_ended(now, login, step),
            Input::Initialise { content, files } => self.initialise(now, content, files, step),
            Input::Write(write) => {
                let written = self.write(now, write, step);
                step.written = Some(written);
            }
            Input::Report(report) => {
                if let Some(content) = self.run.report(report) {
                    self.tell(&content, step);
                }
            }
            Input::Tell(content) => self.tell(content, step),
            Input::Tick => self.tick(now, step),
        }
    }

    fn tell(&self, content: &AppFrame, step: &mut Step) {
        if !self.is_deleted() {
            step.outputs.push(Output::Broadcast {
                to: Audience::AppClients,
                except: None,
                frame: frame::app(content),
            });
        }
    }

    // ---- Coming and going ----

    fn connect(
        &mut self,
        now: Timestamp,
        id: ConnectionId,
        principal: Principal,
        wishes: Wishes,
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        if principal.expires_at <= now || self.ended_logins.refuse(&principal, now) {
            return Err(CloseCode::Unauthorized);
        }
        let principal = self.access.admit(principal)?;
        let of_user = |c: &&Connection| c.principal.user_id == principal.user_id;
        if self.connections.len() >= limits::ROOM_SOCKETS_MAX
            || self.connections().filter(of_user).count() >= limits::ROOM_SOCKETS_PER_USER_MAX
        {
            return Err(CloseCode::Overloaded);
        }
        let role = principal.role;
        self.connections
            .insert(id, Connection::new(id, principal, wishes));
        step.outputs.push(Output::Remember(id));

        if wishes.app_frames {
            let locked = self.access.locked();
            send(id, frame::app(&AppFrame::Welcome { role, locked }), step);
            for content in self.run.so_far() {
                send(id, frame::app(content), step);
            }
        }
        let present = self.awareness.snapshot(id, now);
        if !present.is_empty() {
            send(id, awareness_frame(&present), step);
        }
        let unknown: BTreeSet<ConnectionId> = self.awareness.unknown().collect();
        for holder in unknown.into_iter().take(QUERIES_MAX) {
            send(holder, frame::query_awareness(), step);
        }
        self.plan_wake(now, step);
        Ok(())
    }

    /// Closes a socket from our side. Who may come back at once is shown until then.
    fn close(&mut self, now: Timestamp, gone: &Connection, code: CloseCode, step: &mut Step) {
        self.connections.remove(&gone.id);
        self.pending.gone(gone.id);
        refuse(gone.id, code, step);
        let returns = match code {
            CloseCode::Overloaded | CloseCode::TooFast => true,
            // A token that is over is replaced by another, unless the login is over with it.
            CloseCode::Unauthorized => !self.ended_logins.refuse(&gone.principal, now),
            _ => false,
        };
        if returns {
            self.awareness.lose(gone, now);
            self.plan_wake(now, step);
        } else {
            let removed = self.awareness.leave(gone, now);
            self.pending.awareness(gone.id, removed);
        }
    }

    fn notice(&mut self, now: Timestamp, notice: AccessNotice, step: &mut Step) {
        let locked_before = self.access.locked();
        if !self.access.take(&notice) {
            return;
        }
        let locked = notice.locked;
        let deleted = notice.deleted;
        step.changes.push(Change::Access(notice));
        if deleted {
            step.changes.push(Change::Purge);
            self.document = None;
            self.quiet = Quiet::default();
            self.pending.clear();
            self.run = LiveRun::default();
            self.rest = Rest::default();
            self.ended_logins = EndedLogins::default();
        }

        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            let role_before = connection.principal.role;
            match self.access.admit(connection.principal.clone()) {
                Ok(principal) => {
                    let role = principal.role;
                    if connection.principal != principal {
                        connection.principal = principal;
                        step.outputs.push(Output::Remember(id));
                    }
                    if role != role_before || locked != locked_before {
                        connection.denials = 0;
                        if connection.app_frames {
                            send(id, frame::app(&AppFrame::Access { role, locked }), step);
                        }
                    }
                }
                Err(code) => {
                    let gone = connection.clone();
                    self.close(now, &gone, code, step);
                }
            }
        }
    }

    fn login_ended(&mut self, now: Timestamp, login: EndedLogin, step: &mut Step) {
        // Nobody comes into a room that is deleted, by no token.
        if !self.is_deleted() {
            step.changes.extend(self.ended_logins.take(login, now));
        }
        self.close_ended(now, step);
    }

    /// Closes the sockets whose token has ended, by itself or with its login session.
    fn close_ended(&mut self, now: Timestamp, step: &mut Step) {
        let ended = |c: &&Connection| {
            c.principal.expires_at <= now || self.ended_logins.refuse(&c.principal, now)
        };
        let ended: Vec<Connection> = self.connections().filter(ended).cloned().collect();
        for gone in &ended {
            self.close(now, gone, CloseCode::Unauthorized, step);
        }
    }

    /// Closes the sockets that have been sent so much, and were not heard of since, that they
    /// probably take nothing in: what they have not taken waits in memory.
    fn close_deaf(&mut self, now: Timestamp, step: &mut Step) {
        let mut deaf: Vec<Connection> = Vec::new();
        let mut count = |connection: &mut Connection, bytes: usize| {
            let before = connection.unheard;
            connection.unheard = before.saturating_add(bytes);
            if before <= UNHEARD_BYTES_MAX && connection.unheard > UNHEARD_BYTES_MAX {
                deaf.push(connection.clone());
            }
        };
        for output in &step.outputs {
            match output {
                Output::Send { to, frame } => {
                    if let Some(connection) = self.connections.get_mut(to) {
                        count(connection, frame.len());
                    }
                }
                Output::Broadcast { to, except, frame } => {
                    for connection in self.connections.values_mut() {
                        let meant = *to == Audience::Everybody || connection.app_frames;
                        if meant && Some(connection.id) != *except {
                            count(connection, frame.len());
                        }
                    }
                }
                _ => {}
            }
        }
        for gone in &deaf {
            self.close(now, gone, CloseCode::Overloaded, step);
        }
    }

    fn tick(&mut self, now: Timestamp, step: &mut Step) {
        self.close_ended(now, step);
        let removed = self.awareness.sweep(now);
        self.pending.awareness(NOBODY, removed);
        for silent in self.connections().filter(|c| needs_signs(c)) {
            send(silent.id, frame::keepalive(), step);
        }
        if self.rest.take_due(now) {
            self.flush(now, step);
            step.outputs.push(Output::TakeVersion);
        }
        if self.quiet.is_over(now) {
            self.compact(now, step);
        }
        self.wake_at = None;
        self.plan_wake(now, step);
    }

    /// Asks to be woken when the next token ends, in time for the sockets without awareness, for
    /// who has gone and not returned, when the document is to be kept as a version, and for what is
    /// done when nobody edits.
    fn plan_wake(&mut self, now: Timestamp, step: &mut Step) {
        let silent = self.connections().any(needs_signs);
        let keepalive = silent.then(|| now.plus_millis(KEEPALIVE_MS));
        let expiry = self.connections().map(|c| c.principal.expires_at).min();
        let sweep = self.awareness.sweep_at();
        let wishes = keepalive.into_iter().chain(expiry).chain(sweep);
        let wishes = wishes.chain(self.rest.due());
        let wishes = wishes.chain(self.quiet.over_at());
        let Some(wish) = wishes.min() else {
            return;
        };
        if self
            .wake_at
            .is_none_or(|planned| planned <= now || wish < planned)
        {
            self.wake_at = Some(wish);
            step.outputs.push(Output::WakeAt(wish));
        }
    }
}

/// Whether nothing that a socket says makes the room answer it, and it expects to hear something.
fn needs_signs(connection: &Connection) -> bool {
    connection.awareness.is_empty() && !connection.quiet
}

fn send(to: ConnectionId, frame: Vec<u8>, step: &mut Step) {
    step.outputs.push(Output::Send { to, frame });
}

fn awareness_frame(entries: &Entries) -> Vec<u8> {
    frame::awareness(
        entries
            .iter()
            .map(|(id, clock, state)| (*id, *clock, state.as_deref())),
    )
}

fn refuse(connection: ConnectionId, code: CloseCode, step: &mut Step) {
    if matches!(code, CloseCode::Unauthorized | CloseCode::Forbidden) {
        send(connection, frame::permission_denied(code.reason()), step);
    }
    step.outputs.push(Output::Close { connection, code });
}
