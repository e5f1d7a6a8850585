//! A67 and A68: whoever waits for a job, and stops to.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use codecrafter_shared::job::{Outcome, Stage, Verdict};
use executor_host::docker::harden::LABEL_JOB;
use executor_host::sandbox::{Progress, Sandbox};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{
    Attack, Case, PATIENCE, Program, World, attacks, ended, is_output, only_run, printed,
};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a67_what_is_cancelled_before_its_start_starts_nothing,
        a67_what_is_cancelled_while_its_container_starts_is_cancelled,
        a67_a_compiler_is_ended_when_its_job_is_cancelled,
        a67_a_program_is_dead_soon_after_its_job_is_cancelled,
        a67_cancelling_what_has_ended_changes_nothing,
        a68_a_program_does_not_wait_for_who_watches_it,
    ]
}

const FOR_EVER: &str = "print('on', flush=True)\nwhile True: pass";

#[track_caller]
fn is_cancelled(outcome: &Outcome) {
    assert_eq!(outcome.verdict, Verdict::Cancelled, "{outcome:#?}");
    let message = "The execution was cancelled.";
    assert_eq!(outcome.message.as_deref(), Some(message));
}

async fn a67_what_is_cancelled_before_its_start_starts_nothing(case: &mut Case) {
    case.run(Program::python("")).await;
    let before = made_for_jobs(&case.world).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let (sender, mut progress) = mpsc::channel(16);
    let job = Program::python(FOR_EVER).0;
    let outcome = case.world.sandbox.run(&job, sender, cancel).await.unwrap();
    is_cancelled(&outcome);
    assert_eq!(outcome.runs.len(), 0);
    assert_eq!(progress.recv().await, None);
    assert!(made_for_jobs(&case.world).await.is_subset(&before));
}

/// The containers that jobs had to wait for; others are started ahead at any time.
async fn made_for_jobs(world: &World) -> HashSet<String> {
    let mut containers = world.containers().await;
    containers.retain(|container| {
        let labels = container.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(LABEL_JOB))
    });
    containers.into_iter().filter_map(|one| one.id).collect()
}

async fn a67_what_is_cancelled_while_its_container_starts_is_cancelled(case: &mut Case) {
    let (_progress, cancel, run) = case.start(Program::python(FOR_EVER)).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    cancel.cancel();
    is_cancelled(&ended(run).await);
}

async fn a67_a_compiler_is_ended_when_its_job_is_cancelled(case: &mut Case) {
    let code = include_str!("programs/a31_templates.cpp");
    let (mut progress, cancel, run) = case.start(Program::new("cpp", code)).await;
    let compiles = Progress::Stage(Stage::Compile);
    while progress.recv().await.expect("it compiles") != compiles {}
    tokio::time::sleep(Duration::from_millis(200)).await;
    cancel.cancel();
    let outcome = ended(run).await;
    is_cancelled(&outcome);
    assert_eq!(outcome.runs.len(), 0);
    assert_eq!(outcome.compile.unwrap().verdict, Verdict::Cancelled);
}

async fn a67_a_program_is_dead_soon_after_its_job_is_cancelled(case: &mut Case) {
    // One of several tries must do: others use this machine too.
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        fastest = fastest.min(time_to_die(case).await);
        if fastest <= Duration::from_millis(50) {
            return;
        }
    }
    panic!("it takes {fastest:?}");
}

/// How long a program lives on after its job was cancelled.
async fn time_to_die(case: &mut Case) -> Duration {
    let (mut progress, cancel, run) = case.start(Program::python(FOR_EVER)).await;
    while !is_output(&progress.recv().await.expect("it runs")) {}
    let processes = case.world.processes().await;
    let program = processes.iter().find(|process| process.is_programs());
    let pid = program.expect("it lives").pid;
    let cancelled = Instant::now();
    cancel.cancel();
    while is_alive(pid) {
        assert!(cancelled.elapsed() < PATIENCE, "it lives for ever");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = cancelled.elapsed();
    // Twice is once.
    cancel.cancel();
    let outcome = ended(run).await;
    is_cancelled(&outcome);
    // Its newline is a write of its own, which it may not have come to.
    assert_eq!(only_run(outcome).stdout.data.trim_end(), "on");
    took
}

/// Whether the kernel still has something of it to run.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Its name, in brackets, may hold anything.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

async fn a67_cancelling_what_has_ended_changes_nothing(case: &mut Case) {
    let (_progress, cancel, run) = case.start(Program::python("print('done')")).await;
    let outcome = ended(run).await;
    cancel.cancel();
    assert_eq!(printed(&only_run(outcome)), "done\n");
}

async fn a68_a_program_does_not_wait_for_who_watches_it(case: &mut Case) {
    let code = "
import os
for number in range(1000): os.write(1, b'%-99d\\n' % number)
";
    let flood = "import os\nwhile True: os.write(1, b'x' * 65536)";
    for (code, bytes, verdict) in [
        (code, 100_000, Verdict::Accepted),
        (flood, 0, Verdict::OutputLimit),
    ] {
        // Nobody ever takes anything out of this.
        let (_progress, _cancel, run) = case.start(Program::python(code)).await;
        let ended = timeout(PATIENCE, ended(run)).await;
        let run = only_run(ended.expect("it waits for ever"));
        assert_eq!(run.verdict, verdict);
        assert!(
            run.stdout.total_bytes >= bytes,
            "{}",
            run.stdout.total_bytes
        );
    }
}
