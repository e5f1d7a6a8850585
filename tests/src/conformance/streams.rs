//! The way into a room without a WebSocket, where a deployment has it. What goes through it is
//! tried by its clients in `tests/interop/stream.test.mjs`.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::role::Role;
use reqwest::Method;

use crate::client::Answer;
use crate::world::World;

pub async fn frames_are_taken_whole_and_for_a_connection_that_is_there(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = world.public_session(&owner, Role::Viewer).await?;
    let joined = owner.joined(&session).await?;
    let url = joined
        .room_url
        .as_deref()
        .or(joined.room_stream_url.as_deref());
    let url = url.context("no way into the room")?;
    let post = async |token: &str, body: &'static [u8]| -> Result<Answer> {
        let path = format!("{url}/{}/frames?connection=1&token={token}", session.id);
        let stranger = world.stranger();
        let request = stranger.request(Method::POST, &path);
        let request = request.header("Content-Type", "application/octet-stream");
        stranger.send(request.body(body)).await
    };

    let whole = post(&joined.room_token, &[1, 0]).await?;
    if joined.room_stream_url.is_none() {
        whole.refused(ErrorCode::RouteNotFound)?;
        return Ok(());
    }
    ensure!(joined.room_url.is_none(), "two ways: {joined:?}");
    whole.refused(ErrorCode::ConnectionGone)?;
    let cut_off = post(&joined.room_token, &[2, 0]).await?;
    cut_off.refused(ErrorCode::MalformedFrames)?;
    let access_token = post(owner.token(), &[1, 0]).await?;
    access_token.refused(ErrorCode::TokenInvalid)?;
    Ok(())
}
