//! Where a promise is tried: a deployment, and what its operator knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use codecrafter_edge::token::Keys;
use codecrafter_shared::api::{CreateSession, Executors, Session};
use codecrafter_shared::keys;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use reqwest::{Method, RequestBuilder};

use crate::client::Client;
use crate::collector::Collector;
use crate::openapi::check::Document;
use crate::openapi::document;

/// A deployment under test.
#[derive(Clone)]
pub struct World {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// Its `CODECRAFTER_SECRET`.
    pub secret: String,
    /// Where its spans come to, if they go anywhere.
    pub collector: Option<Collector>,
    /// What clients hold every answer against.
    document: Arc<Document>,
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

impl World {
    /// A deployment, whose answers are held against the API's document.
    ///
    /// # Errors
    /// If the document is none.
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Result<Self> {
        Ok(Self {
            url: url.into(),
            secret: secret.into(),
            collector: None,
            document: Arc::new(Document::new(document::document())?),
        })
    }

    /// Somebody who is not signed in, at an address of their own.
    #[must_use]
    pub fn stranger(&self) -> Client {
        let client = Client::new(&self.url).at(self.address());
        client.held_against(self.document.clone())
    }

    /// An address that nobody had before, in this run or another of the last days.
    #[must_use]
    pub fn address(&self) -> String {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let run = self.now().as_millis() / 1_000;
        format!("2001:db8:{:x}:{:x}::1", run & 0xffff, number & 0xffff)
    }

    /// A new account, signed in.
    ///
    /// # Errors
    /// If it cannot register.
    pub async fn user(&self) -> Result<Client> {
        let mut client = self.stranger();
        client.register(&self.name()).await?;
        Ok(client)
    }

    /// A new public session of `owner` whose joiners get `join_role`.
    ///
    /// # Errors
    /// If it cannot be created.
    pub async fn public_session(&self, owner: &Client, join_role: Role) -> Result<Session> {
        let request = CreateSession {
            title: "Public".into(),
            language: "go".into(),
            is_public: Some(true),
            join_role: Some(join_role),
            ..Default::default()
        };
        owner.create_session(&request).await
    }

    /// A request with the operator token.
    pub fn operator(&self, method: Method, path: &str) -> (Client, RequestBuilder) {
        let client = self.stranger();
        let token = keys::operator_token(self.secret.as_bytes());
        let request = client.request(method, path).bearer_auth(token);
        (client, request)
    }

    /// Every executor, as operators see them.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn executors(&self) -> Result<Executors> {
        let (client, request) = self.operator(Method::GET, "/api/v1/executors");
        client.send(request).await?.expect(200)
    }

    /// A user name that nobody had before, in this run or another.
    #[must_use]
    pub fn name(&self) -> String {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        format!("u{:x}-{number}", since.as_micros())
    }

    /// The deployment's keys, to make what only it could make.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::new(self.secret.as_bytes(), None)
    }

    /// Now, by this machine's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(0))
    }
}
