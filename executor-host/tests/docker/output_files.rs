//! Files that programs leave in their working directory.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codecrafter_shared::job::{
    LeftOutReason, OutputFiles, RunOutcome, RunSpec, SourceFile, Verdict,
};
use codecrafter_shared::limits;
use executor_host::docker::harden::Isolation;

use crate::world::{World, job, only_run, printed};

/// What came back, by name.
fn contents(files: &OutputFiles) -> BTreeMap<&str, Vec<u8>> {
    let files = files.files.iter();
    files
        .map(|file| {
            let content = STANDARD.decode(&file.data).unwrap();
            assert_eq!(content.len(), file.bytes as usize);
            (&*file.name, content)
        })
        .collect()
}

fn left_out(run: &RunOutcome) -> Vec<(&str, LeftOutReason)> {
    let left_out = run.files.left_out.iter();
    left_out.map(|file| (&*file.name, file.reason)).collect()
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn what_a_program_makes_or_changes_comes_back_and_nothing_else() {
    for isolation in [Isolation::Fresh, Isolation::Reuse] {
        let world = World::with("files", |settings| settings.isolation = isolation).await;
        let code = "
import os
os.mkdir('inner'); open('inner/deep.txt', 'w').write('no')
open('plot.png', 'wb').write(bytes(range(256)))
open('empty.txt', 'w')
open('changed.csv', 'a').write('c')
open('Table.CSV', 'w').write('x')
os.chmod('/work', 0o700)
";
        let mut job = job(code);
        let file = |path: &str| SourceFile {
            path: path.into(),
            content: "ab".into(),
        };
        job.files = vec![file("changed.csv"), file("same.csv")];
        let (sender, _receiver) = tokio::sync::mpsc::channel(1);
        let cancel = tokio_util::sync::CancellationToken::new();
        // Twice, so that a container that serves several is seen to keep nothing.
        for _ in 0..2 {
            use executor_host::sandbox::Sandbox as _;
            let run = world.sandbox.run(&job, sender.clone(), cancel.clone());
            let run = only_run(run.await.unwrap());
            assert_eq!(printed(&run), "");
            let expected = BTreeMap::from([
                ("Table.CSV", b"x".to_vec()),
                ("changed.csv", b"abc".to_vec()),
                ("empty.txt", Vec::new()),
                ("plot.png", (0..=255).collect()),
            ]);
            assert_eq!(contents(&run.files), expected);
            assert_eq!((run.files.left_out.len(), run.files.left_out_count), (0, 0));
        }
        world.sandbox.close().await;
    }
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn what_does_not_come_back_is_said_with_its_reason() {
    let world = World::new("left-out").await;
    let code = "
open('a.bin', 'w'); open('b c.txt', 'w'); open('.d.txt', 'w')
open('e.txt', 'w').truncate(1 << 20)
open('f.txt', 'w').truncate((1 << 20) + 1)
open('g.txt', 'w').truncate((1 << 20) - 1)
open('h.txt', 'w').truncate(2)
open('i.txt', 'w').truncate(1)
";
    let run = world.python(code).await;
    assert_eq!(run.verdict, Verdict::Accepted);
    let sizes: Vec<_> = run
        .files
        .files
        .iter()
        .map(|file| (&*file.name, file.bytes))
        .collect();
    assert_eq!(
        sizes,
        [("e.txt", 1 << 20), ("g.txt", (1 << 20) - 1), ("i.txt", 1)]
    );
    assert_eq!(
        left_out(&run),
        [
            (".d.txt", LeftOutReason::Name),
            ("a.bin", LeftOutReason::Type),
            ("b c.txt", LeftOutReason::Name),
            ("f.txt", LeftOutReason::TooLarge),
            ("h.txt", LeftOutReason::TooMuch),
        ]
    );
    let code = "for n in range(30): open(f'{n:02}.txt', 'w').write(str(n))";
    let run = world.python(code).await;
    assert_eq!(run.files.files.len(), limits::OUTPUT_FILES_MAX);
    assert_eq!(run.files.files[9].name, "09.txt");
    assert_eq!(run.files.left_out_count, 20);
    assert_eq!(left_out(&run)[0], ("10.txt", LeftOutReason::TooMany));
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn files_come_back_from_a_program_that_was_ended_or_failed() {
    let world = World::new("ended").await;
    let loops = "open('a.txt', 'w').write('so far')\nwhile True: pass";
    let mut job = job(loops);
    // Many times what Python takes to come to its first line.
    job.limits.cpu_ms = 1_500;
    let run = only_run(world.run(&job).await);
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert_eq!(contents(&run.files)["a.txt"], b"so far");
    // Its files take all the memory that there is.
    job.code = "
open('a.txt', 'w').write('so far')
for n in range(100): open(f'{n}.bin', 'wb').write(bytes(4 << 20))
"
    .into();
    job.limits.memory_bytes = 32 << 20;
    let run = only_run(world.run(&job).await);
    assert_eq!(run.verdict, Verdict::MemoryLimit, "{run:#?}");
    assert_eq!(contents(&run.files)["a.txt"], b"so far");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn each_run_gives_its_own_files_within_what_all_may_give() {
    let world = World::new("runs-files").await;
    let mut job = job("import sys; open(sys.argv[1] + '.txt', 'w').write('x' * 1000_000)");
    let run = |name: &str| RunSpec {
        args: vec![name.into()],
        ..RunSpec::default()
    };
    job.runs = vec![run("a"), run("b"), run("c")];
    let outcome = world.run(&job).await;
    assert_eq!(outcome.verdict, Verdict::Accepted, "{:?}", outcome.message);
    let names: Vec<Vec<_>> = outcome
        .runs
        .iter()
        .map(|run| run.files.files.iter().map(|file| &*file.name).collect())
        .collect();
    assert_eq!(names, [vec!["a.txt"], vec!["b.txt"], vec![]]);
    assert_eq!(
        left_out(&outcome.runs[2]),
        [("c.txt", LeftOutReason::TooMuch)]
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_plot_of_matplotlib_comes_back_as_an_image() {
    let world = World::with("plot", |settings| {
        settings.languages = executor_host::languages::load(None).unwrap();
        settings.languages.retain(|row| row.id == "python-data");
    })
    .await;
    let code = "
import matplotlib.pyplot as plt
plt.plot([1, 4, 9, 16])
plt.savefig('plot.png')
";
    let mut job = job(code);
    job.language = "python-data".into();
    job.limits.memory_bytes = 256 << 20;
    let run = only_run(world.run(&job).await);
    assert_eq!(run.verdict, Verdict::Accepted, "{}", run.stderr.data);
    let plot = &contents(&run.files)["plot.png"];
    assert!(
        plot.starts_with(b"\x89PNG") && plot.len() > 5_000,
        "{}",
        plot.len()
    );
    assert_eq!(run.files.left_out_count, 0, "{:?}", run.files.left_out);
}
