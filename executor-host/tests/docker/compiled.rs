//! What a compiler has made is not made again.

use codecrafter_shared::job::{Job, Outcome, Verdict};

use crate::world::{World, job};

/// A sandbox for C, which prints the time at which it was compiled.
async fn world(test: &str, compiled_bytes: u64) -> World {
    World::with(test, |settings| {
        settings.languages = executor_host::languages::load(None).unwrap();
        settings.languages.retain(|row| row.id == "c");
        settings.compiled_bytes = compiled_bytes;
    })
    .await
}

fn c(code: &str) -> Job {
    Job {
        language: "c".into(),
        ..job(code)
    }
}

const UNUSED: &str = r#"
#include <stdio.h>
int main(int count, char **arguments) { int unused; return printf("%s\n", arguments[count - 1]) < 0; }
"#;

fn compile(outcome: &Outcome) -> &codecrafter_shared::job::RunOutcome {
    outcome.compile.as_ref().unwrap()
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn an_equal_job_gets_the_same_program_and_the_same_warnings_without_a_compiler() {
    let world = world("equal", 1 << 20).await;
    let mut first = c(UNUSED);
    first.runs[0].args = vec!["one".into()];
    let outcome = world.run(&first).await;
    assert!(!compile(&outcome).cached);
    assert!(compile(&outcome).stderr.data.contains("unused"));
    let mut second = c(UNUSED);
    second.runs[0].args = vec!["two".into()];
    second.runs.push(Default::default());
    let again = world.run(&second).await;
    assert_eq!(again.verdict, Verdict::Accepted);
    assert!(compile(&again).cached);
    assert_eq!(compile(&again).stderr, compile(&outcome).stderr);
    let printed: Vec<_> = again.runs.iter().map(|run| &*run.stdout.data).collect();
    assert_eq!(printed, ["two\n", "./program\n"]);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_refusal_is_kept_and_another_tenant_and_other_flags_are_not_equal() {
    let world = world("refusal", 1 << 20).await;
    let wrong = c("int main( { }");
    let mut cached = Vec::new();
    let other = Job {
        tenant: "other".into(),
        ..wrong.clone()
    };
    for job in [&wrong, &wrong, &other] {
        let outcome = world.run(job).await;
        assert_eq!(outcome.verdict, Verdict::CompileError);
        assert!(compile(&outcome).stderr.data.contains("error:"));
        cached.push(compile(&outcome).cached);
    }
    assert_eq!(cached, [false, true, false]);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn without_memory_for_it_every_job_is_compiled() {
    let world = world("none", 0).await;
    for _ in 0..2 {
        let outcome = world.run(&c(UNUSED)).await;
        assert!(!compile(&outcome).cached);
    }
}
