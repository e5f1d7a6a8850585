//! Runs every promise against a deployment: `conformance --url http://127.0.0.1:8787`.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use codecrafter_tests::collector::Collector;
use codecrafter_tests::conformance::CASES;
use codecrafter_tests::world::World;

/// Tries the promises of the HTTP API on a deployment.
#[derive(Parser)]
struct Arguments {
    /// The deployment's URL.
    #[arg(long)]
    url: String,
    /// The deployment's secret: some promises are about forged and expired tokens, and about
    /// enrolling.
    #[arg(long, env = "CODECRAFTER_SECRET", hide_env_values = true)]
    secret: String,
    /// Where to listen for the spans that the deployment sends, if it does.
    #[arg(long)]
    collector: Option<SocketAddr>,
    /// One JSON object a line: `{"name", "ok", "why"}`.
    #[arg(long)]
    json: bool,
    /// Only the promises whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let url = arguments.url.trim_end_matches('/');
    let mut world = match World::new(url, arguments.secret) {
        Ok(world) => world,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(address) = arguments.collector {
        match Collector::listen(address).await {
            Ok(collector) => world.collector = Some(collector),
            Err(error) => {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    let mut broken = 0;
    for case in CASES
        .iter()
        .filter(|case| case.name.contains(&arguments.only))
    {
        let why = (case.run)(world.clone())
            .await
            .err()
            .map(|error| format!("{error:#}"));
        broken += u32::from(why.is_some());
        if arguments.json {
            let line = serde_json::json!({ "name": case.name, "ok": why.is_none(), "why": why });
            println!("{line}");
        } else {
            let mark = if why.is_none() { "ok    " } else { "BROKEN" };
            println!("{mark} {} {}", case.name, why.unwrap_or_default());
        }
    }
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
