//! What a job runs in. [`crate::docker`] is the implementation; [`crate::host`] knows this only.

pub mod echo;

pub use agent_protocol::TerminalSize;
use async_trait::async_trait;
use codecrafter_shared::job::{Job, Outcome, Stage, Stream};
use codecrafter_shared::language::AnnouncedLanguage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Something that happens while a job runs, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The container that the job is in, by the engine's id; before anything else.
    Container(String),
    /// A stage begins.
    Stage(Stage),
    /// The compiler or the program wrote these bytes, within the job's output limit.
    Output(Stream, Vec<u8>),
}

/// What somebody does while a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Writes to its standard input.
    Bytes(Vec<u8>),
    /// Ends its standard input; on a terminal, presses the key for that.
    End,
    /// Sends this signal, by the kernel's number, to its first process and that one's group.
    Signal(i32),
    /// Gives its terminal another size; nothing without a terminal.
    Resize(TerminalSize),
}

/// Somebody at the keyboard of a job's program.
#[derive(Debug)]
pub struct Interaction {
    /// What they do. Once the sender is dropped, standard input ends.
    pub input: mpsc::Receiver<Input>,
    /// Gives the program a terminal of this size, on which both outputs are one.
    pub terminal: Option<TerminalSize>,
}

/// The host could not run the job. Never the program's fault, and never shown as if it were.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct HostFault {
    /// What failed, for the operator's log.
    pub what: String,
    /// Whether another attempt, later or elsewhere, may succeed.
    pub retry: bool,
    /// What else is likely to fail.
    pub scope: FaultScope,
}

/// How much of a host a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultScope {
    /// What every job needs: nothing can be run until the sandbox answers again.
    Engine,
    /// The job, or its language at most: everything else goes on.
    Language,
}

/// Runs jobs, each behind a wall of its own.
#[async_trait]
pub trait Sandbox: Send + Sync + 'static {
    /// What this host can run, with versions probed from the runtimes themselves. What has to be
    /// tried out for long is left out until it has been; [`Sandbox::changed`] tells.
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault>;

    /// Waits until [`Sandbox::languages`] may have another answer. What changed while nobody
    /// waited counts; what is not noticed by itself, such as a new image, need not.
    async fn changed(&self) {
        std::future::pending().await
    }

    /// What waits for jobs just now: languages, and how many jobs of each could begin at once.
    fn ready(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// Runs the job to its end: compiles once, then starts the program once per
    /// [`Job::runs`], stopping after the first run that is not accepted.
    ///
    /// Progress is sent as it happens; a receiver that was dropped does not matter, one that is
    /// slow does not slow the program beyond a bounded buffer. When `cancel` fires, everything
    /// that the job started is dead before this returns a `cancelled` outcome.
    ///
    /// When it returns, nothing of the job runs on the host any more, whatever happened; what it
    /// ran in is gone soon after.
    async fn run(
        &self,
        job: &Job,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> Result<Outcome, HostFault> {
        self.run_with(job, None, progress, cancel).await
    }

    /// The same, where standard input does not end after [`Job::runs`]' own: the job has one run.
    /// Input is taken as the program reads it and never slows anything else down.
    async fn run_with(
        &self,
        job: &Job,
        interaction: Option<Interaction>,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> Result<Outcome, HostFault>;
}
