//! Leasing from an edge of a few lines: jobs and control messages, into a queue that can fail.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::{Control, ControlAction, LeaseRequest};
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::limits;
use common::{Edge, Faulty, PATIENCE};
use executor_host::host::Offer;
use executor_host::link::{Client, Leasing};
use executor_host::metrics::Metrics;
use executor_host::queue::contract::{cancel, execution, job};
use executor_host::queue::{Controls, Embedded, Queue};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The longest pause between requests to an edge that does not hold them open.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(100);

struct Lessee {
    edge: Arc<Edge>,
    url: String,
    queue: Arc<Faulty>,
    offer: watch::Sender<Offer>,
    stop: CancellationToken,
    ended: CancellationToken,
    folder: TempDir,
}

fn python() -> Offer {
    let python = AnnouncedLanguage {
        id: "python".into(),
        version: "3".into(),
        end_of_life: None,
    };
    Some(vec![python].into())
}

impl Lessee {
    async fn new() -> Self {
        let (edge, url) = Edge::start().await;
        let folder = TempDir::new().unwrap();
        let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
        Self {
            edge,
            url,
            queue: Faulty::new(Arc::new(queue)),
            offer: watch::Sender::new(python()),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            folder,
        }
    }

    async fn start(&self, slots: u32) -> JoinHandle<()> {
        self.start_with(Edge::client(&self.url).await, slots)
    }

    fn start_with(&self, client: Arc<Client>, slots: u32) -> JoinHandle<()> {
        let leasing = Leasing {
            client,
            queue: Arc::clone(&self.queue) as Arc<dyn Queue>,
            slots: watch::Sender::new(slots).subscribe(),
            offer: self.offer.subscribe(),
            announce_every: ANNOUNCE_EVERY,
            metrics: Metrics::default(),
        };
        tokio::spawn(leasing.run(self.stop.clone(), self.ended.clone()))
    }

    async fn taken(&self) -> ExecutionId {
        let delivery = timeout(PATIENCE, self.queue.take()).await.unwrap().unwrap();
        let execution = delivery.job.execution_id;
        delivery.ack().await.unwrap();
        execution
    }

    async fn acknowledged(&self, count: usize) {
        self.edge
            .until(|edge| (edge.acknowledged.len() == count).then_some(()))
            .await;
    }

    /// Waits for a request of which `wanted` says so, and gives it.
    async fn asked(&self, wanted: impl Fn(&LeaseRequest) -> bool) -> LeaseRequest {
        self.edge
            .until(|edge| edge.lease_requests.iter().rfind(|r| wanted(r)).cloned())
            .await
    }
}

impl Drop for Lessee {
    fn drop(&mut self) {
        self.stop.cancel();
        self.ended.cancel();
    }
}

async fn heard(controls: &mut dyn Controls) -> Control {
    timeout(PATIENCE, controls.next())
        .await
        .expect("it is never passed on")
        .unwrap()
}

// ---- Jobs ----

#[tokio::test]
async fn a_lease_is_acknowledged_only_after_its_job_is_in_the_queue() {
    let lessee = Lessee::new().await;
    let path = lessee.folder.path().join("queue.db");
    let look = move || Embedded::inspect(&path).unwrap();
    lessee.edge.state().at_acknowledge = Some(Box::new(look));
    lessee.edge.offer(job(1));
    lessee.start(2).await;
    lessee.acknowledged(1).await;
    assert_eq!(lessee.edge.state().depths_at_acknowledge[0].ready, 1);
    lessee.edge.offer(job(2));
    lessee.acknowledged(2).await;
    assert_eq!(lessee.edge.state().depths_at_acknowledge[1].ready, 2);
    let taken = (lessee.taken().await, lessee.taken().await);
    assert_eq!(taken, (execution(1), execution(2)));
}

#[tokio::test]
async fn a_job_that_the_queue_does_not_keep_is_not_acknowledged_and_comes_again() {
    let lessee = Lessee::new().await;
    lessee.queue.publish_fails.store(true, Ordering::SeqCst);
    lessee.edge.offer(job(1));
    lessee.start(2).await;
    timeout(PATIENCE, lessee.queue.failed.notified())
        .await
        .unwrap();
    assert!(lessee.edge.state().acknowledged.is_empty());
    lessee.queue.publish_fails.store(false, Ordering::SeqCst);
    assert_eq!(lessee.taken().await, execution(1));
    lessee.acknowledged(1).await;
}

#[tokio::test]
async fn a_queue_that_keeps_nothing_is_not_tried_with_every_job_of_an_answer() {
    let lessee = Lessee::new().await;
    lessee.queue.publish_fails.store(true, Ordering::SeqCst);
    for number in [1, 2] {
        lessee.edge.offer(job(number));
    }
    lessee.start(2).await;
    timeout(PATIENCE, lessee.queue.failed.notified())
        .await
        .unwrap();
    assert_eq!(lessee.queue.failures.load(Ordering::SeqCst), 1);
    lessee.queue.publish_fails.store(false, Ordering::SeqCst);
    lessee.acknowledged(2).await;
}

#[tokio::test]
async fn a_host_leases_what_it_has_room_for_and_stays_in_touch_when_it_has_none() {
    let lessee = Lessee::new().await;
    for number in 0..5 {
        lessee.edge.offer(job(number));
    }
    lessee.start(3).await;
    // The queue is full: nothing is leased, and the host can be told something all the same.
    let full = lessee.asked(|request| request.slots == 0).await;
    assert_eq!(full.wait_ms, limits::LEASE_WAIT_MS_MAX);
    assert_eq!(
        (full.capacity, full.languages[0].id.as_str()),
        (3, "python")
    );
    assert_eq!(lessee.queue.depth().await.unwrap().ready, 3);
    assert_eq!(lessee.edge.state().waiting.len(), 2);
    assert_eq!(lessee.edge.state().lease_requests[0].slots, 3);
    // A job that is done makes room for one more, at once and not when the request has ended.
    lessee.taken().await;
    lessee
        .edge
        .until(|edge| (edge.waiting.len() == 1).then_some(()))
        .await;
    lessee.asked(|request| request.slots == 1).await;
}

#[tokio::test]
async fn a_host_whose_sandbox_does_not_answer_leases_nothing_until_it_does() {
    let lessee = Lessee::new().await;
    lessee.offer.send_replace(None);
    lessee.edge.offer(job(1));
    lessee.start(3).await;
    let request = lessee.asked(|_| true).await;
    assert_eq!((request.slots, request.languages.len()), (0, 0));
    lessee.offer.send_replace(python());
    assert_eq!(lessee.taken().await, execution(1));
}

#[tokio::test]
async fn leasing_goes_on_by_itself_after_the_edge_was_away() {
    let lessee = Lessee::new().await;
    let mut host = Edge::enrol(&lessee.url, lessee.folder.path()).await;
    let place = Edge::place();
    let address = place.local_addr().unwrap();
    host.edge = format!("http://{address}").parse().unwrap();
    lessee.edge.state().broken = Some(StatusCode::BAD_GATEWAY);
    lessee.edge.offer(job(1));
    lessee.start_with(Arc::new(Client::new(host).unwrap()), 2);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Then something listens that is not the edge, and at last the edge.
    lessee.edge.listen(place);
    lessee
        .edge
        .until(|edge| (edge.broken_answers >= 2).then_some(()))
        .await;
    lessee.edge.state().broken = None;
    assert_eq!(lessee.taken().await, execution(1));
}

#[tokio::test]
async fn an_edge_that_holds_no_request_is_not_flooded_and_its_jobs_come_all_the_same() {
    let lessee = Lessee::new().await;
    lessee.edge.state().holds_nothing = true;
    let begun = Instant::now();
    lessee.start(2).await;
    for number in 1..=3 {
        lessee
            .edge
            .until(|edge| (edge.lease_requests.len() > number).then_some(()))
            .await;
        lessee.edge.offer(job(number as u64));
        assert_eq!(lessee.taken().await, execution(number as u64));
    }
    let requests = lessee.edge.state().lease_requests.len();
    // Some for each job, and one for each pause between them.
    let pauses = begun.elapsed().as_millis() / ANNOUNCE_EVERY.as_millis();
    let most = 15 + usize::try_from(pauses).unwrap();
    assert!(requests < most, "{requests} requests for three jobs");
}

// ---- Control messages ----

#[tokio::test]
async fn a_full_host_hears_of_a_cancel_at_once_and_confirms_it_with_its_next_request() {
    let lessee = Lessee::new().await;
    let mut controls = lessee.queue.controls().await.unwrap();
    lessee.edge.offer(job(1));
    lessee.start(1).await;
    lessee.asked(|request| request.slots == 0).await;
    lessee.edge.control(cancel(1));
    assert_eq!(heard(&mut *controls).await, cancel(1));
    let next = lessee.asked(|r| !r.controls_taken.is_empty()).await;
    assert_eq!(next.controls_taken, [cancel(1).id]);
    assert!(lessee.edge.state().controls.is_empty());
}

#[tokio::test]
async fn a_message_that_the_queue_does_not_pass_on_is_not_confirmed_and_comes_again() {
    let lessee = Lessee::new().await;
    let mut controls = lessee.queue.controls().await.unwrap();
    let fails = &lessee.queue.send_control_fails;
    fails.store(true, Ordering::SeqCst);
    lessee.edge.control(cancel(1));
    // A job of the same answer is kept.
    lessee.edge.offer(job(2));
    lessee.start(2).await;
    lessee.acknowledged(1).await;
    timeout(PATIENCE, lessee.queue.failed.notified())
        .await
        .unwrap();
    let confirmed = |r: &LeaseRequest| !r.controls_taken.is_empty();
    assert!(!lessee.edge.state().lease_requests.iter().any(confirmed));
    fails.store(false, Ordering::SeqCst);
    assert_eq!(heard(&mut *controls).await, cancel(1));
    lessee.asked(confirmed).await;
}

#[tokio::test]
async fn a_message_of_a_newer_edge_is_confirmed_and_passed_over() {
    let lessee = Lessee::new().await;
    let mut controls = lessee.queue.controls().await.unwrap();
    let newer = Control {
        action: ControlAction::Unknown,
        ..cancel(1)
    };
    lessee.edge.control(newer);
    lessee.edge.control(cancel(2));
    lessee.start(1).await;
    assert_eq!(heard(&mut *controls).await, cancel(2));
    let request = lessee.asked(|r| !r.controls_taken.is_empty()).await;
    assert_eq!(request.controls_taken, [cancel(1).id, cancel(2).id]);
}

#[tokio::test]
async fn a_host_that_stops_leases_nothing_and_hears_of_cancels_until_its_jobs_have_ended() {
    let lessee = Lessee::new().await;
    let mut controls = lessee.queue.controls().await.unwrap();
    let leasing = lessee.start(2).await;
    lessee.asked(|request| request.slots == 2).await;
    lessee.stop.cancel();
    lessee
        .asked(|r| r.slots == 0 && r.languages.is_empty())
        .await;
    lessee.edge.offer(job(1));
    lessee.edge.control(cancel(2));
    assert_eq!(heard(&mut *controls).await, cancel(2));
    lessee.ended.cancel();
    timeout(PATIENCE, leasing)
        .await
        .expect("it does not end")
        .unwrap();
    assert!(lessee.edge.state().leased.is_empty());
}
