//! What the front asks the Directory about executions.

use codecrafter_shared::api::Execution;
use codecrafter_shared::id::{ExecutionId, SessionId};
use codecrafter_shared::job::{RunLimits, SourceFile};

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
        /// What holds for the run.
        limits: RunLimits,
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
}
