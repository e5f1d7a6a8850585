//! Every limit of the system as one constant, its unit in the name.
//!
//! Validation, documentation and tests read them here, so that a limit has one value.

use std::ops::RangeInclusive;

// ---- HTTP ----

/// Largest body of a request to a public route without source code in it.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest body of a request that carries source code (`POST /executions`, `POST /sessions`).
pub const CODE_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest body of a link's reports; its other requests keep to [`BODY_BYTES_MAX`].
pub const LINK_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long `wait=true` holds a request before it answers 202.
pub const WAIT_MS_MAX: i64 = 55_000;
/// Requests of one user that `wait=true` holds at a time; one more is answered as if the time were
/// over.
pub const WAITS_PER_USER_MAX: u32 = 20;
/// Items on a page of a list.
pub const PAGE_ITEMS_MAX: u32 = 100;
/// Items on a page when a request does not say.
pub const PAGE_ITEMS_DEFAULT: u32 = 20;
/// How far the items of a list are counted for its `total`; there may be more pages than that.
pub const TOTAL_MAX: u32 = 1_000;
/// Highest page that may be asked for.
pub const PAGE_MAX: u32 = 10_000;

// ---- Accounts ----

/// Characters of a user name.
pub const USERNAME_CHARS: RangeInclusive<usize> = 3..=30;
/// Characters of a display name.
pub const DISPLAY_NAME_CHARS: RangeInclusive<usize> = 2..=50;
/// Bytes of a mail address (RFC 5321 §4.5.3.1.3, less the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// Characters of a password (X-09; NIST SP 800-63B-4 asks for at least 64 to be allowed).
pub const PASSWORD_CHARS: RangeInclusive<usize> = 8..=128;
/// Life of an access token.
pub const ACCESS_TOKEN_MS: i64 = 15 * 60 * 1000;
/// How far clocks may differ when a token is checked.
pub const CLOCK_TOLERANCE_MS: i64 = 30 * 1000;
/// A login session that was not refreshed for this long has ended.
pub const LOGIN_SESSION_IDLE_MS: i64 = 7 * 24 * 3600 * 1000;
/// A login session ends after this long, refreshed or not.
pub const LOGIN_SESSION_MS_MAX: i64 = 30 * 24 * 3600 * 1000;
/// A refresh token that was just replaced is still taken for this long, for a client that lost
/// the answer; after it, its use ends the login session (reuse detection).
pub const REFRESH_REUSE_GRACE_MS: i64 = 10 * 1000;
/// Login sessions of one user; the oldest ends when one more is opened.
pub const LOGIN_SESSIONS_PER_USER_MAX: u32 = 20;
/// Rooms that one login session may have good room tokens for.
pub const ROOMS_PER_LOGIN_SESSION_MAX: u32 = 100;
/// Longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 4096;

// ---- Sessions ----

/// Sessions that one user owns; more are neither made nor handed over to them.
pub const SESSIONS_PER_OWNER_MAX: u32 = 200;
/// Characters of a session's title (CC-SESS-01).
pub const TITLE_CHARS: RangeInclusive<usize> = 1..=100;
/// Characters of a session's description (CC-SESS-02).
pub const DESCRIPTION_CHARS_MAX: usize = 500;
/// Participants that a session may allow, its owner included (CC-SESS-09).
pub const PARTICIPANTS: RangeInclusive<u32> = 1..=50;
/// Participants that a session allows unless it says otherwise (CC-SESS-09).
pub const PARTICIPANTS_DEFAULT: u32 = 10;
/// Characters of what is searched for in titles and descriptions.
pub const SEARCH_CHARS_MAX: usize = 100;
/// Bytes of the main file that a session is created with, or that is written over REST.
pub const CONTENT_BYTES_MAX: usize = 256 * 1024;

// ---- Rooms ----

/// Life of a room token (E7: a stock provider presents the same one at every reconnect).
pub const ROOM_TOKEN_MS: i64 = 12 * 3600 * 1000;
/// Sockets of one room.
pub const ROOM_SOCKETS_MAX: usize = 200;
/// Sockets of one user in one room.
pub const ROOM_SOCKETS_PER_USER_MAX: usize = 10;
/// Bytes of a document's encoded state.
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of an Update frame.
pub const UPDATE_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a SyncStep2 frame.
pub const SYNC_STEP2_FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a SyncStep1 frame.
pub const SYNC_STEP1_FRAME_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an awareness frame.
pub const AWARENESS_FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one client's awareness state.
pub const AWARENESS_STATE_BYTES_MAX: usize = 2 * 1024;

// ---- Executions ----

/// Bytes of one source file.
pub const SOURCE_FILE_BYTES_MAX: usize = 256 * 1024;
/// Files of an execution, the main file included.
pub const SOURCE_FILES_MAX: usize = 32;
/// Bytes of all files of an execution.
pub const SOURCE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a file's path inside the sandbox.
pub const PATH_BYTES_MAX: usize = 120;
/// Bytes of standard input, and of the output that is expected.
pub const STDIN_BYTES_MAX: usize = 256 * 1024;
/// Arguments of a program.
pub const ARGS_MAX: usize = 32;
/// Bytes of one argument.
pub const ARG_BYTES_MAX: usize = 1024;
/// CPU time of a run.
pub const CPU_MS: RangeInclusive<u32> = 10..=15_000;
/// CPU time of a run unless it says otherwise.
pub const CPU_MS_DEFAULT: u32 = 5_000;
/// Wall time of a run.
pub const WALL_MS: RangeInclusive<u32> = 10..=30_000;
/// Wall time of a run unless it says otherwise.
pub const WALL_MS_DEFAULT: u32 = 10_000;
/// Memory of a run, the language's own floor aside.
pub const MEMORY_BYTES: RangeInclusive<u64> = (16 << 20)..=(512 << 20);
/// Memory of a run unless it says otherwise.
pub const MEMORY_BYTES_DEFAULT: u64 = 128 << 20;
/// Bytes of each of stdout and stderr that are kept: of more, the first half and the last.
pub const OUTPUT_BYTES: RangeInclusive<u32> = 1024..=(256 * 1024);
/// Bytes of each of stdout and stderr that are kept unless the execution says otherwise.
pub const OUTPUT_BYTES_DEFAULT: u32 = 64 * 1024;
/// Characters of an outcome's message that are kept.
pub const MESSAGE_CHARS_MAX: usize = 1_000;
/// How many times as much as is kept of it a run may write to one stream; more ends the run.
pub const OUTPUT_BYTES_FACTOR: u32 = 16;
/// Processes and threads of a run, the language's own floor aside.
pub const PROCESSES: RangeInclusive<u32> = 1..=128;
/// Processes and threads of a run unless it says otherwise.
pub const PROCESSES_DEFAULT: u32 = 64;
/// Executions of one user that may wait or run at a time.
pub const EXECUTIONS_PER_USER_MAX: u32 = 10;
/// Executions of a tenant that may wait for an executor; one more is refused with 503.
pub const EXECUTIONS_WAITING_MAX: u32 = 1_000;
/// A cancelled execution whose executor has not ended it after this long is ended by the edge.
pub const CANCEL_MS_MAX: i64 = 30_000;
/// An execution that has not ended after this long ends as `expired`.
pub const EXECUTION_MS_MAX: i64 = 60 * 60 * 1000;

// ---- Links ----

/// How long the edge holds a lease request open when it has nothing to hand out (X1).
pub const LEASE_WAIT_MS_MAX: i64 = 25_000;
/// A lease that is not acknowledged within this time returns (X1).
pub const LEASE_MS: i64 = 30_000;
/// Jobs handed out in one answer.
pub const LEASE_JOBS_MAX: u32 = 32;
/// Control messages handed out in one answer.
pub const CONTROLS_MAX: u32 = 64;
/// Reports taken in one request.
pub const REPORTS_MAX: usize = 256;
/// An executor that was not heard of for this long is not live: its languages are not offered.
pub const EXECUTOR_LIVE_MS: i64 = 60_000;
/// Executors that one answer lists: of more, those that were heard of last.
pub const EXECUTORS_LISTED_MAX: u32 = 500;
/// How long a revoked executor is still listed.
pub const EXECUTOR_REVOKED_MS: i64 = 30 * 24 * 3600 * 1000;
/// Life of the token that signs one request of a link.
pub const LINK_TOKEN_MS: i64 = 60_000;
