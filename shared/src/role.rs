//! Who may do what in a session.

use serde::{Deserialize, Serialize};

/// A participant's role in one session, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads the document and its output.
    Viewer,
    /// Reads, edits and runs.
    Editor,
    /// An editor who may also change the session's settings, and who is in it with which role.
    Admin,
    /// The admin who may delete the session and edits it while it is locked. One per session.
    Owner,
}

impl Role {
    /// The role's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == name)
    }

    /// May change the document. In a locked session only the owner may (R7).
    #[must_use]
    pub fn may_edit(self, locked: bool) -> bool {
        if locked {
            self == Self::Owner
        } else {
            self >= Self::Editor
        }
    }

    /// May run the session's code.
    #[must_use]
    pub fn may_execute(self) -> bool {
        self >= Self::Editor
    }

    /// May change title, language, visibility and lock.
    #[must_use]
    pub fn may_administer(self) -> bool {
        self >= Self::Admin
    }

    /// May change the role of a participant with the role `target`, or remove them: an admin those
    /// below. So nobody touches the owner, and admins do not throw each other out.
    #[must_use]
    pub fn may_manage(self, target: Self) -> bool {
        self.may_administer() && target < self
    }

    /// May give somebody the role `granted`: an admin one not above their own, and nobody the
    /// owner's, which is handed over and not given.
    #[must_use]
    pub fn may_grant(self, granted: Self) -> bool {
        self.may_administer() && granted <= self && granted != Self::Owner
    }

    /// May keep the document as a version, also while it is locked: that changes nothing of it.
    #[must_use]
    pub fn may_take_versions(self) -> bool {
        self >= Self::Editor
    }

    /// May delete what others have said, and versions that others have taken.
    #[must_use]
    pub fn may_moderate(self) -> bool {
        self >= Self::Admin
    }

    /// May hand the session over to another participant (CC-RBAC-03).
    #[must_use]
    pub fn may_transfer(self) -> bool {
        self == Self::Owner
    }

    /// May leave the session. It has an owner at all times.
    #[must_use]
    pub fn may_leave(self) -> bool {
        self != Self::Owner
    }

    /// May delete the session.
    #[must_use]
    pub fn may_delete(self) -> bool {
        self == Self::Owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_session_takes_edits_from_its_owner_only() {
        assert!(Role::Owner.may_edit(true));
        assert!(!Role::Admin.may_edit(true));
        assert!(Role::Editor.may_edit(false));
        assert!(!Role::Viewer.may_edit(false));
    }

    /// Over all pairs: who (row) may manage, and may grant, which role (column).
    #[test]
    fn admins_manage_those_below_them_and_grant_up_to_their_own_role() {
        const ROLES: [Role; 4] = [Role::Viewer, Role::Editor, Role::Admin, Role::Owner];
        let (yes, no) = (true, false);
        let manage = [
            [no, no, no, no],
            [no, no, no, no],
            [yes, yes, no, no],
            [yes, yes, yes, no],
        ];
        let grant = [
            [no, no, no, no],
            [no, no, no, no],
            [yes, yes, yes, no],
            [yes, yes, yes, no],
        ];
        for (row, who) in ROLES.into_iter().enumerate() {
            for (column, other) in ROLES.into_iter().enumerate() {
                assert_eq!(
                    who.may_manage(other),
                    manage[row][column],
                    "{who:?} manages {other:?}"
                );
                assert_eq!(
                    who.may_grant(other),
                    grant[row][column],
                    "{who:?} grants {other:?}"
                );
            }
        }
    }

    #[test]
    fn only_the_owner_hands_over_and_only_the_owner_stays() {
        for role in [Role::Viewer, Role::Editor, Role::Admin] {
            assert!(role.may_leave() && !role.may_transfer(), "{role:?}");
        }
        assert!(Role::Owner.may_transfer() && !Role::Owner.may_leave());
    }

    #[test]
    fn every_role_is_found_by_its_name() {
        for role in [Role::Viewer, Role::Editor, Role::Admin, Role::Owner] {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(Role::from_name("root"), None);
    }
}
