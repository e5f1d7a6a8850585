use super::content::DEPTH_MAX;
use super::rewrite::{joined, without_rights};
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
    let kind = Kind::Text;
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
                place: inside,
                at: 4,
            },
            Piece::Struct {
                id: id(3),
                length: 1,
                kind,
                place: beside,
                at: 14,
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

#[test]
fn a_right_is_left_out_and_nothing_else() {
    // "a" by 7, "b" between it and itself, "c" before it; "a" is deleted.
    let bytes = b"\x01\x03\x07\x00\x04\x01\x01t\x01a\xc4\x07\x00\x07\x00\x01b\x44\x07\x00\x01c\
                  \x01\x07\x01\x00\x01";
    let without = b"\x01\x03\x07\x00\x04\x01\x01t\x01a\x84\x07\x00\x01b\x44\x07\x00\x01c\
                  \x01\x07\x01\x00\x01";
    assert_eq!(without_rights(bytes, &[10]).unwrap(), without);
    assert_eq!(without_rights(bytes, &[]).unwrap(), bytes);
}

#[test]
fn text_that_goes_on_is_one_struct() {
    // Client 9 types "a", "\u{1f600}", "b" into the root "t"; 7 types "c", "d" between "a" and the next.
    let bytes = b"\x02\x03\x09\x00\x04\x01\x01t\x01a\x84\x09\x00\x04\xf0\x9f\x98\x80\x84\x09\x02\x01b\
                  \x02\x07\x05\xc4\x09\x00\x09\x01\x01c\xc4\x07\x05\x09\x01\x01d\x01\x09\x01\x00\x01";
    let one = b"\x02\x01\x09\x00\x04\x01\x01t\x06a\xf0\x9f\x98\x80b\
                \x01\x07\x05\xc4\x09\x00\x09\x01\x02cd\x01\x09\x01\x00\x01";
    assert_eq!(joined(bytes, |_| true).unwrap(), one);
    let of_nine = |id: Id| id.client == 9;
    let both = b"\x02\x01\x09\x00\x04\x01\x01t\x06a\xf0\x9f\x98\x80b\
                 \x02\x07\x05\xc4\x09\x00\x09\x01\x01c\xc4\x07\x05\x09\x01\x01d\x01\x09\x01\x00\x01";
    assert_eq!(joined(bytes, of_nine).unwrap(), both);
    assert_eq!(joined(bytes, |_| false).unwrap(), bytes);
}

#[test]
fn what_does_not_go_on_stays_as_it_is() {
    let structs: [(u8, &[u8]); 7] = [
        // Another right; none where there was one; one where there was none.
        (2, b"\xc4\x07\x01\x09\x01\x01a\xc4\x07\x05\x09\x02\x01b"),
        (2, b"\xc4\x07\x01\x09\x01\x01a\x84\x07\x05\x01b"),
        (2, b"\x84\x07\x01\x01a\xc4\x07\x05\x09\x01\x01b"),
        // Behind another unit of the same client; behind the same of another.
        (2, b"\x84\x07\x01\x01a\x84\x07\x04\x01b"),
        (2, b"\x84\x07\x01\x01a\x84\x09\x05\x01b"),
        // What is gone, and values.
        (3, b"\x84\x07\x01\x01a\x00\x01\x84\x07\x05\x01b"),
        (2, b"\x88\x07\x01\x01\x77\x01a\x88\x07\x05\x01\x77\x01b"),
    ];
    for (count, structs) in structs {
        let bytes = [&[1, count, 7, 5], structs, &[0]].concat();
        assert_eq!(joined(&bytes, |_| true).unwrap(), bytes, "{structs:x?}");
    }
    for damaged in [
        &b"\x01\x02\x07\x05\x84\x07"[..],
        b"\x01",
        b"\x01\x01\x07\x05\x84\x07\x01\x02a",
    ] {
        assert!(joined(damaged, |_| true).is_err());
    }
}
