//! The public HTTP surface as one table: method, path, use-case.

use axum::Router;
use axum::routing::{delete, get, post, put};
use codecrafter_shared::error::ErrorCode;

use crate::error::Refusal;
use crate::front::{Edge, finish, openapi, page, rooms, service};
use crate::{accounts, executions, executors, sessions};

/// Every route.
pub fn router(edge: Edge) -> Router {
    let api = api();
    Router::new()
        .nest("/api/v1", api.clone())
        // The older name of the same.
        .nest("/api", api)
        .route("/internal/executors", post(executors::routes::enrol))
        .route("/internal/leases", post(executors::routes::lease))
        .route("/internal/leases/ack", post(executors::routes::acknowledge))
        .route("/internal/reports", post(executors::routes::reports))
        .route("/internal/contract", get(service::contract))
        .route("/.well-known/jwks.json", get(service::jwks))
        .route("/health", get(service::health))
        .route("/ready", get(service::ready))
        .fallback(page::serve)
        .method_not_allowed_fallback(|| async { Refusal::new(ErrorCode::MethodNotAllowed) })
        .layer(axum::middleware::from_fn_with_state(
            edge.clone(),
            finish::answer,
        ))
        .with_state(edge)
}

fn api() -> Router<Edge> {
    use crate::sessions::content;
    use accounts::routes as accounts;
    use executions::routes as executions;
    use executors::operator_routes as executors;
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
        .route("/rooms/{id}", get(rooms::open))
        .route(
            "/sessions/{id}/executions",
            get(executions::list_of_session),
        )
        .route(
            "/executions",
            post(executions::create).get(executions::list),
        )
        .route("/executions/{id}", get(executions::get))
        .route("/executions/{id}/cancel", post(executions::cancel))
        .route("/executors", get(executors::list))
        .route("/executors/{id}", delete(executors::revoke))
        .route("/languages", get(service::languages))
        .route("/health", get(service::health))
        .route("/ready", get(service::ready))
        .route("/openapi.json", get(openapi::document))
        .fallback(|| async { Refusal::new(ErrorCode::RouteNotFound) })
}
