//! A client of ours is told what of its edits is stored, and nothing else.

use codecrafter_shared::relay::AppFrame;
use codecrafter_shared::role::Role;

use super::support::{Client, World, notice, settle};
use crate::room::Input;

/// A client of ours that has connected and come to rest.
fn connected(world: &mut World, n: u8, role: Role) -> Client {
    let mut client = Client::new(n, role);
    client.app_frames = true;
    client.connect(world);
    settle(world, &mut [&mut client]);
    client
}

/// Everything that was named as saved is in what is stored.
pub fn saved_is_stored(world: &World, client: &Client) {
    let mut stored = world.kept.load().document;
    for update in &client.saved {
        let again = stored.integrate(update).expect("it fits what is stored");
        assert_eq!((again.update, again.complete), (None, true));
    }
}

#[test]
fn an_edit_is_named_as_saved_when_it_is_stored_and_not_before() {
    let mut world = World::new();
    world.waits = true;
    let mut ada = connected(&mut world, 1, Role::Owner);
    ada.insert(0, "told at once");
    settle(&mut world, &mut [&mut ada]);
    assert!(ada.unsaved.is_empty());
    ada.insert(0, "held back ");
    ada.remove(0, 1);
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(ada.unsaved.len(), 2, "neither is stored yet");
    let rows = world.kept.updates.len();
    world.later(50);
    assert_eq!(world.kept.updates.len(), rows + 1, "one row for both");
    settle(&mut world, &mut [&mut ada]);
    assert!(ada.unsaved.is_empty());
    assert_eq!(ada.saved.len(), 4, "the answer to the room is one as well");
    saved_is_stored(&world, &ada);
}

#[test]
fn an_edit_that_says_nothing_new_is_saved_when_what_it_repeats_is() {
    let mut world = World::new();
    world.waits = true;
    let mut ada = connected(&mut world, 1, Role::Owner);
    let mut bob = connected(&mut world, 2, Role::Editor);
    ada.insert(0, "told at once");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    ada.insert(0, "held back ");
    let update = ada.outbox.clone();
    ada.send(&mut world, 1);
    // Bob has heard of it some other way, as tabs of one browser do, and sends it too.
    bob.outbox = update;
    bob.send(&mut world, 1);
    bob.receive(&mut world, 9);
    assert_eq!(bob.unsaved.len(), 1);
    world.later(50);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert!(ada.unsaved.is_empty() && bob.unsaved.is_empty());

    world.later(1_000);
    bob.outbox = vec![crate::room::frame::update(bob.saved.last().unwrap())];
    settle(&mut world, &mut [&mut bob]);
    assert!(bob.unsaved.is_empty(), "nothing is left to be waited for");
}

#[test]
fn what_stands_behind_a_gap_is_saved_with_the_answer_that_fills_it() {
    let mut world = World::new();
    let mut ada = connected(&mut world, 1, Role::Owner);
    ada.insert(0, "lost on the way");
    ada.outbox.clear();
    for n in 0..3 {
        ada.insert(n, "x");
        ada.send(&mut world, 1);
    }
    world.sleep();
    ada.insert(0, "y");
    ada.send(&mut world, 1);
    assert_eq!((ada.saved.len(), ada.unsaved.len()), (1, 4));
    settle(&mut world, &mut [&mut ada]);
    assert_eq!((ada.saved.len(), ada.unsaved.len()), (6, 0));
    saved_is_stored(&world, &ada);
    assert_eq!(world.stored_content(), ada.text());
}

#[test]
fn what_was_refused_is_saved_once_its_author_may_edit_and_has_been_asked() {
    let mut world = World::new();
    let people = [(1, Role::Owner), (2, Role::Editor)];
    world.give(Input::Notice(notice(1, &people)));
    let mut bob = connected(&mut world, 2, Role::Editor);
    bob.insert(0, "abc");
    settle(&mut world, &mut [&mut bob]);

    let mut locked = notice(2, &people);
    locked.locked = true;
    world.give(Input::Notice(locked));
    // Nothing that is deleted leaves a gap, so nobody would miss it.
    bob.remove(0, 1);
    settle(&mut world, &mut [&mut bob]);
    assert_eq!(bob.unsaved.len(), 1);
    world.sleep();
    world.give(Input::Notice(notice(3, &people)));
    assert_eq!(world.stored_content(), "abc");

    bob.insert(0, "d");
    settle(&mut world, &mut [&mut bob]);
    assert!(bob.unsaved.is_empty());
    assert_eq!(world.stored_content(), "dbc");
    saved_is_stored(&world, &bob);
}

#[test]
fn nobody_is_told_who_has_not_asked_or_has_gone() {
    let mut world = World::new();
    world.waits = true;
    let mut ada = Client::new(1, Role::Owner);
    ada.connect(&mut world);
    let mut bob = connected(&mut world, 2, Role::Editor);
    // A frame of ours to a stock client, or one for a socket that is gone, fails in `World`.
    for client in [&mut ada, &mut bob] {
        client.insert(0, "first");
        client.insert(0, "second");
        client.send(&mut world, 2);
    }
    bob.disconnect(&mut world);
    world.later(50);
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.stored_content(), ada.text());

    let eve = world.connect_app(3, Role::Viewer);
    world.frame(eve, &crate::room::frame::sync_step2(&[0, 0]));
    let frames = world.app_frames(eve);
    assert!(
        frames
            .iter()
            .all(|frame| !matches!(frame, AppFrame::Saved { .. })),
        "nothing of a viewer is ever saved"
    );
}
