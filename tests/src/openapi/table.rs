//! Every operation, in the order in which a client meets them.

mod history;
mod notifications;
mod rooms;

use std::collections::BTreeSet;

use codecrafter_shared::api::{
    AddParticipant, ChangeRole, ChatMessage, ChatMessages, CreateExecution, CreateSession,
    Execution, ExecutionSummary, Executors, ForkSession, GiveInput, Health, InputTaken, Joined,
    Languages, Login, Page, Participant, Ready, Refresh, Register, RestoredVersion,
    SendChatMessage, Session, SessionContent, SessionSummary, SignedIn as Tokens, TakeVersion,
    TransferSession, UpdateSession, User, Version, VersionContent, VersionDiff, WriteContent,
};
use codecrafter_shared::error::ErrorCode::{
    AlreadyParticipant, BodyTooLarge, ContentChanged, CredentialsInvalid, EmailTaken,
    ExecutionFinished, ExecutionNotFound, ExecutionNotInteractive, ExecutorNotFound,
    ExecutorUnknown, FileNotFound, Forbidden, InputEnded, InputMissing, Internal,
    LoginSessionEnded, MessageNotFound, OwnerStays, ParticipantNotFound, ParticipantRemoved,
    ProtocolUnsupported, QueueFull, SessionFull, SessionNotFound, StepNotFound, TokenInvalid,
    TooManyExecutions, TooManyMessages, TooManyRooms, TooManySessions, TooManyVersions,
    TooMuchInput, Unavailable, UserNotFound, UsernameTaken, ValidationFailed, VersionNotFound,
};
use codecrafter_shared::job::{MediaType, Verdict};
use codecrafter_shared::{language, limits};
use serde_json::{Value, json};

use super::Who::{Anybody, Executor, Operator, SignedIn};
use super::{Operation, Who};

/// Whoever may see a session.
const SEES: Who = SignedIn("participants; anybody signed in if the session is public");
/// Whoever may change a session's settings.
const ADMIN: Who = SignedIn("owner, admin");
/// The owner of a session.
const OWNER: Who = SignedIn("owner");

const LOCATION: (&str, &str) = ("Location", "The path of what was made.");
const ETAG: (&str, &str) = (
    "ETag",
    "The state of the content, for `If-Match` and `If-None-Match`.",
);

/// Groups of operations, in the order of the document: a name, and what is in it.
pub const TAGS: &[(&str, &str)] = &[
    ("Accounts", "Registering, signing in, and the tokens of it."),
    ("Sessions", "Shared documents, and who may do what in them."),
    (
        "Versions",
        "What a document was, how it came about, and forks of it.",
    ),
    ("Chat", "What participants say to each other."),
    ("Notifications", "What a person is told, wherever they are."),
    ("Executions", "Running code."),
    (
        "Executors",
        "For operators: the hosts that run code. By the operator token, which `executor-host \
         operator-token` prints where the deployment's secret is set.",
    ),
    ("Service", "The deployment itself."),
];

/// The group of an operation, by its path.
#[must_use]
pub fn tag(path: &str) -> &'static str {
    let path = path.strip_prefix(super::PREFIX).unwrap_or(path);
    match path.split('/').nth(1).unwrap_or_default() {
        "auth" => "Accounts",
        "sessions" => match path.split('/').nth(3).unwrap_or_default() {
            "executions" => "Executions",
            "versions" | "snapshots" | "history" | "fork" => "Versions",
            "chat" => "Chat",
            _ => "Sessions",
        },
        "rooms" => "Sessions",
        "notifications" => "Notifications",
        "executions" => "Executions",
        "executors" => "Executors",
        "internal" => "Links",
        _ => "Service",
    }
}

/// Every operation.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let mut all = accounts();
    all.extend(sessions());
    all.extend(rooms::rooms());
    all.extend(participants());
    all.extend(versions());
    all.extend(chat());
    all.extend(notifications::notifications());
    all.extend(executions());
    all.extend(executors());
    all.extend(service());
    all.extend(links());
    all
}

fn accounts() -> Vec<Operation> {
    let session_ended = &[LoginSessionEnded, TokenInvalid, Unavailable, Internal];
    vec![
        post("/api/v1/auth/register", "register", "Makes an account.")
            .takes::<Register>()
            .gives::<Tokens>(201, "The account is made and signed in.")
            .refuses(&[UsernameTaken, EmailTaken, Unavailable, Internal]),
        post("/api/v1/auth/login", "login", "Signs in.")
            .description(
                "By user name or mail address. An unknown user and a wrong password are not told \
                 apart.",
            )
            .takes::<Login>()
            .gives::<Tokens>(200, "A new login session.")
            .refuses(&[CredentialsInvalid, Unavailable, Internal]),
        post("/api/v1/auth/refresh", "refresh", "Gives the next tokens.")
            .description(
                "A refresh token is good once. If it comes again within ten seconds the same \
                 answer is given, because the first may have been lost; later, the login session \
                 ends, because somebody has a copy.",
            )
            .takes::<Refresh>()
            .gives::<Tokens>(200, "New tokens; the old refresh token is used up.")
            .refuses(session_ended),
        post("/api/v1/auth/logout", "logout", "Ends this login session.")
            .description(
                "Its tokens are worth nothing from then on, and the sockets that its room tokens \
                 have opened are closed.",
            )
            .by(SignedIn(""))
            .gives_nothing(204, "It has ended."),
        get("/api/v1/auth/me", "me", "The caller's account.")
            .by(SignedIn(""))
            .gives::<User>(200, "The account."),
    ]
}

fn sessions() -> Vec<Operation> {
    let update = |method, id| {
        Operation::new(method, "/api/v1/sessions/{id}", id, "Changes settings.")
            .description("What is left out stays. `isLocked` locks and unlocks.")
            .by(ADMIN)
            .takes::<UpdateSession>()
            .gives::<Session>(200, "The session as it is now.")
            .refuses(&[SessionNotFound, Forbidden])
    };
    vec![
        post("/api/v1/sessions", "createSession", "Makes a session.")
            .by(SignedIn(""))
            .takes::<CreateSession>()
            .gives::<Session>(201, "The session; the caller owns it.")
            .with(LOCATION.0, LOCATION.1)
            .refuses(&[TooManySessions]),
        paged(get("/api/v1/sessions", "listSessions", "Lists sessions."))
            .description("Newest change first: those that the caller has joined, or public ones.")
            .by(SignedIn(""))
            .query(
                "scope",
                json!({ "type": "string", "enum": ["mine", "public"], "default": "mine" }),
                "Which sessions: the caller's, or everybody's public ones.",
            )
            .query("language", language_id(), "Only those in this language.")
            .query(
                "q",
                json!({ "type": "string" }),
                "Only those with these words in title or description; case does not count.",
            )
            .gives::<Page<SessionSummary>>(200, "A page of sessions."),
        get("/api/v1/sessions/{id}", "getSession", "Gives a session.")
            .by(SEES)
            .gives::<Session>(200, "The session.")
            .refuses(&[SessionNotFound]),
        update("put", "replaceSession"),
        update("patch", "updateSession"),
        delete(
            "/api/v1/sessions/{id}",
            "deleteSession",
            "Deletes a session.",
        )
        .description("Nobody sees it any more, its room closes, and what the room held is deleted.")
        .by(OWNER)
        .gives_nothing(204, "It is deleted.")
        .refuses(&[SessionNotFound, Forbidden]),
        get(
            "/api/v1/sessions/{id}/content",
            "getContent",
            "Gives the document.",
        )
        .description("As its room has it at that moment.")
        .by(SEES)
        .header(
            "If-None-Match",
            "An `ETag`: 304 if the content is still that.",
        )
        .gives::<SessionContent>(200, "The document.")
        .with(ETAG.0, ETAG.1)
        .gives_nothing(304, "It is still what `If-None-Match` names.")
        .with(ETAG.0, ETAG.1)
        .refuses(&[SessionNotFound]),
        put(
            "/api/v1/sessions/{id}/content",
            "putContent",
            "Writes the document.",
        )
        .description(
            "As an ordinary edit, which everybody in the room sees; what is left out stays.",
        )
        .by(SignedIn(
            "owner, admin, editor; only the owner while it is locked",
        ))
        .header(
            "If-Match",
            "An `ETag`: 412 if the content is not that any more.",
        )
        .takes::<WriteContent>()
        .gives::<SessionContent>(200, "The document as it is now.")
        .with(ETAG.0, ETAG.1)
        .refuses(&[SessionNotFound, Forbidden, ContentChanged]),
    ]
}

fn participants() -> Vec<Operation> {
    vec![
        post(
            "/api/v1/sessions/{id}/join",
            "joinSession",
            "Joins a session.",
        )
        .description(
            "Harmless to repeat: the role stays, and the room token is a new one. Who comes back \
             gets no more than an admin has last given them.",
        )
        .by(SEES)
        .gives::<Joined>(200, "The session, and what opens its room.")
        .refuses(&[
            SessionNotFound,
            SessionFull,
            ParticipantRemoved,
            TooManyRooms,
        ]),
        post(
            "/api/v1/sessions/{id}/leave",
            "leaveSession",
            "Leaves a session.",
        )
        .description("The owner hands it over first, or deletes it.")
        .by(SignedIn("participants, except the owner"))
        .gives_nothing(204, "The caller is not a participant any more.")
        .refuses(&[SessionNotFound, ParticipantNotFound, OwnerStays]),
        post(
            "/api/v1/sessions/{id}/participants",
            "addParticipant",
            "Adds somebody by user name.",
        )
        .description("Which is how others come into a private session.")
        .by(ADMIN)
        .takes::<AddParticipant>()
        .gives::<Participant>(201, "The participant.")
        .refuses(&[
            SessionNotFound,
            Forbidden,
            UserNotFound,
            AlreadyParticipant,
            SessionFull,
        ]),
        put(
            "/api/v1/sessions/{id}/participants/{userId}",
            "changeRole",
            "Changes a participant's role.",
        )
        .description("A connected client keeps its socket, and is told.")
        .by(SignedIn("owner, admin; on those below their own role"))
        .takes::<ChangeRole>()
        .gives::<Participant>(200, "The participant.")
        .refuses(&[SessionNotFound, Forbidden, ParticipantNotFound]),
        delete(
            "/api/v1/sessions/{id}/participants/{userId}",
            "removeParticipant",
            "Removes a participant.",
        )
        .description("Whoever names their own id leaves. Open sockets are closed.")
        .by(SignedIn(
            "owner, admin on those below; everybody on themselves",
        ))
        .gives_nothing(204, "Not a participant any more.")
        .refuses(&[SessionNotFound, Forbidden, ParticipantNotFound, OwnerStays]),
        post(
            "/api/v1/sessions/{id}/transfer",
            "transferSession",
            "Hands a session over.",
        )
        .description("The participant becomes the owner, and the owner an admin.")
        .by(OWNER)
        .takes::<TransferSession>()
        .gives::<Session>(200, "The session as it is now.")
        .refuses(&[
            SessionNotFound,
            Forbidden,
            ParticipantNotFound,
            TooManySessions,
        ]),
    ]
}

/// Whoever may keep versions of a document.
const EDITORS: Who = SignedIn("owner, admin, editor");

fn versions() -> Vec<Operation> {
    let take = |path, id| {
        post(path, id, "Keeps the document as it is now.")
            .description("Also while it is locked: that changes nothing of it. The room is told.")
            .by(EDITORS)
            .takes::<TakeVersion>()
            .gives::<Version>(201, "The version, without its text.")
            .with(LOCATION.0, LOCATION.1)
            .refuses(&[SessionNotFound, Forbidden, TooManyVersions])
    };
    let list = |path, id| {
        paged(get(path, id, "Lists versions."))
            .description("Newest first, without their text.")
            .by(SEES)
            .gives::<Page<Version>>(200, "A page of versions.")
            .refuses(&[SessionNotFound])
    };
    let one = "/api/v1/sessions/{id}/versions/{number}";
    let mut all = vec![
        take("/api/v1/sessions/{id}/versions", "takeVersion"),
        list("/api/v1/sessions/{id}/versions", "listVersions"),
        take("/api/v1/sessions/{id}/snapshots", "takeSnapshot"),
        list("/api/v1/sessions/{id}/snapshots", "listSnapshots"),
        get(one, "getVersion", "Gives a version with its text.")
            .by(SEES)
            .gives::<VersionContent>(200, "The version.")
            .refuses(&[SessionNotFound, VersionNotFound]),
        delete(one, "deleteVersion", "Deletes a version.")
            .by(SignedIn("owner, admin; editors those that they have taken"))
            .gives_nothing(204, "It is gone.")
            .refuses(&[SessionNotFound, VersionNotFound, Forbidden]),
        get(
            "/api/v1/sessions/{id}/versions/{number}/diff",
            "diffVersion",
            "Compares a version with another one, or with the document as it is now.",
        )
        .description("Line by line, with up to three equal lines around each change.")
        .by(SEES)
        .query(
            "with",
            json!({ "type": "string", "pattern": "^([0-9]+|now)$", "default": "now" }),
            "The number of the other version, or `now`.",
        )
        .gives::<VersionDiff>(200, "What differs.")
        .refuses(&[SessionNotFound, VersionNotFound]),
        post(
            "/api/v1/sessions/{id}/versions/{number}/restore",
            "restoreVersion",
            "Gives the document the text of a version again.",
        )
        .description(
            "By an ordinary edit, which everybody in the room sees, and is told whose it is: lines \
             that are the same stay, with the cursors in them. What the document was before is \
             kept as a version.",
        )
        .by(SignedIn(
            "owner, admin, editor; only the owner while it is locked",
        ))
        .gives::<RestoredVersion>(200, "What was restored, and what was kept for that.")
        .refuses(&[SessionNotFound, VersionNotFound, Forbidden]),
    ];
    all.extend(history::history());
    all.push(
        post(
            "/api/v1/sessions/{id}/fork",
            "forkSession",
            "Makes a session of the caller's own with the text of this one.",
        )
        .description("It is private, and nobody but the caller is in it.")
        .by(SEES)
        .takes::<ForkSession>()
        .gives::<Session>(201, "The new session.")
        .with(LOCATION.0, LOCATION.1)
        .refuses(&[
            SessionNotFound,
            VersionNotFound,
            StepNotFound,
            TooManySessions,
        ]),
    );
    all
}

fn chat() -> Vec<Operation> {
    const TALKS: Who = SignedIn("participants");
    vec![
        post(
            "/api/v1/sessions/{id}/chat",
            "sendMessage",
            "Says something.",
        )
        .description(
            "To everybody in the room, after it is stored. A repeated request with the same \
                 `key` gives the message that is there.",
        )
        .by(TALKS)
        .takes::<SendChatMessage>()
        .gives::<ChatMessage>(201, "The message.")
        .refuses(&[SessionNotFound, Forbidden, TooManyMessages]),
        get(
            "/api/v1/sessions/{id}/chat",
            "readMessages",
            "Gives messages.",
        )
        .description("The newest, or those before one; oldest first.")
        .by(TALKS)
        .query(
            "before",
            json!({ "type": "integer", "minimum": 1 }),
            "Only messages with a lower `seq`.",
        )
        .query(
            "limit",
            json!({
                "type": "integer", "minimum": 1, "maximum": limits::PAGE_ITEMS_MAX,
                "default": limits::CHAT_PAGE_DEFAULT,
            }),
            "How many at most.",
        )
        .gives::<ChatMessages>(200, "Messages.")
        .refuses(&[SessionNotFound, Forbidden]),
        delete(
            "/api/v1/sessions/{id}/chat/{seq}",
            "deleteMessage",
            "Deletes a message.",
        )
        .description("Its place stays, without what was said.")
        .by(SignedIn("owner, admin; participants their own"))
        .gives_nothing(204, "It is deleted.")
        .refuses(&[SessionNotFound, MessageNotFound, Forbidden]),
    ]
}

fn executions() -> Vec<Operation> {
    let listed = |operation: Operation| {
        let verdicts: Vec<_> = Verdict::ALL
            .iter()
            .map(|verdict| verdict.as_str())
            .collect();
        let statuses = json!({ "type": "string", "enum": ["queued", "running", "finished"] });
        paged(operation)
            .query("status", statuses, "Only those that stand so.")
            .query(
                "verdict",
                json!({ "type": "string", "enum": verdicts }),
                "Only those that ended so.",
            )
            .query("language", language_id(), "Only those in this language.")
            .gives::<Page<ExecutionSummary>>(200, "A page of executions, newest first.")
    };
    vec![
        waits(post("/api/v1/executions", "createExecution", "Runs code."))
            .description(
                "Of the request, or of the session's document. What was accepted ends with a \
                 verdict: poll `Location`, or watch the room.",
            )
            .by(SignedIn("for `sessionId`: owner, admin, editor"))
            .takes::<CreateExecution>()
            .gives::<Execution>(202, "It will run.")
            .with(LOCATION.0, LOCATION.1)
            .gives::<Execution>(200, "It has ended; only with `wait=true`.")
            .with(LOCATION.0, LOCATION.1)
            .refuses(&[SessionNotFound, Forbidden, TooManyExecutions, QueueFull]),
        listed(get(
            "/api/v1/executions",
            "listExecutions",
            "Lists the caller's executions.",
        ))
        .by(SignedIn("")),
        listed(get(
            "/api/v1/sessions/{id}/executions",
            "listSessionExecutions",
            "Lists a session's executions.",
        ))
        .by(SignedIn("participants"))
        .refuses(&[SessionNotFound, Forbidden]),
        waits(get(
            "/api/v1/executions/{id}",
            "getExecution",
            "Gives an execution.",
        ))
        .by(SignedIn(
            "whoever asked for it; participants of its session",
        ))
        .gives::<Execution>(200, "The execution as it stands.")
        .refuses(&[ExecutionNotFound]),
        post(
            "/api/v1/executions/{id}/input",
            "giveInput",
            "Types while a program runs.",
        )
        .description(
            "Text, signals, the size of its terminal, the end of its input: for executions that \
             were asked for with `interactive`. What is given before the program starts waits for \
             it.",
        )
        .by(SignedIn(
            "whoever asked for it; those who may run its session's code",
        ))
        .takes::<GiveInput>()
        .gives::<InputTaken>(202, "It is on its way to the program.")
        .refuses(&[
            ExecutionNotFound,
            ExecutionNotInteractive,
            ExecutionFinished,
            InputMissing,
            InputEnded,
            TooMuchInput,
            Forbidden,
        ]),
        get(
            "/api/v1/executions/{id}/files/{name}",
            "getExecutionFile",
            "Gives a file that an execution has left.",
        )
        .description(
            "As `files` of the execution names it. Kept for a week. To be saved and not shown: \
             what is in it is the program's, so it comes as an attachment in a sandbox of its own.",
        )
        .by(SignedIn(
            "whoever asked for the execution; participants of its session",
        ))
        .gives_nothing(200, "What is in it.")
        .of(media_types())
        .with("Content-Disposition", "`attachment`, with the name.")
        .with(
            "Content-Security-Policy",
            "`sandbox` and nothing that could be loaded.",
        )
        .refuses(&[ExecutionNotFound, FileNotFound]),
        waits(post(
            "/api/v1/executions/{id}/cancel",
            "cancelExecution",
            "Ends an execution.",
        ))
        .description("One that has not started ends at once, one that runs within 30 s.")
        .by(SignedIn(
            "whoever asked for it; owner and admin of its session",
        ))
        .gives::<Execution>(200, "It has ended.")
        .gives::<Execution>(202, "It is about to end.")
        .refuses(&[ExecutionNotFound, ExecutionFinished, Forbidden]),
        get(
            "/api/v1/languages",
            "listLanguages",
            "Lists what can be run.",
        )
        .description("What live executors offer, with the versions that they found.")
        .gives::<Languages>(200, "The languages.")
        .refuses(&[Unavailable, Internal]),
    ]
}

/// Of files that come back, each once and without its parameters.
fn media_types() -> impl Iterator<Item = &'static str> {
    let types = MediaType::ENDINGS.iter();
    let types = types.filter_map(|(_, kind)| kind.content_type().split(';').next());
    types.collect::<BTreeSet<_>>().into_iter()
}

fn executors() -> Vec<Operation> {
    vec![
        get(
            "/api/v1/executors",
            "listExecutors",
            "Lists the enrolled hosts.",
        )
        .description("At most 500, those that were heard of last.")
        .by(Operator)
        .gives::<Executors>(200, "The hosts."),
        delete(
            "/api/v1/executors/{id}",
            "revokeExecutor",
            "Revokes a host.",
        )
        .description("Its requests are refused from then on, and its jobs go to others.")
        .by(Operator)
        .gives_nothing(204, "It is revoked.")
        .refuses(&[ExecutorNotFound]),
    ]
}

fn service() -> Vec<Operation> {
    let health =
        |path, id| get(path, id, "Whether this code runs.").gives::<Health>(200, "It does.");
    let ready = |path, id| {
        get(path, id, "Whether what it stands on answers.")
            .gives::<Ready>(200, "It does.")
            .gives::<Ready>(503, "It does not.")
    };
    vec![
        health("/health", "health"),
        ready("/ready", "ready"),
        health("/api/v1/health", "healthUnderPrefix"),
        ready("/api/v1/ready", "readyUnderPrefix"),
        get(
            "/.well-known/jwks.json",
            "keys",
            "Public keys of access and room tokens.",
        )
        .gives::<Value>(200, "A JSON Web Key Set (RFC 7517)."),
        get(
            "/api/v1/metrics",
            "metrics",
            "What operators watch the edge by.",
        )
        .description("In Prometheus' text format: `docs/operations.md`.")
        .by(Operator)
        .gives_nothing(200, "The metrics.")
        .of(["text/plain"].into_iter()),
        get("/api/v1/openapi.json", "openapi", "This document.")
            .header(
                "If-None-Match",
                "An `ETag`: 304 if the document is still that.",
            )
            .gives::<Value>(200, "OpenAPI 3.1.")
            .with("ETag", "The document's version, for `If-None-Match`.")
            .gives_nothing(304, "It is still what `If-None-Match` names.")
            .with("ETag", "The document's version, for `If-None-Match`."),
    ]
}

/// What executor-hosts call (`shared/src/job.rs`). Not part of the public document.
fn links() -> Vec<Operation> {
    let link = |path, id, summary| post(path, id, summary).by(Executor);
    vec![
        link(
            "/internal/executors",
            "enrol",
            "Enrols a host, by the join token.",
        )
        .gives_nothing(201, "It is enrolled.")
        .refuses(&[ValidationFailed, BodyTooLarge]),
        link("/internal/leases", "lease", "Hands out jobs.")
            .gives_nothing(200, "Jobs.")
            .refuses(&[ExecutorUnknown, ProtocolUnsupported]),
        link(
            "/internal/leases/ack",
            "acknowledge",
            "Jobs are in the host's queue.",
        )
        .gives_nothing(200, "Those that still held.")
        .refuses(&[ExecutorUnknown]),
        link("/internal/reports", "report", "What happened to jobs.")
            .gives_nothing(200, "What was taken.")
            .refuses(&[ExecutorUnknown]),
        get(
            "/internal/contract",
            "contract",
            "What the ports promise. For tests only.",
        )
        .by(Executor)
        .gives_nothing(200, "The results."),
    ]
}

fn get(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("get", path, id, summary).by(Anybody)
}

fn post(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("post", path, id, summary).by(Anybody)
}

fn put(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("put", path, id, summary).by(Anybody)
}

fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("delete", path, id, summary).by(Anybody)
}

fn paged(operation: Operation) -> Operation {
    let number = |max: u32, default: u32| json!({ "type": "integer", "minimum": 1, "maximum": max, "default": default });
    let items = number(limits::PAGE_ITEMS_MAX, limits::PAGE_ITEMS_DEFAULT);
    operation
        .query("page", number(limits::PAGE_MAX, 1), "Which page.")
        .query("limit", items, "Items on a full page.")
}

fn waits(operation: Operation) -> Operation {
    let flag = json!({ "type": "boolean", "default": false });
    let text = "`true`: answer once it has ended, or after 55 s as it stands then; at once if \
                20 such requests of the caller are open.";
    operation.query("wait", flag, text)
}

fn language_id() -> Value {
    let ids: Vec<_> = language::KNOWN.iter().map(|known| known.id).collect();
    json!({ "type": "string", "enum": ids })
}
