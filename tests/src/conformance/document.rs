//! A session's document, written and read over REST, for the promises about what becomes of it.

use anyhow::Result;
use codecrafter_shared::api::{CreateSession, Session, SessionContent, WriteContent};
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::role::Role;
use reqwest::Method;

use crate::client::Client;

/// A route of the session.
pub fn path(session: &Session, rest: &str) -> String {
    format!("/api/v1/sessions/{}{rest}", session.id)
}

/// A public session in which whoever joins may edit.
///
/// # Errors
/// If it is refused.
pub async fn session(owner: &Client, content: &str) -> Result<Session> {
    let request = CreateSession {
        title: "Document".into(),
        language: "python".into(),
        content: Some(content.into()),
        is_public: Some(true),
        join_role: Some(Role::Editor),
        ..Default::default()
    };
    owner.create_session(&request).await
}

/// Makes the document this and nothing else.
///
/// # Errors
/// If it is refused.
pub async fn write(
    who: &Client,
    session: &Session,
    content: &str,
    files: &[(&str, &str)],
) -> Result<()> {
    let files = files.iter().map(|(path, content)| SourceFile {
        path: (*path).into(),
        content: (*content).into(),
    });
    let request = WriteContent {
        content: Some(content.into()),
        files: Some(files.collect()),
    };
    let answer = who
        .json(Method::PUT, &path(session, "/content"), &request)
        .await?;
    answer.expect::<SessionContent>(200)?;
    Ok(())
}

/// The document as it stands.
///
/// # Errors
/// If it is refused.
pub async fn content(who: &Client, session: &Session) -> Result<SessionContent> {
    who.get(&path(session, "/content")).await?.expect(200)
}
