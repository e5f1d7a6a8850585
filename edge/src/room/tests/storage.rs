//! What is stored is loaded again, whatever has happened to it.

use codecrafter_shared::id::SessionId;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use yrs::{Doc, Text, Transact, WriteTxn};

use super::support::{START, notice, session, user};
use crate::native::SqliteDb;
use crate::ports::{Db, DbError, Value};
use crate::room::{Change, Document, LoadedDocument, Stored, store};

struct Rooms {
    db: SqliteDb,
}

impl Rooms {
    async fn new() -> Self {
        let rooms = Self {
            db: SqliteDb::in_memory().unwrap(),
        };
        store::migrate(&rooms.db).await.unwrap();
        store::migrate(&rooms.db).await.unwrap();
        rooms
    }

    async fn load(&self, room: SessionId, now: Timestamp) -> LoadedDocument {
        store::load_document(&self.db, room, now).await.unwrap()
    }

    async fn append(&self, room: SessionId, seq: u64, data: &[u8]) {
        let data = data.to_vec();
        let append = Change::AppendUpdate {
            seq,
            at: START,
            actors: vec![user(1)],
            data,
        };
        store::persist(&self.db, room, &[append]).await.unwrap();
    }

    async fn sql(&self, sql: &str, values: Vec<Value>) -> usize {
        let db: &dyn Db = &self.db;
        let values = &values;
        let rows: Result<usize, DbError> = db
            .transaction(|tx| async move { Ok(tx.execute(sql, values.clone()).await?.len()) })
            .await;
        rows.unwrap()
    }

    async fn quarantined(&self, why: &str) -> usize {
        let sql = "SELECT * FROM room_quarantine WHERE why LIKE ?";
        self.sql(sql, vec![format!("%{why}%").into()]).await
    }
}

/// "a", "b", "c" …, typed one after the other by one client.
fn letters(count: u32) -> Vec<Vec<u8>> {
    let doc = Doc::with_client_id(7);
    (0..count)
        .map(|n| {
            let mut transaction = doc.transact_mut();
            let text = transaction.get_or_insert_text("content");
            let letter = char::from(b'a' + u8::try_from(n % 26).unwrap());
            text.insert(&mut transaction, n, &letter.to_string());
            transaction.commit();
            transaction.encode_update_v1()
        })
        .collect()
}

fn state_of(updates: &[Vec<u8>]) -> Vec<u8> {
    let mut document = Document::new();
    for update in updates {
        document.integrate_stored(update).unwrap();
    }
    document.state().unwrap()
}

#[tokio::test]
async fn a_room_comes_back_as_it_was() {
    let rooms = Rooms::new().await;
    let (room, other) = (session(1), session(2));
    let updates = letters(5);
    for (seq, update) in (1..).zip(&updates) {
        rooms.append(room, seq, update).await;
    }
    rooms.append(other, 1, &updates[0]).await;
    let loaded = rooms.load(room, START).await;
    assert_eq!(loaded.document.content(), "abcde");
    assert_eq!(
        (loaded.generation, loaded.last_seq, loaded.tail_rows),
        (0, 5, 5)
    );
    assert_eq!(
        loaded.tail_bytes,
        updates.iter().map(Vec::len).sum::<usize>()
    );
    assert_eq!(rooms.load(other, START).await.document.content(), "a");
    let blank = rooms.load(session(3), START).await;
    assert_eq!(
        (blank.document.content(), blank.last_seq),
        (String::new(), 0)
    );
}

#[tokio::test]
async fn a_state_takes_the_place_of_updates() {
    let rooms = Rooms::new().await;
    let room = session(1);
    let updates = letters(6);
    for (seq, update) in (1..=4).zip(&updates) {
        rooms.append(room, seq, update).await;
    }
    // Parts of any size, of which the last update is part without ever having been a row.
    let state = state_of(&updates[..5]);
    let parts = state.chunks(7).map(<[u8]>::to_vec).collect();
    let compact = Change::Compact {
        generation: 1,
        base_seq: 5,
        parts,
        last: None,
    };
    store::persist(&rooms.db, room, &[compact]).await.unwrap();
    assert_eq!(rooms.sql("SELECT * FROM room_update", vec![]).await, 0);
    rooms.append(room, 6, &updates[5]).await;
    let loaded = rooms.load(room, START).await;
    assert_eq!(loaded.document.content(), "abcdef");
    assert_eq!(
        (loaded.generation, loaded.last_seq, loaded.tail_rows),
        (1, 6, 1)
    );

    for generation in 2..5 {
        let parts = vec![state_of(&updates)];
        let compact = Change::Compact {
            generation,
            base_seq: 5 + generation,
            parts,
            last: None,
        };
        store::persist(&rooms.db, room, &[compact]).await.unwrap();
    }
    let generations = "SELECT DISTINCT generation FROM room_snapshot";
    assert_eq!(
        rooms.sql(generations, vec![]).await,
        2,
        "one older state is kept"
    );
}

/// On a platform without lasting memory, two inputs at a time each load the room and store what
/// they made of it.
#[tokio::test]
async fn of_two_changes_to_the_same_document_the_second_is_refused() {
    let rooms = Rooms::new().await;
    let room = session(1);
    let updates = letters(4);
    let append = |seq, update: usize| Change::AppendUpdate {
        seq,
        at: START,
        actors: Vec::new(),
        data: updates[update].clone(),
    };
    let compact = |generation, base_seq, known: usize| Change::Compact {
        generation,
        base_seq,
        parts: vec![state_of(&updates[..known])],
        last: None,
    };
    rooms.append(room, 1, &updates[0]).await;
    rooms.append(room, 2, &updates[1]).await;
    for late in [append(2, 2), compact(1, 2, 2), compact(1, 1, 1)] {
        let stored = store::persist(&rooms.db, room, &[late]).await;
        assert_eq!(stored, Err(DbError::Busy));
    }
    let stored = store::persist(&rooms.db, room, &[compact(1, 3, 3)]).await;
    assert_eq!(stored, Ok(()));
    for late in [append(3, 2), append(1, 0), compact(1, 3, 3)] {
        let stored = store::persist(&rooms.db, room, &[late]).await;
        assert_eq!(stored, Err(DbError::Busy));
    }
    rooms.append(room, 4, &updates[3]).await;
    assert_eq!(rooms.load(room, START).await.document.content(), "abcd");
}

#[tokio::test]
async fn access_is_kept_and_never_goes_back() {
    let rooms = Rooms::new().await;
    let room = session(1);
    assert_eq!(
        store::restore(&rooms.db, room).await.unwrap(),
        Stored::default()
    );
    let mut newer = notice(5, &[(1, Role::Owner), (2, Role::Viewer)]);
    newer.locked = true;
    for notice in [newer.clone(), notice(4, &[])] {
        store::persist(&rooms.db, room, &[Change::Access(notice)])
            .await
            .unwrap();
    }
    assert_eq!(
        store::restore(&rooms.db, room).await.unwrap().access,
        Some(newer)
    );
}

#[tokio::test]
async fn changes_are_stored_together_or_not_at_all() {
    let rooms = Rooms::new().await;
    let room = session(1);
    let updates = letters(2);
    rooms.append(room, 1, &updates[0]).await;
    let (at, actors, data) = (START, Vec::new(), updates[1].clone());
    let taken = Change::AppendUpdate {
        seq: 1,
        at,
        actors,
        data,
    };
    let changes = [Change::Access(notice(1, &[])), taken];
    assert!(
        store::persist(&rooms.db, room, &changes).await.is_err(),
        "the number is taken"
    );
    let stored = store::restore(&rooms.db, room).await.unwrap();
    let expected = Stored {
        last_edit: Some(START),
        tail_rows: 1,
        ..Stored::default()
    };
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn an_update_that_cannot_be_read_is_put_aside() {
    let rooms = Rooms::new().await;
    let room = session(1);
    let updates = letters(4);
    rooms.append(room, 1, &updates[0]).await;
    rooms.append(room, 2, &[0x80, 0x80, 0x40]).await;
    rooms.append(room, 3, &updates[1]).await;
    // What comes after a hole cannot be loaded, but it is not lost either.
    rooms.append(room, 4, &updates[3]).await;
    for _ in 0..2 {
        let loaded = rooms.load(room, START).await;
        assert_eq!(loaded.document.content(), "ab");
    }
    assert_eq!(rooms.quarantined("malformed").await, 1);
    assert_eq!(rooms.quarantined("missing").await, 1);
    assert_eq!(rooms.sql("SELECT * FROM room_update", vec![]).await, 2);
}

#[tokio::test]
async fn a_state_that_cannot_be_read_gives_way_to_the_one_before() {
    let rooms = Rooms::new().await;
    let room = session(1);
    let updates = letters(3);
    for (generation, state) in [(1, state_of(&updates[..2])), (2, vec![1, 2, 3])] {
        let compact = Change::Compact {
            generation,
            base_seq: generation + 1,
            parts: vec![state],
            last: None,
        };
        store::persist(&rooms.db, room, &[compact]).await.unwrap();
    }
    let loaded = rooms.load(room, START).await;
    assert_eq!(loaded.document.content(), "ab");
    assert_eq!(
        (loaded.generation, loaded.last_seq),
        (2, 3),
        "numbers are not used again"
    );
    assert_eq!(rooms.quarantined("malformed").await, 1);
    assert_eq!(
        loaded.lost, 1,
        "the room itself writes as another client from now on"
    );
}

#[tokio::test]
async fn what_ends_the_process_while_loading_is_found_out() {
    let rooms = Rooms::new().await;
    let room = session(1);
    for (seq, update) in (1..).zip(&letters(3)) {
        rooms.append(room, seq, update).await;
    }
    // Two loads that never came to an end; a third, piece by piece, that got as far as update 2.
    rooms.load(room, START).await;
    rooms.sql("UPDATE room_head SET loads = 2", vec![]).await;
    let noted = "INSERT INTO room_suspect (room, piece, at) VALUES (?, 'update 2', ?)";
    rooms.sql(noted, vec![room.into(), START.into()]).await;

    // Right now that may be another load, which is still at it.
    let soon = rooms.load(room, START.plus_millis(1_000)).await;
    assert_eq!(soon.document.content(), "abc");
    assert_eq!(
        rooms.sql("SELECT * FROM room_suspect", vec![]).await,
        0,
        "acquitted"
    );

    rooms.sql("UPDATE room_head SET loads = 2", vec![]).await;
    rooms.sql(noted, vec![room.into(), START.into()]).await;
    let later = rooms.load(room, START.plus_millis(60_000)).await;
    assert_eq!(later.document.content(), "a");
    assert_eq!(rooms.quarantined("ended the process").await, 1);
    assert_eq!(
        rooms
            .load(room, START.plus_millis(61_000))
            .await
            .document
            .content(),
        "a"
    );
    assert_eq!(rooms.sql("SELECT * FROM room_suspect", vec![]).await, 0);
}
