//! What the machine does meanwhile: CPU time by who used it, and how far others were in the way.

use std::fs;
use std::path::PathBuf;

use crate::docker::Engine;

/// The kernel counts CPU time for `/proc` in hundredths of a second.
const TICK_MS: f64 = 10.0;

/// CPU time in milliseconds until now, by who used it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// Everything on the machine.
    pub machine: f64,
    /// dockerd and containerd.
    pub engine: f64,
    /// This process: the host, or whoever asks for containers.
    pub own: f64,
    /// Processes that this one has started and that have ended.
    pub children: f64,
    /// Everything in our containers.
    pub containers: f64,
}

impl Cpu {
    pub fn now(engine: &Engine) -> Self {
        let (own, children) = of_process("self").unwrap_or_default();
        Self {
            machine: Machine::now().busy,
            engine: of_engine(),
            own,
            children,
            containers: engine.containers_cpu().as_secs_f64() * 1e3,
        }
    }

    /// What was used since `earlier`, each of `jobs`.
    pub fn each(self, earlier: Self, jobs: usize) -> Self {
        let each = |now: f64, then: f64| (now - then) / jobs.max(1) as f64;
        Self {
            machine: each(self.machine, earlier.machine),
            engine: each(self.engine, earlier.engine),
            own: each(self.own, earlier.own),
            children: each(self.children, earlier.children),
            containers: each(self.containers, earlier.containers),
        }
    }

    /// What nobody else has used: shims, runtimes that start containers, the kernel, and other
    /// people's processes.
    pub fn rest(self) -> f64 {
        (self.machine - self.engine - self.own - self.children - self.containers).max(0.0)
    }
}

fn of_engine() -> f64 {
    let Ok(processes) = fs::read_dir("/proc") else {
        return 0.0;
    };
    let is_engine = |folder: &PathBuf| {
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        matches!(name.trim_end(), "dockerd" | "containerd")
    };
    processes
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_engine)
        .filter_map(|folder| of_process(folder.file_name()?.to_str()?))
        // What starts containers for them is theirs.
        .map(|(own, children)| own + children)
        .sum()
}

/// Milliseconds of a process, and of those of its children that have ended.
pub fn of_process(id: &str) -> Option<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // After the name, which may hold anything, begins the third field.
    let fields: Vec<f64> = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let at = |field: usize| fields.get(field - 3).copied().unwrap_or_default() * TICK_MS;
    Some((at(14) + at(15), at(16) + at(17)))
}

/// The first line of `/proc/stat`, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Machine {
    busy: f64,
    stolen: f64,
    all: f64,
}

impl Machine {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let at = |field: usize| fields.get(field).copied().unwrap_or_default() * TICK_MS;
        // user, nice, system, idle, waiting, interrupts, soft ones, stolen
        Self {
            busy: at(0) + at(1) + at(2) + at(5) + at(6),
            stolen: at(7),
            all: (0..8).map(at).sum(),
        }
    }
}

/// How far others were in the way of a measurement.
#[derive(Debug)]
pub struct Noise {
    load: String,
    machine: Machine,
}

impl Noise {
    pub fn begin() -> Self {
        Self {
            load: load(),
            machine: Machine::now(),
        }
    }

    /// As words.
    pub fn end(self) -> String {
        let now = Machine::now();
        let all = (now.all - self.machine.all).max(1.0);
        let stolen = 100.0 * (now.stolen - self.machine.stolen) / all;
        let busy = 100.0 * (now.busy - self.machine.busy) / all;
        format!(
            "load {} before and {} after, {busy:.0} % of the CPU time used, {stolen:.1} % stolen \
             by the hypervisor",
            self.load,
            load()
        )
    }
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}
