//! What is told to everybody who listens: control messages, live reports, announcements.

use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use serde::de::DeserializeOwned;

use super::line::Line;
use super::publish::URGENT;
use super::topology::{self, Broadcast, Prefix};
use super::trouble::Trouble;

/// Messages that a listener holds at a time; more wait at the broker, up to the queue's limit.
const HELD_MAX: u16 = 64;

/// A message that was read.
pub(super) struct Told<T> {
    pub(super) content: T,
    /// Whether somebody waits for it at a keyboard.
    pub(super) urgent: bool,
}

/// A listener. Its queue goes with its connection.
pub(super) struct Listener {
    consumer: Consumer,
    // Closed when it is dropped.
    _channel: Channel,
}

impl Listener {
    /// Listens from now on.
    pub(super) async fn open(
        line: &Line,
        prefix: &Prefix,
        broadcast: Broadcast,
    ) -> Result<Self, Trouble> {
        let channel = line.channel().await?;
        topology::declare(&channel, prefix).await?;
        let queue = topology::declare_listener(&channel, prefix, broadcast).await?;
        channel
            .basic_qos(HELD_MAX, BasicQosOptions::default())
            .await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel
            .basic_consume((&*queue).into(), "listener".into(), options, none)
            .await?;
        Ok(Self {
            consumer,
            _channel: channel,
        })
    }

    /// Waits for the next message that can be read.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Told<T>, Trouble> {
        loop {
            let delivery = match self.consumer.next().await {
                Some(delivery) => delivery?,
                None => return Err(Trouble::Lost),
            };
            // Parsed before anything is waited for, so that a dropped future loses nothing.
            let parsed = serde_json::from_slice(&delivery.data);
            let _ = futures_util::FutureExt::now_or_never(
                delivery.acker.ack(BasicAckOptions::default()),
            );
            match parsed {
                Ok(content) => {
                    let urgent = *delivery.properties.priority() >= Some(URGENT);
                    return Ok(Told { content, urgent });
                }
                Err(error) => {
                    tracing::warn!(%error, "passed over a broadcast that cannot be read");
                }
            }
        }
    }
}
