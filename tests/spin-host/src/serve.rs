//! HTTP in front of the components: connections, routes, the headers that Spin adds, and an end in
//! good order.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::ProxyHandler;
use wasmtime_wasi_http::io::TokioIo;

use crate::routes::{Route, best};
use crate::workers::Instances;

/// How long requests that are under way may take once this host has been told to end.
const GRACE: Duration = Duration::from_secs(5);
/// Paths that Spin answers by itself.
const RESERVED: &str = "/.well-known/spin/";

/// The application: its routes, and a handler for each component by name.
pub struct Application {
    /// Routes and the names of their components.
    pub routes: Vec<(Route, String)>,
    /// Handlers by the name of the component.
    pub handlers: BTreeMap<String, ProxyHandler<Instances>>,
}

/// Answers requests until `stop` says so, then waits for those under way, for [`GRACE`] at most.
///
/// # Errors
/// A listener that accepts nothing any more.
pub async fn serve(
    application: Application,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let application = Arc::new(application);
    // Every connection holds a sender; the channel ends with the last of them.
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    loop {
        let (stream, client) = tokio::select! {
            accepted = listener.accept() => accepted.context("cannot accept connections")?,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        stream.set_nodelay(true)?;
        let (application, stop, alive) = (application.clone(), stop.clone(), alive.clone());
        tokio::spawn(async move {
            if let Err(error) = connection(application, stream, client, stop).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(alive);
        });
    }
    drop((listener, alive));
    if timeout(GRACE, all_gone.recv()).await.is_err() {
        tracing::warn!("ended with requests under way");
    }
    Ok(())
}

async fn connection(
    application: Arc<Application>,
    stream: TcpStream,
    client: SocketAddr,
    mut stop: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let application = application.clone();
        async move { Ok::<_, Infallible>(application.answer(request, client).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

impl Application {
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        client: SocketAddr,
    ) -> Response<WasiBody> {
        let path = request.uri().path().to_owned();
        if let Some(reserved) = path.strip_prefix(RESERVED) {
            return match reserved {
                "health" => Response::new(full("OK")),
                _ => status(StatusCode::NOT_FOUND),
            };
        }
        let Some((route, component, rest)) = best(&self.routes, &path) else {
            return status(StatusCode::NOT_FOUND);
        };
        let Some(handler) = self.handlers.get(component) else {
            return status(StatusCode::NOT_FOUND);
        };
        if let Err(error) = prepare(&mut request, route, rest, client) {
            tracing::info!("a request that Spin would not take: {error:#}");
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let request =
            request.map(|body| body.map_err(wasmtime_wasi_http::Error::from).boxed_unsync());
        match handler.handle((), request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!("the component failed: {error:#}");
                status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// Makes of a request what a component on Spin sees: an absolute URI, no `connection`, and what
/// Spin knows about the match. Spin adds its headers to those that came, it does not replace them;
/// so a client can send the same ones, and the last of each name is Spin's.
fn prepare<B>(
    request: &mut Request<B>,
    route: &Route,
    rest: &str,
    client: SocketAddr,
) -> Result<()> {
    let mut uri = request.uri().clone().into_parts();
    let host = request.headers().get(HOST);
    let authority: Authority = match (host, uri.authority.take()) {
        (None, None) => anyhow::bail!("it has no host"),
        (None, Some(authority)) => authority,
        (Some(host), other) => {
            let authority: Authority = host.to_str()?.parse()?;
            anyhow::ensure!(
                other.is_none_or(|other| other == authority),
                "its host is not that of its URI"
            );
            authority
        }
    };
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(uri)?;

    let url = request.uri().to_string();
    let headers = request.headers_mut();
    headers.remove(CONNECTION);
    append(headers, "spin-path-info", rest)?;
    append(headers, "spin-full-url", &url)?;
    append(headers, "spin-matched-route", &route.to_string())?;
    append(headers, "spin-base-path", "/")?;
    append(headers, "spin-raw-component-route", &route.to_string())?;
    append(headers, "spin-component-route", route.prefix())?;
    append(headers, "spin-client-addr", &client.to_string())
}

fn append(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    headers.append(name, HeaderValue::from_str(value)?);
    Ok(())
}

fn full(text: &'static str) -> WasiBody {
    let body = Full::new(Bytes::from_static(text.as_bytes()));
    body.map_err(wasmtime_wasi_http::Error::from).boxed_unsync()
}

fn status(status: StatusCode) -> Response<WasiBody> {
    let body = Empty::new().map_err(wasmtime_wasi_http::Error::from);
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(request: http::request::Builder) -> Result<Request<()>> {
        let route: Route = "/api/...".to_owned().try_into().unwrap();
        let client = "127.0.0.1:9".parse().unwrap();
        let mut request = request.body(()).unwrap();
        prepare(&mut request, &route, "/x", client)?;
        Ok(request)
    }

    #[test]
    fn a_component_sees_what_it_would_see_on_spin() {
        let request = Request::get("/api/x?y=1")
            .header("host", "edge.test:8080")
            .header("connection", "keep-alive");
        let request = prepared(request).unwrap();
        assert_eq!(request.uri().to_string(), "http://edge.test:8080/api/x?y=1");
        let expected = [
            ("host", "edge.test:8080"),
            ("spin-path-info", "/x"),
            ("spin-full-url", "http://edge.test:8080/api/x?y=1"),
            ("spin-matched-route", "/api/..."),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", "/api/..."),
            ("spin-component-route", "/api"),
            ("spin-client-addr", "127.0.0.1:9"),
        ];
        assert_eq!(request.headers().len(), expected.len());
        for (name, value) in expected {
            assert_eq!(request.headers()[name], value);
        }
    }

    #[test]
    fn a_header_of_spins_name_that_a_client_sends_comes_first() {
        let request = Request::get("/api/x")
            .header("host", "edge.test")
            .header("spin-client-addr", "10.0.0.1:1");
        let request = prepared(request).unwrap();
        let values = request.headers().get_all("spin-client-addr");
        assert!(values.iter().eq(["10.0.0.1:1", "127.0.0.1:9"]));
    }

    #[test]
    fn a_request_without_a_clear_host_is_refused() {
        assert!(prepared(Request::get("/api/x")).is_err());
        let two = Request::get("http://a.test/api/x").header("host", "b.test");
        assert!(prepared(two).is_err());
    }
}
