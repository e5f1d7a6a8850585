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

// ---- Versions ----

/// Characters of what a version is kept for.
pub const VERSION_MESSAGE_CHARS: RangeInclusive<usize> = 1..=200;
/// Versions of a session that were asked for.
pub const VERSIONS_MANUAL_MAX: usize = 100;
/// Versions of a session that were taken by themselves; the oldest go first.
pub const VERSIONS_AUTOMATIC_MAX: usize = 200;
/// Bytes of all versions of a session. Those that were taken by themselves go before one is
/// refused that was asked for.
pub const VERSIONS_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// A document that has changed and then rests so long is kept as a version.
pub const VERSION_REST_MS: i64 = 2 * 60 * 1000;
/// A document that does not rest is kept as a version this often.
pub const VERSION_AFTER_MS: i64 = 10 * 60 * 1000;
/// Characters that must differ for that; of fewer, a version is taken after
/// [`VERSION_SMALL_AFTER_MS`].
pub const VERSION_CHARS_MIN: usize = 16;
/// See [`VERSION_CHARS_MIN`].
pub const VERSION_SMALL_AFTER_MS: i64 = 60 * 60 * 1000;
/// Lines of a diff that one answer has.
pub const DIFF_LINES_MAX: usize = 20_000;
/// What the same people edit within so long is one step of a session's history.
pub const HISTORY_STEP_MS: i64 = 1_000;
/// Bytes that the history of a session takes up; its oldest steps go first.
pub const HISTORY_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Steps older than this, counted from the newest, are not kept.
pub const HISTORY_AGE_MS: i64 = 180 * 24 * 60 * 60 * 1000;
/// Bytes of a document with its edits, above which its history is not written: to take it apart
/// would hold its room up.
pub const HISTORY_STATE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Steps of a page of the history.
pub const HISTORY_STEPS_MAX: u32 = 1_000;
/// Steps of a page of the history unless it is said.
pub const HISTORY_STEPS_DEFAULT: u32 = 200;
/// Bytes of text in the steps of a page, unless the first has more.
pub const HISTORY_PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of text that a session is forked with.
pub const FORK_BYTES_MAX: usize = SOURCE_BYTES_MAX;

// ---- Chat ----

/// Characters of a message.
pub const CHAT_CHARS: RangeInclusive<usize> = 1..=2_000;
/// Characters of a message's key.
pub const CHAT_KEY_CHARS: RangeInclusive<usize> = 1..=64;
/// Messages of a session that are kept.
pub const CHAT_MESSAGES_MAX: u32 = 1_000;
/// Messages of one answer, if it does not say.
pub const CHAT_PAGE_DEFAULT: u32 = 50;
/// Messages that one user may send to a session within [`CHAT_BURST_MS`].
pub const CHAT_BURST_MAX: u32 = 10;
/// See [`CHAT_BURST_MAX`].
pub const CHAT_BURST_MS: i64 = 10_000;

// ---- Notifications ----

/// Notifications of a person that are kept.
pub const NOTIFICATIONS_MAX: u32 = 200;
/// Of those, the ones that any one other person has brought about: nobody fills the list alone.
pub const NOTIFICATIONS_PER_ACTOR_MAX: u32 = 50;
/// Notifications of one answer, if it does not say.
pub const NOTIFICATIONS_PAGE_DEFAULT: u32 = 30;
/// Characters of a message that a notification shows.
pub const NOTIFICATION_TEXT_CHARS_MAX: usize = 140;
/// People whom one message can name.
pub const MENTIONS_PER_MESSAGE_MAX: usize = 10;
/// Life of a feed token; what it has opened ends with it.
pub const FEED_TOKEN_MS: i64 = 3600 * 1000;
/// Sockets of one person's feed, and as many event streams.
pub const FEED_SOCKETS_PER_USER_MAX: usize = 10;
/// How long an event stream of a feed is held open when there is nothing to tell.
pub const FEED_WAIT_MS: i64 = 25_000;
/// Whoever was seen on an event stream is online for this long after it has ended, in which the next
/// one begins.
pub const FEED_RETURN_MS: i64 = 10_000;
/// Whoever has an open socket is online for this long, which is renewed while it is open: if the
/// place that renews it dies, nobody stays online for ever.
pub const ONLINE_LEASE_MS: i64 = 6 * 60 * 1000;

// ---- Rooms ----

/// Life of a room token (E7: a stock provider presents the same one at every reconnect).
pub const ROOM_TOKEN_MS: i64 = 12 * 3600 * 1000;
/// Sockets of one room.
pub const ROOM_SOCKETS_MAX: usize = 200;
/// Sockets of one user in one room.
pub const ROOM_SOCKETS_PER_USER_MAX: usize = 10;
/// Frames that one socket may send in a second, unless a deployment says otherwise: five seconds of
/// them at once. All sockets of one user in a room may send twice as many.
pub const ROOM_FRAMES_PER_SECOND: u32 = 200;
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
/// Files that come back with an execution.
pub const OUTPUT_FILES_MAX: usize = 10;
/// Bytes of one of them.
pub const OUTPUT_FILE_BYTES_MAX: u32 = 1024 * 1024;
/// Bytes of all of them together.
pub const OUTPUT_FILES_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// Bytes of the name of one.
pub const OUTPUT_FILE_NAME_BYTES_MAX: usize = 100;
/// Files that are named of those that do not come back.
pub const OUTPUT_FILES_NAMED_MAX: usize = 10;
/// Days for which the results of executions are kept, unless a deployment says otherwise: as long as
/// sessions that nobody uses (CC-DATA-02).
pub const RESULTS_DAYS: u32 = 365;
/// The most that a deployment may say, but for keeping them for ever.
pub const RESULTS_DAYS_MAX: u32 = 36_500;
/// How long the files of an execution are kept, if its result is kept that long.
pub const OUTPUT_FILES_MS: i64 = 7 * 24 * 3600 * 1000;
/// Wall time of an interactive run: people think while it passes.
pub const INTERACTIVE_WALL_MS: RangeInclusive<u32> = 10..=600_000;
/// Wall time of an interactive run unless it says otherwise.
pub const INTERACTIVE_WALL_MS_DEFAULT: u32 = 300_000;
/// Interactive executions of one user that may wait or run at a time: each keeps a slot while
/// nobody types.
pub const INTERACTIVE_PER_USER_MAX: u32 = 2;
/// Inputs of one request.
pub const INPUTS_PER_REQUEST_MAX: usize = 32;
/// Bytes of text in the inputs of one request.
pub const INPUT_BYTES_PER_REQUEST_MAX: usize = 16 * 1024;
/// Requests with input for one execution that may wait for its executor.
pub const INPUT_REQUESTS_WAITING_MAX: u32 = 64;
/// Bytes of text that one execution takes as input.
pub const INPUT_BYTES_MAX: u32 = 1024 * 1024;
/// Inputs that one execution takes.
pub const INPUTS_MAX: u32 = 20_000;
/// Columns and rows of a terminal.
pub const TERMINAL_SIDE: RangeInclusive<u16> = 1..=1_000;
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
