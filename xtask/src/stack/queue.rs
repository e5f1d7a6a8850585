//! Which queue carries a stack's jobs: the one in the executor-host, or RabbitMQ; and then whose.

use std::env;
use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::broker::{self, Ports};
use crate::amqp;

/// Where a broker of this machine listens, unless somebody has moved it.
const USUAL_PORT: u16 = 5672;

/// The variable by which the executor-host is told of a broker.
pub const AMQP_URL: &str = "AMQP_URL";

/// The variable by which the executor-host is told what the names on a broker begin with.
pub const AMQP_PREFIX: &str = "CODECRAFTER_AMQP_PREFIX";

/// What carries jobs between the executor-host's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Queue {
    /// In the executor-host itself.
    Embedded,
    /// A message broker.
    Rabbitmq,
}

impl Queue {
    /// The name that the executor-host has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Rabbitmq => "rabbitmq",
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A queue, and whose broker it is kept in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Carrier {
    /// No broker.
    #[default]
    Embedded,
    /// A broker that others run, by its URL, which may hold a password.
    Found(String),
    /// A node of the stack's own.
    Private(Ports),
}

impl Carrier {
    /// What `up` uses: what was asked for, else a broker that it finds, else none.
    ///
    /// Found is the one that `AMQP_URL` names, else one of this machine that listens where brokers
    /// usually do and knows the account that a new one has. An `AMQP_URL` that is set and empty
    /// says that none is wanted.
    pub fn choose(asked: Option<Queue>) -> Result<Self> {
        let named = env::var(AMQP_URL).ok();
        let usual = || amqp::sign_in(USUAL_PORT).is_ok();
        match choose(asked, named, usual) {
            Choice::Embedded => Ok(Self::Embedded),
            Choice::Found(url) => Ok(Self::Found(url)),
            Choice::Private => Self::private(),
        }
    }

    /// A node of the stack's own, on ports that nobody listens on.
    pub fn private() -> Result<Self> {
        Ports::free().map(Self::Private)
    }

    /// Which queue it is.
    pub const fn queue(&self) -> Queue {
        match self {
            Self::Embedded => Queue::Embedded,
            Self::Found(_) | Self::Private(_) => Queue::Rabbitmq,
        }
    }

    /// Whether RabbitMQ must be installed for it.
    pub const fn needs_program(&self) -> bool {
        matches!(self, Self::Private(_))
    }

    /// The broker's URL; empty if there is none.
    pub fn url(&self) -> String {
        match self {
            Self::Embedded => String::new(),
            Self::Found(url) => url.clone(),
            Self::Private(ports) => ports.url(),
        }
    }
}

/// For people, without passwords.
impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("the queue in the executor-host"),
            Self::Found(url) => {
                let host = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
                write!(f, "the RabbitMQ found at {host}")
            }
            Self::Private(_) => f.write_str("a RabbitMQ of its own"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Embedded,
    Found(String),
    Private,
}

fn choose(asked: Option<Queue>, named: Option<String>, usual: impl Fn() -> bool) -> Choice {
    let found = match named {
        Some(url) if url.is_empty() => None,
        Some(url) => Some(url),
        None => usual().then(|| broker::guest_url(USUAL_PORT)),
    };
    match (asked, found) {
        (Some(Queue::Embedded), _) | (None, None) => Choice::Embedded,
        (_, Some(url)) => Choice::Found(url),
        (Some(Queue::Rabbitmq), None) => Choice::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "amqp://ada:secret@broker:5672/%2f";

    #[test]
    fn a_broker_that_is_named_or_found_is_used_and_else_none() {
        let named = || Some(NAMED.to_owned());
        assert_eq!(choose(None, named(), || true), Choice::Found(NAMED.into()));
        assert_eq!(choose(None, None, || false), Choice::Embedded);
        let usual = Choice::Found("amqp://guest:guest@127.0.0.1:5672/%2f".into());
        assert_eq!(choose(None, None, || true), usual);
        assert_eq!(choose(None, Some(String::new()), || true), Choice::Embedded);
    }

    #[test]
    fn what_is_asked_for_is_what_there_is() {
        let (embedded, rabbitmq) = (Some(Queue::Embedded), Some(Queue::Rabbitmq));
        assert_eq!(
            choose(embedded, Some(NAMED.into()), || true),
            Choice::Embedded
        );
        assert_eq!(choose(rabbitmq, None, || false), Choice::Private);
        assert_eq!(
            choose(rabbitmq, Some(String::new()), || true),
            Choice::Private
        );
        assert_eq!(
            choose(rabbitmq, Some(NAMED.into()), || false),
            Choice::Found(NAMED.into())
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = Carrier::Found(NAMED.to_owned()).to_string();
        assert_eq!(shown, "the RabbitMQ found at broker:5672/%2f");
    }
}
