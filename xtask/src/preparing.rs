//! Images that are built while the stack of `up` runs already: the first languages are enough to
//! begin with, and the others come as they are ready, because the executor-host looks for new images
//! by itself.
//!
//! The build is a service of the stack: it outlives `up`, its log is kept, and `down` ends it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::images;
use crate::names;
use crate::process::{Service, Services, own_program};
use crate::repo::Repo;
use crate::report::Report;
use crate::step::{Lane, Step, say};
use crate::work::tail;

/// The service.
const IMAGES: &str = "images";

/// How long all of them may take, on a slow network.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// How often the build is looked at, and how often somebody who waits is told.
const LOOK: Duration = Duration::from_millis(500);
const NEWS: Duration = Duration::from_secs(15);

/// Lines of the log of a build that failed.
const TAIL_LINES: usize = 12;

/// Builds the images that are missing or outdated in the background, unless that is being done, and
/// says what is still to come. To be called by who holds the lock of the stack.
pub fn begin(repo: &Repo) -> Result<()> {
    let mut services = Services::load(&repo.state_dir())?;
    let lacking = images::lacking(repo)?;
    let log = services.log(IMAGES);
    if services.is_alive(IMAGES) {
        say(&format!(
            "still being prepared: {} ({})",
            lacking.join(", "),
            log.display()
        ));
        return Ok(());
    }
    if services.was_started(IMAGES) && !lacking.is_empty() {
        say_failed(&lacking, &log);
    }
    services.stop(IMAGES)?;
    if lacking.is_empty() {
        return Ok(());
    }
    let mut build = Service::new(IMAGES, own_program()?, repo.root())
        .argument("images")
        // By itself it would find the clone that it was compiled in.
        .setting("CARGO_MANIFEST_DIR", repo.path("xtask"))
        .with_children();
    for language in &lacking {
        build = build.option("--only", language);
    }
    services.start(&build)?;
    say(&format!(
        "being prepared in the background: {}; their programs wait until then ({})",
        lacking.join(", "),
        log.display()
    ));
    Ok(())
}

/// Waits until nothing is being prepared any more, and says meanwhile what is, and in the end what
/// could not be.
pub fn finish(repo: &Repo) -> Result<()> {
    wait(repo)?;
    let services = Services::load(&repo.state_dir())?;
    let lacking = images::lacking(repo)?;
    if services.was_started(IMAGES) && !lacking.is_empty() {
        say_failed(&lacking, &services.log(IMAGES));
    }
    Ok(())
}

/// Waits for a build in the background, so that nobody builds the same at the same time.
pub fn wait_step(repo: &Repo) -> Option<Step<'_>> {
    let services = Services::load(&repo.state_dir()).ok()?;
    services.is_alive(IMAGES).then(|| {
        Step::new(names::PREPARING, Lane::Network, move |_| {
            wait(repo)?;
            Report::done()
        })
    })
}

fn say_failed(lacking: &[String], log: &Path) {
    say(&format!(
        "could not be prepared: {}\n--- the end of {} ---\n{}\n---",
        lacking.join(", "),
        log.display(),
        tail(log, TAIL_LINES)
    ));
}

fn wait(repo: &Repo) -> Result<()> {
    let begun = Instant::now();
    let mut told: Option<Instant> = None;
    // Read again each time: another command may start or stop it.
    while Services::load(&repo.state_dir())?.is_alive(IMAGES) {
        ensure!(
            begun.elapsed() < LIMIT,
            "still being prepared after {} minutes",
            LIMIT.as_secs() / 60
        );
        if told.is_none_or(|at| at.elapsed() > NEWS) {
            let lacking = images::lacking(repo).context("which images are lacking")?;
            say(&format!("waiting for the images of {}", lacking.join(", ")));
            told = Some(Instant::now());
        }
        thread::sleep(LOOK);
    }
    Ok(())
}
