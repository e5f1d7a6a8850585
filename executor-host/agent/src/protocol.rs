//! What executor-host and the agent say to each other over the container's attached streams.
//!
//! Orders go down the agent's standard input, events come up its standard output; both as frames
//! ([`wire`]). Types only, no I/O.
//!
//! ```text
//! host                                   agent (pid 1)
//!  │ ◀──────────────────────────── Ready │  once, when it can take orders
//!  │ File*  ───────────────────────────▶ │  before the first program
//!  │ Exec (the compiler)  ─────────────▶ │
//!  │ ◀────────────────── Output*, Ended  │
//!  │ Save  ────────────────────────────▶ │  what the compiler left
//!  │ Exec (the program, first run)  ───▶ │
//!  │ ◀────────────────── Output*, Ended  │
//!  │ Restore, Exec (second run) …  ────▶ │
//! ```
//!
//! In place of files and compiler, [`Order::Unpack`] brings what a compiler has left elsewhere, as
//! [`Order::Pack`] gave it there. A container that serves several jobs gets [`Order::Reset`]
//! before each.
//!
//! While a program runs whose input is [`Exec::keeps_input`], [`Order::Input`] and its like reach
//! it. After one that has left files, [`Order::Collect`] asks for them.
//!
//! Orders are carried out one after the other and only those that say so are answered, so the
//! host may send several at once. An order that cannot be carried out is answered by
//! [`Event::Failed`], and nothing follows it. Standard input stays open for the whole job: when
//! it closes, the host is gone and the agent ends, and the container with it.

pub mod wire;

/// The version of everything in this crate, announced in [`Event::Ready`].
pub const VERSION: u16 = 4;

/// Where files are written and programs start. Programs run as the user and the group of the same
/// number that it belongs to, until [`Order::Reset`] names another.
pub const WORK_DIR: &str = "/work";

/// Where the agent writes `passwd` and `group`, with the programs' user in them. Programs cannot
/// write there. An image finds them by links in `/etc`, which `/agent --prepare-image` makes.
pub const USERS_DIR: &str = "/run/codecrafter";

/// The environment of every program, before what [`Exec::env`] adds.
pub const BASE_ENV: &[(&str, &str)] = &[
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", WORK_DIR),
    ("LANG", "C.UTF-8"),
];

/// What the host tells the agent to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Write a new file into [`WORK_DIR`]. Refused once a program has run.
    File {
        /// Relative; see [`is_safe_path`].
        path: String,
        /// The whole file.
        content: Vec<u8>,
    },
    /// Run one program to its end and report it by [`Event::Ended`].
    Exec(Exec),
    /// Remember what [`WORK_DIR`] holds now.
    Save,
    /// Put [`WORK_DIR`] back to what [`Order::Save`] saw, and empty every other place that a
    /// program can write to.
    Restore,
    /// Give the files that the program before has left in [`WORK_DIR`], as far as they are wanted:
    /// those that were not there when it started, or were otherwise. What is in its directories
    /// stays there. [`Event::File`] and [`Event::LeftOut`] for each, then [`Event::Collected`].
    Collect(Wanted),
    /// Give what [`WORK_DIR`] holds now by [`Event::Packed`].
    Pack {
        /// Most bytes worth giving.
        most: u32,
    },
    /// Put a piece of what [`Event::Packed`] gave into [`WORK_DIR`], which is empty: once the last
    /// has come, [`Event::Unpacked`] follows. Refused once a program has run.
    Unpack {
        /// The next piece; at most [`wire::PIECE_BYTES_MAX`].
        bytes: Vec<u8>,
        /// Whether it is the last.
        last: bool,
    },
    /// More standard input for the program that runs. This and the next three are passed over
    /// when none runs that keeps its input, because it may have ended meanwhile.
    Input {
        /// The next bytes.
        bytes: Vec<u8>,
    },
    /// The program that runs has got all its input.
    CloseInput,
    /// A signal for the program that runs and the processes of its group.
    Signal {
        /// By the kernel's number.
        number: i32,
    },
    /// The terminal of the program that runs has another size.
    Resize(TerminalSize),
    /// Leave no trace of the jobs before, and make ready for one whose programs run as this user
    /// and group. [`Event::Clean`] once that is proven; [`Event::Failed`] if anything is not as it
    /// was when the container started.
    Reset {
        /// The user and group, neither of them 0.
        user: u32,
    },
}

/// One start of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// The program, looked up in `PATH`, and its arguments; never empty.
    pub argv: Vec<String>,
    /// Added to [`BASE_ENV`].
    pub env: Vec<(String, String)>,
    /// What it reads from standard input, which then ends unless `keeps_input`.
    pub stdin: Vec<u8>,
    /// Whether more input may come while it runs, until [`Order::CloseInput`].
    pub keeps_input: bool,
    /// Gives it a terminal of this size for its input and both outputs, which are one then and
    /// reported as standard output.
    pub terminal: Option<TerminalSize>,
    /// Whether [`Ended::left_files`] is to say if there is anything to collect.
    pub tells_files: bool,
    /// When to end it.
    pub limits: Limits,
}

/// Which files are wanted, sorted by name the first of them. What does not fit is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What follows the last dot of their names, in lower case.
    pub endings: Vec<String>,
    /// How many.
    pub files: u32,
    /// Bytes of one.
    pub bytes_each: u32,
    /// Bytes of all.
    pub bytes_all: u32,
    /// How many of those that are left out to name.
    pub named: u32,
}

/// What fits on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// When to end a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU time of all its processes together, in milliseconds.
    pub cpu_ms: u32,
    /// Wall time, in milliseconds.
    pub wall_ms: u32,
    /// Bytes passed on of each of stdout and stderr; one more ends the program.
    pub output_bytes: u32,
}

/// What the agent reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The agent takes orders. Always the first event.
    Ready {
        /// The agent's [`VERSION`].
        version: u16,
    },
    /// The program wrote these bytes; never more of a stream than its limit.
    Output {
        /// Where to.
        stream: Stream,
        /// What; at most [`wire::OUTPUT_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// The program has ended, and so has everything that it started.
    Ended(Ended),
    /// A piece of a file that was asked for.
    File {
        /// See [`is_file_name`].
        name: String,
        /// The next piece; at most [`wire::PIECE_BYTES_MAX`].
        bytes: Vec<u8>,
        /// Whether it is the file's last.
        last: bool,
    },
    /// A file that was left, and does not come.
    LeftOut {
        /// Its name, whatever that is.
        name: Vec<u8>,
        /// Why.
        why: LeftOut,
    },
    /// All files that were asked for have come.
    Collected {
        /// How many were left out, named or not.
        left_out: u32,
    },
    /// A piece of what [`Order::Pack`] asked for. A single empty one if the work directory holds
    /// more than was wanted, or something that is neither file, directory nor symbolic link.
    Packed {
        /// The next piece; at most [`wire::PIECE_BYTES_MAX`].
        bytes: Vec<u8>,
        /// Whether it is the last.
        last: bool,
    },
    /// The work directory holds what [`Order::Unpack`] brought.
    Unpacked,
    /// Nothing is left of any job.
    Clean,
    /// An order could not be carried out. Always the last event.
    Failed {
        /// Which and why, for the operator.
        reason: String,
    },
}

/// One of a program's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program ended, and what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How its first process ended.
    pub exit: Exit,
    /// The limit that it went over, if any.
    pub limit: Option<Limit>,
    /// From its start to its end, in microseconds.
    pub wall_us: u64,
    /// CPU time of the processes that were waited for, in microseconds.
    pub cpu_us: u64,
    /// The largest resident size of one of its processes, in bytes.
    pub peak_bytes: u64,
    /// Processes that the kernel killed meanwhile because the container's memory was used up, as
    /// far as that can be seen from inside.
    pub oom_kills: u64,
    /// Bytes that were seen on standard output, passed on or not.
    pub stdout_bytes: u64,
    /// Bytes that were seen on standard error, passed on or not.
    pub stderr_bytes: u64,
    /// Whether [`Order::Collect`] may find something; false unless [`Exec::tells_files`].
    pub left_files: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it, by the kernel's number.
    Signal(i32),
    /// It could not be started, for this `errno`: no such program, or not one.
    NotStarted(i32),
}

/// A limit that a program went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::cpu_ms`].
    Cpu,
    /// [`Limits::wall_ms`].
    Wall,
    /// [`Limits::output_bytes`].
    Output,
}

/// Why a file does not come. Where several hold, the first of this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It is no regular file, or one with several names.
    NotAFile,
    /// Its name is not one of [`is_file_name`].
    Name,
    /// Its ending is not wanted.
    Ending,
    /// It is longer than [`Wanted::bytes_each`].
    TooLarge,
    /// There are [`Wanted::files`] already.
    TooMany,
    /// With it, all would be longer than [`Wanted::bytes_all`].
    TooMuch,
    /// It could not be read.
    Unreadable,
}

/// Whether a file of that name may come back: a path of one part that does not begin with `.`, at
/// most 100 bytes.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    is_safe_path(name) && !name.contains('/') && !name.starts_with('.') && name.len() <= 100
}

/// Whether a file may be written there: relative, of parts from `[A-Za-z0-9._-]`, none of them
/// `.`, `..` or empty, at most 120 bytes. Checked by whoever takes the path, however often that
/// was done before.
#[must_use]
pub fn is_safe_path(path: &str) -> bool {
    let is_safe_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_safe_part = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_safe_byte)
    };
    path.len() <= 120 && path.split('/').all(is_safe_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_the_work_directory() {
        for good in ["main.py", "pkg/a-b_c.1.py", ".env", "...", "a/b/c/d"] {
            assert!(is_safe_path(good), "{good}");
        }
        let long = "a".repeat(121);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a b",
            "a\0b",
            "ä",
            &long,
        ] {
            assert!(!is_safe_path(bad), "{bad:?}");
        }
    }
}
