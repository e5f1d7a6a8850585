//! Roles are enforced on the parsed message, at every frame, and follow the session's access.

use codecrafter_shared::relay::{AppFrame, CloseCode};
use codecrafter_shared::role::Role;

use super::support::{Client, Luck, World, notice, principal, seeds, settle};
use crate::room::frame;
use crate::room::{Input, Output, Principal};

const UPDATE: &[u8] = b"\x01\x01\x07\x00\x04\x01\x07content\x03abc\x00";

#[test]
fn a_viewer_cannot_edit() {
    let mut world = World::new();
    let eve = world.connect(1, Role::Viewer);
    world.take(eve);
    world.frame(eve, &frame::sync_step2(UPDATE));
    assert!(
        world.take(eve).is_empty(),
        "an honest provider sends it as an answer"
    );

    world.frame(eve, &frame::update(UPDATE));
    assert_eq!(world.take(eve)[0][..2], [2, 0], "permission denied");
    world.frame(eve, &frame::update(UPDATE));
    assert!(world.take(eve).is_empty(), "said once");
    world.frame(eve, &frame::update(UPDATE));
    assert_eq!(world.closed(eve), Some(CloseCode::Forbidden));
    assert!(world.kept.updates.is_empty());
}

#[test]
fn another_spelling_of_the_message_type_does_not_help_a_viewer() {
    let mut world = World::new();
    let eve = world.connect(1, Role::Viewer);
    let honest = frame::update(UPDATE);
    let spelled = [&[0x80, 0x00][..], &honest[1..]].concat();
    world.frame(eve, &spelled);
    let spelled = [&[0x00, 0x82, 0x00][..], &honest[2..]].concat();
    world.frame(eve, &spelled);
    assert!(world.kept.updates.is_empty());
}

#[test]
fn a_locked_session_takes_edits_from_its_owner_only() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Admin));
    ada.connect(&mut world);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    let mut locked = notice(2, &[(1, Role::Owner), (2, Role::Admin)]);
    locked.locked = true;
    world.give(Input::Notice(locked));
    bob.insert(0, "no");
    bob.send(&mut world, 1);
    assert_eq!(world.stored_content(), "");
    ada.insert(0, "yes");
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.stored_content(), "yes");

    world.give(Input::Notice(notice(
        3,
        &[(1, Role::Owner), (2, Role::Admin)],
    )));
    settle(&mut world, &mut [&mut ada, &mut bob]);
    bob.insert(0, "again: ");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(world.stored_content(), ada.text());
    assert_eq!(
        bob.text(),
        ada.text(),
        "what was refused is asked for once it is allowed"
    );
}

#[test]
fn a_role_changes_in_place() {
    let mut world = World::new();
    let app = world.connect_app(2, Role::Viewer);
    let mut bob = Client::new(2, Role::Viewer);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut bob]);
    world.take(app);

    world.give(Input::Notice(notice(2, &[(2, Role::Editor)])));
    let access = AppFrame::Access {
        role: Role::Editor,
        locked: false,
    };
    assert_eq!(world.app_frames(app), [access]);
    bob.insert(0, "may write now");
    settle(&mut world, &mut [&mut bob]);
    assert_eq!(world.stored_content(), "may write now");

    world.give(Input::Notice(notice(3, &[(2, Role::Viewer)])));
    world.sleep();
    bob.insert(0, "and not any more: ");
    bob.send(&mut world, 1);
    assert_eq!(world.stored_content(), "may write now");
    assert_eq!(world.closed(bob.socket.unwrap()), None);
}

#[test]
fn a_removed_participant_is_closed() {
    let mut world = World::new();
    let (ada, bob) = (
        world.connect(1, Role::Owner),
        world.connect(2, Role::Editor),
    );
    world.give(Input::Notice(notice(2, &[(1, Role::Owner)])));
    assert_eq!(world.closed(bob), Some(CloseCode::Forbidden));
    assert_eq!(world.closed(ada), None);
    let again = world.connect(2, Role::Editor);
    assert_eq!(
        world.closed(again),
        Some(CloseCode::Forbidden),
        "its token is older than that"
    );
}

#[test]
fn an_older_notice_is_ignored_and_a_repeated_one_harmless() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    world.give(Input::Notice(notice(5, &[(1, Role::Editor)])));
    world.give(Input::Notice(notice(4, &[])));
    assert_eq!(world.closed(ada), None);
    assert!(world.give(Input::Notice(notice(5, &[]))).is_empty());
    assert_eq!(
        world.room.connection(ada).unwrap().principal.role,
        Role::Editor
    );
    world.sleep();
    assert!(
        world.give(Input::Notice(notice(5, &[]))).is_empty(),
        "it is stored"
    );
}

#[test]
fn the_newer_of_token_and_notice_holds() {
    let mut world = World::new();
    world.give(Input::Notice(notice(
        5,
        &[(1, Role::Owner), (2, Role::Viewer)],
    )));
    let older = world.connect(2, Role::Editor);
    assert_eq!(
        world.room.connection(older).unwrap().principal.role,
        Role::Viewer
    );

    let mut newer = principal(2, Role::Editor);
    newer.access_version = 6;
    let newer = world.connect_as(newer, false);
    let role_of = |world: &World| world.room.connection(newer).unwrap().principal.role;
    assert_eq!(
        role_of(&world),
        Role::Editor,
        "the room has not heard of version 6 yet"
    );
    world.give(Input::Notice(notice(6, &[(2, Role::Editor)])));
    assert_eq!(role_of(&world), Role::Editor);
    world.give(Input::Notice(notice(7, &[(2, Role::Viewer)])));
    assert_eq!(role_of(&world), Role::Viewer);
}

fn with_version(n: u8, role: Role, access_version: u64) -> Principal {
    Principal {
        access_version,
        ..principal(n, role)
    }
}

/// Who joins is in no notice that was made before, and those may still be on their way.
#[test]
fn who_has_just_joined_is_not_thrown_out_by_notices_from_before() {
    let mut world = World::new();
    world.give(Input::Notice(notice(3, &[(1, Role::Owner)])));
    // The notice of version 6, by which somebody has joined, is behind those of 4 and 5.
    let joined = world.connect_as(with_version(2, Role::Editor, 6), true);
    world.app_frames(joined);
    let mut before = notice(4, &[(1, Role::Owner)]);
    before.locked = true;
    world.give(Input::Notice(before));
    world.give(Input::Notice(notice(5, &[(1, Role::Owner)])));
    assert_eq!(world.closed(joined), None);
    let role_of = |world: &World| world.room.connection(joined).unwrap().principal.role;
    assert_eq!(role_of(&world), Role::Editor);
    world.sleep();
    let again = world.connect_as(with_version(2, Role::Editor, 6), false);
    assert_eq!(world.closed(again), None, "nor when the room has slept");

    world.give(Input::Notice(notice(
        6,
        &[(1, Role::Owner), (2, Role::Editor)],
    )));
    assert_eq!(world.closed(joined), None);
    world.give(Input::Notice(notice(7, &[(1, Role::Owner)])));
    assert_eq!(world.closed(joined), Some(CloseCode::Forbidden));
    assert_eq!(world.closed(again), Some(CloseCode::Forbidden));
}

#[test]
fn who_was_removed_comes_back_with_a_newer_token_only() {
    let mut world = World::new();
    let old = with_version(2, Role::Editor, 2);
    let socket = world.connect_as(old.clone(), false);
    world.give(Input::Notice(notice(3, &[(1, Role::Owner)])));
    assert_eq!(world.closed(socket), Some(CloseCode::Forbidden));
    // Added again, as somebody else. The token that was made then comes before the notice does.
    let newer = world.connect_as(with_version(2, Role::Viewer, 4), false);
    assert_eq!(world.closed(newer), None);
    let early = world.connect_as(old.clone(), false);
    assert_eq!(world.closed(early), Some(CloseCode::Forbidden));

    world.give(Input::Notice(notice(
        4,
        &[(1, Role::Owner), (2, Role::Viewer)],
    )));
    let late = world.connect_as(old, false);
    let admitted = world.room.connection(late).unwrap();
    assert_eq!(
        admitted.principal.role,
        Role::Viewer,
        "the old token opens no more than what holds now"
    );
}

#[test]
fn a_demoted_editors_next_edit_is_refused() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Editor));
    ada.connect(&mut world);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    bob.insert(0, "before");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    // Typed before the demotion, and not here yet.
    bob.insert(6, " and after");
    world.give(Input::Notice(notice(
        2,
        &[(1, Role::Owner), (2, Role::Viewer)],
    )));
    bob.send(&mut world, 1);
    assert_eq!(world.stored_content(), "before");
    let told = world.take(bob.socket.unwrap());
    assert!(told.iter().any(|frame| frame[..2] == [2, 0]), "{told:?}");
}

#[test]
fn a_session_that_is_handed_over_is_edited_by_its_new_owner_while_locked() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Admin));
    ada.connect(&mut world);
    bob.connect(&mut world);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    let mut handed = notice(2, &[(1, Role::Admin), (2, Role::Owner)]);
    handed.locked = true;
    world.give(Input::Notice(handed));
    ada.insert(0, "no");
    ada.send(&mut world, 1);
    bob.insert(0, "yes");
    settle(&mut world, &mut [&mut bob]);
    assert_eq!(world.stored_content(), "yes");
}

/// Whatever the order in which notices and tokens come, what holds in the end is the newest.
#[test]
fn notices_and_tokens_in_any_order_end_in_the_newest_access() {
    const ROLES: [Role; 3] = [Role::Viewer, Role::Editor, Role::Admin];
    for seed in seeds(200) {
        let mut luck = Luck::new(seed);
        // Of each version: whether the guest is in it, and as what.
        let history: Vec<Option<Role>> = (0..8)
            .map(|_| (!luck.one_in(4)).then(|| luck.pick(&ROLES)))
            .collect();
        let access = |version: usize| match history[version] {
            Some(role) => notice(version as u64, &[(1, Role::Owner), (2, role)]),
            None => notice(version as u64, &[(1, Role::Owner)]),
        };
        let mut world = World::new();
        let mut sockets = Vec::new();
        let mut known = 0;
        for _ in 0..30 {
            let version = usize::try_from(luck.below(8)).unwrap();
            if luck.one_in(2) {
                known = known.max(version);
                world.give(Input::Notice(access(version)));
            } else if let Some(role) = history[version] {
                let token = with_version(2, role, version as u64);
                let socket = world.connect_as(token, false);
                let open = world.room.connection(socket).map(|c| c.principal.role);
                let holds = if version >= known {
                    Some(role)
                } else {
                    history[known]
                };
                let full = world.closed(socket) == Some(CloseCode::Overloaded);
                assert!(
                    full || open == holds,
                    "seed {seed}: {open:?}, not {holds:?}"
                );
                sockets.push(socket);
            }
            if luck.one_in(5) {
                world.sleep();
            }
        }
        world.give(Input::Notice(access(7)));
        for socket in sockets {
            let open = world.room.connection(socket).map(|c| c.principal.role);
            assert!(open.is_none() || open == history[7], "seed {seed}");
        }
    }
}

#[test]
fn a_deleted_session_closes_everybody_and_takes_nobody() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    let mut deleted = notice(2, &[(1, Role::Owner)]);
    deleted.deleted = true;
    world.give(Input::Notice(deleted));
    assert_eq!(world.closed(ada), Some(CloseCode::NotFound));
    world.sleep();
    let mut newer = principal(1, Role::Owner);
    newer.access_version = 9;
    let again = world.connect_as(newer, false);
    assert_eq!(world.closed(again), Some(CloseCode::NotFound));
}

#[test]
fn a_socket_ends_with_its_token() {
    let mut world = World::new();
    let short = |n| {
        let mut short = principal(n, Role::Owner);
        short.expires_at = super::support::START.plus_millis(10_000);
        short
    };
    let (busy, quiet) = (
        world.connect_as(short(1), false),
        world.connect_as(short(2), false),
    );
    world.later(9_999);
    world.frame(busy, &[3]);
    assert_eq!(world.closed(busy), None);
    world.later(1);
    world.frame(busy, &[3]);
    assert_eq!(
        world.closed(busy),
        Some(CloseCode::Unauthorized),
        "seen at its next frame"
    );
    assert!(
        world.wake_at.unwrap() <= world.now,
        "and the room wakes for those that send none"
    );
    world.give(Input::Tick);
    assert_eq!(world.closed(quiet), Some(CloseCode::Unauthorized));
    let late = world.connect_as(short(3), false);
    assert_eq!(world.closed(late), Some(CloseCode::Unauthorized));
}

#[test]
fn an_app_client_is_welcomed_first() {
    let mut world = World::new();
    let app = world.connect_app(1, Role::Admin);
    let welcome = AppFrame::Welcome {
        role: Role::Admin,
        locked: false,
    };
    assert_eq!(world.app_frames(app), [welcome]);
}

#[test]
fn frames_of_a_socket_that_was_closed_do_nothing() {
    let mut world = World::new();
    let ada = world.connect(1, Role::Owner);
    world.give(Input::Notice(notice(2, &[])));
    let outputs: Vec<Output> = world.frame(ada, &frame::update(UPDATE));
    assert!(outputs.is_empty());
    assert!(world.give(Input::Disconnect { connection: ada }).is_empty());
    assert!(world.kept.updates.is_empty());
}
