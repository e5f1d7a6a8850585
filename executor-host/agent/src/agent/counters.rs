//! What the whole container has used, from the cgroup files that Docker shows inside it.
//!
//! They count every process, waited for or not, so a program cannot hide work in children that
//! it abandons. Where they are missing, the kernel's limit on each process is what holds, and
//! the host's own look at the container.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Counters that only grow; each absent where it cannot be seen.
pub struct Counters {
    cpu: Option<Counter<Duration>>,
    oom_kills: Option<Counter<u64>>,
}

impl Counters {
    /// The container's own.
    pub fn open() -> Self {
        Self {
            cpu: Counter::open(CPU),
            oom_kills: Counter::open(OOM_KILLS),
        }
    }

    /// CPU time since the container's start.
    pub fn cpu(&self) -> Option<Duration> {
        self.cpu.as_ref()?.read()
    }

    /// Processes killed for memory since the container's start; 0 where that cannot be seen.
    pub fn oom_kills(&self) -> u64 {
        self.oom_kills.as_ref().and_then(Counter::read).unwrap_or(0)
    }
}

/// Where each version of cgroups keeps a counter, and how to find it in the file's text.
type Places<T> = &'static [(&'static str, fn(&str) -> Option<T>)];

const CPU: Places<Duration> = &[
    ("/sys/fs/cgroup/cpu.stat", |text| {
        field(text, "usage_usec").map(Duration::from_micros)
    }),
    ("/sys/fs/cgroup/cpuacct/cpuacct.usage", nanoseconds),
    ("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", nanoseconds),
];

const OOM_KILLS: Places<u64> = &[
    ("/sys/fs/cgroup/memory.events", |text| {
        field(text, "oom_kill")
    }),
    ("/sys/fs/cgroup/memory/memory.oom_control", |text| {
        field(text, "oom_kill")
    }),
];

struct Counter<T> {
    file: File,
    parse: fn(&str) -> Option<T>,
}

impl<T> Counter<T> {
    /// The first place that has it.
    fn open(places: Places<T>) -> Option<Self> {
        places.iter().find_map(|(path, parse)| {
            let counter = Self {
                file: File::open(path).ok()?,
                parse: *parse,
            };
            counter.read().is_some().then_some(counter)
        })
    }

    fn read(&self) -> Option<T> {
        let mut buffer = [0; 1024];
        let length = self.file.read_at(&mut buffer, 0).ok()?;
        std::str::from_utf8(buffer.get(..length)?)
            .ok()
            .and_then(self.parse)
    }
}

/// The number after `name` in a text of `name number` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn nanoseconds(text: &str) -> Option<Duration> {
    text.trim_end().parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_both_versions_are_read() {
        let stat = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n";
        assert_eq!(field(stat, "usage_usec"), Some(1500));
        assert_eq!(
            field("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "oom_kill"),
            Some(2)
        );
        assert_eq!(field("oom_kill_disable 0\n", "oom_kill"), None);
        assert_eq!(nanoseconds("123456\n"), Some(Duration::from_nanos(123_456)));
        assert_eq!(nanoseconds("x"), None);
    }
}
