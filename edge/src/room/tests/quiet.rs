//! When nobody edits, the rows behind the newest state become one, and nobody notices.

use codecrafter_shared::role::Role;

use super::support::{Client, Flaky, World, settle};
use crate::room::Input;

/// A room with a database, in which somebody has typed `edits` letters, each a row.
fn typed(edits: u32) -> (World, Client) {
    let mut world = World::new();
    world.database = Some(Box::new(Flaky::new()));
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    ada.appear(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for n in 0..edits {
        ada.insert(n, "x");
        settle(&mut world, &mut [&mut ada]);
        world.later(100);
    }
    assert_eq!(world.kept.updates.len(), usize::try_from(edits).unwrap());
    (world, ada)
}

/// Lets the time pass that the room has asked for, and wakes it.
fn wake(world: &mut World) {
    let at = world
        .wake_at
        .take()
        .expect("the room has asked to be woken");
    world.later(at.since(world.now).max(0));
    world.give(Input::Tick);
}

fn database_holds(world: &World, text: &str) {
    let stored = world.database.as_ref().unwrap().load(world.now);
    assert_eq!(stored.document.content(), text);
    assert_eq!(stored.lost, 0, "nothing had to be put aside");
}

#[test]
fn what_was_typed_becomes_one_state_while_everybody_stays() {
    let (mut world, mut ada) = typed(40);
    let last = world.kept.last_seq();
    wake(&mut world);
    assert_eq!(world.kept.compactions, 0, "somebody has just typed");
    wake(&mut world);
    assert_eq!(world.kept.compactions, 1);
    assert!(world.kept.updates.is_empty());
    assert_eq!(world.closed(ada.socket.unwrap()), None);
    database_holds(&world, &"x".repeat(40));
    ada.insert(0, "y");
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.kept.last_seq(), last + 2, "no number is used twice");
    database_holds(&world, &format!("y{}", "x".repeat(40)));
    wake(&mut world);
    assert_eq!(world.kept.compactions, 1, "one row is not worth a state");
}

#[test]
fn who_types_on_is_not_disturbed() {
    let (mut world, mut ada) = typed(40);
    for n in 0..60 {
        ada.insert(n, "z");
        settle(&mut world, &mut [&mut ada]);
        world.later(1_000);
        if world.wake_at.is_some_and(|at| at <= world.now) {
            world.give(Input::Tick);
        }
    }
    assert_eq!(world.kept.compactions, 0);
    while world.kept.compactions == 0 {
        wake(&mut world);
    }
    database_holds(&world, &format!("{}{}", "z".repeat(60), "x".repeat(40)));
}

#[test]
fn a_room_that_has_slept_is_woken_for_it() {
    let (mut world, ada) = typed(40);
    world.sleep();
    assert!(world.room.needs_document(&Input::Tick));
    world.give(Input::Tick);
    assert_eq!(world.kept.compactions, 1);
    assert_eq!(world.closed(ada.socket.unwrap()), None);
    database_holds(&world, &"x".repeat(40));
    world.sleep();
    assert!(
        !world.room.needs_document(&Input::Tick),
        "there is nothing to do"
    );
}

#[test]
fn wherever_it_breaks_off_nothing_is_lost_and_it_is_done_the_next_time() {
    let mut broken = 0;
    for statement in 1.. {
        let (mut world, mut ada) = typed(40);
        world.later(60_000);
        world.database.as_ref().unwrap().break_at(statement);
        world.give(Input::Tick);
        let done = world.kept.compactions == 1;
        database_holds(&world, &"x".repeat(40));
        if !done {
            broken += 1;
            assert!(world.sockets.is_empty(), "the room was dropped");
            assert_eq!(world.kept.updates.len(), 40);
            // The alarm was set again before anything was done.
            world.later(60_000);
            world.give(Input::Tick);
            assert_eq!(world.kept.compactions, 1);
        }
        // It is done and stored; then the room is lost, whatever it was about to say.
        world.crash();
        ada.notice_loss(&world);
        ada.connect(&mut world);
        ada.insert(40, "!");
        settle(&mut world, &mut [&mut ada]);
        let text = format!("{}!", "x".repeat(40));
        assert_eq!(world.stored_content(), text);
        database_holds(&world, &text);
        if done {
            break;
        }
    }
    assert!(broken >= 6, "{broken} statements make a compaction");
}
