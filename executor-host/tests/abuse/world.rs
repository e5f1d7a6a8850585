//! Where cases run: sandboxes that they take turns on, and the programs that they give them.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bollard::Docker;
use codecrafter_shared::job::{
    Job, Outcome, PROTOCOL_VERSION, RunLimits, RunOutcome, RunSpec, SourceFile, Verdict,
};
use codecrafter_shared::language::LanguageRow;
use codecrafter_shared::time::Timestamp;
use executor_host::docker::harden::Isolation;
use executor_host::docker::{DockerSandbox, DockerSettings};
use executor_host::sandbox::{HostFault, Interaction, Progress, Sandbox};
use libtest_mimic::Failed;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{control, host};

/// Longest that a case waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How much longer than its wall limit a run may take, where others use this machine too.
const LATE: Duration = Duration::from_secs(10);

/// How containers are shared among jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A container for each job.
    Fresh,
    /// A container for one job after another.
    Reuse,
}

impl Mode {
    /// Every mode.
    pub const ALL: &'static [Self] = &[Self::Fresh, Self::Reuse];

    /// Its name in the names of cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Reuse => "reuse",
        }
    }

    fn apply(self, settings: &mut DockerSettings) {
        match self {
            // None is started ahead, so that every container is a job's.
            Self::Fresh => (settings.isolation, settings.warm) = (Isolation::Fresh, 0),
            // One that no language wants is not kept for the next job.
            Self::Reuse => (settings.isolation, settings.warm) = (Isolation::Reuse, 1),
        }
    }
}

/// An attack that is made in each mode.
pub struct Attack {
    /// Its number and what comes of it.
    pub name: &'static str,
    /// Makes it.
    pub run: Run,
}

/// The body of a case.
pub type Run = for<'a> fn(&'a mut Case) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The attacks that are these functions, under their names.
macro_rules! attacks {
    ($($name:ident),* $(,)?) => {
        vec![$($crate::world::Attack {
            name: stringify!($name),
            run: |case| Box::pin($name(case)),
        }),*]
    };
}
pub(crate) use attacks;

/// The one runtime of the suite, as what a sandbox does in the background outlives a case.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// All sandboxes of the suite, and those that no case has just now.
static ALL: Mutex<Vec<Arc<World>>> = Mutex::new(Vec::new());
static FREE: Mutex<Vec<Arc<World>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sandbox that one case has at a time.
pub struct World {
    pub mode: Mode,
    pub sandbox: DockerSandbox,
    pub instance: String,
    pub docker: Docker,
}

impl World {
    /// A sandbox of its own.
    pub async fn new(
        mode: Mode,
        name: &str,
        change: impl FnOnce(&mut DockerSettings),
    ) -> Arc<Self> {
        // Of nobody else: whoever connects removes all containers that carry its name.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let instance = format!("abuse-{name}-{number}-{}", std::process::id());
        let mut settings = DockerSettings::new(&instance, languages());
        // What is kept on purpose must not look like what a case left.
        settings.compiled_bytes = 4 << 20;
        mode.apply(&mut settings);
        change(&mut settings);
        let docker = Docker::connect_with_unix_defaults().unwrap();
        let world = Arc::new(Self {
            mode,
            sandbox: DockerSandbox::connect(settings).await.unwrap(),
            instance,
            docker: docker.negotiate_version().await.unwrap(),
        });
        lock(&ALL).push(Arc::clone(&world));
        if mode == Mode::Reuse {
            // Only of images that are known to work.
            world.sandbox.all_languages().await.unwrap();
        }
        world
    }

    /// One that no other case has.
    async fn take(mode: Mode) -> Arc<Self> {
        let free = {
            let mut free = lock(&FREE);
            let place = free.iter().position(|world| world.mode == mode);
            place.map(|place| free.swap_remove(place))
        };
        match free {
            Some(world) => world,
            None => Self::new(mode, mode.name(), |_| {}).await,
        }
    }

    /// Runs a job to its end. A fault of the host is never what comes of an attack.
    pub async fn run(&self, job: &Job) -> Outcome {
        self.try_run(job).await.unwrap()
    }

    /// Runs a job to its end.
    pub async fn try_run(&self, job: &Job) -> Result<Outcome, HostFault> {
        let (sender, _receiver) = mpsc::channel(1);
        let never = CancellationToken::new();
        self.sandbox.run(job, sender, never).await
    }
}

/// The languages that attacks are written in: those of the host, and one whose compiler is the
/// attacker's.
fn languages() -> Vec<LanguageRow> {
    let mut rows = executor_host::languages::load(None).unwrap();
    rows.retain(|row| ["python", "c", "cpp", "rust", "go", "java"].contains(&&*row.id));
    let python = rows.iter().find(|row| row.id == "python").unwrap();
    let builder = LanguageRow {
        id: "builder".into(),
        compile: Some(vec!["python3".into(), "main.py".into()]),
        run: vec!["./program".into()],
        ..python.clone()
    };
    rows.push(builder);
    rows
}

/// Makes an attack in a mode and looks at the host afterwards.
pub fn case(mode: Mode, run: Run) -> Result<(), Failed> {
    block_on(async {
        let world = World::take(mode).await;
        let mut case = Case {
            world: Arc::clone(&world),
            languages: BTreeSet::new(),
        };
        run(&mut case).await;
        for language in case.languages {
            control::passes(&world, &language).await;
        }
        host::is_as_before(&world).await;
        // Not after a panic: what that left behind is not to be blamed on the next case.
        lock(&FREE).push(world);
    });
    Ok(())
}

/// Runs what needs none of the shared sandboxes.
pub fn alone(run: fn() -> Pin<Box<dyn Future<Output = ()>>>) -> Result<(), Failed> {
    block_on(run());
    Ok(())
}

/// Ends every sandbox and removes what there is of it.
pub async fn close_all() {
    let worlds = std::mem::take(&mut *lock(&ALL));
    for world in worlds {
        world.sandbox.close().await;
        world.sandbox.sweep().await.unwrap();
    }
}

/// One case in one mode.
pub struct Case {
    pub world: Arc<World>,
    /// What it has used so far.
    languages: BTreeSet<String>,
}

impl Case {
    /// Runs a program that attacks, in a container that has served an innocent job before if the
    /// mode allows that, and sees that it took no longer than it may.
    pub async fn run(&mut self, program: Program) -> Outcome {
        let (_progress, _cancel, job) = self.start(program).await;
        ended(job).await
    }

    /// Runs a program that has one run.
    pub async fn run_one(&mut self, program: Program) -> RunOutcome {
        only_run(self.run(program).await)
    }

    /// Starts a program that attacks, and gives what it says on the way, what ends it, and its end.
    pub async fn start(
        &mut self,
        program: Program,
    ) -> (
        mpsc::Receiver<Progress>,
        CancellationToken,
        JoinHandle<Outcome>,
    ) {
        self.start_with(program, None).await
    }

    /// The same with somebody at its keyboard.
    pub async fn start_with(
        &mut self,
        Program(job): Program,
        interaction: Option<Interaction>,
    ) -> (
        mpsc::Receiver<Progress>,
        CancellationToken,
        JoinHandle<Outcome>,
    ) {
        let is_new = self.languages.insert(job.language.clone());
        if is_new {
            control::measure(&self.world, &job.language).await;
        }
        if self.world.mode == Mode::Reuse && is_new {
            control::passes(&self.world, &job.language).await;
        }
        let (sender, receiver) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let (world, token) = (Arc::clone(&self.world), cancel.clone());
        let task = tokio::spawn(async move {
            let run = world.sandbox.run_with(&job, interaction, sender, token);
            let outcome = run.await.unwrap();
            is_in_time(&job.limits, &outcome);
            outcome
        });
        (receiver, cancel, task)
    }
}

/// What came of a job that was started.
pub async fn ended(job: JoinHandle<Outcome>) -> Outcome {
    job.await
        .unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Whether no run took longer than it may, and the agent has ended the one that met its limit.
fn is_in_time(limits: &RunLimits, outcome: &Outcome) {
    let wall = Duration::from_millis(limits.wall_ms.into()) + LATE;
    for run in &outcome.runs {
        let took = Duration::from_millis(run.usage.wall_ms);
        assert!(took <= wall, "{took:?} of {wall:?}: {run:#?}");
        // A host that gives up the agent does not know how the program ended.
        let is_known = run.exit_code.is_some() || run.signal.is_some();
        assert!(is_known || run.verdict != Verdict::TimeLimit, "{run:#?}");
    }
}

/// Makes an attack until a run of it used no more than `most`; some times at the most, as others use
/// this machine too.
pub async fn fewest(
    most: u64,
    mut attack: impl AsyncFnMut() -> RunOutcome,
    used: impl Fn(&RunOutcome) -> u64,
) {
    const TRIES: usize = 5;
    let mut seen = Vec::new();
    while seen.len() < TRIES {
        seen.push(used(&attack().await));
        if seen.last() <= Some(&most) {
            return;
        }
    }
    panic!("more than {most} each time: {seen:?}");
}

/// The run of a job that has one.
pub fn only_run(outcome: Outcome) -> RunOutcome {
    assert_eq!(outcome.runs.len(), 1, "{outcome:#?}");
    let run = outcome.runs.into_iter().next().unwrap();
    assert_eq!(run.verdict, outcome.verdict);
    run
}

/// What an accepted program printed.
#[track_caller]
pub fn printed(run: &RunOutcome) -> &str {
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    &run.stdout.data
}

/// Waits until something holds.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A job to be, with one run and limits that no program here meets on a slow machine either, unless
/// it is to.
#[derive(Clone)]
pub struct Program(pub Job);

impl Program {
    pub fn new(language: &str, code: &str) -> Self {
        Self(Job {
            schema: PROTOCOL_VERSION,
            execution_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            session_id: None,
            tenant: "main".into(),
            language: language.into(),
            code: code.into(),
            files: Vec::new(),
            runs: vec![RunSpec::default()],
            limits: RunLimits {
                cpu_ms: 15_000,
                wall_ms: 30_000,
                ..RunLimits::default()
            },
            interactive: None,
            report_token: String::new(),
            deadline: Timestamp::from_millis(i64::MAX),
            traceparent: None,
        })
    }

    pub fn python(code: &str) -> Self {
        Self::new("python", code)
    }

    pub fn c(code: &str) -> Self {
        Self::new("c", code)
    }

    /// Python that is run as a compiler, and that may make a `program`.
    pub fn builder(code: &str) -> Self {
        Self::new("builder", code)
    }

    pub fn cpu_ms(mut self, limit: u32) -> Self {
        self.0.limits.cpu_ms = limit;
        self
    }

    pub fn wall_ms(mut self, limit: u32) -> Self {
        self.0.limits.wall_ms = limit;
        self
    }

    pub fn memory_mib(mut self, limit: u64) -> Self {
        self.0.limits.memory_bytes = limit << 20;
        self
    }

    pub fn processes(mut self, limit: u32) -> Self {
        self.0.limits.processes = limit;
        self
    }

    pub fn output_bytes(mut self, limit: u32) -> Self {
        self.0.limits.output_bytes = limit;
        self
    }

    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.0.files.push(SourceFile {
            path: path.into(),
            content: content.into(),
        });
        self
    }

    /// One run for each of these standard inputs.
    pub fn inputs(mut self, inputs: &[&str]) -> Self {
        let run = |input: &&str| RunSpec {
            stdin: (*input).into(),
            args: Vec::new(),
            ..RunSpec::default()
        };
        self.0.runs = inputs.iter().map(run).collect();
        self
    }

    /// One run with these arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.0.runs = vec![RunSpec {
            stdin: String::new(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..RunSpec::default()
        }];
        self
    }
}

/// Whether it is something that the program wrote.
pub fn is_output(progress: &Progress) -> bool {
    matches!(progress, Progress::Output(..))
}
