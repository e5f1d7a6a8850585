//! A container that serves one job after another.

use std::sync::Arc;

use codecrafter_shared::job::{Job, Outcome, RunOutcome, Verdict};
use executor_host::docker::harden::Isolation;
use executor_host::sandbox::Sandbox;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, World, job, only_run, printed, timed};

/// One container ready for Python.
async fn world(test: &str, jobs_per_container: u32) -> Arc<World> {
    let world = World::with(test, |settings| {
        settings.isolation = Isolation::Reuse;
        settings.jobs_per_container = jobs_per_container;
        settings.warm = 1;
    })
    .await;
    world.sandbox.languages().await.unwrap();
    world.wait_for_containers(1).await;
    Arc::new(world)
}

/// Runs a job and leaves its container to the next one.
async fn run(world: &World, job: &Job) -> Outcome {
    let (sender, _receiver) = mpsc::channel(64);
    let run = world.sandbox.run(job, sender, CancellationToken::new());
    run.await.unwrap()
}

async fn python(world: &World, code: &str) -> RunOutcome {
    only_run(run(world, &job(code)).await)
}

async fn only_container(world: &World) -> String {
    let containers = world.wait_for_containers(1).await;
    containers.into_iter().next().unwrap().id.unwrap()
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn jobs_share_a_container_and_no_user() {
    let world = world("share", 100).await;
    let before = only_container(&world).await;
    let mut users = Vec::new();
    for _ in 0..5 {
        let run = python(
            &world,
            "import os; print(os.getuid(), os.getgid(), os.getgroups())",
        )
        .await;
        users.push(printed(&run).to_owned());
    }
    assert_eq!(only_container(&world).await, before);
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 5, "{users:?}");
    world.sandbox.close().await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn nothing_of_a_job_is_there_for_the_next() {
    const LEAVE: &str = r#"
import ctypes, os, socket, stat, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
for place in ["/work", "/tmp", "/dev/shm", "/dev/mqueue"]:
    name = place + "/left"
    try:
        with open(name, "w") as file: file.write("x")
        if place != "/dev/mqueue":
            os.makedirs(place + "/deep/er", mode=0o700)
            os.symlink("/etc", place + "/deep/link")
            os.mkfifo(place + "/deep/pipe")
            os.chmod(place + "/deep", 0)
    except OSError as error: assert place == "/dev/mqueue", error
os.setxattr("/work", "user.mark", b"left")
os.utime("/work", (1, 1))
os.chmod("/work", 0o700)
queue = libc.msgget(0x1234, 0o1666)
memory = libc.shmget(0x1234, 4096, 0o1666)
assert queue >= 0 and memory >= 0
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        server = socket.socket(socket.AF_UNIX); server.bind("\0left"); server.listen()
        time.sleep(60)
    os._exit(0)
os.umask(0)
print("left")
"#;
    const LOOK: &str = r#"
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
for place in ["/work", "/tmp", "/dev/shm", "/dev/mqueue"]:
    if os.path.exists(place):
        print(place, [name for name in os.listdir(place) if name != "main.py"])
print(os.listxattr("/work"), os.stat("/work").st_mtime > 1e9, oct(os.stat("/work").st_mode))
print([libc.msgget(0x1234, 0), libc.shmget(0x1234, 0, 0)])
print([pid for pid in os.listdir("/proc") if pid.isdigit() and pid not in ("1", str(os.getpid()))])
client = socket.socket(socket.AF_UNIX)
print(client.connect_ex("\0left"), oct(os.umask(0)))
"#;
    let world = world("nothing", 100).await;
    let before = only_container(&world).await;
    let pristine = python(&world, LOOK).await;
    assert_eq!(printed(&python(&world, LEAVE).await), "left\n");
    assert_eq!(printed(&python(&world, LOOK).await), printed(&pristine));
    assert_eq!(
        only_container(&world).await,
        before,
        "{}",
        printed(&pristine)
    );
    assert!(
        printed(&pristine).contains("/work []\n/tmp []\n/dev/shm []"),
        "{}",
        printed(&pristine)
    );
    world.sandbox.close().await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_container_is_thrown_away_after_its_last_job_and_after_anything_unusual() {
    let world = world("away", 3).await;
    let mut container = only_container(&world).await;
    for number in 1..=3 {
        assert_eq!(only_container(&world).await, container, "job {number}");
        python(&world, "print()").await;
    }
    let replaced = async |container: &str| {
        let other = async {
            loop {
                let now = only_container(&world).await;
                if now != container {
                    return now;
                }
            }
        };
        tokio::time::timeout(PATIENCE, other).await.unwrap()
    };
    container = replaced(&container).await;
    let mut memory = job("x = bytearray(1 << 30)");
    memory.limits.memory_bytes = 32 << 20;
    let unusual = [
        (Verdict::TimeLimit, timed("while True: pass", 100, 5_000)),
        (Verdict::MemoryLimit, memory),
        (Verdict::RuntimeError, job("import os; os.abort()")),
        (Verdict::OutputLimit, job("while True: print('x' * 1000)")),
        // A packet on the loopback device is counted, and that cannot be undone.
        (
            Verdict::Accepted,
            job(
                "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
            ),
        ),
    ];
    for (verdict, job) in unusual {
        assert_eq!(run(&world, &job).await.verdict, verdict, "{}", job.code);
        container = replaced(&container).await;
    }
    // A program's own failure is nothing unusual.
    let failed = python(&world, "raise SystemExit(3)").await;
    assert_eq!(failed.verdict, Verdict::RuntimeError);
    assert_eq!(only_container(&world).await, container);
    world.sandbox.close().await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn who_comes_while_a_container_is_made_clean_waits_for_it() {
    let world = world("waits", 1_000).await;
    let before = only_container(&world).await;
    for _ in 0..50 {
        python(&world, "print(1)").await;
    }
    assert_eq!(only_container(&world).await, before);
    world.sandbox.close().await;
}
