//! Several runs of one job, a compiler before them, and containers started ahead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::models::ContainerSummaryStateEnum;
use codecrafter_shared::job::{Job, RunSpec, SourceFile, Stage, Stream, Verdict};
use executor_host::docker::harden::LABEL_JOB;
use executor_host::sandbox::{Progress, Sandbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, World, job, only_run, printed, start};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn each_run_finds_the_files_as_the_first_did() {
    let world = World::new("runs").await;
    let code = "
import os, sys
here = sorted(os.listdir('/work')), os.listdir('/tmp'), os.listdir('/dev/shm')
print(here, open('main.py').read(6) == '\\nimpor', sys.stdin.read())
for place in ['/work', '/tmp', '/dev/shm']:
    os.makedirs(place + '/d/e'); os.chmod(place + '/d', 0)
    os.symlink('/etc', place + '/link')
    open(place + '/f', 'w').write('x')
open('main.py', 'w').write('raise SystemExit(9)')
if os.fork() == 0:
    os.setsid()
    while True: pass
";
    let mut job = job(code);
    let run = |stdin: &str| RunSpec {
        stdin: stdin.into(),
        args: vec![],
        ..RunSpec::default()
    };
    job.runs = vec![run("one"), run("two"), run("three")];
    let outcome = world.run(&job).await;
    assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:#?}");
    let printed: Vec<_> = outcome.runs.iter().map(printed).collect();
    assert_eq!(
        printed,
        ["one", "two", "three"].map(|input| format!("(['main.py'], [], []) True {input}\n"))
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn runs_stop_after_the_first_that_is_not_accepted() {
    let world = World::new("stop").await;
    let mut job = job("import sys; sys.exit(int(sys.argv[1]))");
    job.runs = ["0", "7", "0"]
        .map(|code| RunSpec {
            stdin: String::new(),
            args: vec![code.into()],
            ..RunSpec::default()
        })
        .into();
    let outcome = world.run(&job).await;
    assert_eq!(outcome.verdict, Verdict::RuntimeError);
    let codes: Vec<_> = outcome.runs.iter().map(|run| run.exit_code).collect();
    assert_eq!(codes, [Some(0), Some(7)]);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn streams_can_be_opened_by_their_names() {
    let world = World::new("names").await;
    let mut job = job("text = open('/dev/stdin').read()\n\
                       for name in ['out', 'err']: open('/dev/std' + name, 'w').write(name + text)");
    job.runs[0].stdin = "put".into();
    let run = only_run(world.run(&job).await);
    assert_eq!((printed(&run), &*run.stderr.data), ("output", "errput"));
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn an_answer_is_compared_with_the_expected_one_however_long_it_is() {
    let world = World::new("answer").await;
    let mut job =
        job("import sys; n = int(input()); [print('x' * 99) for _ in range(n)]; sys.exit(n == 3)");
    // More than is kept of it.
    job.limits.output_bytes = 1024;
    let long = "x".repeat(99) + "  \n";
    let run = |lines: usize, expected: &str| RunSpec {
        stdin: lines.to_string(),
        expected: Some(expected.to_owned()),
        ..RunSpec::default()
    };
    job.runs = vec![
        run(100, &long.repeat(100)),
        run(0, "\n"),
        run(100, &long.repeat(99)),
    ];
    let outcome = world.run(&job).await;
    let verdicts: Vec<_> = outcome.runs.iter().map(|run| run.verdict).collect();
    assert_eq!(
        verdicts,
        [Verdict::Accepted, Verdict::Accepted, Verdict::WrongAnswer]
    );
    assert_eq!(outcome.verdict, Verdict::WrongAnswer);
    let message = outcome.message.unwrap();
    assert_eq!(
        message,
        "The program wrote something else than was expected."
    );
    // A program that failed is not asked for the right answer.
    job.runs = vec![run(3, "")];
    assert_eq!(world.run(&job).await.verdict, Verdict::RuntimeError);
}

/// A language with a compiler: Python's, and a program in a folder that only it makes.
async fn world_with_compiler(test: &str) -> World {
    World::with(test, |settings| {
        settings.languages[0].compile = Some(vec!["python3".into(), "build.py".into()]);
        settings.languages[0].run = vec!["./out/program".into()];
        settings.languages[0].env = BTreeMap::new();
    })
    .await
}

fn compiled(build: &str, runs: usize) -> Job {
    let mut job = job("print('built')");
    job.files = vec![SourceFile {
        path: "build.py".into(),
        content: build.into(),
    }];
    job.runs = vec![RunSpec::default(); runs];
    job
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_compiler_runs_once_before_all_runs() {
    let world = Arc::new(world_with_compiler("compile").await);
    let build = "
import os
print('compiling')
os.mkdir('out')
with open('out/program', 'w') as f: f.write('#!/bin/sh\\nexec python3 main.py\\n')
os.chmod('out/program', 0o755)
";
    let (mut progress, _cancel, task) = start(&world, compiled(build, 2));
    let mut seen = Vec::new();
    while let Some(progress) = progress.recv().await {
        seen.push(progress);
    }
    let outcome = task.await.unwrap().unwrap();
    assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:#?}");
    assert_eq!(printed(outcome.compile.as_ref().unwrap()), "compiling\n");
    assert_eq!(
        outcome.runs.iter().map(printed).collect::<Vec<_>>(),
        ["built\n", "built\n"]
    );
    let output = |text: &str| Progress::Output(Stream::Stdout, text.as_bytes().to_vec());
    assert!(matches!(seen[0], Progress::Container(_)), "{seen:?}");
    assert_eq!(
        seen[1..4],
        [
            Progress::Stage(Stage::Compile),
            output("compiling\n"),
            Progress::Stage(Stage::Run)
        ]
    );
    world.wait_for_containers(0).await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_source_that_does_not_compile_is_not_run() {
    let world = world_with_compiler("compile-error").await;
    let outcome = world
        .run(&compiled("raise SystemExit('no such thing')", 1))
        .await;
    assert_eq!(outcome.verdict, Verdict::CompileError);
    assert_eq!(
        outcome.message.as_deref(),
        Some("The compiler exited with code 1.")
    );
    assert_eq!(outcome.compile.unwrap().stderr.data, "no such thing\n");
    assert_eq!(outcome.runs.len(), 0);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_compiler_that_makes_no_program_is_the_programs_fault() {
    let world = world_with_compiler("no-program").await;
    let outcome = world.run(&compiled("print('lazy')", 1)).await;
    assert_eq!(outcome.verdict, Verdict::RuntimeError);
    let message = outcome.message.unwrap();
    assert!(
        message.starts_with("The program could not be started: No such file"),
        "{message}"
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_compiler_that_leaves_more_than_the_memory_holds_meets_the_memory_limit() {
    let world = world_with_compiler("leaves-much").await;
    let mut job = compiled("open('large', 'wb').write(bytes(40 << 20))", 1);
    job.limits.memory_bytes = 16 << 20;
    let outcome = world.run(&job).await;
    assert_eq!(outcome.verdict, Verdict::MemoryLimit, "{outcome:#?}");
    assert_eq!(outcome.compile.unwrap().verdict, Verdict::Accepted);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_warm_container_serves_a_job_within_that_jobs_limits() {
    let world = World::with("warm", |settings| settings.warm = 1).await;
    world.sandbox.languages().await.unwrap();
    let warm = wait_for_warm(&world, "").await;
    let mut job = job("x = bytearray(1 << 30)");
    job.limits.memory_bytes = 48 << 20;
    let (sender, _receiver) = mpsc::channel(1);
    let outcome = world
        .sandbox
        .run(&job, sender, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::MemoryLimit);
    assert!(only_run(outcome).usage.peak_bytes <= 48 << 20);
    // Used once: the next that is ready is another.
    wait_for_warm(&world, &warm).await;
    world.sandbox.close().await;
    assert_eq!(world.containers().await.len(), 0);
}

/// Waits for one container that runs ahead of any job, another than `last`, and gives its id.
async fn wait_for_warm(world: &World, last: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let container = world.wait_for_containers(1).await.remove(0);
        let id = container.id.clone().unwrap();
        if id != last && container.state == Some(ContainerSummaryStateEnum::RUNNING) {
            assert!(!container.labels.unwrap().contains_key(LABEL_JOB));
            return id;
        }
        assert!(Instant::now() < deadline, "{container:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
