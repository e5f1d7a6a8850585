//! Login sessions that have ended while a room token of theirs is still good (E7). The Directory
//! says so; the room closes their sockets, and refuses such a token for as long as it would live.

use std::collections::BTreeMap;

use codecrafter_shared::id::{LoginSessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Change;
use super::connection::Principal;

/// A login session whose room tokens open nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedLogin {
    /// Whose it was.
    pub user_id: UserId,
    /// Which.
    pub login_session_id: LoginSessionId,
    /// When the last of its tokens has ended anyhow.
    pub until: Timestamp,
    /// Whether the user's older login sessions are meant as well. The room sets it when it has to
    /// forget one of too many: it refuses one too much rather than one too few.
    pub and_before: bool,
}

impl EndedLogin {
    fn covers(&self, login: LoginSessionId) -> bool {
        // Ids are ordered by time.
        self.login_session_id == login || self.and_before && login < self.login_session_id
    }
}

/// What the room remembers of them: of each user at most as many as may be signed in at a time.
#[derive(Debug, Default)]
pub(super) struct EndedLogins(BTreeMap<(UserId, LoginSessionId), EndedLogin>);

impl EndedLogins {
    pub(super) fn new(stored: Vec<EndedLogin>) -> Self {
        let keyed = stored.into_iter().map(|login| (key(&login), login));
        Self(keyed.collect())
    }

    /// Takes one in; gives what is to be stored. Harmless to repeat, in any order.
    pub(super) fn take(&mut self, login: EndedLogin, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let past = self.0.values().filter(|known| known.until <= now);
        for past in past.copied().collect::<Vec<_>>() {
            self.0.remove(&key(&past));
            changes.push(Change::ForgetLogin(past));
        }
        if login.until <= now {
            return changes;
        }
        self.put(login, &mut changes);
        let mut of_user = self.of_user(login.user_id);
        if let (true, Some(oldest), Some(next)) = (
            of_user.len() > usize::try_from(limits::LOGIN_SESSIONS_PER_USER_MAX).unwrap_or(0),
            of_user.next(),
            of_user.next(),
        ) {
            let covering = EndedLogin {
                until: next.until.max(oldest.until),
                and_before: true,
                ..next
            };
            self.put(covering, &mut changes);
            self.0.remove(&key(&oldest));
            changes.push(Change::ForgetLogin(oldest));
        }
        changes
    }

    /// Whether the token that somebody came with is of a login session that has ended.
    pub(super) fn refuse(&self, principal: &Principal, now: Timestamp) -> bool {
        self.of_user(principal.user_id)
            .any(|ended| now < ended.until && ended.covers(principal.login_session_id))
    }

    fn put(&mut self, login: EndedLogin, changes: &mut Vec<Change>) {
        let known = self.0.get(&key(&login));
        let merged = known.map_or(login, |known| EndedLogin {
            until: known.until.max(login.until),
            and_before: known.and_before || login.and_before,
            ..login
        });
        if known != Some(&merged) {
            self.0.insert(key(&login), merged);
            changes.push(Change::LoginEnded(merged));
        }
    }

    /// A user's, oldest login first.
    fn of_user(&self, user: UserId) -> std::vec::IntoIter<EndedLogin> {
        let of_user = self.0.values().filter(|known| known.user_id == user);
        of_user.copied().collect::<Vec<_>>().into_iter()
    }
}

fn key(login: &EndedLogin) -> (UserId, LoginSessionId) {
    (login.user_id, login.login_session_id)
}
