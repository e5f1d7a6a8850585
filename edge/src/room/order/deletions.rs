//! What is deleted: `yrs` has items of their own for it, which it has to cut off.

use super::super::scan::Id;
use super::units::History;
use super::{Order, Unfit, Work};

impl Order {
    /// Counts what it takes to delete units.
    pub(in super::super) fn split_for(
        &self,
        id: Id,
        length: u64,
        work: &mut Work,
    ) -> Result<(), Unfit> {
        let cuts = self.cuts(id, length);
        let history = self.numbers.get(&id.client).and_then(|n| self.history(*n));
        work.spend(cuts.saturating_mul(history.map_or(0, History::split_work)))
    }

    /// Notes that units are deleted.
    pub(in super::super) fn delete(&mut self, id: Id, length: u64) {
        let cuts = u32::try_from(self.cuts(id, length)).unwrap_or(0);
        let number = self.numbers.get(&id.client).copied();
        if let Some(history) = number.and_then(|n| self.history_mut(n)) {
            history.splits = history.splits.saturating_add(cuts);
        }
        let end = id.clock.saturating_add(length).min(self.end_of(id.client));
        let (Some(mut first), Ok(mut end)) = (self.unit(id), u32::try_from(end)) else {
            return;
        };
        let joins = self.deleted.range(..first).next_back();
        if let Some((before, to)) = joins
            && before.client == first.client
            && *to >= first.clock
        {
            (first, end) = (*before, end.max(*to));
        }
        while let Some((next, to)) = self.deleted.range(first..).next()
            && next.client == first.client
            && next.clock <= end
        {
            end = end.max(*to);
            let next = *next;
            self.deleted.remove(&next);
        }
        self.deleted.insert(first, end);
    }

    /// How many items more there may be when units are deleted: deleting cuts off what is left.
    pub(in super::super) fn cuts(&self, id: Id, length: u64) -> u64 {
        let whole = |clock: u64| {
            let at = Id { clock, ..id };
            let (Some(unit), true) = (self.unit(at), clock < self.end_of(id.client)) else {
                return clock == self.end_of(id.client);
            };
            let begins = self.piece(unit).is_some_and(|(p, _)| p.start == unit.clock);
            let deleted = self.deleted.range(..=unit).next_back();
            begins
                || deleted.is_some_and(|(first, to)| {
                    first.client == unit.client && (*first == unit || *to >= unit.clock)
                })
        };
        let end = id.clock.saturating_add(length);
        u64::from(!whole(id.clock)).saturating_add(u64::from(!whole(end)))
    }
}
