//! The command `executor-host`: settings, wiring, run until a signal.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use codecrafter_shared::keys;
use executor_host::config::{self, Cli, Command, Log, LogFormat};
use executor_host::docker::{DockerSandbox, DockerSettings};
use executor_host::link::Credentials;
use executor_host::link::enrol::{self, Joined};
use executor_host::queue::Embedded;
use executor_host::retry::Retry;
use executor_host::sandbox::Sandbox as _;
use executor_host::serve::{QUEUE_FILE, open_queue, serve};
use executor_host::shutdown;
use serde_json::json;
use tracing_subscriber::EnvFilter;

type Fallible = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("executor-host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Fallible {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(settings) => asynchronously(run_service(settings)),
        Command::Join(settings) => asynchronously(join(settings)),
        Command::JoinToken => {
            println!("{}", keys::join_token(&config::secret()?));
            Ok(())
        }
        Command::Queue(settings) => show_queue(settings),
        Command::Languages(settings) => asynchronously(show_languages(settings)),
    }
}

fn asynchronously(work: impl Future<Output = Fallible>) -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

async fn run_service(settings: config::Serve) -> Fallible {
    log_to_stderr(&settings.log)?;
    let (state_dir, host) = (settings.state.dir()?, settings.host()?);
    let credentials = Credentials::load(&state_dir)?.ok_or_else(|| {
        format!(
            "this host has not joined an edge yet (no credentials in {}); \
             run `executor-host join https://EDGE --token TOKEN`",
            state_dir.display()
        )
    })?;
    let docker = settings
        .docker
        .sandbox(credentials.executor_id.to_string())?;
    let stop = shutdown::on_signals()?;
    let queue = Arc::new(open_queue(&state_dir)?);
    let Some(sandbox) = stop.run_until_cancelled(connect(docker)).await else {
        return Ok(());
    };
    let served = serve(queue, credentials, host, Arc::clone(&sandbox) as _, stop).await;
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
        token: &settings.token,
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

fn show_queue(settings: config::Show) -> Fallible {
    let depth = Embedded::inspect(&settings.state.dir()?.join(QUEUE_FILE))?;
    if settings.json {
        let shown = json!({
            "queue": "embedded",
            "ready": depth.ready,
            "running": depth.running,
            "results": depth.results,
            "parked": depth.parked,
        });
        println!("{shown}");
    } else {
        println!("embedded queue");
        println!("  ready    {:>6}  jobs that wait", depth.ready);
        println!("  running  {:>6}  jobs that were taken", depth.running);
        println!(
            "  results  {:>6}  that the edge has not taken yet",
            depth.results
        );
        println!(
            "  parked   {:>6}  messages that could not be read",
            depth.parked
        );
    }
    Ok(())
}

async fn show_languages(settings: config::Languages) -> Fallible {
    log_to_stderr(&settings.log)?;
    // A name of its own, because connecting removes what is left under a name.
    let instance = format!("languages-{}", std::process::id());
    let sandbox = DockerSandbox::connect(settings.docker.sandbox(instance)?).await?;
    let languages = sandbox.languages().await;
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

fn log_to_stderr(log: &Log) -> Fallible {
    let filter = EnvFilter::try_new(&log.log_filter)
        .map_err(|error| format!("--log {}: {error}", log.log_filter))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match log.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
