//! Every language of the table keeps the same promises, each tried with a program of its own.
//! The programs are in [`crate::programs_by_language`].

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use codecrafter_shared::job::{Job, Outcome, RunOutcome, RunSpec, SourceFile, Verdict};
use codecrafter_shared::language::LanguageRow;
use executor_host::sandbox::{HostFault, Sandbox};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::programs_by_language::{LANGUAGES, Language, Mistake};
use crate::world::{World, only_run, printed, timed};

/// Languages that are tried at a time.
const AT_A_TIME: usize = 3;
/// How often a job is tried that the host fails.
const TRIES: u32 = 3;

/// A sandbox that knows the whole table.
async fn world_of_all(test: &str) -> World {
    World::with(test, |settings| {
        settings.languages = executor_host::languages::load(None).unwrap();
    })
    .await
}

/// Tries a promise with every language whose image is here.
async fn each<F: Future<Output = ()>>(test: &str, promise: impl Fn(Trial) -> F) {
    let world = Arc::new(world_of_all(test).await);
    let mut trials = Vec::new();
    for language in LANGUAGES {
        let image = format!("codecrafter/{}:dev", language.id);
        if world.docker.inspect_image(&image).await.is_err() {
            eprintln!("skipped {}: there is no image {image}", language.id);
            continue;
        }
        let world = Arc::clone(&world);
        trials.push(promise(Trial { world, language }));
    }
    futures_util::stream::iter(trials)
        .for_each_concurrent(AT_A_TIME, |trial| trial)
        .await;
    world.wait_for_containers(0).await;
}

/// One language in the world of a test.
struct Trial {
    world: Arc<World>,
    language: &'static Language,
}

impl Trial {
    /// A job without a limit on wall time: what is asked of a language is no question of what
    /// else the machine does.
    fn job(&self, code: &str) -> Job {
        let mut job = timed(code, 15_000, 300_000);
        job.language = self.language.id.into();
        job
    }

    /// What is the host's fault, such as a container that the engine did not get to start, says
    /// nothing of a language: the job is tried again, as the queue does it.
    async fn outcome(&self, job: &Job) -> Outcome {
        for _ in 1..TRIES {
            match self.tried(job).await {
                Err(fault) if fault.retry => eprintln!("{}: {fault:?}", self.language.id),
                told => return told.unwrap(),
            }
        }
        self.tried(job).await.unwrap()
    }

    async fn tried(&self, job: &Job) -> Result<Outcome, HostFault> {
        let (sender, _receiver) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        self.world.sandbox.run(job, sender, cancel).await
    }

    /// The one run of a job that was started.
    async fn run(&self, job: &Job) -> RunOutcome {
        let outcome = self.outcome(job).await;
        assert_eq!(outcome.runs.len(), 1, "{}: {outcome:#?}", self.language.id);
        only_run(outcome)
    }
}

#[test]
fn every_language_of_the_table_is_tried() {
    let table = executor_host::languages::load(None).unwrap();
    let in_table: BTreeSet<_> = table.iter().map(|row| row.id.as_str()).collect();
    let tried: BTreeSet<_> = LANGUAGES.iter().map(|language| language.id).collect();
    assert_eq!(tried, in_table);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_announces_its_version_and_says_hello() {
    let world = world_of_all("versions").await;
    let announced = world.sandbox.all_languages().await.unwrap();
    each("hello", |trial| {
        let id = trial.language.id;
        let version = announced.iter().find(|language| language.id == id);
        let version = version.unwrap_or_else(|| panic!("{id} is not announced"));
        let version = version.version.clone();
        async move {
            assert!(version.contains(trial.language.version), "{id}: {version}");
            let run = trial.run(&trial.job(trial.language.hello)).await;
            assert_eq!(printed(&run), "Hello\n", "{id}");
            println!("{id}: {version}: {:?}", run.usage);
        }
    })
    .await;
}

/// What docs/languages.md tells operators to do.
#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_row_in_a_table_of_ones_own_is_one_more_language() {
    let mut table = include_str!("../../languages.toml").to_owned();
    table.push_str(
        r#"
            [[language]]
            id = "python-strict"
            image = "codecrafter/python:dev"
            main_file = "main.py"
            version = ["python3", "--version"]
            end_of_life = "2029-10-31"
            run = ["python3", "-W", "error", "main.py"]
        "#,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("languages.toml");
    std::fs::write(&path, table).unwrap();
    let world = World::with("own-table", |settings| {
        settings.languages = executor_host::languages::load(Some(&path)).unwrap();
        let of_python = |row: &LanguageRow| row.id.starts_with("python");
        settings.languages.retain(of_python);
    })
    .await;

    let announced = world.sandbox.all_languages().await.unwrap();
    let strict = announced.iter().find(|one| one.id == "python-strict");
    let strict = strict.unwrap_or_else(|| panic!("{announced:?}"));
    assert!(strict.version.starts_with("Python 3."), "{strict:?}");
    assert_eq!(strict.end_of_life.as_deref(), Some("2029-10-31"));

    let mut job = timed(
        "import warnings; warnings.warn('old'); print('ran')",
        15_000,
        300_000,
    );
    assert_eq!(printed(&only_run(world.run(&job).await)), "ran\n");
    job.language = "python-strict".into();
    let run = only_run(world.run(&job).await);
    assert_eq!(run.verdict, Verdict::RuntimeError);
    assert!(run.stderr.data.contains("UserWarning: old"), "{run:#?}");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_reads_its_input_and_arguments() {
    each("echo", |trial| async move {
        let mut job = trial.job(trial.language.echo);
        job.runs = vec![RunSpec {
            stdin: "Grüße\n世界 🦀\n".into(),
            args: vec!["a b".into(), "@x".into(), "-h".into(), "é$HOME".into()],
            ..RunSpec::default()
        }];
        let run = trial.run(&job).await;
        let expected = "Grüße\n世界 🦀\n[a b|@x|-h|é$HOME]\n";
        assert_eq!(printed(&run), expected, "{}", trial.language.id);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_uses_further_files_of_the_job() {
    each("files", |trial| async move {
        let (main, files) = trial.language.files;
        let mut job = trial.job(main);
        job.files = files
            .iter()
            .map(|(path, content)| SourceFile {
                path: (*path).into(),
                content: (*content).into(),
            })
            .collect();
        let run = trial.run(&job).await;
        assert_eq!(printed(&run), "42\n", "{}", trial.language.id);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_says_where_the_source_is_wrong() {
    each("mistake", |trial| async move {
        let id = trial.language.id;
        let (code, words, stage) = trial.language.mistake;
        let outcome = trial.outcome(&trial.job(code)).await;
        let (verdict, said) = match stage {
            Mistake::Compiled => {
                assert!(outcome.runs.is_empty(), "{id}: {outcome:#?}");
                (Verdict::CompileError, outcome.compile.as_ref().unwrap())
            }
            Mistake::Run => (Verdict::RuntimeError, &outcome.runs[0]),
        };
        assert_eq!(outcome.verdict, verdict, "{id}");
        for word in words {
            assert!(
                said.stderr.data.contains(word),
                "{id}: {}",
                said.stderr.data
            );
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_ends_with_its_exit_code() {
    each("exit", |trial| async move {
        let run = trial.run(&trial.job(trial.language.exit_7)).await;
        let found = (run.verdict, run.exit_code);
        let expected = (Verdict::RuntimeError, Some(7));
        assert_eq!(found, expected, "{}", trial.language.id);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_tells_how_a_program_broke() {
    each("crash", |trial| async move {
        let (code, exit_code, signal, words) = trial.language.crash;
        let run = trial.run(&trial.job(code)).await;
        let id = trial.language.id;
        assert_eq!(run.verdict, Verdict::RuntimeError, "{id}: {run:#?}");
        let found = (run.exit_code, run.signal.as_deref());
        assert_eq!(found, (exit_code, signal), "{id}");
        assert!(run.stderr.data.contains(words), "{id}: {}", run.stderr.data);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_meets_the_time_limit() {
    each("time", |trial| async move {
        let mut job = trial.job(trial.language.spin);
        job.limits.cpu_ms = 500;
        let run = trial.run(&job).await;
        assert_eq!(run.verdict, Verdict::TimeLimit, "{}", trial.language.id);
        assert!((500..1500).contains(&run.usage.cpu_ms), "{:?}", run.usage);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_meets_the_memory_limit_by_its_own_means() {
    each("memory", |trial| async move {
        for hoard in trial.language.hoards {
            let run = trial.run(&trial.job(hoard)).await;
            let id = trial.language.id;
            assert_eq!(run.verdict, Verdict::MemoryLimit, "{id} {hoard}: {run:#?}");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_has_the_room_that_its_floor_promises() {
    each("room", |trial| async move {
        let mut job = trial.job(trial.language.churn);
        // The least that can be asked for: the floor decides.
        job.limits.memory_bytes = 16 << 20;
        job.limits.processes = 1;
        let run = trial.run(&job).await;
        assert_eq!(printed(&run), "done\n", "{}", trial.language.id);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn every_language_keeps_the_head_and_the_tail_of_its_output() {
    each("lines", |trial| async move {
        let mut job = trial.job(trial.language.lines_5000);
        job.limits.output_bytes = 4096;
        let run = trial.run(&job).await;
        let id = trial.language.id;
        assert_eq!(run.verdict, Verdict::Accepted, "{id}: {run:#?}");
        let tail = run.stdout.tail.as_deref().unwrap_or_default();
        assert_eq!((run.stdout.data.len(), tail.len()), (2048, 2048), "{id}");
        assert!(run.stdout.data.starts_with("line 1\nline 2\n"), "{id}");
        assert!(tail.ends_with("line 4999\nline 5000\n"), "{id}: {tail}");
        let written = (run.stdout.total_bytes, run.stdout.truncated);
        assert_eq!(written, (48_893, true), "{id}");
    })
    .await;
}
