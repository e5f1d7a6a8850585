//! Running tools: their output goes to the step's log, and what went wrong is an error that says
//! where to look.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How often a tool with a time limit is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What a step has in hand: its log.
#[derive(Debug, Clone)]
pub struct Work {
    log: PathBuf,
}

impl Work {
    /// Begins an empty log in `folder`, named for the step.
    pub fn begin(folder: &Path, step: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let log = folder.join(format!("{}.log", step.replace([' ', '/'], "-")));
        File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        Ok(Self { log })
    }

    /// The log's path.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Runs a tool to its end; one that fails is an error.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        let mut child = self.start(command, self.file()?.into())?;
        let status = child.wait()?;
        ensure!(status.success(), "{} ended with {status}", shown(command));
        Ok(())
    }

    /// As [`run`](Self::run), but a tool that says nothing for its first `patience` is killed:
    /// what waits for a server that will never answer.
    pub fn run_if_it_speaks(&self, patience: Duration, command: &mut Command) -> Result<()> {
        let announced = shown(command).len() as u64 + 3;
        let silent = fs::metadata(&self.log)?.len() + announced;
        let begun = Instant::now();
        let mut child = self.start(command, self.file()?.into())?;
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}", shown(command));
                return Ok(());
            }
            if begun.elapsed() > patience && fs::metadata(&self.log)?.len() <= silent {
                child.kill()?;
                child.wait()?;
                bail!(
                    "{} said nothing for {} s",
                    shown(command),
                    patience.as_secs()
                );
            }
            thread::sleep(LOOK);
        }
    }

    /// Runs a tool and gives its standard output; the rest goes to the log.
    pub fn output(&self, command: &mut Command) -> Result<String> {
        let (text, success) = self.output_and_success(command)?;
        ensure!(success, "{} failed", shown(command));
        Ok(text)
    }

    /// As [`output`](Self::output), for a tool whose failure is an answer too.
    pub fn output_and_success(&self, command: &mut Command) -> Result<(String, bool)> {
        let mut child = self.start(command, Stdio::piped())?;
        let mut log = self.file()?;
        let mut text = String::new();
        // A line at a time, so that the log shows how far the tool is.
        for line in BufReader::new(child.stdout.take().context("no output")?).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            writeln!(log, "{line}")?;
            text.push_str(&line);
            text.push('\n');
        }
        Ok((text, child.wait()?.success()))
    }

    /// Writes a line of our own into the log.
    pub fn note(&self, text: &str) -> Result<()> {
        writeln!(self.file()?, "{text}")?;
        Ok(())
    }

    /// The last `count` lines of the log.
    pub fn tail(&self, count: usize) -> String {
        tail(&self.log, count)
    }

    /// Starts a tool after a line of the log that names it: `$ `, the command, a line's end.
    fn start(&self, command: &mut Command, stdout: Stdio) -> Result<Child> {
        self.note(&format!("$ {}", shown(command)))?;
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(self.file()?)
            .spawn()
            .with_context(|| format!("cannot start {}", shown(command)))
    }

    fn file(&self) -> Result<File> {
        OpenOptions::new()
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))
    }
}

/// The last `count` lines of a file; empty if it cannot be read.
pub fn tail(file: &Path, count: usize) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// A command as a person would type it, without its environment, which may hold secrets.
pub fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a program of that name is on `PATH`.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// Whether a command that only asks something succeeds; its output goes nowhere.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a command that only asks something prints, trimmed; none if it fails.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
