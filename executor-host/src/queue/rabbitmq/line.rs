//! Connections and channels that are opened when they are needed, and opened anew after they
//! broke. Nothing is retried here: whoever needed the channel gets the error, and asks again later.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicQosOptions, ConfirmSelectOptions};
use lapin::runtime::default_runtime;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Address;
use super::topology::{self, Prefix};
use super::trouble::Trouble;

/// A broker that does not let us in within this time is away.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A broker that does not say goodbye within this time is left without.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// A connection for one purpose: a publisher that the broker slows down must not keep
/// acknowledgements waiting.
pub(super) struct Line {
    address: Address,
    purpose: &'static str,
    connection: Mutex<Option<Connection>>,
}

impl Line {
    /// A line that is not open yet; `purpose` is what the broker's operator sees.
    pub(super) fn new(address: Address, purpose: &'static str) -> Arc<Self> {
        Arc::new(Self {
            address,
            purpose,
            connection: Mutex::new(None),
        })
    }

    /// A new channel.
    pub(super) async fn channel(&self) -> Result<Channel, Trouble> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref().filter(|open| open.status().connected()) {
            return Ok(connection.create_channel().await?);
        }
        *current = None;
        let away = |why: String| Trouble::Away(self.address.to_string(), why);
        let name = format!("codecrafter executor-host {}", self.purpose);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri_with_config(
            self.address.uri(),
            properties,
            self.address.tls(),
            default_runtime()?,
        );
        let connection = timeout(CONNECT_MAX, connecting)
            .await
            .map_err(|_| away("no answer".into()))?
            .map_err(|error| away(error.to_string()))?;
        let channel = connection.create_channel().await?;
        *current = Some(connection);
        Ok(channel)
    }

    /// Whether the broker lets nothing be published on it, as it says once that was tried.
    async fn is_blocked(&self) -> bool {
        let current = self.connection.lock().await;
        current.as_ref().is_some_and(|open| open.status().blocked())
    }

    /// Says goodbye, so that the broker need not wait for what does not come.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            let _ = timeout(CLOSE_MAX, connection.close(200, "done".into())).await;
        }
    }
}

/// How a kept channel is set up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setup {
    /// The broker confirms what is published on it.
    Confirms,
    /// Nothing.
    Plain,
    /// Each consumer on it holds at most so many messages.
    Prefetch(u16),
}

/// A channel that is kept, with everything declared that it may need.
pub(super) struct Kept {
    line: Arc<Line>,
    prefix: Prefix,
    setup: Setup,
    channel: Mutex<Option<Channel>>,
}

impl Kept {
    pub(super) fn new(line: &Arc<Line>, prefix: &Prefix, setup: Setup) -> Self {
        Self {
            line: Arc::clone(line),
            prefix: prefix.clone(),
            setup,
            channel: Mutex::new(None),
        }
    }

    /// The channel, opened anew if it is not open any more.
    pub(super) async fn get(&self) -> Result<Channel, Trouble> {
        let mut kept = self.channel.lock().await;
        if self.is_blocked().await {
            // What was published now would wait in this process's memory, and each repetition too.
            return Err(Trouble::Blocked);
        }
        if let Some(channel) = kept.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        *kept = None;
        let channel = self.line.channel().await?;
        topology::declare(&channel, &self.prefix).await?;
        match self.setup {
            Setup::Confirms => {
                channel
                    .confirm_select(ConfirmSelectOptions::default())
                    .await?;
            }
            Setup::Plain => {}
            Setup::Prefetch(messages) => {
                channel
                    .basic_qos(messages, BasicQosOptions::default())
                    .await?;
            }
        }
        *kept = Some(channel.clone());
        Ok(channel)
    }

    /// Whether the broker lets nothing be published, as far as is known.
    pub(super) async fn is_blocked(&self) -> bool {
        self.line.is_blocked().await
    }

    /// Closes the channel in good order: the broker has heard everything that was said on it.
    pub(super) async fn close(&self) {
        if let Some(channel) = self.channel.lock().await.take() {
            let _ = timeout(CLOSE_MAX, channel.close(200, "done".into())).await;
        }
    }

    /// Gives the channel up: something on it does not answer.
    pub(super) async fn reset(&self) {
        *self.channel.lock().await = None;
    }
}
