//! A person's shard at work, wherever it lives: a Durable Object for each person, or one database for
//! all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codecrafter_shared::api::FeedFrame;
use codecrafter_shared::id::{LoginSessionId, UserId};

use super::calls::{EndLogin, ListNotes, Listen, ReadNotes, TakeNote};
use super::listeners::Listeners;
use super::store;
use crate::error::Refusal;
use crate::ports::{Clock, Db, DbError, ShardResponse, Signals};
use crate::shard::{Call, answer, no_such_call, received};

/// The people of a database. Holds what the requests of one instance share.
pub struct People {
    pub(super) db: Arc<dyn Db>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signals: Arc<dyn Signals>,
    pub(super) listeners: Listeners,
    migrated: AtomicBool,
}

/// An answer, and what the person's sockets are to be told, where there are any.
pub struct Handled {
    /// The answer.
    pub response: ShardResponse,
    /// To be told once the answer is known; it is stored already.
    pub told: Option<Told>,
}

/// What sockets are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Everybody gets this frame.
    Frame(FeedFrame),
    /// Those that a login has opened are closed.
    LoginEnded(LoginSessionId),
}

impl People {
    /// The people in `db`.
    pub fn new(db: Arc<dyn Db>, clock: Arc<dyn Clock>, signals: Arc<dyn Signals>) -> Self {
        Self {
            db,
            clock,
            signals,
            listeners: Listeners::default(),
            migrated: AtomicBool::new(false),
        }
    }

    /// Answers one call.
    pub async fn handle(&self, path: &str, body: &[u8]) -> Handled {
        let mut told = None;
        let response = match path {
            TakeNote::PATH => answer(self.take_note(body, &mut told).await),
            ReadNotes::PATH => answer(self.read_notes(body, &mut told).await),
            EndLogin::PATH => answer(self.end_login(body, &mut told).await),
            ListNotes::PATH => answer(
                async {
                    let call: ListNotes = received(body)?;
                    let db = self.database().await?;
                    Ok(store::list(db, call.user_id, call.before, call.limit).await?)
                }
                .await,
            ),
            Listen::PATH => answer(
                async {
                    let call: Listen = received(body)?;
                    self.listen(call).await
                }
                .await,
            ),
            _ => no_such_call(),
        };
        Handled { response, told }
    }

    async fn take_note(&self, body: &[u8], told: &mut Option<Told>) -> Result<(), Refusal> {
        let call: TakeNote = received(body)?;
        let db = self.database().await?;
        let taken = store::take(db, call.user_id, &call.mark, &call.note).await?;
        if let Some((notification, unread)) = taken {
            *told = Some(Told::Frame(FeedFrame::Notification {
                notification,
                unread,
            }));
            self.has_changed(call.user_id);
        }
        Ok(())
    }

    async fn read_notes(
        &self,
        body: &[u8],
        told: &mut Option<Told>,
    ) -> Result<codecrafter_shared::api::ReadState, Refusal> {
        let call: ReadNotes = received(body)?;
        let db = self.database().await?;
        let (state, is_new) = store::read(db, call.user_id, call.up_to).await?;
        if is_new {
            *told = Some(Told::Frame(FeedFrame::Read {
                read_seq: state.read_seq,
                unread: state.unread,
            }));
            self.has_changed(call.user_id);
        }
        Ok(state)
    }

    async fn end_login(&self, body: &[u8], told: &mut Option<Told>) -> Result<(), Refusal> {
        let EndLogin { login } = received(body)?;
        let db = self.database().await?;
        store::end_login(db, login, self.clock.now()).await?;
        *told = Some(Told::LoginEnded(login.login_session_id));
        self.has_changed(login.user_id);
        Ok(())
    }

    /// The database, with its tables.
    ///
    /// # Errors
    /// What it says.
    pub async fn database(&self) -> Result<&dyn Db, DbError> {
        if !self.migrated.load(Ordering::Relaxed) {
            store::migrate(&*self.db).await?;
            self.migrated.store(true, Ordering::Relaxed);
        }
        Ok(&*self.db)
    }

    fn has_changed(&self, user: UserId) {
        self.listeners.changed(user);
        self.signals.notify(&topic(user));
    }
}

/// What those listen to who wait for a person's log.
pub(super) fn topic(user: UserId) -> String {
    format!("person {user}")
}
