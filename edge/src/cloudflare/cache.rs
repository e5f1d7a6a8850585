//! [`Cache`] in Workers KV, or none at all where no namespace is bound.

use async_trait::async_trait;
use worker::send::IntoSendFuture as _;
use worker::{Env, KvStore, console_warn};

use super::glue;
use crate::ports::Cache;

/// The optional binding in `wrangler.toml`.
const BINDING: &str = "CACHE";

/// Workers KV as a cache. Every failure is a miss.
pub struct KvCache(Option<KvStore>);

impl KvCache {
    /// The cache of a deployment; one that holds nothing if it binds no namespace.
    pub fn of(env: &Env) -> Self {
        Self(env.kv(BINDING).ok())
    }
}

#[async_trait]
impl Cache for KvCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let kv = self.0.as_ref()?;
        kv.get(key)
            .bytes()
            .into_send()
            .await
            .unwrap_or_else(|error| {
                console_warn!("cache: {key} was not read: {error}");
                None
            })
    }

    async fn put(&self, key: &str, value: &[u8], seconds: u32) {
        let Some(kv) = &self.0 else { return };
        // Counting for a benchmark never fails a write.
        let _ = glue::count("kvWrites");
        let stored = async {
            kv.put_bytes(key, value)?
                .expiration_ttl(seconds.into())
                .execute()
                .await
        };
        if let Err(error) = stored.into_send().await {
            console_warn!("cache: {key} was not written: {error}");
        }
    }
}
