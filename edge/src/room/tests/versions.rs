//! When a room asks for a version, what it tells of versions and messages, and that a restored text
//! leaves cursors where they are.

use codecrafter_shared::api::{ChatMessage, WriteContent};
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::limits;
use codecrafter_shared::relay::AppFrame;
use codecrafter_shared::role::Role;
use yrs::{Assoc, IndexedSequence as _, ReadTxn as _, Transact as _};

use super::support::{Client, START, World, notice, settle, user};
use crate::room::versions::store::{self as versions, NewVersion};
use crate::room::write::Write;
use crate::room::{Change, Input, Room, Stored, chat, store};

fn tick(world: &mut World) {
    world.give(Input::Tick);
}

#[test]
fn a_room_asks_for_a_version_when_its_document_rests() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Editor);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    tick(&mut world);
    assert_eq!(world.versions_due, 0, "nothing was edited");

    ada.insert(0, "a");
    settle(&mut world, &mut [&mut ada]);
    let rested = world.now.plus_millis(limits::VERSION_REST_MS);
    assert!(
        world.wake_at.is_some_and(|at| at <= rested),
        "{:?}",
        world.wake_at
    );
    world.later(limits::VERSION_REST_MS / 2);
    ada.insert(0, "b");
    settle(&mut world, &mut [&mut ada]);
    world.later(limits::VERSION_REST_MS / 2);
    tick(&mut world);
    assert_eq!(world.versions_due, 0, "it was edited meanwhile");
    world.later(limits::VERSION_REST_MS / 2);
    tick(&mut world);
    tick(&mut world);
    assert_eq!(world.versions_due, 1);
}

#[test]
fn a_woken_room_knows_that_a_version_is_due() {
    let stored = Stored {
        last_edit: Some(START),
        ..Stored::default()
    };
    let late = START.plus_millis(limits::VERSION_REST_MS);
    let mut room = Room::restore(stored.clone(), Vec::new(), late);
    let outputs = room.step(late, Input::Tick).outputs;
    assert!(
        outputs.contains(&crate::room::Output::TakeVersion),
        "{outputs:?}"
    );
    let early = late.plus_millis(-1);
    let mut room = Room::restore(stored, Vec::new(), early);
    let outputs = room.step(early, Input::Tick).outputs;
    assert_eq!(outputs, [crate::room::Output::WakeAt(late)]);
}

#[test]
fn what_is_told_reaches_those_who_asked_for_our_frames() {
    let mut world = World::new();
    let (asked, stock) = (
        world.connect_app(1, Role::Viewer),
        world.connect(2, Role::Owner),
    );
    world.take(asked);
    world.take(stock);
    let frame = AppFrame::ChatMessage {
        message: ChatMessage {
            seq: 1,
            sent_at: START,
            user_id: user(2),
            display_name: "User 2".into(),
            text: "<b>".into(),
            deleted: false,
        },
    };
    world.give(Input::Tell(&frame));
    assert_eq!(world.app_frames(asked), [frame]);
    assert!(
        world.take(stock).is_empty(),
        "a stock provider does not know them"
    );
}

#[test]
fn a_text_that_is_brought_back_leaves_cursors_between_its_changes() {
    let mut world = World::new();
    let mut ada = Client::new(1, Role::Editor);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    ada.insert(0, "first\nsecond\nthird\nfourth\n");
    settle(&mut world, &mut [&mut ada]);
    let text = ada.doc.get_or_insert_text("content");
    let cursor = text
        .sticky_index(&ada.doc.transact(), 9, Assoc::After)
        .unwrap();

    let wanted = WriteContent {
        content: Some("1st\nsecond\nthird\n4th\n".into()),
        files: None,
    };
    let notice = notice(1, &[(2, Role::Editor)]);
    world.give(Input::Write(Write {
        user_id: user(2),
        notice: &notice,
        request: &wanted,
        expected: None,
    }));
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(ada.text(), "1st\nsecond\nthird\n4th\n");
    let transaction = ada.doc.transact();
    assert!(transaction.get_text("content").is_some());
    let offset = cursor.get_offset(&transaction).unwrap();
    assert_eq!(offset.index, 7, "in the middle of what did not change");
}

#[test]
fn a_room_begins_with_all_of_its_files() {
    let mut world = World::new();
    let files = [SourceFile {
        path: "lib/a.py".into(),
        content: "a = 1\n".into(),
    }];
    for _ in 0..2 {
        world.give(Input::Initialise {
            content: "main",
            files: &files,
        });
    }
    let read = world.kept.load().document.read();
    assert_eq!((read.content.as_str(), &*read.files), ("main", &files[..]));
}

#[tokio::test]
async fn a_deleted_session_leaves_no_version_and_no_message() {
    let db = crate::native::SqliteDb::in_memory().unwrap();
    let room = super::support::session(1);
    store::migrate(&db).await.unwrap();
    let author = &crate::room::versions::Author {
        user_id: user(1),
        display_name: "Ada".into(),
    };
    let content = &codecrafter_shared::api::SessionContent::default();
    let new = NewVersion {
        kind: codecrafter_shared::api::VersionKind::Manual,
        at: START,
        author: Some(author),
        message: None,
        seq: 0,
        content,
    };
    let message = chat::store::NewMessage {
        author,
        at: START,
        text: "hi",
        key: None,
    };
    versions::take(&db, room, new).await.unwrap();
    chat::store::send(&db, room, message).await.unwrap();
    let mut deleted = notice(2, &[]);
    deleted.deleted = true;
    let changes = [Change::Access(deleted), Change::Purge];
    store::persist(&db, room, &changes).await.unwrap();

    assert_eq!(versions::list(&db, room, 0, 10).await.unwrap().1, 0);
    assert!(versions::read(&db, room, 1).await.is_err());
    let read = chat::store::read(&db, room, None, 10).await.unwrap();
    assert!(read.items.is_empty());
    assert!(versions::take(&db, room, new).await.is_err(), "late");
    assert!(chat::store::send(&db, room, message).await.is_err(), "late");
}

#[tokio::test]
async fn of_many_messages_the_oldest_are_forgotten() {
    let db = crate::native::SqliteDb::in_memory().unwrap();
    let room = super::support::session(1);
    store::migrate(&db).await.unwrap();
    let author = &crate::room::versions::Author {
        user_id: user(1),
        display_name: "Ada".into(),
    };
    let max = u64::from(limits::CHAT_MESSAGES_MAX);
    for n in 0..max + 3 {
        // Slowly, as one may.
        let at = START.plus_millis(i64::try_from(n).unwrap() * limits::CHAT_BURST_MS);
        let message = chat::store::NewMessage {
            author,
            at,
            text: "hi",
            key: None,
        };
        chat::store::send(&db, room, message).await.unwrap();
    }
    let first = chat::store::read(&db, room, Some(5), 10).await.unwrap();
    assert_eq!(first.items.len(), 1, "{first:?}");
    assert_eq!(first.items[0].seq, 4);
    let last = chat::store::read(&db, room, None, 1).await.unwrap();
    assert_eq!(last.items[0].seq, max + 3);
}
