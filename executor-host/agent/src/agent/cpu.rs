//! CPU time of the whole container, from the cgroup files that Docker shows inside it.
//!
//! They count every process, waited for or not, so a program cannot hide work in children that
//! it abandons. Where they are missing, the kernel's limit for each process is what holds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// A counter that only grows.
pub struct CpuClock {
    file: File,
    parse: Parse,
}

/// Finds the time in a counter file's text.
type Parse = fn(&str) -> Option<Duration>;

/// Where each version of cgroups keeps it.
const PLACES: &[(&str, Parse)] = &[
    ("/sys/fs/cgroup/cpu.stat", parse_cpu_stat),
    ("/sys/fs/cgroup/cpuacct/cpuacct.usage", parse_cpuacct_usage),
    (
        "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage",
        parse_cpuacct_usage,
    ),
];

impl CpuClock {
    /// The container's counter, if it can be seen from inside.
    pub fn open() -> Option<Self> {
        PLACES.iter().find_map(|(path, parse)| {
            let clock = Self {
                file: File::open(path).ok()?,
                parse: *parse,
            };
            clock.read().ok()?;
            Some(clock)
        })
    }

    /// CPU time since the container's start.
    pub fn read(&self) -> io::Result<Duration> {
        let mut buffer = [0; 1024];
        let length = self.file.read_at(&mut buffer, 0)?;
        let text = std::str::from_utf8(&buffer[..length]).ok();
        text.and_then(self.parse)
            .ok_or_else(|| io::Error::other("the CPU counter is unreadable"))
    }
}

/// cgroup v2: a line `usage_usec N`.
fn parse_cpu_stat(text: &str) -> Option<Duration> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))?;
    line.parse().ok().map(Duration::from_micros)
}

/// cgroup v1: nanoseconds.
fn parse_cpuacct_usage(text: &str) -> Option<Duration> {
    text.trim_end().parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let stat = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n";
        assert_eq!(parse_cpu_stat(stat), Some(Duration::from_micros(1500)));
        assert_eq!(parse_cpu_stat("user_usec 1\n"), None);
        assert_eq!(
            parse_cpuacct_usage("123456\n"),
            Some(Duration::from_nanos(123_456))
        );
        assert_eq!(parse_cpuacct_usage("x"), None);
    }
}
