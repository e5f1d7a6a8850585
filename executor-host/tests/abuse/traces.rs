//! A56–A62: what one program can see of another, at the same time or after it, and what a program
//! leaves behind or takes apart.

use executor_host::sandbox::{Input, Interaction, Progress};
use tokio::sync::mpsc;

use crate::world::{Attack, Case, Mode, PATIENCE, Program, attacks, ended, is_output, printed};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a56_two_programs_at_a_time_have_no_channel,
        a56_locks_of_open_files_are_seen_by_nobody_else,
        a56_what_the_kernel_counts_by_user_is_not_shared,
        a56_there_are_no_keyrings,
        a57_nothing_is_left_for_the_next_run_or_job,
        a57_counters_of_the_network_tell_the_next_job_nothing,
        a58_the_input_of_another_run_is_not_there,
        a59_removing_everything_harms_only_oneself,
        a60_a_crash_leaves_no_core,
        a61_the_clock_cannot_be_set,
        a61_games_with_time_change_no_measurement,
        a62_the_environment_holds_what_the_language_needs_and_nothing_else,
    ]
}

/// Runs `second` while `first` waits behind its first words, and gives what they print.
async fn together(case: &mut Case, first: &str, second: &str) -> (String, String) {
    let (first, interaction, keys) = holding(first);
    let (progress, _cancel, first) = case.start_with(first, Some(interaction)).await;
    let second = Program::python(second);
    let second = while_it_holds(progress, keys, case.world.run(&second.0)).await;
    let first = ended(first).await;
    (
        printed(&first.runs[0]).to_owned(),
        printed(&second.runs[0]).to_owned(),
    )
}

/// A program that reads a line once it has spoken, and what it reads from.
pub fn holding(code: &str) -> (Program, Interaction, mpsc::Sender<Input>) {
    let (keys, input) = mpsc::channel(1);
    let terminal = None;
    let program = Program::python(code).wall_ms(120_000);
    (program, Interaction { input, terminal }, keys)
}

/// Waits for the first words of such a program, then for `second`, and lets it go on.
pub async fn while_it_holds<T>(
    mut progress: mpsc::Receiver<Progress>,
    keys: mpsc::Sender<Input>,
    second: impl Future<Output = T>,
) -> T {
    let spoke = async { while progress.recv().await.is_some_and(|seen| !is_output(&seen)) {} };
    tokio::time::timeout(PATIENCE, spoke).await.unwrap();
    let second = second.await;
    assert!(!keys.is_closed(), "the first has ended too soon");
    keys.send(Input::Bytes(b"\n".to_vec())).await.unwrap();
    while progress.recv().await.is_some() {}
    second
}

async fn a56_two_programs_at_a_time_have_no_channel(case: &mut Case) {
    let first = include_str!("programs/a56_hold.py");
    let second = include_str!("programs/a56_find.py");
    let (first, second) = together(case, first, second).await;
    assert_eq!(first, "held\nnothing happened\n");
    assert_eq!(second, "");
}

/// The kernel shows these locks to everybody, as no process owns them.
async fn a56_locks_of_open_files_are_seen_by_nobody_else(case: &mut Case) {
    let (_, second) = together(case, LOCKS_HELD, LOCKS_SEEN).await;
    assert_eq!(second, "");
}

/// Holds a lock that belongs to an open file.
pub const LOCKS_HELD: &str = "
import fcntl, struct
F_OFD_SETLK = 37
f = open('/work/lock', 'w')
fcntl.fcntl(f, F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 4711, 1, 0))
print('held', flush=True)
input()
";

/// Looks for it for a while.
pub const LOCKS_SEEN: &str = "
import time
for _ in range(100):
    if any(' 4711 ' in line for line in open('/proc/locks')): raise SystemExit(print('seen'))
    time.sleep(0.02)
";

/// The kernel gives each user so many inotify instances, bytes in pipes and waiting signals,
/// whatever container they are in.
async fn a56_what_the_kernel_counts_by_user_is_not_shared(case: &mut Case) {
    let (_, second) = together(case, WATCHES_HELD, WATCHES_SEEN).await;
    assert_eq!(second, "");
}

/// Takes every inotify instance that its user may have.
pub const WATCHES_HELD: &str = "
import ctypes
libc = ctypes.CDLL(None)
while libc.inotify_init1(0) >= 0: pass
print('held', flush=True)
input()
";

/// Looks for a while whether there is one left.
pub const WATCHES_SEEN: &str = "
import ctypes, os, time
for _ in range(100):
    watch = ctypes.CDLL(None).inotify_init1(0)
    if watch < 0: raise SystemExit(print('none left'))
    os.close(watch); time.sleep(0.02)
";

async fn a56_there_are_no_keyrings(case: &mut Case) {
    if cfg!(target_arch = "x86_64") {
        let run = case
            .run_one(Program::python(super::isolation::CALLS).args(&["keyrings"]))
            .await;
        assert_eq!(printed(&run), "done\n");
    }
}

/// The same program in two runs of a job, twice: in one container, if containers serve several.
async fn a57_nothing_is_left_for_the_next_run_or_job(case: &mut Case) {
    let code = include_str!("programs/a57_leave.py");
    let mut served = Vec::new();
    for _ in 0..2 {
        let program = Program::python(code).inputs(&["", ""]);
        let (mut progress, _cancel, job) = case.start(program).await;
        while let Some(told) = progress.recv().await {
            if let Progress::Container(id) = told {
                served.push(id);
            }
        }
        let outcome = ended(job).await;
        assert_eq!(outcome.runs.len(), 2, "{outcome:#?}");
        for run in &outcome.runs {
            assert_eq!(printed(run), "[]\nleft\n");
        }
    }
    assert_eq!(served.len(), 2);
    assert_eq!(case.world.mode == Mode::Reuse, served[0] == served[1]);
}

/// Packets that were refused are counted too, though there is nowhere to send one.
async fn a57_counters_of_the_network_tell_the_next_job_nothing(case: &mut Case) {
    let code = "
import hashlib, os, socket
counted = ''
for name in ['snmp', 'snmp6', 'netstat', 'dev']:
    path = '/proc/net/' + name
    if os.path.exists(path): counted += open(path).read()
print(hashlib.sha256(counted.encode()).hexdigest(), flush=True)
for kind in [socket.SOCK_STREAM, socket.SOCK_DGRAM]:
    try: socket.socket(socket.AF_INET, kind).connect(('192.0.2.1', 80))
    except OSError: pass
";
    let mut seen = Vec::new();
    for _ in 0..2 {
        let run = case.run_one(Program::python(code)).await;
        seen.push(printed(&run).to_owned());
    }
    assert_eq!(seen[0], seen[1]);
}

async fn a58_the_input_of_another_run_is_not_there(case: &mut Case) {
    let code = include_str!("programs/a58_search.py");
    // Not written as one word in the program, which would find itself.
    let needle = ["needle", "of", "another", "run"].join("-");
    let outcome = case
        .run(Program::python(code).inputs(&["first", &needle, "third"]))
        .await;
    let printed: Vec<_> = outcome.runs.iter().map(printed).collect();
    assert_eq!(printed, ["nothing\n", "nothing\n", "nothing\n"]);
}

async fn a59_removing_everything_harms_only_oneself(case: &mut Case) {
    let code = "
import os, subprocess
print(sorted(os.listdir('/work')))
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
os.makedirs('/work/gone'); os.chdir('/work/gone'); os.rmdir('/work/gone')
for command in ['rm -rf /work/..?* /tmp/* --no-preserve-root /', 'chmod -R 000 / /work /tmp /dev/shm',
                'mv /work /tmp', 'chown -R 1:1 /work']:
    subprocess.run(['/bin/sh', '-c', command], **quiet)
print(os.path.exists('/work/main.py'))
";
    let outcome = case.run(Program::python(code).inputs(&["", ""])).await;
    assert_eq!(outcome.runs.len(), 2, "{outcome:#?}");
    for run in &outcome.runs {
        assert_eq!(printed(run), "['main.py']\nFalse\n");
    }
}

async fn a60_a_crash_leaves_no_core(case: &mut Case) {
    let run = case.run_one(Program::python(CORE)).await;
    assert_eq!(printed(&run), "refused\n['main.py']\n");
    let run = case
        .run_one(Program::c("int main(void) { __builtin_trap(); }"))
        .await;
    assert_eq!(run.signal.as_deref(), Some("SIGILL"));
}

/// Asks for cores, makes a child that crashes, and looks for one.
pub const CORE: &str = "
import os, resource, signal
try: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)); print('granted')
except (ValueError, OSError): print('refused')
if os.fork() == 0: os.kill(os.getpid(), signal.SIGSEGV)
os.wait()
print(sorted(os.listdir()))
";

async fn a61_the_clock_cannot_be_set(case: &mut Case) {
    if cfg!(target_arch = "x86_64") {
        let run = case
            .run_one(Program::python(super::isolation::CALLS).args(&["clocks"]))
            .await;
        assert_eq!(printed(&run), "done\n");
    }
}

async fn a61_games_with_time_change_no_measurement(case: &mut Case) {
    let code = "
import ctypes, os, signal, time
libc = ctypes.CDLL(None)
libc.prctl(26, 2, 0, 0, 0)  # PR_SET_TSC: reading the counter faults
libc.prctl(26, 1, 0, 0, 0)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
os.nice(19)
end = time.process_time() + 0.4
while time.process_time() < end: pass
signal.setitimer(signal.ITIMER_REAL, 0)
print(int(time.process_time() * 1000))
";
    let run = case.run_one(Program::python(code)).await;
    // What it counts itself, and what it takes to end.
    let own: u64 = printed(&run).trim_end().parse().unwrap();
    assert!(own >= 400, "{own}");
    assert!(
        (own..own + 500).contains(&run.usage.cpu_ms),
        "{:?}",
        run.usage
    );
    assert!(run.usage.wall_ms >= 400, "{:?}", run.usage);
}

async fn a62_the_environment_holds_what_the_language_needs_and_nothing_else(case: &mut Case) {
    let code = "
import os
print(sorted(os.environ.items()))
print(sorted(open('/proc/self/environ').read().split('\\0')[:-1]) == sorted(f'{k}={v}' for k, v in os.environ.items()))
try: print(open('/proc/1/environ').read())
except PermissionError: print('refused')
print(os.getcwd(), os.uname().nodename, open('/proc/1/cmdline').read())
";
    let run = case.run_one(Program::python(code)).await;
    let expected = "\
[('HOME', '/work'), ('LANG', 'C.UTF-8'), \
('PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'), \
('PYTHONDONTWRITEBYTECODE', '1'), ('PYTHONUNBUFFERED', '1')]
True
refused
/work sandbox /agent\0
";
    assert_eq!(printed(&run), expected);
}
