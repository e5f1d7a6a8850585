//! Which list each unit of the document is in. A shared type has one list for its sequence and
//! one for each of its keys, and an honest struct stands between two neighbours of one list.
//!
//! `yrs` 0.28 relies on that, and on two more habits of honest clients; whatever breaks them is
//! refused here, as in the end `yrs` would read memory that it has freed.
//!
//! - It takes the parent from one neighbour and the key from the other without comparing them, so
//!   a struct between two lists links them.
//! - When it deletes a type, it deletes only the last value of each key, as all others are deleted
//!   already. A value of more than one unit can be split, which leaves its first part alive, with
//!   a parent that is gone.
//! - Down types inside types it recurses, so their depth is bounded.
//!
//! A client's neighbouring units are nearly always in one list, so a run of them is one entry.

use std::collections::BTreeMap;

use super::read::Malformed;
use super::scan::{Id, Kind, Parent, Place};

/// How deep shared types may be inside each other.
const DEPTH_MAX: u32 = 32;

/// The number of a list; equal if and only if the lists are.
type List = u32;

/// The list of what is gone, and of what stands beside it.
const NOWHERE: List = 0;

/// What is known of a document.
#[derive(Debug, Default)]
pub(super) struct Places {
    lists: BTreeMap<Name, List>,
    /// By the number of the list, less one.
    traits: Vec<Traits>,
    /// Where each client's units are, by the first clock of each run.
    runs: BTreeMap<u64, Vec<Run>>,
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
    /// Types that it is inside.
    depth: u32,
    /// Whether it is the values of a key, rather than a sequence.
    keyed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    start: u64,
    list: List,
}

/// The structs of an update, in the order of its bytes: clients descending, clocks ascending.
#[derive(Debug, Default)]
pub(super) struct Structs<'a>(Vec<Struct<'a>>);

#[derive(Debug)]
struct Struct<'a> {
    id: Id,
    end: u64,
    kind: Kind,
    place: Place<'a>,
    list: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    NotYet,
    /// What it depends on is being looked for.
    Soon,
    In(List),
}

impl<'a> Structs<'a> {
    /// Adds the next one.
    pub(super) fn push(&mut self, id: Id, length: u64, kind: Kind, place: Place<'a>) {
        let end = id.clock.saturating_add(length);
        self.0.push(Struct {
            id,
            end,
            kind,
            place,
            list: Found::NotYet,
        });
    }

    /// Each of them, and where it says that it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, Place<'a>)> {
        self.0.iter().map(|one| (one.id, one.place))
    }

    fn position(&self, id: Id) -> Option<usize> {
        let search = self.0.binary_search_by(|other| {
            let client = id.client.cmp(&other.id.client);
            client.then(if other.end <= id.clock {
                std::cmp::Ordering::Less
            } else if other.id.clock > id.clock {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            })
        });
        search.ok()
    }
}

impl Places {
    /// Finds the list of each struct, or what is wrong with one. Every unit that they name must
    /// be in the document or among them.
    pub(super) fn find(&mut self, structs: &mut Structs<'_>) -> Result<(), Malformed> {
        let lists = self.traits.len();
        let found = self.find_all(structs);
        if found.is_err() {
            // Nothing is to be left of what is refused.
            self.traits.truncate(lists);
            self.lists
                .retain(|_, list| usize::try_from(*list).is_ok_and(|list| list <= lists));
        }
        found
    }

    fn find_all(&mut self, structs: &mut Structs<'_>) -> Result<(), Malformed> {
        let mut waiting = Vec::new();
        for index in 0..structs.0.len() {
            waiting.push(index);
            // A struct waits on this stack until all that it names was found; no recursion, as a
            // chain may be as long as the update.
            while let Some(&index) = waiting.last() {
                match self.find_one(structs, index)? {
                    Step::Found(list) => {
                        if let Some(found) = structs.0.get_mut(index) {
                            let units = found.end.saturating_sub(found.id.clock);
                            let whole = found.kind != Kind::Content || units == 1;
                            if self.traits(list).keyed && !whole {
                                return Err(Malformed("a value of more than one unit"));
                            }
                            found.list = Found::In(list);
                        }
                        waiting.pop();
                    }
                    Step::Needs(other) => {
                        if let Some(waits) = structs.0.get_mut(index) {
                            waits.list = Found::Soon;
                        }
                        if structs.0.get(other).is_some_and(|o| o.list == Found::Soon) {
                            return Err(Malformed("structs that depend on each other"));
                        }
                        waiting.push(other);
                    }
                }
            }
        }
        Ok(())
    }

    fn find_one(&mut self, structs: &Structs<'_>, index: usize) -> Result<Step, Malformed> {
        let Some(one) = structs.0.get(index) else {
            return Ok(Step::Found(NOWHERE));
        };
        if let Found::In(list) = one.list {
            return Ok(Step::Found(list));
        }
        match one.place {
            Place::Nowhere => Ok(Step::Found(NOWHERE)),
            Place::Beside { left, right } => {
                let mut list = NOWHERE;
                for neighbour in [left, right].into_iter().flatten() {
                    let its = match self.list_of(structs, neighbour) {
                        Ok(its) => its,
                        Err(other) => return Ok(Step::Needs(other)),
                    };
                    if list == NOWHERE {
                        list = its;
                    } else if its != NOWHERE && its != list {
                        return Err(Malformed("a struct between two lists"));
                    }
                }
                Ok(Step::Found(list))
            }
            Place::Inside { parent, key } => {
                let (parent, depth) = match parent {
                    Parent::Root(name) => (Holder::Root(name.into()), 0),
                    Parent::Nested(id) => match self.list_of(structs, id) {
                        Ok(NOWHERE) => return Ok(Step::Found(NOWHERE)),
                        Ok(list) => (
                            Holder::Nested(id),
                            self.traits(list).depth.saturating_add(1),
                        ),
                        Err(other) => return Ok(Step::Needs(other)),
                    },
                };
                if depth > DEPTH_MAX {
                    return Err(Malformed("shared types nested too deep"));
                }
                Ok(Step::Found(self.intern(
                    Name {
                        parent,
                        key: key.map(Into::into),
                    },
                    depth,
                )))
            }
        }
    }

    /// The list of a unit, or the struct of the update that must be found before.
    fn list_of(&self, structs: &Structs<'_>, id: Id) -> Result<List, usize> {
        match structs.position(id) {
            Some(index) => match structs.0.get(index).map(|s| s.list) {
                Some(Found::In(list)) => Ok(list),
                _ => Err(index),
            },
            None => Ok(self.known(id)),
        }
    }

    fn known(&self, id: Id) -> List {
        let runs = self.runs.get(&id.client).map_or(&[][..], Vec::as_slice);
        let after = runs.partition_point(|run| run.start <= id.clock);
        let run = after.checked_sub(1).and_then(|index| runs.get(index));
        run.map_or(NOWHERE, |run| run.list)
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

    fn intern(&mut self, name: Name, depth: u32) -> List {
        if let Some(list) = self.lists.get(&name) {
            return *list;
        }
        self.traits.push(Traits {
            depth,
            keyed: name.key.is_some(),
        });
        let list = List::try_from(self.traits.len()).unwrap_or(List::MAX);
        self.lists.insert(name, list);
        list
    }

    /// Keeps what was found for the structs that the document has taken in: those before the
    /// clock that it `reaches` now.
    pub(super) fn keep(&mut self, structs: &Structs<'_>, reaches: impl Fn(u64) -> u64) {
        for one in &structs.0 {
            let Found::In(list) = one.list else { continue };
            if one.end > reaches(one.id.client) {
                continue;
            }
            let runs = self.runs.entry(one.id.client).or_default();
            if runs.last().is_none_or(|last| last.list != list) {
                runs.push(Run {
                    start: one.id.clock,
                    list,
                });
            }
        }
    }
}

enum Step {
    Found(List),
    /// First look at this struct of the update.
    Needs(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(client: u64, clock: u64) -> Id {
        Id { client, clock }
    }

    fn root(name: &'static str, key: Option<&'static str>) -> Place<'static> {
        Place::Inside {
            parent: Parent::Root(name),
            key,
        }
    }

    fn between(left: Id, right: Id) -> Place<'static> {
        Place::Beside {
            left: Some(left),
            right: Some(right),
        }
    }

    fn behind(left: Id) -> Place<'static> {
        Place::Beside {
            left: Some(left),
            right: None,
        }
    }

    fn inside(parent: Id) -> Place<'static> {
        Place::Inside {
            parent: Parent::Nested(parent),
            key: None,
        }
    }

    /// Takes in structs of one unit each.
    fn take(places: &mut Places, given: &[(Id, Place<'_>)]) -> Result<(), Malformed> {
        let mut structs = Structs::default();
        for (id, place) in given {
            structs.push(*id, 1, Kind::Content, *place);
        }
        places.find(&mut structs)?;
        places.keep(&structs, |_| u64::MAX);
        Ok(())
    }

    #[test]
    fn neighbours_are_of_one_list() {
        let mut places = Places::default();
        let first = [
            (id(7, 0), root("a", None)),
            (id(7, 1), root("b", None)),
            (id(7, 2), root("a", Some("k"))),
            (id(7, 3), behind(id(7, 0))),
        ];
        take(&mut places, &first).unwrap();
        for (left, right) in [(0, 1), (0, 2), (1, 3), (3, 2)] {
            let mixed = between(id(7, left), id(7, right));
            assert!(
                take(&mut places, &[(id(8, 0), mixed)]).is_err(),
                "{left} {right}"
            );
        }
        take(&mut places, &[(id(8, 0), between(id(7, 0), id(7, 3)))]).unwrap();
        let inherits = [(id(8, 1), between(id(8, 0), id(7, 1)))];
        assert!(
            take(&mut places, &inherits).is_err(),
            "the list of the one before is known"
        );
    }

    #[test]
    fn order_of_the_bytes_does_not_matter() {
        let mut places = Places::default();
        // The higher client comes first, and depends on the lower one.
        let given = [
            (id(9, 0), behind(id(8, 1))),
            (id(9, 1), root("b", None)),
            (id(8, 0), root("a", None)),
            (id(8, 1), behind(id(8, 0))),
        ];
        take(&mut places, &given).unwrap();
        assert!(take(&mut places, &[(id(7, 0), between(id(9, 0), id(9, 1)))]).is_err());
        assert!(take(&mut places, &[(id(7, 0), between(id(9, 0), id(8, 0)))]).is_ok());
    }

    #[test]
    fn what_depends_on_itself_is_refused() {
        let mut places = Places::default();
        let circle = [(id(9, 0), behind(id(8, 0))), (id(8, 0), behind(id(9, 0)))];
        assert!(take(&mut places, &circle).is_err());
        let long: Vec<_> = (0..50_000)
            .map(|n| (id(100_000 - n, 0), behind(id(99_999 - n, 0))))
            .chain([(id(50_000, 0), root("a", None))])
            .collect();
        take(&mut places, &long).unwrap();
    }

    #[test]
    fn depth_is_counted_through_neighbours() {
        let mut places = Places::default();
        take(&mut places, &[(id(7, 0), root("a", None))]).unwrap();
        let mut clock = 0;
        for _ in 0..DEPTH_MAX {
            let nested = [(id(7, clock + 1), inside(id(7, clock)))];
            take(&mut places, &nested).unwrap();
            take(&mut places, &[(id(7, clock + 2), behind(id(7, clock + 1)))]).unwrap();
            clock += 2;
        }
        assert!(take(&mut places, &[(id(7, clock + 1), inside(id(7, clock)))]).is_err());
    }

    #[test]
    fn what_is_gone_goes_with_everything() {
        let mut places = Places::default();
        let given = [
            (id(7, 0), Place::Nowhere),
            (id(7, 1), root("a", None)),
            (id(7, 2), between(id(7, 0), id(7, 1))),
            (id(7, 3), behind(id(7, 0))),
            (id(7, 4), inside(id(7, 0))),
        ];
        take(&mut places, &given).unwrap();
        assert_eq!(places.known(id(7, 2)), places.known(id(7, 1)));
        assert_eq!(places.known(id(7, 3)), NOWHERE);
        assert_eq!(places.known(id(7, 4)), NOWHERE);
    }

    #[test]
    fn a_value_of_a_key_is_one_unit_unless_it_is_gone() {
        let mut places = Places::default();
        let mut find = |length, kind, place| {
            let mut structs = Structs::default();
            structs.push(id(7, 0), length, kind, place);
            places.find(&mut structs)
        };
        assert!(find(2, Kind::Content, root("a", Some("k"))).is_err());
        assert!(find(2, Kind::Tombstone, root("a", Some("k"))).is_ok());
        assert!(find(1, Kind::Content, root("a", Some("k"))).is_ok());
        assert!(find(2, Kind::Content, root("a", None)).is_ok());
    }

    #[test]
    fn typing_is_one_run() {
        let mut places = Places::default();
        take(&mut places, &[(id(7, 0), root("a", None))]).unwrap();
        for clock in 1..100 {
            take(&mut places, &[(id(7, clock), behind(id(7, clock - 1)))]).unwrap();
        }
        assert_eq!(places.runs[&7].len(), 1);
    }
}
