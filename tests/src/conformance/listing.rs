//! Finding sessions.

use anyhow::{Result, ensure};
use codecrafter_shared::api::{CreateSession, Page, Session, SessionSummary, UpdateSession};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::role::Role;
use reqwest::Method;

use crate::client::Client;
use crate::world::World;

fn titled(title: &str, description: &str, language: &str) -> CreateSession {
    CreateSession {
        title: title.into(),
        description: Some(description.into()),
        language: language.into(),
        is_public: Some(true),
        ..Default::default()
    }
}

async fn list(who: &Client, query: &[(&str, &str)]) -> Result<Page<SessionSummary>> {
    let request = who.request(Method::GET, "/api/v1/sessions").query(query);
    who.send(request).await?.expect(200)
}

async fn titles(who: &Client, query: &[(&str, &str)]) -> Result<Vec<String>> {
    let page = list(who, query).await?;
    Ok(page.items.into_iter().map(|item| item.title).collect())
}

pub async fn public_sessions_are_listed_for_everybody(world: World) -> Result<()> {
    let (owner, guest) = (world.user().await?, world.user().await?);
    // Nobody else's sessions have this word.
    let mark = world.name();
    let public = owner
        .create_session(&titled("Public", &mark, "python"))
        .await?;
    let older = owner
        .create_session(&titled("Other", &mark, "rust"))
        .await?;
    let private = CreateSession {
        is_public: Some(false),
        ..titled("Private", &mark, "python")
    };
    let private = owner.create_session(&private).await?;
    let gone = owner
        .create_session(&titled("Gone", &mark, "python"))
        .await?;
    let gone = format!("/api/v1/sessions/{}", gone.id);
    owner.send(owner.request(Method::DELETE, &gone)).await?;
    let touch = UpdateSession {
        title: Some("Changed last".into()),
        ..Default::default()
    };
    let path = format!("/api/v1/sessions/{}", public.id);
    let touched = owner.json(Method::PATCH, &path, &touch).await?;
    touched.expect::<Session>(200)?;

    let all = [("scope", "public"), ("q", mark.as_str())];
    let page = list(&guest, &all).await?;
    ensure!(page.total == 2 && page.items.len() == 2, "{page:?}");
    let first = &page.items[0];
    ensure!(
        first.id == public.id && page.items[1].id == older.id,
        "the newest change is not first: {page:?}"
    );
    ensure!(
        first.role.is_none()
            && first.owner_name == owner.user()?.display_name
            && first.participant_count == 1
            && first.is_public,
        "{first:?}"
    );
    guest.joined(&public).await?;
    let page = list(&guest, &all).await?;
    ensure!(
        page.items[0].role == Some(Role::Viewer) && page.items[0].participant_count == 2,
        "{page:?}"
    );
    let theirs = list(&owner, &all).await?;
    ensure!(theirs.items[0].role == Some(Role::Owner), "{theirs:?}");

    let rust = [("language", "rust"), all[0], all[1]];
    ensure!(titles(&guest, &rust).await? == ["Other"]);
    let second = [("page", "2"), ("limit", "1"), all[0], all[1]];
    let page = list(&guest, &second).await?;
    ensure!(
        page.total == 2 && page.items.len() == 1 && page.items[0].id == older.id,
        "{page:?}"
    );

    let mine = list(&guest, &[("scope", "mine")]).await?;
    ensure!(mine.total == 1 && mine.items[0].id == public.id, "{mine:?}");
    let mine = titles(&owner, &[("q", mark.as_str())]).await?;
    ensure!(
        mine == ["Changed last", private.title.as_str(), "Other"],
        "{mine:?}"
    );
    Ok(())
}

pub async fn words_are_found_in_title_and_description_in_any_case(world: World) -> Result<()> {
    let owner = world.user().await?;
    owner
        .create_session(&titled("Äpfel zählen", "Wie viele sind es?", "python"))
        .await?;
    owner
        .create_session(&titled("50% off_sale", "it's a \\ test", "rust"))
        .await?;
    let found = async |q: &str| titles(&owner, &[("q", q)]).await;
    for q in [
        "äpfel",
        "ÄPFEL",
        "VIELE äpfel",
        "es?",
        "zähl",
        "  es?   wie ",
    ] {
        ensure!(
            found(q).await? == ["Äpfel zählen"],
            "{q}: {:?}",
            found(q).await?
        );
    }
    for q in ["50%", "off_", "IT'S", "\\", "% _"] {
        ensure!(
            found(q).await? == ["50% off_sale"],
            "{q}: {:?}",
            found(q).await?
        );
    }
    for q in ["äpfel off_", "%%", "5_%", "nothing"] {
        ensure!(found(q).await?.is_empty(), "{q}: {:?}", found(q).await?);
    }
    ensure!(found(" ").await?.len() == 2);
    let long: Vec<String> = (0..50)
        .map(|n| char::from(b'a' + n % 26).to_string())
        .collect();
    found(&long.join(" ")).await?;

    let changed = UpdateSession {
        title: Some("Birnen".into()),
        ..Default::default()
    };
    let first = list(&owner, &[("q", "äpfel")]).await?.items[0].id;
    let path = format!("/api/v1/sessions/{first}");
    let answer = owner.json(Method::PATCH, &path, &changed).await?;
    answer.expect::<Session>(200)?;
    ensure!(found("äpfel").await?.is_empty());
    ensure!(found("birnen viele").await? == ["Birnen"]);
    Ok(())
}

pub async fn a_list_asked_for_wrongly_is_told_how(world: World) -> Result<()> {
    let user = world.user().await?;
    let long = "x".repeat(101);
    for (name, value) in [
        ("scope", "everybody"),
        ("scope", ""),
        ("q", long.as_str()),
        ("q", "a\u{0}b"),
        ("page", "10001"),
        ("limit", "-1"),
    ] {
        let request = user.request(Method::GET, "/api/v1/sessions");
        let answer = user.send(request.query(&[(name, value)])).await?;
        let problem = answer.refused(ErrorCode::ValidationFailed)?;
        ensure!(problem.errors[0].field == name, "{problem:?}");
    }
    let stranger = world.stranger();
    let answer = stranger.get("/api/v1/sessions?scope=public").await?;
    answer.refused(ErrorCode::TokenMissing)?;
    Ok(())
}
