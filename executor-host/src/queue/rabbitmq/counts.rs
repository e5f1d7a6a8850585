//! What waits at the broker, and how much room that leaves. A broker tells what is in its queues,
//! not what its clients have in hand.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use tokio::time::Instant;

use super::line::Line;
use super::topology::{self, Prefix};
use super::trouble::Trouble;
use super::{Address, Inner};
use crate::queue::Depth;

/// How often the broker is asked what waits, at least while there is no room: jobs come to their
/// end unnoticed elsewhere.
pub(super) const ROOM_EVERY: Duration = Duration::from_secs(2);

impl Inner {
    /// How many of the jobs that waited at the broker were there a moment ago.
    pub(super) fn counted_lately(&self) -> Option<u32> {
        let (ready, at) = self.memory().counted?;
        (at.elapsed() < ROOM_EVERY).then_some(ready)
    }

    /// How much of `capacity` is left beside `ready` jobs that wait at the broker. It knows what
    /// waits, also from before this process; we know what we sent and did not see end, wherever
    /// it runs.
    pub(super) fn room_beside(&self, ready: u32, capacity: u32) -> u32 {
        let known = self.memory().jobs.len(Instant::now());
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        let running = self.running.load(Ordering::Relaxed);
        capacity.saturating_sub(known.max(ready.saturating_add(running)))
    }

    pub(super) async fn depth(&self) -> Result<Depth, Trouble> {
        let channel = self.counting.get().await?;
        let asked = self.prefix.durable().into_iter().map(async |name| {
            let count = ready(&channel, &name).await?;
            Ok::<_, Trouble>((name, count))
        });
        // All at once: the broker may be far away.
        let counts = try_join_all(asked).await?;
        let mut depth = depth(&self.prefix, &counts);
        self.memory().counted = Some((depth.ready, Instant::now()));
        depth.running = self.running.load(Ordering::Relaxed);
        depth.results = depth.results.saturating_add(self.results.held());
        if self.is_the_link().await {
            // What is on its way to us is neither there nor here.
            let stored = self.memory().results.len(Instant::now());
            let stored = u32::try_from(stored).unwrap_or(u32::MAX);
            depth.results = depth.results.max(stored);
        }
        Ok(depth)
    }
}

/// What waits under `prefix` at `address`; nothing is made there.
pub(super) async fn inspect(address: Address, prefix: &Prefix) -> Result<Depth, Trouble> {
    let line = Line::new(address, "counting");
    let counted = async {
        let mut counts = Vec::new();
        for name in prefix.durable() {
            // A question about a queue that is not there closes the channel.
            counts.push((name.clone(), ready(&line.channel().await?, &name).await?));
        }
        Ok(depth(prefix, &counts))
    };
    let counted = counted.await;
    line.close().await;
    counted
}

/// Whether there is no such queue. The channel is closed then.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    topology::soft(error) == Some(AMQPSoftError::NOTFOUND)
}

/// How many messages wait in the queue `name`; a queue that is not there has none. The channel is
/// closed then.
async fn ready(channel: &Channel, name: &str) -> Result<u32, Trouble> {
    let passive = QueueDeclareOptions::durable().passive();
    let declared = channel
        .queue_declare(name.into(), passive, FieldTable::default())
        .await;
    match declared {
        Ok(queue) => Ok(queue.message_count()),
        Err(error) if is_missing(&error) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// What waits, from the counts of every queue by name.
fn depth(prefix: &Prefix, counts: &[(String, u32)]) -> Depth {
    let of = |names: &HashSet<String>| {
        let named = counts.iter().filter(|(name, _)| names.contains(name));
        named.map(|(_, count)| count).sum()
    };
    Depth {
        ready: of(&prefix.waiting().into_iter().collect()),
        running: 0,
        results: of(&HashSet::from([prefix.results()])),
        parked: of(&HashSet::from([prefix.dead(), prefix.given_up()])),
    }
}
