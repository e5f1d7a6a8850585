//! The embedded queue: what every queue promises, and what it promises about the machine below.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::{Event, Job, Verdict};
use executor_host::queue::contract::{execution, job, result};
use executor_host::queue::dead_letters::{DeadLetters, Kind};
use executor_host::queue::{Delivery, Embedded, Published, Queue};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn empty() -> (Arc<dyn Queue>, TempDir) {
    let folder = TempDir::new().unwrap();
    let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
    (Arc::new(queue), folder)
}

executor_host::queue_contract!(empty());

#[tokio::test]
async fn what_was_published_and_stored_is_there_after_the_queue_was_opened_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    let queue = Embedded::open(&path).unwrap();
    queue.publish(&job(1)).await.unwrap();
    queue.store_result(&result(2)).await.unwrap();
    drop(queue);
    let queue = Embedded::open(&path).unwrap();
    assert_eq!(queue.take().await.unwrap().job, job(1));
    assert_eq!(queue.take_results(1).await.unwrap()[0].report, result(2));
}

#[tokio::test]
async fn a_queue_belongs_to_one_process_at_a_time() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    let first = Embedded::open(&path).unwrap();
    let second = Embedded::open(&path).err().expect("opened twice");
    assert!(
        format!("{second:?}").contains("another executor-host uses it"),
        "{second:?}"
    );
    drop(first);
    Embedded::open(&path).unwrap();
}

#[tokio::test]
async fn only_the_owner_can_read_what_is_in_the_queue() {
    let folder = TempDir::new().unwrap();
    let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
    queue.publish(&job(1)).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file:?}");
    }
}

#[tokio::test]
async fn a_queue_can_be_looked_into_while_it_is_in_use() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    assert_eq!(
        Embedded::inspect(&path).unwrap(),
        Default::default(),
        "no file yet"
    );
    let queue = Embedded::open(&path).unwrap();
    queue.publish(&job(1)).await.unwrap();
    queue.publish(&job(2)).await.unwrap();
    let _running = queue.take().await.unwrap();
    let depth = Embedded::inspect(&path).unwrap();
    assert_eq!((depth.ready, depth.running, depth.results), (1, 1, 0));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_put_aside_with_its_reason() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    let queue = Embedded::open(&path).unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    for topic in ["jobs", "results"] {
        let insert = "INSERT INTO messages (topic, key, body) VALUES (?1, 'bad', x'7b22')";
        db.execute(insert, [topic]).unwrap();
    }
    queue.publish(&job(1)).await.unwrap();
    queue.store_result(&result(1)).await.unwrap();
    assert_eq!(queue.take().await.unwrap().job, job(1), "it stops nobody");
    assert_eq!(queue.take_results(9).await.unwrap()[0].report, result(1));
    assert_eq!(queue.depth().await.unwrap().parked, 2);
    let reason: String = db
        .query_row(
            "SELECT reason FROM parked WHERE topic = 'jobs'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(reason.contains("EOF"), "{reason}");
}

#[tokio::test]
async fn a_job_of_an_unknown_version_is_put_aside_at_first_sight_and_its_owner_told() {
    let folder = TempDir::new().unwrap();
    let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
    let newer = Job {
        schema: 99,
        ..job(1)
    };
    queue.publish(&newer).await.unwrap();
    queue.publish(&job(2)).await.unwrap();
    assert_eq!(queue.take().await.unwrap().job, job(2), "it stops nobody");
    let told = queue.take_results(9).await.unwrap();
    assert_eq!(told[0].report.execution_id, newer.execution_id);
    let Event::Finished { outcome } = &told[0].report.event else {
        panic!("no end: {told:?}");
    };
    assert_eq!(outcome.verdict, Verdict::InternalError);
    assert_eq!(queue.depth().await.unwrap().parked, 1);
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_put_back_while_the_queue_is_in_use() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    let queue = Embedded::open(&path).unwrap();
    let letters = DeadLetters::InFile(path);
    assert_eq!(letters.list().await.unwrap(), []);
    queue.publish(&job(1)).await.unwrap();
    queue
        .take()
        .await
        .unwrap()
        .park("it is poison")
        .await
        .unwrap();
    let list = letters.list().await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(
        (list[0].kind, &*list[0].reason),
        (Kind::Job, "it is poison")
    );
    assert_eq!(list[0].execution_id, Some(job(1).execution_id));
    assert_eq!(list[0].body, serde_json::to_vec(&job(1)).unwrap());
    let waiting = tokio::spawn(async move {
        let delivery = queue.take().await.unwrap();
        (delivery.job.clone(), delivery.count)
    });
    assert!(!letters.put_back("no such").await.unwrap());
    assert!(letters.put_back(&list[0].id).await.unwrap());
    assert!(!letters.put_back(&list[0].id).await.unwrap());
    let taken = timeout(PATIENCE, waiting)
        .await
        .expect("nobody looks")
        .unwrap();
    assert_eq!(taken, (job(1), 1), "counted from the beginning");
    assert_eq!(letters.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    drop(Embedded::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    let refused = Embedded::open(&path).err().expect("opened");
    assert!(format!("{refused:?}").contains("Newer(99)"), "{refused:?}");
}

// ---- SIGKILL ----

const CHILD_QUEUE: &str = "CODECRAFTER_TEST_CHILD_QUEUE";

/// Not a test of its own: the process that the next test kills.
#[tokio::test]
async fn child_that_holds_a_delivery() {
    let Ok(path) = std::env::var(CHILD_QUEUE) else {
        return;
    };
    let queue = Embedded::open(Path::new(&path)).unwrap();
    queue.publish(&job(1)).await.unwrap();
    queue.publish(&job(2)).await.unwrap();
    queue.store_result(&result(3)).await.unwrap();
    let _held = queue.take().await.unwrap();
    let _result = queue.take_results(1).await.unwrap();
    println!("\nholding");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_a_killed_process_held_is_handed_out_again_and_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    for kills in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_holds_a_delivery", "--nocapture"])
            .env(CHILD_QUEUE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap() == "holding"),
            "the child ended"
        );
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let depth = Embedded::inspect(&path).unwrap();
        assert_eq!(
            (depth.ready, depth.running, depth.results),
            (1, 1, 1),
            "{kills} kills"
        );
    }
    let queue = Embedded::open(&path).unwrap();
    let first = queue.take().await.unwrap();
    assert_eq!((&first.job, first.count), (&job(1), 4));
    let second = queue.take().await.unwrap();
    assert_eq!((&second.job, second.count), (&job(2), 1));
    assert_eq!(queue.take_results(9).await.unwrap()[0].report, result(3));
}

// ---- Against a model ----

/// What a queue is, in a few lines.
#[derive(Default)]
struct Model {
    /// Waiting or running, by order of publishing, with the number of deliveries.
    jobs: BTreeMap<u64, (u64, u32)>,
    published: u64,
    held: VecDeque<(u64, Delivery)>,
}

impl Model {
    fn waiting(&self) -> Option<(u64, u64, u32)> {
        let waits = |order: &u64| self.held.iter().all(|(held, _)| held != order);
        let found = self.jobs.iter().find(|(order, _)| waits(order));
        found.map(|(&order, &(number, count))| (order, number, count))
    }

    fn order_of(&self, number: u64) -> Option<u64> {
        self.jobs
            .iter()
            .find(|(_, (job, _))| *job == number)
            .map(|(&order, _)| order)
    }
}

/// A small generator, so that a failure can be repeated from its seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

#[tokio::test]
async fn any_sequence_of_operations_leaves_what_the_model_says() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0xc0de);
    println!("SEED={seed}");
    let mut random = Random(seed);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queue.db");
    let mut queue = Embedded::open(&path).unwrap();
    let mut model = Model::default();
    for step in 0..600 {
        match random.below(100) {
            0..35 => {
                let number = random.below(30);
                let known = model.order_of(number).is_some();
                let expected = if known {
                    Published::AlreadyQueued
                } else {
                    Published::Queued
                };
                assert_eq!(
                    queue.publish(&job(number)).await.unwrap(),
                    expected,
                    "step {step}"
                );
                if !known {
                    model.jobs.insert(model.published, (number, 0));
                    model.published += 1;
                }
            }
            35..65 => {
                let Some((order, number, count)) = model.waiting() else {
                    continue;
                };
                let delivery = queue.take().await.unwrap();
                let seen: (ExecutionId, u32) = (delivery.job.execution_id, delivery.count);
                assert_eq!(seen, (execution(number), count + 1), "step {step}");
                model.jobs.insert(order, (number, count + 1));
                model.held.push_back((order, delivery));
            }
            65..80 => {
                let Some((order, delivery)) = model.held.pop_front() else {
                    continue;
                };
                delivery.ack().await.unwrap();
                model.jobs.remove(&order);
            }
            80..90 => {
                let Some((_, delivery)) = model.held.pop_back() else {
                    continue;
                };
                delivery.give_back(Duration::ZERO).await.unwrap();
            }
            90..95 => drop(model.held.pop_front()),
            95..98 => {
                let (ready, running) = (model.jobs.len() - model.held.len(), model.held.len());
                let depth = queue.depth().await.unwrap();
                assert_eq!(
                    (depth.ready as usize, depth.running as usize),
                    (ready, running)
                );
            }
            _ => {
                // As after a crash: nobody has settled anything.
                drop(queue);
                queue = Embedded::open(&path).unwrap();
                model.held.clear();
            }
        }
    }
    model.held.clear();
    while let Some((order, number, count)) = model.waiting() {
        let delivery = queue.take().await.unwrap();
        assert_eq!(
            (delivery.job.execution_id, delivery.count),
            (execution(number), count + 1)
        );
        delivery.ack().await.unwrap();
        model.jobs.remove(&order);
    }
    assert!(
        timeout(Duration::from_millis(100), queue.take())
            .await
            .is_err()
    );
}
