//! What clients say, and what the room makes of it.

use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::time::Timestamp;

use super::super::connection::{Connection, ConnectionId};
use super::super::document::{Document, Integrated, Refusal};
use super::super::frame::{self, FrameError, Message};
use super::super::{Output, Step};
use super::{Room, awareness_frame, send};

/// Frames that are not of the protocol, or edits without the right to, before a socket is closed.
const STRIKES_MAX: u8 = 3;
/// Answers in a row that leave a gap, before the client's history is given up.
const GAPS_MAX: u8 = 2;
/// Edits that may be under way behind a gap until the client has heard of it.
const DROPPED_MAX: u8 = 200;
/// How often the clocks of a socket's awareness are remembered.
const REMEMBER_MS: i64 = 5_000;
/// How often a client that speaks of itself gets a sign of life; it speaks every 15 s at least.
const KEPT_ALIVE_MS: i64 = 10_000;

impl Room {
    pub(super) fn frame(
        &mut self,
        now: Timestamp,
        id: ConnectionId,
        bytes: &[u8],
        step: &mut Step,
    ) {
        // Out of the map while it is handled, so that it and the room can change together.
        let Some(mut sender) = self.connections.remove(&id) else {
            return;
        };
        sender.unheard = 0;
        let before = sender.marks();
        match self.handle(now, &mut sender, bytes, step) {
            Ok(()) => {
                if sender.marks() != before {
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
        let user = sender.principal.user_id;
        let allowed = self.rates.allow(now, user, &mut sender.spent, bytes.len());
        match frame::parse(bytes) {
            // Whoever speaks of themselves too often is not heard for a while.
            Ok(Message::Awareness(_) | Message::QueryAwareness) if !allowed => Ok(()),
            _ if !allowed => Err(CloseCode::TooFast),
            Ok(Message::SyncStep1(state_vector)) => self.answer(now, sender, state_vector, step),
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
        &mut self,
        now: Timestamp,
        sender: &mut Connection,
        state_vector: &[u8],
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        self.flush(now, step);
        let document = self.document().ok_or(CloseCode::Overloaded)?;
        let Ok(lacking) = document.lacking(state_vector) else {
            return fault(sender);
        };
        // A few bytes may ask for all of the document.
        let (user, bytes) = (sender.principal.user_id, lacking.len());
        let lacking = frame::sync_step2(&lacking);
        if !self.rates.allow(now, user, &mut sender.spent, bytes) {
            return Err(CloseCode::TooFast);
        }
        let document = self.document().ok_or(CloseCode::Overloaded)?;
        send(sender.id, lacking, step);
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
            sender.unsaved = sender.unsaved.saturating_add(1);
            if answers {
                sender.asked = false;
                return Ok(());
            }
            return deny(sender, step);
        }
        let loaded = self.document.as_mut().ok_or(CloseCode::Overloaded)?;
        let before = self.pending.before(&loaded.document);
        let user = sender.principal.user_id;
        let (authors, present) = (&mut loaded.authors, &self.awareness);
        let may_append = |client| authors.may_append(client, user, present);
        let mut ahead = false;
        let integrated = loaded.document.integrate_of(update, may_append);
        let work = loaded.document.work();
        let affordable = self.rates.worked(user, &mut sender.spent, work);
        let integrated = match integrated {
            Ok(integrated) => integrated,
            Err(why @ (Refusal::Gap | Refusal::Ahead)) => {
                ahead = why == Refusal::Ahead;
                Integrated {
                    complete: false,
                    ..Integrated::NOTHING
                }
            }
            Err(Refusal::Malformed(_)) => return fault(sender),
            Err(Refusal::TooLarge | Refusal::TooMuchWork) => return Err(CloseCode::TooLarge),
            Err(Refusal::Damaged | Refusal::NotText) => {
                self.give_up_document(now, step);
                return Err(CloseCode::Malformed);
            }
        };
        for client in integrated.clients {
            if authors.note(client, user, present) {
                self.pending.author(client, user);
            }
        }
        if let Some(update) = integrated.update {
            self.pending
                .edit(Some(sender.id), Some(user), update, before);
        }
        if !affordable {
            return Err(CloseCode::TooFast);
        }
        if integrated.complete {
            self.complete(sender, answers, step)
        } else {
            sender.unsaved = sender.unsaved.saturating_add(1);
            self.gap(sender, answers, ahead, step)
        }
    }

    /// The room has all of an edit. If it has also what the client has sent before, or if this is
    /// the answer with everything in it, the client will be told when that is stored.
    fn complete(
        &mut self,
        sender: &mut Connection,
        answers: bool,
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        let edits = sender.unsaved.saturating_add(1);
        let has_all = sender.unsaved == 0 || (answers && sender.asked);
        sender.unsaved = if has_all { 0 } else { edits };
        if answers {
            sender.asked = false;
            sender.gaps = 0;
            sender.dropped = 0;
        }
        if has_all {
            if sender.app_frames {
                self.pending.saved(sender.id, edits);
            }
        } else if !sender.asked {
            // It was refused an edit while it might not edit.
            let document = self.document().ok_or(CloseCode::Overloaded)?;
            ask(sender, document, step);
        }
        Ok(())
    }

    /// Something before an edit is missing here. The client has it: ask for everything. What it
    /// sends until it has heard of that is part of its answer, and dropped. Who is ahead of others
    /// who are here comes back when those have sent what is theirs.
    fn gap(
        &self,
        sender: &mut Connection,
        answers: bool,
        ahead: bool,
        step: &mut Step,
    ) -> Result<(), CloseCode> {
        if answers {
            sender.gaps = sender.gaps.saturating_add(1);
        } else if sender.asked {
            sender.dropped = sender.dropped.saturating_add(1);
        }
        if sender.gaps >= GAPS_MAX || sender.dropped >= DROPPED_MAX {
            return Err(if ahead {
                CloseCode::Overloaded
            } else {
                CloseCode::Conflict
            });
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
        self.pending.awareness(sender.id, heard.news);
        if heard.own && !sender.quiet && now.since(sender.kept_alive_at) >= KEPT_ALIVE_MS {
            sender.kept_alive_at = now;
            send(sender.id, frame::keepalive(), step);
        }
        if heard.bound || now.since(sender.remembered_at) >= REMEMBER_MS {
            for (client, clock) in &mut sender.awareness {
                *clock = self.awareness.clock(*client).unwrap_or(*clock);
            }
            sender.remembered_at = now;
            step.outputs.push(Output::Remember(sender.id));
        }
        Ok(())
    }
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
