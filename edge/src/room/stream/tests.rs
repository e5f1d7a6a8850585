//! Rooms between requests: what comes by `POST` goes to the streams of the others, once, in order,
//! also through streams that end, several instances and many requests at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;
use futures_util::{Stream, StreamExt as _};

use super::{NotPosted, Resume, StreamedRooms};
use crate::native::{HandClock, NativeSignals, SqliteDb, SystemRng};
use crate::ports::{Clock as _, DbError};
use crate::room::host::RoomHost as _;
use crate::room::tests::support::{notice, principal, session};
use crate::room::{AccessNotice, ConnectionId, Input, Principal, Wishes, frame};

/// One edit of a client of its own: it inserts a character.
fn edit(client: u8, letter: u8) -> Vec<u8> {
    let update = [1, 1, client, 0, 4, 1, 7];
    let update = [&update[..], b"content", &[1, letter, 0]].concat();
    frame::update(&update)
}

struct World {
    rooms: Arc<StreamedRooms>,
    clock: Arc<HandClock>,
    db: Arc<SqliteDb>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(HandClock::default());
        let db = Arc::new(SqliteDb::in_memory().unwrap());
        let rooms = instance(&db, &clock);
        Self { rooms, clock, db }
    }

    fn principal(&self, n: u8, role: Role) -> Principal {
        Principal {
            expires_at: self.clock.now().plus_millis(3_600_000),
            ..principal(n, role)
        }
    }

    async fn enter(&self, n: u8, role: Role) -> Client {
        Client::enter(&self.rooms, self.principal(n, role)).await
    }

    async fn notice(&self, notice: AccessNotice) {
        let host = self.rooms.host(session(1));
        host.take(Input::Notice(notice)).await.unwrap();
    }
}

/// What one instance of the component has in memory.
fn instance(db: &Arc<SqliteDb>, clock: &Arc<HandClock>) -> Arc<StreamedRooms> {
    let signals = Arc::new(NativeSignals::default());
    let rng = Arc::new(SystemRng);
    Arc::new(StreamedRooms::new(
        db.clone(),
        clock.clone(),
        rng,
        signals,
        1_000,
    ))
}

type Events = Pin<Box<dyn Stream<Item = Result<Bytes, DbError>> + Send>>;

struct Client {
    rooms: Arc<StreamedRooms>,
    principal: Principal,
    id: ConnectionId,
    events: Events,
    text: String,
    last_id: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Open(u64),
    Frame(Vec<u8>),
    Close(u16),
}

impl Client {
    async fn enter(rooms: &Arc<StreamedRooms>, principal: Principal) -> Self {
        let wishes = Wishes::parse("app1,quiet1");
        let events = rooms.open(session(1), principal.clone(), wishes, None);
        let events = Box::pin(events.await.unwrap());
        let mut client = Self {
            rooms: rooms.clone(),
            principal,
            id: ConnectionId(0),
            events,
            text: String::new(),
            last_id: String::new(),
        };
        match client.next().await {
            Some(Event::Open(id)) => client.id = ConnectionId(id),
            other => panic!("{other:?} instead of a welcome"),
        }
        client
    }

    /// The stream was cut; takes it up again at `rooms`.
    async fn resume(&mut self, rooms: &Arc<StreamedRooms>) {
        let resume = Resume::parse(&self.last_id);
        let wishes = Wishes::parse("app1,quiet1");
        let events = rooms.open(session(1), self.principal.clone(), wishes, resume);
        self.events = Box::pin(events.await.unwrap());
        self.rooms = rooms.clone();
        self.text.clear();
    }

    /// The next event with something in it; none once the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let mut found = None;
                let (mut kind, mut data) = ("", "");
                for line in event.lines() {
                    match line.split_once(": ") {
                        Some(("event", value)) => kind = value,
                        Some(("data", value)) => data = value,
                        Some(("id", value)) => self.last_id = value.to_owned(),
                        other => panic!("{other:?}"),
                    }
                }
                match kind {
                    "open" => found = Some(Event::Open(data.parse().unwrap())),
                    "frame" => found = Some(Event::Frame(STANDARD.decode(data).unwrap())),
                    "close" => found = Some(Event::Close(data.parse().unwrap())),
                    _ => {}
                }
                self.text = rest.to_owned();
                if found.is_some() {
                    return found;
                }
            }
            let chunk = self.events.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn hears(&mut self, wanted: &[u8]) {
        loop {
            match self.next().await {
                Some(Event::Frame(frame)) if frame == wanted => return,
                Some(_) => {}
                None => panic!("the stream has ended before {wanted:?}"),
            }
        }
    }

    async fn post(&self, frames: &[&[u8]]) -> Vec<Vec<u8>> {
        let posted = self
            .rooms
            .post(session(1), &self.principal, self.id, frames, false);
        posted.await.unwrap().frames
    }
}

#[tokio::test]
async fn who_asks_is_answered_and_others_hear_of_edits_in_order() {
    let world = World::new();
    let mut ada = world.enter(1, Role::Owner).await;
    let mut bob = world.enter(2, Role::Editor).await;
    let answers = ada.post(&[&frame::sync_step1(&[0])]).await;
    assert_eq!(answers.first(), Some(&frame::sync_step2(&[0, 0])));
    assert_eq!(answers.get(1), Some(&frame::sync_step1(&[0])));
    ada.post(&[&edit(7, b'a'), &edit(8, b'b')]).await;
    bob.hears(&edit(7, b'a')).await;
    bob.hears(&edit(8, b'b')).await;
    bob.post(&[&edit(9, b'c')]).await;
    ada.hears(&edit(9, b'c')).await;
    let content = world.rooms.host(session(1)).content().await.unwrap();
    assert_eq!(content.unwrap().content.len(), 3);
}

#[tokio::test]
async fn a_stream_that_is_taken_up_has_every_frame_once() {
    let world = World::new();
    let mut ada = world.enter(1, Role::Owner).await;
    let bob = world.enter(2, Role::Editor).await;
    bob.post(&[&edit(7, b'a')]).await;
    ada.hears(&edit(7, b'a')).await;
    bob.post(&[&edit(8, b'b')]).await;
    let id = ada.id;
    // Another instance has nothing of this one's memory.
    ada.resume(&instance(&world.db, &world.clock)).await;
    assert_eq!(ada.next().await, Some(Event::Frame(edit(8, b'b'))));
    assert_eq!(ada.id, id, "without a word of another connection");
    bob.post(&[&edit(9, b'c')]).await;
    assert_eq!(ada.next().await, Some(Event::Frame(edit(9, b'c'))));
}

#[tokio::test]
async fn a_connection_without_a_stream_for_too_long_is_gone() {
    let world = World::new();
    let mut ada = world.enter(1, Role::Owner).await;
    let mut bob = world.enter(2, Role::Editor).await;
    ada.post(&[&frame::awareness([(7, 1, Some("{}"))].into_iter())])
        .await;
    while !matches!(bob.next().await, Some(Event::Frame(frame)) if frame.first() == Some(&1)) {}
    world.clock.advance_ms(40_000);
    bob.resume(&world.rooms).await;
    // Whoever has a stream looks after the others: first she is lost, and then taken back.
    bob.hears(&frame::awareness([(7, 1, None)].into_iter()))
        .await;
    let posted = world
        .rooms
        .post(session(1), &ada.principal, ada.id, &[&[3]], false)
        .await;
    assert!(matches!(posted, Err(NotPosted::Gone)));
    ada.resume(&world.rooms).await;
    assert!(matches!(ada.next().await, Some(Event::Open(_))));
}

#[tokio::test]
async fn nobody_posts_for_anybody_else() {
    let world = World::new();
    let ada = world.enter(1, Role::Owner).await;
    let bob = world.enter(2, Role::Editor).await;
    let forged = world
        .rooms
        .post(session(1), &bob.principal, ada.id, &[&edit(7, b'a')], false)
        .await;
    assert!(matches!(forged, Err(NotPosted::Gone)));
}

#[tokio::test]
async fn roles_and_the_lock_hold_and_who_is_removed_is_closed_out() {
    let world = World::new();
    let everybody = [(1, Role::Owner), (2, Role::Editor), (3, Role::Viewer)];
    world.notice(notice(2, &everybody)).await;
    let mut bob = world.enter(2, Role::Editor).await;
    let eve = world.enter(3, Role::Viewer).await;
    let denied = frame::permission_denied("you may not edit this session");
    assert_eq!(eve.post(&[&edit(7, b'x')]).await, [denied]);
    let content = world.rooms.host(session(1)).content().await.unwrap();
    assert_eq!(content.unwrap().content, "");

    world.notice(notice(3, &[(1, Role::Owner)])).await;
    while let Some(event) = bob.next().await {
        if let Event::Close(code) = event {
            assert_eq!(code, CloseCode::Forbidden.code());
        }
    }
    let posted = bob
        .rooms
        .post(session(1), &bob.principal, bob.id, &[&edit(8, b'y')], false)
        .await;
    assert!(matches!(posted, Err(NotPosted::Gone)));
}

#[tokio::test]
async fn who_floods_is_closed_though_the_room_forgets_everything_between_requests() {
    let clock = Arc::new(HandClock::default());
    let db = Arc::new(SqliteDb::in_memory().unwrap());
    let signals = Arc::new(NativeSignals::default());
    let rooms = StreamedRooms::new(db.clone(), clock.clone(), Arc::new(SystemRng), signals, 2);
    let world = World {
        rooms: Arc::new(rooms),
        clock,
        db,
    };
    let mut ada = world.enter(1, Role::Owner).await;
    let mut sent = 0;
    let ended = loop {
        let frames: [&[u8]; 1] = [&frame::sync_step1(&[0])];
        let posted = world
            .rooms
            .post(session(1), &ada.principal, ada.id, &frames, false)
            .await;
        if posted.is_err() {
            break ada.next().await;
        }
        sent += 1;
        assert!(sent < 100);
    };
    // A question counts twice: it is a frame, and so is the answer.
    assert!(sent >= 5);
    let mut event = ended;
    while let Some(Event::Frame(_)) = event {
        event = ada.next().await;
    }
    assert_eq!(event, Some(Event::Close(CloseCode::TooFast.code())));
    assert_eq!(ada.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_through_several_instances_lose_nothing() {
    const CLIENTS: u8 = 6;
    let world = World::new();
    let mut reader = world.enter(1, Role::Owner).await;
    let writers = (0..CLIENTS).map(|n| {
        let rooms = instance(&world.db, &world.clock);
        let principal = world.principal(10 + n, Role::Editor);
        tokio::spawn(async move {
            let client = Client::enter(&rooms, principal).await;
            let (principal, id) = (client.principal.clone(), client.id);
            for letter in 0..10 {
                let frame = edit(20 + n * 10 + letter, b'x');
                let frames: [&[u8]; 1] = [&frame];
                let posted = rooms.post(session(1), &principal, id, &frames, false);
                posted.await.unwrap();
            }
            client
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut heard = 0;
    while heard < usize::from(CLIENTS) * 10 {
        let next = tokio::time::timeout(Duration::from_secs(60), reader.next()).await;
        match next.expect("in time") {
            Some(Event::Frame(frame)) if frame.first() == Some(&0) => heard += 1,
            Some(_) => {}
            // Its time was over.
            None => reader.resume(&world.rooms).await,
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let content = world.rooms.host(session(1)).content().await.unwrap();
    assert_eq!(content.unwrap().content.len(), usize::from(CLIENTS) * 10);
}
