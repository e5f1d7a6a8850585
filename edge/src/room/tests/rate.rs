//! How much is too much: sockets, frames, and what somebody says of themselves.

use codecrafter_shared::limits;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;

use super::support::World;
use crate::room::frame;

#[test]
fn a_room_and_a_user_have_so_many_sockets() {
    let mut world = World::new();
    for _ in 0..10 {
        let socket = world.connect(1, Role::Owner);
        assert_eq!(world.closed(socket), None);
    }
    let eleventh = world.connect(1, Role::Owner);
    assert_eq!(world.closed(eleventh), Some(CloseCode::Overloaded));
    for n in 10..200_u8 {
        let socket = world.connect(n, Role::Viewer);
        assert_eq!(world.closed(socket), None);
    }
    let one_more = world.connect(200, Role::Viewer);
    assert_eq!(world.closed(one_more), Some(CloseCode::Overloaded));
}

#[test]
fn who_floods_the_room_is_closed_with_a_code_that_reconnects() {
    let mut world = World::new();
    let (eve, bob) = (
        world.connect(1, Role::Editor),
        world.connect(2, Role::Editor),
    );
    let question = frame::sync_step1(&[0]);
    let mut taken = 0;
    while world.closed(eve).is_none() && taken < 10_000 {
        world.frame(eve, &question);
        taken += 1;
    }
    // An answer counts as a frame too.
    assert_eq!(taken, limits::ROOM_FRAMES_PER_SECOND * 5 / 2 + 1);
    assert_eq!(world.closed(eve), Some(CloseCode::TooFast));
    world.frame(bob, &question);
    assert_eq!(world.closed(bob), None, "nobody else has to wait");
    world.later(5_000);
    let eve = world.connect(1, Role::Editor);
    world.frame(eve, &question);
    assert_eq!(world.closed(eve), None);
}

#[test]
fn who_speaks_of_themselves_too_often_is_not_heard_for_a_while() {
    let mut world = World::new();
    let (eve, bob) = (
        world.connect(1, Role::Editor),
        world.connect(2, Role::Editor),
    );
    for clock in 1..=2_000 {
        let state = format!("{{\"cursor\":{clock}}}");
        let entries = [(7, clock, Some(state.as_str()))];
        world.frame(eve, &frame::awareness(entries.into_iter()));
    }
    assert_eq!(world.closed(eve), None);
    let heard = world.take(bob).len();
    let most = usize::try_from(limits::ROOM_FRAMES_PER_SECOND * 5).unwrap();
    assert_eq!(heard, most);
    world.later(1_000);
    let entries = [(7, 2_001, Some("{}"))];
    world.frame(eve, &frame::awareness(entries.into_iter()));
    assert_eq!(world.take(bob).len(), 1);
}
