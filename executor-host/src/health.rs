//! What a serving process answers to whoever watches over it: `/health`, `/ready` and `/metrics`,
//! over HTTP at an address of the operator's choice. It tells no secret and takes no orders.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::host::Offer;
use crate::link::Client;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::sandbox::Sandbox;
use crate::spans::Spans;

/// Connections at a time; one more waits.
const CONNECTIONS_MAX: usize = 32;
/// A connection is not kept for longer.
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// A queue that takes longer to count is told as not counted.
const DEPTH_MAX: Duration = Duration::from_secs(2);
/// Time for the head of a request.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// What is known of a serving process, for whoever watches over it. Clones are the same.
#[derive(Clone, Default)]
pub struct Monitor {
    /// What it counts and times.
    pub metrics: Metrics,
    /// Where it sends spans of jobs.
    pub spans: Spans,
    parts: Arc<Mutex<Parts>>,
}

/// The parts of a service that have started.
#[derive(Default)]
struct Parts {
    worker: Option<Worker>,
    link: Option<Arc<Client>>,
    queue: Option<Arc<dyn Queue>>,
    is_started: bool,
}

struct Worker {
    offer: watch::Receiver<Offer>,
    listening: watch::Receiver<bool>,
    sandbox: Arc<dyn Sandbox>,
}

impl Monitor {
    /// There is a worker, which offers this, hears control messages or not, and runs jobs in this.
    pub fn worker(
        &self,
        offer: watch::Receiver<Offer>,
        listening: watch::Receiver<bool>,
        sandbox: Arc<dyn Sandbox>,
    ) {
        self.parts().worker = Some(Worker {
            offer,
            listening,
            sandbox,
        });
    }

    /// There is a link, which talks to the edge by this.
    pub fn link(&self, client: Arc<Client>) {
        self.parts().link = Some(client);
    }

    /// Jobs and results are kept in this.
    pub fn queue(&self, queue: Arc<dyn Queue>) {
        self.parts().queue = Some(queue);
    }

    /// Every part that this process is to have is there.
    pub fn started(&self) {
        self.parts().is_started = true;
    }

    /// What keeps jobs from being taken and brought to their end; nothing if all is well.
    #[must_use]
    pub fn hindrances(&self) -> Vec<&'static str> {
        let parts = self.parts();
        let mut found = Vec::new();
        if !parts.is_started {
            found.push("it is starting, and waits for the container engine if there is none");
        }
        if let Some(worker) = &parts.worker {
            match worker.offer.borrow().as_deref() {
                None => found.push("the container engine does not answer, or has just begun to"),
                Some([]) => found.push("there is no language that can be run"),
                Some(_) => {}
            }
            if !*worker.listening.borrow() {
                found.push("the queue cannot be reached");
            }
        }
        if parts
            .link
            .as_ref()
            .is_some_and(|client| !client.is_connected())
        {
            found.push("the edge does not answer");
        }
        found
    }

    /// The metrics as text, with what is only looked up when somebody asks.
    async fn scrape(&self) -> String {
        let queue = self.parts().queue.clone();
        let depth = match queue {
            Some(queue) => timeout(DEPTH_MAX, async move { queue.depth().await.ok() }).await,
            None => Ok(None),
        };
        self.metrics.queue(depth.ok().flatten());
        self.metrics.ready(self.hindrances().is_empty());
        if let Some(worker) = &self.parts().worker {
            self.metrics.containers_ready(&worker.sandbox.ready());
        }
        self.metrics.text()
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who answers at an address.
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Takes the address. Nobody is answered yet.
    ///
    /// # Errors
    ///
    /// When it is not this machine's, or somebody has it.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener })
    }

    /// The address, with the port that was chosen where 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers, for ever.
    pub async fn run(self, monitor: Monitor) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely: others give theirs back soon.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let monitor = monitor.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let monitor = monitor.clone();
                async move {
                    let (method, path) = (request.method(), request.uri().path());
                    Ok::<_, Infallible>(answer(&monitor, method, path).await)
                }
            });
            let connection = http.serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(async move {
                // What goes wrong with a connection is the caller's to see.
                let _ = timeout(CONNECTION_MAX, connection).await;
                drop(place);
            });
        }
    }
}

async fn answer(monitor: &Monitor, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let is_known = ["/health", "/ready", "/metrics"].contains(&path);
    if is_known && ![Method::GET, Method::HEAD].contains(method) {
        let refused = json!({ "status": "method_not_allowed" });
        let mut answer = document(StatusCode::METHOD_NOT_ALLOWED, &refused);
        let methods = hyper::header::HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, methods);
        return answer;
    }
    match path {
        "/health" => {
            let version = env!("CARGO_PKG_VERSION");
            document(
                StatusCode::OK,
                &json!({ "status": "ok", "version": version }),
            )
        }
        "/ready" => match &monitor.hindrances()[..] {
            [] => document(StatusCode::OK, &json!({ "status": "ready" })),
            why => {
                let unready = json!({ "status": "not_ready", "why": why });
                document(StatusCode::SERVICE_UNAVAILABLE, &unready)
            }
        },
        "/metrics" => {
            const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response(StatusCode::OK, TEXT, monitor.scrape().await)
        }
        _ => document(StatusCode::NOT_FOUND, &json!({ "status": "not_found" })),
    }
}

fn document(status: StatusCode, content: &Value) -> Response<Full<Bytes>> {
    response(status, "application/json", format!("{content}\n"))
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")] {
        headers.insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}
