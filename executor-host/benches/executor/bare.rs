//! The bare process: the same programs on the same files and the same kernel, without a container.
//!
//! A process of our own, because its root is that of the image and cannot be changed back. It
//! starts programs as the standard library does, by `posix_spawn`, and reads what they write.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::chroot;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent_protocol::WORK_DIR;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::docker::Mounted;
use crate::programs::Program;
use crate::report::Samples;

/// Fewer are no median.
const LEAST: usize = 3;

/// What to start how often.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    root: PathBuf,
    files: Vec<(String, String)>,
    compiler: Option<Vec<String>>,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    pace: Pace,
}

/// How often programs are started.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Pace {
    /// At a time.
    pub parallel: usize,
    /// For so long.
    pub time: Duration,
    /// And no more than so many in each line.
    pub most: usize,
    /// So long after the one before has ended.
    pub pause: Duration,
}

/// How long each has taken.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Done {
    compiles: Vec<Duration>,
    runs: Vec<Duration>,
    wall: Duration,
}

/// Times of the bare process.
pub struct Bare {
    pub compile: Samples,
    pub run: Samples,
    /// Both together.
    pub total: Samples,
    /// All of it.
    pub wall: Duration,
}

/// Runs a program again and again on an image's files.
pub async fn measure(mounted: &Mounted<'_>, program: &Program, pace: Pace) -> Result<Bare> {
    let task = Task {
        root: mounted.root.clone(),
        files: program.files(),
        compiler: program.compiler(),
        command: program.command(),
        environment: program.environment(),
        pace,
    };
    let done = tokio::task::spawn_blocking(move || start(&task)).await??;
    let both = done
        .compiles
        .iter()
        .chain(std::iter::repeat(&Duration::ZERO));
    let total = done
        .runs
        .iter()
        .zip(both)
        .map(|(run, compile)| *run + *compile);
    Ok(Bare {
        total: total.collect(),
        compile: done.compiles.iter().copied().collect(),
        run: done.runs.iter().copied().collect(),
        wall: done.wall,
    })
}

fn start(task: &Task) -> Result<Done> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--bare")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&serde_json::to_vec(task)?)?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err("the bare process could not be measured".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The process that starts programs: reads its task and writes how long each has taken.
pub fn child() -> Result<()> {
    let mut task = Vec::new();
    io::stdin().read_to_end(&mut task)?;
    let task: Task = serde_json::from_slice(&task)?;
    chroot(&task.root)?;
    std::env::set_current_dir(WORK_DIR)?;
    write_files(&task)?;
    let begun = Instant::now();
    let lines: Vec<Result<Done>> = thread::scope(|scope| {
        let lines: Vec<_> = (0..task.pace.parallel)
            .map(|_| scope.spawn(|| one_after_the_other(&task)))
            .collect();
        let panicked = |_| Err("a thread panicked".into());
        lines
            .into_iter()
            .map(|line| line.join().unwrap_or_else(panicked))
            .collect()
    });
    let mut all = Done {
        wall: begun.elapsed(),
        ..Done::default()
    };
    for line in lines {
        let line = line?;
        all.compiles.extend(line.compiles);
        all.runs.extend(line.runs);
    }
    serde_json::to_writer(io::stdout(), &all)?;
    Ok(())
}

fn one_after_the_other(task: &Task) -> Result<Done> {
    let mut done = Done::default();
    let (begun, pace) = (Instant::now(), task.pace);
    // One that is not counted: the files have to come from the disk.
    let mut is_counted = false;
    let is_over = |runs| runs >= LEAST && (begun.elapsed() >= pace.time || runs >= pace.most);
    while !is_over(done.runs.len()) {
        thread::sleep(pace.pause);
        if task.compiler.is_some() {
            write_files(task)?;
        }
        let compile = task
            .compiler
            .as_ref()
            .map(|argv| once(task, argv))
            .transpose()?;
        let run = once(task, &task.command)?;
        if is_counted {
            done.compiles.extend(compile);
            done.runs.push(run);
        }
        is_counted = true;
    }
    Ok(done)
}

/// The work directory as a job finds it. Some compilers do little if what they made is there yet.
fn write_files(task: &Task) -> Result<()> {
    for entry in fs::read_dir(WORK_DIR)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    for (path, content) in &task.files {
        fs::write(path, content)?;
    }
    Ok(())
}

fn once(task: &Task, argv: &[String]) -> Result<Duration> {
    let (program, arguments) = argv.split_first().ok_or("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(task.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    let begun = Instant::now();
    let output = command.output()?;
    let took = begun.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{argv:?} {}: {said}", output.status).into());
    }
    Ok(took)
}
