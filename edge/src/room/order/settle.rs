//! What was added is forgotten if its update is refused, and settled if it is taken.

use super::super::scan::Kind;
use super::units::{Parent, Piece, Unit, after};
use super::{NOWHERE, Order};

impl Order {
    /// Forgets what was added since [`Order::settle`].
    pub(in super::super) fn undo(&mut self) {
        let mut parents = Vec::new();
        while let Some(client) = self.added.pop() {
            let Some(history) = self.history_mut(client) else {
                continue;
            };
            if let Some(piece) = history.pieces.pop() {
                history.end = piece.start;
                parents.push(piece.left.map_or(Parent::Start(piece.list), Parent::Unit));
            }
        }
        while let Some(client) = self.split.pop() {
            if let Some(history) = self.history_mut(client) {
                history.splits = history.splits.saturating_sub(1);
            }
        }
        parents.sort_unstable();
        parents.dedup();
        for parent in parents {
            let next = self.next_of(parent);
            let Some(mut children) = self.children.remove(&parent) else {
                continue;
            };
            children.retain(|child| self.piece(*child).is_some());
            if children.as_slice() != next.as_slice() {
                self.children.insert(parent, children);
            }
        }
        for nobody in self.histories.drain(self.settled..) {
            self.numbers.remove(&nobody.client);
        }
    }

    /// Keeps what was added, and makes one piece of what goes on with another.
    pub(in super::super) fn settle(&mut self) {
        let mut added = std::mem::take(&mut self.added);
        added.sort_unstable();
        for added in added.chunk_by(|a, b| a == b) {
            let Some(client) = added.first().copied() else {
                continue;
            };
            let Some(history) = self.history_mut(client) else {
                continue;
            };
            let settled = history.pieces.len().saturating_sub(added.len());
            let new = history.pieces.split_off(settled);
            for piece in new {
                let last = self.history(client).and_then(|h| h.pieces.last()).copied();
                let kind = last.and_then(|last| self.joined(client, &last, &piece));
                if let (Some(_), Some(left)) = (kind, piece.left) {
                    self.children.remove(&Parent::Unit(left));
                }
                let Some(history) = self.history_mut(client) else {
                    continue;
                };
                match (kind, history.pieces.last_mut()) {
                    (Some(kind), Some(last)) => last.kind = kind,
                    _ => history.pieces.push(piece),
                }
            }
        }
        self.split.clear();
        self.settled = self.histories.len();
    }

    /// The kind of both pieces as one, if they can be one: the second is the first's next unit, and
    /// the only one there.
    fn joined(&self, client: u32, first: &Piece, second: &Piece) -> Option<Kind> {
        if first.list != second.list {
            return None;
        }
        if first.list == NOWHERE {
            return Some(first.kind);
        }
        let last = Unit {
            client,
            clock: second.start.checked_sub(1)?,
        };
        let follows = second.left == Some(last) && second.right == first.right;
        let alone = self.children.get(&Parent::Unit(last));
        let alone = alone.is_some_and(|children| *children == [after(last)]);
        if follows && alone {
            first.kind.joined(second.kind)
        } else {
            None
        }
    }
}
