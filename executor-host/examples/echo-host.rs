//! An executor-host that runs no program: the whole service of `executor-host serve`, with its
//! settings, around a sandbox that follows a job's text line by line ([`Echo`]). For tests of what
//! is around a sandbox, where thousands of jobs have to pass and processes to die.

use std::error::Error;
use std::sync::Arc;

use executor_host::config::{self, Command, Plan};
use executor_host::health::{self, Monitor};
use executor_host::link::Credentials;
use executor_host::logs;
use executor_host::queue::RabbitMq;
use executor_host::sandbox::echo::Echo;
use executor_host::serve::{Worker, open_queue, serve, serve_shared, take_place};
use executor_host::shutdown;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cli = config::load(std::env::args_os())
        .map_err(|error| match error {
            config::LoadError::Usage(usage) => usage.to_string(),
            config::LoadError::File(error) => error.to_string(),
        })?
        .cli;
    let Some(Command::Serve(settings)) = cli.command else {
        return Err("it can do nothing but `serve`".into());
    };
    tracing::subscriber::set_global_default(logs::subscriber(&settings.log, std::io::stderr)?)?;
    let state_dir = settings.state.dir()?;
    let monitor = Monitor::default();
    if let Some(address) = settings.metrics {
        let server = health::Server::bind(address).await?;
        tokio::spawn(server.run(monitor.clone()));
    }
    let joined = || -> Result<Credentials, Box<dyn Error>> {
        Credentials::load(&state_dir)?.ok_or_else(|| "it has not joined an edge".into())
    };
    let (sandbox, stop) = (Arc::new(Echo::default()), shutdown::on_signals()?);
    match settings.plan()? {
        Plan::Alone => {
            let (credentials, queue) = (joined()?, Arc::new(open_queue(&state_dir)?));
            serve(queue, credentials, settings.host(), sandbox, monitor, stop).await?;
        }
        Plan::Shared {
            address,
            prefix,
            link,
            worker,
        } => {
            let credentials = link.then(joined).transpose()?;
            let place = worker.then(|| take_place(&state_dir)).transpose()?;
            let worker = place.as_ref().map(|place| Worker {
                name: place.name.clone(),
                settings: settings.host(),
                sandbox,
            });
            let queue = RabbitMq::new(address, prefix);
            serve_shared(queue, credentials, worker, monitor, stop).await?;
        }
    }
    Ok(())
}
