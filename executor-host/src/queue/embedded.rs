//! The queue for one machine: a SQLite file, owned by one thread of its own, so that no async
//! task ever waits for a disk. Waiters sleep until something that concerns them has changed.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use codecrafter_shared::job::{Control, Job, Report};
use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::Instant;

use super::reading::{self, Unreadable};
use super::store::{Store, Taken, Topic};
use super::{
    Controls, Delivery, Depth, Hold, Published, Queue, QueueError, RESULTS_BYTES_MAX, StoredResult,
};

/// Control messages that wait for the slowest worker; one that is slower than that asks anew.
const CONTROLS_WAITING_MAX: usize = 1024;

/// How often somebody who waits looks, though nobody said that there is anything.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A queue in a file. Dropping it closes the file; what is still in somebody's hands then is
/// handed out again by whoever opens it next.
pub struct Embedded {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
    controls: broadcast::Sender<Control>,
    // Held as long as the file is open.
    _lock: File,
}

struct Inner {
    commands: mpsc::Sender<Command>,
    opened: Instant,
    signals: Arc<Signals>,
}

/// Wakes those who wait. Given by the queue's thread right after the change, so that no change
/// goes unnoticed because the one who asked for it has gone.
#[derive(Default)]
struct Signals {
    job_ready: Notify,
    result_ready: Notify,
    job_settled: Notify,
}

impl Signals {
    fn ready(&self, topic: Topic) -> &Notify {
        match topic {
            Topic::Jobs => &self.job_ready,
            Topic::Results => &self.result_ready,
        }
    }
}

enum Command {
    Do(Box<dyn FnOnce(&mut Store) + Send>),
    Close,
}

impl Embedded {
    /// Opens or makes the file `path`; its folder must exist. Beside it lie `<path>.lock` and
    /// SQLite's own files.
    ///
    /// # Errors
    ///
    /// When another process has it open, when it cannot be read or written, and when a newer
    /// version has written it.
    pub fn open(path: &Path) -> Result<Self, QueueError> {
        let lock = lock(path).map_err(|error| QueueError::new("be opened", error))?;
        let mut store = Store::open(path).map_err(|error| QueueError::new("be opened", error))?;
        let (commands, received) = mpsc::channel();
        let work = move || {
            while let Ok(Command::Do(command)) = received.recv() {
                command(&mut store);
            }
        };
        let thread = std::thread::Builder::new().name("queue".into()).spawn(work);
        let thread = thread.map_err(|error| QueueError::new("be opened", error))?;
        let inner = Arc::new(Inner {
            commands,
            opened: Instant::now(),
            signals: Arc::default(),
        });
        Ok(Self {
            inner,
            thread: Some(thread),
            controls: broadcast::Sender::new(CONTROLS_WAITING_MAX),
            _lock: lock,
        })
    }

    /// What is in the file, which may be in use by another process. A file that is not there is
    /// empty.
    pub fn inspect(path: &Path) -> Result<Depth, QueueError> {
        if !path.exists() {
            return Ok(Depth::default());
        }
        Store::inspect(path).map_err(|error| QueueError::new("be read", error))
    }

    /// Takes up to `max` readable messages of `topic`; waits for the first.
    async fn take_messages<T>(
        &self,
        topic: Topic,
        max: usize,
        read: fn(&[u8]) -> Result<T, Unreadable>,
    ) -> Result<Vec<(T, Held)>, QueueError> {
        let inner = &self.inner;
        loop {
            // Armed before the look, so that what comes in between is not missed.
            let mut changed = pin!(inner.signals.ready(topic).notified());
            changed.as_mut().enable();
            let (holder, now) = (Arc::downgrade(inner), inner.now());
            let work = move |store: &mut Store| {
                let taken = store.take(topic, now, (max, RESULTS_BYTES_MAX))?;
                let hold = |(taken, body)| (Held::new(&holder, topic, taken), body);
                let held: Vec<(Held, Vec<u8>)> = taken.into_iter().map(hold).collect();
                Ok((held, store.next_at(topic)?))
            };
            let (held, next_at) = inner.call("hand out messages", work).await?;
            if held.is_empty() {
                tokio::select! {
                    () = changed => {}
                    () = inner.reached(next_at) => {}
                }
                continue;
            }
            let mut readable = Vec::with_capacity(held.len());
            for (held, body) in held {
                match read(&body) {
                    Ok(content) => readable.push((content, held)),
                    Err(unreadable) => self.bury(held, unreadable).await?,
                }
            }
            if !readable.is_empty() {
                return Ok(readable);
            }
        }
    }

    /// Ends what a message is about, if it says so, and puts it aside.
    async fn bury(&self, held: Held, unreadable: Unreadable) -> Result<(), QueueError> {
        let Unreadable { reason, end } = unreadable;
        let execution = end.as_ref().map(|end| end.execution_id.to_string());
        tracing::error!(
            execution.id = execution,
            queue.topic = ?held.topic,
            queue.message = held.taken.id,
            reason,
            "put aside an unreadable message"
        );
        if let Some(end) = end {
            self.store_result(&end).await?;
        }
        Box::new(held).park(&reason).await
    }

    async fn put<T: serde::Serialize>(
        &self,
        topic: Topic,
        key: String,
        content: &T,
    ) -> Result<bool, QueueError> {
        let what = "keep a message";
        let body = serde_json::to_vec(content).map_err(|error| QueueError::new(what, error))?;
        let signals = Arc::clone(&self.inner.signals);
        let work = move |store: &mut Store| {
            let new = store.put(topic, &key, &body)?;
            signals.ready(topic).notify_waiters();
            Ok(new)
        };
        self.inner.call(what, work).await
    }
}

#[async_trait]
impl Queue for Embedded {
    async fn publish(&self, job: &Job) -> Result<Published, QueueError> {
        let new = self
            .put(Topic::Jobs, job.execution_id.to_string(), job)
            .await?;
        Ok(if new {
            Published::Queued
        } else {
            Published::AlreadyQueued
        })
    }

    async fn take(&self) -> Result<Delivery, QueueError> {
        loop {
            let taken = self.take_messages(Topic::Jobs, 1, reading::job).await?;
            if let Some((job, held)) = taken.into_iter().next() {
                return Ok(Delivery::new(job, held.taken.deliveries, Box::new(held)));
            }
        }
    }

    async fn store_result(&self, report: &Report) -> Result<(), QueueError> {
        self.put(Topic::Results, report.attempt_id.to_string(), report)
            .await?;
        Ok(())
    }

    async fn take_results(&self, max: usize) -> Result<Vec<StoredResult>, QueueError> {
        let taken = self
            .take_messages(Topic::Results, max, reading::result)
            .await?;
        let stored = |(report, held)| StoredResult::new(report, Box::new(held));
        Ok(taken.into_iter().map(stored).collect())
    }

    async fn send_control(&self, control: &Control) -> Result<(), QueueError> {
        // Nobody listens: nobody misses anything.
        let _ = self.controls.send(control.clone());
        Ok(())
    }

    async fn controls(&self) -> Result<Box<dyn Controls>, QueueError> {
        Ok(Box::new(self.controls.subscribe()))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.inner.call("be counted", |store| store.depth()).await
    }

    async fn room(&self, capacity: u32) -> Result<u32, QueueError> {
        loop {
            let mut changed = pin!(self.inner.signals.job_settled.notified());
            changed.as_mut().enable();
            let depth = self.depth().await?;
            let free = capacity.saturating_sub(depth.ready.saturating_add(depth.running));
            if free > 0 {
                return Ok(free);
            }
            changed.await;
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Waits for what was asked before, which is quick, and closes the file before the lock.
        let _ = self.inner.commands.send(Command::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn now(&self) -> i64 {
        i64::try_from(self.opened.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    async fn reached(&self, at: Option<i64>) {
        match at {
            // One more, because `now` is rounded down.
            Some(at) => {
                let at = u64::try_from(at).unwrap_or(0).saturating_add(1);
                tokio::time::sleep_until(self.opened + Duration::from_millis(at)).await;
            }
            // Another process may have put a dead letter back, and cannot say so.
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }

    /// Does `work` on the queue's thread. It is done even if nobody waits for it any more; its
    /// result is dropped then.
    async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (answer, answered) = oneshot::channel();
        let command = move |store: &mut Store| {
            let _ = answer.send(work(store));
        };
        let closed = || QueueError::new(what, "it is closed");
        self.commands
            .send(Command::Do(Box::new(command)))
            .map_err(|_| closed())?;
        let done = answered.await.map_err(|_| closed())?;
        done.map_err(|error| QueueError::new(what, error))
    }
}

/// A message in somebody's hands.
struct Held {
    // Weak, so that what is held keeps no queue open.
    inner: Weak<Inner>,
    topic: Topic,
    taken: Taken,
    settled: bool,
}

impl Held {
    fn new(inner: &Weak<Inner>, topic: Topic, taken: Taken) -> Self {
        Self {
            inner: Weak::clone(inner),
            topic,
            taken,
            settled: false,
        }
    }

    async fn settle(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), QueueError> {
        let inner = self
            .inner
            .upgrade()
            .ok_or_else(|| QueueError::new(what, "it is closed"))?;
        let (signals, topic) = (Arc::clone(&inner.signals), self.topic);
        let work = move |store: &mut Store| {
            work(store)?;
            signals.ready(topic).notify_waiters();
            signals.job_settled.notify_waiters();
            Ok(())
        };
        inner.call(what, work).await?;
        self.settled = true;
        Ok(())
    }
}

#[async_trait]
impl Hold for Held {
    async fn remove(mut self: Box<Self>) -> Result<(), QueueError> {
        let taken = self.taken;
        self.settle("remove a message", move |store| store.remove(taken))
            .await
    }

    async fn park(mut self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        let (taken, reason) = (self.taken, reason.to_owned());
        self.settle("put a message aside", move |store| {
            store.park(taken, &reason)
        })
        .await
    }

    async fn give_back(mut self: Box<Self>, delay: Duration) -> Result<(), QueueError> {
        let now = self.inner.upgrade().map_or(0, |inner| inner.now());
        let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let (taken, not_before) = (self.taken, now.saturating_add(delay));
        self.settle("take a message back", move |store| {
            store.release(taken, not_before)
        })
        .await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (false, Some(inner)) = (self.settled, self.inner.upgrade()) else {
            return;
        };
        let (taken, topic) = (self.taken, self.topic);
        let signals = Arc::clone(&inner.signals);
        let release = move |store: &mut Store| match store.release(taken, 0) {
            Ok(()) => signals.ready(topic).notify_waiters(),
            // The next start gives it back.
            Err(error) => {
                tracing::error!(queue.message = taken.id, %error, "message not given back")
            }
        };
        let _ = inner.commands.send(Command::Do(Box::new(release)));
    }
}

/// Keeps other processes out, and the file from everybody else: people's code is in it.
pub(crate) fn lock(path: &Path) -> Result<File, String> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    // SQLite gives the files beside it the same permissions.
    private(path).map_err(|error| failed(path, error))?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = Path::new(&name);
    let file = private(name).map_err(|error| failed(name, error))?;
    match file.try_lock() {
        Ok(()) => match write_pid(&file) {
            Ok(()) => Ok(file),
            Err(error) => Err(failed(name, error)),
        },
        Err(TryLockError::WouldBlock) => {
            Err(format!("{}: another executor-host uses it", path.display()))
        }
        Err(TryLockError::Error(error)) => Err(failed(name, error)),
    }
}

/// For whoever wants to ask this process for something.
fn write_pid(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// Opens a file, or makes it for its owner only.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.open(path)
}

#[async_trait]
impl Controls for broadcast::Receiver<Control> {
    async fn next(&mut self) -> Result<Control, QueueError> {
        self.recv()
            .await
            .map_err(|error| QueueError::new("pass control messages on", error))
    }
}
