//! Text that is written from outside is an edit like any other: it is stored before it is shown,
//! converges with what others type, and needs the right to edit.

use codecrafter_shared::api::{SessionContent, WriteContent};
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::role::Role;
use yrs::undo::UndoManager;
use yrs::{Any, Array, Assoc, IndexedSequence, Map, Text, Transact, WriteTxn};

use super::support::{Client, Luck, World, notice, seeds, settle, user};
use crate::room::tag::tag;
use crate::room::write::{NotWritten, Write, Written};
use crate::room::{AccessNotice, Change, Input, Output};

const EVERYBODY: &[(u8, Role)] = &[
    (1, Role::Owner),
    (2, Role::Editor),
    (3, Role::Viewer),
    (4, Role::Admin),
];

fn main_file(content: &str) -> WriteContent {
    WriteContent {
        content: Some(content.into()),
        files: None,
    }
}

fn file(path: &str, content: &str) -> SourceFile {
    SourceFile {
        path: path.into(),
        content: content.into(),
    }
}

fn further_files(files: &[(&str, &str)]) -> WriteContent {
    let files = files.iter().map(|(path, content)| file(path, content));
    WriteContent {
        content: None,
        files: Some(files.collect()),
    }
}

impl World {
    fn write_as(
        &mut self,
        n: u8,
        notice: &AccessNotice,
        request: &WriteContent,
        expected: Option<&[String]>,
    ) -> Written {
        let input = Input::Write(Write {
            user_id: user(n),
            notice,
            request,
            expected,
        });
        self.give(input);
        self.written.take().expect("a write is answered")
    }

    fn write(&mut self, n: u8, request: &WriteContent) -> Written {
        self.write_as(n, &notice(1, EVERYBODY), request, None)
    }
}

fn pair(world: &mut World) -> (Client, Client) {
    let (mut ada, mut bob) = (Client::new(1, Role::Owner), Client::new(2, Role::Editor));
    ada.connect(world);
    bob.connect(world);
    settle(world, &mut [&mut ada, &mut bob]);
    (ada, bob)
}

#[test]
fn what_is_written_is_stored_and_seen_by_everybody() {
    let mut world = World::new();
    let (mut ada, mut bob) = pair(&mut world);
    ada.insert(0, "print(1)\n");
    settle(&mut world, &mut [&mut ada, &mut bob]);

    let written = world.write(2, &main_file("print(1)\nprint(2)\n")).unwrap();
    assert_eq!(written.content, "print(1)\nprint(2)\n");
    assert_eq!(world.stored_content(), written.content);
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(ada.text(), written.content);
    assert_eq!(bob.text(), written.content);

    let rows = world.kept.updates.len();
    assert_eq!(world.write(2, &main_file(&written.content)), Ok(written));
    assert_eq!(world.kept.updates.len(), rows, "nothing has changed");
}

#[test]
fn a_write_into_a_room_that_slept_goes_on_where_it_was() {
    let mut world = World::new();
    for text in ["one", "one two", "two", ""] {
        world.write(1, &main_file(text)).unwrap();
        assert_eq!(world.stored_content(), text);
        world.sleep();
    }
}

#[test]
fn the_update_is_stored_in_the_name_of_who_wrote_and_before_it_is_sent() {
    let mut world = World::new();
    let (notice, request) = (notice(1, EVERYBODY), main_file("new"));
    let input = Input::Write(Write {
        user_id: user(2),
        notice: &notice,
        request: &request,
        expected: None,
    });
    world.room.provide(world.kept.load());
    let step = world.room.step(world.now, input);
    let stored = step.changes.iter().any(
        |change| matches!(change, Change::AppendUpdate { actors, .. } if *actors == [user(2)]),
    );
    assert!(stored, "{:?}", step.changes);
    let [
        Output::Broadcast { except: None, .. },
        // For a version, should nothing follow.
        Output::WakeAt(_),
    ] = step.outputs.as_slice()
    else {
        panic!("{:?}", step.outputs)
    };
}

#[test]
fn further_files_are_made_changed_and_removed() {
    let mut world = World::new();
    let (mut ada, _) = pair(&mut world);
    let first = further_files(&[("b.py", "b"), ("a.py", "a")]);
    let written = world.write(1, &first).unwrap();
    assert_eq!(written.files, [file("a.py", "a"), file("b.py", "b")]);
    let second = further_files(&[("a.py", "a = 1"), ("lib/c.py", "")]);
    let written = world.write(1, &second).unwrap();
    assert_eq!(written.files, [file("a.py", "a = 1"), file("lib/c.py", "")]);
    assert_eq!(world.kept.load().document.read(), written);

    settle(&mut world, &mut [&mut ada]);
    let mut transaction = ada.doc.transact_mut();
    let files = transaction.get_or_insert_map("files");
    let mut names: Vec<&str> = files.keys(&transaction).collect();
    names.sort_unstable();
    assert_eq!(names, ["a.py", "lib/c.py"]);
    drop(transaction);

    let written = world.write(1, &main_file("x")).unwrap();
    assert_eq!(written.files.len(), 2, "what is left out stays");
    let written = world.write(1, &further_files(&[])).unwrap();
    let left = SessionContent {
        content: "x".into(),
        files: vec![],
    };
    assert_eq!(written, left);
}

#[test]
fn what_is_typed_at_the_same_time_is_kept() {
    let mut world = World::new();
    let (mut ada, mut bob) = pair(&mut world);
    ada.insert(0, "fn main() {}\n");
    settle(&mut world, &mut [&mut ada, &mut bob]);
    // On its way while the room is written to.
    ada.insert(0, "// Ada\n");
    bob.insert(13, "// Bob 😀\n");
    world.write(4, &main_file("fn main() { run() }\n")).unwrap();
    settle(&mut world, &mut [&mut ada, &mut bob]);
    assert_eq!(ada.text(), "// Ada\nfn main() { run() }\n// Bob 😀\n");
    assert_eq!(bob.text(), ada.text());
    assert_eq!(world.stored_content(), ada.text());
}

#[test]
fn whatever_is_written_and_typed_everybody_ends_with_the_same() {
    for seed in seeds(40) {
        let mut luck = Luck::new(seed);
        let mut world = World::new();
        let (mut ada, mut bob) = pair(&mut world);
        for _ in 0..30 {
            let client = if luck.one_in(2) { &mut ada } else { &mut bob };
            let length = u64::try_from(client.text().encode_utf16().count()).unwrap();
            match luck.below(5) {
                // Clients of their own edit at any unit; here, where the text has no pairs.
                0 => client.insert(u32::try_from(luck.below(length + 1)).unwrap(), "ab"),
                1 if length > 2 => {
                    client.remove(u32::try_from(luck.below(length - 1)).unwrap(), 1);
                }
                2 => {
                    let mut wanted = world.room.content().unwrap_or_default();
                    let at = luck.below(wanted.chars().count() as u64 + 1);
                    let at = wanted
                        .char_indices()
                        .nth(usize::try_from(at).unwrap())
                        .map_or(wanted.len(), |(at, _)| at);
                    wanted.insert_str(at, luck.pick(&["x", "yz", "é", "w\n"]));
                    let written = world.write(4, &main_file(&wanted)).unwrap();
                    assert_eq!(written.content, wanted, "seed {seed}");
                }
                3 => {
                    let count = usize::try_from(luck.below(4)).unwrap();
                    client.send(&mut world, count);
                    client.receive(&mut world, count);
                }
                _ if luck.one_in(4) => world.sleep(),
                _ => {}
            }
        }
        settle(&mut world, &mut [&mut ada, &mut bob]);
        assert_eq!(ada.text(), bob.text(), "seed {seed}");
        assert_eq!(ada.text(), world.stored_content(), "seed {seed}");
    }
}

#[test]
fn a_cursor_outside_of_the_change_stays_at_its_character() {
    let mut world = World::new();
    let (mut ada, _) = pair(&mut world);
    ada.insert(0, "first\nsecond\nthird\n");
    settle(&mut world, &mut [&mut ada]);
    let cursor = {
        let mut transaction = ada.doc.transact_mut();
        let text = transaction.get_or_insert_text("content");
        text.sticky_index(&transaction, 13, Assoc::After).unwrap()
    };
    world
        .write(4, &main_file("first\nsecond 😀\nthird\n"))
        .unwrap();
    settle(&mut world, &mut [&mut ada]);
    let transaction = ada.doc.transact_mut();
    let at = cursor.get_offset(&transaction).unwrap().index;
    assert_eq!(at, 16, "before `third`");
}

#[test]
fn undoing_takes_back_ones_own_edits_only() {
    let mut world = World::new();
    let (mut ada, _) = pair(&mut world);
    let text = ada.doc.get_or_insert_text("content");
    let mut undo = UndoManager::<()>::new();
    undo.expand_scope(&ada.doc, &text);
    // As an editor binding does, whose own edits are told apart by their origin.
    undo.include_origin("editor");
    let update = {
        let mut transaction = ada.doc.transact_mut_with("editor");
        text.insert(&mut transaction, 0, "mine\n");
        transaction.encode_update_v1()
    };
    ada.outbox.push(crate::room::frame::update(&update));
    settle(&mut world, &mut [&mut ada]);
    world.write(4, &main_file("mine\ntheirs\n")).unwrap();
    settle(&mut world, &mut [&mut ada]);
    assert!(undo.undo_blocking());
    assert_eq!(ada.text(), "theirs\n");
}

#[test]
fn who_may_not_edit_writes_nothing() {
    let mut world = World::new();
    world.write(1, &main_file("as it was")).unwrap();
    let other = main_file("other");
    assert_eq!(world.write(3, &other), Err(NotWritten::Forbidden), "viewer");
    assert_eq!(
        world.write(9, &other),
        Err(NotWritten::Forbidden),
        "stranger"
    );

    let mut locked = notice(2, EVERYBODY);
    locked.locked = true;
    for n in [2, 3, 4] {
        assert_eq!(
            world.write_as(n, &locked, &other, None),
            Err(NotWritten::Forbidden)
        );
    }
    assert_eq!(world.stored_content(), "as it was");
    assert!(
        world
            .write_as(1, &locked, &main_file("as its owner wants"), None)
            .is_ok()
    );
    assert_eq!(world.stored_content(), "as its owner wants");

    let mut deleted = notice(3, EVERYBODY);
    deleted.deleted = true;
    assert_eq!(
        world.write_as(1, &deleted, &other, None),
        Err(NotWritten::Deleted)
    );
    assert_eq!(world.stored_content(), "", "it is gone with the session");
}

#[test]
fn the_newest_notice_decides_about_a_write() {
    let mut world = World::new();
    let editor = notice(5, &[(1, Role::Owner), (2, Role::Editor)]);
    let viewer = notice(6, &[(1, Role::Owner), (2, Role::Viewer)]);
    world.give(Input::Notice(viewer));
    assert_eq!(
        world.write_as(2, &editor, &main_file("late"), None),
        Err(NotWritten::Forbidden),
        "the Directory was asked before it changed its mind"
    );
    let again = notice(7, &[(1, Role::Owner), (2, Role::Editor)]);
    assert!(
        world.write_as(2, &again, &main_file("again"), None).is_ok(),
        "the room had not heard of it yet"
    );
    let kept = world.kept.access.unwrap();
    assert_eq!(kept.access_version, 7, "and keeps what it has heard");
}

#[test]
fn nothing_is_written_over_a_text_that_was_not_expected() {
    let mut world = World::new();
    let (mut ada, _) = pair(&mut world);
    let notice = notice(1, EVERYBODY);
    let read = world.write(1, &main_file("read")).unwrap();
    ada.insert(0, "then typed, ");
    settle(&mut world, &mut [&mut ada]);
    let (stale, wanted) = ([tag(&read)], main_file("over it"));
    assert_eq!(
        world.write_as(1, &notice, &wanted, Some(&stale)),
        Err(NotWritten::Changed)
    );
    let present = world.kept.load().document.read();
    assert_eq!(present.content, ada.text());
    let expected = ["another".to_owned(), tag(&present)];
    assert!(world.write_as(1, &notice, &wanted, Some(&expected)).is_ok());
}

#[test]
fn what_is_not_text_is_not_written_over_and_ends_nothing() {
    let mut world = World::new();
    let (mut ada, _) = pair(&mut world);
    ada.edit(|transaction| {
        let text = transaction.get_or_insert_text("content");
        text.insert(transaction, 0, "bold");
        text.format(
            transaction,
            1,
            2,
            [("bold".into(), Any::Bool(true))].into_iter().collect(),
        );
    });
    settle(&mut world, &mut [&mut ada]);
    assert!(world.write(1, &main_file("plain")).is_ok());

    ada.edit(|transaction| {
        let text = transaction.get_or_insert_text("content");
        text.insert_embed(transaction, 1, Any::from("an embed"));
        let files = transaction.get_or_insert_map("files");
        files.insert(transaction, "odd", Any::Null);
    });
    settle(&mut world, &mut [&mut ada]);
    assert_eq!(world.write(1, &main_file("x")), Err(NotWritten::NotText));
    let written = world.write(1, &further_files(&[("odd", "text")])).unwrap();
    assert_eq!(written.files, [file("odd", "text")]);

    // A list where a text should be.
    let mut world = World::new();
    let mut eve = Client::new(2, Role::Editor);
    eve.connect(&mut world);
    settle(&mut world, &mut [&mut eve]);
    eve.edit(|transaction| {
        let list = transaction.get_or_insert_array("content");
        list.push_back(transaction, 1.5);
    });
    settle(&mut world, &mut [&mut eve]);
    assert_eq!(world.write(1, &main_file("x")), Err(NotWritten::NotText));
}

#[test]
fn a_document_that_would_become_too_heavy_stays_as_it_is() {
    let mut world = World::new();
    let files: Vec<SourceFile> = (0..31)
        .map(|n| file(&format!("{n}"), &"x".repeat(256 * 1024)))
        .collect();
    let all = WriteContent {
        content: None,
        files: Some(files),
    };
    let half = WriteContent {
        content: Some("y".repeat(256 * 1024)),
        files: None,
    };
    assert!(world.write(1, &all).is_ok());
    assert!(world.write(1, &half).is_err(), "8 MiB and more");
    let stored = world.kept.load().document.read();
    assert_eq!((stored.content.len(), stored.files.len()), (0, 31));
    assert!(
        world.write(1, &further_files(&[])).is_ok(),
        "what only deletes is taken"
    );
}
