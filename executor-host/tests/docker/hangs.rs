//! An agent that does not answer any more, at every place where it is waited for by itself: a host
//! fault or something said, in a few seconds, and never a job that waits for ever. The agent is
//! a double, which answers as it should up to there.

use std::sync::atomic::{AtomicBool, Ordering};

use bollard::models::ContainerCreateBody;
use codecrafter_shared::job::{Job, LeftOutReason, Outcome, SourceFile, Verdict};
use executor_host::sandbox::{HostFault, Sandbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, World, job, only_run, printed};

/// Speaks the protocol as far as the order whose number is its argument, to which it says nothing.
const DOUBLE: &str = "
import os, struct, sys
def send(body): os.write(1, struct.pack('<I', len(body)) + body)
def read(length):
    data = b''
    while len(data) < length: data += os.read(0, length - len(data)) or os._exit(0)
    return data
send(b'\\x01' + struct.pack('<I', VERSION))
while True:
    body = read(struct.unpack('<I', read(4))[0])
    if body[0] == SILENT: continue
    if body[0] == 2: send(b'\\x03\\x01' + struct.pack('<IB', 0, 0) + bytes(48) + b'\\x01')
    if body[0] == 5: send(b'\\x05' + struct.pack('<I', 1) + b'x' + b'\\x01')
    if body[0] == 6 and body[-1]: send(b'\\x06')
    if body[0] == 12: send(b'\\x0a' + bytes(4))
";

/// Makes the double the first process of a container, silent to that order.
fn silent_to(order: u8, body: &mut ContainerCreateBody) {
    let version = agent_protocol::VERSION;
    let double = format!("VERSION, SILENT = {version}, {order}\n{DOUBLE}");
    body.entrypoint = Some(["python3", "-c", &double].map(str::to_owned).into());
}

async fn run(world: &World, job: &Job) -> Result<Outcome, HostFault> {
    let (sender, _receiver) = mpsc::channel(1);
    let never = CancellationToken::new();
    let ended = world.sandbox.run(job, sender, never);
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    let ended = ended.expect("it waits for ever");
    world.wait_for_containers(0).await;
    ended
}

async fn world_with_compiler(test: &str, weaken: fn(&mut ContainerCreateBody)) -> World {
    World::with(test, |settings| {
        settings.languages[0].compile = Some(vec!["python3".into(), "build.py".into()]);
        settings.weakened = Some(weaken);
    })
    .await
}

fn compiled() -> Job {
    let mut job = job("print('built')");
    job.files = vec![SourceFile {
        path: "build.py".into(),
        content: "print('compiling')".into(),
    }];
    job
}

fn hangs(ended: Result<Outcome, HostFault>) {
    let fault = ended.unwrap_err();
    assert!(fault.retry, "{fault}");
    assert_eq!(fault.what, "the agent hangs");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn between_compiler_and_program() {
    let world = world_with_compiler("hang-pack", |body| silent_to(5, body)).await;
    hangs(run(&world, &compiled()).await);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn before_a_program_that_was_compiled_before() {
    static HANGS: AtomicBool = AtomicBool::new(false);
    let weaken = |body: &mut ContainerCreateBody| {
        if HANGS.load(Ordering::Relaxed) {
            silent_to(6, body);
        }
    };
    let world = world_with_compiler("hang-unpack", weaken).await;
    let first = run(&world, &compiled()).await.unwrap();
    assert_eq!(printed(&only_run(first)), "built\n");
    HANGS.store(true, Ordering::Relaxed);
    hangs(run(&world, &compiled()).await);
    // What was compiled is not to blame.
    HANGS.store(false, Ordering::Relaxed);
    let again = run(&world, &compiled()).await.unwrap();
    assert!(again.compile.as_ref().unwrap().cached);
    assert_eq!(printed(&only_run(again)), "built\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn when_it_is_asked_for_files_after_a_program_that_is_judged() {
    let world = World::with("hang-collect", |settings| {
        settings.weakened = Some(|body| silent_to(12, body));
    })
    .await;
    let run = only_run(run(&world, &job("")).await.unwrap());
    assert_eq!(run.verdict, Verdict::Accepted);
    let left_out = &run.files.left_out[0];
    assert_eq!(
        (&*left_out.name, left_out.reason),
        ("*", LeftOutReason::Unreadable)
    );
}

/// The double is as good as the agent but for what it does not do.
#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn the_double_that_is_silent_to_nothing_passes_for_an_agent() {
    let world = world_with_compiler("hang-not", |body| silent_to(0, body)).await;
    let outcome = run(&world, &compiled()).await.unwrap();
    assert_eq!(outcome.verdict, Verdict::Accepted);
    let files = only_run(outcome).files;
    assert!(files.is_empty(), "{files:?}");
}
