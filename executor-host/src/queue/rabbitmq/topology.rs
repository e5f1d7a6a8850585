//! Everything that exists on the broker, declared in one place; `docs/queue.md` shows it as a
//! table. Declaring is harmless to repeat. What is there already with other properties is left
//! alone, and told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::trouble::Trouble;

/// A job that came back more often than this without an acknowledgement is handed to no worker any
/// more; the link says so. Above [`super::COUNT_MAX`], beyond which a worker says so: this is for a
/// job that no worker survives long enough.
pub const DELIVERY_LIMIT: i64 = 8;
/// More jobs than any deployment leases at a time; one more is refused.
const JOBS_MAX: i64 = 10_000;
/// More results than any link leaves behind; one more is refused, and its worker keeps it.
const RESULTS_MAX: i64 = 100_000;
/// Of the dead letters, the newest so many are kept for an operator to look at.
const DEAD_MAX: i64 = 1_000;
/// Results come back with every restart of a link, however many there are. RabbitMQ 4 has a limit
/// of 20 unless told otherwise.
const RESULTS_DELIVERY_LIMIT: i64 = 1_000_000;
/// Bytes of live reports that wait for the link; the oldest are dropped then.
const LIVE_BYTES_MAX: i64 = 16 << 20;
/// Control messages, or announcements, that wait for a slow reader.
const LISTENER_MESSAGES_MAX: i64 = 1024;

/// The delays that a job can be given back with. It waits in a queue of its own per delay, because
/// messages expire at the head of a queue only.
const DELAYS: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(30),
    Duration::from_secs(600),
];

/// What all names on the broker begin with, so that several deployments can share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// The prefix cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has 1–100 characters of A–Z, a–z, 0–9, `.`, `_` and `-`")]
pub struct PrefixError;

impl Default for Prefix {
    fn default() -> Self {
        Self("codecrafter".to_owned())
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=100).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PrefixError)
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names under a prefix.
impl Prefix {
    pub(super) fn jobs(&self) -> String {
        format!("{self}.jobs")
    }

    pub(super) fn results(&self) -> String {
        format!("{self}.results")
    }

    pub(super) fn dead(&self) -> String {
        format!("{self}.dead")
    }

    /// Jobs that came back too often, until the link has told their owners.
    pub(super) fn given_up(&self) -> String {
        format!("{self}.jobs.given_up")
    }

    /// The shortest delay that is no shorter than `wanted`, or else the longest.
    pub(super) fn delayed(&self, wanted: Duration) -> String {
        let fits = DELAYS.iter().find(|delay| **delay >= wanted);
        self.delayed_by(*fits.unwrap_or(&DELAYS[DELAYS.len() - 1]))
    }

    fn delayed_by(&self, delay: Duration) -> String {
        format!("{self}.jobs.delayed.{}s", delay.as_secs())
    }

    /// Every queue that jobs wait in, the delayed ones included.
    pub(super) fn waiting(&self) -> Vec<String> {
        let delayed = DELAYS.iter().map(|delay| self.delayed_by(*delay));
        std::iter::once(self.jobs()).chain(delayed).collect()
    }

    /// Every queue that outlives its connections.
    pub(super) fn durable(&self) -> Vec<String> {
        let mut names = self.waiting();
        names.extend([self.results(), self.dead(), self.given_up()]);
        names
    }

    /// What the one link of the deployment holds while it is there.
    pub(super) fn link(&self) -> String {
        format!("{self}.link")
    }

    pub(super) fn exchange(&self, broadcast: Broadcast) -> String {
        let name = match broadcast {
            Broadcast::Control => "control",
            Broadcast::Live => "live",
            Broadcast::Workers => "workers",
        };
        format!("{self}.{name}")
    }
}

/// What is told to everybody who listens at the moment, and kept for nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broadcast {
    /// Control messages: from the link to every worker.
    Control,
    /// Live reports: from every worker to the link.
    Live,
    /// What each worker can run: from every worker to the link.
    Workers,
}

impl Broadcast {
    pub(super) const ALL: [Self; 3] = [Self::Control, Self::Live, Self::Workers];
}

/// Declares what outlives its connections. A `channel` that answered with an error is closed.
///
/// # Errors
///
/// [`Trouble::Differs`] when something of that name is there with other properties.
pub(super) async fn declare(channel: &Channel, prefix: &Prefix) -> Result<(), Trouble> {
    let dead = prefix.dead();
    let keeps_newest = [
        ("x-max-length", DEAD_MAX.into()),
        ("x-overflow", text("drop-head")),
        ("x-delivery-limit", RESULTS_DELIVERY_LIMIT.into()),
    ];
    quorum(channel, &dead, keeps_newest).await?;
    let given_up = [
        ("x-delivery-limit", RESULTS_DELIVERY_LIMIT.into()),
        ("x-max-length", JOBS_MAX.into()),
    ];
    let given_up = passing_on(&dead, given_up);
    quorum(channel, &prefix.given_up(), given_up).await?;
    let jobs = [
        ("x-delivery-limit", DELIVERY_LIMIT.into()),
        ("x-max-length", JOBS_MAX.into()),
    ];
    let jobs = passing_on(&prefix.given_up(), jobs);
    quorum(channel, &prefix.jobs(), jobs).await?;
    let results = [
        ("x-delivery-limit", RESULTS_DELIVERY_LIMIT.into()),
        ("x-max-length", RESULTS_MAX.into()),
    ];
    quorum(channel, &prefix.results(), passing_on(&dead, results)).await?;
    for delay in DELAYS {
        let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let expires = passing_on(&prefix.jobs(), [("x-message-ttl", millis.into())]);
        quorum(channel, &prefix.delayed_by(delay), expires).await?;
    }
    for broadcast in Broadcast::ALL {
        let name = prefix.exchange(broadcast);
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default();
        let declared = channel
            .exchange_declare((&*name).into(), ExchangeKind::Fanout, options, none)
            .await;
        declared.map_err(|error| differs("exchange", &name, error))?;
    }
    Ok(())
}

/// Declares the queue of one listener, which goes when its connection does, and returns its name.
pub(super) async fn declare_listener(
    channel: &Channel,
    prefix: &Prefix,
    broadcast: Broadcast,
) -> Result<String, Trouble> {
    let (name, limit) = match broadcast {
        Broadcast::Live => (prefix.link(), ("x-max-length-bytes", LIVE_BYTES_MAX.into())),
        // The broker makes up a name.
        Broadcast::Control | Broadcast::Workers => (
            String::new(),
            ("x-max-length", LISTENER_MESSAGES_MAX.into()),
        ),
    };
    let arguments = table([limit, ("x-overflow", text("drop-head"))]);
    // Not auto-delete: a link that does not listen at the moment holds on to its place.
    let options = QueueDeclareOptions::exclusive();
    let declared = channel
        .queue_declare((&*name).into(), options, arguments)
        .await;
    let name = match declared {
        Ok(queue) => queue.name().as_str().to_owned(),
        Err(error) if soft(&error) == Some(AMQPSoftError::RESOURCELOCKED) => {
            return Err(Trouble::OtherLink(prefix.to_string()));
        }
        Err(error) => return Err(differs("queue", &name, error)),
    };
    let (from, options) = (prefix.exchange(broadcast), QueueBindOptions::default());
    let none = FieldTable::default();
    channel
        .queue_bind((&*name).into(), (&*from).into(), "".into(), options, none)
        .await?;
    Ok(name)
}

/// The AMQP error that closes a channel and not the connection, if `error` is one.
pub(super) fn soft(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

async fn quorum<'a>(
    channel: &Channel,
    name: &str,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> Result<(), Trouble> {
    let mut arguments = table(arguments);
    arguments.insert("x-queue-type".into(), text("quorum"));
    let declared = channel
        .queue_declare(name.into(), QueueDeclareOptions::durable(), arguments)
        .await;
    declared.map_err(|error| differs("queue", name, error))?;
    Ok(())
}

/// `arguments`, and those that let a queue pass dead letters on without losing one. RabbitMQ wants
/// a full queue to refuse then.
fn passing_on<'a, const N: usize>(
    to: &str,
    arguments: [(&'a str, AMQPValue); N],
) -> impl Iterator<Item = (&'a str, AMQPValue)> + use<'a, N> {
    let passing_on = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(to)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    arguments.into_iter().chain(passing_on)
}

fn differs(kind: &'static str, name: &str, error: lapin::Error) -> Trouble {
    match (soft(&error), error.kind()) {
        (Some(AMQPSoftError::PRECONDITIONFAILED), ErrorKind::ProtocolError(told)) => {
            Trouble::Differs {
                kind,
                name: name.to_owned(),
                told: told.get_message().as_str().to_owned(),
            }
        }
        _ => error.into(),
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_never_cut_short_except_the_longest() {
        let prefix = Prefix::default();
        let delayed = |millis| prefix.delayed(Duration::from_millis(millis));
        assert_eq!(delayed(1), "codecrafter.jobs.delayed.2s");
        assert_eq!(delayed(2_000), "codecrafter.jobs.delayed.2s");
        assert_eq!(delayed(2_001), "codecrafter.jobs.delayed.4s");
        assert_eq!(delayed(4_001), "codecrafter.jobs.delayed.30s");
        assert_eq!(delayed(9_999_999), "codecrafter.jobs.delayed.600s");
    }

    #[test]
    fn a_prefix_is_of_characters_that_need_no_quoting() {
        assert_eq!("lab-1.x_y".parse(), Ok(Prefix("lab-1.x_y".into())));
        for wrong in ["", "a b", "ä", &"x".repeat(101)] {
            assert_eq!(wrong.parse::<Prefix>(), Err(PrefixError));
        }
    }
}
