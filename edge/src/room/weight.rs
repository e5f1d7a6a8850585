//! How heavy a document is, or what would be added to it: what the room's bound is held against.

/// What makes a document heavy to hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Bytes of its encoding.
    pub(super) bytes: u64,
    /// Structs, each up to 200 bytes of memory.
    pub(super) structs: u64,
    /// Clients that the room has not heard of.
    pub(super) clients: u64,
}

impl Weight {
    /// Whether nothing of it is more than in `limit`.
    pub(super) fn is_within(self, limit: Self) -> bool {
        self.bytes <= limit.bytes && self.structs <= limit.structs && self.clients <= limit.clients
    }

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            structs: self.structs.saturating_add(other.structs),
            clients: self.clients.saturating_add(other.clients),
        }
    }
}
