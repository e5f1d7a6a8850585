//! The state machine: what each input does to the room, and what follows.

use std::collections::{BTreeMap, BTreeSet};

use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::relay::{AppFrame, CloseCode};
use codecrafter_shared::time::Timestamp;

use super::access::{Access, AccessNotice};
use super::awareness::{Awareness, Entries};
use super::connection::{Connection, ConnectionId, Principal};
use super::document::{Document, Integrated, Refusal};
use super::frame::{self, FrameError, Message};
use super::logins::{EndedLogin, EndedLogins};
use super::run::LiveRun;
use super::tag::tag;
use super::write::{NotWritten, Write, Written};
use super::{Audience, Change, Input, Output, Step};

/// Bytes of a stored row; a database takes 1 MB (E3).
const ROW_BYTES_MAX: usize = 512 * 1024;
/// Updates behind the newest state that make a new one.
const TAIL_ROWS_MAX: u64 = 200;
/// Their bytes.
const TAIL_BYTES_MAX: usize = 256 * 1024;
/// Frames that are not of the protocol, or edits without the right to, before a socket is closed.
const STRIKES_MAX: u8 = 3;
/// Answers in a row that leave a gap, before the client's history is given up.
const GAPS_MAX: u8 = 2;
/// Edits that may be under way behind a gap until the client has heard of it.
const DROPPED_MAX: u8 = 200;
/// A provider that hears nothing for 30 s connects anew. Those that are not answered every 15 s
/// because of their awareness get a sign of life this often.
const KEEPALIVE_MS: i64 = 20_000;
/// How often the clocks of a socket's awareness are remembered.
const REMEMBER_MS: i64 = 5_000;
/// Sockets that a woken room asks for their states when somebody comes.
const QUERIES_MAX: usize = 16;

/// What a room begins with, from [`super::store::restore`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The newest access notice.
    pub access: Option<AccessNotice>,
    /// Login sessions that have ended before their tokens.
    pub ended_logins: Vec<EndedLogin>,
}

/// The document as it was stored, from [`super::store::load_document`].
#[derive(Debug, Default)]
pub struct LoadedDocument {
    /// The document.
    pub document: Document,
    /// The newest state's number; 0 if there is none.
    pub generation: u64,
    /// The last update's number; 0 if there is none.
    pub last_seq: u64,
    /// Updates behind the newest state.
    pub tail_rows: u64,
    /// Their bytes.
    pub tail_bytes: usize,
    /// Pieces of the room that were ever put into quarantine.
    pub lost: u64,
}

/// A room. See the [module](super) for what a caller has to do with it.
#[derive(Debug)]
pub struct Room {
    access: Access,
    ended_logins: EndedLogins,
    connections: BTreeMap<ConnectionId, Connection>,
    awareness: Awareness,
    run: LiveRun,
    /// `None` until it is needed, and after `yrs` has given up on it.
    document: Option<LoadedDocument>,
    /// The last [`Output::WakeAt`].
    wake_at: Option<Timestamp>,
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
            wake_at: None,
        }
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
        match input {
            Input::Connect {
                id,
                principal,
                app_frames,
            } => {
                if let Err(code) = self.connect(now, id, principal, app_frames, &mut step) {
                    refuse(id, code, &mut step);
                }
            }
            Input::Frame { connection, bytes } => self.frame(now, connection, bytes, &mut step),
            Input::Disconnect { connection } => {
                if let Some(gone) = self.connections.remove(&connection) {
                    self.leave(now, &gone, &mut step);
                }
            }
            Input::Notice(notice) => self.notice(now, notice, &mut step),
            Input::LoginEnded(login) => self.login_ended(now, login, &mut step),
            Input::Initialise { content } => self.initialise(now, content, &mut step),
            Input::Write(write) => step.written = Some(self.write(now, write, &mut step)),
            Input::Report(report) => {
                if let Some(content) = self.run.report(report).filter(|_| !self.access.deleted()) {
                    step.outputs.push(Output::Broadcast {
                        to: Audience::AppClients,
                        except: None,
                        frame: frame::app(&content),
                    });
                }
            }
            Input::Tick => self.tick(now, &mut step),
        }
        step
    }

    // ---- Coming and going ----

    fn connect(
        &mut self,
        now: Timestamp,
        id: ConnectionId,
        principal: Principal,
        app_frames: bool,
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
            .insert(id, Connection::new(id, principal, app_frames));
        step.outputs.push(Output::Remember(id));

        if app_frames {
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

    /// Closes a socket from our side.
    fn close(&mut self, now: Timestamp, gone: &Connection, code: CloseCode, step: &mut Step) {
        self.connections.remove(&gone.id);
        refuse(gone.id, code, step);
        self.leave(now, gone, step);
    }

    /// A socket has gone: its states are taken back at once, as nobody knows whether it returns.
    fn leave(&mut self, now: Timestamp, gone: &Connection, step: &mut Step) {
        let removed = self.awareness.leave(gone, now);
        broadcast(&removed, gone.id, step);
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
            self.run = LiveRun::default();
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

    fn tick(&mut self, now: Timestamp, step: &mut Step) {
        self.close_ended(now, step);
        for silent in self.connections().filter(|c| c.awareness.is_empty()) {
            send(silent.id, frame::keepalive(), step);
        }
        self.wake_at = None;
        self.plan_wake(now, step);
    }

    /// Asks to be woken when the next token ends, and in time for the sockets without awareness.
    fn plan_wake(&mut self, now: Timestamp, step: &mut Step) {
        let silent = self.connections().any(|c| c.awareness.is_empty());
        let keepalive = silent.then(|| now.plus_millis(KEEPALIVE_MS));
        let expiry = self.connections().map(|c| c.principal.expires_at).min();
        let Some(wish) = keepalive.into_iter().chain(expiry).min() else {
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

    // ---- Frames ----

    fn frame(&mut self, now: Timestamp, id: ConnectionId, bytes: &[u8], step: &mut Step) {
        // Out of the map while it is handled, so that it and the room can change together.
        let Some(mut sender) = self.connections.remove(&id) else {
            return;
        };
        let before = sender.clone();
        match self.handle(now, &mut sender, bytes, step) {
            Ok(()) => {
                if sender != before {
                    step.outputs.push(Output::Remember(id));
                }
                self.connections.insert(id, sender);
            }
            Err(code) => self.close(now, &sender, code, step),
        }
    }

    fn handle(
        &mut self,
        now: Timestamp,
        sender: &mut Connection,
        bytes: &[u8],
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        if sender.principal.expires_at <= now {
            return Err(CloseCode::Unauthorized);
        }
        match frame::parse(bytes) {
            Ok(Message::SyncStep1(state_vector)) => self.answer(sender, state_vector, step),
            Ok(Message::SyncStep2(update)) => self.edit(now, sender, update, true, step),
            Ok(Message::Update(update)) => self.edit(now, sender, update, false, step),
            Ok(Message::Awareness(body)) => self.hear(now, sender, body, step),
            Ok(Message::QueryAwareness) => {
                let present = self.awareness.snapshot(sender.id, now);
                send(sender.id, awareness_frame(&present), step);
                Ok(())
            }
            Err(FrameError::Malformed(_)) => fault(sender),
            Err(FrameError::TooLarge) => Err(CloseCode::TooLarge),
        }
    }

    /// Tells a client what it lacks, always; and asks it, once and in a frame of its own, what
    /// the room lacks, if it may edit. A viewer is not asked, so an honest one never tries.
    fn answer(
        &self,
        sender: &mut Connection,
        state_vector: &[u8],
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        let document = self.document().ok_or(CloseCode::Overloaded)?;
        let Ok(lacking) = document.lacking(state_vector) else {
            return fault(sender);
        };
        send(sender.id, frame::sync_step2(&lacking), step);
        if !sender.greeted && sender.principal.role.may_edit(self.access.locked()) {
            sender.greeted = true;
            ask(sender, document, step);
        }
        Ok(())
    }

    /// Takes an edit in. `answers` says that it was sent because the room had asked, or because
    /// the provider thinks so: nobody means any harm with it.
    fn edit(
        &mut self,
        now: Timestamp,
        sender: &mut Connection,
        update: &[u8],
        answers: bool,
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        if !sender.principal.role.may_edit(self.access.locked()) {
            return if answers { Ok(()) } else { deny(sender, step) };
        }
        let loaded = self.document.as_mut().ok_or(CloseCode::Overloaded)?;
        let integrated = match loaded.document.integrate(update) {
            Ok(integrated) => integrated,
            Err(Refusal::Gap) => Integrated {
                update: None,
                complete: false,
            },
            Err(Refusal::Malformed(_)) => return fault(sender),
            Err(Refusal::TooLarge) => return Err(CloseCode::TooLarge),
            Err(Refusal::Damaged | Refusal::NotText) => {
                self.document = None;
                return Err(CloseCode::Malformed);
            }
        };
        if let Some(update) = integrated.update {
            let actor = Some(sender.principal.user_id);
            self.keep(now, actor, update, Some(sender.id), step)?;
        }
        if integrated.complete {
            if answers {
                sender.asked = false;
                sender.gaps = 0;
                sender.dropped = 0;
            }
            return Ok(());
        }
        self.gap(sender, answers, step)
    }

    /// Something before an edit is missing here. The client has it: ask for everything. What it
    /// sends until it has heard of that is part of its answer, and dropped.
    fn gap(
        &self,
        sender: &mut Connection,
        answers: bool,
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        if answers {
            sender.gaps = sender.gaps.saturating_add(1);
        } else if sender.asked {
            sender.dropped = sender.dropped.saturating_add(1);
        }
        if sender.gaps >= GAPS_MAX || sender.dropped >= DROPPED_MAX {
            return Err(CloseCode::Conflict);
        }
        if answers || !sender.asked {
            let document = self.document().ok_or(CloseCode::Overloaded)?;
            ask(sender, document, step);
        }
        Ok(())
    }

    fn hear(
        &mut self,
        now: Timestamp,
        sender: &mut Connection,
        body: &[u8],
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        let Ok(heard) = self.awareness.hear(sender, body, now) else {
            return fault(sender);
        };
        if let Some(other) = heard.unbound.and_then(|id| self.connections.get_mut(&id)) {
            other
                .awareness
                .retain(|(id, _)| heard.news.iter().all(|(news, ..)| news != id));
            step.outputs.push(Output::Remember(other.id));
        }
        broadcast(&heard.news, sender.id, step);
        if heard.own {
            send(sender.id, frame::keepalive(), step);
        }
        if heard.bound || now.since(sender.remembered_at) >= REMEMBER_MS {
            for (client, clock) in &mut sender.awareness {
                *clock = self.awareness.clock(*client).unwrap_or(*clock);
            }
            sender.remembered_at = now;
        }
        Ok(())
    }

    // ---- The document ----

    fn initialise(&mut self, now: Timestamp, content: &str, step: &mut Step) {
        let Some(loaded) = self.document.as_mut() else {
            return;
        };
        if let Ok(Integrated {
            update: Some(update),
            ..
        }) = loaded.document.initialise(content)
        {
            // Content of a session fits into a row or a state, so this does not fail.
            let _ = self.keep(now, None, update, None, step);
        }
    }

    /// Writes for somebody without a socket, who may do what a socket of theirs might.
    fn write(&mut self, now: Timestamp, write: Write<'_>, step: &mut Step) -> Written {
        self.notice(now, write.notice.clone(), step);
        let role = self.access.role_of(write.user_id);
        let role = role.map_err(|code| match code {
            CloseCode::NotFound => NotWritten::Deleted,
            _ => NotWritten::Forbidden,
        })?;
        if !role.may_edit(self.access.locked()) {
            return Err(NotWritten::Forbidden);
        }
        let loaded = self.document.as_mut().ok_or(NotWritten::Damaged)?;
        if let Some(expected) = write.expected
            && !expected.contains(&tag(&loaded.document.read()))
        {
            return Err(NotWritten::Changed);
        }
        match loaded.document.write(write.request, loaded.lost) {
            Ok(integrated) => {
                if let Some(update) = integrated.update {
                    self.keep(now, Some(write.user_id), update, None, step)
                        .map_err(|_| NotWritten::TooLarge)?;
                }
                let document = self.document().ok_or(NotWritten::Damaged)?;
                Ok(document.read())
            }
            Err(Refusal::TooLarge) => Err(NotWritten::TooLarge),
            Err(Refusal::NotText) => Err(NotWritten::NotText),
            Err(Refusal::Malformed(_) | Refusal::Gap | Refusal::Damaged) => {
                self.document = None;
                Err(NotWritten::Damaged)
            }
        }
    }

    /// Stores what the document has integrated, and tells it to everybody else.
    fn keep(
        &mut self,
        now: Timestamp,
        actor: Option<UserId>,
        update: Vec<u8>,
        from: Option<ConnectionId>,
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        let loaded = self.document.as_mut().ok_or(CloseCode::Overloaded)?;
        let news = Output::Broadcast {
            to: Audience::Everybody,
            except: from,
            frame: frame::update(&update),
        };
        let Some(change) = loaded.keep(now, actor, update) else {
            // It is in memory and can be stored in no way: go back to what is stored.
            self.document = None;
            return Err(CloseCode::TooLarge);
        };
        step.changes.push(change);
        step.outputs.push(news);
        Ok(())
    }
}

impl LoadedDocument {
    /// How to store an update that the document has just integrated: as a row, or with all that
    /// came before it as a new state. `None` if it fits into neither.
    fn keep(&mut self, at: Timestamp, actor: Option<UserId>, data: Vec<u8>) -> Option<Change> {
        self.last_seq = self.last_seq.saturating_add(1);
        self.tail_rows = self.tail_rows.saturating_add(1);
        self.tail_bytes = self.tail_bytes.saturating_add(data.len());
        let fits = data.len() <= ROW_BYTES_MAX;
        if fits && self.tail_rows < TAIL_ROWS_MAX && self.tail_bytes < TAIL_BYTES_MAX {
            return Some(Change::AppendUpdate {
                seq: self.last_seq,
                at,
                actor,
                data,
            });
        }
        if let Some(state) = self.document.state() {
            self.generation = self.generation.saturating_add(1);
            self.tail_rows = 0;
            self.tail_bytes = 0;
            let parts = state.chunks(ROW_BYTES_MAX).map(<[u8]>::to_vec).collect();
            let (generation, base_seq) = (self.generation, self.last_seq);
            return Some(Change::Compact {
                generation,
                base_seq,
                parts,
            });
        }
        fits.then_some(Change::AppendUpdate {
            seq: self.last_seq,
            at,
            actor,
            data,
        })
    }
}

fn send(to: ConnectionId, frame: Vec<u8>, step: &mut Step) {
    step.outputs.push(Output::Send { to, frame });
}

fn broadcast(entries: &Entries, except: ConnectionId, step: &mut Step) {
    if !entries.is_empty() {
        step.outputs.push(Output::Broadcast {
            to: Audience::Everybody,
            except: Some(except),
            frame: awareness_frame(entries),
        });
    }
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

fn ask(sender: &mut Connection, document: &Document, step: &mut Step) {
    sender.asked = true;
    send(sender.id, frame::sync_step1(&document.state_vector()), step);
}

fn fault(sender: &mut Connection) -> Result<(), CloseCode> {
    sender.faults = sender.faults.saturating_add(1);
    if sender.faults < STRIKES_MAX {
        Ok(())
    } else {
        Err(CloseCode::Malformed)
    }
}

fn deny(sender: &mut Connection, step: &mut Step) -> Result<(), CloseCode> {
    sender.denials = sender.denials.saturating_add(1);
    if sender.denials == 1 {
        send(
            sender.id,
            frame::permission_denied("you may not edit this session"),
            step,
        );
    }
    if sender.denials < STRIKES_MAX {
        Ok(())
    } else {
        Err(CloseCode::Forbidden)
    }
}
