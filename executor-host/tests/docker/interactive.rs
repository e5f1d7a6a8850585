//! Somebody at the keyboard of a program while it runs.

use agent_protocol::TerminalSize;
use codecrafter_shared::job::{Job, Outcome, Stream, Verdict};
use executor_host::sandbox::{Input, Interaction, Progress, Sandbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, World, job, only_run, timed};

const SIZE: TerminalSize = TerminalSize {
    columns: 91,
    rows: 17,
};

/// A program that runs, and what it has written that was not waited for yet.
struct Session {
    keys: Option<mpsc::Sender<Input>>,
    progress: mpsc::Receiver<Progress>,
    written: String,
}

impl Session {
    async fn type_in(&self, text: &str) {
        self.send(Input::Bytes(text.into())).await;
    }

    async fn send(&self, input: Input) {
        self.keys.as_ref().unwrap().send(input).await.unwrap();
    }

    /// Waits until the program has written this, and gives what it wrote before.
    async fn until(&mut self, text: &str) -> String {
        let read = async {
            loop {
                if let Some(at) = self.written.find(text) {
                    let rest = self.written.split_off(at + text.len());
                    let mut before = std::mem::replace(&mut self.written, rest);
                    before.truncate(at);
                    return before;
                }
                let Some(progress) = self.progress.recv().await else {
                    panic!("it ended after {:?} without {text:?}", self.written);
                };
                if let Progress::Output(stream, bytes) = progress {
                    assert_eq!(stream, Stream::Stdout, "{bytes:?}");
                    self.written.push_str(&String::from_utf8(bytes).unwrap());
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.unwrap_or_else(|_| panic!("{text:?} did not come after {:?}", self.written))
    }
}

/// Runs a program at whose keyboard `person` sits.
async fn with(
    test: &str,
    job: Job,
    terminal: Option<TerminalSize>,
    person: impl AsyncFnOnce(&mut Session),
) -> Outcome {
    let world = World::new(test).await;
    let (keys, input) = mpsc::channel(16);
    let (sender, progress) = mpsc::channel(1024);
    let interaction = Some(Interaction { input, terminal });
    let cancel = CancellationToken::new();
    let run = world.sandbox.run_with(&job, interaction, sender, cancel);
    let mut session = Session {
        keys: Some(keys),
        progress,
        written: String::new(),
    };
    let (outcome, ()) = tokio::join!(run, person(&mut session));
    world.wait_for_containers(0).await;
    outcome.unwrap()
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_prompt_is_seen_before_it_is_answered_and_the_end_of_input_is_one() {
    let code =
        "import sys\nname = input('Who? ')\nprint(f'Hello {name}')\nprint(len(sys.stdin.read()))";
    let mut job = job(code);
    job.limits.wall_ms = 30_000;
    let outcome = with("prompt", job, None, async |session| {
        assert_eq!(session.until("Who? ").await, "");
        session.type_in("Ada\n").await;
        assert_eq!(session.until("Hello Ada\n").await, "");
        session.type_in("four").await;
        session.keys = None;
        assert_eq!(session.until("4\n").await, "");
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Accepted);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn signals_reach_the_program_and_its_children() {
    let code = r#"
import signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
def interrupted(*_):
    print("interrupted", child.wait(), flush=True)
    sys.exit(4)
signal.signal(signal.SIGINT, interrupted)
print("ready", flush=True)
while True: time.sleep(0.1)
"#;
    let outcome = with("signals", job(code), None, async |session| {
        session.until("ready\n").await;
        session.send(Input::Signal(2)).await;
        session.until("interrupted -2\n").await;
    })
    .await;
    assert_eq!(only_run(outcome).exit_code, Some(4));
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_terminal_has_a_size_an_echo_and_keys_that_are_signals() {
    let code = r#"
import os, signal, sys, time
# Waited for rather than handled: a handler in Python would wait for the next key if the signal came
# just before `input` reads.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
print([os.isatty(fd) for fd in (0, 1, 2)], os.get_terminal_size(), os.ttyname(0)[:9])
signal.sigwait([signal.SIGWINCH])
print("now", os.get_terminal_size().columns)
line = input("> ")
print("got", line)
sys.stderr.write("both are one\n")
open("/dev/tty", "w").write("and this\n")
while True: time.sleep(0.1)
"#;
    let outcome = with("terminal", job(code), Some(SIZE), async |session| {
        let first = session.until("\r\n").await;
        let wanted = "[True, True, True] os.terminal_size(columns=91, lines=17) /dev/pts/";
        assert_eq!(first, wanted);
        let columns = 40;
        session
            .send(Input::Resize(TerminalSize { columns, rows: 10 }))
            .await;
        session.until("now 40\r\n> ").await;
        session.type_in("abc\x7f\n").await;
        session.until("got ab\r\n").await;
        session.until("both are one\r\nand this\r\n").await;
        session.type_in("\x03").await;
        session.until("KeyboardInterrupt").await;
    })
    .await;
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::RuntimeError);
    assert_eq!(run.stderr.total_bytes, 0, "both outputs are one");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn input_that_nobody_reads_holds_nothing_up_and_what_comes_after_the_end_is_dropped() {
    // It writes much and reads nothing, so both directions are full.
    let code = "import sys\nfor n in range(60): print('x' * 10000, flush=True)\nprint('done', flush=True)\nwhile True: pass";
    let mut job = timed(code, 500, 20_000);
    job.limits.output_bytes = 1 << 18;
    for terminal in [None, Some(SIZE)] {
        let outcome = with("unread", job.clone(), terminal, async |session| {
            let keys = session.keys.clone().unwrap();
            let flood = async move {
                let piece = Input::Bytes(vec![b'\n'; 100_000]);
                while keys.send(piece.clone()).await.is_ok() {}
            };
            let drain = async { while session.progress.recv().await.is_some() {} };
            session.keys = None;
            tokio::join!(flood, drain);
        })
        .await;
        assert_eq!(outcome.verdict, Verdict::TimeLimit, "{terminal:?}");
    }
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn who_never_types_meets_the_wall_limit() {
    let job = timed("input()", 1_000, 300);
    let outcome = with("never", job, Some(SIZE), async |session| {
        while session.progress.recv().await.is_some() {}
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::TimeLimit);
    // By the agent, which says how: not by the host, which gives up an agent that is late itself.
    let run = only_run(outcome);
    assert_eq!(run.signal.as_deref(), Some("SIGKILL"), "{run:#?}");
}
