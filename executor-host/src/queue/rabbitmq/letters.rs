//! Dead letters on the broker: how messages get there, and how an operator looks at them and puts
//! them back.

use std::sync::Arc;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::{AMQPValue, FieldTable};

use super::line::{Kept, Line, Setup};
use super::message::Message;
use super::publish::{FROM, Outgoing, REASON};
use super::results::Lent;
use super::topology::Prefix;
use super::trouble::Trouble;
use super::{Address, Inner, failed};
use crate::clock;
use crate::queue::QueueError;
use crate::queue::letter::{DeadLetter, Kind};
use crate::queue::reading::Unreadable;

/// The longest reason that is written on a dead letter.
const REASON_BYTES_MAX: usize = 512;

/// A message that is about to be put aside.
pub(super) trait Buried: Send {
    /// What it says.
    fn body(&self) -> &[u8];
    /// Removes it from where it was.
    fn remove(self) -> impl Future<Output = Result<(), Trouble>> + Send;
}

impl Buried for Message {
    fn body(&self) -> &[u8] {
        &self.body
    }
    fn remove(self) -> impl Future<Output = Result<(), Trouble>> + Send {
        self.ack()
    }
}

impl Buried for Lent {
    fn body(&self) -> &[u8] {
        Self::body(self)
    }
    fn remove(self) -> impl Future<Output = Result<(), Trouble>> + Send {
        self.ack()
    }
}

impl Inner {
    /// Ends what a message is about, if it says so, and puts it among the dead letters.
    pub(super) async fn bury(
        &self,
        message: impl Buried,
        kind: Kind,
        unreadable: Unreadable,
    ) -> Result<(), QueueError> {
        let Unreadable { reason, end } = unreadable;
        let execution = end.as_ref().map(|end| end.execution_id.to_string());
        tracing::error!(
            execution.id = execution,
            kind = kind.as_str(),
            reason,
            "put aside an unreadable message"
        );
        if let Some(end) = end {
            let kept = self.keep(self.prefix.results(), &end).await;
            kept.map_err(failed("keep a result"))?;
        }
        self.put_aside(message, kind, &reason).await
    }

    /// Puts a message among the dead letters.
    pub(super) async fn put_aside(
        &self,
        message: impl Buried,
        kind: Kind,
        reason: &str,
    ) -> Result<(), QueueError> {
        let what = "put a message aside";
        let kept = self.keep_letter(message.body().to_vec(), kind, reason);
        kept.await.map_err(failed(what))?;
        message.remove().await.map_err(failed(what))
    }

    /// Keeps a dead letter.
    pub(super) async fn keep_letter(
        &self,
        body: Vec<u8>,
        kind: Kind,
        reason: &str,
    ) -> Result<(), Trouble> {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
        let id = clock::attempt_id().to_string();
        let text = |text: &str| AMQPValue::LongString(text.into());
        let letter = Outgoing::kept(self.prefix.dead(), &id, body)
            .with_headers([(REASON, text(reason)), (FROM, text(kind.as_str()))]);
        letter.confirmed(&self.confirmed).await
    }
}

/// All dead letters under `prefix`, the oldest first. They stay where they are.
///
/// # Errors
///
/// When the broker is not there, or refuses.
pub(in crate::queue) async fn list(
    address: &Address,
    prefix: &Prefix,
) -> Result<Vec<DeadLetter>, QueueError> {
    let mut letters = Vec::new();
    let looked = look(address, prefix, async |letter, _| {
        letters.push(letter);
        Ok(false)
    });
    looked.await.map_err(failed("list dead letters"))?;
    Ok(letters)
}

/// Puts the dead letter `id` back where it came from.
///
/// # Errors
///
/// When the broker is not there, or refuses; the letter is where it was then, or in both places.
pub(in crate::queue) async fn put_back(
    address: &Address,
    prefix: &Prefix,
    id: &str,
) -> Result<bool, QueueError> {
    let line = Line::new(address.clone(), "putting back");
    let confirmed = Arc::new(Kept::new(&line, prefix, Setup::Confirms));
    let put_back = look(address, prefix, async |letter, message| {
        if letter.id != id {
            return Ok(false);
        }
        let queue = match letter.kind {
            Kind::Job => prefix.jobs(),
            Kind::Result => prefix.results(),
        };
        // With an id of its own: workers remember those that they are done with.
        let again = Outgoing::kept(queue, &clock::attempt_id().to_string(), letter.body);
        again.confirmed(&confirmed).await?;
        message.ack(BasicAckOptions::default()).await?;
        Ok(true)
    });
    let put_back = put_back.await.map_err(failed("put a dead letter back"));
    line.close().await;
    put_back
}

/// Shows each dead letter to `see`, until that says that it has seen enough. What was not
/// acknowledged goes back in its place when the connection ends. Returns whether it was enough.
async fn look(
    address: &Address,
    prefix: &Prefix,
    mut see: impl AsyncFnMut(DeadLetter, &BasicGetMessage) -> Result<bool, Trouble>,
) -> Result<bool, Trouble> {
    let line = Line::new(address.clone(), "dead letters");
    let seen = async {
        let channel = line.channel().await?;
        loop {
            let queue = prefix.dead();
            let options = BasicGetOptions::default();
            let message = match channel.basic_get((&*queue).into(), options).await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(false),
                Err(error) if super::counts::is_missing(&error) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            if see(letter(&message), &message).await? {
                return Ok(true);
            }
        }
    };
    let seen = seen.await;
    line.close().await;
    seen
}

fn letter(message: &BasicGetMessage) -> DeadLetter {
    let properties = &message.delivery.properties;
    let headers = properties.headers().as_ref();
    let header = |name| headers.and_then(|headers: &FieldTable| headers.inner().get(name));
    let text = |name| match header(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        Some(AMQPValue::ShortString(text)) => Some(text.to_string()),
        _ => None,
    };
    let body = message.delivery.data.clone();
    let kind = text(FROM).and_then(|name| Kind::from_name(&name));
    let kind = kind.unwrap_or_else(|| Kind::of_body(&body));
    // The broker puts messages here by itself, too.
    let by_broker = || text("x-first-death-reason").map(|why| format!("by the broker: {why}"));
    let reason = text(REASON).or_else(by_broker).unwrap_or_default();
    let id = properties.message_id().as_ref();
    // What others have sent may have no id; its place is as good while nothing is put back.
    let id = id.map_or_else(
        || format!("tag-{}", message.delivery.delivery_tag),
        ToString::to_string,
    );
    DeadLetter::new(id, kind, reason, body)
}
