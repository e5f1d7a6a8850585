//! Frames that end a process, or spoil a document for ever, when they reach `yrs` 0.28. Each goes
//! through the gate of a room with honest people in it, who must not notice.

use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;

use super::support::{Client, World, hex, settle};
use crate::room::frame;

/// Sends each update in order, from sockets of an editor that come back when they are closed;
/// then the honest must be able to go on.
fn survives(updates: &[Vec<u8>]) -> World {
    let mut world = World::new();
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Editor));
    ada.connect(&mut world);
    bob.connect(&mut world);
    ada.insert(0, "honest work");
    settle(&mut world, &mut [&mut ada, &mut bob]);

    for message in [frame::update, frame::sync_step2] {
        let mut eve = world.connect(3, Role::Editor);
        for update in updates {
            world.frame(eve, &message(update));
            if world.closed(eve).is_some() {
                eve = world.connect(3, Role::Editor);
            }
        }
        world.disconnect(eve);
    }

    settle(&mut world, &mut [&mut ada, &mut bob]);
    world.sleep();
    bob.insert(0, "more ");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(ada.text(), "more honest work");
    assert_eq!(world.stored_content(), "more honest work");
    for client in [&ada, &bob] {
        assert_eq!(world.closed(client.socket.unwrap()), None);
    }
    world
}

/// As [`survives`], and nothing of it may be stored.
fn refused(update: &[u8]) {
    let world = survives(&[update.to_vec()]);
    assert_eq!(
        world.kept.updates.len(),
        2,
        "only the honest edits are stored"
    );
}

#[test]
fn a_double_free_is_refused() {
    survives(&[
        hex("0204010144010001618401060161040101740568656c6c6f84020a0568656c6c6f010206840308016100"),
        hex("020101060401017407c3a9f09f988078030209040101740362636484010b01618403020363626400"),
        hex("0202010584030a03626364840300036263640102068402030568656c6c6f00"),
    ]);
}

#[test]
fn a_wild_pointer_is_refused() {
    survives(&[
        hex(
            "020301030401017407c3a9f09f9880788401040568656c6c6fc40307020407c3a9f09f988078020201c4\
             020503060568656c6c6fc40100010407c3a9f09f98807800",
        ),
        hex(
            "030301020401017407c3a9f09f9880780401017401614402030362636402020484010907c3a9f09f9880\
             7804010174016103030684010307c3a9f09f98807804010174036263644403010362636400",
        ),
    ]);
}

#[test]
fn counts_do_not_reserve_memory() {
    for bytes in ["808040", "80808008", "80808020"] {
        refused(&hex(bytes));
        // State vectors and awareness begin with the same count, and viewers may send them.
        let mut world = World::new();
        let eve = world.connect(1, Role::Viewer);
        world.frame(eve, &frame::sync_step1(&hex(bytes)));
        let mut awareness = vec![1, u8::try_from(bytes.len() / 2).unwrap()];
        awareness.extend(hex(bytes));
        world.frame(eve, &awareness);
        assert_eq!(world.closed(eve), None, "two faults are forgiven");
        world.frame(eve, &awareness);
        assert_eq!(world.closed(eve), Some(CloseCode::Malformed));
    }
}

#[test]
fn nesting_does_not_use_up_the_stack() {
    let mut values = hex("0101070008010174 01");
    values.extend([0x75, 1].repeat(4000));
    values.extend([0x7f, 0]);
    refused(&values);

    let mut sections = hex("904e");
    sections.extend([0, 7, 0].repeat(10_000));
    sections.push(0);
    refused(&sections);
}

#[test]
fn a_clock_is_not_burnt() {
    refused(&hex("010107000101 0174ffffffff0f00"));
    // The same within the range of a clock, which would leave client 7 nothing to write with.
    refused(&hex("010107000101 0174ffffff7f00"));
}

#[test]
fn nothing_waits_for_ever() {
    refused(&hex("0101070084630501 7800"));
}

#[test]
fn a_huge_delete_set_is_refused() {
    refused(&hex("0001070100ffffffff0f"));
    refused(&hex("0001070100ffffff7f"));
}

/// Found by the generator of `hostile.rs` under a memory checker: each of these passes every check
/// of clocks, and lets `yrs` read freed memory a few ordinary updates later.
#[test]
fn a_struct_that_is_at_home_nowhere_is_refused() {
    // A map with a value of five units, which an edit in its middle would split: deleting the map
    // deletes its last part only.
    refused(&hex(
        "0102020007010566696c6573042400020004612e70790568656c6c6f00",
    ));
    // A text's unit and a key's value as neighbours.
    refused(&hex(
        "010307000401017401612401017401 6b0162c40700070101 7800",
    ));
}

#[test]
fn types_inside_types_do_not_use_up_the_stack() {
    // Client 7 puts a map into a map into a map …, and then deletes the outermost.
    let nested = |levels: u32| {
        let varint = |n: u32| {
            let mut out = vec![];
            crate::room::read::write_var_uint(&mut out, n.into());
            out
        };
        let mut update = [vec![1], varint(levels), vec![7, 0]].concat();
        update.extend(hex("27010174016b01"));
        for level in 1..levels {
            update.extend([0x27, 0, 7]);
            update.extend(varint(level - 1));
            update.extend([1, b'k', 1]);
        }
        update.extend([1, 7, 1, 0, 1]);
        update
    };
    // Far less stack than a Worker has.
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let taken = small.spawn(move || survives(&[nested(32)])).unwrap().join();
    assert_eq!(taken.unwrap().kept.updates.len(), 3);
    for levels in [100, 5000, 50_000] {
        refused(&nested(levels));
    }
}
