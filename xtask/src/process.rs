//! Background services: started with their output in a log, known again by their process id and
//! the time when that process began, stopped by these and never by name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};
use serde::{Deserialize, Serialize};

use crate::inputs::Inputs;

/// How long a service may take to end by itself, unless it says otherwise.
const GRACE_SECONDS: u64 = 20;

/// How long a killed process may take until it is gone.
const KILL_LIMIT: Duration = Duration::from_secs(60);

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How to start a service.
#[derive(Debug, Clone)]
pub struct Service {
    name: &'static str,
    program: PathBuf,
    folder: PathBuf,
    arguments: Vec<OsString>,
    settings: Vec<(&'static str, OsString)>,
    reads: Vec<PathBuf>,
    grace_seconds: u64,
    with_children: bool,
}

impl Service {
    /// A service that is started in `folder`.
    pub fn new(name: &'static str, program: impl Into<PathBuf>, folder: &Path) -> Self {
        Self {
            name,
            program: program.into(),
            folder: folder.to_owned(),
            arguments: Vec::new(),
            settings: Vec::new(),
            reads: Vec::new(),
            grace_seconds: GRACE_SECONDS,
            with_children: false,
        }
    }

    /// Adds an argument.
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds an option and its value.
    pub fn option(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.argument(name).argument(value)
    }

    /// Sets a variable of its environment.
    pub fn setting(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.settings.push((name, value.as_ref().to_owned()));
        self
    }

    /// Names a file or folder that it reads once, at its start: a change there needs a new start.
    pub fn reads(mut self, path: impl Into<PathBuf>) -> Self {
        self.reads.push(path.into());
        self
    }

    /// Says how long it may take to end by itself before it is killed.
    pub fn grace_seconds(mut self, seconds: u64) -> Self {
        self.grace_seconds = seconds;
        self
    }

    /// Says that the programs that it starts are to end with it: it has a process group of its own,
    /// whoever started it.
    pub fn with_children(mut self) -> Self {
        self.with_children = true;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Changes whenever the service must be started anew.
    fn fingerprint(&self) -> Result<String> {
        let mut inputs = Inputs::default().text(self.program.to_string_lossy());
        for argument in &self.arguments {
            inputs = inputs.text(argument.to_string_lossy());
        }
        for (name, value) in &self.settings {
            inputs = inputs.text(name).text(value.to_string_lossy());
        }
        // By its looks only: workerd has a hundred megabytes.
        if let Ok(program) = self.program.metadata() {
            let changed = program.modified()?;
            inputs = inputs.text(format!("{} {changed:?}", program.len()));
        }
        for path in &self.reads {
            inputs = inputs.path(path)?;
        }
        Ok(inputs.finish())
    }
}

/// A service that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    pid: i32,
    /// Which process had that id: ids come again, with another beginning or after another boot.
    began: String,
    fingerprint: String,
    #[serde(default)]
    grace_seconds: u64,
    #[serde(default)]
    with_children: bool,
}

impl Started {
    fn is_alive(&self) -> bool {
        // One that we started ourselves stays as a zombie until somebody asks for its status.
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        beginning(self.pid).is_some_and(|began| began == self.began)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // It may end by itself in this very moment; then there is nothing to do.
            let _ = if self.with_children {
                kill_process_group(pid, signal)
            } else {
                kill_process(pid, signal)
            };
        }
    }

    /// Kills the process and waits until it is gone.
    fn kill(&self, name: &str) -> Result<()> {
        self.signal(Signal::KILL);
        ensure!(
            self.is_gone_within(KILL_LIMIT),
            "{name} (process {}) cannot be killed",
            self.pid
        );
        Ok(())
    }

    /// Waits until the process is gone; false if it is not within `limit`.
    fn is_gone_within(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.is_alive() {
            if begun.elapsed() > limit {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }
}

/// The services of one stack, written down in its folder so that another command finds them.
#[derive(Debug)]
pub struct Services {
    folder: PathBuf,
    started: BTreeMap<String, Started>,
    detached: bool,
}

impl Services {
    /// What was started from `folder`; nothing if nothing was.
    pub fn load(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("logs"))?;
        let file = folder.join("services.json");
        let started = if file.exists() {
            let text = fs::read(&file).with_context(|| file.display().to_string())?;
            serde_json::from_slice(&text).with_context(|| file.display().to_string())?
        } else {
            BTreeMap::new()
        };
        Ok(Self {
            folder: folder.to_owned(),
            started,
            detached: true,
        })
    }

    /// As [`load`](Self::load), but what is started ends together with this command when the
    /// terminal interrupts it.
    pub fn load_attached(folder: &Path) -> Result<Self> {
        Ok(Self {
            detached: false,
            ..Self::load(folder)?
        })
    }

    /// Where a service writes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    /// Whether the service runs.
    pub fn is_alive(&self, name: &str) -> bool {
        self.started.get(name).is_some_and(Started::is_alive)
    }

    /// The service's process, if it runs.
    pub fn pid(&self, name: &str) -> Option<i32> {
        let started = self.started.get(name)?;
        started.is_alive().then_some(started.pid)
    }

    /// Whether the service was started and has neither been stopped nor forgotten since; it may
    /// have ended by itself.
    pub fn was_started(&self, name: &str) -> bool {
        self.started.contains_key(name)
    }

    /// Starts the service unless it runs already and nothing changed that it was started from.
    /// True if it was started.
    pub fn start(&mut self, service: &Service) -> Result<bool> {
        let fingerprint = service.fingerprint()?;
        let unchanged =
            |started: &Started| started.fingerprint == fingerprint && started.is_alive();
        if self.started.get(service.name).is_some_and(unchanged) {
            return Ok(false);
        }
        self.stop(service.name)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.log(service.name))?;
        let mut command = service.command();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if self.detached || service.with_children {
            command.process_group(0);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", service.program.display()))?;
        let pid = i32::try_from(child.id())?;
        let began = beginning(pid).with_context(|| format!("{} ended at once", service.name))?;
        let started = Started {
            pid,
            began,
            fingerprint,
            grace_seconds: service.grace_seconds,
            with_children: service.with_children,
        };
        self.started.insert(service.name.to_owned(), started);
        self.save()?;
        Ok(true)
    }

    /// Asks the service to end and waits until it has; one that will not is killed.
    pub fn stop(&mut self, name: &str) -> Result<()> {
        if let Some(started) = self.started.remove(name) {
            started.signal(Signal::TERM);
            if !started.is_gone_within(Duration::from_secs(started.grace_seconds)) {
                started.kill(name)?;
            }
            self.save()?;
        }
        Ok(())
    }

    /// Kills the service as a crash would, and waits until it is gone.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let started = self.started.remove(name);
        let started = started.with_context(|| format!("{name} was not started"))?;
        started.kill(name)?;
        self.save()
    }

    /// Stops every service, those named in `order` first and in that order.
    pub fn stop_all(&mut self, order: &[&str]) -> Result<Vec<String>> {
        let mut names: Vec<String> = order.iter().map(|name| (*name).to_owned()).collect();
        names.extend(
            self.started
                .keys()
                .filter(|name| !order.contains(&name.as_str()))
                .cloned(),
        );
        names.retain(|name| self.started.contains_key(name));
        let mut stopped = Vec::new();
        for name in names {
            if self.is_alive(&name) {
                stopped.push(name.clone());
            }
            self.stop(&name)?;
        }
        Ok(stopped)
    }

    fn save(&self) -> Result<()> {
        let file = self.folder.join("services.json");
        let new = self.folder.join("services.json.new");
        fs::write(&new, serde_json::to_vec_pretty(&self.started)?)?;
        fs::rename(&new, &file).with_context(|| file.display().to_string())
    }
}

/// This very program, for a process that is to run another of its commands.
pub fn own_program() -> Result<PathBuf> {
    // Linux says so when cargo has put a newer program in the place of this one.
    let program = std::env::current_exe()?.display().to_string();
    Ok(PathBuf::from(
        program.strip_suffix(" (deleted)").unwrap_or(&program),
    ))
}

/// When the process began, as text that no other process shares; none if there is no such process
/// or all of it has ended and only waits for its parent (proc_pid_stat(5), fields 3, 20 and 22).
fn beginning(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, threads, began) = (*fields.first()?, *fields.get(17)?, *fields.get(19)?);
    // A process is a zombie as soon as its first thread has ended; until the last one has, it
    // keeps its files and ports.
    if matches!(state, "Z" | "X") && matches!(threads, "0" | "1") {
        return None;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{}:{began}", boot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()))
    }

    fn sleeper() -> Service {
        Service::new("sleeper", "sleep", Path::new("/")).argument("600")
    }

    #[test]
    fn a_service_is_found_again_and_stopped_by_another_command() -> Result<()> {
        let folder = folder("found");
        assert!(Services::load(&folder)?.start(&sleeper())?);
        let mut again = Services::load(&folder)?;
        assert!(again.is_alive("sleeper"));
        again.stop("sleeper")?;
        assert!(!again.is_alive("sleeper"));
        assert!(Services::load(&folder)?.started.is_empty());
        Ok(fs::remove_dir_all(folder)?)
    }

    #[test]
    fn an_unchanged_service_is_left_alone_and_a_changed_one_starts_anew() -> Result<()> {
        let folder = folder("changed");
        let mut services = Services::load(&folder)?;
        services.start(&sleeper())?;
        let first = services.started["sleeper"].clone();
        assert!(!services.start(&sleeper())?);
        assert_eq!(services.started["sleeper"], first);
        assert!(services.start(&sleeper().setting("NEW", "1"))?);
        assert_ne!(services.started["sleeper"].pid, first.pid);
        assert!(!first.is_alive());
        services.stop("sleeper")?;
        Ok(fs::remove_dir_all(folder)?)
    }

    #[test]
    fn the_children_of_a_service_end_with_it_where_that_was_said() -> Result<()> {
        let folder = folder("children");
        let mut services = Services::load(&folder)?;
        let child = folder.join("child");
        let script = format!("sleep 600 & echo $! > {}; wait", child.display());
        let service = Service::new("parent", "sh", Path::new("/")).option("-c", script);
        services.start(&service.with_children())?;
        let begun = Instant::now();
        let child = loop {
            let written = fs::read_to_string(&child).unwrap_or_default();
            if let Ok(pid) = written.trim().parse() {
                break pid;
            }
            ensure!(begun.elapsed() < KILL_LIMIT, "no child");
            thread::sleep(LOOK);
        };
        assert!(beginning(child).is_some());
        services.stop("parent")?;
        while beginning(child).is_some() {
            ensure!(begun.elapsed() < KILL_LIMIT, "the child goes on");
            thread::sleep(LOOK);
        }
        Ok(fs::remove_dir_all(folder)?)
    }

    #[test]
    fn another_process_with_the_same_id_is_not_taken_for_the_service() -> Result<()> {
        let folder = folder("reused");
        let mut services = Services::load(&folder)?;
        services.start(&sleeper())?;
        let started = services.started.get_mut("sleeper").context("started")?;
        let real = started.clone();
        started.began = "another boot:1".to_owned();
        services.stop("sleeper")?;
        assert!(real.is_alive(), "a process that is not ours was killed");
        services.started.insert("sleeper".to_owned(), real);
        services.kill("sleeper")?;
        Ok(fs::remove_dir_all(folder)?)
    }
}
