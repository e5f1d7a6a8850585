//! [`Cache`] in Spin's key-value store, which expires nothing by itself: each value carries the
//! time until which it holds.

use async_trait::async_trait;
use codecrafter_shared::time::Timestamp;
use spin_sdk::key_value::{Error, Store};

use super::clock::SpinClock;
use crate::ports::{Cache, Clock as _};

/// The store `default`. Every failure is a miss.
pub struct KeyValueCache;

#[async_trait]
impl Cache for KeyValueCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        read(key).await.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, key, "the cache was not read");
            None
        })
    }

    async fn put(&self, key: &str, value: &[u8], seconds: u32) {
        let until = SpinClock
            .now()
            .plus_millis(i64::from(seconds).saturating_mul(1_000));
        if let Err(error) = write(key, until, value).await {
            tracing::warn!(cause = %error, key, "the cache was not written");
        }
    }
}

async fn read(key: &str) -> Result<Option<Vec<u8>>, Error> {
    let store = Store::open_default().await?;
    let Some(entry) = store.get(key).await? else {
        return Ok(None);
    };
    if let Some((until, value)) = entry.split_first_chunk()
        && SpinClock.now() < Timestamp::from_millis(i64::from_be_bytes(*until))
    {
        return Ok(Some(value.to_vec()));
    }
    store.delete(key).await?;
    Ok(None)
}

async fn write(key: &str, until: Timestamp, value: &[u8]) -> Result<(), Error> {
    let mut entry = until.as_millis().to_be_bytes().to_vec();
    entry.extend_from_slice(value);
    Store::open_default().await?.set(key, entry).await
}
