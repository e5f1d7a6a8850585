//! [`Shards`]: each is a Durable Object, reached by its stub.

use async_trait::async_trait;
use worker::Env;
use worker::send::IntoSendFuture as _;

use super::object::Address;
use crate::ports::{Shard, ShardResponse, ShardUnreachable, Shards};

/// Every shard of the deployment. An object must not reach itself through this: it would wait
/// for itself.
pub struct ObjectShards(pub Env);

#[async_trait]
impl Shards for ObjectShards {
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable> {
        Address::of(shard)
            .post(&self.0, path, &body)
            .into_send()
            .await
            .map_err(ShardUnreachable)
    }
}
