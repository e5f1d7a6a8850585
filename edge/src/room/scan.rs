//! The walk over an update (Yjs encoding V1) or a state vector before `yrs` decodes it. `yrs`
//! reserves memory by the counts that it reads and recurses as deep as the bytes say, so a few
//! bytes could end the process; this walk allocates nothing, recurses nowhere, and refuses
//! everything that no honest client writes.
//!
//! Here the structure of an update; what is inside of its structs is walked over in [`content`].
//! What an update refers to is the business of [`super::gate`], which follows the walk. [`rewrite`]
//! changes the bytes of an update where that is better for all who get it.

mod content;
pub(super) mod rewrite;

use super::read::{Malformed, Reader};

/// Clocks, and ends of ranges of them, stay below this: `yrs` counts in 32 bits, partly signed.
pub(super) const CLOCK_MAX: u64 = (1 << 31) - 1;

/// How much one update may hold. Memory after decoding is up to 200 bytes for each of these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// Clients with a section.
    sections: u64,
    /// Structs of all sections.
    structs: u64,
    /// Values inside structs.
    values: u64,
    /// Clock units that are announced as deleted without any bytes for them.
    tombstones: u64,
}

impl Caps {
    /// For what a client sends.
    pub(super) const FRAME: Self = Self {
        sections: 4_096,
        structs: 65_536,
        values: 262_144,
        tombstones: 1 << 23,
    };
    /// For what the room has stored itself: as integrated, it can be larger than a frame was.
    pub(super) const STORED: Self = Self {
        sections: u64::MAX,
        structs: u64::MAX,
        values: u64::MAX,
        tombstones: u64::MAX,
    };
}

/// The name of one unit in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) client: u64,
    pub(super) clock: u64,
}

/// What the walk comes across, in the order of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A struct of `length` clock units, at least one.
    Struct {
        id: Id,
        length: u64,
        kind: Kind,
        place: Place<'a>,
        /// Bytes of the update before its own.
        at: u64,
    },
    /// `length` units from `id` on are deleted; at least one.
    Deletion { id: Id, length: u64 },
}

/// As much of a struct's kind as anybody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A hole in the client's history.
    Skip,
    /// Known to be deleted; nothing else is left of it.
    Tombstone,
    /// Text.
    Text,
    /// JSON-like values.
    Values,
    /// Everything else, which `yrs` never joins.
    Single,
}

impl Kind {
    /// Whether there is something of it.
    pub(super) const fn is_content(self) -> bool {
        !matches!(self, Self::Skip | Self::Tombstone)
    }

    /// What a struct of this kind and one of `next` behind it are together, if they can be one.
    /// What is deleted of it is noted elsewhere.
    pub(super) fn joined(self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Single | Self::Skip, _) | (_, Self::Single | Self::Skip) => None,
            (Self::Tombstone, kind) | (kind, Self::Tombstone) => Some(kind),
            (kind, next) => (kind == next).then_some(kind),
        }
    }
}

/// Where a struct says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// It is gone, and says nothing.
    Nowhere,
    /// Between two others, of which it names at least one: it is in their list.
    Beside { left: Option<Id>, right: Option<Id> },
    /// The first in the sequence of a shared type, or under one of its keys.
    Inside {
        parent: Parent<'a>,
        key: Option<&'a str>,
    },
}

/// A shared type, by the name that a struct gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent<'a> {
    /// A root of the document.
    Root(&'a str),
    /// Inside a struct.
    Nested(Id),
}

/// Walks over an update and shows each piece to `visit`. Everything before an error was shown.
pub(super) fn update<'a>(
    bytes: &'a [u8],
    caps: Caps,
    mut visit: impl FnMut(Piece<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut walk = Walk::new(bytes, caps);
    walk.structs(&mut visit)?;
    walk.deletions(&mut visit)?;
    walk.reader.end()
}

/// Walks over a state vector.
pub(super) fn state_vector(bytes: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.count(2)? {
        reader.var_uint()?;
        clock(&mut reader)?;
    }
    reader.end()
}

fn clock(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let clock = reader.var_uint()?;
    if clock <= CLOCK_MAX {
        Ok(clock)
    } else {
        Err(Malformed("a clock out of range"))
    }
}

fn spend(left: &mut u64, amount: u64) -> Result<(), Malformed> {
    *left = left
        .checked_sub(amount)
        .ok_or(Malformed("more than one update may hold"))?;
    Ok(())
}

/// What the first byte of a struct says that it names.
const ORIGIN: u8 = 0x80;
const RIGHT_ORIGIN: u8 = 0x40;
const KEY: u8 = 0x20;
const FLAGS: u8 = ORIGIN | RIGHT_ORIGIN | KEY;
/// What the rest of it says that it holds, if that is text.
const TEXT: u8 = 4;

struct Walk<'a> {
    /// Bytes of the whole.
    length: u64,
    reader: Reader<'a>,
    left: Caps,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], caps: Caps) -> Self {
        let reader = Reader::new(bytes);
        Self {
            length: reader.len(),
            reader,
            left: caps,
        }
    }

    /// Sections of structs, by descending client id as every encoder writes them: so no client
    /// can have two.
    fn structs(
        &mut self,
        visit: &mut impl FnMut(Piece<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let sections = self.reader.count(5)?;
        spend(&mut self.left.sections, sections)?;
        let mut previous = None;
        for _ in 0..sections {
            let count = self.reader.count(2)?;
            if count == 0 {
                return Err(Malformed("a section without structs"));
            }
            spend(&mut self.left.structs, count)?;
            let client = self.reader.var_uint()?;
            if previous.is_some_and(|previous| previous <= client) {
                return Err(Malformed("sections out of order"));
            }
            previous = Some(client);
            let mut id = Id {
                client,
                clock: clock(&mut self.reader)?,
            };
            for _ in 0..count {
                let at = self.length.saturating_sub(self.reader.len());
                let (length, kind, place) = self.one_struct()?;
                visit(Piece::Struct {
                    id,
                    length,
                    kind,
                    place,
                    at,
                })?;
                id.clock = end(id.clock, length)?;
            }
        }
        Ok(())
    }

    fn one_struct(&mut self) -> Result<(u64, Kind, Place<'a>), Malformed> {
        let info = self.reader.byte()?;
        match info {
            0 => return Ok((self.tombstone()?, Kind::Tombstone, Place::Nowhere)),
            10 => return Ok((self.length()?, Kind::Skip, Place::Nowhere)),
            _ => {}
        }
        let place = self.place(info)?;
        match info & !FLAGS {
            1 => Ok((self.tombstone()?, Kind::Tombstone, place)),
            content => {
                let kind = match content {
                    TEXT => Kind::Text,
                    8 => Kind::Values,
                    _ => Kind::Single,
                };
                Ok((self.content(content)?, kind, place))
            }
        }
    }

    /// Where a struct says that it is, behind its first byte.
    fn place(&mut self, info: u8) -> Result<Place<'a>, Malformed> {
        if info & (ORIGIN | RIGHT_ORIGIN) != 0 {
            let left = if info & ORIGIN != 0 {
                Some(self.id()?)
            } else {
                None
            };
            let right = if info & RIGHT_ORIGIN != 0 {
                Some(self.id()?)
            } else {
                None
            };
            Ok(Place::Beside { left, right })
        } else {
            let parent = match self.reader.var_uint()? {
                0 => Parent::Nested(self.id()?),
                1 => Parent::Root(self.reader.var_string()?),
                _ => return Err(Malformed("a parent that is neither a name nor an id")),
            };
            let key = if info & KEY != 0 {
                Some(self.reader.var_string()?)
            } else {
                None
            };
            Ok(Place::Inside { parent, key })
        }
    }

    fn id(&mut self) -> Result<Id, Malformed> {
        let client = self.reader.var_uint()?;
        Ok(Id {
            client,
            clock: clock(&mut self.reader)?,
        })
    }

    fn length(&mut self) -> Result<u64, Malformed> {
        match clock(&mut self.reader)? {
            0 => Err(Malformed("a struct without length")),
            length => Ok(length),
        }
    }

    fn tombstone(&mut self) -> Result<u64, Malformed> {
        let length = self.length()?;
        spend(&mut self.left.tombstones, length)?;
        Ok(length)
    }

    /// The delete set: per client ascending ranges that do not touch each other's units, clients
    /// in one direction (Yjs writes them descending, `yrs` ascending).
    fn deletions(
        &mut self,
        visit: &mut impl FnMut(Piece<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut previous: Option<u64> = None;
        let mut ascending = None;
        for _ in 0..self.reader.count(4)? {
            let client = self.reader.var_uint()?;
            if let Some(previous) = previous {
                let direction = previous < client;
                if previous == client || *ascending.get_or_insert(direction) != direction {
                    return Err(Malformed("deletions out of order"));
                }
            }
            previous = Some(client);
            let ranges = self.reader.count(2)?;
            spend(&mut self.left.values, ranges)?;
            if ranges == 0 {
                return Err(Malformed("a client without deletions"));
            }
            let mut from = 0;
            for _ in 0..ranges {
                let id = Id {
                    client,
                    clock: clock(&mut self.reader)?,
                };
                if id.clock < from {
                    return Err(Malformed("deletions out of order"));
                }
                let length = self.length()?;
                from = end(id.clock, length)?;
                visit(Piece::Deletion { id, length })?;
            }
        }
        Ok(())
    }
}

fn end(clock: u64, length: u64) -> Result<u64, Malformed> {
    let end = clock.saturating_add(length);
    if end <= CLOCK_MAX {
        Ok(end)
    } else {
        Err(Malformed("a clock out of range"))
    }
}

#[cfg(test)]
mod tests;
