//! Which list each unit of the document is in, and where. A shared type has one list for its
//! sequence and one for each of its keys, and an honest struct stands between two neighbours of one
//! list; in which order is the business of [`super::order`].
//!
//! `yrs` 0.28 relies on that, and on two more habits of honest clients; whatever breaks them is
//! refused here, as in the end `yrs` would read memory that it has freed.
//!
//! - It takes the parent from one neighbour and the key from the other without comparing them, so
//!   a struct between two lists links them.
//! - When it deletes a type, it deletes only the last value of each key, as all others are deleted
//!   already. A value of more than one unit can be split, which leaves its first part alive, with
//!   a parent that is gone. Yjs joins values that one client has set one after the other once they
//!   are deleted, and undo keeps what is in them: so such a value is taken if the same update deletes
//!   all of it, as then nothing of it is alive when `yrs` is done with the update.
//! - Down types inside types it recurses, so their depth is bounded.
//!
//! Of what is deleted with its type nothing is left but that it was there. A struct between that and
//! something else is for Yjs nowhere, and for `yrs` in the other's list: text that no editor shows.
//! It is refused, unless the other's type is deleted as well.

use std::collections::BTreeMap;

use super::order::{List, NOWHERE, New, Order, Unfit, Work};
use super::read::Malformed;
use super::scan::{Id, Kind, Parent, Place};
use super::weight::Weight;

/// How deep shared types may be inside each other.
const DEPTH_MAX: u32 = 32;

/// How many may each be the first of one list: as many as were there, each by themselves, when it
/// was empty.
const FIRST_MAX: u32 = 256;

/// What is known of a document.
#[derive(Debug, Default)]
pub(super) struct Places {
    lists: BTreeMap<Name, List>,
    /// By the number of the list, less one.
    traits: Vec<Traits>,
    order: Order,
    /// Lists that are torn since [`Places::keep`].
    tore: Vec<List>,
    /// Where the structs begin that [`Places::find`] gave a place without their right.
    idle: Vec<u64>,
}

/// What tells a list from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    parent: Holder,
    key: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Root(Box<str>),
    Nested(Id),
}

#[derive(Debug, Clone, Copy, Default)]
struct Traits {
    /// The struct of the type that it is of, if that is not a root.
    holder: Option<Id>,
    /// Types that it is inside.
    depth: u32,
    /// Whether it is the values of a key, rather than a sequence.
    keyed: bool,
    /// Structs that say that they are the first.
    first: u32,
    /// All structs.
    structs: u32,
    /// Whether its order is not known, as something in it stands beside what is gone.
    torn: bool,
}

/// The structs of an update, in the order of its bytes: clients descending, clocks ascending. And
/// what it deletes.
#[derive(Debug, Default)]
pub(super) struct Structs<'a> {
    all: Vec<Struct<'a>>,
    deletions: Vec<(Id, u64)>,
}

#[derive(Debug)]
struct Struct<'a> {
    id: Id,
    end: u64,
    kind: Kind,
    place: Place<'a>,
    /// Where its bytes begin.
    at: u64,
}

/// One client's structs, and which of them is the next to be looked at.
struct Section {
    client: u64,
    next: usize,
    end: usize,
    /// One of them waits for another client's.
    waits: bool,
}

impl<'a> Structs<'a> {
    /// Adds the next one.
    pub(super) fn push(&mut self, id: Id, length: u64, kind: Kind, place: Place<'a>, at: u64) {
        let end = id.clock.saturating_add(length);
        self.all.push(Struct {
            id,
            end,
            kind,
            place,
            at,
        });
    }

    /// Adds a range that is deleted.
    pub(super) fn push_deletion(&mut self, id: Id, length: u64) {
        self.deletions.push((id, length));
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Each of them, and where it says that it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, Place<'a>)> {
        self.all.iter().map(|one| (one.id, one.place))
    }

    /// Ranges that are deleted.
    pub(super) fn deletions(&self) -> impl Iterator<Item = (Id, u64)> {
        self.deletions.iter().copied()
    }

    /// Each client among them, and where its last struct ends.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u64, u64)> {
        let of_client = |a: &Struct<'_>, b: &Struct<'_>| a.id.client == b.id.client;
        let sections = self.all.chunk_by(of_client);
        sections.filter_map(|section| section.last().map(|last| (last.id.client, last.end)))
    }

    fn sections(&self) -> Vec<Section> {
        let mut next = 0_usize;
        let of_client = |a: &Struct<'_>, b: &Struct<'_>| a.id.client == b.id.client;
        let sections = self.all.chunk_by(of_client);
        sections
            .filter_map(|section| {
                let begin = next;
                next = next.saturating_add(section.len());
                Some(Section {
                    client: section.first()?.id.client,
                    next: begin,
                    end: next,
                    waits: false,
                })
            })
            .collect()
    }

    /// Whether all of so many units are deleted. Deletions are by client in one direction, and
    /// ascending by clock: the walk has made sure of it.
    fn deletes(&self, id: Id, length: u64) -> bool {
        let client = |one: &(Id, u64)| one.0.client;
        let descending = self.deletions.first().map(client) > self.deletions.last().map(client);
        let order = |(from, length): &(Id, u64)| {
            let clients = from.client.cmp(&id.client);
            let clients = if descending {
                clients.reverse()
            } else {
                clients
            };
            clients.then(
                from.clock
                    .saturating_add(*length)
                    .cmp(&id.clock.saturating_add(1)),
            )
        };
        let first = self.deletions.partition_point(|one| order(one).is_lt());
        let end = id.clock.saturating_add(length);
        let mut reached = id.clock;
        for (from, length) in self.deletions.iter().skip(first) {
            if reached >= end || from.client != id.client || from.clock > reached {
                break;
            }
            reached = from.clock.saturating_add(*length);
        }
        reached >= end
    }
}

impl Places {
    /// Finds a place for each struct, or what is wrong with one. Every unit that they name must be
    /// in the document or among them. `deleted` says whether the struct of a type, by its id, is
    /// deleted in the document; without it nothing is refused for its order, as what is stored was
    /// looked at when it came.
    ///
    /// [`Places::keep`] must follow, unless they are refused.
    pub(super) fn find(
        &mut self,
        structs: &Structs<'_>,
        work: &mut Work,
        deleted: Option<&dyn Fn(Id) -> bool>,
    ) -> Result<(), Unfit> {
        let lists = self.traits.len();
        self.idle.clear();
        let found = self.find_all(structs, &mut structs.sections(), work, deleted);
        let found = found.and_then(|()| {
            let mut deletions = structs.deletions();
            deletions.try_for_each(|(id, length)| self.order.split_for(id, length, work))
        });
        let found = found.and_then(|()| self.check_first(structs).map_err(Unfit::from));
        if found.is_err() {
            // Nothing is to be left of what is refused.
            self.order.undo();
            self.traits.truncate(lists);
            for list in std::mem::take(&mut self.tore) {
                if let Some(traits) = self.traits_mut(list) {
                    traits.torn = false;
                }
            }
            self.lists
                .retain(|_, list| usize::try_from(*list).is_ok_and(|list| list <= lists));
        }
        found
    }

    /// Where the structs begin, in the bytes of the update, whose right is to be left out before
    /// `yrs` sees it; ascending.
    pub(super) fn idle_rights(&mut self) -> Vec<u64> {
        self.idle.sort_unstable();
        std::mem::take(&mut self.idle)
    }

    /// What deletions split what is there into.
    pub(super) fn splits(&self, structs: &Structs<'_>) -> Weight {
        let cuts = structs
            .deletions()
            .map(|(id, length)| self.order.cuts(id, length));
        Weight {
            structs: cuts.fold(0, u64::saturating_add),
            ..Weight::default()
        }
    }

    /// Whether a unit is in a sequence that is still there, rather than the value of a key.
    pub(super) fn is_in_sequence(&self, id: Id) -> bool {
        let list = self.order.list_of(id);
        list != NOWHERE && !self.traits(list).keyed
    }

    /// Refuses what would be one of too many that are the first of a list.
    fn check_first(&self, structs: &Structs<'_>) -> Result<(), Malformed> {
        let mut first: BTreeMap<List, u32> = BTreeMap::new();
        for one in &structs.all {
            let list = self.order.list_of(one.id);
            if matches!(one.place, Place::Inside { .. }) && list != NOWHERE {
                let count = first.entry(list).or_insert_with(|| self.traits(list).first);
                *count = count.saturating_add(1);
                if *count > FIRST_MAX {
                    return Err(Malformed("too many that are the first of a list"));
                }
            }
        }
        Ok(())
    }

    /// Goes through the structs in the succession in which `yrs` does: clients descending, and
    /// where one names a unit of another client that is not there yet, that client's come first,
    /// one after the other, until it is. (No recursion, as a chain may be as long as the update.)
    fn find_all(
        &mut self,
        structs: &Structs<'_>,
        sections: &mut [Section],
        work: &mut Work,
        deleted: Option<&dyn Fn(Id) -> bool>,
    ) -> Result<(), Unfit> {
        const CIRCLE: Malformed = Malformed("structs that depend on each other");
        for begin in 0..sections.len() {
            let mut helping: Vec<usize> = Vec::new();
            loop {
                let current = helping.last().copied().unwrap_or(begin);
                let Some(section) = sections.get_mut(current) else {
                    break;
                };
                if section.next >= section.end {
                    break;
                }
                let Some(one) = structs.all.get(section.next) else {
                    break;
                };
                if let Some(client) = self.needs(one) {
                    section.waits = true;
                    let other = sections.binary_search_by(|other| client.cmp(&other.client));
                    let other = other.map_err(|_| CIRCLE)?;
                    let can = sections.get(other).ok_or(CIRCLE)?;
                    if can.waits || can.next >= can.end {
                        return Err(CIRCLE.into());
                    }
                    helping.push(other);
                } else {
                    section.waits = false;
                    section.next = section.next.saturating_add(1);
                    helping.pop();
                    self.find_one(structs, one, work, deleted)?;
                }
            }
        }
        Ok(())
    }

    /// The client whose units a struct names that is missing something.
    fn needs(&self, one: &Struct<'_>) -> Option<u64> {
        let named = named(one.place).into_iter().flatten();
        let mut missing = named.filter(|id| id.clock >= self.order.end_of(id.client));
        missing.next().map(|id| id.client)
    }

    fn find_one(
        &mut self,
        structs: &Structs<'_>,
        one: &Struct<'_>,
        work: &mut Work,
        deleted: Option<&dyn Fn(Id) -> bool>,
    ) -> Result<(), Unfit> {
        let (mut left, mut right) = (None, None);
        let list = match one.place {
            Place::Nowhere => NOWHERE,
            Place::Beside { left: l, right: r } => {
                (left, right) = (l, r);
                let list = self.list_between(l, r)?;
                for neighbour in [&mut left, &mut right] {
                    let gone = neighbour.is_some_and(|id| self.order.list_of(id) == NOWHERE);
                    if gone && list != NOWHERE {
                        self.tear(structs, list, work, deleted)?;
                        *neighbour = None;
                    }
                }
                list
            }
            Place::Inside { parent, key } => self.list_inside(parent, key)?,
        };
        if let (Some(l), Some(r)) = (left, right)
            && self.order.is_of_the_run_up_to(l, r, work)?
        {
            right = None;
            self.idle.push(one.at);
        }
        let traits = self.traits(list);
        let units = one.end.saturating_sub(one.id.clock);
        if traits.keyed && one.kind.is_content() && units != 1 {
            let gone = one.kind == Kind::Values && structs.deletes(one.id, units);
            if !gone {
                return Err(Malformed("a value of more than one unit").into());
            }
        }
        if traits.keyed && left.is_none() {
            // From the last value `yrs` goes back to the first.
            work.spend(traits.structs.into())?;
        }
        let new = New {
            id: one.id,
            end: one.end,
            kind: one.kind,
            list,
            left,
            right,
            strict: deleted.is_some() && !traits.torn,
        };
        self.order.add(new, work)
    }

    /// The list of what stands between two units, or beside one.
    fn list_between(&self, left: Option<Id>, right: Option<Id>) -> Result<List, Malformed> {
        let mut list = NOWHERE;
        for neighbour in [left, right].into_iter().flatten() {
            let its = self.order.list_of(neighbour);
            if list == NOWHERE {
                list = its;
            } else if its != NOWHERE && its != list {
                return Err(Malformed("a struct between two lists"));
            }
        }
        Ok(list)
    }

    fn list_inside(&mut self, parent: Parent<'_>, key: Option<&str>) -> Result<List, Malformed> {
        let (parent, depth) = match parent {
            Parent::Root(name) => (Holder::Root(name.into()), 0),
            Parent::Nested(id) => match self.order.list_of(id) {
                NOWHERE => return Ok(NOWHERE),
                list => (
                    Holder::Nested(id),
                    self.traits(list).depth.saturating_add(1),
                ),
            },
        };
        if depth > DEPTH_MAX {
            return Err(Malformed("shared types nested too deep"));
        }
        let key = key.map(Into::into);
        Ok(self.intern(Name { parent, key }, depth))
    }

    /// Something of a list stands beside what is gone. That can be honest if the list's type is
    /// deleted too; from then on nothing is known of its order.
    fn tear(
        &mut self,
        structs: &Structs<'_>,
        list: List,
        work: &mut Work,
        deleted: Option<&dyn Fn(Id) -> bool>,
    ) -> Result<(), Unfit> {
        if self.traits(list).torn {
            return Ok(());
        }
        let mut above = list;
        let mut dead = deleted.is_none();
        while let (false, Some(holder)) = (dead, self.traits(above).holder) {
            work.spend(1)?;
            dead = deleted.is_some_and(|deleted| deleted(holder)) || structs.deletes(holder, 1);
            above = self.order.list_of(holder);
        }
        if !dead {
            return Err(Malformed("a struct between what is gone and what is not").into());
        }
        if let Some(traits) = self.traits_mut(list) {
            traits.torn = true;
        }
        self.tore.push(list);
        Ok(())
    }

    fn traits(&self, list: List) -> Traits {
        let index = usize::try_from(list)
            .ok()
            .and_then(|list| list.checked_sub(1));
        index
            .and_then(|index| self.traits.get(index))
            .copied()
            .unwrap_or_default()
    }

    fn traits_mut(&mut self, list: List) -> Option<&mut Traits> {
        let index = usize::try_from(list).ok()?.checked_sub(1)?;
        self.traits.get_mut(index)
    }

    fn intern(&mut self, name: Name, depth: u32) -> List {
        if let Some(list) = self.lists.get(&name) {
            return *list;
        }
        self.traits.push(Traits {
            holder: match name.parent {
                Holder::Nested(id) => Some(id),
                Holder::Root(_) => None,
            },
            depth,
            keyed: name.key.is_some(),
            ..Traits::default()
        });
        let list = List::try_from(self.traits.len()).unwrap_or(List::MAX);
        self.lists.insert(name, list);
        list
    }

    /// Keeps what was found for the structs that the document has taken in: those before the
    /// clock that it `reaches` now.
    pub(super) fn keep(&mut self, structs: &Structs<'_>, reaches: impl Fn(u64) -> u64) {
        let taken = |one: &Struct<'_>| one.end <= reaches(one.id.client);
        if !structs.all.iter().all(taken) {
            self.order.undo();
            let mut sections = structs.sections();
            for section in &mut sections {
                let its = structs
                    .all
                    .get(section.next..section.end)
                    .unwrap_or_default();
                let left_out = its.iter().rev().take_while(|one| !taken(one)).count();
                section.end = section.end.saturating_sub(left_out);
            }
            // They have been through this before, all of them.
            let _ = self.find_all(structs, &mut sections, &mut Work::new(u64::MAX), None);
        }
        for one in structs.all.iter().filter(|one| taken(one)) {
            let first = matches!(one.place, Place::Inside { .. });
            let list = self.order.list_of(one.id);
            if let Some(traits) = self.traits_mut(list) {
                traits.first = traits.first.saturating_add(first.into());
                traits.structs = traits.structs.saturating_add(1);
            }
            if one.kind == Kind::Tombstone {
                let length = one.end.saturating_sub(one.id.clock);
                self.order.delete(one.id, length);
            }
        }
        for (id, length) in structs.deletions() {
            self.order.delete(id, length);
        }
        self.order.settle();
        self.tore.clear();
    }
}

/// The structs that a place is told by, in the succession in which `yrs` looks for them.
pub(super) fn named(place: Place<'_>) -> [Option<Id>; 2] {
    match place {
        Place::Beside { left, right } => [left, right],
        Place::Inside {
            parent: Parent::Nested(parent),
            ..
        } => [Some(parent), None],
        Place::Inside {
            parent: Parent::Root(_),
            ..
        }
        | Place::Nowhere => [None, None],
    }
}

#[cfg(test)]
mod tests;
