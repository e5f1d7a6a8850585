//! A typed client of the public API.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use codecrafter_shared::api::{
    CreateExecution, CreateSession, Execution, Joined, Login, Register, Session, SignedIn,
};
use codecrafter_shared::error::{ErrorCode, Problem};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::openapi::check::{Document, Exchange};

/// The password of every account that tests make.
pub const PASSWORD: &str = "plain long words";

/// Every code with which anybody was refused in this process.
static REFUSED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The codes with which anybody was refused in this process so far, sorted.
#[must_use]
pub fn refused_so_far() -> BTreeSet<&'static str> {
    REFUSED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

fn note_refusal(body: &[u8]) {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(problem.code.as_str());
    }
}

/// Somebody with a connection to a deployment, signed in or not.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    /// Where it comes from, for a deployment that believes that.
    address: Option<String>,
    /// What every answer is held against.
    document: Option<Arc<Document>>,
    /// What signing in gave.
    pub signed_in: Option<SignedIn>,
}

/// An answer: the status, and the body as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body of a success, as `T`.
    ///
    /// # Errors
    /// For any other status than `status`, or a body of another form.
    pub fn expect<T: DeserializeOwned>(self, status: u16) -> Result<T> {
        let text = String::from_utf8_lossy(&self.body);
        ensure!(
            self.status == status,
            "wanted {status}, got {}: {text}",
            self.status
        );
        serde_json::from_slice(&self.body).with_context(|| format!("the body is {text}"))
    }

    /// The problem document of a refusal, which must have the status, media type and form that its
    /// code says.
    ///
    /// # Errors
    /// For anything else.
    pub fn refused(self, code: ErrorCode) -> Result<Problem> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        ensure!(
            self.status == code.status(),
            "wanted {} {}, got {}: {text}",
            code.status(),
            code.as_str(),
            self.status
        );
        let media_type = self
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        ensure!(
            media_type == Some("application/problem+json"),
            "media type {media_type:?}"
        );
        let problem: Problem = serde_json::from_slice(&self.body).context(text)?;
        ensure!(
            problem.code == code,
            "wanted {}, got {problem:?}",
            code.as_str()
        );
        ensure!(
            problem.status == code.status(),
            "status differs: {problem:?}"
        );
        let id = self
            .headers
            .get("x-request-id")
            .and_then(|value| value.to_str().ok());
        let told = problem.request_id.map(|id| id.to_string());
        ensure!(
            id.is_some() && told.as_deref() == id,
            "request id {id:?}, in the body {told:?}"
        );
        Ok(problem)
    }
}

impl Client {
    /// Somebody who is not signed in.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            address: None,
            document: None,
            signed_in: None,
        }
    }

    /// The same, with every exchange held against the API's document.
    #[must_use]
    pub fn held_against(mut self, document: Arc<Document>) -> Self {
        self.document = Some(document);
        self
    }

    /// The same, from that address.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The access token, or nothing.
    #[must_use]
    pub fn token(&self) -> &str {
        self.signed_in
            .as_ref()
            .map_or("", |signed_in| signed_in.access_token.as_str())
    }

    /// A request to `path` with the access token, if there is one.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(address) = &self.address {
            request = request.header("x-forwarded-for", address);
        }
        if self.signed_in.is_some() {
            request.bearer_auth(self.token())
        } else {
            request
        }
    }

    /// Sends a request, whatever the answer, as long as the API's document describes it.
    ///
    /// # Errors
    /// If there is no answer, or one that the document does not describe.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let request = request.build()?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let sent = request.body().and_then(|body| body.as_bytes());
        let sent = sent.map(<[u8]>::to_vec);
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        if !status.is_success() {
            note_refusal(&body);
        }
        if let Some(document) = &self.document {
            let media_type = headers.get(CONTENT_TYPE);
            document.describes(&Exchange {
                method: method.as_str(),
                path: &path,
                sent: sent.as_deref(),
                status: status.as_u16(),
                media_type: media_type.and_then(|value| value.to_str().ok()),
                body: &body,
            })?;
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// `GET`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// A request with a JSON body.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn json(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.send(self.request(method, path).json(body)).await
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.json(Method::POST, path, body).await
    }

    /// Registers, and is signed in then.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn register(&mut self, username: &str) -> Result<()> {
        let request = Register {
            username: username.into(),
            email: format!("{username}@example.org"),
            password: PASSWORD.into(),
            display_name: None,
        };
        let signed_in = self
            .post("/api/v1/auth/register", &request)
            .await?
            .expect(201)?;
        self.signed_in = Some(signed_in);
        Ok(())
    }

    /// Signs in.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn login(&self, login: &str, password: &str) -> Result<Answer> {
        let request = Login {
            login: login.into(),
            password: password.into(),
        };
        self.post("/api/v1/auth/login", &request).await
    }

    /// The signed-in user.
    ///
    /// # Errors
    /// If nobody is signed in.
    pub fn user(&self) -> Result<&codecrafter_shared::api::User> {
        match &self.signed_in {
            Some(signed_in) => Ok(&signed_in.user),
            None => bail!("nobody is signed in"),
        }
    }

    /// Creates a session.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn create_session(&self, request: &CreateSession) -> Result<Session> {
        self.post("/api/v1/sessions", request).await?.expect(201)
    }

    /// Joins a session.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn join(&self, session: &Session) -> Result<Answer> {
        let path = format!("/api/v1/sessions/{}/join", session.id);
        self.send(self.request(Method::POST, &path)).await
    }

    /// Joins a session that lets this user in.
    ///
    /// # Errors
    /// If it does not.
    pub async fn joined(&self, session: &Session) -> Result<Joined> {
        self.join(session).await?.expect(200)
    }

    /// Asks for an execution, without waiting for it.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn execute(&self, request: &CreateExecution) -> Result<Execution> {
        self.post("/api/v1/executions", request).await?.expect(202)
    }

    /// An execution as it stands.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn execution(&self, execution: &Execution) -> Result<Execution> {
        self.get(&format!("/api/v1/executions/{}", execution.id))
            .await?
            .expect(200)
    }
    /// Asks for the end of an execution.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn cancel(&self, execution: &Execution) -> Result<Answer> {
        let path = format!("/api/v1/executions/{}/cancel", execution.id);
        self.send(self.request(Method::POST, &path)).await
    }
}
