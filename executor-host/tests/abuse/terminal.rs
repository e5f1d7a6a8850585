//! A72: the terminal of a program that somebody sits at. It is the one thing that a program has
//! which works in both directions, so each is tried: what it says to us, and what we say to it.

use std::time::{Duration, Instant};

use agent_protocol::TerminalSize;
use codecrafter_shared::job::{RunOutcome, Verdict};
use executor_host::sandbox::{Input, Interaction, Progress, Sandbox as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{Attack, Case, PATIENCE, Program, World, attacks, ended, only_run, printed};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a72_what_a_terminal_can_be_told_to_do_to_others_is_refused,
        a72_what_is_pushed_into_a_terminal_is_not_there_for_the_next_run,
        a72_there_is_no_terminal_but_ones_own,
        a72_a_flood_through_the_terminal_meets_the_output_limit,
        a72_escape_sequences_are_bytes_like_others_and_nobody_answers,
        a72_what_is_typed_without_end_is_output_where_it_is_echoed,
        a72_a_line_without_end_that_nobody_reads_holds_nothing_up,
        a72_closing_the_terminal_hides_nothing,
        a72_what_holds_the_terminal_after_the_end_is_ended,
        a72_sizes_that_change_without_end_change_nothing_else,
        a72_a_program_that_takes_all_keys_is_cancelled_all_the_same,
    ]
}

const SIZE: TerminalSize = TerminalSize {
    columns: 80,
    rows: 24,
};

/// Somebody at the keyboard of a program.
pub struct Session {
    keys: mpsc::Sender<Input>,
    progress: mpsc::Receiver<Progress>,
    cancel: CancellationToken,
}

impl Session {
    /// Waits for the first that it writes.
    async fn spoken(&mut self) {
        let spoke = async {
            while !matches!(
                self.progress.recv().await,
                Some(Progress::Output(..)) | None
            ) {}
        };
        timeout(PATIENCE, spoke).await.unwrap();
    }

    /// Sends it again and again, as fast as it is taken, until the program has ended or that often.
    async fn send_often(&mut self, input: Input, most: usize) -> usize {
        let keys = self.keys.clone();
        let send = async {
            let mut sent = 0;
            while sent < most && keys.send(input.clone()).await.is_ok() {
                sent += 1;
            }
            sent
        };
        let drain = async {
            while self.progress.recv().await.is_some() {}
            std::future::pending().await
        };
        tokio::select! {
            sent = send => sent,
            () = drain => 0,
        }
    }
}

/// Runs a program that attacks, at whose terminal `person` sits until it has ended.
async fn at_terminal(
    case: &mut Case,
    program: Program,
    person: impl AsyncFnOnce(&mut Session),
) -> RunOutcome {
    let (keys, interaction) = keyboard();
    let (progress, cancel, job) = case.start_with(program, Some(interaction)).await;
    let attended = attend(keys, progress, cancel, person);
    let attended = timeout(PATIENCE, attended).await;
    attended.expect("it is held up");
    only_run(ended(job).await)
}

/// The same in any sandbox.
pub async fn run(
    world: &World,
    Program(job): Program,
    person: impl AsyncFnOnce(&mut Session),
) -> RunOutcome {
    let (keys, interaction) = keyboard();
    let (sender, progress) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let run = world
        .sandbox
        .run_with(&job, Some(interaction), sender, token);
    let (outcome, ()) = tokio::join!(run, attend(keys, progress, cancel, person));
    only_run(outcome.unwrap())
}

fn keyboard() -> (mpsc::Sender<Input>, Interaction) {
    let (keys, input) = mpsc::channel(16);
    let terminal = Some(SIZE);
    (keys, Interaction { input, terminal })
}

/// Sits there until the program has ended.
async fn attend(
    keys: mpsc::Sender<Input>,
    progress: mpsc::Receiver<Progress>,
    cancel: CancellationToken,
    person: impl AsyncFnOnce(&mut Session),
) {
    let mut session = Session {
        keys,
        progress,
        cancel,
    };
    person(&mut session).await;
    while session.progress.recv().await.is_some() {}
}

/// Tries every control of a terminal that reaches beyond the program that has it.
pub const CONTROLS: &str = "
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
call = {'x86_64': 16, 'aarch64': 29}[platform.machine()]
def control(name, number, value):
    # The kernel reads 32 bits of it.
    for number in number, number | 1 << 32, number | 1 << 63:
        if libc.syscall(call, 0, ctypes.c_ulong(number), value) >= 0: print(name, 'done')
control('TIOCSTI', 0x5412, ctypes.c_char_p(b'x'))
control('TIOCLINUX', 0x541c, ctypes.c_char_p(b'\\x0b'))
control('TIOCCONS', 0x541d, None)
for discipline in range(1, 32):
    control('TIOCSETD', 0x5423, ctypes.byref(ctypes.c_int(discipline)))
print('tried')
";

async fn a72_what_a_terminal_can_be_told_to_do_to_others_is_refused(case: &mut Case) {
    let run = at_terminal(case, Program::python(CONTROLS), async |_| {}).await;
    assert_eq!(printed(&run), "tried\r\n");
}

async fn a72_what_is_pushed_into_a_terminal_is_not_there_for_the_next_run(case: &mut Case) {
    let push = "
import fcntl, termios
print('here', flush=True)
for letter in 'forged\\n':
    try: fcntl.ioctl(0, termios.TIOCSTI, letter)
    except OSError: pass
";
    let read = "
import sys
print('heard', repr(sys.stdin.readline()))
";
    at_terminal(case, Program::python(push), async |session| {
        session.spoken().await;
        let unread = Input::Bytes(b"typed and not read\n".to_vec());
        let _ = session.keys.send(unread).await;
    })
    .await;
    let run = at_terminal(case, Program::python(read), async |session| {
        session
            .keys
            .send(Input::Bytes(b"mine\n".to_vec()))
            .await
            .unwrap();
    })
    .await;
    assert!(run.stdout.data.ends_with("heard 'mine\\n'\r\n"), "{run:#?}");
    assert!(!run.stdout.data.contains("forged"), "{run:#?}");
}

async fn a72_there_is_no_terminal_but_ones_own(case: &mut Case) {
    let code = "
import fcntl, os, pty, termios
own = os.ttyname(0)
def tried(what):
    try: what()
    except OSError: return
    print('done')
tried(pty.openpty)
tried(lambda: os.open('/dev/ptmx', os.O_RDWR))
tried(lambda: os.open('/dev/pts/ptmx', os.O_RDWR))
tried(lambda: os.open('/dev/console', os.O_RDWR))
for number in range(20):
    if own != f'/dev/pts/{number}': tried(lambda: os.open(f'/dev/pts/{number}', os.O_RDWR))
tried(lambda: os.open('/proc/1/fd/1', os.O_WRONLY))
if os.fork() == 0:
    # Of a session that has no terminal, takes the one of another.
    os.setsid()
    tried(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 1))
    os._exit(0)
os.wait()
print('tried')
";
    let run = at_terminal(case, Program::python(code), async |_| {}).await;
    assert_eq!(printed(&run), "tried\r\n");
}

async fn a72_a_flood_through_the_terminal_meets_the_output_limit(case: &mut Case) {
    let code = "
import os
while True: os.write(1, b'x' * 65536)
";
    let run = at_terminal(case, Program::python(code), async |session| {
        session
            .send_often(Input::Bytes(vec![b'y'; 10_000]), usize::MAX)
            .await;
    })
    .await;
    assert_eq!(run.verdict, Verdict::OutputLimit, "{:?}", run.verdict);
    assert!(run.stdout.truncated && run.stdout.data.len() < 1 << 20);
}

async fn a72_escape_sequences_are_bytes_like_others_and_nobody_answers(case: &mut Case) {
    // Asks where the cursor is, what terminal it is, for its title and its clipboard; changes
    // titles; and what ends strings, in one byte and in two.
    let code = r"
import os, select, sys, tty
tty.setraw(0)
os.write(1, b'\x1b[6n\x1b[c\x1b[>0c\x1b[21t\x1b]52;c;?\x07\x1b]0;title\x1b\\\x05\x1bP+q544e\x1b\\\x9b6n\x00\xff')
ready, _, _ = select.select([0], [], [], 1)
os.write(1, b'answered' if ready else b'silence')
";
    let run = at_terminal(case, Program::python(code), async |_| {}).await;
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(&run.stdout.data);
    let wanted = b"\x1b[6n\x1b[c\x1b[>0c\x1b[21t\x1b]52;c;?\x07\x1b]0;title\x1b\\\x05\x1bP+q544e\x1b\\\x9b6n\x00\xffsilence";
    assert_eq!(bytes.unwrap(), wanted);
}

async fn a72_what_is_typed_without_end_is_output_where_it_is_echoed(case: &mut Case) {
    let code = "
import time
print('here', flush=True)
time.sleep(1e6)
";
    let run = at_terminal(case, Program::python(code), async |session| {
        session.spoken().await;
        let input = Input::Bytes(vec![b'a'; 100_000]);
        session.send_often(input, 1_000_000).await;
    })
    .await;
    assert_eq!(run.verdict, Verdict::OutputLimit, "{run:#?}");
}

async fn a72_a_line_without_end_that_nobody_reads_holds_nothing_up(case: &mut Case) {
    let code = "
import termios, time
mode = termios.tcgetattr(0)
mode[0] &= ~termios.IMAXBEL; mode[3] &= ~termios.ECHO
termios.tcsetattr(0, termios.TCSANOW, mode)
print('here', flush=True)
time.sleep(1.5)
raise SystemExit(7)
";
    for input in [
        Input::Bytes(vec![b'a'; 100_000]),
        Input::Bytes(vec![4; 100_000]),
        Input::Bytes(vec![0x13, 0x11]),
    ] {
        let run = at_terminal(case, Program::python(code), async |session| {
            session.spoken().await;
            session.send_often(input, 1_000_000).await;
        })
        .await;
        assert_eq!(run.exit_code, Some(7), "{run:#?}");
    }
}

async fn a72_closing_the_terminal_hides_nothing(case: &mut Case) {
    let code = "
import os, time
for stream in range(3): os.close(stream)
end = time.process_time() + 0.3
while time.process_time() < end: pass
raise SystemExit(7)
";
    let run = at_terminal(case, Program::python(code), async |_| {}).await;
    assert_eq!(run.exit_code, Some(7), "{run:#?}");
    assert!(run.usage.cpu_ms >= 300, "{:?}", run.usage);
    let code = "
import os
for stream in range(3): os.close(stream)
while True: pass
";
    let run = at_terminal(case, Program::python(code).cpu_ms(300), async |_| {}).await;
    assert_eq!(run.verdict, Verdict::TimeLimit, "{run:#?}");
}

async fn a72_what_holds_the_terminal_after_the_end_is_ended(case: &mut Case) {
    let code = "
import os, signal, time
for number in 1, 2, 3, 15: signal.signal(number, signal.SIG_IGN)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
for n in range(10):
    if os.fork() == 0:
        if n % 2: os.setsid()
        while True: os.write(1, b'.'); time.sleep(0.01)
print('over', flush=True)
";
    let run = at_terminal(case, Program::python(code), async |_| {}).await;
    assert_eq!(run.exit_code, Some(0), "{run:#?}");
    assert!(run.stdout.data.contains("over"), "{run:#?}");
    // Long before the wall limit, to which they would hold it.
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    assert!(run.usage.wall_ms < 15_000, "{:?}", run.usage);
}

async fn a72_sizes_that_change_without_end_change_nothing_else(case: &mut Case) {
    let code = "
import fcntl, os, struct, termios, time
print('here', flush=True)
end = time.monotonic() + 1.5
while time.monotonic() < end:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('4H', 65535, 65535, 65535, 65535))
raise SystemExit(7)
";
    let run = at_terminal(case, Program::python(code), async |session| {
        session.spoken().await;
        let size = TerminalSize {
            columns: u16::MAX,
            rows: 0,
        };
        session.send_often(Input::Resize(size), 1_000_000).await;
    })
    .await;
    assert_eq!(run.exit_code, Some(7), "{run:#?}");
}

async fn a72_a_program_that_takes_all_keys_is_cancelled_all_the_same(case: &mut Case) {
    let code = "
import os, signal, tty
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
tty.setraw(0)
for _ in range(4): os.fork()
os.write(1, b'here')
while True: pass
";
    let mut taken = None;
    let program = Program::python(code).cpu_ms(60_000).wall_ms(60_000);
    let run = at_terminal(case, program, async |session| {
        session.spoken().await;
        for key in [3, 28, 26, 4] {
            session.keys.send(Input::Bytes(vec![key])).await.unwrap();
        }
        for number in [1, 2, 15, 20] {
            session.keys.send(Input::Signal(number)).await.unwrap();
        }
        let begun = Instant::now();
        session.cancel.cancel();
        while session.progress.recv().await.is_some() {}
        taken = Some(begun.elapsed());
    })
    .await;
    assert_eq!(run.verdict, Verdict::Cancelled, "{run:#?}");
    assert!(taken.unwrap() < Duration::from_secs(15), "{taken:?}");
}
