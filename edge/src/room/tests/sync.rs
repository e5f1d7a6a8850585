//! The wire of y-websocket: who is answered with what, and in which order.

use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;
use yrs::{Doc, ReadTxn, StateVector, Text, Transact, WriteTxn};

use super::support::{Client, World, principal, settle};
use crate::room::frame::{self, Message};
use crate::room::{Input, Output, Wishes};

const STEP1_OF_NOBODY: &[u8] = &[0, 0, 1, 0];

#[test]
fn sync_step1_is_always_answered_with_sync_step2() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    for _ in 0..3 {
        world.take(ada);
        world.frame(ada, STEP1_OF_NOBODY);
        assert_eq!(
            world.take(ada)[0],
            [0, 1, 2, 0, 0],
            "even an empty one, and of type 1"
        );
    }
}

#[test]
fn whoever_comes_in_has_all_that_was_written_and_nothing_that_was_deleted_before() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    let mut comes_in = |world: &mut World, n: u8| {
        let mut client = Client::new(n, Role::Viewer);
        client.connect(world);
        settle(world, &mut [&mut ada, &mut client]);
        assert_eq!(client.text(), ada.text());
        match n {
            2 => ada.insert(0, "hello world"),
            4 => ada.remove(0, 6),
            6 => ada.insert(5, "!"),
            _ => return,
        }
        ada.send(world, 1);
        world.later(1_000);
    };
    // Between two edits two come, the second of whom has the same bytes.
    for n in 2..=8 {
        comes_in(&mut world, n);
    }
    assert_eq!(ada.text(), "world!");
}

#[test]
fn the_room_asks_an_editor_once_and_in_a_frame_of_its_own() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Editor);
    world.frame(ada, STEP1_OF_NOBODY);
    assert_eq!(world.take(ada), [vec![0, 1, 2, 0, 0], vec![0, 0, 1, 0]]);
    world.frame(ada, STEP1_OF_NOBODY);
    assert_eq!(world.take(ada), [vec![0, 1, 2, 0, 0]]);
}

#[test]
fn the_room_does_not_ask_a_viewer() {
    let mut world = World::new();
    let eve = world.connect(1, Role::Viewer);
    world.frame(eve, STEP1_OF_NOBODY);
    assert_eq!(world.take(eve), [vec![0, 1, 2, 0, 0]]);
}

#[test]
fn an_update_goes_to_everybody_but_its_sender() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    let bob = world.connect(2, Role::Viewer);
    world.take(bob);
    ada.insert(0, "hello");
    let sent = ada.outbox.clone();
    ada.send(&mut world, 1);
    assert_eq!(world.take(bob), sent);
    assert!(world.take(ada.socket.unwrap()).is_empty());
}

#[test]
fn what_goes_out_is_what_was_integrated() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    let bob = world.connect(2, Role::Viewer);
    ada.insert(0, "known ");
    settle(&mut world, &mut [&mut ada]);
    world.take(bob);
    // The whole history again, with one new word at its end.
    ada.insert(6, "new");
    ada.outbox.clear();
    let whole = ada
        .doc
        .transact()
        .encode_state_as_update_v1(&StateVector::default());
    world.frame(ada.socket.unwrap(), &frame::update(&whole));
    let frames = world.take(bob);
    let Ok(Message::Update(update)) = frame::parse(&frames[0]) else {
        panic!("{frames:x?}")
    };
    assert!(
        update.len() < whole.len(),
        "the known part is not sent again"
    );
    assert_eq!(world.stored_content(), "known new");
}

#[test]
fn changes_come_before_the_outputs_that_tell_of_them() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    let doc = Doc::with_client_id(7);
    let update = {
        let mut transaction = doc.transact_mut();
        transaction
            .get_or_insert_text("content")
            .insert(&mut transaction, 0, "x");
        transaction.encode_update_v1()
    };
    world.room.provide(world.kept.load());
    let bytes = &frame::update(&update);
    let step = world.room.step(
        world.now,
        Input::Frame {
            connection: ada,
            bytes,
        },
    );
    assert_eq!(
        step.changes.len(),
        1,
        "whoever is told of an edit may rely on it being stored"
    );
    assert!(matches!(step.outputs[0], Output::Broadcast { .. }));
}

#[test]
fn a_gap_is_not_stored_but_asked_about() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    ada.insert(0, "lost");
    ada.outbox.clear();
    ada.insert(4, " and found");
    ada.send(&mut world, 1);
    assert!(world.kept.updates.is_empty());
    assert_eq!(
        world.take(ada.socket.unwrap()),
        [vec![0, 0, 1, 0]],
        "what does the room lack?"
    );

    // More of it may be under way; it is part of the answer, and no reason for a second question.
    ada.insert(0, "> ");
    ada.send(&mut world, 1);
    assert!(world.take(ada.socket.unwrap()).is_empty());

    ada.hear(&[0, 0, 1, 0]);
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.stored_content(), "> lost and found");
    ada.insert(0, "!");
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.stored_content(), "!> lost and found");
}

#[test]
fn a_history_that_never_fits_is_given_up() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    // One letter of client 7 at clock 5, before which there is nothing.
    let gap = b"\x01\x01\x07\x05\x84\x07\x04\x01x\x00";
    world.frame(ada, &frame::update(gap));
    assert_eq!(world.closed(ada), None);
    world.frame(ada, &frame::sync_step2(gap));
    assert_eq!(world.closed(ada), None);
    world.frame(ada, &frame::sync_step2(gap));
    assert_eq!(world.closed(ada), Some(CloseCode::Conflict));

    let bob = world.connect(2, Role::Editor);
    for _ in 0..=200 {
        world.frame(bob, &frame::update(gap));
    }
    assert_eq!(
        world.closed(bob),
        Some(CloseCode::Conflict),
        "who never answers goes as well"
    );
}

#[test]
fn a_sibling_tab_may_know_of_an_edit_before_the_room() {
    let mut world = World::new();
    let (mut one, mut two) = (
        Client::with_id(1, Role::Owner, 11),
        Client::with_id(1, Role::Owner, 12),
    );
    one.connect(&mut world);
    two.connect(&mut world);
    settle(&mut world, &mut [&mut one, &mut two]);
    // Tab one types, tab two hears of it through the browser and types behind it; then the frames
    // come in the wrong order.
    one.insert(0, "first ");
    let between_tabs = one.outbox.clone();
    two.hear(&between_tabs[0]);
    two.insert(6, "second");
    two.send(&mut world, 1);
    settle(&mut world, &mut [&mut one, &mut two]);
    assert_eq!(world.stored_content(), "first second");
    assert_eq!(one.text(), two.text());
}

#[test]
fn what_is_not_of_the_protocol_is_forgiven_twice() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    for frame in [&[9_u8, 9][..], &[0, 0, 3, 0xff, 0xff, 0x7f]] {
        world.frame(ada, frame);
        assert_eq!(world.closed(ada), None);
    }
    world.sleep();
    world.frame(ada, &[]);
    assert_eq!(
        world.closed(ada),
        Some(CloseCode::Malformed),
        "and remembered over a sleep"
    );
}

#[test]
fn a_frame_that_is_too_large_ends_the_connection() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    world.frame(ada, &frame::update(&vec![0; 1024 * 1024]));
    assert_eq!(world.closed(ada), Some(CloseCode::TooLarge));
}

#[test]
fn a_document_over_quota_takes_no_more() {
    use yrs::{Any, Map};
    let put = |client: &mut Client, key: &str| {
        client.edit(|transaction| {
            let blobs = transaction.get_or_insert_map("blobs");
            blobs.insert(transaction, key, Any::from(vec![7_u8; 1_000_000]));
        });
    };
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for n in 0..9 {
        put(&mut ada, &n.to_string());
        ada.send(&mut world, 1);
        let closed = world.closed(ada.socket.unwrap());
        assert_eq!(closed, (n == 8).then_some(CloseCode::TooLarge), "blob {n}");
    }
    ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    ada.insert(0, &"x".repeat(388_000));
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(
        world.closed(ada.socket.unwrap()),
        None,
        "now it is full to the brim"
    );
    // Another client may still make it smaller, and then there is room again.
    let mut bob = Client::new(2, Role::Editor);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut bob]);
    bob.edit(|transaction| {
        let blobs = transaction.get_or_insert_map("blobs");
        blobs.remove(transaction, "3");
    });
    settle(&mut world, &mut [&mut bob]);
    assert_eq!(world.closed(bob.socket.unwrap()), None);
    put(&mut bob, "new");
    settle(&mut world, &mut [&mut bob]);
    assert_eq!(world.closed(bob.socket.unwrap()), None);
    world.kept.load();
}

#[test]
fn a_woken_room_sleeps_on_until_a_sync_frame_needs_its_document() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    world.sleep();
    let connect = Input::Connect {
        id: crate::room::ConnectionId(99),
        principal: principal(2, Role::Viewer),
        wishes: Wishes::default(),
    };
    let frame = |bytes| Input::Frame {
        connection: ada,
        bytes,
    };
    assert!(!world.room.needs_document(&connect));
    assert!(!world.room.needs_document(&frame(&[1, 1, 0])));
    assert!(!world.room.needs_document(&frame(&[3])));
    assert!(
        !world.room.needs_document(&frame(&[0, 0, 9])),
        "a frame that is refused anyway"
    );
    assert!(world.room.needs_document(&frame(STEP1_OF_NOBODY)));
    assert!(world.room.needs_document(&Input::Initialise {
        content: "",
        files: &[]
    }));
}

#[test]
fn sockets_without_awareness_get_a_sign_of_life() {
    let mut world = World::new();
    let silent = world.connect(1, Role::Owner);
    let at = world.wake_at.unwrap();
    assert!(at.since(world.now) < 30_000, "a provider waits for 30 s");
    world.take(silent);
    world.now = at;
    world.give(Input::Tick);
    assert_eq!(world.take(silent), [vec![1, 1, 0]]);
    assert!(world.wake_at.unwrap() > world.now);
}

#[test]
fn first_content_is_put_in_once() {
    let mut world = World::new();
    world.give(Input::Initialise {
        content: "print('hi')\n",
        files: &[],
    });
    world.give(Input::Initialise {
        content: "print('hi')\n",
        files: &[],
    });
    world.sleep();
    world.give(Input::Initialise {
        content: "something longer than before",
        files: &[],
    });
    assert_eq!(world.stored_content(), "print('hi')\n");
    assert_eq!(world.kept.updates.len(), 1);

    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    ada.insert(0, "# ");
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.stored_content(), "# print('hi')\n");
}

#[test]
fn further_files_are_texts_in_a_map() {
    use yrs::{Any, Map, TextPrelim};
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    ada.edit(|transaction| {
        let files = transaction.get_or_insert_map("files");
        files.insert(transaction, "lib/util.py", TextPrelim::new("x = 1"));
        files.insert(transaction, "number", Any::from(7));
        files.insert(transaction, "gone.py", TextPrelim::new("old"));
        files.insert(transaction, "gone.py", TextPrelim::new("new"));
    });
    settle(&mut world, &mut [&mut ada]);
    let files = world.room.document().unwrap().files();
    let expected = [
        ("gone.py".to_owned(), "new".to_owned()),
        ("lib/util.py".into(), "x = 1".into()),
    ];
    assert_eq!(files.into_iter().collect::<Vec<_>>(), expected);
}
