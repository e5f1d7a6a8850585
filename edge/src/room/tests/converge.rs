//! Honest clients end up with the same text, whatever happens to their connections and to the
//! room's memory.

use codecrafter_shared::role::Role;
use yrs::{ReadTxn as _, Transact as _};

use super::support::{Client, Flaky, Luck, World, seeds, settle};
use crate::room::Input;

#[test]
fn two_clients_see_each_others_edits() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Editor));
    ada.connect(&mut world);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert!(ada.synced && bob.synced);

    ada.insert(0, "fn main() {}");
    bob.insert(0, "// 😀\n");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(ada.text(), bob.text());
    assert!(ada.text().contains("fn main() {}") && ada.text().contains("// 😀\n"));
    assert_eq!(world.stored_content(), ada.text());
    assert_eq!(world.room.content(), Some(ada.text()));
}

#[test]
fn what_was_typed_offline_arrives_on_return() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Editor));
    ada.insert(0, "written before the first connection");
    ada.connect(&mut world);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(bob.text(), "written before the first connection");

    ada.disconnect(&mut world);
    ada.remove(0, 8);
    bob.insert(0, "> ");
    settle(&mut world, &mut [&mut bob]);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(ada.text(), "> before the first connection");
    assert_eq!(bob.text(), ada.text());
    assert_eq!(world.stored_content(), ada.text());
}

#[test]
fn typing_during_the_handshake_is_taken_in_whatever_order_it_comes() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.insert(0, "offline ");
    ada.connect(&mut world);
    // Before the answer to SyncStep1 has come: an edit that goes on behind what the room lacks.
    ada.insert(8, "and typing");
    ada.insert(18, " on");
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.closed(ada.socket.unwrap()), None);
    assert_eq!(world.stored_content(), "offline and typing on");
}

#[test]
fn frames_that_come_twice_change_nothing() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Editor));
    ada.connect(&mut world);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    ada.insert(0, "once");
    let frames = ada.outbox.clone();
    settle(&mut world, &mut [&mut ada, &mut bob]);
    let rows = world.kept.updates.len();
    for frame in frames {
        world.frame(ada.socket.unwrap(), &frame);
        world.frame(bob.socket.unwrap(), &frame);
    }
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(bob.text(), "once");
    assert_eq!(world.kept.updates.len(), rows, "nothing was stored for it");
}

/// The test of tests: everything at random, many times over.
#[test]
fn clients_converge_through_loss_of_connections_and_memory() {
    for seed in seeds(40) {
        println!("ROOM_SEED={seed}");
        let mut luck = Luck::new(seed);
        let mut world = World::new();
        let mut clients: Vec<Client> = (1..=3).map(|n| Client::new(n, Role::Editor)).collect();
        for _ in 0..400 {
            let index = usize::try_from(luck.below(3)).unwrap();
            let client = &mut clients[index];
            match luck.below(20) {
                0 if client.socket.is_some() => client.disconnect(&mut world),
                0 | 1 if client.socket.is_none() => client.connect(&mut world),
                1 => world.sleep(),
                2..=7 => {
                    let length = u64::try_from(client.text().encode_utf16().count()).unwrap();
                    let at = u32::try_from(luck.below(length + 1)).unwrap();
                    let most = u64::from(u32::try_from(length).unwrap() - at);
                    if luck.one_in(3) && most > 0 {
                        let count = u32::try_from(luck.below(most.min(9)) + 1).unwrap();
                        client.remove(at, count);
                    } else {
                        let text = luck.pick(&["a", "b", "\n", "fn x() {}", "é😀", "женя"]);
                        client.insert(at, text);
                    }
                }
                8..=13 => client.send(&mut world, 2),
                _ => client.receive(&mut world, 3),
            }
        }
        for client in &mut clients {
            if client.socket.is_none() {
                client.connect(&mut world);
            }
        }
        let [a, b, c] = &mut clients[..] else {
            unreachable!()
        };
        settle(&mut world, &mut [a, b, c]);
        assert_eq!(a.text(), b.text(), "seed {seed}");
        assert_eq!(b.text(), c.text(), "seed {seed}");
        assert_eq!(world.stored_content(), c.text(), "seed {seed}");
        for client in &clients {
            assert_eq!(world.closed(client.socket.unwrap()), None, "seed {seed}");
        }
    }
}

#[test]
fn a_long_session_is_compacted_and_stays_readable() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for n in 0..450 {
        ada.insert(n, "x");
        ada.send(&mut world, 1);
        assert!(world.kept.updates.len() < 200, "the tail stays short");
    }
    assert_eq!(world.kept.compactions, 2);
    assert_eq!(world.stored_content(), "x".repeat(450));

    let paste = "0123456789abcdef".repeat(40_000);
    ada.insert(0, &paste);
    ada.send(&mut world, 1);
    assert_eq!(
        world.kept.compactions, 3,
        "a large update makes a state at once"
    );
    assert!(world.kept.updates.is_empty());
    world.sleep();
    ada.remove(0, 16);
    ada.send(&mut world, 1);
    assert_eq!(world.stored_content(), ada.text());
}

/// The promise of the store: whatever crashes and whenever, what one client has seen of another, or
/// was told to be saved, is there afterwards, and everything else comes again. `ROOM_SEEDS` says
/// how often it is tried.
#[test]
fn what_another_client_saw_or_was_saved_is_there_after_any_crash() {
    let (mut crashes, mut rows, mut edits, mut saved, mut states) = (0, 0, 0, 0, 0);
    for seed in seeds(8) {
        println!("ROOM_SEED={seed}");
        let mut luck = Luck::new(seed);
        let mut world = World::new();
        world.waits = true;
        world.database = Some(Box::new(Flaky::new()));
        let mut clients: Vec<Client> = (1..=3).map(|n| Client::new(n, Role::Editor)).collect();
        // The third is a stock client.
        for client in clients.iter_mut().take(2) {
            client.app_frames = true;
        }
        for _ in 0..500 {
            world.later(i64::try_from(luck.below(30)).unwrap());
            if luck.one_in(20) {
                crashes += 1;
                if luck.one_in(2) {
                    world.crash();
                } else if let Some(database) = &world.database {
                    database.fail(true);
                }
            }
            if luck.one_in(40) {
                world.later(60_000);
                world.give(Input::Tick);
            }
            for client in &mut clients {
                client.notice_loss(&world);
            }
            seen_is_stored(&world, &clients, seed);
            let client = &mut clients[usize::try_from(luck.below(3)).unwrap()];
            if client.socket.is_none() {
                client.connect(&mut world);
            }
            match luck.below(10) {
                0..=3 => {
                    let length = u32::try_from(client.text().len()).unwrap();
                    let at = u32::try_from(luck.below(u64::from(length) + 1)).unwrap();
                    if luck.one_in(4) && length > at {
                        client.remove(at, 1);
                    } else {
                        client.insert(at, "ab");
                    }
                    edits += 1;
                }
                4..=6 => client.send(&mut world, 2),
                _ => client.receive(&mut world, 3),
            }
        }
        world.waits = false;
        world.database.as_ref().unwrap().fail(false);
        for client in &mut clients {
            client.notice_loss(&world);
            client.disconnect(&mut world);
            client.connect(&mut world);
        }
        let [a, b, c] = &mut clients[..] else {
            unreachable!()
        };
        settle(&mut world, &mut [a, b, c]);
        assert_eq!(a.text(), b.text(), "seed {seed}");
        assert_eq!(b.text(), c.text(), "seed {seed}");
        assert_eq!(world.stored_content(), c.text(), "seed {seed}");
        let stored = world.database.as_ref().unwrap().load(world.now);
        assert_eq!(stored.document.content(), c.text(), "seed {seed}");
        rows += stored.last_seq;
        states += world.kept.compactions;
        saved += clients
            .iter()
            .map(|client| client.saved.len())
            .sum::<usize>();
        let [a, b, _] = &clients[..] else {
            unreachable!()
        };
        assert!(a.unsaved.is_empty() && b.unsaved.is_empty(), "seed {seed}");
    }
    println!(
        "{edits} edits, {saved} named as saved, {rows} rows, {states} states, {crashes} crashes"
    );
    assert!(rows < edits, "edits are stored together");
    assert!(saved > 0, "nothing was named as saved");
    assert!(states > 0, "nothing became a state");
}

/// What each client knows of all others is stored, and what it was told to be saved.
fn seen_is_stored(world: &World, clients: &[Client], seed: u64) {
    let mut stored = world.database.as_ref().unwrap().load(world.now).document;
    for client in clients {
        let seen = client.doc.transact().state_vector();
        for (other, clock) in seen.iter().filter(|(id, _)| **id != client.doc.client_id()) {
            let kept = stored.known().get(other);
            assert!(
                kept >= *clock,
                "seed {seed}: {other} is at {kept}, seen at {clock}"
            );
        }
        for update in &client.saved {
            let again = stored.integrate(update).expect("it fits what is stored");
            assert_eq!(again.update, None, "seed {seed}: it was named as saved");
        }
    }
}
