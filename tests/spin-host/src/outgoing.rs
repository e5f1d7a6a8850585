//! Outgoing HTTP of components: to the hosts that their manifest allows, and to no others.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use http::uri::{Scheme, Uri};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use tokio::net::TcpStream;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, WasiBody};

/// `allowed_outbound_hosts`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Allowed(BTreeSet<String>);

impl Allowed {
    /// Reads the manifest's list. Of Spin's patterns, only a host with its port is served here.
    ///
    /// # Errors
    /// An entry of another form.
    pub fn parse(hosts: &[String]) -> Result<Self> {
        let one = |host: &String| {
            let is_plain = host.parse::<Uri>().is_ok_and(|uri| {
                uri.scheme() == Some(&Scheme::HTTP)
                    && uri.port().is_some()
                    && *host == origin(&uri).unwrap_or_default()
            });
            ensure!(is_plain, "{host:?} is not of the form http://host:port");
            Ok(host.clone())
        };
        let hosts = hosts.iter().map(one).collect::<Result<_>>();
        hosts.map(Self).context("allowed_outbound_hosts")
    }

    /// Whether a component may send a request there.
    pub fn allows(&self, uri: &Uri) -> bool {
        origin(uri).is_some_and(|origin| self.0.contains(&origin))
    }
}

fn origin(uri: &Uri) -> Option<String> {
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// A response, and the end of the connection that it came by.
pub type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

/// Sends a request that is allowed.
///
/// # Errors
/// What keeps it from being answered.
pub async fn send(mut request: http::Request<WasiBody>) -> Result<Sent, Error> {
    let authority = request.uri().authority();
    let authority = authority.ok_or(Error::HttpRequestUriInvalid)?.to_string();
    let stream = TcpStream::connect(&authority).await;
    let stream = TokioIo::new(stream.map_err(Error::Connect)?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    // Only a proxy is told the whole of it.
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    let response = sender.send_request(request).await?;
    let ended = async move {
        let ended = connection.await.map_err(|_| Error::ConnectionTerminated)?;
        ended.map_err(Error::from)
    };
    let response = response.map(|body| body.map_err(Error::from).boxed_unsync());
    Ok((response, Box::new(ended)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &[&str]) -> Result<Allowed> {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Allowed::parse(&hosts)
    }

    #[test]
    fn a_component_reaches_the_hosts_of_its_manifest_and_no_others() {
        let allowed = allowed(&["http://127.0.0.1:4318"]).unwrap();
        for (uri, may) in [
            ("http://127.0.0.1:4318/v1/traces", true),
            ("http://127.0.0.1:4319/v1/traces", false),
            ("https://127.0.0.1:4318/v1/traces", false),
            ("http://localhost:4318/v1/traces", false),
            ("/v1/traces", false),
        ] {
            assert_eq!(allowed.allows(&uri.parse().unwrap()), may, "{uri}");
        }
        assert!(!Allowed::default().allows(&"http://127.0.0.1:4318".parse().unwrap()));
    }

    #[test]
    fn a_pattern_that_is_not_served_is_refused() {
        for other in [
            "*://*:*",
            "http://host",
            "https://host:443",
            "http://host:1/x",
        ] {
            assert!(allowed(&[other]).is_err(), "{other}");
        }
    }
}
