//! In which order the units of each list stand, kept beside the document: `yrs` knows, and tells
//! nobody. It is needed to refuse what has no place in that order, and what would take too long to
//! find one.
//!
//! # What is refused, and that nothing else has to be
//!
//! A struct says behind which unit its author saw it, its *left*, and before which, its *right*.
//! Call what has a unit as its left the *children* of that unit; what has none is a child of the
//! list's start. For a new struct `yrs`, as Yjs, goes from its left through the children of left with
//! all that is below them, up to its right or to the end of that. Where can right be?
//!
//! 1. It is one of the children. So it is if people type.
//! 2. It is nowhere below left. It is never met, and so it says nothing.
//! 3. It is below one of the children, call that *above*. If above has a smaller client than the new
//!    struct, this passes it, and comes to stand in the middle of what is below above. Then it
//!    depends on who has come first where later ones find their place. **Such a struct is refused.**
//!    Otherwise above is not passed, and all is as if it were right itself. So it is if somebody
//!    undoes: the way down from left to right is all of their own client.
//!
//! With that for all, the order does not depend on who integrates what first. (In 3 read above for
//! right.)
//!
//! - A list is its tree walked from the top, each unit before its children: `yrs` passes a child
//!   together with what is below it, or not at all.
//! - Among children of one unit `yrs` puts a new one right behind the last that stands before its
//!   right and has a smaller client. (It stops early at one with the same right and a client that
//!   is not smaller. Nothing behind that is smaller than its client, up to their right: it was put
//!   behind the last smaller one when it came, and later ones only came behind units not smaller.)
//! - Two new children, of which neither needs the other, come to the same places in either order:
//!   at one place the smaller client comes first. At two places, the later one stands behind a
//!   unit that the earlier one did not go behind, so that is not smaller than the earlier one, and
//!   the later one, which is larger still, is none to go behind either.
//!
//! So replicas agree, in whatever order they hear of structs that follow what they name.
//!
//! # What is mended
//!
//! Undo also writes structs whose right is their left, or stands before it in the same run. There
//! `yrs` and Yjs come to a place that depends on how a replica happens to hold the run: if left and
//! right are in one item, that is split at right after left was found in it, and what they then take
//! for left is the part before right. Its author has them in two, as otherwise they would have
//! written another left. By 2 such a right says nothing, so it is left out before `yrs` and everybody
//! else see the struct ([`Order::is_of_the_run_up_to`]).
//!
//! # What it costs
//!
//! To find a place `yrs` looks at each of its items from left to right. The same is counted here
//! before, at the state and in the succession that `yrs` will have, and charged to [`Work`]. What
//! people type next to what they see costs nothing: nothing is between.
//!
//! A client's neighbouring units that go on with each other are one piece, as they are in `yrs`
//! after each transaction.

mod deletions;
mod settle;
mod units;
mod work;

use std::collections::BTreeMap;

use super::read::Malformed;
use super::scan::{Id, Kind};
use units::{History, Parent, Piece, Unit, after};
pub(super) use work::{Unfit, Work};

/// The number of a list; equal if and only if the lists are.
pub(super) type List = u32;

/// The list of what is gone, and of what stands beside it.
pub(super) const NOWHERE: List = 0;

/// A struct that is to get a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct New {
    pub(super) id: Id,
    /// Behind its last unit.
    pub(super) end: u64,
    pub(super) kind: Kind,
    pub(super) list: List,
    /// As it says; none if that is in another list.
    pub(super) left: Option<Id>,
    pub(super) right: Option<Id>,
    /// Whether it is refused if it has no one place.
    pub(super) strict: bool,
}

/// The order of a document's units.
#[derive(Debug, Default)]
pub(super) struct Order {
    numbers: BTreeMap<u64, u32>,
    histories: Vec<History>,
    /// Children in their order, where they are not just the next unit of the same piece.
    children: BTreeMap<Parent, Vec<Unit>>,
    /// Ends of what is deleted, by the first unit: `yrs` has items of their own for it.
    deleted: BTreeMap<Unit, u32>,
    /// Since [`Order::settle`]: whose pieces were added, and who is new.
    added: Vec<u32>,
    /// And whose were split.
    split: Vec<u32>,
    settled: usize,
}

impl Order {
    /// Where a client's history ends.
    pub(super) fn end_of(&self, client: u64) -> u64 {
        let history = self.numbers.get(&client).and_then(|n| self.history(*n));
        history.map_or(0, |history| history.end.into())
    }

    /// The list that a unit is in.
    pub(super) fn list_of(&self, id: Id) -> List {
        let unit = self.unit(id);
        unit.and_then(|unit| self.piece(unit))
            .map_or(NOWHERE, |(piece, _)| piece.list)
    }

    /// Whether `right` is `left` itself, or a unit before it that may be in one item with it.
    pub(super) fn is_of_the_run_up_to(
        &self,
        left: Id,
        right: Id,
        work: &mut Work,
    ) -> Result<bool, Unfit> {
        if left.client != right.client || left.clock < right.clock {
            return Ok(false);
        }
        let (Some(mut unit), Some(right)) = (self.unit(left), self.unit(right)) else {
            return Ok(false);
        };
        while let Some((piece, _)) = self.piece(unit) {
            if piece.start <= right.clock {
                return Ok(true);
            }
            match piece.left {
                Some(left)
                    if after(left)
                        == (Unit {
                            clock: piece.start,
                            ..unit
                        }) =>
                {
                    unit = left
                }
                _ => break,
            }
            work.spend(1)?;
        }
        Ok(false)
    }

    /// Gives a struct its place. It must go on where its client's history ends.
    pub(super) fn add(&mut self, new: New, work: &mut Work) -> Result<(), Unfit> {
        let (Ok(start), Ok(end)) = (u32::try_from(new.id.clock), u32::try_from(new.end)) else {
            return Err(Malformed("a clock out of range").into());
        };
        let piece = Piece {
            start,
            list: new.list,
            left: new.left.and_then(|id| self.unit(id)),
            right: new.right.and_then(|id| self.unit(id)),
            kind: new.kind,
        };
        let parent = piece.left.map_or(Parent::Start(new.list), Parent::Unit);
        let place = if new.list == NOWHERE {
            None
        } else {
            let right = piece.right;
            let in_list = |unit: &Unit| self.piece(*unit).is_some_and(|(p, _)| p.list == new.list);
            let right = right.filter(in_list);
            let above = match right {
                Some(right) => self.way_down(piece.left, right, work)?,
                None => None,
            };
            if new.strict && above.is_some_and(|above| self.client(above) < new.id.client) {
                return Err(Malformed("a struct that has no one place").into());
            }
            self.split_at(&piece, work)?;
            Some(self.find_place(new.id.client, parent, piece.right, above, work)?)
        };
        let client = self.number(new.id.client);
        let unit = Unit {
            client,
            clock: start,
        };
        if let Some(place) = place {
            let next = self.next_of(parent);
            let children = self
                .children
                .entry(parent)
                .or_insert_with(|| next.into_iter().collect());
            // Those behind it are moved, if never so fast.
            work.spend(u64::try_from(children.len() / 64).unwrap_or(u64::MAX))?;
            children.insert(place.min(children.len()), unit);
        }
        if let Some(history) = self.history_mut(client) {
            history.pieces.push(piece);
            history.end = end;
        }
        self.added.push(client);
        Ok(())
    }

    /// The child of `left`, or of the list's start, that `right` is below: what `yrs` has come to
    /// before it meets `right`. None if it meets `right` itself as such a child, or nowhere below.
    fn way_down(
        &self,
        left: Option<Unit>,
        right: Unit,
        work: &mut Work,
    ) -> Result<Option<Unit>, Unfit> {
        let parent = self.left_of(right);
        // What has this right was there after it, so it cannot be below.
        if parent == left || left.is_some_and(|left| self.right_of(left) == Some(right)) {
            return Ok(None);
        }
        let (mut low, mut high) = (right, left);
        loop {
            work.spend(1)?;
            let Some((piece, _)) = self.piece(low) else {
                return Ok(None);
            };
            if let Some(left) = left
                && left.client == low.client
                && (piece.start..low.clock).contains(&left.clock)
            {
                return Ok(Some(after(left)));
            }
            if piece.left == left {
                let clock = piece.start;
                return Ok(Some(Unit { clock, ..low }));
            }
            let Some(next) = piece.left else {
                return Ok(None);
            };
            low = next;
            // The way up from left is shorter as a rule: what is a child of something on it is not
            // below left.
            if let Some(unit) = high
                && let Some((piece, _)) = self.piece(unit)
            {
                if let Some(parent) = parent
                    && parent.client == unit.client
                    && (piece.start..=unit.clock).contains(&parent.clock)
                {
                    return Ok(None);
                }
                high = piece.left;
            }
        }
    }

    /// Counts the splits for a new struct between units of one piece.
    fn split_at(&mut self, piece: &Piece, work: &mut Work) -> Result<(), Unfit> {
        let before = piece.right.and_then(|right| {
            let clock = right.clock.checked_sub(1)?;
            Some(Unit { clock, ..right })
        });
        let before = before.filter(|before| piece.left != Some(*before));
        for unit in [piece.left, before].into_iter().flatten() {
            let parent = Parent::Unit(unit);
            if self.next_of(parent).is_some()
                && !self.children.contains_key(&parent)
                && let Some(history) = self.history_mut(unit.client)
            {
                work.spend(history.split_work())?;
                history.splits = history.splits.saturating_add(1);
                self.split.push(unit.client);
            }
        }
        Ok(())
    }

    /// Before how many of its siblings a new child is not, as `yrs` finds out. `above` is the one that
    /// `right` is below.
    fn find_place(
        &self,
        client: u64,
        parent: Parent,
        right: Option<Unit>,
        above: Option<Unit>,
        work: &mut Work,
    ) -> Result<usize, Unfit> {
        let next = self.next_of(parent);
        let siblings = match self.children.get(&parent) {
            Some(siblings) => siblings.as_slice(),
            None => next.as_slice(),
        };
        let mut place = 0;
        // Items that were not passed since the last that was, and the most there were: `yrs` empties
        // a set of them for each that it passes, which takes as long as the set was ever large.
        let (mut waiting, mut most) = (0_u64, 0_u64);
        for (index, sibling) in siblings.iter().enumerate() {
            if Some(*sibling) == right {
                break;
            }
            let passed = self.client(*sibling) < client;
            if !passed && self.right_of(*sibling) == right {
                work.spend(1)?;
                break;
            }
            let items = self.items_below(*sibling, work)?;
            if passed {
                place = index.saturating_add(1);
                work.spend(items.saturating_mul(most / 64))?;
                waiting = 0;
            } else {
                waiting = waiting.saturating_add(items);
                most = most.max(waiting);
            }
            if Some(*sibling) == above {
                break;
            }
        }
        Ok(place)
    }

    /// How many items of `yrs` a child is, with all that is below it.
    fn items_below(&self, child: Unit, work: &mut Work) -> Result<u64, Unfit> {
        let mut items = 0_u64;
        let mut waiting = vec![child];
        while let Some(first) = waiting.pop() {
            let end = self.piece(first).map_or(0, |(_, end)| end);
            let behind = Unit {
                clock: end,
                ..first
            };
            let before = self.deleted.range(..first).next_back();
            let cut =
                before.is_some_and(|(unit, to)| unit.client == first.client && *to > first.clock);
            let mut here = if cut { 2 } else { 1 };
            work.spend(here)?;
            for _ in self.deleted.range(first..behind) {
                work.spend(2)?;
                here = here.saturating_add(2);
            }
            let units = Parent::Unit(first)..Parent::Unit(behind);
            for (_, children) in self.children.range(units) {
                work.spend(1)?;
                here = here.saturating_add(1);
                let others = children
                    .iter()
                    .filter(|one| !(first..behind).contains(*one));
                waiting.extend(others);
            }
            items = items.saturating_add(here);
        }
        Ok(items)
    }
}
