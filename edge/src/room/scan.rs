//! The walk over an update (Yjs encoding V1) or a state vector before `yrs` decodes it. `yrs`
//! reserves memory by the counts that it reads and recurses as deep as the bytes say, so a few
//! bytes could end the process; this walk allocates nothing, recurses nowhere, and refuses
//! everything that no honest client writes.
//!
//! What an update refers to is the business of [`super::gate`], which follows the walk.

use super::read::{Malformed, Reader, json_extent};

/// Clocks, and ends of ranges of them, stay below this: `yrs` counts in 32 bits, partly signed.
pub(super) const CLOCK_MAX: u64 = (1 << 31) - 1;
/// How deep values may be nested inside a document.
const DEPTH_MAX: usize = 32;

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
    /// Everything else.
    Content,
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
    let mut walk = Walk {
        reader: Reader::new(bytes),
        left: caps,
    };
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

struct Walk<'a> {
    reader: Reader<'a>,
    left: Caps,
}

impl<'a> Walk<'a> {
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
                let (length, kind, place) = self.one_struct()?;
                visit(Piece::Struct {
                    id,
                    length,
                    kind,
                    place,
                })?;
                id.clock = end(id.clock, length)?;
            }
        }
        Ok(())
    }

    fn one_struct(&mut self) -> Result<(u64, Kind, Place<'a>), Malformed> {
        const ORIGIN: u8 = 0x80;
        const RIGHT_ORIGIN: u8 = 0x40;
        const KEY: u8 = 0x20;
        const FLAGS: u8 = ORIGIN | RIGHT_ORIGIN | KEY;

        let info = self.reader.byte()?;
        match info {
            0 => return Ok((self.tombstone()?, Kind::Tombstone, Place::Nowhere)),
            10 => return Ok((self.length()?, Kind::Skip, Place::Nowhere)),
            _ => {}
        }
        let place = if info & (ORIGIN | RIGHT_ORIGIN) != 0 {
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
            Place::Beside { left, right }
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
            Place::Inside { parent, key }
        };
        match info & !FLAGS {
            1 => Ok((self.tombstone()?, Kind::Tombstone, place)),
            kind => Ok((self.content(kind)?, Kind::Content, place)),
        }
    }

    fn id(&mut self) -> Result<Id, Malformed> {
        let client = self.reader.var_uint()?;
        Ok(Id {
            client,
            clock: clock(&mut self.reader)?,
        })
    }

    /// Length of an item's content in clock units. Subdocuments, weak links and the JSON content
    /// of the earliest Yjs are not taken.
    fn content(&mut self, kind: u8) -> Result<u64, Malformed> {
        let length = match kind {
            3 => {
                self.reader.var_bytes()?;
                1
            }
            4 => utf16_length(self.reader.var_string()?),
            5 => {
                self.json()?;
                1
            }
            6 => {
                self.reader.var_string()?;
                self.json()?;
                1
            }
            7 => {
                self.type_name()?;
                1
            }
            8 => {
                let count = self.reader.count(1)?;
                for _ in 0..count {
                    self.value()?;
                }
                count
            }
            _ => return Err(Malformed("a kind of content that the room does not take")),
        };
        if length == 0 {
            return Err(Malformed("empty content"));
        }
        Ok(length)
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

    fn json(&mut self) -> Result<(), Malformed> {
        let (depth, separators) = json_extent(self.reader.var_string()?);
        if depth > DEPTH_MAX {
            return Err(Malformed("values nested too deep"));
        }
        spend(&mut self.left.values, separators)
    }

    fn type_name(&mut self) -> Result<(), Malformed> {
        const ARRAY: u64 = 0;
        const MAP: u64 = 1;
        const TEXT: u64 = 2;
        const XML_ELEMENT: u64 = 3;
        const XML_FRAGMENT: u64 = 4;
        const XML_TEXT: u64 = 6;
        match self.reader.var_uint()? {
            ARRAY | MAP | TEXT | XML_FRAGMENT | XML_TEXT => Ok(()),
            XML_ELEMENT => self.reader.var_string().map(|_| ()),
            _ => Err(Malformed("a shared type that the room does not take")),
        }
    }

    /// One value of lib0's `any` encoding, with all that is inside it. The stack is ours and has
    /// a fixed height; each entry is what its container still lacks.
    fn value(&mut self) -> Result<(), Malformed> {
        let mut open = [Container {
            missing: 0,
            keyed: false,
        }; DEPTH_MAX];
        let mut depth = 0_usize;
        loop {
            spend(&mut self.left.values, 1)?;
            let opened = match self.reader.byte()? {
                120 | 121 | 126 | 127 => None,
                125 => {
                    self.reader.skip_var_int()?;
                    None
                }
                124 => self.skip(4)?,
                122 | 123 => self.skip(8)?,
                119 => {
                    self.reader.var_string()?;
                    None
                }
                116 => {
                    self.reader.var_bytes()?;
                    None
                }
                118 => Some(Container {
                    missing: self.reader.count(2)?,
                    keyed: true,
                }),
                117 => Some(Container {
                    missing: self.reader.count(1)?,
                    keyed: false,
                }),
                _ => return Err(Malformed("an unknown kind of value")),
            };
            if let Some(container) = opened {
                *open
                    .get_mut(depth)
                    .ok_or(Malformed("values nested too deep"))? = container;
                depth = depth.saturating_add(1);
            }
            // Leave the containers that are complete; go on in the innermost that is not.
            loop {
                let Some(innermost) = depth.checked_sub(1) else {
                    return Ok(());
                };
                let Some(container) = open.get_mut(innermost) else {
                    return Ok(());
                };
                if let Some(missing) = container.missing.checked_sub(1) {
                    container.missing = missing;
                    if container.keyed {
                        self.reader.var_string()?;
                    }
                    break;
                }
                depth = innermost;
            }
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<Option<Container>, Malformed> {
        self.reader.take(bytes)?;
        Ok(None)
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

#[derive(Clone, Copy)]
struct Container {
    missing: u64,
    keyed: bool,
}

fn end(clock: u64, length: u64) -> Result<u64, Malformed> {
    let end = clock.saturating_add(length);
    if end <= CLOCK_MAX {
        Ok(end)
    } else {
        Err(Malformed("a clock out of range"))
    }
}

fn utf16_length(text: &str) -> u64 {
    let units = if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    };
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> &'static str {
        match update(bytes, Caps::FRAME, |_| Ok(())) {
            Ok(()) => panic!("taken: {bytes:x?}"),
            Err(Malformed(why)) => why,
        }
    }

    /// One section of client 7 from clock 0, with the structs given, and no deletions.
    fn section(count: u8, structs: &[u8]) -> Vec<u8> {
        [&[1, count, 7, 0], structs, &[0]].concat()
    }

    #[test]
    fn the_pieces_of_an_update_are_shown_in_order() {
        // Client 7 inserts "a😀" into the root "t", then "b" behind it; one unit is deleted.
        let bytes = b"\x01\x02\x07\x00\x04\x01\x01t\x05a\xf0\x9f\x98\x80\x84\x07\x02\x01b\
                      \x01\x07\x01\x01\x02";
        let mut pieces = Vec::new();
        update(bytes, Caps::FRAME, |piece| {
            pieces.push(piece);
            Ok(())
        })
        .unwrap();
        let id = |clock| Id { client: 7, clock };
        let kind = Kind::Content;
        let inside = Place::Inside {
            parent: Parent::Root("t"),
            key: None,
        };
        let beside = Place::Beside {
            left: Some(id(2)),
            right: None,
        };
        assert_eq!(
            pieces,
            [
                Piece::Struct {
                    id: id(0),
                    length: 3,
                    kind,
                    place: inside
                },
                Piece::Struct {
                    id: id(3),
                    length: 1,
                    kind,
                    place: beside
                },
                Piece::Deletion {
                    id: id(1),
                    length: 2
                },
            ]
        );
    }

    #[test]
    fn the_empty_update_is_an_update() {
        assert_eq!(update(&[0, 0], Caps::FRAME, |_| Ok(())), Ok(()));
    }

    #[test]
    fn counts_that_reserve_memory_are_refused() {
        for bytes in [
            &[0x80_u8, 0x80, 0x40][..],
            &[0x80, 0x80, 0x80, 8],
            &[0x80, 0x80, 0x80, 0x20],
        ] {
            refused(bytes);
            assert!(state_vector(bytes).is_err());
        }
        refused(&section(1, b"\x08\x01\x01t\xff\xff\xff\x07\x7f"));
        refused(&section(1, b"\x08\x01\x01t\x01\x76\xff\xff\xff\x07\x7f"));
    }

    #[test]
    fn nesting_has_a_floor() {
        let nested = |levels: usize| {
            let mut any = b"\x08\x01\x01t\x01".to_vec();
            any.extend([0x75, 1].repeat(levels));
            any.push(0x7f);
            section(1, &any)
        };
        assert_eq!(update(&nested(DEPTH_MAX), Caps::FRAME, |_| Ok(())), Ok(()));
        assert_eq!(refused(&nested(DEPTH_MAX + 1)), "values nested too deep");
        assert_eq!(refused(&nested(4000)), "values nested too deep");
        let mut embed = b"\x05\x01\x01t\xc0\x3e".to_vec();
        embed.extend("[".repeat(8000).into_bytes());
        assert_eq!(refused(&section(1, &embed)), "values nested too deep");
    }

    #[test]
    fn containers_of_values_end_where_they_say() {
        // {"k": [1, undefined], "m": {}} followed by true, as two values of one struct.
        let any = b"\x08\x01\x01t\x02\x76\x02\x01k\x75\x02\x7d\x01\x7f\x01m\x76\x00\x78";
        assert_eq!(update(&section(1, any), Caps::FRAME, |_| Ok(())), Ok(()));
        refused(&section(1, &any[..any.len() - 1]));
    }

    #[test]
    fn sections_are_not_empty_unique_and_in_order() {
        assert_eq!(refused(&[1, 0, 7, 0, 0, 0]), "a section without structs");
        let twice = b"\x02\x01\x07\x00\x00\x01\x01\x07\x01\x00\x01\x00";
        assert_eq!(refused(twice), "sections out of order");
        let mut empty_sections = vec![0x90, 0x4e];
        empty_sections.extend([0, 1, 0].repeat(10_000));
        refused(&empty_sections);
    }

    #[test]
    fn clocks_stay_in_range() {
        assert_eq!(
            refused(&section(1, b"\x01\x01\x01t\xff\xff\xff\xff\x0f")),
            "a clock out of range"
        );
        let far = b"\x01\x01\x07\xff\xff\xff\xff\x07\x00\x01\x00";
        assert_eq!(refused(far), "a clock out of range");
        assert_eq!(
            refused(b"\x00\x01\x07\x01\x00\xff\xff\xff\xff\x0f"),
            "a clock out of range"
        );
        assert!(state_vector(&[1, 7, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    }

    #[test]
    fn content_of_no_use_here_is_refused() {
        let subdocument = b"\x09\x01\x01t\x01g\x7f";
        let json = b"\x02\x01\x01t\x01\x01x";
        let weak_link = b"\x07\x01\x01t\x07\x00\x01\x00";
        let unknown = b"\x0b\x01\x01t\x01";
        let empty = b"\x04\x01\x01t\x00";
        let not_utf8 = b"\x04\x01\x01t\x01\xff";
        for content in [&subdocument[..], json, weak_link, unknown, empty, not_utf8] {
            refused(&section(1, content));
        }
    }

    #[test]
    fn deletions_are_ordered_and_apart() {
        let taken = |bytes: &[u8]| update(bytes, Caps::FRAME, |_| Ok(())) == Ok(());
        assert!(taken(&[0, 2, 7, 1, 0, 1, 8, 2, 0, 1, 1, 1]), "ascending");
        assert!(taken(&[0, 2, 8, 1, 0, 1, 7, 1, 0, 1]), "descending");
        for bytes in [
            &[0_u8, 2, 7, 1, 0, 1, 7, 1, 1, 1][..],
            &[0, 3, 7, 1, 0, 1, 8, 1, 0, 1, 6, 1, 0, 1],
            &[0, 1, 7, 2, 0, 2, 1, 1],
            &[0, 1, 7, 1, 0, 0],
            &[0, 1, 7, 0, 0, 0],
        ] {
            refused(bytes);
        }
    }

    #[test]
    fn nothing_may_follow() {
        assert_eq!(refused(&[0, 0, 0]), "bytes after the end");
        assert!(state_vector(&[0, 0]).is_err());
        assert!(state_vector(&[1, 7, 3]).is_ok());
    }
}
