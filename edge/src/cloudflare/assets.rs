//! [`Assets`]: the files of the page, by the `ASSETS` binding.

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use worker::send::IntoSendFuture as _;
use worker::{Env, Fetcher, console_warn};

use crate::ports::Assets;

const BINDING: &str = "ASSETS";

/// The static assets of the deployment; in a bare workerd a directory.
pub struct AssetFiles(Option<Fetcher>);

impl AssetFiles {
    /// The files of a deployment; none if it binds none.
    pub fn of(env: &Env) -> Self {
        Self(env.assets(BINDING).ok())
    }

    async fn read(assets: &Fetcher, path: &str) -> worker::Result<Option<Vec<u8>>> {
        let response = assets.fetch(format!("https://assets/{path}"), None).await?;
        if !response.status().is_success() {
            return Ok(None);
        }
        Ok(Some(
            response.into_body().collect().await?.to_bytes().into(),
        ))
    }
}

#[async_trait]
impl Assets for AssetFiles {
    async fn get(&self, path: &str) -> Option<Vec<u8>> {
        let assets = self.0.as_ref()?;
        Self::read(assets, path)
            .into_send()
            .await
            .unwrap_or_else(|error| {
                console_warn!("assets: {path} was not read: {error}");
                None
            })
    }
}
