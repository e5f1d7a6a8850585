//! What programs get, and what comes back of them.

use codecrafter_shared::job::Encoding;
use codecrafter_shared::job::{RunSpec, SourceFile, UsageSource, Verdict};
use codecrafter_shared::language::LanguageRow;
use executor_host::sandbox::Sandbox;

use crate::world::{World, job, only_run, printed};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_prints_hello() {
    let world = World::new("hello").await;
    let run = world.python("print('Hello, world')").await;
    assert_eq!(printed(&run), "Hello, world\n");
    assert_eq!((run.exit_code, run.signal), (Some(0), None));
    assert_eq!((run.stdout.total_bytes, run.stdout.truncated), (13, false));
    assert_eq!(run.usage.source, UsageSource::Cgroup);
    assert!(
        run.usage.cpu_ms > 0 && run.usage.peak_bytes > 1 << 20,
        "{:?}",
        run.usage
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn languages_are_announced_with_the_version_that_they_print() {
    let world = World::with("languages", |settings| {
        let missing = LanguageRow {
            id: "ruby".into(),
            ..settings.languages[0].clone()
        };
        settings.languages.push(LanguageRow {
            image: "codecrafter/none:none".into(),
            ..missing
        });
    })
    .await;
    let languages = world.sandbox.languages().await.unwrap();
    let [python] = &languages[..] else {
        panic!("{languages:?}")
    };
    assert_eq!(python.id, "python");
    assert!(
        python.version.starts_with("Python 3."),
        "{}",
        python.version
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_gets_its_input_and_arguments() {
    let world = World::new("input").await;
    let mut job = job("import sys; print(sys.stdin.read(), sys.argv[1:])");
    job.runs = vec![RunSpec {
        stdin: "ä\n".into(),
        args: vec!["a b".into(), "$HOME".into()],
        ..RunSpec::default()
    }];
    let run = only_run(world.run(&job).await);
    assert_eq!(printed(&run), "ä\n ['a b', '$HOME']\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_that_never_reads_its_input_does_not_hang() {
    let world = World::new("unread").await;
    let mut job = job("print('done')");
    job.runs = vec![RunSpec {
        stdin: "x".repeat(256 * 1024),
        args: vec![],
        ..RunSpec::default()
    }];
    assert_eq!(printed(&only_run(world.run(&job).await)), "done\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_imports_further_files() {
    let world = World::new("files").await;
    let mut job = job("import helper, pkg.deep; print(helper.X + pkg.deep.Y)");
    let file = |path: &str, content: &str| SourceFile {
        path: path.into(),
        content: content.into(),
    };
    job.files = vec![
        file("helper.py", "X = 40"),
        file("pkg/__init__.py", ""),
        file("pkg/deep.py", "Y = 2"),
    ];
    assert_eq!(printed(&only_run(world.run(&job).await)), "42\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn two_files_of_one_name_are_refused_in_words() {
    let world = World::new("two-files").await;
    let mut job = job("");
    job.files = vec![SourceFile {
        path: "main.py".into(),
        content: String::new(),
    }];
    let outcome = world.run(&job).await;
    assert_eq!(outcome.verdict, Verdict::CompileError);
    assert_eq!(
        outcome.message.as_deref(),
        Some("There are two files called main.py.")
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn output_that_is_no_text_comes_back_byte_for_byte() {
    let world = World::new("bytes").await;
    // Also what would be a header of the engine's and a frame of the agent's.
    let code = r"import os; os.write(1, b'\x01\0\0\0\xff\xff\xff\xff' + b'\x02\0\0\0\x04\0')";
    let run = world.python(code).await;
    assert_eq!(run.verdict, Verdict::Accepted);
    assert_eq!(run.stdout.encoding, Encoding::Base64);
    assert_eq!(run.stdout.data, "AQAAAP////8CAAAABAA=");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn an_exit_code_is_a_runtime_error() {
    let world = World::new("exit").await;
    let outcome = world
        .run(&job("import sys; print('x', file=sys.stderr); sys.exit(3)"))
        .await;
    assert_eq!(outcome.verdict, Verdict::RuntimeError);
    assert_eq!(
        outcome.message.as_deref(),
        Some("The program exited with code 3.")
    );
    let run = only_run(outcome);
    assert_eq!((run.exit_code, run.signal.as_deref()), (Some(3), None));
    assert_eq!(run.stderr.data, "x\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_signal_is_a_runtime_error_with_its_name() {
    let world = World::new("signal").await;
    let run = world
        .python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
        .await;
    assert_eq!(run.verdict, Verdict::RuntimeError);
    assert_eq!(
        (run.exit_code, run.signal.as_deref()),
        (None, Some("SIGSEGV"))
    );
}
