//! A person's log, and what its clients hear.

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::api::{FeedFrame, NamedUser, Notification, NotificationEvent};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{LoginSessionId, SessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::{EndLogin, Heard, Listen, ReadNotes, TakeNote};
use super::note::Note;
use super::shard::{People, Told};
use super::store;
use super::visitor::Mark;
use crate::error::Refusal;
use crate::native::{HandClock, NativeSignals, SqliteDb};
use crate::ports::Clock as _;
use crate::room::EndedLogin;
use crate::shard::Call;
use crate::token::Caller;

const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn user(n: u8) -> UserId {
    UserId::at(BEGIN, [n; 10])
}

fn caller(n: u8) -> Caller {
    Caller {
        user_id: user(n),
        login_session_id: LoginSessionId::at(BEGIN, [n; 10]),
    }
}

/// Somebody has named the person in a message of that number.
fn mention(by: u8, message_seq: u64, at: i64) -> Note {
    Note {
        at: BEGIN.plus_millis(at),
        event: NotificationEvent::Mentioned {
            session_id: SessionId::at(BEGIN, [by; 10]),
            title: "t".into(),
            message_seq,
            text: "hi".into(),
            by: NamedUser {
                user_id: user(by),
                display_name: "N".into(),
            },
        },
        mark: None,
    }
}

fn lock(session: u8, locked: bool, at: i64) -> Note {
    let (session_id, title) = (SessionId::at(BEGIN, [session; 10]), "t".to_owned());
    let by = NamedUser {
        user_id: user(200),
        display_name: "N".into(),
    };
    let event = if locked {
        NotificationEvent::Locked {
            session_id,
            title,
            by,
        }
    } else {
        NotificationEvent::Unlocked {
            session_id,
            title,
            by,
        }
    };
    Note {
        at: BEGIN.plus_millis(at),
        event,
        mark: None,
    }
}

struct World {
    people: Arc<People>,
    clock: Arc<HandClock>,
    db: Arc<SqliteDb>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(HandClock::default());
        let db = Arc::new(SqliteDb::in_memory().unwrap());
        let people = instance(&db, &clock);
        Self { people, clock, db }
    }

    async fn handle<C: Call>(&self, call: &C) -> (Result<C::Answer, Refusal>, Option<Told>) {
        let body = serde_json::to_vec(call).unwrap();
        let handled = self.people.handle(C::PATH, &body).await;
        let response = handled.response;
        let answer = if response.status == 200 {
            Ok(serde_json::from_slice(&response.body).unwrap())
        } else {
            Err(serde_json::from_slice(&response.body).unwrap())
        };
        (answer, handled.told)
    }

    async fn note(&self, to: u8, mark: &str, note: Note) -> Option<Told> {
        let take = TakeNote {
            user_id: user(to),
            mark: mark.into(),
            note,
        };
        let (answer, told) = self.handle(&take).await;
        answer.unwrap();
        told
    }

    /// The numbers of what is kept, newest first.
    async fn kept(&self, of: u8) -> Vec<u64> {
        let list = store::list(&*self.db, user(of), None, 1_000).await.unwrap();
        list.items.into_iter().map(|note| note.seq).collect()
    }

    async fn listen(&self, who: Caller, after: Option<Mark>, wait_ms: u32) -> Heard {
        listen(&self.people, who, after, wait_ms).await.unwrap()
    }
}

/// What one instance of an edge has in memory.
fn instance(db: &Arc<SqliteDb>, clock: &Arc<HandClock>) -> Arc<People> {
    let signals = Arc::new(NativeSignals::default());
    Arc::new(People::new(db.clone(), clock.clone(), signals))
}

async fn listen(
    people: &People,
    caller: Caller,
    after: Option<Mark>,
    wait_ms: u32,
) -> Result<Heard, Refusal> {
    let listen = Listen {
        caller,
        after,
        wait_ms,
    };
    people.listen(listen).await
}

fn told(frames: &[FeedFrame]) -> Vec<u64> {
    let seq = |frame: &FeedFrame| match frame {
        FeedFrame::Notification { notification, .. } => Some(notification.seq),
        _ => None,
    };
    frames.iter().filter_map(seq).collect()
}

#[tokio::test]
async fn a_note_that_comes_twice_is_there_once_and_told_once() {
    let world = World::new();
    let first = world.note(1, "a", mention(2, 1, 1)).await;
    let Some(Told::Frame(FeedFrame::Notification {
        notification: Notification { seq: 1, read, .. },
        unread: 1,
    })) = first
    else {
        panic!("{first:?}");
    };
    assert!(!read);
    assert_eq!(world.note(1, "a", mention(2, 1, 1)).await, None);
    assert!(world.note(2, "a", mention(3, 1, 1)).await.is_some());
    assert_eq!(world.kept(1).await, [1]);
}

#[tokio::test]
async fn what_is_said_later_about_the_same_takes_the_place_of_what_was_said() {
    let world = World::new();
    world.note(1, "a", lock(7, true, 1)).await;
    world.note(1, "b", lock(8, true, 2)).await;
    world.note(1, "c", lock(7, false, 3)).await;
    assert_eq!(world.kept(1).await, [3, 2]);
    // It was under way for longer than what came after it.
    assert_eq!(world.note(1, "d", lock(7, true, 2)).await, None);
    assert_eq!(world.kept(1).await, [3, 2]);
    let heard = world.listen(
        caller(1),
        Some(Mark {
            seq: 1,
            read_seq: 0,
        }),
        0,
    );
    let heard = heard.await;
    assert_eq!(told(&heard.frames), [2, 3], "and nothing is missing");
}

#[tokio::test]
async fn the_log_is_bounded_and_nobody_fills_it_alone() {
    let world = World::new();
    world.note(1, "first", mention(9, 1, 0)).await;
    for n in 1..=1_000 {
        world.note(1, &n.to_string(), mention(2, n, 1)).await;
    }
    let kept = world.kept(1).await;
    let share = usize::try_from(limits::NOTIFICATIONS_PER_ACTOR_MAX).unwrap();
    assert_eq!(kept.len(), share + 1);
    assert_eq!(
        kept.last(),
        Some(&1),
        "that of somebody else is still there"
    );
    for by in 10..20_u8 {
        for n in 1..=50_u64 {
            let mark = format!("{by} {n}");
            let note = mention(by, n, i64::from(by));
            world.note(1, &mark, note).await;
        }
    }
    let max = usize::try_from(limits::NOTIFICATIONS_MAX).unwrap();
    let kept = world.kept(1).await;
    assert_eq!(kept.len(), max);
    assert_eq!(kept.first(), Some(&1_501));
    // What was dropped, and is said once more, is not news.
    assert_eq!(world.note(1, "first", mention(9, 1, 0)).await, None);
}

#[tokio::test]
async fn who_comes_back_hears_what_was_missed_or_that_it_cannot_be_told() {
    let world = World::new();
    for n in 1..=3 {
        world.note(1, &n.to_string(), mention(2, n, 1)).await;
    }
    let first = world.listen(caller(1), None, 25_000).await;
    assert!(
        matches!(
            first.frames[..],
            [FeedFrame::Hello {
                seq: 3,
                read_seq: 0,
                unread: 3,
                gap: false
            }]
        ),
        "{first:?}"
    );
    let behind = Some(Mark {
        seq: 1,
        read_seq: 0,
    });
    let heard = world.listen(caller(1), behind, 25_000).await;
    assert_eq!(told(&heard.frames), [2, 3]);
    assert_eq!(
        heard.mark,
        Mark {
            seq: 3,
            read_seq: 0
        }
    );
    let gaps = async |seq| {
        let mark = Some(Mark { seq, read_seq: 0 });
        let heard = world.listen(caller(1), mark, 25_000).await;
        matches!(heard.frames[..], [FeedFrame::Hello { gap: true, .. }])
    };
    assert!(gaps(99).await, "there never was such a number");
    for n in 4..=100 {
        world.note(1, &n.to_string(), mention(2, n, 1)).await;
    }
    assert!(gaps(3).await);
    assert!(!gaps(60).await);
}

#[tokio::test]
async fn a_client_that_waits_is_woken_by_news_of_its_own_person_and_by_the_end_of_its_time() {
    let world = World::new();
    let at = Some(Mark {
        seq: 0,
        read_seq: 0,
    });
    let people = world.people.clone();
    let waiting = tokio::spawn(async move { listen(&people, caller(1), at, 3_600_000).await });
    while world.people.listeners.open(user(1)) == 0 {
        tokio::task::yield_now().await;
    }
    world.note(2, "a", mention(3, 1, 1)).await;
    world.note(1, "b", mention(3, 1, 1)).await;
    let heard = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let heard = heard.expect("in time").unwrap().unwrap();
    assert_eq!(told(&heard.frames), [1]);
    assert_eq!(world.people.listeners.open(user(1)), 0);

    let nothing = world.listen(caller(1), Some(heard.mark), 0).await;
    assert!(nothing.frames.is_empty() && nothing.mark == heard.mark);
}

#[tokio::test]
async fn what_another_instance_has_written_is_found() {
    let world = World::new();
    let other = instance(&world.db, &world.clock);
    let at = Some(Mark {
        seq: 0,
        read_seq: 0,
    });
    let waiting = tokio::spawn({
        let other = other.clone();
        async move { listen(&other, caller(1), at, 3_600_000).await }
    });
    while other.listeners.open(user(1)) == 0 {
        tokio::task::yield_now().await;
    }
    world.note(1, "a", mention(3, 1, 1)).await;
    // Nobody can wake the other one: another of its streams finds it, or its own next look.
    while !waiting.is_finished() {
        world.clock.advance_ms(1_000);
        listen(&other, caller(2), at, 0).await.unwrap();
        tokio::task::yield_now().await;
    }
    let heard = waiting.await.unwrap().unwrap();
    assert_eq!(told(&heard.frames), [1]);
}

#[tokio::test]
async fn reading_is_told_to_other_clients_and_goes_one_way() {
    let world = World::new();
    for n in 1..=3 {
        world.note(1, &n.to_string(), mention(2, n, 1)).await;
    }
    let read = async |up_to| {
        let user_id = user(1);
        let (answer, told) = world.handle(&ReadNotes { user_id, up_to }).await;
        let answer = answer.unwrap();
        ((answer.read_seq, answer.unread), told.is_some())
    };
    assert_eq!(read(2).await, ((2, 1), true));
    assert_eq!(read(2).await, ((2, 1), false));
    assert_eq!(read(1).await, ((2, 1), false));
    let mark = Some(Mark {
        seq: 3,
        read_seq: 0,
    });
    let heard = world.listen(caller(1), mark, 25_000).await;
    let read_frame = FeedFrame::Read {
        read_seq: 2,
        unread: 1,
    };
    assert_eq!(heard.frames, [read_frame]);
    assert_eq!(read(u64::MAX).await, ((3, 0), true), "as far as there is");
}

#[tokio::test]
async fn a_login_that_has_ended_hears_nothing_more_and_another_goes_on() {
    let world = World::new();
    let login = |n: u8| Caller {
        user_id: user(1),
        login_session_id: LoginSessionId::at(BEGIN, [n; 10]),
    };
    let at = Some(Mark {
        seq: 0,
        read_seq: 0,
    });
    let people = world.people.clone();
    let waiting = tokio::spawn(async move { listen(&people, login(1), at, 3_600_000).await });
    while world.people.listeners.open(user(1)) == 0 {
        tokio::task::yield_now().await;
    }
    let end = EndLogin {
        login: EndedLogin {
            user_id: user(1),
            login_session_id: login(1).login_session_id,
            until: world.clock.now().plus_millis(60_000),
            and_before: false,
        },
    };
    let (answer, told) = world.handle(&end).await;
    answer.unwrap();
    assert_eq!(told, Some(Told::LoginEnded(login(1).login_session_id)));
    let refused = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let refused = refused.expect("in time").unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::LoginSessionEnded);
    let refused = listen(&world.people, login(1), None, 0).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::LoginSessionEnded);
    world.listen(login(2), None, 0).await;
}

#[tokio::test]
async fn too_many_streams_of_one_person_are_sent_away_for_longer() {
    let world = World::new();
    let at = Some(Mark {
        seq: 0,
        read_seq: 0,
    });
    let max = limits::FEED_SOCKETS_PER_USER_MAX;
    let waiting: Vec<_> = (0..max)
        .map(|_| {
            let people = world.people.clone();
            tokio::spawn(async move { listen(&people, caller(1), at, 3_600_000).await })
        })
        .collect();
    while world.people.listeners.open(user(1)) < max {
        tokio::task::yield_now().await;
    }
    assert!(world.listen(caller(1), at, 3_600_000).await.crowded);
    assert!(!world.listen(caller(2), at, 0).await.crowded);
    for stream in &waiting {
        stream.abort();
    }
    for stream in waiting {
        assert!(stream.await.unwrap_err().is_cancelled());
    }
    assert!(!world.listen(caller(1), at, 0).await.crowded);
}

#[test]
fn ids_of_events_are_read_as_they_are_written() {
    let mark = Mark {
        seq: 7,
        read_seq: 3,
    };
    assert_eq!(Mark::parse(&mark.id()), Some(mark));
    for odd in ["", "7", "7.", "7.3.1", "-1.0", "7.x"] {
        assert_eq!(Mark::parse(odd), None, "{odd}");
    }
}
