//! The OpenAPI 3.1 document.

use codecrafter_shared::error::ErrorCode;
use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use super::{Answer, Operation, Who, table};

/// The media type of refusals (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// What this file is, for people who look at it first.
const ABOUT: &str = "People write code together in the browser and run it safely. Guide with \
    examples: docs/api.md of the repository. Rooms: docs/realtime.md. `/api` is an older name of \
    `/api/v1`. Requests refuse fields that they do not know; answers may gain fields. A path that \
    is not here gives 404 `route_not_found`, a method that is not here 405 `method_not_allowed`. Every answer has the \
    header `X-Request-Id`, which names the request in the deployment's log. Those that are under rate \
    limits have `RateLimit` and `RateLimit-Policy`, and of the limit that is nearest the older \
    `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`: docs/security.md.";

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in public() {
        let described = describe(&operation, &mut schemas);
        paths
            .entry(operation.path)
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .map(|methods| methods.insert(operation.method.to_owned(), described));
    }
    let tags: Vec<Value> = table::TAGS
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "CodeCrafter API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The deployment that serves this document." }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Of `POST /api/v1/auth/login`; 15 minutes.",
                },
                "operatorToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What `executor-host operator-token` prints.",
                },
                "feedToken": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "Of `POST /api/v1/notifications/connect`; 1 hour.",
                },
                "roomToken": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "Of `POST /api/v1/sessions/{id}/join`; 12 hours.",
                },
            },
            "headers": limit_headers(),
            "schemas": schemas.into_components(),
        },
    })
}

/// What draft-ietf-httpapi-ratelimit-headers says about an answer under limits.
fn limit_headers() -> Value {
    let header = |description: &str, example: &str| {
        json!({
            "description": description,
            "schema": { "type": "string" },
            "example": example,
        })
    };
    json!({
        "RateLimit": header(
            "For each limit: how many are left (`r`), and in how many seconds there are more (`t`).",
            r#""user";r=1199;t=1, "join";r=59;t=5"#,
        ),
        "RateLimit-Policy": header(
            "For each limit: so many (`q`) in so many seconds (`w`).",
            r#""user";q=1200;w=60, "join";q=60;w=300"#,
        ),
    })
}

/// Says that an answer has them.
fn is_under_limits(response: &mut Value) {
    for name in ["RateLimit", "RateLimit-Policy"] {
        let reference = format!("#/components/headers/{name}");
        response["headers"][name] = json!({ "$ref": reference });
    }
}

/// The operations that clients may use.
pub fn public() -> impl Iterator<Item = Operation> {
    let is_public = |operation: &Operation| operation.who != Who::Executor;
    table::operations().into_iter().filter(is_public)
}

/// The file's text.
#[must_use]
pub fn text() -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    let written = serde::Serialize::serialize(&document(), &mut serializer);
    debug_assert!(written.is_ok(), "a document of strings can be written");
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.push('\n');
    text
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [table::tag(operation.path)],
        "summary": operation.summary,
    });
    let who = match operation.who {
        Who::SignedIn(who) if !who.is_empty() => format!("For: {who}."),
        _ => String::new(),
    };
    let description = format!("{} {who}", operation.description);
    if !description.trim().is_empty() {
        described["description"] = json!(description.trim());
    }
    let security = match operation.who {
        Who::SignedIn(_) => Some("accessToken"),
        Who::RoomToken => Some("roomToken"),
        Who::FeedToken => Some("feedToken"),
        Who::Operator => Some("operatorToken"),
        Who::Anybody | Who::Executor => None,
    };
    if let Some(scheme) = security {
        described["security"] = json!([{ scheme: [] }]);
    }
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = operation.request {
        let schema = schemas.request(body);
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        });
    }
    described["responses"] = responses(operation, schemas);
    described
}

/// Of the path, then of query and header.
fn parameters(operation: &Operation) -> Vec<Value> {
    let names = operation.path.split('{').skip(1);
    let names = names.filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    let of_path = names.map(|name| {
        let schema = match name {
            "name" => json!({ "type": "string" }),
            _ => json!({ "type": "string", "format": "uuid" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let others = operation.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": parameter.place,
            "schema": parameter.schema,
            "description": parameter.description,
        })
    });
    of_path.chain(others).collect()
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        let mut response = response(answer, schemas);
        if operation.is_limited() {
            is_under_limits(&mut response);
        }
        responses.insert(answer.status.to_string(), response);
    }
    for (status, codes) in by_status(&operation.refusals()) {
        let mut refusal = refusal(status, &codes);
        if codes.contains(&ErrorCode::RateLimited) {
            is_under_limits(&mut refusal);
        }
        match responses.get_mut(&status.to_string()) {
            // One status, two kinds of body.
            Some(response) => {
                let (media_type, body) = (PROBLEM, &refusal["content"][PROBLEM]);
                response["content"][media_type] = body.clone();
                let description = [&response["description"], &refusal["description"]];
                let description = description.map(|text| text.as_str().unwrap_or_default());
                response["description"] = json!(description.join("\n"));
            }
            None => {
                responses.insert(status.to_string(), refusal);
            }
        }
    }
    Value::Object(responses)
}

/// A problem document with one of these codes.
fn refusal(status: u16, codes: &[ErrorCode]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let meanings: Vec<_> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.as_str(), code.title()))
        .collect();
    let mut refusal = json!({
        "description": meanings.join("\n"),
        "content": {
            PROBLEM: {
                "schema": {
                    "$ref": "#/components/schemas/Problem",
                    "properties": { "code": { "enum": names } },
                },
            },
        },
    });
    if matches!(status, 429 | 503) {
        refusal["headers"]["Retry-After"] = json!({
            "description": "Seconds until it makes sense to try again.",
            "schema": { "type": "integer" },
        });
    }
    refusal
}

fn response(answer: &Answer, schemas: &mut Schemas) -> Value {
    let mut response = json!({ "description": answer.description });
    if let Some(body) = answer.body {
        let schema = schemas.answer(body);
        response["content"] = json!({ "application/json": { "schema": schema } });
    }
    for media_type in &answer.media_types {
        // A body of bytes has no schema (OpenAPI 3.1, 4.8.14.4).
        response["content"][*media_type] = json!({});
    }
    for (name, description) in &answer.headers {
        let header = json!({ "description": description, "schema": { "type": "string" } });
        response["headers"][*name] = header;
    }
    response
}

/// Refusals by status, in order.
fn by_status(codes: &[ErrorCode]) -> Vec<(u16, Vec<ErrorCode>)> {
    let mut statuses: Vec<(u16, Vec<ErrorCode>)> = Vec::new();
    for code in codes {
        match statuses
            .iter_mut()
            .find(|(status, _)| *status == code.status())
        {
            Some((_, codes)) => codes.push(*code),
            None => statuses.push((code.status(), vec![*code])),
        }
    }
    statuses.sort_by_key(|(status, _)| *status);
    statuses
}
