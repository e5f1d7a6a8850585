//! `executor-host join`: makes a key pair, tells the edge its public half, keeps the rest.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::job::{Enrol, Enrolled};
use jwt_simple::prelude::Ed25519KeyPair;
use reqwest::Url;

use super::client::{self, CallError};
use super::credentials::{Credentials, CredentialsError};

/// What to enrol as, and where.
pub struct Join<'a> {
    /// Scheme, host and port of the edge.
    pub edge: Url,
    /// The deployment's join token.
    pub token: &'a str,
    /// What operators see; 1–100 characters.
    pub name: String,
    /// Enrols anew even if this host is enrolled already.
    pub again: bool,
}

/// What `join` found or did.
#[derive(Debug)]
pub enum Joined {
    /// The host is enrolled now.
    Now(Credentials),
    /// It was enrolled with this edge before; nothing was done.
    Before(Credentials),
}

/// Why the host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The state folder is in use for another edge.
    #[error(
        "this host has joined {0} already; use another --state-dir for a second edge, or --again \
         to leave the first"
    )]
    OtherEdge(Url),
    /// The edge did not enrol it.
    #[error(transparent)]
    Edge(#[from] CallError),
    /// The credentials could not be read or written.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Enrols this host and keeps its credentials in `state_dir`. Harmless to repeat.
///
/// # Errors
///
/// Those of [`JoinError`]; then the credentials are what they were before.
pub async fn join(request: Join<'_>, state_dir: &Path) -> Result<Joined, JoinError> {
    match Credentials::load(state_dir)? {
        Some(known) if request.again => drop(known),
        Some(known) if known.edge == request.edge => return Ok(Joined::Before(known)),
        Some(known) => return Err(JoinError::OtherEdge(known.edge)),
        None => {}
    }
    let key = Ed25519KeyPair::generate();
    let public_key = URL_SAFE_NO_PAD.encode(key.public_key().to_bytes());
    let http = client::http(&request.edge)?;
    let call = http
        .post(client::at(&request.edge, "/internal/executors"))
        .bearer_auth(request.token)
        .json(&Enrol {
            name: request.name,
            public_key,
        });
    let response = call.send().await.map_err(CallError::from)?;
    let enrolled: Enrolled = client::answer(response).await?;
    let credentials = Credentials {
        edge: request.edge,
        executor_id: enrolled.executor_id,
        key,
    };
    credentials.store(state_dir)?;
    Ok(Joined::Now(credentials))
}
