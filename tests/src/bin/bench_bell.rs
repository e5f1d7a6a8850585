//! Rings the exam bell for a deployment that runs programs. Prints one line of JSON.
//! `cargo xtask bench executor` runs it and draws the table.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use codecrafter_tests::bell;

#[derive(Parser)]
struct Arguments {
    /// Where it is, such as `http://127.0.0.1:8787`.
    #[arg(long)]
    url: String,
    /// What is handed in.
    #[arg(long, default_value_t = 500)]
    submissions: usize,
    /// Within so many seconds.
    #[arg(long, default_value_t = 60)]
    window: u64,
}

// One thread: what runs the programs needs the processors.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments {
        url,
        submissions,
        window,
    } = Arguments::parse();
    let rung = bell::ring(&url, submissions, Duration::from_secs(window)).await?;
    println!("{}", serde_json::to_string(&rung)?);
    Ok(())
}
