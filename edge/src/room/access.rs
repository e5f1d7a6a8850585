//! Who may be in the room, and as what (R7, E7). The Directory decides; it tells the room by
//! notices, and the person by a room token. Both carry the session's access version, and the
//! newer of the two holds.

use codecrafter_shared::id::UserId;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;
use serde::{Deserialize, Serialize};

use super::connection::Principal;

/// The whole of a session's access, from the Directory. Harmless to repeat; an older one than the
/// newest that was seen is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessNotice {
    /// Grows with every change.
    pub access_version: u64,
    /// Whether edits are refused from everybody but the owner.
    pub locked: bool,
    /// Whether the session is deleted.
    pub deleted: bool,
    /// Everybody who has a role in it.
    pub participants: Vec<(UserId, Role)>,
}

impl AccessNotice {
    fn role_of(&self, user: UserId) -> Option<Role> {
        let listed = self.participants.iter().find(|(listed, _)| *listed == user);
        listed.map(|(_, role)| *role)
    }
}

/// What the room knows about access.
#[derive(Debug, Default)]
pub(super) struct Access {
    newest: Option<AccessNotice>,
}

impl Access {
    pub(super) const fn new(newest: Option<AccessNotice>) -> Self {
        Self { newest }
    }

    /// Takes a notice in, unless it is not newer than the newest.
    pub(super) fn take(&mut self, notice: &AccessNotice) -> bool {
        // A session that is deleted stays so, whatever comes late.
        let newer = self
            .newest
            .as_ref()
            .is_none_or(|n| !n.deleted && n.access_version < notice.access_version);
        if newer {
            self.newest = Some(notice.clone());
        }
        newer
    }

    /// Whether edits are refused from everybody but the owner.
    pub(super) fn locked(&self) -> bool {
        self.newest.as_ref().is_some_and(|notice| notice.locked)
    }

    /// Whether the session is deleted: then nothing of it is left here.
    pub(super) fn deleted(&self) -> bool {
        self.newest.as_ref().is_some_and(|notice| notice.deleted)
    }

    /// The role of somebody who comes without a token, by the newest notice.
    pub(super) fn role_of(&self, user: UserId) -> Result<Role, CloseCode> {
        let notice = self.newest.as_ref().ok_or(CloseCode::NotFound)?;
        if notice.deleted {
            return Err(CloseCode::NotFound);
        }
        notice.role_of(user).ok_or(CloseCode::Forbidden)
    }

    /// The principal as it is to be treated now: what its token says, unless a newer notice says
    /// something else.
    pub(super) fn admit(&self, mut principal: Principal) -> Result<Principal, CloseCode> {
        let Some(notice) = &self.newest else {
            return Ok(principal);
        };
        if notice.deleted {
            return Err(CloseCode::NotFound);
        }
        if principal.access_version < notice.access_version {
            principal.role = notice
                .role_of(principal.user_id)
                .ok_or(CloseCode::Forbidden)?;
            principal.access_version = notice.access_version;
        }
        Ok(principal)
    }
}
