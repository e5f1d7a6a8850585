//! JSON Schemas of the types that write themselves as text; all others are derived.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::id::{AttemptId, ExecutionId, ExecutorId, RequestId, SessionId, UserId};
use crate::time::Timestamp;

macro_rules! text {
    ($($name:ident: $format:literal, $description:literal;)+) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "format": $format,
                    "description": $description,
                })
            }
        }
    )+};
}

text! {
    UserId: "uuid", "An account: a UUID in lower case.";
    SessionId: "uuid", "A session, and its room: a UUID in lower case.";
    ExecutionId: "uuid", "An execution: a UUID in lower case.";
    AttemptId: "uuid", "One start of an execution: a UUID in lower case.";
    ExecutorId: "uuid", "An enrolled executor-host: a UUID in lower case.";
    RequestId: "uuid", "A request, as it is named in the header `X-Request-Id` and in logs.";
    Timestamp: "date-time", "RFC 3339; answers are in UTC and always have milliseconds.";
}
