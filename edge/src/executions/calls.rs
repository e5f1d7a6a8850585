//! What the front asks the Directory about executions.

use codecrafter_shared::api::{Execution, ExecutionStatus, ExecutionSummary, InputTaken, Page};
use codecrafter_shared::id::{ExecutionId, SessionId};
use codecrafter_shared::interaction::{Input, Interactive};
use codecrafter_shared::job::{RunLimits, SourceFile, Verdict};
use codecrafter_shared::trace::TraceParent;
use serde::{Deserialize, Serialize};

use crate::directory::outbox::Committed;
use crate::shard::calls;
use crate::token::Caller;

calls! {
    /// Whether the caller may run the code of a session, before its room is asked for it; gives
    /// the session's language.
    "/executions/prepare" => Prepare {
        /// Who calls.
        caller: Caller,
        /// Whose code.
        session_id: SessionId,
    } -> String;

    /// Takes an execution in; from the answer on, it ends with exactly one result.
    "/executions/create" => Create {
        /// Who calls.
        caller: Caller,
        /// The session that it belongs to.
        session_id: Option<SessionId>,
        /// A known language id.
        language: String,
        /// The main file.
        code: String,
        /// Further files.
        files: Vec<SourceFile>,
        /// Standard input.
        stdin: String,
        /// The program's arguments.
        args: Vec<String>,
        /// What it has to write to be accepted.
        expected: Option<String>,
        /// What holds for the run.
        limits: RunLimits,
        /// Whether people type while it runs.
        interactive: Option<Interactive>,
        /// The trace that it belongs to.
        traceparent: TraceParent,
    } -> Execution;

    /// An execution that the caller may see.
    "/executions/get" => Get {
        /// Who calls.
        caller: Caller,
        /// Which.
        execution_id: ExecutionId,
        /// How long to wait for its end, in milliseconds; 0 answers at once.
        wait_ms: i64,
    } -> Execution;

    /// Gives input to the program of an execution.
    "/executions/input" => TakeInput {
        /// Who calls.
        caller: Caller,
        /// Which.
        execution_id: ExecutionId,
        /// What is done, in order; at least one.
        inputs: Vec<Input>,
        /// How many inputs came before, for those who repeat a request.
        after: Option<u32>,
    } -> InputTaken;

    /// A file that an execution has left; gives what is in it, in base64.
    "/executions/file" => GetFile {
        /// Who calls.
        caller: Caller,
        /// Which execution.
        execution_id: ExecutionId,
        /// Which file.
        name: String,
    } -> String;
    /// Asks for the end of an execution: gives it as it stands then, ended or about to end.
    "/executions/cancel" => Cancel {
        /// Who calls.
        caller: Caller,
        /// Which.
        execution_id: ExecutionId,
    } -> Committed<Execution>;

    /// The executions that the caller asked for, newest first.
    "/executions/list" => List {
        /// Who calls.
        caller: Caller,
        /// Which of them.
        filter: Filter,
    } -> Page<ExecutionSummary>;

    /// The executions of a session that the caller has joined, newest first.
    "/executions/list-of-session" => ListOfSession {
        /// Who calls.
        caller: Caller,
        /// Whose.
        session_id: SessionId,
        /// Which of them.
        filter: Filter,
    } -> Page<ExecutionSummary>;
}

/// Which executions of a list are wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Which page, from 1.
    pub page: u32,
    /// Items on a page.
    pub limit: u32,
    /// Only those that stand there.
    pub status: Option<ExecutionStatus>,
    /// Only those that ended so.
    pub verdict: Option<Verdict>,
    /// Only those in this language.
    pub language: Option<String>,
}
