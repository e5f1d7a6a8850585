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
    /// An editor who may also change the session's settings.
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

    #[test]
    fn every_role_is_found_by_its_name() {
        for role in [Role::Viewer, Role::Editor, Role::Admin, Role::Owner] {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(Role::from_name("root"), None);
    }
}
