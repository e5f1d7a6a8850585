//! Which trace a request belongs to: that of its `traceparent` header, else one of its own, whose
//! id is the request's. And the span that the edge tells of it, if spans go anywhere.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use codecrafter_shared::id::RequestId;
use codecrafter_shared::otlp::{Span, Value};
use codecrafter_shared::trace::{TRACEPARENT, TraceParent};
use http::request::Parts;
use http::{Extensions, HeaderMap};

use super::Edge;
use crate::error::Refusal;
use crate::spans;

/// The trace of a request, as whatever it brings about is told: below the edge's own span, if that
/// is sent, else below the caller's. What is no trace parent counts as none, as the standard says.
#[derive(Clone, Copy)]
pub struct Trace(pub TraceParent);

impl FromRequestParts<Edge> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Infallible> {
        if let Some(traced) = parts.extensions.get::<Self>() {
            return Ok(*traced);
        }
        let given = given(&parts.headers);
        Ok(Self(given.unwrap_or_else(|| own(&parts.extensions, edge))))
    }
}

fn given(headers: &HeaderMap) -> Option<TraceParent> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    TraceParent::parse(text).ok()
}

/// A trace that the request begins.
fn own(of_request: &Extensions, edge: &Edge) -> TraceParent {
    let id = of_request.get::<RequestId>().copied();
    let id = id.unwrap_or_else(|| RequestId::at(edge.clock.now(), edge.rng.bytes()));
    let trace = id.as_u128();
    // The request itself is the parent: the last half of the same id.
    let span = u64::try_from(trace & u128::from(u64::MAX)).unwrap_or(1);
    TraceParent::new(trace, span)
}

/// What a handler adds to the span of its request, by way of the answer's extensions.
#[derive(Clone, Default)]
pub struct Known(pub Vec<(&'static str, Value)>);

/// The layer of the route that accepts executions: each of its requests is told as the span `accept`,
/// from its arrival until its answer is ready, also if that is a refusal.
pub async fn told(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let Some(exporter) = &edge.spans else {
        return next.run(request).await;
    };
    let parent = given(request.headers());
    let context = match parent {
        Some(parent) => spans::below(parent, &*edge.rng),
        None => own(request.extensions(), &edge),
    };
    if !context.is_sampled() {
        return next.run(request).await;
    }
    let from = edge.clock.now();
    request.extensions_mut().insert(Trace(context));
    let mut response = next.run(request).await;
    let mut attributes = vec![
        ("http.request.method", "POST".into()),
        ("http.route", "/api/v1/executions".into()),
        (
            "http.response.status_code",
            response.status().as_u16().into(),
        ),
    ];
    if let Some(Known(known)) = response.extensions_mut().remove() {
        attributes.extend(known);
    }
    let refused = response.extensions().get::<Refusal>();
    if let Some(refusal) = refused {
        attributes.push(("error.type", refusal.code.as_str().into()));
    }
    // A refusal is the caller's mistake, or a wish that came too early: no error of this server's.
    let error = refused.filter(|_| response.status().is_server_error());
    exporter.send(&[Span {
        context,
        parent,
        name: "accept",
        server: true,
        from_ns: spans::nanoseconds(from),
        to_ns: spans::nanoseconds(edge.clock.now()),
        attributes,
        error: error.map(|refusal| refusal.code.as_str().to_owned()),
    }]);
    response
}
