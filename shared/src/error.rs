//! The closed list of refusals that a client can see, and the problem document that carries one
//! (RFC 9457). A code is stable: clients may match on it. `docs/errors.md` explains each.

use serde::{Deserialize, Serialize};

use crate::id::RequestId;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $status:literal $name:literal $title:literal,)+) => {
        /// Why a request was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl ErrorCode {
            /// Every code, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The HTTP status that it is sent with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// Its name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence for a person; the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    /// 400: the body is not JSON.
    MalformedJson = 400 "malformed_json" "The body is not valid JSON.",
    /// 415: the body is not declared as JSON.
    UnsupportedMediaType = 415 "unsupported_media_type" "The body must be sent as application/json.",
    /// 422: well-formed, but a field breaks a rule; `errors` names each.
    ValidationFailed = 422 "validation_failed" "A field is missing or breaks a rule.",
    /// 413: the body is larger than the route takes.
    BodyTooLarge = 413 "body_too_large" "The body is larger than this route takes.",
    /// 404: no such route.
    RouteNotFound = 404 "route_not_found" "There is no such route.",
    /// 405: the route exists, with another method.
    MethodNotAllowed = 405 "method_not_allowed" "This route does not take that method.",
    /// 401: no token was sent.
    TokenMissing = 401 "token_missing" "This route needs an access token.",
    /// 401: the token is forged, cut off, or made for something else.
    TokenInvalid = 401 "token_invalid" "The token is not valid here.",
    /// 401: the token was good once; refresh it.
    TokenExpired = 401 "token_expired" "The token has expired.",
    /// 401: wrong password or unknown user, deliberately not told apart.
    CredentialsInvalid = 401 "credentials_invalid" "The user name or the password is wrong.",
    /// 401: the login session behind the token was ended.
    LoginSessionEnded = 401 "login_session_ended" "This login has ended; sign in again.",
    /// 409: the user name belongs to somebody.
    UsernameTaken = 409 "username_taken" "That user name is taken.",
    /// 409: the mail address belongs to an account.
    EmailTaken = 409 "email_taken" "That mail address already has an account.",
    /// 403: the caller may see the thing, but not do this to it.
    Forbidden = 403 "forbidden" "Your role does not allow this.",
    /// 404: no such session, or none that the caller may know of.
    SessionNotFound = 404 "session_not_found" "There is no such session.",
    /// 400: the body does not consist of whole frames.
    MalformedFrames = 400 "malformed_frames" "The body is not a list of frames.",
    /// 410: the room has let go of this connection, or it is somebody else's.
    ConnectionGone = 410 "connection_gone" "There is no such connection to the room any more; open another.",
    /// 409: the session has as many participants as it allows.
    SessionFull = 409 "session_full" "The session has no place left.",
    /// 403: an admin has removed the caller, who does not come back by themselves.
    ParticipantRemoved = 403 "participant_removed" "You were removed from this session; only its owner or an admin can add you again.",
    /// 429: this login session has good room tokens for as many sessions as it may have.
    TooManyRooms = 429 "too_many_rooms" "This login has joined too many rooms; sign out and in again.",
    /// 409: the user owns as many sessions as one may own.
    TooManySessions = 409 "too_many_sessions" "One user cannot own more sessions; delete one, or hand one over.",
    /// 404: no such user.
    UserNotFound = 404 "user_not_found" "There is no such user.",
    /// 404: the user is not a participant of the session.
    ParticipantNotFound = 404 "participant_not_found" "That user is not a participant of the session.",
    /// 409: the user has joined the session already (CC-SESS-16).
    AlreadyParticipant = 409 "already_participant" "That user is a participant of the session already.",
    /// 409: a session has an owner at all times: hand it over, or delete it.
    OwnerStays = 409 "owner_stays" "The owner cannot leave a session, only hand it over or delete it.",
    /// 412: `If-Match` names another state of the content than the present one.
    ContentChanged = 412 "content_changed" "The content has changed since it was read.",
    /// 404: the session has no version of that number, or not any more.
    VersionNotFound = 404 "version_not_found" "There is no such version.",
    /// 404: the session's history has no step of that number, or not any more.
    StepNotFound = 404 "step_not_found" "There is no such step in the history.",
    /// 409: the session keeps as many versions as one may.
    TooManyVersions = 409 "too_many_versions" "The session cannot keep more versions; delete one.",
    /// 404: the session has no message of that number, or not any more.
    MessageNotFound = 404 "message_not_found" "There is no such message.",
    /// 429: the user has sent as many messages as one may in so short a time.
    TooManyMessages = 429 "too_many_messages" "Too many messages; wait a moment.",
    /// 404: no such execution, or none that the caller may know of.
    ExecutionNotFound = 404 "execution_not_found" "There is no such execution.",
    /// 404: the execution has left no such file, or it is not kept any more.
    FileNotFound = 404 "file_not_found" "There is no such file.",
    /// 409: what has ended cannot be cancelled.
    ExecutionFinished = 409 "execution_finished" "The execution has ended already.",
    /// 409: the execution was not asked for with `interactive`.
    ExecutionNotInteractive = 409 "execution_not_interactive" "The execution takes no input while it runs.",
    /// 409: `after` is more than the inputs that the execution has taken.
    InputMissing = 409 "input_missing" "Input that came before this one has not arrived.",
    /// 409: the input was ended, or the execution has taken as much as one may.
    InputEnded = 409 "input_ended" "The execution takes no more input.",
    /// 429: input waits for the program's host; try again after `Retry-After`.
    TooMuchInput = 429 "too_much_input" "Input comes faster than the program's host takes it.",
    /// 429: the user has as many unfinished executions as one may have.
    TooManyExecutions = 429 "too_many_executions" "Too many of your executions are unfinished.",
    /// 503: as many executions wait as may wait; try again after `Retry-After`.
    QueueFull = 503 "queue_full" "Too many executions are waiting; try again later.",
    /// 429: more requests than a rate limit allows; `detail` says of which, and when to try again.
    RateLimited = 429 "rate_limited" "Too many requests; try again later.",
    /// 401: a link's request is not signed by an enrolled, unrevoked executor.
    ExecutorUnknown = 401 "executor_unknown" "The request is not signed by an enrolled executor.",
    /// 404: no such executor.
    ExecutorNotFound = 404 "executor_not_found" "There is no such executor.",
    /// 426: the link speaks a protocol version that this edge does not.
    ProtocolUnsupported = 426 "protocol_unsupported" "No common protocol version; update the older side.",
    /// 503: a part of the deployment did not answer.
    Unavailable = 503 "unavailable" "A part of the service did not answer; try again.",
    /// 500: our fault; the cause is in the log under the request's id.
    Internal = 500 "internal" "Something went wrong on our side.",
}

/// An RFC 9457 problem document, media type `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A URI reference that names the kind of problem: `urn:codecrafter:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// [`ErrorCode::title`].
    pub title: String,
    /// [`ErrorCode::status`].
    pub status: u16,
    /// What was wrong in this occurrence, and what would be right.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The stable code.
    pub code: ErrorCode,
    /// The request, as it is named in our logs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<RequestId>,
    /// For [`ErrorCode::ValidationFailed`]: every field that broke a rule.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<FieldError>,
}

/// A field that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldError {
    /// The field as the client spells it, such as `limits.wallMs`.
    pub field: String,
    /// The rule that it broke.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_serialize_as_their_name() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..600).contains(&code.status()), "{}", code.as_str());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
