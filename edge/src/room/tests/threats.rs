//! What somebody who may edit can try against the others, beside [`super::fixtures`] and what
//! [`super::flood`] makes up. The table of all of it is in `docs/security.md`.

use codecrafter_shared::limits;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;
use yrs::updates::encoder::Encode as _;
use yrs::{ReadTxn as _, Text as _, Transact as _, WriteTxn as _};

use super::support::{Client, World, settle};
use super::work::{every_nth_deleted, in_conflict_throughout, splitting};
use crate::room::Input;
use crate::room::frame;
use crate::room::read::{write_var_bytes, write_var_uint};

/// Connected, present, and at rest.
fn present(world: &mut World, n: u8) -> Client {
    let mut client = Client::new(n, Role::Editor);
    join(world, &mut client);
    client
}

fn join(world: &mut World, client: &mut Client) {
    client.connect(world);
    client.appear(world);
    settle(world, &mut [client]);
}

/// What `inserted` would be at the beginning of the text, had `victim` typed it.
fn forged(victim: &Client, inserted: &str) -> Vec<u8> {
    let mut forger = Client::with_id(9, Role::Editor, victim.doc.client_id().get());
    forger.apply(&victim.state());
    let known = forger.doc.transact().state_vector();
    forger.insert(0, inserted);
    forger.doc.transact().encode_diff_v1(&known)
}

fn same_everywhere(world: &World, clients: &[&Client], text: &str) {
    assert_eq!(world.stored_content(), text);
    for client in clients {
        assert_eq!(client.text(), text);
        assert_eq!(world.closed(client.socket.unwrap()), None);
    }
}

#[test]
fn nobody_writes_under_the_id_of_somebody_present() {
    for sleeps in [false, true] {
        let mut world = World::new();
        let (mut ada, mut bob) = (present(&mut world, 1), present(&mut world, 2));
        ada.insert(0, "honest");
        settle(&mut world, &mut [&mut ada, &mut bob]);
        let before = world.kept.updates.clone();
        if sleeps {
            world.sleep();
        }
        for message in [frame::update, frame::sync_step2] {
            let eve = world.connect(3, Role::Editor);
            world.frame(eve, &message(&forged(&ada, "forged")));
            world.disconnect(eve);
        }
        assert_eq!(world.kept.updates, before, "nothing of it is stored");
        // The same, with something of Eve's own beside it.
        let mut both = Client::with_id(3, Role::Editor, 77);
        both.apply(&ada.state());
        both.apply(&forged(&ada, "forged"));
        both.edit(|transaction| {
            let own = transaction.get_or_insert_text("eve");
            own.insert(transaction, 0, "mine");
        });
        let eve = world.connect(3, Role::Editor);
        world.frame(eve, &frame::sync_step2(&both.state()));
        assert_eq!(world.clock(77), Some(4), "what is Eve's is taken");
        ada.insert(0, "still ");
        settle(&mut world, &mut [&mut ada, &mut bob]);
        bob.insert(0, "> ");
        settle(&mut world, &mut [&mut ada, &mut bob]);
        same_everywhere(&world, &[&ada, &bob], "> still honest");
    }
}

#[test]
fn who_takes_the_name_of_somebody_who_has_gone_keeps_nobody_out() {
    let mut world = World::new();
    let mut ada = present(&mut world, 1);
    ada.insert(0, "honest");
    settle(&mut world, &mut [&mut ada]);
    ada.disconnect(&mut world);
    for _ in 0..3 {
        world.later(60_000);
        world.give(Input::Tick);
    }
    let eve = world.connect(3, Role::Editor);
    let name = [(ada.doc.client_id().get(), 99, Some("{}"))];
    world.frame(eve, &frame::awareness(name.into_iter()));
    world.sleep();

    ada.insert(0, "still ");
    join(&mut world, &mut ada);
    same_everywhere(&world, &[&ada], "still honest");
}

#[test]
fn what_somebody_has_of_another_who_has_gone_is_taken() {
    let mut world = World::new();
    let (mut ada, mut bob) = (present(&mut world, 1), present(&mut world, 2));
    ada.insert(0, "saved ");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    ada.disconnect(&mut world);
    world.later(5_000);
    world.give(Input::Tick);
    // Ada's tab tells Bob's, in the same browser, and is closed for good.
    ada.insert(6, "by way of a friend");
    bob.apply(&ada.state());
    bob.insert(0, "> ");
    bob.disconnect(&mut world);
    join(&mut world, &mut bob);
    same_everywhere(&world, &[&bob], "> saved by way of a friend");
}

#[test]
fn who_is_ahead_of_somebody_present_waits_for_them_and_loses_nothing() {
    let mut world = World::new();
    let (mut ada, mut bob) = (present(&mut world, 1), present(&mut world, 2));
    ada.insert(0, "abc");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    // Bob hears of it by another way than the room, passes it on, and goes on behind it.
    ada.insert(3, "def");
    bob.apply(&ada.state());
    bob.outbox.push(frame::update(&ada.state()));
    bob.insert(6, "!");
    bob.send(&mut world, 9);
    assert_eq!(world.stored_content(), "abc");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    same_everywhere(&world, &[&ada, &bob], "abcdef!");

    // Ada's frames do not arrive: Bob is sent away to come back, and not for good.
    ada.insert(0, "late ");
    bob.apply(&ada.state());
    bob.insert(0, "> ");
    for _ in 0..3 {
        settle(&mut world, &mut [&mut bob]);
    }
    assert_eq!(
        world.closed(bob.socket.unwrap()),
        Some(CloseCode::Overloaded)
    );
    settle(&mut world, &mut [&mut ada]);
    bob.disconnect(&mut world);
    join(&mut world, &mut bob);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    same_everywhere(&world, &[&ada, &bob], "> late abcdef!");
}

#[test]
fn a_session_that_is_replayed_by_one_of_its_people_takes_all_of_it() {
    let mut world = World::new();
    let (mut ada, mut bob) = (present(&mut world, 1), present(&mut world, 2));
    ada.insert(0, "of Ada");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    bob.insert(0, "of Bob, ");
    settle(&mut world, &mut [&mut ada, &mut bob]);

    // Another room, as of a fork: nobody's clients are known there.
    let mut fork = World::new();
    join(&mut fork, &mut bob);
    same_everywhere(&fork, &[&bob], "of Bob, of Ada");
    join(&mut fork, &mut ada);
    ada.insert(0, "and on: ");
    settle(&mut fork, &mut [&mut ada, &mut bob]);
    same_everywhere(&fork, &[&ada, &bob], "and on: of Bob, of Ada");
}

#[test]
fn a_cloned_tab_spoils_nobody_else() {
    let mut world = World::new();
    let (mut ada, mut bob) = (present(&mut world, 1), present(&mut world, 2));
    ada.insert(0, "one ");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    // The same id twice, and both write on.
    let mut clone = Client::new(1, Role::Editor);
    clone.apply(&ada.state());
    clone.connect(&mut world);
    for n in 0..8 {
        ada.insert(0, "a");
        clone.insert(4, "clone");
        let clone_lives = world.closed(clone.socket.unwrap()).is_none();
        if n % 2 == 0 {
            ada.send(&mut world, 1);
        }
        if clone_lives {
            clone.send(&mut world, 1);
            clone.receive(&mut world, 9);
        }
        settle(&mut world, &mut [&mut ada, &mut bob]);
    }
    bob.insert(0, "> ");
    settle(&mut world, &mut [&mut bob]);
    assert_eq!(world.stored_content(), bob.text());
    let mut late = present(&mut world, 4);
    settle(&mut world, &mut [&mut late, &mut bob]);
    assert_eq!(late.text(), bob.text());
}

#[test]
fn ids_without_end_are_refused_and_who_is_known_goes_on() {
    let mut world = World::new();
    let mut ada = present(&mut world, 1);
    ada.insert(0, "honest");
    settle(&mut world, &mut [&mut ada]);
    let mut eve = world.connect(3, Role::Editor);
    let mut refused = None;
    for round in 0..6_u64 {
        // "x" by each of 4,000 new clients, under a key of their own.
        let mut update = vec![];
        write_var_uint(&mut update, 4_000);
        for client in (0..4_000).rev() {
            write_var_uint(&mut update, 1);
            write_var_uint(&mut update, 1_000_000 + round * 4_000 + client);
            update.extend([0, 0x24, 1, 1, b'e']);
            write_var_bytes(&mut update, format!("{round} {client}").as_bytes());
            update.extend([1, b'x']);
        }
        update.push(0);
        world.frame(eve, &frame::update(&update));
        if let Some(code) = world.closed(eve) {
            refused.get_or_insert((round, code));
            eve = world.connect(3, Role::Editor);
        }
        world.later(1_000);
    }
    assert_eq!(refused, Some((4, CloseCode::TooLarge)));
    ada.insert(0, "still ");
    settle(&mut world, &mut [&mut ada]);
    same_everywhere(&world, &[&ada], "still honest");
}

#[test]
fn nothing_is_compared_with_thousands_that_say_they_are_the_first() {
    let mut world = World::new();
    let mut ada = present(&mut world, 1);
    let eve = world.connect(3, Role::Editor);
    // As many structs as a frame may hold, each the first of the same root: days of comparing.
    let mut update = vec![1];
    write_var_uint(&mut update, 65_536);
    update.extend([9, 0]);
    for _ in 0..65_536 {
        update.extend([4, 1, 1, b'e', 1, b'x']);
    }
    update.push(0);
    world.frame(eve, &frame::update(&update));
    assert!(world.kept.updates.is_empty());
    ada.insert(0, "honest");
    settle(&mut world, &mut [&mut ada]);
    same_everywhere(&world, &[&ada], "honest");
}

#[test]
fn what_would_take_too_long_is_refused() {
    for update in [in_conflict_throughout(20_000), splitting(60_000)] {
        let mut world = World::new();
        let mut ada = present(&mut world, 1);
        let eve = world.connect(3, Role::Editor);
        world.frame(eve, &frame::update(&update));
        assert_eq!(world.closed(eve), Some(CloseCode::TooLarge));
        assert!(world.kept.updates.is_empty());
        ada.insert(0, "honest");
        settle(&mut world, &mut [&mut ada]);
        same_everywhere(&world, &[&ada], "honest");
    }
}

#[test]
fn what_takes_long_is_not_taken_again_and_again() {
    let mut world = World::new();
    let mut taken = 0;
    for n in 0..8 {
        let eve = world.connect(3, Role::Editor);
        let mut update = in_conflict_throughout(1_000);
        // Each time by two other clients.
        for byte in &mut update {
            *byte = if (8..=9).contains(byte) {
                *byte + n * 2
            } else {
                *byte
            };
        }
        let before = world.kept.updates.len();
        world.frame(eve, &frame::update(&update));
        taken += usize::from(world.kept.updates.len() > before);
        world.disconnect(eve);
    }
    assert!((1..5).contains(&taken), "{taken}");
}

#[test]
fn who_wrote_a_thousand_lines_at_the_same_place_offline_is_taken() {
    let mut world = World::new();
    let (mut ada, mut bob) = (present(&mut world, 1), present(&mut world, 2));
    ada.insert(0, "# list\n");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    ada.disconnect(&mut world);
    bob.disconnect(&mut world);
    for n in 0..500 {
        ada.insert(0, &format!("ada {n}\n"));
        bob.insert(0, &format!("bob {n}\n"));
    }
    join(&mut world, &mut ada);
    join(&mut world, &mut bob);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    let text = ada.text();
    assert_eq!(text.lines().count(), 1_001);
    same_everywhere(&world, &[&ada, &bob], &text);
}

#[test]
fn deletions_take_no_document_apart() {
    let mut world = World::new();
    let mut ada = present(&mut world, 1);
    ada.insert(0, &"x".repeat(400_000));
    settle(&mut world, &mut [&mut ada]);
    let eve = world.connect(3, Role::Editor);
    let taken = every_nth_deleted(1_001, 0, 4, 50_000);
    world.frame(eve, &frame::update(&taken));
    assert_eq!(world.closed(eve), None);
    // Too many pieces; and too much moving about of those that there are.
    for (from, n, count) in [(200_000, 2, 100_000), (2, 4, 20_000)] {
        let refused = every_nth_deleted(1_001, from, n, count);
        let eve = world.connect(3, Role::Editor);
        world.frame(eve, &frame::update(&refused));
        assert_eq!(world.closed(eve), Some(CloseCode::TooLarge));
    }
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.stored_content().len(), 350_000);
    // All of it can be deleted.
    ada.remove(0, 350_000);
    settle(&mut world, &mut [&mut ada]);
    same_everywhere(&world, &[&ada], "");
}

#[test]
fn a_large_document_is_not_asked_for_without_end() {
    let mut world = World::new();
    let mut ada = present(&mut world, 1);
    ada.insert(0, &"x".repeat(400_000));
    settle(&mut world, &mut [&mut ada]);
    let eve = world.connect(3, Role::Viewer);
    let mut answers = 0;
    while world.closed(eve).is_none() {
        world.frame(eve, &frame::sync_step1(&[0]));
        answers += world.take(eve).len();
    }
    assert_eq!(world.closed(eve), Some(CloseCode::TooFast));
    assert!((50..70).contains(&answers), "{answers}: 24 MiB at once");
    ada.insert(0, "still ");
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.closed(ada.socket.unwrap()), None);
}

#[test]
fn queries_without_end_are_not_answered() {
    let mut world = World::new();
    let _ada = present(&mut world, 1);
    let eve = world.connect(3, Role::Viewer);
    world.take(eve);
    for _ in 0..5_000 {
        world.frame(eve, &frame::query_awareness());
    }
    assert_eq!(world.closed(eve), None);
    let most = usize::try_from(limits::ROOM_FRAMES_PER_SECOND * 5).unwrap();
    assert_eq!(world.take(eve).len(), most);
}

#[test]
fn who_takes_nothing_in_is_closed_and_may_return() {
    let mut world = World::new();
    let mut ada = present(&mut world, 1);
    let (deaf, listens) = (
        world.connect(2, Role::Viewer),
        world.connect(3, Role::Viewer),
    );
    let said = {
        let mut frame = vec![1];
        write_var_bytes(&mut frame, &[0]);
        frame
    };
    for _ in 0..300 {
        ada.insert(0, &"x".repeat(100_000));
        ada.remove(0, 100_000);
        settle(&mut world, &mut [&mut ada]);
        world.frame(listens, &said);
        world.later(1_000);
    }
    assert_eq!(world.closed(deaf), Some(CloseCode::Overloaded));
    assert_eq!(world.closed(listens), None);
    assert_eq!(world.closed(ada.socket.unwrap()), None);
    assert!(ada.doc.transact().state_vector().encode_v1().len() < 20);
}
