//! An edge of a few lines: it enrols hosts, checks every signature, hands out jobs, and keeps what
//! it is told. And a queue and a sandbox that can be made to fail.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::error::{ErrorCode, Problem};
use codecrafter_shared::id::{ExecutionId, ExecutorId, LeaseId};
use codecrafter_shared::job::{
    Acknowledge, Acknowledged, Control, Enrol, Enrolled, Event, Job, LINK_AUDIENCE, Lease,
    LeaseRequest, Leases, LinkClaims, PROTOCOL_VERSION, Report, Reports, ReportsTaken,
};
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::{keys, limits};
use executor_host::clock;
use executor_host::link::enrol::{self, Join, Joined};
use executor_host::link::{Client, Credentials};
use executor_host::queue::{Controls, Delivery, Depth, Published, Queue, QueueError, StoredResult};
use executor_host::sandbox::echo::Echo;
use executor_host::sandbox::{FaultScope, HostFault, Interaction, Progress, Sandbox};
use jwt_simple::prelude::{Ed25519PublicKey, EdDSAPublicKeyLike as _, VerificationOptions};
use tokio::net::TcpSocket;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A wait that is longer than this is taken for one without end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The token with which hosts enrol.
pub const JOIN_TOKEN: &str = "join-me";

#[derive(Default)]
pub struct Edge {
    state: Mutex<EdgeState>,
    changed: Notify,
}

#[derive(Default)]
pub struct EdgeState {
    pub hosts: HashMap<String, (String, Ed25519PublicKey)>,
    pub waiting: VecDeque<Job>,
    pub leased: HashMap<LeaseId, ExecutionId>,
    pub lease_requests: Vec<LeaseRequest>,
    /// What was handed out and not acknowledged; it comes again, as at a real edge.
    unacknowledged: Vec<Lease>,
    /// Control messages until somebody says that they are passed on.
    pub controls: Vec<Control>,
    /// Answers at once, also with nothing.
    pub holds_nothing: bool,
    /// The newest lease request; it ends the older ones.
    newest_poll: usize,
    /// Leases in the order of their acknowledgements.
    pub acknowledged: Vec<LeaseId>,
    /// What to note at an acknowledgement, such as what the queue holds at that moment.
    pub at_acknowledge: Option<Box<dyn Fn() -> Depth + Send>>,
    pub depths_at_acknowledge: Vec<Depth>,
    /// Reports that were taken, in order, one vector per request.
    pub batches: Vec<Vec<Report>>,
    pub finished: HashSet<ExecutionId>,
    /// Answers every request with this status and a body that is no problem document.
    pub broken: Option<StatusCode>,
    pub broken_answers: u32,
    /// Requests of hosts that were revoked, or never were here.
    pub unknown_hosts: u32,
    /// Answers a batch with this execution in it with 422.
    pub poison: Option<ExecutionId>,
    /// Counts this execution's reports as refused.
    pub refused: Option<ExecutionId>,
    pub counted: ReportsTaken,
}

impl Edge {
    /// Starts an edge and returns its URL; it goes on until the test is over.
    pub async fn start() -> (Arc<Self>, String) {
        let edge = Arc::new(Self::default());
        let place = Self::place();
        let address = place.local_addr().unwrap();
        edge.listen(place);
        (edge, format!("http://{address}/"))
    }

    /// Where an edge is going to listen. Nobody does yet, and nobody else can.
    pub fn place() -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket
    }

    pub fn listen(self: &Arc<Self>, place: TcpSocket) {
        let listener = place.listen(1024).unwrap();
        let routes = Router::new()
            .route("/internal/executors", post(enrol_host))
            .route("/internal/leases", post(lease))
            .route("/internal/leases/ack", post(acknowledge))
            .route("/internal/reports", post(report))
            .with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    }

    /// Enrols the host of a state folder, as `executor-host join` does.
    pub async fn enrol(url: &str, state_dir: &std::path::Path) -> Credentials {
        let request = Join {
            edge: url.parse().unwrap(),
            token: JOIN_TOKEN,
            name: "test".into(),
            again: false,
        };
        match enrol::join(request, state_dir).await.unwrap() {
            Joined::Now(credentials) | Joined::Before(credentials) => credentials,
        }
    }

    pub async fn client(url: &str) -> Arc<Client> {
        let folder = tempfile::TempDir::new().unwrap();
        Arc::new(Client::new(Self::enrol(url, folder.path()).await).unwrap())
    }

    pub fn state(&self) -> MutexGuard<'_, EdgeState> {
        self.state.lock().unwrap()
    }

    /// Hands out another job.
    pub fn offer(&self, job: Job) {
        self.state().waiting.push_back(job);
        self.changed.notify_waiters();
    }

    /// Has something to say to whoever asks for jobs.
    pub fn control(&self, control: Control) {
        self.state().controls.push(control);
        self.changed.notify_waiters();
    }

    /// Waits until `seen` says so of the edge's state.
    pub async fn until<T>(&self, mut seen: impl FnMut(&mut EdgeState) -> Option<T>) -> T {
        let waited = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = seen(&mut self.state()) {
                    return found;
                }
                changed.await;
            }
        };
        timeout(PATIENCE, waited)
            .await
            .expect("the edge waits for ever")
    }

    pub async fn until_finished(&self, executions: impl IntoIterator<Item = ExecutionId>) {
        let wanted: Vec<_> = executions.into_iter().collect();
        self.until(|edge| {
            wanted
                .iter()
                .all(|id| edge.finished.contains(id))
                .then_some(())
        })
        .await;
    }
}

impl EdgeState {
    /// Every report that was taken, in order.
    pub fn reports(&self) -> Vec<Report> {
        self.batches.concat()
    }
}

/// The body of a request, if the request may be answered.
fn admit(
    edge: &Edge,
    headers: &HeaderMap,
    uri: &OriginalUri,
    body: &Bytes,
) -> Result<String, Box<Response>> {
    let mut state = edge.state();
    if let Some(status) = state.broken {
        state.broken_answers += 1;
        edge.changed.notify_waiters();
        return Err(Box::new(
            (status, "<html>Bad gateway</html>").into_response(),
        ));
    }
    let token = headers.get("authorization").unwrap().to_str().unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    let payload = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let issuer = payload["iss"].as_str().unwrap().to_owned();
    let Some((_, key)) = state.hosts.get(&issuer) else {
        state.unknown_hosts += 1;
        edge.changed.notify_waiters();
        return Err(Box::new(refuse(ErrorCode::ExecutorUnknown)));
    };
    let options = VerificationOptions {
        allowed_issuers: Some(HashSet::from([issuer.clone()])),
        allowed_audiences: Some(HashSet::from([LINK_AUDIENCE.to_owned()])),
        ..VerificationOptions::default()
    };
    let claims = key
        .verify_token::<LinkClaims>(token, Some(options))
        .expect("a false signature");
    let life = claims.expires_at.unwrap() - claims.issued_at.unwrap();
    assert!(
        life.as_millis() <= limits::LINK_TOKEN_MS as u64,
        "it lives too long"
    );
    assert_eq!(claims.custom.path, uri.path());
    assert_eq!(claims.custom.body, keys::body_hash(body));
    Ok(issuer)
}

fn refuse(code: ErrorCode) -> Response {
    let problem = Problem {
        kind: format!("urn:codecrafter:problem:{}", code.as_str()),
        title: code.title().into(),
        status: code.status(),
        detail: None,
        code,
        request_id: None,
        errors: Vec::new(),
    };
    (StatusCode::from_u16(code.status()).unwrap(), Json(problem)).into_response()
}

async fn enrol_host(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    Json(request): Json<Enrol>,
) -> Response {
    if headers.get("authorization").unwrap() != &format!("Bearer {JOIN_TOKEN}") {
        return refuse(ErrorCode::TokenInvalid);
    }
    let key = URL_SAFE_NO_PAD.decode(request.public_key).unwrap();
    let key = Ed25519PublicKey::from_bytes(&key).unwrap();
    let mut state = edge.state();
    let count = u8::try_from(state.hosts.len()).unwrap();
    let executor_id = ExecutorId::at(clock::now(), [count; 10]);
    state
        .hosts
        .insert(executor_id.to_string(), (request.name, key));
    (StatusCode::CREATED, Json(Enrolled { executor_id })).into_response()
}

async fn lease(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    uri: OriginalUri,
    body: Bytes,
) -> Response {
    if let Err(refused) = admit(&edge, &headers, &uri, &body) {
        return *refused;
    }
    let request: LeaseRequest = serde_json::from_slice(&body).unwrap();
    let poll = {
        let mut state = edge.state();
        state.lease_requests.push(request.clone());
        state.newest_poll += 1;
        let taken = &request.controls_taken;
        state
            .controls
            .retain(|control| !taken.contains(&control.id));
        state.newest_poll
    };
    edge.changed.notify_waiters();
    let mut wait = Duration::from_millis(request.wait_ms.try_into().unwrap());
    if edge.state().holds_nothing {
        wait = Duration::ZERO;
    }
    let some = async {
        loop {
            let changed = edge.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = edge.state().found(poll, request.slots as usize) {
                return found;
            }
            changed.await;
        }
    };
    let (leases, controls) = timeout(wait, some).await.unwrap_or_default();
    edge.changed.notify_waiters();
    Json(Leases {
        protocol: PROTOCOL_VERSION,
        leases,
        controls,
    })
    .into_response()
}

impl EdgeState {
    /// What a lease request is answered with; none as long as it waits.
    fn found(&mut self, poll: usize, slots: usize) -> Option<(Vec<Lease>, Vec<Control>)> {
        if poll < self.newest_poll {
            return Some(Default::default());
        }
        let leases = self.lease(slots);
        let some = !leases.is_empty() || !self.controls.is_empty();
        some.then(|| (leases, self.controls.clone()))
    }

    fn lease(&mut self, slots: usize) -> Vec<Lease> {
        let mut leases = self.unacknowledged.clone();
        while leases.len() < slots
            && let Some(job) = self.waiting.pop_front()
        {
            let mut random = [0; 10];
            random[2..].copy_from_slice(&self.leased.len().to_be_bytes());
            let id = LeaseId::at(clock::now(), random);
            self.leased.insert(id, job.execution_id);
            leases.push(Lease {
                id,
                expires_at: clock::now().plus_millis(limits::LEASE_MS),
                job,
            });
        }
        self.unacknowledged.clone_from(&leases);
        leases
    }
}

async fn acknowledge(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    uri: OriginalUri,
    body: Bytes,
) -> Response {
    if let Err(refused) = admit(&edge, &headers, &uri, &body) {
        return *refused;
    }
    let request: Acknowledge = serde_json::from_slice(&body).unwrap();
    let mut state = edge.state();
    let depth = state.at_acknowledge.as_ref().map(|look| look());
    state.depths_at_acknowledge.extend(depth);
    state.acknowledged.extend(&request.leases);
    let held = |lease: &Lease| !request.leases.contains(&lease.id);
    state.unacknowledged.retain(held);
    edge.changed.notify_waiters();
    Json(Acknowledged {
        leases: request.leases,
    })
    .into_response()
}

async fn report(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    uri: OriginalUri,
    body: Bytes,
) -> Response {
    if let Err(refused) = admit(&edge, &headers, &uri, &body) {
        return *refused;
    }
    let request: Reports = serde_json::from_slice(&body).unwrap();
    assert!((1..=limits::REPORTS_MAX).contains(&request.reports.len()));
    assert!(body.len() <= limits::LINK_BODY_BYTES_MAX);
    let mut state = edge.state();
    let names = |report: &Report, named: Option<ExecutionId>| Some(report.execution_id) == named;
    if request
        .reports
        .iter()
        .any(|report| names(report, state.poison))
    {
        return refuse(ErrorCode::ValidationFailed);
    }
    let mut taken = ReportsTaken::default();
    for report in &request.reports {
        if names(report, state.refused) {
            taken.refused += 1;
        } else if matches!(report.event, Event::Finished { .. })
            && !state.finished.insert(report.execution_id)
        {
            taken.duplicates += 1;
        }
    }
    state.counted.duplicates += taken.duplicates;
    state.counted.refused += taken.refused;
    state.batches.push(request.reports);
    edge.changed.notify_waiters();
    Json(taken).into_response()
}

/// A queue that fails where a test wants it to, and counts how often it did.
pub struct Faulty {
    pub inner: Arc<dyn Queue>,
    pub publish_fails: AtomicBool,
    pub store_result_fails: AtomicBool,
    pub send_control_fails: AtomicBool,
    pub controls_fail: AtomicBool,
    pub failed: Notify,
    pub failures: AtomicUsize,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Queue>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            publish_fails: AtomicBool::new(false),
            store_result_fails: AtomicBool::new(false),
            send_control_fails: AtomicBool::new(false),
            controls_fail: AtomicBool::new(false),
            failed: Notify::new(),
            failures: AtomicUsize::new(0),
        })
    }

    fn check(&self, fails: &AtomicBool) -> Result<(), QueueError> {
        if fails.load(Ordering::SeqCst) {
            self.failures.fetch_add(1, Ordering::SeqCst);
            self.failed.notify_one();
            return Err(QueueError::new("do that", "the test says so"));
        }
        Ok(())
    }
}

#[async_trait]
impl Queue for Faulty {
    async fn publish(&self, job: &Job) -> Result<Published, QueueError> {
        self.check(&self.publish_fails)?;
        self.inner.publish(job).await
    }

    async fn take(&self) -> Result<Delivery, QueueError> {
        self.inner.take().await
    }

    async fn store_result(&self, report: &Report) -> Result<(), QueueError> {
        self.check(&self.store_result_fails)?;
        self.inner.store_result(report).await
    }

    async fn take_results(&self, max: usize) -> Result<Vec<StoredResult>, QueueError> {
        self.inner.take_results(max).await
    }

    async fn send_control(&self, control: &Control) -> Result<(), QueueError> {
        self.check(&self.send_control_fails)?;
        self.inner.send_control(control).await
    }

    async fn controls(&self) -> Result<Box<dyn Controls>, QueueError> {
        self.check(&self.controls_fail)?;
        self.inner.controls().await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.inner.depth().await
    }

    async fn room(&self, capacity: u32) -> Result<u32, QueueError> {
        self.inner.room(capacity).await
    }
}

/// [`Echo`], whose engine can be away, without a language, or silent when it is asked for them.
#[derive(Default)]
pub struct Flaky {
    pub echo: Echo,
    pub away: AtomicBool,
    pub bare: AtomicBool,
    pub silent: AtomicBool,
    pub asked: Notify,
    pub changed: Notify,
}

#[async_trait]
impl Sandbox for Flaky {
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        self.asked.notify_one();
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(HostFault {
                what: "the engine is away".into(),
                retry: true,
                scope: FaultScope::Engine,
            });
        }
        if self.bare.load(Ordering::SeqCst) {
            return Ok(Vec::new());
        }
        self.echo.languages().await
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn run_with(
        &self,
        job: &Job,
        interaction: Option<Interaction>,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> Result<codecrafter_shared::job::Outcome, HostFault> {
        if self.away.load(Ordering::SeqCst) {
            return Err(HostFault {
                what: "the engine is away".into(),
                retry: true,
                scope: FaultScope::Engine,
            });
        }
        self.echo.run_with(job, interaction, progress, cancel).await
    }
}
