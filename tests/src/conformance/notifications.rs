//! What people are told wherever they are, and who is online.

use anyhow::{Context as _, Result, bail, ensure};
use codecrafter_shared::api::{
    AddParticipant, ChangeRole, FeedFrame, FeedPass, MarkRead, NotificationEvent, Notifications,
    OnlinePeople, Participant, ReadState, SendChatMessage, Session, TransferSession, UpdateSession,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{AttemptId, UserId};
use codecrafter_shared::job::{Event, Verdict};
use codecrafter_shared::role::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::executions::request;
use crate::client::{Answer, Client};
use crate::link::{Link, printed, report};
use crate::world::World;

const NOTIFICATIONS: &str = "/api/v1/notifications";

fn path(session: &Session, rest: &str) -> String {
    format!("/api/v1/sessions/{}{rest}", session.id)
}

async fn told(who: &Client) -> Result<Notifications> {
    who.get(NOTIFICATIONS).await?.expect(200)
}

async fn add(by: &Client, session: &Session, who: &Client) -> Result<()> {
    let request = AddParticipant {
        username: who.user()?.username.clone(),
        role: Some(Role::Editor),
    };
    let added = by.post(&path(session, "/participants"), &request).await?;
    added.expect::<Participant>(201).map(drop)
}

async fn lock(by: &Client, session: &Session, locked: bool) -> Result<()> {
    let request = UpdateSession {
        is_locked: Some(locked),
        ..Default::default()
    };
    let changed = by.json(Method::PATCH, &path(session, ""), &request).await?;
    changed.expect::<Session>(200).map(drop)
}

async fn say(by: &Client, session: &Session, text: &str, key: &str) -> Result<()> {
    let request = SendChatMessage {
        text: text.into(),
        key: Some(key.into()),
    };
    let sent = by.post(&path(session, "/chat"), &request).await?;
    sent.expect::<Value>(201).map(drop)
}

async fn read(who: &Client, up_to: u64) -> Result<ReadState> {
    let path = format!("{NOTIFICATIONS}/read");
    who.post(&path, &MarkRead { up_to }).await?.expect(200)
}

async fn pass(who: &Client) -> Result<FeedPass> {
    let path = format!("{NOTIFICATIONS}/connect");
    who.send(who.request(Method::POST, &path))
        .await?
        .expect(200)
}

/// A client of a feed's event stream.
struct Stream {
    client: Client,
    token: String,
    url: String,
    last_id: Option<String>,
}

impl Stream {
    async fn open(world: &World, who: &Client) -> Result<Self> {
        let pass = pass(who).await?;
        Ok(Self {
            client: world.stranger(),
            token: pass.feed_token,
            url: pass.events_url,
            last_id: None,
        })
    }

    async fn ask(&self) -> Result<Answer> {
        let mut request = self.client.request(Method::GET, &self.url);
        request = request.bearer_auth(&self.token);
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        self.client.send(request).await
    }

    /// What the next stream with something in it says.
    async fn next(&mut self) -> Result<Vec<FeedFrame>> {
        for _ in 0..10 {
            let answer = self.ask().await?;
            ensure!(answer.status == 200, "{}", answer.status);
            let text = String::from_utf8(answer.body)?;
            let value = |line: &str, name| line.strip_prefix(name).map(str::to_owned);
            let id = text.lines().find_map(|line| value(line, "id: "));
            self.last_id = Some(id.with_context(|| format!("no id in {text}"))?);
            let data = text.lines().filter_map(|line| value(line, "data: "));
            let frames: Vec<FeedFrame> = data
                .map(|data| serde_json::from_str(&data))
                .collect::<Result<_, _>>()?;
            if !frames.is_empty() {
                return Ok(frames);
            }
        }
        bail!("the feed had nothing to say for a long time")
    }
}

pub async fn who_is_added_changed_locked_out_or_removed_is_told(world: World) -> Result<()> {
    let (owner, user) = (world.user().await?, world.user().await?);
    let session = world.public_session(&owner, Role::Viewer).await?;
    let user_id = user.user()?.id;
    add(&owner, &session, &user).await?;
    let added = told(&user).await?;
    ensure!(added.unread == 1 && !added.more, "{added:?}");
    match &added.items[..] {
        [note] => match &note.event {
            NotificationEvent::Added {
                session_id,
                title,
                role,
                by,
            } => ensure!(
                *session_id == session.id
                    && *title == session.title
                    && *role == Role::Editor
                    && by.user_id == owner.user()?.id
                    && by.display_name == owner.user()?.display_name
                    && !note.read,
                "{note:?}"
            ),
            other => bail!("{other:?}"),
        },
        other => bail!("{other:?}"),
    }
    let request = ChangeRole { role: Role::Admin };
    let of = path(&session, &format!("/participants/{user_id}"));
    owner
        .json(Method::PUT, &of, &request)
        .await?
        .expect::<Participant>(200)?;
    lock(&owner, &session, true).await?;
    let transfer = TransferSession { user_id };
    owner
        .post(&path(&session, "/transfer"), &transfer)
        .await?
        .expect::<Session>(200)?;
    // The last word about a role takes the place of those before it.
    let seen = told(&user).await?.items;
    match &seen[..] {
        [role, lock] => ensure!(
            matches!(
                &role.event,
                NotificationEvent::RoleChanged {
                    role: Role::Owner,
                    ..
                }
            ) && matches!(&lock.event, NotificationEvent::Locked { .. }),
            "{seen:?}"
        ),
        other => bail!("{other:?}"),
    }
    let of = path(&session, &format!("/participants/{}", owner.user()?.id));
    ensure!(user.send(user.request(Method::DELETE, &of)).await?.status == 204);
    let seen = told(&owner).await?.items;
    ensure!(
        matches!(&seen[..], [note] if matches!(&note.event, NotificationEvent::Removed { .. })),
        "of what others have done, and nothing else: {seen:?}"
    );
    Ok(())
}

pub async fn notifications_are_read_in_pages_and_each_person_has_their_own(
    world: World,
) -> Result<()> {
    let (owner, user) = (world.user().await?, world.user().await?);
    for _ in 0..5 {
        let session = world.public_session(&owner, Role::Viewer).await?;
        add(&owner, &session, &user).await?;
    }
    ensure!(told(&owner).await?.items.is_empty());
    let page = async |query: &str| -> Result<(Vec<u64>, bool)> {
        let path = format!("{NOTIFICATIONS}{query}");
        let page: Notifications = user.get(&path).await?.expect(200)?;
        ensure!(page.seq == 5, "{page:?}");
        Ok((page.items.iter().map(|note| note.seq).collect(), page.more))
    };
    ensure!(page("?limit=2").await? == (vec![5, 4], true));
    ensure!(page("?limit=3&before=4").await? == (vec![3, 2, 1], false));
    for query in [
        "?limit=0",
        "?limit=101",
        "?before=0",
        "?before=x",
        "?page=1",
    ] {
        let answer = user.get(&format!("{NOTIFICATIONS}{query}")).await?;
        answer.refused(ErrorCode::ValidationFailed)?;
    }
    let state = read(&user, 3).await?;
    ensure!((state.read_seq, state.unread) == (3, 2), "{state:?}");
    ensure!(read(&user, 1).await? == state, "nothing becomes unread");
    let seen = told(&user).await?;
    let reads: Vec<bool> = seen.items.iter().map(|note| note.read).collect();
    ensure!(reads == [false, false, true, true, true] && seen.unread == 2);
    let all = read(&user, 1_000_000).await?;
    ensure!((all.read_seq, all.unread) == (5, 0), "{all:?}");
    for body in [
        json!({}),
        json!({ "upTo": -1 }),
        json!({ "upTo": 1, "userId": "x" }),
    ] {
        let answer = user.post(&format!("{NOTIFICATIONS}/read"), &body).await?;
        answer.refused(ErrorCode::ValidationFailed)?;
    }
    let stranger = world.stranger();
    let answer = stranger.get(NOTIFICATIONS).await?;
    answer.refused(ErrorCode::TokenMissing)?;
    Ok(())
}

pub async fn a_feed_tells_what_is_new_and_goes_on_where_it_was(world: World) -> Result<()> {
    let (owner, user) = (world.user().await?, world.user().await?);
    let session = world.public_session(&owner, Role::Viewer).await?;
    let mut stream = Stream::open(&world, &user).await?;
    let first = stream.next().await?;
    ensure!(
        matches!(
            first[..],
            [FeedFrame::Hello {
                seq: 0,
                unread: 0,
                gap: false,
                ..
            }]
        ),
        "{first:?}"
    );
    let waiting = tokio::spawn(async move {
        let next = stream.next().await;
        (stream, next)
    });
    add(&owner, &session, &user).await?;
    let (mut stream, news) = waiting.await?;
    let news = news?;
    match &news[..] {
        [
            FeedFrame::Notification {
                notification,
                unread: 1,
            },
        ] => ensure!(notification.seq == 1, "{news:?}"),
        other => bail!("{other:?}"),
    }
    // Nobody listens meanwhile.
    lock(&owner, &session, true).await?;
    say(
        &owner,
        &session,
        &format!("@{}!", user.user()?.username),
        "1",
    )
    .await?;
    let missed = stream.next().await?;
    let numbers: Vec<u64> = missed
        .iter()
        .filter_map(|frame| match frame {
            FeedFrame::Notification { notification, .. } => Some(notification.seq),
            _ => None,
        })
        .collect();
    ensure!(numbers == [2, 3], "{missed:?}");
    read(&user, 3).await?;
    let news = stream.next().await?;
    let all_read = FeedFrame::Read {
        read_seq: 3,
        unread: 0,
    };
    ensure!(news == [all_read], "{news:?}");
    stream.last_id = Some("99.0".into());
    let gap = stream.next().await?;
    ensure!(
        matches!(
            gap[..],
            [FeedFrame::Hello {
                seq: 3,
                gap: true,
                ..
            }]
        ),
        "{gap:?}"
    );
    Ok(())
}

pub async fn a_feed_is_opened_by_its_own_token_and_ends_with_the_login(world: World) -> Result<()> {
    let user = world.user().await?;
    let mut stream = Stream::open(&world, &user).await?;
    stream.next().await?;
    let by = async |token: Option<&str>| -> Result<Answer> {
        let client = world.stranger();
        let mut request = client.request(Method::GET, &format!("{NOTIFICATIONS}/events"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        client.send(request).await
    };
    by(None).await?.refused(ErrorCode::TokenMissing)?;
    let access_token = by(Some(user.token())).await?;
    access_token.refused(ErrorCode::TokenInvalid)?;
    let with_feed_token = world.stranger();
    let request = with_feed_token.request(Method::GET, NOTIFICATIONS);
    let answer = with_feed_token.send(request.bearer_auth(&stream.token));
    answer.await?.refused(ErrorCode::TokenInvalid)?;

    let waiting = tokio::spawn(async move { (stream.ask().await, stream) });
    let logout = user.request(Method::POST, "/api/v1/auth/logout");
    ensure!(user.send(logout).await?.status == 204);
    let (waited, stream) = waiting.await?;
    waited?.refused(ErrorCode::LoginSessionEnded)?;
    stream.ask().await?.refused(ErrorCode::LoginSessionEnded)?;
    Ok(())
}

pub async fn a_run_that_ends_while_its_owner_is_away_is_told_to_them(world: World) -> Result<()> {
    let (owner, user) = (world.user().await?, world.user().await?);
    let session = world.public_session(&owner, Role::Editor).await?;
    user.joined(&session).await?;
    let mut wanted = request("bash", "code");
    wanted.session_id = Some(session.id);
    let execution = user.execute(&wanted).await?;
    let link = Link::enrol(&world, "bash").await?;
    let leases = link.lease(1, 20_000).await?;
    let job = &leases[0].job;
    ensure!(job.execution_id == execution.id, "{leases:?}");
    let attempt = AttemptId::random([4; 16]);
    let reports = vec![
        report(job, attempt, 0, Event::Started),
        report(job, attempt, 1, printed("done")),
    ];
    link.report(reports.clone()).await?;
    link.report(reports).await?;
    let seen = told(&user).await?.items;
    match &seen[..] {
        [note] => ensure!(
            matches!(&note.event, NotificationEvent::RunFinished {
                session_id, execution_id, verdict: Verdict::Accepted, ..
            } if *session_id == session.id && *execution_id == execution.id),
            "{note:?}"
        ),
        other => bail!("{other:?}"),
    }
    ensure!(told(&owner).await?.items.is_empty(), "whose run it was not");
    Ok(())
}

pub async fn who_is_named_in_a_chat_is_told_once(world: World) -> Result<()> {
    let (owner, user, other) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = world.public_session(&owner, Role::Viewer).await?;
    user.joined(&session).await?;
    let name = user.user()?.username.to_uppercase();
    let text = format!("look, @{name} and @{}", other.user()?.username);
    for _ in 0..2 {
        say(&owner, &session, &text, "k").await?;
    }
    let seen = told(&user).await?.items;
    match &seen[..] {
        [note] => ensure!(
            matches!(&note.event, NotificationEvent::Mentioned {
                session_id, message_seq: 1, text: said, ..
            } if *session_id == session.id && *said == text),
            "{note:?}"
        ),
        other => bail!("{other:?}"),
    }
    ensure!(told(&other).await?.items.is_empty(), "who is not in it");
    ensure!(told(&owner).await?.items.is_empty(), "who has said it");
    Ok(())
}

pub async fn participants_see_which_of_them_are_online(world: World) -> Result<()> {
    let (owner, user, stranger) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = world.public_session(&owner, Role::Viewer).await?;
    user.joined(&session).await?;
    let online = async |who: &Client| -> Result<Vec<UserId>> {
        let online = who.get(&path(&session, "/online")).await?;
        Ok(online.expect::<OnlinePeople>(200)?.user_ids)
    };
    ensure!(online(&owner).await?.is_empty());
    // Somebody with two tabs, and somebody who has nothing to do with the session.
    for who in [&user, &user, &stranger] {
        Stream::open(&world, who).await?.next().await?;
    }
    ensure!(online(&owner).await? == [user.user()?.id]);
    let refused = stranger.get(&path(&session, "/online")).await?;
    refused.refused(ErrorCode::Forbidden)?;
    let nowhere = "/api/v1/sessions/01a1fb7f-2c08-7f3a-9b1e-5a1d3e7c9f20/online";
    let refused = stranger.get(nowhere).await?;
    refused.refused(ErrorCode::SessionNotFound)?;
    Ok(())
}
