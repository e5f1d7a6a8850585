//! What is stored and told together, and when.

use codecrafter_shared::role::Role;

use super::support::{Client, World, settle};
use crate::room::frame::{self, Message};
use crate::room::{Input, Output};

/// A room with so many clients, all synced, in which nothing has happened for a while.
fn room(clients: u8) -> (World, Vec<Client>) {
    let mut world = World::new();
    let mut clients: Vec<Client> = (1..=clients)
        .map(|n| Client::new(n, Role::Editor))
        .collect();
    for client in &mut clients {
        client.connect(&mut world);
    }
    settle(&mut world, &mut clients.iter_mut().collect::<Vec<_>>());
    world.later(1_000);
    world.waits = true;
    (world, clients)
}

/// Sends the client's oldest frame; gives what the room does then.
fn send(world: &mut World, client: &mut Client) -> Vec<Output> {
    let frame = client.outbox.remove(0);
    world.frame(client.socket.unwrap(), &frame)
}

fn type_and_send(world: &mut World, client: &mut Client, letter: &str) -> Vec<Output> {
    client.insert(0, letter);
    send(world, client)
}

fn updates(world: &mut World, at: &Client) -> usize {
    let frames = world.take(at.socket.unwrap());
    let is_update = |frame: &&Vec<u8>| matches!(frame::read(frame), Ok(Message::Update(_)));
    frames.iter().filter(is_update).count()
}

#[test]
fn who_types_alone_is_told_of_at_once() {
    let (mut world, mut clients) = room(2);
    for _ in 0..5 {
        let [writer, reader] = &mut clients[..] else {
            unreachable!()
        };
        type_and_send(&mut world, writer, "a");
        assert_eq!(world.flush_at, None);
        assert_eq!(updates(&mut world, reader), 1);
        world.later(50);
    }
    assert_eq!(world.stored_content(), "aaaaa");
}

#[test]
fn what_comes_within_the_pace_is_one_row_and_one_frame() {
    let (mut world, mut clients) = room(3);
    type_and_send(&mut world, &mut clients[0], "a");
    let rows = world.kept.updates.len();
    for writer in [0, 1, 0, 1] {
        world.later(10);
        type_and_send(&mut world, &mut clients[writer], "b");
    }
    updates(&mut world, &clients[2]);
    assert_eq!(world.kept.updates.len(), rows, "nothing is stored yet");
    world.later(10);
    assert_eq!(world.kept.updates.len(), rows + 1);
    assert_eq!(updates(&mut world, &clients[2]), 1);
    assert_eq!(world.stored_content().len(), 5);
}

#[test]
fn edits_of_one_writer_are_not_sent_back() {
    let (mut world, mut clients) = room(2);
    for _ in 0..3 {
        type_and_send(&mut world, &mut clients[0], "a");
    }
    world.later(50);
    assert_eq!(updates(&mut world, &clients[0]), 0);
    assert_eq!(
        updates(&mut world, &clients[1]),
        2,
        "one at once, one for the others"
    );
}

#[test]
fn when_much_comes_it_waits_only_until_nothing_more_is_at_hand() {
    let (mut world, mut clients) = room(2);
    let asked = (0..40).flat_map(|_| type_and_send(&mut world, &mut clients[0], "a"));
    let asked: Vec<Output> = asked
        .filter(|output| matches!(output, Output::FlushIn(_)))
        .collect();
    assert_eq!(asked, [Output::FlushIn(50), Output::FlushIn(0)]);
    world.give(Input::Flush);
    assert_eq!(updates(&mut world, &clients[1]), 2);
    assert_eq!(world.stored_content().len(), 40);
}

#[test]
fn who_asks_for_the_document_is_shown_only_what_is_stored() {
    let (mut world, mut clients) = room(1);
    for _ in 0..3 {
        type_and_send(&mut world, &mut clients[0], "a");
    }
    assert_eq!(world.stored_content(), "a");
    let mut late = Client::new(9, Role::Viewer);
    late.connect(&mut world);
    late.send(&mut world, 1);
    assert_eq!(world.stored_content(), "aaa");
    late.receive(&mut world, 9);
    assert_eq!(late.text(), "aaa");
}

#[test]
fn what_waited_when_the_room_lost_its_memory_was_seen_by_nobody_and_comes_again() {
    let (mut world, mut clients) = room(2);
    type_and_send(&mut world, &mut clients[0], "a");
    type_and_send(&mut world, &mut clients[0], "b");
    assert_eq!(updates(&mut world, &clients[1]), 1);
    world.sleep();
    assert_eq!(world.stored_content(), "a");
    world.later(60);
    assert_eq!(updates(&mut world, &clients[1]), 0);
    // With the room's memory its sockets have gone.
    for client in &mut clients {
        client.disconnect(&mut world);
        client.connect(&mut world);
    }
    world.waits = false;
    settle(&mut world, &mut clients.iter_mut().collect::<Vec<_>>());
    assert_eq!(world.stored_content(), "ba");
    assert_eq!(clients[1].text(), clients[0].text());
}

#[test]
fn an_edit_is_told_before_the_cursor_that_points_into_it() {
    let (mut world, mut clients) = room(2);
    type_and_send(&mut world, &mut clients[0], "a");
    world.take(clients[1].socket.unwrap());
    let state = [(7_u64, 1_u64, Some("{\"cursor\":1}"))];
    world.frame(
        clients[0].socket.unwrap(),
        &frame::awareness(state.into_iter()),
    );
    type_and_send(&mut world, &mut clients[0], "b");
    world.later(50);
    let frames = world.take(clients[1].socket.unwrap());
    let kinds: Vec<_> = frames.iter().map(|frame| frame[0]).collect();
    assert_eq!(kinds, [0, 1]);
}

#[test]
fn only_the_newest_state_of_a_cursor_is_told() {
    let (mut world, clients) = room(2);
    let socket = clients[0].socket.unwrap();
    let mut say = |clock: u64| {
        let state = format!("{{\"cursor\":{clock}}}");
        let entries = [(7, clock, Some(state.as_str()))];
        world.frame(socket, &frame::awareness(entries.into_iter()));
    };
    (1..=6).for_each(&mut say);
    world.later(50);
    let frames = world.take(clients[1].socket.unwrap());
    assert_eq!(frames.len(), 2, "one at once, one for the others");
    assert!(String::from_utf8_lossy(&frames[1]).contains("\"cursor\":6"));
}

#[test]
fn a_machine_that_is_late_is_asked_for_less_until_it_keeps_up() {
    let (mut world, mut clients) = room(1);
    let mut waited = |world: &mut World, late: i64| {
        type_and_send(world, &mut clients[0], "a");
        let wait = world.flush_at.map(|at| at.since(world.now));
        world.now = world.now.plus_millis(wait.unwrap_or(0) + late);
        world.give(Input::Flush);
        wait
    };
    waited(&mut world, 0);
    let waits: Vec<_> = (0..8).map(|_| waited(&mut world, 100)).collect();
    let expected = [50, 100, 150, 250, 450, 800, 800, 800];
    assert_eq!(waits, expected.map(Some));
    let waits: Vec<_> = (0..40).map(|_| waited(&mut world, 0)).collect();
    assert_eq!(waits.last(), Some(&Some(50)));
}

#[test]
fn who_leaves_is_told_of_with_what_they_have_typed_last() {
    let (mut world, mut clients) = room(2);
    for _ in 0..3 {
        type_and_send(&mut world, &mut clients[0], "a");
    }
    clients[0].disconnect(&mut world);
    assert_eq!(world.stored_content(), "aaa");
    assert_eq!(updates(&mut world, &clients[1]), 2);
}

#[test]
fn a_deleted_session_keeps_nothing_that_waited() {
    let (mut world, mut clients) = room(1);
    type_and_send(&mut world, &mut clients[0], "a");
    type_and_send(&mut world, &mut clients[0], "b");
    let mut notice = super::support::notice(9, &[]);
    notice.deleted = true;
    world.give(Input::Notice(notice));
    world.later(100);
    assert_eq!(world.stored_content(), "");
}

#[test]
fn what_is_stored_together_is_what_was_typed() {
    let (mut world, mut clients) = room(2);
    let mut rows = 0;
    for turn in 0..200_u32 {
        let client = &mut clients[usize::try_from(turn % 2).unwrap()];
        let length = u32::try_from(client.text().len()).unwrap();
        if turn % 5 == 4 && length > 3 {
            client.remove(turn % (length - 2), 2);
        } else {
            client.insert(turn % (length + 1), "xy");
        }
        send(&mut world, client);
        if turn % 7 == 6 {
            world.later(50);
            rows += 1;
        }
    }
    world.later(50);
    world.waits = false;
    settle(&mut world, &mut clients.iter_mut().collect::<Vec<_>>());
    assert_eq!(world.stored_content(), clients[0].text());
    assert_eq!(clients[1].text(), clients[0].text());
    assert!(world.kept.updates.len() < rows * 3, "merged");
}

#[test]
fn what_is_typed_at_once_is_stored_and_told_as_one_piece_of_text() {
    let (mut world, mut clients) = room(2);
    type_and_send(&mut world, &mut clients[0], "a");
    world.take(clients[1].socket.unwrap());
    for letter in "a word that somebody pastes key by key".chars() {
        let end = u32::try_from(clients[0].text().len()).unwrap();
        clients[0].insert(end, &letter.to_string());
        send(&mut world, &mut clients[0]);
    }
    world.later(50);
    let told = world.take(clients[1].socket.unwrap());
    let [told] = &told[..] else {
        panic!("{} frames", told.len())
    };
    assert!(told.len() < 64, "{} bytes", told.len());
    let row = world.kept.updates.values().next_back().unwrap();
    assert!(row.len() < 64, "{} bytes", row.len());
    assert_eq!(
        world.stored_content(),
        "aa word that somebody pastes key by key"
    );
}

#[test]
fn text_under_a_key_is_stored_letter_by_letter() {
    let (mut world, mut clients) = room(1);
    let socket = clients[0].socket.unwrap();
    // No honest client writes this: text as the value of a key, and more behind it, each deleting
    // the one before.
    let first = b"\x01\x01\x07\x00\x24\x01\x01m\x01k\x01a\x00";
    world.frame(socket, &frame::update(first));
    for (clock, letter) in [(1, b'b'), (2, b'c'), (3, b'd')] {
        let behind = [1, 1, 7, clock, 0x84, 7, clock - 1, 1, letter];
        let deleted = [1, 7, 1, clock - 1, 1];
        world.frame(socket, &frame::update(&[&behind[..], &deleted].concat()));
    }
    world.later(50);
    assert_eq!(world.closed(socket), None);
    // Reading it fails on a value of more than one unit.
    assert_eq!(world.kept.load().document.state_vector(), [1, 7, 4]);
    clients[0].disconnect(&mut world);
}
