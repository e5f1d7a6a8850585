//! Units, in pieces, by the history of each client: where they are and what stands beside them.

use super::super::scan::{Id, Kind};
use super::{List, Order};

/// A unit, by the number of its client here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    pub(super) client: u32,
    pub(super) clock: u32,
}

/// What children stand behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parent {
    Start(List),
    Unit(Unit),
}

/// Units of one client, each the left of the next, and with one right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) list: List,
    pub(super) left: Option<Unit>,
    pub(super) right: Option<Unit>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) struct History {
    pub(super) client: u64,
    pub(super) end: u32,
    pub(super) pieces: Vec<Piece>,
    /// How often one of them was split, for something to be put in or for what is left of it.
    pub(super) splits: u32,
}

impl History {
    /// What it takes `yrs` to split one of its items, compared with looking at one: it keeps them
    /// in one row, and moves all behind.
    pub(super) fn split_work(&self) -> u64 {
        let pieces = u64::try_from(self.pieces.len()).unwrap_or(u64::MAX);
        pieces.saturating_add(self.splits.into()) / 64
    }
}

impl Order {
    pub(super) fn number(&mut self, client: u64) -> u32 {
        let next = u32::try_from(self.histories.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(client).or_insert(next);
        if number == next {
            self.histories.push(History {
                client,
                end: 0,
                pieces: Vec::new(),
                splits: 0,
            });
        }
        number
    }

    pub(super) fn history(&self, number: u32) -> Option<&History> {
        self.histories.get(usize::try_from(number).ok()?)
    }

    pub(super) fn history_mut(&mut self, number: u32) -> Option<&mut History> {
        self.histories.get_mut(usize::try_from(number).ok()?)
    }

    /// The client of a unit, by its own number.
    pub(super) fn client(&self, unit: Unit) -> u64 {
        self.history(unit.client).map_or(0, |h| h.client)
    }

    pub(super) fn unit(&self, id: Id) -> Option<Unit> {
        let client = *self.numbers.get(&id.client)?;
        let clock = u32::try_from(id.clock).ok()?;
        Some(Unit { client, clock })
    }

    /// The piece that a unit is in, and the clock behind its last unit.
    pub(super) fn piece(&self, unit: Unit) -> Option<(&Piece, u32)> {
        let history = self.history(unit.client)?;
        let after = history.pieces.partition_point(|p| p.start <= unit.clock);
        let piece = history.pieces.get(after.checked_sub(1)?)?;
        let end = history.pieces.get(after).map_or(history.end, |p| p.start);
        (unit.clock < end).then_some((piece, end))
    }

    pub(super) fn left_of(&self, unit: Unit) -> Option<Unit> {
        let (piece, _) = self.piece(unit)?;
        if piece.start == unit.clock {
            return piece.left;
        }
        let clock = unit.clock.checked_sub(1)?;
        Some(Unit { clock, ..unit })
    }

    pub(super) fn right_of(&self, unit: Unit) -> Option<Unit> {
        self.piece(unit).and_then(|(piece, _)| piece.right)
    }

    /// The child of a unit that is the next of its piece.
    pub(super) fn next_of(&self, parent: Parent) -> Option<Unit> {
        let Parent::Unit(unit) = parent else {
            return None;
        };
        let next = after(unit);
        let (_, end) = self.piece(unit)?;
        (next.clock < end).then_some(next)
    }

    /// Pieces, for tests.
    #[cfg(test)]
    pub(in super::super) fn pieces(&self) -> usize {
        self.histories.iter().map(|h| h.pieces.len()).sum()
    }
}

pub(super) const fn after(unit: Unit) -> Unit {
    Unit {
        clock: unit.clock.saturating_add(1),
        ..unit
    }
}
