//! The gate that every update passes before `yrs` integrates it (R4). `yrs` is memory-unsafe when
//! a client re-defines clocks that it has used, and keeps for ever what refers to the unknown; so
//! an update is integrated only if each of its histories goes on exactly where the room's ends,
//! and it names nothing that the room will not have then.
//!
//! The gate needs the room's state vector and nothing else of the document. Whether a struct is
//! where it says is for [`super::place`] to find out.

use yrs::{ClientID, StateVector};

use super::place::{Structs, named};
use super::read::Malformed;
use super::scan::{self, Caps, Id, Kind, Piece};
use super::weight::Weight;

/// An update that was looked at.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub(super) verdict: Verdict,
    /// Its structs, without holes.
    pub(super) structs: Structs<'a>,
    /// What integrating it would add, at most.
    pub(super) weight: Weight,
    /// How many units it deletes.
    pub(super) deletions: u64,
}

/// How an update relates to what the room has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing in it that the room lacks.
    Nothing,
    /// Each history in it goes on where the room's ends.
    Fits,
    /// It would fit without what the room has already.
    Overlaps,
    /// Something before it, or something that it names, is missing in the room.
    Gap,
}

/// One client's structs in an update: one range without holes, as the encoding gives the first
/// clock and then only lengths.
struct Section {
    client: u64,
    start: u64,
    end: u64,
}

/// Looks at an update by the side of what the room `knows`.
pub(super) fn judge<'a>(
    update: &'a [u8],
    known: &StateVector,
    caps: Caps,
) -> Result<Judged<'a>, Malformed> {
    let clock_of = |client: u64| u64::from(known.get(&ClientID::new(client)));

    let mut sections: Vec<Section> = Vec::new();
    let mut weight = Weight {
        bytes: u64::try_from(update.len()).unwrap_or(u64::MAX),
        ..Weight::default()
    };
    let mut structs = Structs::default();
    // The end of each client's last deletion; they come in ascending order.
    let mut deletions: Vec<Id> = Vec::new();
    let mut deleted = 0_u64;
    let mut gap = false;
    scan::update(update, caps, |piece| {
        match piece {
            Piece::Struct {
                id,
                length,
                kind,
                place,
                at,
            } => {
                let end = id.clock.saturating_add(length);
                weight.structs = weight.structs.saturating_add(1);
                gap |= kind == Kind::Skip && end > clock_of(id.client);
                structs.push(id, length, kind, place, at);
                match sections.last_mut() {
                    Some(section) if section.client == id.client => section.end = end,
                    _ => sections.push(Section {
                        client: id.client,
                        start: id.clock,
                        end,
                    }),
                }
            }
            Piece::Deletion { id, length } => {
                deleted = deleted.saturating_add(length);
                structs.push_deletion(id, length);
                let end = Id {
                    clock: id.clock.saturating_add(length),
                    ..id
                };
                match deletions.last_mut() {
                    Some(last) if last.client == id.client => *last = end,
                    _ => deletions.push(end),
                }
            }
        }
        Ok(())
    })?;

    let (mut fresh, mut overlap) = (false, false);
    for section in &sections {
        let known = clock_of(section.client);
        if section.end <= known {
            overlap = true;
            continue;
        }
        fresh = true;
        gap |= section.start > known;
        overlap |= section.start < known;
        weight.clients = weight.clients.saturating_add(u64::from(known == 0));
    }

    // Sections are in descending order of clients: the walk has made sure of it.
    let end_of = |client: u64| {
        let section = sections.binary_search_by(|section| client.cmp(&section.client));
        let end = section
            .ok()
            .and_then(|index| sections.get(index))
            .map_or(0, |s| s.end);
        end.max(clock_of(client))
    };
    for (id, place) in structs.iter() {
        for named in named(place).into_iter().flatten() {
            if named.client == id.client && named.clock >= id.clock {
                return Err(Malformed("a struct that names itself or a later one"));
            }
            gap |= named.clock >= end_of(named.client);
        }
    }
    gap |= deletions.iter().any(|end| end.clock > end_of(end.client));

    let verdict = if gap {
        Verdict::Gap
    } else if overlap && (fresh || !deletions.is_empty()) {
        Verdict::Overlaps
    } else if fresh || !deletions.is_empty() {
        Verdict::Fits
    } else {
        Verdict::Nothing
    };
    Ok(Judged {
        verdict,
        structs,
        weight,
        deletions: deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(update: &[u8], known: &[(u64, u32)]) -> Result<Verdict, Malformed> {
        let known = known
            .iter()
            .map(|(client, clock)| (ClientID::new(*client), *clock))
            .collect();
        judge(update, &known, Caps::FRAME).map(|judged| judged.verdict)
    }

    /// "abc" by client 7 into the root "t".
    const ABC: &[u8] = b"\x01\x01\x07\x00\x04\x01\x01t\x03abc\x00";

    #[test]
    fn an_update_fits_where_the_rooms_history_ends() {
        assert_eq!(verdict(ABC, &[]), Ok(Verdict::Fits));
        assert_eq!(verdict(ABC, &[(7, 1)]), Ok(Verdict::Overlaps));
        assert_eq!(verdict(ABC, &[(7, 3)]), Ok(Verdict::Nothing));
        assert_eq!(verdict(ABC, &[(7, 9)]), Ok(Verdict::Nothing));
        assert_eq!(verdict(&[0, 0], &[]), Ok(Verdict::Nothing));
        let later = b"\x01\x01\x07\x05\x84\x07\x04\x01x\x00";
        assert_eq!(verdict(later, &[(7, 4)]), Ok(Verdict::Gap));
        assert_eq!(verdict(later, &[(7, 5)]), Ok(Verdict::Fits));
    }

    #[test]
    fn what_is_named_must_be_there() {
        let after_a_stranger = b"\x01\x01\x07\x00\x84\x63\x05\x01x\x00";
        assert_eq!(verdict(after_a_stranger, &[]), Ok(Verdict::Gap));
        assert_eq!(verdict(after_a_stranger, &[(0x63, 5)]), Ok(Verdict::Gap));
        assert_eq!(verdict(after_a_stranger, &[(0x63, 6)]), Ok(Verdict::Fits));
        let after_itself = b"\x01\x01\x07\x00\x84\x07\x00\x01x\x00";
        assert!(verdict(after_itself, &[]).is_err());
    }

    #[test]
    fn only_what_is_there_can_be_deleted() {
        let delete = b"\x00\x01\x07\x01\x00\x03";
        assert_eq!(verdict(delete, &[]), Ok(Verdict::Gap));
        assert_eq!(verdict(delete, &[(7, 2)]), Ok(Verdict::Gap));
        assert_eq!(verdict(delete, &[(7, 3)]), Ok(Verdict::Fits));
        let insert_and_delete = [&ABC[..ABC.len() - 1], &[1, 7, 1, 0, 3]].concat();
        assert_eq!(verdict(&insert_and_delete, &[]), Ok(Verdict::Fits));
        assert_eq!(
            verdict(&insert_and_delete, &[(7, 3)]),
            Ok(Verdict::Overlaps)
        );
    }

    #[test]
    fn a_hole_in_a_history_is_a_gap() {
        // "a" at 0, a hole of 2, "b" at 3.
        let skip = b"\x01\x03\x07\x00\x04\x01\x01t\x01a\x0a\x02\x04\x01\x01t\x01b\x00";
        assert_eq!(verdict(skip, &[]), Ok(Verdict::Gap));
        assert_eq!(verdict(skip, &[(7, 2)]), Ok(Verdict::Gap));
        assert_eq!(verdict(skip, &[(7, 3)]), Ok(Verdict::Overlaps));
    }
}
