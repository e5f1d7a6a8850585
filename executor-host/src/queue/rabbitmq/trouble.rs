//! What can go wrong with a broker.

/// What went wrong, in words for an operator. No text has a password in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("RabbitMQ at {0} is not there: {1}")]
    Away(String, String),
    #[error(
        "RabbitMQ takes no messages at the moment: it is short of memory or disk \
         (`rabbitmq-diagnostics alarms` tells)"
    )]
    Blocked,
    #[error("RabbitMQ has ended the connection or channel: {0}")]
    Broken(String),
    #[error(
        "the {kind} `{name}` is not what this version of executor-host needs: {told}. \
         Let it run empty, delete it (`rabbitmqctl delete_queue {name}`; an exchange goes with \
         its vhost or in the management page), and it is made anew; or use another --amqp-prefix"
    )]
    Differs {
        kind: &'static str,
        name: String,
        told: String,
    },
    #[error(
        "another link works on `{0}.*` at this broker. There is one link to a prefix: \
         run this host with --role worker, or use another --amqp-prefix"
    )]
    OtherLink(String),
    #[error("RabbitMQ has no queue `{0}`; it is made anew by the next try")]
    NoQueue(String),
    #[error("the queue `{0}` is full")]
    Full(String),
    #[error("RabbitMQ did not confirm a message in time{0}")]
    Unconfirmed(&'static str),
    #[error("the message cannot be written: {0}")]
    Unwritable(serde_json::Error),
    #[error("what was taken is not ours any more, because the connection was lost")]
    Lost,
}

impl From<lapin::Error> for Trouble {
    fn from(error: lapin::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
