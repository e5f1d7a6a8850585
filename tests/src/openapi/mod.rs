//! The public API as one table, and what follows from it: the OpenAPI document and the reference
//! in `docs/api.md`.
//!
//! [`table`] lists the operations, [`rules`] the bounds of fields, [`examples`] a value of each
//! type that matters. Types and descriptions come from `codecrafter_shared` itself. [`document`]
//! puts the three together, [`markdown`] writes the same for people, [`check`] holds answers
//! against it. The test `openapi` compares the table with the router, and the files with what is
//! made here.

pub mod check;
pub mod document;
pub mod examples;
pub mod markdown;
pub mod rules;
mod schemas;
pub mod table;

use codecrafter_edge::limits::plan;
use codecrafter_shared::error::ErrorCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Where everything but the routes of the service itself is.
pub const PREFIX: &str = "/api/v1";

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody, without a token.
    Anybody,
    /// Whoever has an access token; the text says who of them, if not all.
    SignedIn(&'static str),
    /// Whoever has a token of that room.
    RoomToken,
    /// Whoever has a token of their own feed.
    FeedToken,
    /// Whoever has the deployment's operator token.
    Operator,
    /// Enrolled executor-hosts. Not part of the public document.
    Executor,
}

/// Makes the schema of a type.
pub type Type = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
pub struct Operation {
    /// In lower case, as OpenAPI spells it.
    pub method: &'static str,
    /// From the root; parameters in braces.
    pub path: &'static str,
    /// The name that generated clients give it.
    pub id: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What else there is to know.
    pub description: &'static str,
    /// Who may call it.
    pub who: Who,
    /// Parameters of query and header; those of the path follow from it.
    pub parameters: Vec<Parameter>,
    /// The JSON body that it takes.
    pub request: Option<Type>,
    /// Its answers, except refusals.
    pub answers: Vec<Answer>,
    /// Refusals of this operation, beside those that [`Operation::refusals`] adds.
    pub codes: Vec<ErrorCode>,
}

/// A parameter of query or header.
pub struct Parameter {
    /// `query` or `header`.
    pub place: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its schema.
    pub schema: Value,
    /// What it does.
    pub description: &'static str,
}

/// An answer that is not a refusal.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When it is given.
    pub description: &'static str,
    /// Its JSON body; none if it has no body.
    pub body: Option<Type>,
    /// The media types of its body, if that is not ours.
    pub media_types: Vec<&'static str>,
    /// Headers that it has beside those of every answer, each with its meaning.
    pub headers: Vec<(&'static str, &'static str)>,
}

impl Operation {
    /// An operation that anybody may call.
    #[must_use]
    pub fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            description: "",
            who: Who::Anybody,
            parameters: Vec::new(),
            request: None,
            answers: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Says what else there is to know.
    #[must_use]
    pub fn description(mut self, text: &'static str) -> Self {
        self.description = text;
        self
    }

    /// Says who may call it.
    #[must_use]
    pub fn by(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    /// Adds a parameter of the query.
    #[must_use]
    pub fn query(mut self, name: &'static str, schema: Value, description: &'static str) -> Self {
        let parameter = Parameter {
            place: "query",
            name,
            schema,
            description,
        };
        self.parameters.push(parameter);
        self
    }

    /// Adds a header that a request may have.
    #[must_use]
    pub fn header(mut self, name: &'static str, description: &'static str) -> Self {
        let parameter = Parameter {
            place: "header",
            name,
            schema: json!({ "type": "string" }),
            description,
        };
        self.parameters.push(parameter);
        self
    }

    /// Says what its body is.
    #[must_use]
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Adds an answer with a body.
    #[must_use]
    pub fn gives<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.answer(
            status,
            description,
            Some(SchemaGenerator::subschema_for::<T>),
        )
    }

    /// Adds an answer without a body of ours.
    #[must_use]
    pub fn gives_nothing(self, status: u16, description: &'static str) -> Self {
        self.answer(status, description, None)
    }

    /// Says that the answer that was added last has a body of one of these media types.
    #[must_use]
    pub fn of(mut self, media_types: impl Iterator<Item = &'static str>) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.media_types = media_types.collect();
        }
        self
    }

    /// Adds a header to the answer that was added last.
    #[must_use]
    pub fn with(mut self, name: &'static str, description: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push((name, description));
        }
        self
    }

    /// Adds refusals.
    #[must_use]
    pub fn refuses(mut self, codes: &[ErrorCode]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Every refusal, in the order of [`ErrorCode::ALL`]: its own, and those that follow from who
    /// may call it and what it takes.
    #[must_use]
    pub fn refusals(&self) -> Vec<ErrorCode> {
        use ErrorCode::{
            BodyTooLarge, Internal, LoginSessionEnded, MalformedJson, TokenExpired, TokenInvalid,
            TokenMissing, Unavailable, UnsupportedMediaType, ValidationFailed,
        };
        let mut codes = self.codes.clone();
        if self.request.is_some() {
            codes.extend([
                MalformedJson,
                UnsupportedMediaType,
                ValidationFailed,
                BodyTooLarge,
            ]);
        }
        if self.parameters.iter().any(|given| given.place == "query") {
            codes.push(ValidationFailed);
        }
        match self.who {
            Who::SignedIn(_) => codes.extend([
                TokenMissing,
                TokenInvalid,
                TokenExpired,
                LoginSessionEnded,
                Unavailable,
                Internal,
            ]),
            Who::Operator | Who::Executor => {
                codes.extend([TokenMissing, TokenInvalid, Unavailable, Internal]);
            }
            Who::Anybody | Who::RoomToken | Who::FeedToken => {}
        }
        if self.is_limited() {
            codes.push(ErrorCode::RateLimited);
        }
        let all = ErrorCode::ALL.iter().copied();
        all.filter(|code| codes.contains(code)).collect()
    }

    /// Whether a rate limit stands before it.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        let method = self.method.to_uppercase();
        let method = http::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        plan::group(&method, Some(self.path)) != plan::Group::Free
    }

    fn answer(
        mut self,
        status: u16,
        description: &'static str,
        body: Option<fn(&mut SchemaGenerator) -> Schema>,
    ) -> Self {
        self.answers.push(Answer {
            status,
            description,
            body,
            media_types: Vec::new(),
            headers: Vec::new(),
        });
        self
    }
}
