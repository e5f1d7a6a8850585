//! One container with its agent: made, spoken to, ended and removed.
//!
//! Whoever holds a [`Container`] holds all there is of it. Dropping it ends every process in it
//! at once and removes it soon after; [`Container::remove`] does the same and waits.

mod guard;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_protocol::wire::{Frames, PIECE_BYTES_MAX};
use agent_protocol::{Event, Order, VERSION, Wanted};
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{AttachContainerOptionsBuilder, StartContainerOptions};
use codecrafter_shared::job::OutputFiles;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tracing::warn;

use self::guard::Guard;
use super::cgroup::Cgroup;
use super::engine::{self, Engine};
use super::harden::{Budget, Isolation};
use super::output_files::Collecting;
use super::{engine_fault, permanent, retryable};
use crate::sandbox::{FaultScope, HostFault};

/// How long the kernel is given to end what it has killed.
const KILL_MAX: Duration = Duration::from_secs(1);
/// How often that is looked at.
const KILL_CHECK: Duration = Duration::from_millis(1);

/// What to start.
#[derive(Debug, Clone)]
pub struct Request {
    /// The image's id.
    pub image: String,
    /// The language's id.
    pub language: String,
    /// The engine's runtime, if not that of the host's settings.
    pub runtime: Option<String>,
    /// The job's id, if it is for one.
    pub job: Option<String>,
    /// What it may use.
    pub budget: Budget,
}

/// What happens between a container and this host.
#[derive(Debug)]
pub enum Next {
    /// The agent says something.
    Event(Event),
    /// All that was to be sent meanwhile is sent.
    Sent,
    /// The container has ended.
    End,
}

/// Why there is no container.
struct Unstarted {
    fault: HostFault,
    /// Whether another one may start, and is worth trying at once.
    at_once: bool,
}

/// A running container whose agent takes orders.
pub struct Container {
    guard: Guard,
    id: String,
    image: String,
    /// What it may use now.
    budget: Budget,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
    frames: Frames,
    /// Orders that go out while events are waited for.
    outgoing: Vec<u8>,
    /// Whether the agent has ended all that it was told to start.
    quiet: bool,
    /// Jobs that it has served.
    served: u32,
    /// Whether anything unusual has happened in it.
    suspect: bool,
}

impl Container {
    /// Makes and starts a container and waits until its agent is ready.
    pub async fn start(engine: Arc<Engine>, request: Request) -> Result<Self, HostFault> {
        // In a task of its own, so that a caller who gives up cannot leave a container behind
        // that the engine was about to make: its guard lives here until there is one to hand over.
        let tasks = engine.tasks.clone();
        let task = tasks.spawn(async move {
            match Self::start_once(&engine, &request).await {
                // An engine that is busy may lose a container between making and starting it.
                // Another one costs less than the delay after which the queue tries again.
                Err(Unstarted { fault, at_once }) if at_once => {
                    warn!(container.image = %request.image, fault = %fault.what, "starting another container");
                    Self::start_once(&engine, &request).await
                }
                started => started,
            }
        });
        let started = task
            .await
            .map_err(|error| retryable(format!("starting a container broke off: {error}")))?;
        started.map_err(|unstarted| unstarted.fault)
    }

    async fn start_once(engine: &Arc<Engine>, request: &Request) -> Result<Self, Unstarted> {
        let lasting = |fault| Unstarted {
            fault,
            at_once: false,
        };
        let guard = Guard::create(Arc::clone(engine), request)
            .await
            .map_err(lasting)?;
        let limit = engine.settings.start_timeout;
        match tokio::time::timeout(limit, Self::open(guard, request)).await {
            Ok(opened) => opened.map_err(|fault| Unstarted {
                at_once: fault.retry && fault.scope == FaultScope::Language,
                fault,
            }),
            Err(_) => {
                let what = format!("a container was not ready within {limit:?}");
                Err(lasting(match engine.answers().await {
                    true => retryable(what),
                    false => engine_fault(what),
                }))
            }
        }
    }

    /// Attaches to the container, starts it, and hears its agent say that it is ready.
    async fn open(mut guard: Guard, request: &Request) -> Result<Self, HostFault> {
        let fault = |error| engine::fault("a container cannot be started", &error);
        let docker = &guard.engine.docker;
        // Before the start, or the agent's first words would be lost.
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .build();
        let AttachContainerResults { output, input } = docker
            .attach_container(&guard.name, Some(options))
            .await
            .map_err(fault)?;
        docker
            .start_container(&guard.name, None::<StartContainerOptions>)
            .await
            .map_err(fault)?;
        let inspected = guard.engine.inspect(&guard.name).await?;
        let pid = inspected.state.and_then(|state| state.pid);
        let id = inspected.id.unwrap_or_default();
        guard.cgroup = pid
            .filter(|_| guard.engine.settings.host_cgroups)
            .and_then(|pid| Cgroup::of_container(&id, pid));
        if guard.cgroup.is_none() {
            guard.engine.miss_cgroups();
        }

        let mut container = Self {
            guard,
            id,
            image: request.image.clone(),
            budget: request.budget,
            input,
            output,
            frames: Frames::default(),
            outgoing: Vec::new(),
            quiet: true,
            served: 0,
            suspect: false,
        };
        match container.next_event().await? {
            Some(Event::Ready { version: VERSION }) => {
                if container.guard.engine.settings.isolation == Isolation::Reuse {
                    container.reset().await?;
                }
                Ok(container)
            }
            Some(Event::Ready { version }) => Err(retryable(format!(
                "the image's agent speaks protocol {version} and this host {VERSION}; build the images again"
            ))),
            other => Err(retryable(format!("the agent began with {other:?}"))),
        }
    }

    /// Sends orders. Losing this future may leave half of one sent; only removing is left then.
    pub async fn send(&mut self, orders: &[Order]) -> Result<(), HostFault> {
        self.quiet = false;
        let mut frames = std::mem::take(&mut self.outgoing);
        frames.extend(orders.iter().flat_map(Order::to_frame));
        self.input.write_all(&frames).await.map_err(deaf)?;
        self.input.flush().await.map_err(deaf)
    }

    /// Sends an order whenever the agent takes it, while events are waited for: it may take none
    /// until some of its events are taken.
    pub fn send_meanwhile(&mut self, order: &Order) {
        self.outgoing.extend(order.to_frame());
    }

    /// Whether the agent has taken all that was sent meanwhile.
    pub fn has_sent_all(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// The agent's next event, or `None` if the container has ended. Losing this future loses
    /// nothing.
    pub async fn next_event(&mut self) -> Result<Option<Event>, HostFault> {
        loop {
            match self.next().await? {
                Next::Event(event) => return Ok(Some(event)),
                Next::Sent => {}
                Next::End => return Ok(None),
            }
        }
    }

    /// What happens next. Losing this future loses nothing.
    pub async fn next(&mut self) -> Result<Next, HostFault> {
        let broken = |error| permanent(format!("the agent's stream is broken: {error}"));
        loop {
            if let Some(body) = self.frames.next_body().map_err(broken)? {
                let event = Event::from_body(body).map_err(broken)?;
                self.quiet = !matches!(
                    event,
                    Event::Output { .. }
                        | Event::Failed { .. }
                        | Event::File { .. }
                        | Event::LeftOut { .. }
                );
                return Ok(Next::Event(event));
            }
            let read = tokio::select! {
                read = self.output.next() => read,
                written = self.input.write(&self.outgoing), if !self.outgoing.is_empty() => {
                    self.outgoing.drain(..written.map_err(deaf)?);
                    self.input.flush().await.map_err(deaf)?;
                    match self.outgoing.is_empty() {
                        true => return Ok(Next::Sent),
                        false => continue,
                    }
                }
            };
            match read {
                Some(Ok(LogOutput::StdOut { message })) => self.frames.push(&message),
                Some(Ok(LogOutput::StdErr { message })) => {
                    let text = String::from_utf8_lossy(&message);
                    warn!(container.name = %self.guard.name, text = %text.trim_end(), "the agent says");
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    return Err(engine_fault(format!("the engine's stream broke: {error}")));
                }
                None => return Ok(Next::End),
            }
        }
    }

    /// Whether an idle container is still there. Its agent has nothing to say until it is asked.
    pub fn is_idle(&mut self) -> bool {
        self.next_event().now_or_never().is_none()
    }

    /// Changes what everything in it may use together. False if what is in it already, files
    /// included, takes more memory than that.
    pub async fn resize(&mut self, budget: Budget) -> Result<bool, HostFault> {
        if self.budget == budget {
            return Ok(true);
        }
        if let Some(Ok(fits)) = self.cgroup().map(|cgroup| cgroup.set_budget(budget)) {
            // What was tried and did not fit may be half set.
            self.budget = budget;
            self.suspect |= !fits;
            return Ok(fits);
        }
        let body = ContainerUpdateBody {
            memory: Some(budget.memory()),
            memory_swap: Some(budget.memory()),
            pids_limit: Some(budget.pids()),
            ..ContainerUpdateBody::default()
        };
        let updated = self
            .guard
            .engine
            .docker
            .update_container(&self.guard.name, body)
            .await;
        match updated {
            Ok(_) => {
                self.budget = budget;
                Ok(true)
            }
            // Of cgroup v1, which refuses; v2 kills instead, and the container has gone then.
            Err(error) if error.to_string().contains("unable to set memory limit") => Ok(false),
            Err(error) => Err(engine::fault("a container's limits cannot be set", &error)),
        }
    }

    /// What the work directory holds; `None` if that is more than `most` bytes, or cannot be
    /// packed.
    pub async fn pack(&mut self, most: u32) -> Result<Option<Vec<u8>>, HostFault> {
        self.send(&[Order::Pack { most }]).await?;
        let mut packed = Vec::new();
        loop {
            match self.next_event().await? {
                Some(Event::Packed { bytes, last }) => {
                    packed.extend_from_slice(&bytes);
                    // Beside what is in the files there are their names.
                    if packed.len() > 2 * most as usize {
                        return Err(permanent("the agent packs more than it was asked for"));
                    }
                    if last {
                        return Ok((!packed.is_empty()).then_some(packed));
                    }
                }
                other => return Err(unexpected("packed its files", other)),
            }
        }
    }

    /// The files that the program before has left, as far as they are `wanted`.
    pub async fn collect(&mut self, wanted: Wanted) -> Result<OutputFiles, HostFault> {
        let mut collecting = Collecting::new(&wanted);
        self.send(&[Order::Collect(wanted)]).await?;
        loop {
            let event = self.next_event().await?;
            let taken = match event {
                Some(Event::File { name, bytes, last }) => collecting.file(name, &bytes, last),
                Some(Event::LeftOut { name, why }) => collecting.left_out(&name, why),
                Some(Event::Collected { left_out }) => return Ok(collecting.end(left_out)),
                other => return Err(unexpected("given its files", other)),
            };
            taken.map_err(permanent)?;
        }
    }

    /// Puts what [`Self::pack`] gave, here or in another container, into the work directory.
    pub async fn unpack(&mut self, packed: &[u8]) -> Result<(), HostFault> {
        let pieces = packed.chunks(PIECE_BYTES_MAX);
        let count = pieces.len();
        let unpack = |(number, piece): (usize, &[u8])| Order::Unpack {
            bytes: piece.to_vec(),
            last: number + 1 == count,
        };
        let orders: Vec<_> = pieces.enumerate().map(unpack).collect();
        self.send(&orders).await?;
        match self.next_event().await? {
            Some(Event::Unpacked) => Ok(()),
            other => Err(unexpected("unpacked its files", other)),
        }
    }

    /// Leaves nothing of the jobs that it has served, and makes ready for one under a user of its
    /// own. After an error it is of no more use.
    pub async fn reset(&mut self) -> Result<(), HostFault> {
        let user = self.guard.engine.next_user();
        self.send(&[Order::Reset { user }]).await?;
        match self.next_event().await? {
            Some(Event::Clean) => Ok(()),
            other => Err(unexpected("left everything clean", other)),
        }
    }

    /// Something unusual has happened in it: it serves no other job.
    pub fn suspect(&mut self) {
        self.suspect = true;
    }

    /// Whether it may serve another job after the one that has just ended in it.
    pub fn serves_another(&mut self) -> bool {
        let settings = &self.guard.engine.settings;
        self.served += 1;
        let is_asked_to = settings.isolation == Isolation::Reuse;
        is_asked_to && self.quiet && !self.suspect && self.served < settings.jobs_per_container
    }

    /// Whether no program runs in it: the agent has said so, and has not been told to start
    /// another since.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The engine's id of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of its image.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Its cgroup, if the host can see it.
    pub fn cgroup(&self) -> Option<&Cgroup> {
        self.guard.cgroup.as_ref()
    }

    /// Whether the engine says that it ended for lack of memory. For when there is no cgroup
    /// left to ask.
    pub async fn was_out_of_memory(&mut self) -> Result<bool, HostFault> {
        let state = self.guard.engine.inspect(&self.guard.name).await?.state;
        Ok(state.and_then(|state| state.oom_killed).unwrap_or(false))
    }

    /// Ends everything in it by the kernel, and waits for that. False where only removing it can
    /// tell.
    pub async fn kill(&mut self) -> bool {
        let Some(cgroup) = self.cgroup() else {
            return false;
        };
        if cgroup.kill().is_err() {
            return false;
        }
        let deadline = Instant::now() + KILL_MAX;
        while Instant::now() < deadline {
            match cgroup.is_empty() {
                Ok(true) => return true,
                Ok(false) => tokio::time::sleep(KILL_CHECK).await,
                Err(_) => return false,
            }
        }
        false
    }

    /// Ends everything in it and removes it.
    pub async fn remove(mut self) {
        self.guard.remove().await;
    }
}

/// The agent's end of the stream is closed.
fn deaf(error: std::io::Error) -> HostFault {
    retryable(format!("the agent takes no orders: {error}"))
}

/// The agent has not done what it was told.
fn unexpected(done: &str, event: Option<Event>) -> HostFault {
    match event {
        Some(Event::Failed { reason }) => permanent(format!("the agent has not {done}: {reason}")),
        event => retryable(format!(
            "the agent should have {done}, but there was {event:?}"
        )),
    }
}
