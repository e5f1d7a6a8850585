//! A login session that ends takes its sockets with it, whichever of the two comes first.

use codecrafter_shared::id::LoginSessionId;
use codecrafter_shared::limits;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::support::{START, World, login, notice, principal, user};
use crate::room::{EndedLogin, Input, Principal};

fn ended(n: u8, login: LoginSessionId, until: Timestamp) -> EndedLogin {
    EndedLogin {
        user_id: user(n),
        login_session_id: login,
        until,
        and_before: false,
    }
}

fn of_login(n: u8, login: LoginSessionId) -> Principal {
    Principal {
        login_session_id: login,
        ..principal(n, Role::Editor)
    }
}

const HOUR_MS: i64 = 3_600_000;

#[test]
fn a_login_that_ends_takes_its_sockets_with_it_and_its_token_opens_nothing_again() {
    let mut world = World::new();
    let other_login = LoginSessionId::at(START, [77; 10]);
    let (stolen, tab) = (world.connect(1, Role::Owner), world.connect(1, Role::Owner));
    let elsewhere = world.connect_as(of_login(1, other_login), false);
    let bob = world.connect(2, Role::Editor);
    let end = ended(1, login(1), START.plus_millis(HOUR_MS));
    for _ in 0..2 {
        world.give(Input::LoginEnded(end));
        for socket in [stolen, tab] {
            assert_eq!(world.closed(socket), Some(CloseCode::Unauthorized));
        }
        for socket in [elsewhere, bob] {
            assert_eq!(world.closed(socket), None, "another login, another person");
        }
        let again = world.connect(1, Role::Owner);
        assert_eq!(world.closed(again), Some(CloseCode::Unauthorized));
        world.sleep();
    }
    world.later(HOUR_MS);
    let mut later = ended(2, login(2), world.now.plus_millis(HOUR_MS));
    world.give(Input::LoginEnded(later));
    assert_eq!(
        world.kept.ended_logins,
        [later],
        "what has ended is forgotten"
    );
    later.until = START;
    world.give(Input::LoginEnded(later));
    let kept = world.kept.ended_logins[0].until;
    assert!(kept > world.now, "an older message takes nothing back");
}

#[test]
fn a_login_that_ends_before_its_socket_comes_opens_none() {
    let mut world = World::new();
    let end = ended(1, login(1), START.plus_millis(HOUR_MS));
    world.give(Input::LoginEnded(end));
    world.give(Input::Notice(notice(2, &[(1, Role::Owner)])));
    let late = world.connect(1, Role::Owner);
    assert_eq!(world.closed(late), Some(CloseCode::Unauthorized));
}

#[test]
fn of_many_logins_that_end_few_are_remembered_and_none_is_let_in() {
    let mut world = World::new();
    let login = |n: u8| LoginSessionId::at(START.plus_millis(n.into()), [n; 10]);
    let max = u8::try_from(limits::LOGIN_SESSIONS_PER_USER_MAX).unwrap();
    // The first one's tokens live longest.
    let until = |n: u8| START.plus_millis(2 * HOUR_MS - i64::from(n));
    for n in (0..3 * max).rev().chain(0..3 * max) {
        world.give(Input::LoginEnded(ended(1, login(n), until(n))));
        assert!(world.kept.ended_logins.len() <= usize::from(max));
    }
    world.sleep();
    world.now = until(0).plus_millis(-1);
    let mut longest = of_login(1, login(0));
    longest.expires_at = until(0);
    let late = world.connect_as(longest, false);
    assert_eq!(world.closed(late), Some(CloseCode::Unauthorized));
    world.now = START;
    for n in 0..3 * max {
        let late = world.connect_as(of_login(1, login(n)), false);
        assert_eq!(world.closed(late), Some(CloseCode::Unauthorized), "{n}");
    }
    let newer = world.connect_as(of_login(1, login(3 * max)), false);
    assert_eq!(world.closed(newer), None);
    let other = world.connect_as(of_login(2, login(0)), false);
    assert_eq!(world.closed(other), None);
}
