//! Who is here, under their own names, and not longer than they are.

use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;
use serde_json::Value;

use super::support::{START, World, login, notice, principal, user};
use crate::room::frame::{self, Message};
use crate::room::read::Reader;
use crate::room::{ConnectionId, EndedLogin, Input, Wishes};

/// An awareness entry as a client sees it.
type Seen = (u64, u64, Option<Value>);

fn say(world: &mut World, from: ConnectionId, client: u64, clock: u64, state: Option<&str>) {
    world.frame(
        from,
        &frame::awareness([(client, clock, state)].into_iter()),
    );
}

/// What a client has heard about others, signs of life left out.
fn heard(world: &mut World, at: ConnectionId) -> Vec<Seen> {
    world
        .take(at)
        .iter()
        .flat_map(|frame| entries(frame))
        .collect()
}

fn entries(frame: &[u8]) -> Vec<Seen> {
    let Ok(Message::Awareness(body)) = frame::parse(frame) else {
        return vec![];
    };
    let mut reader = Reader::new(body);
    let count = reader.var_uint().unwrap();
    let seen = (0..count)
        .map(|_| {
            let (client, clock) = (reader.var_uint().unwrap(), reader.var_uint().unwrap());
            let state: Value = serde_json::from_str(reader.var_string().unwrap()).unwrap();
            (client, clock, Some(state).filter(|state| !state.is_null()))
        })
        .collect();
    reader.end().unwrap();
    seen
}

/// The time within which a client that was cut off may return.
fn wait_for_return(world: &mut World) {
    let at = world.now.plus_millis(5_000);
    assert!(
        world.wake_at.is_some_and(|wake| wake <= at),
        "nobody will look"
    );
    world.later(5_000);
    world.give(Input::Tick);
}

fn cursor(seen: &Seen) -> &Value {
    &seen.2.as_ref().unwrap()["cursor"]
}

#[test]
fn a_late_joiner_sees_who_is_there() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    say(&mut world, ada, 11, 1, Some(r#"{"cursor":5}"#));
    let bob = world.connect(2, Role::Viewer);
    let seen = heard(&mut world, bob);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].0, seen[0].1, cursor(&seen[0])),
        (11, 1, &Value::from(5))
    );
}

#[test]
fn a_state_goes_to_the_others_and_a_sign_of_life_to_its_sender() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, ada, 11, 1, Some("{}"));
    assert_eq!(world.take(ada), [vec![1, 1, 0]]);
    assert_eq!(heard(&mut world, bob).len(), 1);
    say(&mut world, ada, 11, 1, Some(r#"{"old":1}"#));
    assert!(heard(&mut world, bob).is_empty(), "a clock that is known");
    say(&mut world, ada, 11, 2, Some("{}"));
    assert_eq!(heard(&mut world, bob).len(), 1);
}

#[test]
fn identity_is_the_tokens() {
    let mut world = World::new();
    let (ada, eve) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    let forged = r##"{"cursor":{"anchor":1},"user":{"name":"User 1","id":"0","color":"#123456"}}"##;
    say(&mut world, eve, 22, 1, Some(forged));
    let seen = heard(&mut world, ada).remove(0);
    let state = seen.2.unwrap();
    assert_eq!(state["user"]["name"], "User 2");
    assert_eq!(state["user"]["role"], "viewer");
    assert_eq!(
        state["user"]["id"],
        principal(2, Role::Viewer).user_id.to_string()
    );
    assert_eq!(state["user"]["color"], "#123456");
    assert_eq!(state["cursor"]["anchor"], 1);
}

#[test]
fn nobody_speaks_for_somebody_else() {
    let mut world = World::new();
    let (ada, eve) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, ada, 11, 1, Some("{}"));
    say(&mut world, eve, 22, 1, Some("{}"));
    world.take(ada);
    for state in [None, Some(r#"{"cursor":666}"#)] {
        say(&mut world, eve, 11, 9, state);
    }
    assert!(world.take(ada).is_empty());
    let bob = world.connect(3, Role::Viewer);
    assert!(
        heard(&mut world, bob)
            .iter()
            .all(|seen| cursor(seen).is_null())
    );
}

#[test]
fn repeating_what_one_was_told_is_no_news() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, ada, 11, 1, Some("{}"));
    say(&mut world, bob, 22, 1, Some("{}"));
    world.take(ada);
    world.take(bob);
    // A stock provider sends every awareness change on, also those that came from the room.
    say(&mut world, bob, 11, 1, Some("{}"));
    assert!(world.take(ada).is_empty());
    assert!(
        world.take(bob).is_empty(),
        "and no answer, or n clients would make n² frames"
    );
    world.disconnect(ada);
    wait_for_return(&mut world);
    say(&mut world, bob, 11, 1, Some("{}"));
    let eve = world.connect(3, Role::Viewer);
    assert_eq!(
        heard(&mut world, eve).len(),
        1,
        "who has gone does not come back by it"
    );
}

#[test]
fn who_leaves_is_taken_back_with_the_same_clock() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, ada, 11, 7, Some("{}"));
    world.take(bob);
    world.disconnect(ada);
    assert!(heard(&mut world, bob).is_empty(), "it may return");
    wait_for_return(&mut world);
    assert_eq!(heard(&mut world, bob), [(11, 7, None)]);
    // The client comes back on a new socket, with its clock as it was.
    let ada = world.connect(1, Role::Owner);
    say(&mut world, ada, 11, 7, Some("{}"));
    assert_eq!(heard(&mut world, bob).len(), 1);
    say(&mut world, ada, 11, 7, None);
    assert_eq!(
        heard(&mut world, bob),
        [(11, 7, None)],
        "equal clock and null takes back"
    );
}

#[test]
fn who_returns_at_once_was_never_seen_to_go() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, ada, 11, 7, Some("{}"));
    world.take(bob);
    world.disconnect(ada);
    world.later(4_000);
    // A provider says again what it has said last, with the same clock.
    let ada = world.connect(1, Role::Owner);
    say(&mut world, ada, 11, 7, Some("{}"));
    wait_for_return(&mut world);
    let removed = |seen: &Seen| seen.2.is_none();
    assert!(!heard(&mut world, bob).iter().any(removed));
    let eve = world.connect(3, Role::Viewer);
    assert_eq!(heard(&mut world, eve).len(), 1);
}

#[test]
fn who_comes_with_another_token_when_one_has_ended_was_never_seen_to_go() {
    let mut world = World::new();
    let bob = world.connect(2, Role::Viewer);
    let mut short = principal(1, Role::Owner);
    short.expires_at = START.plus_millis(10_000);
    let ada = world.connect_as(short, false);
    say(&mut world, ada, 11, 7, Some("{}"));
    world.take(bob);
    world.later(10_000);
    world.give(Input::Tick);
    assert_eq!(world.closed(ada), Some(CloseCode::Unauthorized));
    world.later(4_000);
    let ada = world.connect(1, Role::Owner);
    say(&mut world, ada, 11, 8, Some("{}"));
    wait_for_return(&mut world);
    let removed = |seen: &Seen| seen.2.is_none();
    assert!(!heard(&mut world, bob).iter().any(removed));
    // Nobody returns from a login that has ended.
    world.give(Input::LoginEnded(EndedLogin {
        user_id: user(1),
        login_session_id: login(1),
        until: world.now.plus_millis(60_000),
        and_before: false,
    }));
    assert_eq!(world.closed(ada), Some(CloseCode::Unauthorized));
    assert_eq!(heard(&mut world, bob), [(11, 8, None)]);
}

#[test]
fn who_is_thrown_out_is_taken_back_at_once() {
    let mut world = World::new();
    world.give(Input::Notice(notice(
        2,
        &[(1, Role::Owner), (2, Role::Viewer)],
    )));
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, bob, 22, 3, Some("{}"));
    world.take(ada);
    world.give(Input::Notice(notice(3, &[(1, Role::Owner)])));
    assert_eq!(heard(&mut world, ada), [(22, 3, None)]);
}

#[test]
fn a_new_socket_takes_its_id_over_from_one_that_has_not_noticed() {
    let mut world = World::new();
    let (old, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, old, 11, 7, Some("{}"));
    let new = world.connect(1, Role::Owner);
    say(&mut world, new, 11, 7, Some("{}"));
    world.take(bob);
    world.disconnect(old);
    assert!(heard(&mut world, bob).is_empty(), "it is still here");
    world.sleep();
    world.disconnect(new);
    wait_for_return(&mut world);
    assert_eq!(heard(&mut world, bob), [(11, 7, None)]);
}

#[test]
fn one_frame_may_speak_for_several_own_ids_but_not_for_many() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    let ids: Vec<(u64, u64, Option<&str>)> = (100..110).map(|id| (id, 1, Some("{}"))).collect();
    world.frame(ada, &frame::awareness(ids.into_iter()));
    assert_eq!(heard(&mut world, bob).len(), 4);
    assert_eq!(world.room.connection(ada).unwrap().awareness.len(), 4);
}

#[test]
fn what_peers_could_not_read_is_not_passed_on() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(2048));
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    for (clock, state) in ["not json", "7", "[]", &large, &deep, "{\"a\":1e999}"]
        .iter()
        .enumerate()
    {
        say(&mut world, ada, 11, clock as u64 + 1, Some(state));
    }
    assert!(heard(&mut world, bob).is_empty());
    assert_eq!(world.closed(ada), None);
}

#[test]
fn a_frame_that_is_no_awareness_update_is_a_fault() {
    let bodies: [&[u8]; 4] = [
        &[0x80, 0x80, 0x40],
        &[1, 11, 1],
        &[
            1, 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 2, b'{', b'}',
        ],
        &[0, 0],
    ];
    for body in bodies {
        let mut world = World::new();
        let ada = world.connect(1, Role::Owner);
        let mut frame = vec![1, u8::try_from(body.len()).unwrap()];
        frame.extend(body);
        for _ in 0..3 {
            world.frame(ada, &frame);
        }
        assert_eq!(world.closed(ada), Some(CloseCode::Malformed), "{body:x?}");
    }
}

#[test]
fn a_query_is_answered_from_the_table() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    world.frame(bob, &[3]);
    assert_eq!(world.take(bob), [vec![1, 1, 0]], "nobody, but answered");
    say(&mut world, ada, 11, 1, Some("{}"));
    say(&mut world, bob, 22, 1, Some("{}"));
    world.take(bob);
    world.frame(bob, &[3]);
    let seen = heard(&mut world, bob);
    assert_eq!(
        seen.iter().map(|seen| seen.0).collect::<Vec<_>>(),
        [11],
        "nothing about itself"
    );
}

#[test]
fn a_woken_room_asks_who_is_there_and_knows_who_leaves() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    say(&mut world, ada, 11, 7, Some(r#"{"cursor":5}"#));
    world.sleep();
    world.take(ada);
    world.take(bob);
    let eve = world.connect(3, Role::Viewer);
    assert_eq!(world.take(ada), [vec![3]], "asked for its state");
    assert!(world.take(bob).is_empty(), "nothing is known of it");
    // The provider answers with everything that it knows; its own state counts.
    let answer = [(11, 7, Some(r#"{"cursor":5}"#)), (99, 1, Some("{}"))];
    world.frame(ada, &frame::awareness(answer.into_iter()));
    let seen = heard(&mut world, eve);
    assert_eq!(cursor(&seen[0]), 5);

    world.sleep();
    world.take(bob);
    world.disconnect(ada);
    wait_for_return(&mut world);
    assert!(heard(&mut world, bob).contains(&(11, 7, None)));
}

#[test]
fn who_was_not_heard_of_for_long_is_not_shown_to_newcomers() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    say(&mut world, ada, 11, 1, Some("{}"));
    world.later(30_001);
    let bob = world.connect(2, Role::Viewer);
    assert!(heard(&mut world, bob).is_empty());
}

#[test]
fn a_quiet_client_is_shown_as_long_as_its_socket_is_open_and_wakes_nobody() {
    let mut world = World::new();
    let wishes = Wishes::parse("app1,quiet1");
    let ada = world.connect_with(principal(1, Role::Owner), wishes);
    world.take(ada);
    world.wake_at = None;
    say(&mut world, ada, 11, 1, Some("{}"));
    assert!(world.take(ada).is_empty(), "it needs no sign of life");
    world.later(3 * 30_000);
    let bob = world.connect_with(principal(2, Role::Viewer), wishes);
    assert_eq!(heard(&mut world, bob).len(), 1);
    // Neither of them makes the room wake before their tokens end.
    let ends = principal(1, Role::Owner).expires_at;
    assert!(world.wake_at.is_none_or(|at| at >= ends));

    world.sleep();
    let cyd = world.connect(3, Role::Viewer);
    assert_eq!(world.take(ada), [vec![3]], "asked for its state");
    say(&mut world, ada, 11, 1, Some("{}"));
    assert_eq!(heard(&mut world, cyd).len(), 1);
    world.disconnect(ada);
    wait_for_return(&mut world);
    assert!(heard(&mut world, bob).contains(&(11, 1, None)));
}
