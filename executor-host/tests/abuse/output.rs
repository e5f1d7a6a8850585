//! A20–A30: output, input and signals that keep the host busy or waiting.

use base64::Engine as _;
use codecrafter_shared::job::{Captured, Encoding, Outcome, Verdict};
use executor_host::sandbox::Sandbox;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::traces::{holding, while_it_holds};
use crate::world::{Attack, Case, Program, World, attacks, fewest, only_run, printed};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a20_a_flood_of_output_is_ended_and_only_so_much_is_kept,
        a20_output_is_in_no_log,
        a21_a_flood_of_errors_is_ended_alone_and_beside_one_of_output,
        a22_a_slow_drip_defeats_no_timer,
        a23_one_endless_line_is_a_flood,
        a23_output_that_is_no_text_comes_back_byte_for_byte,
        a24_what_was_written_before_a_limit_is_kept_and_what_was_not_is_not,
        a25_input_that_nobody_reads_keeps_nobody_waiting,
        a26_closed_outputs_do_not_hide_a_program_from_its_limits,
        a27_a_storm_of_timers_does_not_stop_the_clock,
        a28_a_program_that_stops_itself_and_its_children_is_ended,
        a29_a_program_that_ignores_every_signal_is_ended,
        a30_children_that_nobody_waits_for_are_cleared_away,
        a30_orphans_do_not_pile_up,
    ]
}

/// Bytes of output that are kept in these cases. Sixteen times as many may be written.
const KEPT: u32 = 5000;

async fn a20_a_flood_of_output_is_ended_and_only_so_much_is_kept(case: &mut Case) {
    let code = "import os\nos.execlp('yes', 'yes')";
    let outcome = case.run(Program::python(code).output_bytes(KEPT)).await;
    let message = "The program wrote more than 80000 bytes to one stream.";
    assert_eq!(outcome.message.as_deref(), Some(message));
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::OutputLimit);
    is_a_flood(&run.stdout);
    assert_eq!(run.stderr, Captured::default());
}

async fn a20_output_is_in_no_log(case: &mut Case) {
    // So that the case has a control job like all others.
    case.run(Program::python("")).await;
    assert!(!is_logged(&case.world).await);
}

/// Whether the engine writes down what the container of a program that writes says.
pub async fn is_logged(world: &World) -> bool {
    let (Program(job), interaction, keys) = holding("print('x' * 1000, flush=True)\ninput()");
    let (sender, progress) = mpsc::channel(16);
    let never = CancellationToken::new();
    let run = world
        .sandbox
        .run_with(&job, Some(interaction), sender, never);
    let look = async {
        let mut logs = Vec::new();
        for container in world.containers().await {
            let id = container.id.unwrap();
            // Others than the program's may go meanwhile.
            if let Ok(inspected) = world.docker.inspect_container(&id, None).await {
                logs.push(inspected.log_path.unwrap_or_default());
            }
        }
        assert!(!logs.is_empty());
        logs.iter().any(|path| !path.is_empty())
    };
    let (ended, is_logged) = tokio::join!(run, while_it_holds(progress, keys, look));
    printed(&only_run(ended.unwrap()));
    is_logged
}

async fn a21_a_flood_of_errors_is_ended_alone_and_beside_one_of_output(case: &mut Case) {
    let alone = "import os\nwhile True: os.write(2, b'y' * 4096)";
    let run = case
        .run_one(Program::python(alone).output_bytes(KEPT))
        .await;
    assert_eq!(run.verdict, Verdict::OutputLimit);
    is_a_flood(&run.stderr);
    assert_eq!(run.stdout, Captured::default());
    // A writer each: with one of them waited for, the other would fill its pipe and stop.
    let both = "
import os
stream = 1 if os.fork() else 2
while True: os.write(stream, b'y' * 65536)
";
    let run = case.run_one(Program::python(both).output_bytes(KEPT)).await;
    assert_eq!(run.verdict, Verdict::OutputLimit);
    assert!(
        run.stdout.total_bytes.max(run.stderr.total_bytes) > 80_000,
        "{run:#?}"
    );
    // Nor when there is little room and much to say on both in turns.
    let turns = "
import os
for _ in range(64):
    os.write(1, b'x' * 1024)
    os.write(2, b'y' * 1024)
";
    let run = case
        .run_one(Program::python(turns).output_bytes(KEPT))
        .await;
    assert_eq!(run.verdict, Verdict::Accepted);
    assert_eq!(
        (run.stdout.total_bytes, run.stderr.total_bytes),
        (65_536, 65_536)
    );
}

#[track_caller]
fn is_a_flood(captured: &Captured) {
    assert!(
        captured.truncated && captured.total_bytes > 80_000,
        "{captured:?}"
    );
    // What the kernel's pipe held when it was ended comes on top.
    assert!(captured.total_bytes < 80_000 + (1 << 20), "{captured:?}");
    let tail = captured.tail.as_ref().map(String::len);
    assert_eq!((captured.data.len(), tail), (2500, Some(2500)));
}

async fn a22_a_slow_drip_defeats_no_timer(case: &mut Case) {
    let code = "
import time
while True: print('.', end='', flush=True); time.sleep(0.02)
";
    let run = case.run_one(Program::python(code).wall_ms(4_000)).await;
    assert_eq!(run.verdict, Verdict::TimeLimit);
    let most = run.usage.wall_ms / 20 + 1;
    assert!((5..=most).contains(&run.stdout.total_bytes), "{run:#?}");
}

async fn a23_one_endless_line_is_a_flood(case: &mut Case) {
    let code = "import os\npiece = b'x' * (1 << 20)\nfor _ in range(1024): os.write(1, piece)";
    let run = case.run_one(Program::python(code).output_bytes(KEPT)).await;
    assert_eq!(run.verdict, Verdict::OutputLimit);
    is_a_flood(&run.stdout);
}

async fn a23_output_that_is_no_text_comes_back_byte_for_byte(case: &mut Case) {
    // NUL, half of a character, a lone surrogate, a terminal's escapes, every byte there is.
    let code = r"
import os
os.write(1, b'\0\0a\xe2\x82\xed\xa0\x80\x1b[2J\x1b]0;x\x07' + bytes(range(256)))
os.write(2, b'\x1b[31mred\x1b[0m\0')
";
    let outcome = case.run(Program::python(code)).await;
    let json = serde_json::to_string(&outcome).unwrap();
    let back: Outcome = serde_json::from_str(&json).unwrap();
    assert_eq!(back, outcome);
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::Accepted);
    assert_eq!(run.stdout.encoding, Encoding::Base64);
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(&run.stdout.data)
        .unwrap();
    let mut written = b"\0\0a\xe2\x82\xed\xa0\x80\x1b[2J\x1b]0;x\x07".to_vec();
    written.extend(0..=255);
    assert_eq!(bytes, written);
    // This is UTF-8 after all, and stays what it is; who shows it must know a terminal's escapes.
    assert_eq!(run.stderr.encoding, Encoding::Utf8);
    assert_eq!(run.stderr.data, "\x1b[31mred\x1b[0m\0");
}

async fn a24_what_was_written_before_a_limit_is_kept_and_what_was_not_is_not(case: &mut Case) {
    let code = include_str!("programs/a24_hang.c");
    let run = case.run_one(Program::c(code).wall_ms(3_000)).await;
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert_eq!(run.stdout.data, "flushed\n");
}

/// As much as an execution may bring, which is more than the kernel's pipe takes.
async fn a25_input_that_nobody_reads_keeps_nobody_waiting(case: &mut Case) {
    let input = "x".repeat(codecrafter_shared::limits::STDIN_BYTES_MAX);
    for code in [
        "print('done')",
        "import os; os.close(0); print('done')",
        "import os; os.read(0, 10); print('done')",
    ] {
        // One that was kept waiting would meet its wall limit.
        let run = case.run_one(Program::python(code).inputs(&[&input])).await;
        assert_eq!(printed(&run), "done\n");
    }
    let hangs = Program::python("import time; time.sleep(1e6)").inputs(&[&input]);
    let run = case.run_one(hangs.wall_ms(500)).await;
    assert_eq!(run.verdict, Verdict::TimeLimit);
}

async fn a26_closed_outputs_do_not_hide_a_program_from_its_limits(case: &mut Case) {
    let closed = "import os, time\nfor fd in range(3): os.close(fd)\n";
    let sleeps = format!("{closed}time.sleep(1e6)");
    let run = case.run_one(Program::python(&sleeps).wall_ms(3_000)).await;
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert!(
        run.usage.wall_ms >= 3_000 && run.usage.cpu_ms < 1_500,
        "{:?}",
        run.usage
    );
    let works = format!("{closed}while True: pass");
    let run = case.run_one(Program::python(&works).cpu_ms(300)).await;
    assert_eq!(run.verdict, Verdict::TimeLimit);
}

async fn a27_a_storm_of_timers_does_not_stop_the_clock(case: &mut Case) {
    let code = include_str!("programs/a27_timers.c");
    let program = Program::c(code).cpu_ms(400);
    let attack = async || {
        let run = case.run_one(program.clone()).await;
        assert_eq!(run.verdict, Verdict::TimeLimit, "{run:#?}");
        assert!(run.usage.cpu_ms >= 400, "{:?}", run.usage);
        run
    };
    fewest(600, attack, |run| run.usage.cpu_ms).await;
}

async fn a28_a_program_that_stops_itself_and_its_children_is_ended(case: &mut Case) {
    let code = "
import os, signal, time
for _ in range(3):
    if os.fork() == 0: os.kill(os.getpid(), signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGTSTP)
print('a session of its own has nobody to continue it', flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
print('on')
";
    let run = case.run_one(Program::python(code).wall_ms(600)).await;
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert!(!run.stdout.data.contains("on\n"), "{run:#?}");
}

async fn a29_a_program_that_ignores_every_signal_is_ended(case: &mut Case) {
    let code = "
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
";
    let program = Program::python(code).cpu_ms(300);
    let attack = async || {
        let run = case.run_one(program.clone()).await;
        assert_eq!(run.verdict, Verdict::TimeLimit);
        run
    };
    fewest(400, attack, |run| run.usage.cpu_ms).await;
}

/// One that has ended is a process until somebody has waited for it.
async fn a30_children_that_nobody_waits_for_are_cleared_away(case: &mut Case) {
    let code = "
import os
children = 0
try:
    while children < 10_000:
        if os.fork() == 0: os._exit(0)
        children += 1
except BlockingIOError: pass
print(children)
";
    let program = Program::python(code).processes(30).inputs(&["", ""]);
    let outcome = case.run(program).await;
    // The second run has room for as many again.
    for run in &outcome.runs {
        assert_eq!(printed(run), "29\n");
    }
    assert_eq!(outcome.runs.len(), 2);
}

async fn a30_orphans_do_not_pile_up(case: &mut Case) {
    // Whoever clears them away may need its turn on the processor first.
    let code = "
import os, time
def fork():
    while True:
        try: return os.fork()
        except BlockingIOError: time.sleep(0.01)
for _ in range(500):
    if fork() == 0:
        fork()
        os._exit(0)
    os.wait()
print('done')
";
    let run = case.run_one(Program::python(code).processes(30)).await;
    assert_eq!(printed(&run), "done\n");
}
