//! What every [`Queue`] promises, as functions that each implementation runs in its tests, on an
//! empty queue of its own. A broken promise panics. The name of a function is the promise.
#![allow(missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::id::{AttemptId, ControlId, ExecutionId};
use codecrafter_shared::interaction::{Input, Inputs, Interactive};
use codecrafter_shared::job::{
    Control, ControlAction, Event, Job, Outcome, PROTOCOL_VERSION, Report, RunLimits, RunSpec,
    Verdict,
};
use codecrafter_shared::time::Timestamp;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};

use super::{Controls, Published, Queue, RESULTS_BYTES_MAX};

/// A wait that is longer than this is taken for one without end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a `#[tokio::test]` of every promise. `$empty` is an expression that gives an empty
/// `Arc<dyn Queue>` and something that is kept until the test is over. What needs a service is
/// ignored unless asked for: `queue_contract!(empty().await, ignore = "needs a service")`.
#[macro_export]
macro_rules! queue_contract {
    ($empty:expr, $attribute:meta; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            #[$attribute]
            async fn $promise() {
                let (queue, _kept) = $empty;
                $crate::queue::contract::$promise(queue).await;
            }
        )+
    };
    ($empty:expr) => {
        $crate::queue_contract! { $empty, cfg(test) }
    };
    ($empty:expr, $attribute:meta) => {
        $crate::queue_contract! { $empty, $attribute;
            a_job_is_handed_out_as_it_was_published,
            jobs_are_handed_out_oldest_first,
            a_job_is_held_by_one_worker_only,
            an_acknowledged_job_is_gone,
            publishing_again_changes_nothing_while_the_job_waits_or_runs,
            a_job_that_was_given_back_is_handed_out_again_after_its_delay,
            a_dropped_delivery_is_handed_out_again,
            a_take_that_is_given_up_loses_nothing,
            a_waiting_worker_gets_the_job_that_comes,
            each_of_many_workers_gets_a_job_of_its_own,
            results_are_handed_out_as_they_were_stored_oldest_first,
            a_confirmed_result_is_gone_and_any_other_comes_again,
            a_result_that_is_stored_twice_is_one,
            large_results_are_not_handed_out_all_at_once,
            a_waiting_reporter_gets_the_result_that_comes,
            room_is_what_is_left_of_the_capacity,
            room_comes_when_a_job_is_done,
            depth_counts_what_is_there,
            every_listener_hears_every_control_sent_after_it_came_once_and_in_order,
            a_control_that_nobody_hears_is_no_error_and_is_not_kept,
            a_wait_for_a_control_that_is_given_up_loses_nothing,
        }
    };
}

/// A job like no other with another `number`.
#[must_use]
pub fn job(number: u64) -> Job {
    Job {
        schema: PROTOCOL_VERSION,
        execution_id: execution(number),
        session_id: None,
        tenant: "main".into(),
        language: "python".into(),
        code: format!("print({number})  # \u{1f980}\u{0}"),
        files: Vec::new(),
        runs: vec![RunSpec::default()],
        limits: RunLimits::default(),
        interactive: None,
        report_token: format!("token-{number}"),
        deadline: Timestamp::from_millis(i64::MAX),
        traceparent: None,
    }
}

/// The id of [`job`] `number`.
#[must_use]
pub fn execution(number: u64) -> ExecutionId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    ExecutionId::at(Timestamp::from_millis(1_700_000_000_000), random)
}

/// A final result like no other with another `number`.
#[must_use]
pub fn result(number: u64) -> Report {
    let mut random = [0; 16];
    random[8..].copy_from_slice(&number.to_be_bytes());
    Report {
        execution_id: execution(number),
        session_id: None,
        report_token: format!("token-{number}"),
        attempt_id: AttemptId::random(random),
        seq: 3,
        at: Timestamp::from_millis(1_700_000_000_000),
        event: Event::Finished {
            outcome: Box::new(Outcome::without_run(
                Verdict::Accepted,
                format!("\u{1f980} {number}"),
            )),
        },
        traceparent: None,
    }
}

/// A message that types `text` at the program of [`job`] `number`, after so many inputs.
#[must_use]
pub fn typed(number: u64, after: u32, text: &str) -> Control {
    let inputs = vec![Input::Text { text: text.into() }];
    Control {
        action: ControlAction::Input(Inputs { after, inputs }),
        ..cancel(number)
    }
}

/// A job like [`job`] `number` whose program goes on when somebody has typed something.
#[must_use]
pub fn until_typed(number: u64) -> Job {
    Job {
        code: "begun\nread".into(),
        interactive: Some(Interactive::default()),
        ..job(number)
    }
}

/// A message that ends the execution of [`job`] `number`; like no other with another `number`.
#[must_use]
pub fn cancel(number: u64) -> Control {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    Control {
        id: ControlId::at(Timestamp::from_millis(1_700_000_000_000), random),
        execution_id: execution(number),
        action: ControlAction::Cancel,
    }
}

type Shared = Arc<dyn Queue>;

/// Waits for `future`, but not for ever.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it waits for ever")
}

/// Whether there is nothing to take at the moment.
async fn is_dry(queue: &dyn Queue) -> bool {
    // Long enough for a queue that has something; one that is slow only makes this less strict.
    timeout(Duration::from_millis(100), queue.take())
        .await
        .is_err()
}

pub async fn a_job_is_handed_out_as_it_was_published(queue: Shared) {
    assert_eq!(queue.publish(&job(1)).await.unwrap(), Published::Queued);
    let delivery = soon(queue.take()).await.unwrap();
    assert_eq!((&delivery.job, delivery.count), (&job(1), 1));
}

pub async fn jobs_are_handed_out_oldest_first(queue: Shared) {
    for number in [3, 1, 2] {
        queue.publish(&job(number)).await.unwrap();
    }
    for number in [3, 1, 2] {
        let delivery = soon(queue.take()).await.unwrap();
        assert_eq!(delivery.job.execution_id, execution(number));
        delivery.ack().await.unwrap();
    }
}

pub async fn a_job_is_held_by_one_worker_only(queue: Shared) {
    queue.publish(&job(1)).await.unwrap();
    let _held = soon(queue.take()).await.unwrap();
    assert!(is_dry(&*queue).await);
}

pub async fn an_acknowledged_job_is_gone(queue: Shared) {
    queue.publish(&job(1)).await.unwrap();
    soon(queue.take()).await.unwrap().ack().await.unwrap();
    assert!(is_dry(&*queue).await);
    // Its execution may come again: the edge has its reasons.
    assert_eq!(queue.publish(&job(1)).await.unwrap(), Published::Queued);
    assert_eq!(soon(queue.take()).await.unwrap().count, 1);
}

pub async fn publishing_again_changes_nothing_while_the_job_waits_or_runs(queue: Shared) {
    queue.publish(&job(1)).await.unwrap();
    assert_eq!(
        queue.publish(&job(1)).await.unwrap(),
        Published::AlreadyQueued
    );
    let delivery = soon(queue.take()).await.unwrap();
    assert_eq!(
        queue.publish(&job(1)).await.unwrap(),
        Published::AlreadyQueued
    );
    delivery.ack().await.unwrap();
    assert!(is_dry(&*queue).await);
}

pub async fn a_job_that_was_given_back_is_handed_out_again_after_its_delay(queue: Shared) {
    queue.publish(&job(1)).await.unwrap();
    let (delay, given_back) = (Duration::from_millis(300), Instant::now());
    soon(queue.take())
        .await
        .unwrap()
        .give_back(delay)
        .await
        .unwrap();
    queue.publish(&job(2)).await.unwrap();
    // The delay holds nobody up.
    let other = soon(queue.take()).await.unwrap();
    let again = soon(queue.take()).await.unwrap();
    assert!(given_back.elapsed() >= delay);
    assert_eq!((again.job.execution_id, again.count), (execution(1), 2));
    assert_eq!((other.job.execution_id, other.count), (execution(2), 1));
}

pub async fn a_dropped_delivery_is_handed_out_again(queue: Shared) {
    queue.publish(&job(1)).await.unwrap();
    for count in 1..=3 {
        let delivery = soon(queue.take()).await.unwrap();
        assert_eq!((&delivery.job, delivery.count), (&job(1), count));
        drop(delivery);
    }
}

pub async fn a_take_that_is_given_up_loses_nothing(queue: Shared) {
    for number in 0..20 {
        queue.publish(&job(number)).await.unwrap();
        // Begun and given up before, while or after the queue works on it.
        let _ = queue.take().now_or_never();
        let _ = timeout(Duration::from_micros(number * 20), queue.take()).await;
        let delivery = soon(queue.take()).await.unwrap();
        assert_eq!(delivery.job.execution_id, execution(number));
        delivery.ack().await.unwrap();
    }
}

pub async fn a_waiting_worker_gets_the_job_that_comes(queue: Shared) {
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.take().await.unwrap().job }
    });
    tokio::task::yield_now().await;
    queue.publish(&job(1)).await.unwrap();
    assert_eq!(soon(waiting).await.unwrap(), job(1));
}

pub async fn each_of_many_workers_gets_a_job_of_its_own(queue: Shared) {
    const JOBS: u64 = 40;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let queue = Arc::clone(&queue);
        workers.spawn(async move {
            let mut done = Vec::new();
            for _ in 0..JOBS / 8 {
                let delivery = queue.take().await.unwrap();
                done.push(delivery.job.execution_id);
                delivery.ack().await.unwrap();
            }
            done
        });
    }
    for number in 0..JOBS {
        queue.publish(&job(number)).await.unwrap();
    }
    let mut done = soon(workers.join_all()).await.concat();
    done.sort_unstable();
    assert_eq!(done, (0..JOBS).map(execution).collect::<Vec<_>>());
}

pub async fn results_are_handed_out_as_they_were_stored_oldest_first(queue: Shared) {
    for number in [3, 1, 2] {
        queue.store_result(&result(number)).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        for stored in soon(queue.take_results(2)).await.unwrap() {
            seen.push(stored.report.clone());
            stored.confirm().await.unwrap();
        }
    }
    assert_eq!(seen, [result(3), result(1), result(2)]);
}

pub async fn a_confirmed_result_is_gone_and_any_other_comes_again(queue: Shared) {
    for number in [1, 2] {
        queue.store_result(&result(number)).await.unwrap();
    }
    let first = soon(queue.take_results(1)).await.unwrap().pop().unwrap();
    let second = soon(queue.take_results(9)).await.unwrap().pop().unwrap();
    assert_eq!(
        (&first.report, &second.report),
        (&result(1), &result(2)),
        "each is held once"
    );
    drop(second);
    first.confirm().await.unwrap();
    let again = soon(queue.take_results(9)).await.unwrap();
    assert_eq!(
        again
            .iter()
            .map(|stored| &stored.report)
            .collect::<Vec<_>>(),
        [&result(2)]
    );
}

pub async fn a_result_that_is_stored_twice_is_one(queue: Shared) {
    queue.store_result(&result(1)).await.unwrap();
    queue.store_result(&result(1)).await.unwrap();
    assert_eq!(soon(queue.take_results(9)).await.unwrap().len(), 1);
    assert_eq!(queue.depth().await.unwrap().results, 1);
}

pub async fn large_results_are_not_handed_out_all_at_once(queue: Shared) {
    // Two fit, one more does not.
    let large = "x".repeat(RESULTS_BYTES_MAX * 2 / 5);
    for number in 1..=3 {
        let outcome = Outcome::without_run(Verdict::Accepted, large.clone());
        let report = Report {
            event: Event::Finished {
                outcome: Box::new(outcome),
            },
            ..result(number)
        };
        queue.store_result(&report).await.unwrap();
    }
    // The second time, none is on its way from anywhere any more.
    for _ in 1..=2 {
        let mut held = Vec::new();
        while held.len() < 3 {
            let taken = soon(queue.take_results(9)).await.unwrap();
            assert!(taken.len() <= 2, "{} at once", taken.len());
            held.extend(taken);
        }
    }
}

pub async fn a_waiting_reporter_gets_the_result_that_comes(queue: Shared) {
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move {
            queue
                .take_results(9)
                .await
                .unwrap()
                .pop()
                .unwrap()
                .report
                .clone()
        }
    });
    tokio::task::yield_now().await;
    queue.store_result(&result(1)).await.unwrap();
    assert_eq!(soon(waiting).await.unwrap(), result(1));
}

pub async fn room_is_what_is_left_of_the_capacity(queue: Shared) {
    assert_eq!(queue.room(3).await.unwrap(), 3);
    queue.publish(&job(1)).await.unwrap();
    queue.publish(&job(2)).await.unwrap();
    let _running = soon(queue.take()).await.unwrap();
    assert_eq!(queue.room(3).await.unwrap(), 1);
    assert!(
        timeout(Duration::from_millis(100), queue.room(2))
            .await
            .is_err()
    );
}

pub async fn room_comes_when_a_job_is_done(queue: Shared) {
    queue.publish(&job(1)).await.unwrap();
    let delivery = soon(queue.take()).await.unwrap();
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.room(1).await.unwrap() }
    });
    tokio::task::yield_now().await;
    delivery.ack().await.unwrap();
    assert_eq!(soon(waiting).await.unwrap(), 1);
}

pub async fn depth_counts_what_is_there(queue: Shared) {
    for number in 0..3 {
        queue.publish(&job(number)).await.unwrap();
    }
    let running = soon(queue.take()).await.unwrap();
    soon(queue.take())
        .await
        .unwrap()
        .give_back(Duration::from_secs(600))
        .await
        .unwrap();
    queue.store_result(&result(1)).await.unwrap();
    let depth = queue.depth().await.unwrap();
    assert_eq!(
        (depth.ready, depth.running, depth.results, depth.parked),
        (2, 1, 1, 0)
    );
    running.ack().await.unwrap();
    assert_eq!(queue.depth().await.unwrap().running, 0);
}

/// The next control messages, so many of them.
async fn hear(controls: &mut dyn Controls, count: usize) -> Vec<Control> {
    let mut heard = Vec::new();
    while heard.len() < count {
        heard.push(soon(controls.next()).await.unwrap());
    }
    heard
}

pub async fn every_listener_hears_every_control_sent_after_it_came_once_and_in_order(
    queue: Shared,
) {
    let mut first = queue.controls().await.unwrap();
    queue.send_control(&cancel(1)).await.unwrap();
    let mut second = queue.controls().await.unwrap();
    for number in [3, 2] {
        queue.send_control(&cancel(number)).await.unwrap();
    }
    // One that was sent twice comes twice: a listener hears those that were sent.
    queue.send_control(&cancel(3)).await.unwrap();
    assert_eq!(hear(&mut *first, 4).await, [1, 3, 2, 3].map(cancel));
    assert_eq!(hear(&mut *second, 3).await, [3, 2, 3].map(cancel));
    for controls in [&mut first, &mut second] {
        let more = timeout(Duration::from_millis(100), controls.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

pub async fn a_control_that_nobody_hears_is_no_error_and_is_not_kept(queue: Shared) {
    queue.send_control(&cancel(1)).await.unwrap();
    drop(queue.controls().await.unwrap());
    queue.send_control(&cancel(2)).await.unwrap();
    let mut controls = queue.controls().await.unwrap();
    queue.send_control(&cancel(3)).await.unwrap();
    assert_eq!(hear(&mut *controls, 1).await, [cancel(3)]);
}

pub async fn a_wait_for_a_control_that_is_given_up_loses_nothing(queue: Shared) {
    let mut controls = queue.controls().await.unwrap();
    for number in 0..20 {
        let _ = controls.next().now_or_never();
        queue.send_control(&cancel(number)).await.unwrap();
        if let Ok(heard) = timeout(Duration::from_micros(number * 20), controls.next()).await {
            assert_eq!(heard.unwrap(), cancel(number));
        } else {
            assert_eq!(hear(&mut *controls, 1).await, [cancel(number)]);
        }
    }
}
