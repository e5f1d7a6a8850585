//! [`Shards`] in this process: a call is a function's call, and what keeps two requests apart is
//! the database alone.

use std::sync::Arc;

use async_trait::async_trait;

use crate::directory::Directory;
use crate::limits::shard::LimitsShard;
use crate::notifications::shard::People;
use crate::ports::{Shard, ShardResponse, ShardUnreachable, Shards};
use crate::room::shard;
use crate::room::stream::StreamedRooms;

/// All shards.
pub struct InProcess {
    directory: Directory,
    others: Arc<Others>,
    /// All of them: one database.
    limits: LimitsShard,
}

impl InProcess {
    /// The deployment's Directory, its limits, and what there is besides.
    pub fn new(directory: Directory, others: Arc<Others>, limits: LimitsShard) -> Self {
        Self {
            directory,
            others,
            limits,
        }
    }
}

#[async_trait]
impl Shards for InProcess {
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable> {
        match shard {
            Shard::Directory { tenant } if *tenant == *self.directory.config.tenant => {
                Ok(self.directory.handle(path, &body).await)
            }
            Shard::Limits { .. } => Ok(self.limits.handle(path, &body).await),
            other => self.others.post(other, path, body).await,
        }
    }
}

/// Rooms and people: what the Directory itself may call.
pub struct Others {
    rooms: Arc<StreamedRooms>,
    people: People,
}

impl Others {
    /// The rooms and the people of this deployment.
    pub fn new(rooms: Arc<StreamedRooms>, people: People) -> Self {
        Self { rooms, people }
    }
}

#[async_trait]
impl Shards for Others {
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable> {
        match shard {
            Shard::Room { session } => {
                let room = self.rooms.host(*session);
                Ok(shard::handle(&room, path, &body).await)
            }
            Shard::Person { .. } => Ok(self.people.handle(path, &body).await.response),
            Shard::Directory { .. } | Shard::Limits { .. } => {
                Err(ShardUnreachable(format!("{shard:?} is not here")))
            }
        }
    }
}
