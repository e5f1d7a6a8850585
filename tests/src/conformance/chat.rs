//! What the participants of a session say to each other.

use anyhow::{Result, ensure};
use codecrafter_shared::api::{ChatMessage, ChatMessages, SendChatMessage, Session, UpdateSession};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use futures_util::future::join_all;
use reqwest::Method;

use crate::client::{Answer, Client};
use crate::world::World;

fn path(session: &Session, rest: &str) -> String {
    format!("/api/v1/sessions/{}/chat{rest}", session.id)
}

async fn send(who: &Client, session: &Session, text: &str, key: Option<&str>) -> Result<Answer> {
    let request = SendChatMessage {
        text: text.into(),
        key: key.map(str::to_owned),
    };
    who.post(&path(session, ""), &request).await
}

async fn say(who: &Client, session: &Session, text: &str) -> Result<ChatMessage> {
    send(who, session, text, None).await?.expect(201)
}

async fn read(who: &Client, session: &Session, query: &str) -> Result<ChatMessages> {
    who.get(&path(session, query)).await?.expect(200)
}

async fn delete(who: &Client, session: &Session, seq: u64) -> Result<Answer> {
    let path = path(session, &format!("/{seq}"));
    who.send(who.request(Method::DELETE, &path)).await
}

/// A public session, and somebody who has joined it as a viewer.
async fn two(world: &World) -> Result<(Client, Client, Session)> {
    let (owner, viewer) = (world.user().await?, world.user().await?);
    let session = world.public_session(&owner, Role::Viewer).await?;
    viewer.joined(&session).await?;
    Ok((owner, viewer, session))
}

pub async fn participants_of_any_role_talk_and_read_in_pages(world: World) -> Result<()> {
    let (owner, viewer, session) = two(&world).await?;
    let first = say(&owner, &session, "  hello <b>you</b> & 😀\nsecond line ").await?;
    ensure!(
        first.seq == 1
            && first.text == "hello <b>you</b> & 😀\nsecond line"
            && first.user_id == owner.user()?.id
            && first.display_name == owner.user()?.display_name
            && !first.deleted,
        "{first:?}"
    );
    let mut sent = vec![first];
    for n in 0..4 {
        sent.push(say(&viewer, &session, &format!("message {n}")).await?);
    }
    let all = read(&owner, &session, "").await?;
    ensure!(all.items == sent && !all.more, "{all:?}");
    let last = read(&viewer, &session, "?limit=2").await?;
    ensure!(last.items == sent[3..] && last.more, "{last:?}");
    let older = read(&viewer, &session, "?limit=3&before=4").await?;
    ensure!(older.items == sent[..3] && !older.more, "{older:?}");
    ensure!(read(&owner, &session, "?before=1").await?.items.is_empty());
    for query in [
        "?limit=0",
        "?limit=101",
        "?before=0",
        "?before=x",
        "?after=1",
    ] {
        let answer = owner.get(&path(&session, query)).await?;
        answer.refused(ErrorCode::ValidationFailed)?;
    }
    Ok(())
}

pub async fn a_repeated_message_is_there_once(world: World) -> Result<()> {
    let (owner, viewer, session) = two(&world).await?;
    let one: ChatMessage = send(&owner, &session, "one", Some("k"))
        .await?
        .expect(201)?;
    let again = send(&owner, &session, "one", Some("k")).await?;
    ensure!(again.expect::<ChatMessage>(201)? == one);
    let of_other: ChatMessage = send(&viewer, &session, "one", Some("k"))
        .await?
        .expect(201)?;
    ensure!(of_other.seq == 2, "{of_other:?}");
    let at_once = (0..4).map(|_| send(&viewer, &session, "two", Some("same")));
    for answer in join_all(at_once).await {
        ensure!(answer?.expect::<ChatMessage>(201)?.seq == 3);
    }
    ensure!(read(&owner, &session, "").await?.items.len() == 3);
    Ok(())
}

pub async fn messages_are_deleted_by_their_author_and_by_admins(world: World) -> Result<()> {
    let (owner, viewer, session) = two(&world).await?;
    let other = world.user().await?;
    other.joined(&session).await?;
    let of_owner = say(&owner, &session, "of the owner").await?.seq;
    let of_viewer = say(&viewer, &session, "of the viewer").await?.seq;
    let second = say(&viewer, &session, "another one").await?.seq;
    let forbidden = ErrorCode::Forbidden;
    delete(&viewer, &session, of_owner)
        .await?
        .refused(forbidden)?;
    delete(&other, &session, of_viewer)
        .await?
        .refused(forbidden)?;
    ensure!(delete(&viewer, &session, of_viewer).await?.status == 204);
    ensure!(
        delete(&viewer, &session, of_viewer).await?.status == 204,
        "twice"
    );
    ensure!(delete(&owner, &session, second).await?.status == 204);
    delete(&owner, &session, 99)
        .await?
        .refused(ErrorCode::MessageNotFound)?;
    let left = read(&other, &session, "").await?.items;
    let told: Vec<_> = left.iter().map(|m| (m.seq, &*m.text, m.deleted)).collect();
    let expected = [(1, "of the owner", false), (2, "", true), (3, "", true)];
    ensure!(told == expected, "{told:?}");
    Ok(())
}

pub async fn the_chat_is_for_participants(world: World) -> Result<()> {
    let (owner, viewer, session) = two(&world).await?;
    let stranger = world.user().await?;
    let seq = say(&viewer, &session, "hello").await?.seq;
    let refused = async |who: &Client, code| -> Result<()> {
        send(who, &session, "hi", None).await?.refused(code)?;
        who.get(&path(&session, "")).await?.refused(code)?;
        delete(who, &session, seq).await?.refused(code)?;
        Ok(())
    };
    refused(&stranger, ErrorCode::Forbidden).await?;
    let left = viewer.request(
        Method::POST,
        &format!("/api/v1/sessions/{}/leave", session.id),
    );
    ensure!(viewer.send(left).await?.status == 204);
    refused(&viewer, ErrorCode::Forbidden).await?;
    let private = UpdateSession {
        is_public: Some(false),
        ..Default::default()
    };
    let settings = format!("/api/v1/sessions/{}", session.id);
    owner
        .json(Method::PATCH, &settings, &private)
        .await?
        .expect::<Session>(200)?;
    refused(&stranger, ErrorCode::SessionNotFound).await?;
    refused(&world.stranger(), ErrorCode::TokenMissing).await?;
    Ok(())
}

pub async fn messages_have_limits(world: World) -> Result<()> {
    let (owner, viewer, session) = two(&world).await?;
    for (text, key, field) in [
        ("", None, "text"),
        (" \n ", None, "text"),
        ("\u{1b}[31mred", None, "text"),
        (&*"x".repeat(2_001), None, "text"),
        ("good", Some(""), "key"),
        ("good", Some(&*"k".repeat(65)), "key"),
    ] {
        let answer = send(&owner, &session, text, key).await?;
        let problem = answer.refused(ErrorCode::ValidationFailed)?;
        ensure!(problem.errors[0].field == field, "{problem:?}");
    }
    say(&owner, &session, &"ü".repeat(2_000)).await?;
    for n in 0..limits::CHAT_BURST_MAX {
        say(&viewer, &session, &format!("{n}")).await?;
    }
    let answer = send(&viewer, &session, "too much", None).await?;
    let wait = answer.headers.get("retry-after").cloned();
    answer.refused(ErrorCode::TooManyMessages)?;
    let wait: u32 = wait.map_or(Ok(0), |wait| wait.to_str().unwrap_or("").parse())?;
    ensure!((1..=10).contains(&wait), "{wait}");
    say(&owner, &session, "of somebody else").await?;
    Ok(())
}
