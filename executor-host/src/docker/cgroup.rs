//! A container's cgroups as the host sees them: what it has used, whether the kernel killed for
//! memory, what it may use, and the way to end all of it at once.
//!
//! Works on cgroup v1, v2 and a hybrid of the two, and finds the paths in `/proc/PID/cgroup`
//! instead of guessing how the engine builds them. Where the host's cgroups cannot be reached
//! (the service itself runs in a container), there is no [`Cgroup`], and callers use what the
//! engine and the agent say.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::harden::Budget;

const ROOT: &str = "/sys/fs/cgroup";

/// Where a container's counters and its kill switch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    cpu: Place,
    memory: Place,
    pids: Option<Place>,
    /// Where its share of CPU time is set.
    quota: Option<Place>,
    /// `cgroup.kill`, on kernels that have it (5.14).
    kill: Option<PathBuf>,
}

/// A controller's folder, and whose files are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    V1(PathBuf),
    V2(PathBuf),
}

/// What a container has used until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// CPU time of everything in it.
    pub cpu: Duration,
    /// The most memory held at once, since [`Cgroup::reset_peak`] where the kernel allows that.
    pub peak_bytes: u64,
    /// Processes killed because the memory limit was reached.
    pub oom_kills: u64,
}

impl Cgroup {
    /// The cgroup of the container whose first process has this id on this host.
    ///
    /// `None` if it cannot be seen from here.
    pub fn of_container(container: &str, pid: i64) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Self::detect(&text, container, Path::exists)
    }

    /// Finds the places from the text of `/proc/PID/cgroup`.
    ///
    /// A path counts only if it carries the container's id. That keeps a process id of another
    /// namespace, used again for something else, from naming a cgroup that is not the container's.
    fn detect(text: &str, container: &str, exists: impl Fn(&Path) -> bool) -> Option<Self> {
        let lines = || {
            text.lines().filter_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                let relative = path.strip_prefix('/')?;
                (!container.is_empty() && path.contains(container))
                    .then_some((controllers, relative))
            })
        };
        let v1 = |controller: &str, file: &str| {
            lines().find_map(|(controllers, path)| {
                controllers
                    .split(',')
                    .any(|name| name == controller)
                    .then_some(())?;
                // Controllers that are mounted together have one folder, with a link for each
                // name on most systems but not on all.
                [controller, controllers]
                    .map(|mount| Path::new(ROOT).join(mount).join(path))
                    .into_iter()
                    .find(|folder| exists(&folder.join(file)))
                    .map(Place::V1)
            })
        };
        let v2_folders = || {
            lines()
                .filter(|(controllers, _)| controllers.is_empty())
                .flat_map(|(_, path)| {
                    [ROOT.to_owned(), format!("{ROOT}/unified")]
                        .map(|root| Path::new(&root).join(path))
                })
        };
        let v2 = |file: &str| {
            v2_folders()
                .find(|folder| exists(&folder.join(file)))
                .map(Place::V2)
        };

        Some(Self {
            // A v2 folder of a hybrid has no controllers, so v1 is asked first.
            cpu: v1("cpuacct", "cpuacct.usage").or_else(|| v2("cpu.stat"))?,
            memory: v1("memory", "memory.oom_control").or_else(|| v2("memory.events"))?,
            pids: v1("pids", "pids.max").or_else(|| v2("pids.max")),
            quota: v1("cpu", "cpu.cfs_quota_us").or_else(|| v2("cpu.max")),
            kill: v2_folders()
                .map(|folder| folder.join("cgroup.kill"))
                .find(|path| exists(path)),
        })
    }

    /// Reads the counters.
    ///
    /// # Errors
    /// The container has gone, or a file is not as the kernel documents it.
    pub fn counters(&self) -> io::Result<Counters> {
        let cpu = match &self.cpu {
            Place::V1(folder) => Duration::from_nanos(number(&folder.join("cpuacct.usage"))?),
            Place::V2(folder) => {
                Duration::from_micros(field(&folder.join("cpu.stat"), "usage_usec")?)
            }
        };
        let (peak_bytes, oom_kills) = match &self.memory {
            Place::V1(folder) => (
                number(&folder.join("memory.max_usage_in_bytes"))?,
                field(&folder.join("memory.oom_control"), "oom_kill")?,
            ),
            Place::V2(folder) => (
                // Since Linux 5.19; before, what is held now is the best there is.
                number(&folder.join("memory.peak"))
                    .or_else(|_| number(&folder.join("memory.current")))?,
                field(&folder.join("memory.events"), "oom_kill")?,
            ),
        };
        Ok(Counters {
            cpu,
            peak_bytes,
            oom_kills,
        })
    }

    /// Starts the peak anew. Only v1 can; elsewhere the peak is that of the container's life.
    pub fn reset_peak(&self) {
        if let Place::V1(folder) = &self.memory {
            // Refused to a host without the right to write there, which only widens the peak.
            let _ = std::fs::write(folder.join("memory.max_usage_in_bytes"), "0");
        }
    }

    /// Sets what everything in it may use together, as the engine would but without its ten
    /// milliseconds. False if what is in it already, files included, takes more memory than that.
    ///
    /// # Errors
    /// The files are not there or not ours to write; ask the engine then.
    pub fn set_budget(&self, budget: Budget) -> io::Result<bool> {
        let pids = match self.pids.as_ref().ok_or(io::ErrorKind::Unsupported)? {
            Place::V1(folder) | Place::V2(folder) => folder.join("pids.max"),
        };
        match &self.memory {
            // There is no swap to set: its limit is 0 from the start.
            Place::V2(folder) => {
                std::fs::write(folder.join("memory.max"), budget.memory().to_string())?;
            }
            Place::V1(folder) => {
                let memory = folder.join("memory.limit_in_bytes");
                // With swap; not there on a kernel that does not count it.
                let total = folder.join("memory.memsw.limit_in_bytes");
                let is_raised = number(&memory)? < budget.memory_bytes;
                // At no time may the first be above the second.
                let order = if is_raised {
                    [&total, &memory]
                } else {
                    [&memory, &total]
                };
                for file in order {
                    match std::fs::write(file, budget.memory().to_string()) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        // What cannot be reclaimed is more.
                        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                            return Ok(false);
                        }
                        done => done?,
                    }
                }
            }
        }
        std::fs::write(pids, budget.pids().to_string())?;
        Ok(true)
    }

    /// Whether no process is left in it.
    ///
    /// # Errors
    /// That cannot be seen.
    pub fn is_empty(&self) -> io::Result<bool> {
        let (Place::V1(folder) | Place::V2(folder)) = &self.memory;
        match std::fs::read(folder.join("cgroup.procs")) {
            Ok(processes) => Ok(processes.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Sends SIGKILL to everything in it at once, including what is forked meanwhile. For the end
    /// only: it has no limit on CPU time any more.
    ///
    /// # Errors
    /// The kernel has no such switch, or it cannot be reached; ask the engine then.
    pub fn kill(&self) -> io::Result<()> {
        match &self.kill {
            Some(path) => {
                self.lift_quota();
                std::fs::write(path, "1")
            }
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Lets it have the machine: dying takes CPU time. Processes that have used up their share wait
    /// with that for the next period, some 100 ms, and on a busy machine for their turn. Where this
    /// is refused, they do.
    fn lift_quota(&self) {
        let (folder, files) = match &self.quota {
            Some(Place::V1(folder)) => (
                folder,
                [("cpu.cfs_quota_us", "-1"), ("cpu.shares", "262144")],
            ),
            Some(Place::V2(folder)) => (folder, [("cpu.max", "max"), ("cpu.weight", "10000")]),
            None => return,
        };
        for (file, value) in files {
            let _ = std::fs::write(folder.join(file), value);
        }
    }
}

/// The number that a file holds.
fn number(path: &Path) -> io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    text.trim().parse().map_err(|_| unexpected(path))
}

/// The number after `name` in a file of `name number` lines.
fn field(path: &Path, name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(' ')?
                .trim()
                .parse()
                .ok()
        })
        .ok_or_else(|| unexpected(path))
}

fn unexpected(path: &Path) -> io::Error {
    io::Error::other(format!("{} is not as expected", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `detect` finds on a machine on which these paths exist.
    fn detect(text: &str, existing: &[&str]) -> Option<Cgroup> {
        Cgroup::detect(text, "abc123", |path| {
            existing.iter().any(|known| path == Path::new(known))
        })
    }

    fn v1(folder: &str) -> Place {
        Place::V1(folder.into())
    }

    fn v2(folder: &str) -> Place {
        Place::V2(folder.into())
    }

    #[test]
    fn v1_with_controllers_mounted_apart_or_together() {
        let text = "5:memory:/docker/abc123\n4:cpu,cpuacct:/docker/abc123\n1:name=systemd:/\n";
        let memory = "/sys/fs/cgroup/memory/docker/abc123";
        for cpu in [
            "/sys/fs/cgroup/cpuacct/docker/abc123",
            "/sys/fs/cgroup/cpu,cpuacct/docker/abc123",
        ] {
            let files = [
                format!("{memory}/memory.oom_control"),
                format!("{cpu}/cpuacct.usage"),
            ];
            let found = detect(text, &files.each_ref().map(String::as_str));
            assert_eq!(
                found,
                Some(Cgroup {
                    cpu: v1(cpu),
                    memory: v1(memory),
                    pids: None,
                    quota: None,
                    kill: None
                })
            );
        }
    }

    #[test]
    fn v2_below_a_systemd_slice() {
        let text = "0::/system.slice/docker-abc123.scope\n";
        let folder = "/sys/fs/cgroup/system.slice/docker-abc123.scope";
        let files = [
            "cpu.stat",
            "memory.events",
            "cgroup.kill",
            "pids.max",
            "cpu.max",
        ]
        .map(|file| format!("{folder}/{file}"));
        let found = detect(text, &files.each_ref().map(String::as_str));
        let kill = Some(PathBuf::from(&files[2]));
        assert_eq!(
            found,
            Some(Cgroup {
                cpu: v2(folder),
                memory: v2(folder),
                pids: Some(v2(folder)),
                quota: Some(v2(folder)),
                kill
            })
        );
    }

    #[test]
    fn a_hybrid_counts_by_v1_and_kills_by_v2() {
        let text = "4:memory:/docker/abc123\n3:pids:/docker/abc123\n2:cpu,cpuacct:/docker/abc123\n\
                    0::/docker/abc123\n";
        let kill = "/sys/fs/cgroup/unified/docker/abc123/cgroup.kill";
        let existing = [
            "/sys/fs/cgroup/memory/docker/abc123/memory.oom_control",
            "/sys/fs/cgroup/cpuacct/docker/abc123/cpuacct.usage",
            "/sys/fs/cgroup/cpu/docker/abc123/cpu.cfs_quota_us",
            "/sys/fs/cgroup/pids/docker/abc123/pids.max",
            "/sys/fs/cgroup/unified/docker/abc123/cpu.stat",
            kill,
        ];
        let expected = Cgroup {
            cpu: v1("/sys/fs/cgroup/cpuacct/docker/abc123"),
            memory: v1("/sys/fs/cgroup/memory/docker/abc123"),
            pids: Some(v1("/sys/fs/cgroup/pids/docker/abc123")),
            quota: Some(v1("/sys/fs/cgroup/cpu/docker/abc123")),
            kill: Some(kill.into()),
        };
        assert_eq!(detect(text, &existing), Some(expected));
    }

    #[test]
    fn a_process_outside_of_the_container_is_never_taken_for_it() {
        for text in [
            "0::/\n",
            "0::/user.slice\n",
            "0::/docker/def456\n",
            "",
            "nonsense\n",
            "0::\n",
        ] {
            let anything = Cgroup::detect(text, "abc123", |_| true);
            assert_eq!(anything, None, "{text:?}");
        }
        assert_eq!(Cgroup::detect("0::/docker/abc123\n", "", |_| true), None);
    }
}
