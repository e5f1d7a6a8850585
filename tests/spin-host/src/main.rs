//! Serves the components of a `spin.toml` in wasmtime with what Spin 4.1 would give them, so that
//! the edge's component is tested where no Spin is installed. What it copies of Spin's behaviour,
//! pleasant or not, is said where it is done.
//!
//! Modules in the order in which they are met: at the start, then by a request.

mod settings;

mod manifest;
mod template;

mod component;
mod offer;

mod routes;
mod serve;
mod workers;

mod bindings;
mod instance;
mod key_value;
mod outgoing;
mod rows;
mod sqlite;
mod variables;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::exit;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use wasmtime_wasi_http::handler::ProxyHandler;

use manifest::Manifest;
use offer::Offer;
use serve::Application;
use settings::{Serving, Settings, Task};
use workers::Instances;

#[tokio::main]
async fn main() {
    let filter = EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .init();
    let ran = match Settings::parse(std::env::args().skip(1)) {
        Ok(Some(settings)) => run(settings).await,
        Ok(None) => {
            print!("{}", settings::HELP);
            Ok(())
        }
        Err(error) => Err(error),
    };
    // Not by returning: what is still under way has had its time, and would be waited for.
    match ran {
        Ok(()) => exit(0),
        Err(error) => {
            tracing::error!("{error:#}");
            exit(1);
        }
    }
}

async fn run(settings: Settings) -> Result<()> {
    let path = settings.manifest.display();
    let text = std::fs::read_to_string(&settings.manifest)
        .with_context(|| format!("cannot read {path}"))?;
    let manifest = Manifest::parse(&text).with_context(|| path.to_string())?;
    let root = settings.manifest.parent().unwrap_or(Path::new("."));
    let serving = match settings.task {
        Task::Compile => return compile(&manifest, root),
        Task::Serve(serving) => serving,
    };

    // Before this host serves, a signal ends it at once.
    let application = application(manifest, root, &serving)?;
    let stopped = stop_at_signal()?;
    let listener = TcpListener::bind(serving.listen)
        .await
        .with_context(|| format!("cannot listen on {}", serving.listen))?;
    let mut output = std::io::stdout();
    writeln!(output, "listening on http://{}", listener.local_addr()?)?;
    output.flush()?;
    serve::serve(application, listener, stopped).await
}

fn compile(manifest: &Manifest, root: &Path) -> Result<()> {
    let engine = component::engine()?;
    for component in manifest.component.values() {
        component::load(&engine, &root.join(&component.source))?;
    }
    Ok(())
}

/// Everything up to the first request.
fn application(manifest: Manifest, root: &Path, serving: &Serving) -> Result<Application> {
    offer::make_state_folder(&serving.state)?;
    let values = offer::values(&manifest.variables, |name| std::env::var(name).ok())?;
    let engine = component::engine()?;
    let mut handlers = BTreeMap::new();
    for (name, component) in &manifest.component {
        let of = || format!("component {name:?} of {}", manifest.application.name);
        let offer = Offer::new(component, &values, root, &serving.state).with_context(of)?;
        let loaded = component::load(&engine, &root.join(&component.source)).with_context(of)?;
        let instances = Instances::new(engine.clone(), loaded, offer, serving.reuse);
        handlers.insert(name.clone(), ProxyHandler::new(instances));
    }
    let routes = manifest.trigger.http;
    Ok(Application {
        routes: routes
            .into_iter()
            .map(|trigger| (trigger.route, trigger.component))
            .collect(),
        handlers,
    })
}

/// Becomes true when somebody asks this process to end.
fn stop_at_signal() -> Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
    });
    Ok(stopped)
}
