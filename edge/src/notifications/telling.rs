//! What people are told of a session that somebody has changed for them.

use codecrafter_shared::api::{NamedUser, NotificationEvent, Session};
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::note::Note;
use crate::directory::outbox::{Letter, PersonMessage};

/// Tells people of a session what one of its participants has done to them.
pub struct Telling<'a> {
    /// The session, as it was when `by` could still be found in it.
    pub session: &'a Session,
    /// Who did it.
    pub by: UserId,
    /// When.
    pub now: Timestamp,
}

impl Telling<'_> {
    /// They were added.
    #[must_use]
    pub fn added(&self, user_id: UserId, role: Role) -> Letter {
        self.letter(user_id, |session_id, title, by| NotificationEvent::Added {
            session_id,
            title,
            role,
            by,
        })
    }

    /// Their role is another one.
    #[must_use]
    pub fn role_changed(&self, user_id: UserId, role: Role) -> Letter {
        self.letter(user_id, |session_id, title, by| {
            NotificationEvent::RoleChanged {
                session_id,
                title,
                role,
                by,
            }
        })
    }

    /// They were removed.
    #[must_use]
    pub fn removed(&self, user_id: UserId) -> Letter {
        self.letter(user_id, |session_id, title, by| {
            NotificationEvent::Removed {
                session_id,
                title,
                by,
            }
        })
    }

    /// Everybody else in the session: it was locked, or unlocked.
    pub fn lock(&self, locked: bool) -> impl Iterator<Item = Letter> + '_ {
        let others = self.session.participants.iter();
        let others = others.filter(|other| other.user_id != self.by);
        others.map(move |other| {
            self.letter(other.user_id, |session_id, title, by| {
                if locked {
                    NotificationEvent::Locked {
                        session_id,
                        title,
                        by,
                    }
                } else {
                    NotificationEvent::Unlocked {
                        session_id,
                        title,
                        by,
                    }
                }
            })
        })
    }

    /// `event` is given what every event of a session says: which it is, its title, who did it.
    fn letter(
        &self,
        user_id: UserId,
        event: impl FnOnce(SessionId, String, NamedUser) -> NotificationEvent,
    ) -> Letter {
        let mut people = self.session.participants.iter();
        let by = people.find(|person| person.user_id == self.by);
        let by = NamedUser {
            user_id: self.by,
            display_name: by.map_or_else(String::new, |by| by.display_name.clone()),
        };
        let note = Note {
            at: self.now,
            event: event(self.session.id, self.session.title.clone(), by),
            mark: None,
        };
        let message = PersonMessage::Note {
            note,
            unless_in: None,
        };
        Letter::Person { user_id, message }
    }
}
