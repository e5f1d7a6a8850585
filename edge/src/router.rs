//! The public HTTP surface as one table: method, path, use-case.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn_with_state, map_request};
use axum::routing::{delete, get, post, put};
use codecrafter_shared::error::ErrorCode;
use http::Uri;

use crate::error::Refusal;
use crate::front::{
    Edge, Ports, finish, limit, metrics, openapi, page, rooms, service, streams, trace,
};
use crate::{accounts, chat, executions, executors, history, notifications, sessions, versions};

/// Every route.
pub fn router(ports: Ports) -> Router {
    let edge = Edge::from(ports);
    // A table that is put into another (`nest`) is made twice, and what is around a table
    // (`layer`), once for each of its routes. Where an instance answers one request (Spin), each
    // request pays for that. So tables stand beside each other, and only what has to know which
    // route it is stands around the routes.
    let table = |routes: Router<Edge>| {
        routes
            .method_not_allowed_fallback(|| async { Refusal::new(ErrorCode::MethodNotAllowed) })
            .layer(from_fn_with_state(edge.clone(), limit::limit))
            .with_state(edge.clone())
    };
    let tables = table(beside_the_api()).nest_service(API, table(api(&edge)));
    Router::new()
        .fallback_service(tables)
        .layer(map_request(with_newer_name))
        .layer(from_fn_with_state(edge, finish::answer))
}

fn beside_the_api() -> Router<Edge> {
    Router::new()
        .route("/internal/executors", post(executors::routes::enrol))
        .route("/internal/leases", post(executors::routes::lease))
        .route("/internal/leases/ack", post(executors::routes::acknowledge))
        .route("/internal/reports", post(executors::routes::reports))
        .route("/internal/contract", get(service::contract))
        .route("/.well-known/jwks.json", get(service::jwks))
        .route("/health", get(service::health))
        .route("/ready", get(service::ready))
        .fallback(page::serve)
}

/// Where the API is.
const API: &str = "/api/v1";
/// Its older name.
const OLDER_NAME: &str = "/api";

/// A request for the API by its older name becomes one by its own.
async fn with_newer_name(mut request: Request) -> Request {
    if let Some(newer) = newer_name(request.uri()) {
        *request.uri_mut() = newer;
    }
    request
}

/// The same by the newer name, if it is by the older one.
fn newer_name(uri: &Uri) -> Option<Uri> {
    let is_below = |name: &str| {
        let below = uri.path().strip_prefix(name);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is_below(API) || !is_below(OLDER_NAME) {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    let rest = parts
        .path_and_query
        .as_ref()?
        .as_str()
        .strip_prefix(OLDER_NAME)?;
    parts.path_and_query = Some(format!("{API}{rest}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

fn api(edge: &Edge) -> Router<Edge> {
    use crate::executions::files;
    use crate::sessions::content;
    use accounts::routes as accounts;
    use executions::routes as executions;
    use executors::operator_routes as executors;
    use notifications::routes as notifications;
    use sessions::routes as sessions;
    Router::new()
        .route("/auth/register", post(accounts::register))
        .route("/auth/login", post(accounts::login))
        .route("/auth/refresh", post(accounts::refresh))
        .route("/auth/logout", post(accounts::logout))
        .route("/auth/me", get(accounts::me))
        .route("/sessions", post(sessions::create).get(sessions::list))
        .route(
            "/sessions/{id}",
            get(sessions::get)
                .put(sessions::update)
                .patch(sessions::update)
                .delete(sessions::delete),
        )
        .route("/sessions/{id}/join", post(sessions::join))
        .route("/sessions/{id}/leave", post(sessions::leave))
        .route(
            "/sessions/{id}/participants",
            post(sessions::add_participant),
        )
        .route(
            "/sessions/{id}/participants/{userId}",
            put(sessions::change_role).delete(sessions::remove_participant),
        )
        .route("/sessions/{id}/transfer", post(sessions::transfer))
        .route(
            "/sessions/{id}/content",
            get(content::get).put(content::put),
        )
        .route("/sessions/{id}/fork", post(versions::fork))
        .route(
            "/sessions/{id}/versions",
            get(versions::list).post(versions::take),
        )
        // Another name of the same (CC-SAPI-09, CC-SAPI-10).
        .route(
            "/sessions/{id}/snapshots",
            get(versions::list).post(versions::take),
        )
        .route(
            "/sessions/{id}/versions/{number}",
            get(versions::get).delete(versions::delete),
        )
        .route("/sessions/{id}/versions/{number}/diff", get(versions::diff))
        .route(
            "/sessions/{id}/versions/{number}/restore",
            post(versions::restore),
        )
        .route("/sessions/{id}/history", get(history::read))
        .route(
            "/sessions/{id}/history/{step}/restore",
            post(history::restore),
        )
        .route("/sessions/{id}/chat", get(chat::read).post(chat::send))
        .route("/sessions/{id}/chat/{seq}", delete(chat::delete))
        .route("/sessions/{id}/online", get(notifications::online_in))
        .route("/notifications", get(notifications::list))
        .route("/notifications/read", post(notifications::read))
        .route("/notifications/connect", post(notifications::connect))
        .route("/notifications/socket", get(notifications::socket))
        .route("/notifications/events", get(notifications::events))
        .route("/rooms/{id}", get(rooms::open))
        .route("/rooms/{id}/events", get(streams::events))
        .route("/rooms/{id}/frames", post(streams::frames))
        .route(
            "/sessions/{id}/executions",
            get(executions::list_of_session),
        )
        .route(
            "/executions",
            post(executions::create)
                .route_layer(from_fn_with_state(edge.clone(), trace::told))
                .get(executions::list),
        )
        .route("/executions/{id}", get(executions::get))
        .route("/executions/{id}/input", post(executions::input))
        .route("/executions/{id}/files/{name}", get(files::serve))
        .route("/executions/{id}/cancel", post(executions::cancel))
        .route("/executors", get(executors::list))
        .route("/executors/{id}", delete(executors::revoke))
        .route("/metrics", get(metrics::metrics))
        .route("/languages", get(service::languages))
        .route("/health", get(service::health))
        .route("/ready", get(service::ready))
        .route("/openapi.json", get(openapi::document))
        .fallback(|| async { Refusal::new(ErrorCode::RouteNotFound) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_name_of_the_api_is_the_same_api() {
        let newer = |uri: &'static str| newer_name(&Uri::from_static(uri));
        for (older, same) in [
            ("/api", "/api/v1"),
            ("/api/sessions/1?a=%2Fapi", "/api/v1/sessions/1?a=%2Fapi"),
            ("/api/v1x", "/api/v1/v1x"),
            (
                "https://a.example/api/health",
                "https://a.example/api/v1/health",
            ),
        ] {
            assert_eq!(newer(older), Some(Uri::from_static(same)), "{older}");
        }
        for other in ["/api/v1", "/api/v1/sessions", "/apis", "/", "/x/api", "*"] {
            assert_eq!(newer(other), None, "{other}");
        }
    }
}
