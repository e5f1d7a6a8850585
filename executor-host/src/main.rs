//! The command `executor-host`: settings, wiring, run until a signal.

use std::error::Error;
use std::io::{IsTerminal as _, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::job::RunSpec;
use codecrafter_shared::keys;
use executor_host::config::{
    self, Command, Effective, LetterAction, LoadError, Loaded, Log, Plan, QueueChoice,
};
use executor_host::docker::{DockerSandbox, DockerSettings};
use executor_host::doctor;
use executor_host::drain;
use executor_host::health::{self, Monitor};
use executor_host::keyboard::Keyboard;
use executor_host::link::Credentials;
use executor_host::link::enrol::{self, Joined};
use executor_host::logs;
use executor_host::one_run;
use executor_host::queue::dead_letters::DeadLetters;
use executor_host::queue::{Embedded, RabbitMq};
use executor_host::retry::Retry;
use executor_host::serve::{
    QUEUE_FILE, ServeError, Worker, open_queue, serve, serve_shared, take_place,
};
use executor_host::shutdown;
use executor_host::spans::Spans;
use serde_json::json;

type Fallible = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let loaded = match config::load(std::env::args_os()) {
        Ok(loaded) => loaded,
        Err(LoadError::Usage(usage)) => usage.exit(),
        Err(LoadError::File(error)) => {
            eprintln!("executor-host: {error}");
            return ExitCode::FAILURE;
        }
    };
    match run(loaded) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("executor-host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(loaded: Loaded) -> Result<ExitCode, Box<dyn Error>> {
    let Loaded { cli, effective } = loaded;
    let done = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(settings) => asynchronously(run_service(settings)),
        Command::Join(settings) => asynchronously(join(settings)),
        Command::JoinToken => {
            println!("{}", keys::join_token(&config::secret()?));
            Ok(())
        }
        Command::OperatorToken => {
            println!("{}", keys::operator_token(&config::secret()?));
            Ok(())
        }
        Command::Queue(settings) => asynchronously(show_queue(settings)),
        Command::DeadLetters(settings) => asynchronously(dead_letters(settings)),
        Command::Drain(settings) => asynchronously(drain_host(settings)),
        Command::Languages(settings) => asynchronously(show_languages(settings)),
        Command::Run(settings) => return asynchronously(run_here(settings)),
        Command::Doctor(settings) => return asynchronously(examine(settings)),
        Command::Config(settings) => show_config(&settings, effective),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn asynchronously<T>(
    work: impl Future<Output = Result<T, Box<dyn Error>>>,
) -> Result<T, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

async fn run_service(settings: config::Serve) -> Fallible {
    log_to_stderr(&settings.log)?;
    let state_dir = settings.state.dir()?;
    let plan = settings.plan()?;
    let mut monitor = Monitor::default();
    if let Some(collector) = &settings.otlp {
        monitor.spans = Spans::to(collector)?;
    }
    if let Some(address) = settings.metrics {
        let server = health::Server::bind(address).await;
        let server = server.map_err(|error| format!("--metrics {address}: {error}"))?;
        tracing::info!(address = %server.address()?, "answering to operators");
        tokio::spawn(server.run(monitor.clone()));
    }
    match plan {
        Plan::Alone => serve_alone(&settings, &state_dir, monitor).await,
        Plan::Shared {
            address,
            prefix,
            link,
            worker,
        } => {
            let credentials = if link {
                Some(joined(&state_dir)?)
            } else {
                None
            };
            let queue = RabbitMq::new(address, prefix);
            let parts = (credentials, worker);
            serve_with_others(&settings, &state_dir, queue, parts, monitor).await
        }
    }
}

/// The credentials of a host that has joined.
fn joined(state_dir: &Path) -> Result<Credentials, Box<dyn Error>> {
    Ok(Credentials::load(state_dir)?.ok_or_else(|| {
        format!(
            "this host has not joined an edge yet (no credentials in {}); \
             run `executor-host join https://EDGE --token TOKEN`",
            state_dir.display()
        )
    })?)
}

/// Link and worker in one process, around the queue in the state folder.
async fn serve_alone(settings: &config::Serve, state_dir: &Path, monitor: Monitor) -> Fallible {
    let credentials = joined(state_dir)?;
    let docker = settings
        .docker
        .sandbox(credentials.executor_id.to_string(), settings.host().slots)?;
    let stop = shutdown::on_signals()?;
    let queue = Arc::new(open_queue(state_dir)?);
    let Some(sandbox) = stop.now.run_until_cancelled(connect(docker)).await else {
        return Ok(());
    };
    let shared = Arc::clone(&sandbox) as _;
    let served = serve(queue, credentials, settings.host(), shared, monitor, stop).await;
    sandbox.close().await;
    Ok(served?)
}

/// A link if there are credentials, and a worker if asked for, around a queue on a broker.
async fn serve_with_others(
    settings: &config::Serve,
    state_dir: &Path,
    queue: RabbitMq,
    (credentials, works): (Option<Credentials>, bool),
    monitor: Monitor,
) -> Fallible {
    let stop = shutdown::on_signals()?;
    if !works {
        return Ok(serve_shared(queue, credentials, None, monitor, stop).await?);
    }
    let place = take_place(state_dir)?;
    let docker = settings
        .docker
        .sandbox(place.name.clone(), settings.host().slots)?;
    let Some(sandbox) = stop.now.run_until_cancelled(connect(docker)).await else {
        return Ok(());
    };
    let worker = Worker {
        name: place.name.clone(),
        settings: settings.host(),
        sandbox: Arc::clone(&sandbox) as _,
    };
    let served = serve_shared(queue, credentials, Some(worker), monitor, stop).await;
    sandbox.close().await;
    Ok(served?)
}

/// Waits for Docker, which may start after this process.
async fn connect(settings: DockerSettings) -> Arc<DockerSandbox> {
    let mut retry = Retry::new("use Docker");
    loop {
        match DockerSandbox::connect(settings.clone()).await {
            Ok(sandbox) => {
                retry.succeeded();
                return Arc::new(sandbox);
            }
            Err(fault) => tokio::time::sleep(retry.failed(&fault)).await,
        }
    }
}

async fn join(settings: config::Join) -> Fallible {
    let request = enrol::Join {
        edge: settings.edge()?,
        token: &settings.token()?,
        name: settings.name()?,
        again: settings.again,
    };
    match enrol::join(request, &settings.state.dir()?).await? {
        Joined::Now(host) => println!("joined {} as executor {}", host.edge, host.executor_id),
        Joined::Before(host) => {
            println!(
                "had joined {} already, as executor {}",
                host.edge, host.executor_id
            );
        }
    }
    Ok(())
}

async fn show_queue(settings: config::Show) -> Fallible {
    let (name, depth, running) = match settings.broker.queue()? {
        QueueChoice::Embedded => {
            let depth = Embedded::inspect(&settings.state.dir()?.join(QUEUE_FILE))?;
            ("embedded", depth, Some(depth.running))
        }
        QueueChoice::RabbitMq(address, prefix) => {
            let depth = RabbitMq::inspect(address, &prefix)
                .await
                .map_err(ServeError::from)?;
            // A broker does not tell what its clients hold.
            ("rabbitmq", depth, None)
        }
    };
    if settings.json {
        let shown = json!({
            "queue": name,
            "ready": depth.ready,
            "running": running,
            "results": depth.results,
            "parked": depth.parked,
        });
        println!("{shown}");
        return Ok(());
    }
    let running = running.map_or_else(|| "?".into(), |running| running.to_string());
    println!("{name} queue");
    println!("  ready    {:>6}  jobs that wait", depth.ready);
    println!("  running  {running:>6}  jobs that were taken");
    println!(
        "  results  {:>6}  that the edge has not taken yet",
        depth.results
    );
    println!(
        "  parked   {:>6}  messages that could not be read",
        depth.parked
    );
    Ok(())
}

/// Lists dead letters, shows one or puts one back.
async fn dead_letters(settings: config::DeadLetters) -> Fallible {
    let letters = match settings.broker.queue()? {
        QueueChoice::Embedded => DeadLetters::InFile(settings.state.dir()?.join(QUEUE_FILE)),
        QueueChoice::RabbitMq(address, prefix) => DeadLetters::OnBroker(address, prefix),
    };
    let id = settings.id.as_deref().unwrap_or_default();
    let none = || format!("there is no dead letter {id}; `executor-host dead-letters` lists them");
    match settings.action {
        LetterAction::List => {
            let list = letters.list().await.map_err(ServeError::from)?;
            if settings.json {
                println!("{}", serde_json::to_string(&list)?);
                return Ok(());
            }
            for letter in list {
                let execution = letter.execution_id.map(|id| id.to_string());
                let (kind, execution) = (letter.kind.as_str(), execution.unwrap_or("-".into()));
                println!("{}  {kind:<6}  {execution}  {}", letter.id, letter.reason);
            }
        }
        LetterAction::Show => {
            let list = letters.list().await.map_err(ServeError::from)?;
            let letter = list.into_iter().find(|letter| letter.id == id);
            let body = letter.ok_or_else(none)?.body;
            match serde_json::from_slice::<serde_json::Value>(&body) {
                Ok(said) => println!("{said:#}"),
                Err(_) => println!("{}", String::from_utf8_lossy(&body)),
            }
        }
        LetterAction::PutBack => {
            if !letters.put_back(id).await.map_err(ServeError::from)? {
                return Err(none().into());
            }
            println!("{id} is in the queue again");
        }
    }
    Ok(())
}

/// Has the process that serves here finish what it has.
async fn drain_host(settings: config::Drain) -> Fallible {
    let limit = settings.timeout.map(Duration::from_secs);
    let pid = drain::drain(&settings.state.dir()?, limit).await?;
    println!("process {pid} has finished what it had, and ended");
    Ok(())
}

async fn show_languages(settings: config::Languages) -> Fallible {
    log_to_stderr(&settings.log)?;
    // A name of its own, because connecting removes what is left under a name.
    let instance = format!("languages-{}", std::process::id());
    let sandbox = DockerSandbox::connect(settings.docker.sandbox(instance, 1)?).await?;
    let languages = sandbox.all_languages().await;
    sandbox.close().await;
    let languages = languages?;
    if settings.json {
        println!("{}", serde_json::to_string(&languages)?);
    } else {
        for language in languages {
            println!("{:<12} {}", language.id, language.version);
        }
    }
    Ok(())
}

/// Runs one program, with this command's standard input or at its terminal.
async fn run_here(settings: config::Run) -> Result<ExitCode, Box<dyn Error>> {
    log_to_stderr(&settings.log())?;
    let instance = format!("run-{}", std::process::id());
    let mut docker = settings.docker.sandbox(instance, 1)?;
    // One job, so nothing is started ahead of it.
    docker.warm = 0;
    let language = settings.language.as_deref();
    let language = one_run::choose(&docker.languages, language, &settings.file)?;
    let code = std::fs::read_to_string(&settings.file)
        .map_err(|error| format!("{}: {error}", settings.file.display()))?;
    let mut stdin = String::new();
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !std::io::stdin().is_terminal() {
        std::io::stdin()
            .read_to_string(&mut stdin)
            .map_err(|error| format!("standard input: {error}"))?;
    }
    let spec = RunSpec {
        stdin,
        args: settings.args.clone(),
        ..RunSpec::default()
    };
    let job = one_run::job(&language.id, code, spec, settings.limits(on_terminal));
    let stop = shutdown::on_signals()?.now;
    let sandbox = DockerSandbox::connect(docker).await?;
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let (mut nowhere, mut neither) = (std::io::sink(), std::io::sink());
    let shown: (&mut dyn Write, &mut dyn Write) = if settings.json {
        (&mut nowhere, &mut neither)
    } else {
        (&mut stdout, &mut stderr)
    };
    let (keyboard, interaction) = match on_terminal && !settings.json {
        true => Keyboard::lend().map(|(keyboard, person)| (Some(keyboard), Some(person)))?,
        false => (None, None),
    };
    let ended = one_run::run(&sandbox, &job, interaction, stop, shown).await;
    drop(keyboard);
    sandbox.close().await;
    let outcome = ended?;
    if settings.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        eprintln!("{}", one_run::summary(&outcome));
    }
    Ok(ExitCode::from(one_run::exit_code(&outcome)))
}

/// Prints what is missing or weak on this host; fails if something is broken.
async fn examine(settings: config::Doctor) -> Result<ExitCode, Box<dyn Error>> {
    // Why an image does not work is told where that is found out, and nothing else is wanted.
    log_to_stderr(&Log {
        log_filter: "error".into(),
        ..settings.serve.log.clone()
    })?;
    let stop = shutdown::on_signals()?.now;
    let report = doctor::examine(&settings, &stop).await;
    if settings.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(if report.is_healthy() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints every setting; fails if some of them cannot be used.
fn show_config(settings: &config::Config, mut effective: Effective) -> Fallible {
    let serve = &settings.serve;
    let state_dir = serve.state.dir();
    if let Ok(state_dir) = &state_dir {
        effective.by_default("state_dir", state_dir.display());
    }
    effective.by_default("slots", serve.host().slots);
    effective.by_default("languages", "(built in)");
    if settings.json {
        println!("{}", effective.to_json());
    } else {
        print!("{effective}");
    }
    state_dir?;
    serve.plan()?;
    serve.docker.sandbox(String::new(), serve.host().slots)?;
    settings.enrolment.token()?;
    Ok(())
}

fn log_to_stderr(log: &Log) -> Fallible {
    let subscriber = logs::subscriber(log, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(())
}
