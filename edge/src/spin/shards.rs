//! [`Shards`] in this process: a call is a function's call, and what keeps two requests apart is
//! the database alone.

use std::sync::Arc;

use async_trait::async_trait;

use super::clock::SpinClock;
use super::db::SpinDb;
use crate::directory::Directory;
use crate::ports::{Shard, ShardResponse, ShardUnreachable, Shards};
use crate::room::shard::{self, StoredRoom};

/// All shards.
pub struct InProcess {
    directory: Directory,
    rooms: Arc<Rooms>,
}

impl InProcess {
    /// The deployment's Directory, and its rooms.
    pub fn new(directory: Directory, rooms: Arc<Rooms>) -> Self {
        Self { directory, rooms }
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
            other => self.rooms.post(other, path, body).await,
        }
    }
}

/// The rooms alone: what the Directory itself may call.
pub struct Rooms {
    db: Arc<SpinDb>,
    clock: Arc<SpinClock>,
}

impl Rooms {
    /// The rooms of this deployment.
    pub fn new(clock: Arc<SpinClock>) -> Self {
        let db = Arc::new(SpinDb::of("rooms"));
        Self { db, clock }
    }
}

#[async_trait]
impl Shards for Rooms {
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable> {
        let Shard::Room { session } = shard else {
            return Err(ShardUnreachable(format!("{shard:?} is not here")));
        };
        let room = StoredRoom {
            db: self.db.clone(),
            clock: self.clock.clone(),
            session: *session,
        };
        Ok(shard::handle(&room, path, &body).await)
    }
}
