//! The history tells what was stored, whose it is and when, at every step and on any page.

use std::sync::Arc;

use codecrafter_shared::api::{
    FileChange, HistoryFile, HistoryPage, HistorySplice, HistoryStep, SessionContent, WriteContent,
};
use codecrafter_shared::document::FILES_MAP;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use futures_util::FutureExt as _;
use yrs::{Map as _, TextPrelim, WriteTxn as _};

use super::support::{
    Client, Disk, Flaky, Luck, START, World, notice, seeds, session, settle, user,
};
use crate::error::Refusal;
use crate::ports::{Db, Value};
use crate::room::history::Texts;
use crate::room::history::store::pages;
use crate::room::write::Write;
use crate::room::{Change, Input, LoadedDocument};

impl Disk for Arc<Flaky> {
    fn persist(&self, changes: &[Change]) -> bool {
        (**self).persist(changes)
    }

    fn fail(&self, fails: bool) {
        (**self).fail(fails);
    }

    fn break_at(&self, statement: u32) {
        (**self).break_at(statement);
    }

    fn load(&self, now: Timestamp) -> LoadedDocument {
        (**self).load(now)
    }
}

fn world() -> (World, Arc<Flaky>) {
    let (mut world, database) = (World::new(), Arc::new(Flaky::new()));
    world.database = Some(Box::new(database.clone()));
    (world, database)
}

fn page(db: &Flaky, from: u64, limit: u32) -> HistoryPage {
    let read = pages::read(&db.inner, session(1), from, limit);
    read.now_or_never().unwrap().unwrap()
}

fn text_after(db: &Flaky, step: u64) -> Result<SessionContent, Refusal> {
    let text = pages::text_after(&db.inner, session(1), step);
    text.now_or_never().unwrap()
}

/// All steps, and what the text was before and after each: however it is cut into pages.
fn all(db: &Flaky, mut limit: impl FnMut() -> u32) -> (Vec<HistoryStep>, Vec<SessionContent>) {
    let (mut steps, mut moments) = (Vec::new(), Vec::new());
    let mut next = Some(1);
    while let Some(from) = next {
        let page = page(db, from, limit());
        let mut texts = Texts::of(&page.start);
        match moments.last() {
            None => moments.push(page.start),
            Some(before) => assert_eq!(*before, page.start, "page {from}"),
        }
        for step in page.steps {
            texts.apply(&step.files).expect("the step fits");
            moments.push(texts.read().expect("whole characters"));
            assert_eq!(step.number, page.first + steps.len() as u64);
            steps.push(step);
        }
        assert!(page.next.is_none_or(|next| next > from));
        next = page.next;
    }
    (steps, moments)
}

fn count(db: &Flaky, sql: &str) -> usize {
    let rows = (&db.inner as &dyn Db).query(sql, vec![session(1).into()]);
    rows.now_or_never().unwrap().unwrap().into_iter().count()
}

fn type_at(world: &mut World, who: &mut Client, at: u32, text: &str) {
    who.insert(at, text);
    settle(world, &mut [who]);
}

#[test]
fn of_a_long_text_fewer_steps_are_told_and_nothing_is_lost() {
    let (mut world, db) = world();
    world.give(Input::Initialise {
        content: &"x".repeat(400_000),
        files: &[],
    });
    let (mut ada, mut bob) = (Client::new(1, Role::Editor), Client::new(2, Role::Editor));
    for client in [&mut ada, &mut bob] {
        client.connect(&mut world);
        settle(&mut world, &mut [client]);
    }
    for _ in 0..30 {
        for client in [&mut ada, &mut bob] {
            world.later(2 * limits::HISTORY_STEP_MS);
            type_at(&mut world, client, 0, "a");
        }
    }
    settle(&mut world, &mut [&mut ada, &mut bob]);
    let (steps, moments) = all(&db, || 100);
    assert!((10..25).contains(&steps.len()), "{} steps", steps.len());
    assert!(steps.iter().skip(1).all(|step| step.user_ids.len() == 2));
    assert_eq!(moments.last().unwrap().content, ada.text());
}

#[test]
fn a_step_says_whose_it_is_when_it_was_and_what_has_changed() {
    let (mut world, db) = world();
    world.give(Input::Initialise {
        content: "one\n",
        files: &[],
    });
    let (mut ada, mut bob) = (Client::new(1, Role::Editor), Client::new(2, Role::Editor));
    for client in [&mut ada, &mut bob] {
        client.connect(&mut world);
        settle(&mut world, &mut [client]);
    }
    world.later(60_000);
    for letter in ["t", "w", "o"] {
        let end = u32::try_from(ada.text().len()).unwrap();
        type_at(&mut world, &mut ada, end, letter);
        world.later(200);
    }
    let typed = world.now.plus_millis(-200);
    settle(&mut world, &mut [&mut bob]);
    type_at(&mut world, &mut bob, 0, "zero 😀\n");
    let by_bob = world.now;
    world.later(limits::HISTORY_STEP_MS);
    bob.remove(0, 4);
    settle(&mut world, &mut [&mut bob]);

    let (steps, moments) = all(&db, || 100);
    let told: Vec<_> = steps
        .iter()
        .map(|step| (step.at, step.user_ids.clone()))
        .collect();
    let expected = [
        (START, vec![]),
        (typed, vec![user(1)]),
        (by_bob, vec![user(2)]),
        (world.now, vec![user(2)]),
    ];
    assert_eq!(told, expected);
    let splice = |at, removed, inserted: &str| {
        vec![HistoryFile {
            path: None,
            change: FileChange::Changed,
            splices: vec![HistorySplice {
                at,
                removed,
                inserted: inserted.into(),
            }],
        }]
    };
    let files: Vec<_> = steps.into_iter().map(|step| step.files).collect();
    let expected = [
        splice(0, 0, "one\n"),
        splice(4, 0, "two"),
        splice(0, 0, "zero 😀\n"),
        splice(0, 4, ""),
    ];
    assert_eq!(files, expected);
    assert_eq!(moments[2].content, "one\ntwo");
}

#[test]
fn who_types_within_the_same_moment_is_told_together() {
    let (mut world, db) = world();
    let (mut ada, mut bob) = (Client::new(1, Role::Editor), Client::new(2, Role::Editor));
    for client in [&mut ada, &mut bob] {
        client.connect(&mut world);
        settle(&mut world, &mut [client]);
    }
    world.later(1_000);
    world.waits = true;
    for letter in ["x", "a"] {
        ada.insert(0, letter);
        ada.send(&mut world, 1);
    }
    bob.insert(0, "b");
    bob.send(&mut world, 1);
    world.later(50);
    let (steps, _) = all(&db, || 100);
    let users: Vec<_> = steps.into_iter().map(|step| step.user_ids).collect();
    assert_eq!(users, [vec![user(1)], vec![user(1), user(2)]]);
}

#[test]
fn every_moment_that_is_told_was_stored_whatever_is_lost_on_the_way() {
    for seed in seeds(3) {
        let mut luck = Luck::new(seed);
        let (mut world, db) = world();
        let mut clients: Vec<Client> = (1..=3).map(|n| Client::new(n, Role::Editor)).collect();
        let mut stored: Vec<(Timestamp, SessionContent)> = Vec::new();
        let note = |world: &World, stored: &mut Vec<(Timestamp, SessionContent)>| {
            let text = match world.room.document() {
                Some(document) => document.read(),
                None => world.kept.load().document.read(),
            };
            if stored.last().is_none_or(|(_, last)| *last != text) {
                stored.push((world.now, text));
            }
        };
        for turn in 0..400_u32 {
            let index = usize::try_from(luck.below(3)).unwrap();
            let client = &mut clients[index];
            client.notice_loss(&world);
            if client.socket.is_none() {
                client.connect(&mut world);
            }
            let length = u32::try_from(client.text().encode_utf16().count()).unwrap();
            let at = u32::try_from(luck.below(u64::from(length) + 1)).unwrap();
            match luck.below(12) {
                0 => world.later(i64::try_from(luck.below(5_000)).unwrap()),
                1 if length > 4 => client.remove(at.min(length - 3), 3),
                2 => client.edit(|transaction| {
                    let files = transaction.get_or_insert_map(FILES_MAP);
                    let path = format!("f{}.py", turn % 3);
                    if turn % 2 == 0 {
                        files.remove(transaction, &path);
                    } else {
                        files.insert(transaction, path, TextPrelim::new(format!("{turn}\n")));
                    }
                }),
                3 if luck.one_in(4) => {
                    let request = WriteContent {
                        content: Some(format!("written {turn}\n").repeat(20)),
                        files: None,
                    };
                    world.give(Input::Write(Write {
                        user_id: user(3),
                        notice: &notice(1, &[(3, Role::Editor)]),
                        request: &request,
                        expected: None,
                    }));
                }
                4 if luck.one_in(3) => world.sleep(),
                5 => {
                    // The power goes in the middle of a transaction, mostly that of a new state.
                    let statement = u32::try_from(luck.below(24)).unwrap();
                    db.break_at(statement);
                }
                6 if luck.one_in(8) => {
                    world.later(31_000);
                    world.give(Input::Tick);
                }
                _ => client.insert(at, luck.pick(&["a", "é", "\n", "word "])),
            }
            note(&world, &mut stored);
            while clients[index].socket.is_some() {
                let client = &mut clients[index];
                client.notice_loss(&world);
                if client.socket.is_none() || client.outbox.is_empty() {
                    break;
                }
                client.send(&mut world, 1);
                client.notice_loss(&world);
                note(&world, &mut stored);
                client.receive(&mut world, usize::MAX);
            }
        }
        assert!(
            world.kept.compactions > 1,
            "seed {seed}: nothing was recorded"
        );
        assert!(count(&db, "SELECT 1 FROM room_history WHERE room = ?") > 1);
        let (steps, moments) = all(&db, || u32::try_from(luck.below(40)).unwrap() + 20);
        assert_eq!(moments[0], SessionContent::default(), "seed {seed}");
        assert_eq!(
            *moments.last().unwrap(),
            world.kept.load().document.read(),
            "seed {seed}"
        );
        // Each was stored, in this order. Two that follow each other may be the same text again.
        let mut left = stored.iter();
        for (step, text) in steps.iter().zip(&moments[1..]) {
            assert!(
                left.any(|(_, stored)| stored == text),
                "seed {seed}, step {}: {text:?}",
                step.number
            );
            if step.number % 25 == 0 {
                assert_eq!(text_after(&db, step.number).unwrap(), *text, "seed {seed}");
            }
        }
        let last = steps.last().unwrap().number;
        let unknown = text_after(&db, last + 1).unwrap_err();
        assert_eq!(unknown.code, ErrorCode::StepNotFound);
        assert_eq!(text_after(&db, 0).unwrap(), SessionContent::default());
    }
}

#[test]
fn the_history_costs_one_row_for_each_new_state_of_the_document() {
    let (mut world, db) = world();
    let mut ada = Client::new(1, Role::Editor);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for n in 0..1_000 {
        type_at(&mut world, &mut ada, n, "k");
        world.later(200);
    }
    assert_eq!(world.kept.compactions, 5);
    let rows = count(&db, "SELECT 1 FROM room_history WHERE room = ?");
    assert_eq!(rows, 5, "of 1,000 keystrokes");
    let (steps, moments) = all(&db, || 1_000);
    assert_eq!(steps.len(), 200, "five keystrokes a step");
    assert_eq!(moments.last().unwrap().content, "k".repeat(1_000));
}

/// Writes over the whole text, so often that each time is a new state.
fn rewrite(world: &mut World, ada: &mut Client, letter: &str, length: usize) {
    let old = u32::try_from(ada.text().len()).unwrap();
    ada.edit(|transaction| {
        use yrs::Text as _;
        let text = transaction.get_or_insert_text("content");
        text.remove_range(transaction, 0, old);
        text.insert(transaction, 0, &letter.repeat(length));
    });
    settle(world, &mut [ada]);
}

#[test]
fn the_oldest_steps_go_when_they_are_too_much_or_too_old() {
    let (mut world, db) = world();
    let mut ada = Client::new(1, Role::Editor);
    ada.principal.expires_at = START.plus_millis(2 * limits::HISTORY_AGE_MS);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for n in 0..45 {
        rewrite(&mut world, &mut ada, ["a", "b", "c"][n % 3], 300_000);
        world.later(2_000);
        let held = "SELECT sum(length(data)) AS held FROM room_history WHERE room = ?";
        let row = (&db.inner as &dyn Db).statement(held, vec![session(1).into()]);
        let row = row.now_or_never().unwrap().unwrap().unwrap();
        let held: Option<u64> = row.get("held").unwrap();
        assert!(held.unwrap_or(0) <= limits::HISTORY_BYTES_MAX, "{held:?}");
    }
    let told = page(&db, 1, 1);
    assert!(told.first > 1 && told.from == told.first, "{}", told.first);
    assert_eq!(told.last, 45);
    let (steps, moments) = all_from(&db, told.first);
    assert_eq!(steps.last().unwrap().number, 45);
    assert_eq!(moments.last().unwrap().content, ada.text());

    world.later(limits::HISTORY_AGE_MS + 1);
    for _ in 0..2 {
        rewrite(&mut world, &mut ada, "z", 300_000);
        rewrite(&mut world, &mut ada, "y", 300_000);
    }
    // What is newer may need the text that the last of the old ones begins with.
    assert!(page(&db, 1, 1).first > 43, "{}", page(&db, 1, 1).first);
    assert_eq!(
        text_after(&db, 35).unwrap_err().code,
        ErrorCode::StepNotFound
    );
}

/// As [`all`], of what is left.
fn all_from(db: &Flaky, first: u64) -> (Vec<HistoryStep>, Vec<SessionContent>) {
    let (mut steps, mut moments, mut next) = (Vec::new(), Vec::new(), Some(first));
    while let Some(from) = next {
        let page = page(db, from, 7);
        let mut texts = Texts::of(&page.start);
        for step in page.steps {
            texts.apply(&step.files).expect("the step fits");
            moments.push(texts.read().expect("whole characters"));
            steps.push(step);
        }
        next = page.next;
    }
    (steps, moments)
}

#[test]
fn a_page_has_at_least_a_step_and_otherwise_not_too_much() {
    let (mut world, db) = world();
    let mut ada = Client::new(1, Role::Editor);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for letter in ["a", "b", "c", "d", "e", "f"] {
        rewrite(&mut world, &mut ada, letter, 400_000);
        world.later(2_000);
    }
    let mut next = Some(1);
    while let Some(from) = next {
        let page = page(&db, from, 100);
        let steps = page.steps.len();
        assert!((1..=3).contains(&steps), "{steps} steps");
        next = page.next;
    }
    let behind = page(&db, 1_000, 10);
    assert_eq!((behind.from, behind.steps.len(), behind.next), (7, 0, None));
    assert_eq!(behind.start.content, ada.text());
}

#[test]
fn what_cannot_be_read_hides_nothing_else_and_stops_no_room() {
    let (mut world, db) = world();
    let mut ada = Client::new(1, Role::Editor);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for n in 0..5 {
        rewrite(&mut world, &mut ada, ["a", "b", "c"][n % 3], 300_000);
        world.later(2_000);
    }
    let rows = count(
        &db,
        "SELECT 1 FROM room_history WHERE room = ? AND part = 0",
    );
    assert!(rows > 2, "{rows}");
    let broken = "UPDATE room_history SET data = ?2 WHERE room = ?1 AND number = ?3 RETURNING 1";
    let number = page(&db, 1, 1).first + 1;
    let values = vec![
        session(1).into(),
        b"no history".to_vec().into(),
        Value::Integer(i64::try_from(number).unwrap()),
    ];
    let update = (&db.inner as &dyn Db).statement(broken, values);
    assert!(update.now_or_never().unwrap().unwrap().is_some());
    let (steps, moments) = all_from(&db, 1);
    assert!(steps.iter().all(|step| step.number != number));
    assert_eq!(moments.last().unwrap().content, ada.text());
    assert_eq!(
        text_after(&db, number).unwrap_err().code,
        ErrorCode::StepNotFound
    );
    rewrite(&mut world, &mut ada, "z", 300_000);
    rewrite(&mut world, &mut ada, "y", 300_000);
    assert_eq!(
        all_from(&db, number + 1).1.last().unwrap().content,
        ada.text()
    );
}

#[test]
fn a_document_that_is_too_heavy_to_take_apart_has_no_history_until_it_is_lighter() {
    let (mut world, db) = world();
    let mut ada = Client::new(1, Role::Editor);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    type_at(&mut world, &mut ada, 0, "light\n");
    for _ in 0..6 {
        type_at(&mut world, &mut ada, 0, &"x".repeat(500_000));
    }
    assert!(page(&db, 1, 1_000).last < 6);
    let whole = u32::try_from(ada.text().len()).unwrap();
    ada.remove(0, whole);
    settle(&mut world, &mut [&mut ada]);
    world.later(2_000);
    for n in 0..250 {
        type_at(&mut world, &mut ada, n, "k");
        world.later(1_000);
    }
    let told = page(&db, u64::MAX, 1);
    assert_eq!(told.start.content, "k".repeat(250));
    let (_, moments) = all_from(&db, 1);
    assert_eq!(moments.last().unwrap().content, "k".repeat(250));
}

#[test]
fn a_deleted_session_leaves_no_history() {
    let (mut world, db) = world();
    let mut ada = Client::new(1, Role::Editor);
    ada.connect(&mut world);
    settle(&mut world, &mut [&mut ada]);
    for n in 0..250 {
        type_at(&mut world, &mut ada, n, "k");
    }
    assert!(page(&db, 1, 1).last > 0);
    let mut deleted = notice(9, &[]);
    deleted.deleted = true;
    let changes = [Change::Access(deleted), Change::Purge];
    assert!(db.persist(&changes));
    let told = page(&db, 1, 1);
    assert_eq!((told.first, told.last, told.steps.len()), (1, 0, 0));
    assert_eq!(told.start, SessionContent::default());
}

#[test]
fn files_that_a_session_begins_with_are_a_step_of_nobody() {
    let (mut world, db) = world();
    let files = [SourceFile {
        path: "lib/a.py".into(),
        content: "a = 1\n".into(),
    }];
    world.give(Input::Initialise {
        content: "main",
        files: &files,
    });
    let told = page(&db, 1, 10);
    assert_eq!((told.first, told.last, told.next), (1, 1, None));
    let step = &told.steps[0];
    assert!(step.user_ids.is_empty());
    let files: Vec<_> = step
        .files
        .iter()
        .map(|f| (f.path.as_deref(), f.change))
        .collect();
    let expected = [
        (None, FileChange::Changed),
        (Some("lib/a.py"), FileChange::Added),
    ];
    assert_eq!(files, expected);
}
