//! How long things took, and what they took of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Times in microseconds, by how often each came, within 1 %.
#[derive(Debug, Clone)]
pub struct Times {
    counts: Vec<u64>,
    total: u64,
}

/// Times below this are counted exactly; of those above, the first seven bits.
const EXACT: u64 = 128;

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: vec![0; 4096],
            total: 0,
        }
    }
}

impl Times {
    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        self.add_many(time, 1);
    }

    /// Counts several that took equally long.
    pub fn add_many(&mut self, time: Duration, times: u64) {
        let micros = time.as_micros().min(u128::from(u64::MAX >> 8)) as u64;
        let index = slot(micros).min(self.counts.len() - 1);
        self.counts[index] += times;
        self.total += times;
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The milliseconds within which that share of them took place; 0 if there are none.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return micros(index) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

fn slot(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(EXACT.trailing_zeros());
    (u64::from(shift) * EXACT / 2 + (micros >> shift)) as usize
}

fn micros(slot: usize) -> u64 {
    let slot = slot as u64;
    if slot < EXACT {
        return slot;
    }
    let shift = slot / (EXACT / 2) - 1;
    (slot - shift * (EXACT / 2)) << shift
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Its CPU time.
    pub cpu: Duration,
    /// The memory that it holds, in bytes.
    pub resident: u64,
}

/// What the process `pid` has used so far; this one's without a `pid`.
///
/// # Errors
/// If it has ended.
pub fn usage(pid: Option<u32>) -> Result<Usage> {
    let folder = pid.map_or("/proc/self".to_owned(), |pid| format!("/proc/{pid}"));
    let stat = fs::read_to_string(format!("{folder}/stat")).context("the server has ended")?;
    // Behind the name, which may hold anything.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    let field = |index: usize| -> Result<u64> { Ok(fields.get(index).context("stat")?.parse()?) };
    // Linux counts both in hundredths of a second, and memory in pages.
    let ticks = field(11)? + field(12)?;
    Ok(Usage {
        cpu: Duration::from_millis(ticks * 10),
        resident: field(21)? * 4096,
    })
}

/// One row of the table; what does not apply is not there.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// How many deliveries, joins, or whatever is named.
    pub n: u64,
    /// How many of them a second.
    pub per_second: f64,
    /// The median in milliseconds.
    pub p50_ms: f64,
    /// The 95th percentile in milliseconds.
    pub p95_ms: f64,
    /// The 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// Microseconds of the server's CPU time for each.
    pub server_cpu_micros: f64,
    /// The share of one processor that the driver used.
    pub driver_cpu: f64,
    /// Bytes that the server holds at the end.
    pub resident: u64,
    /// Frames for each delivery.
    pub frames: f64,
}

/// A measurement that goes on.
pub struct Measured {
    name: String,
    pid: u32,
    begun: std::time::Instant,
    server: Usage,
    driver: Usage,
}

impl Measured {
    /// Begins one, of the server `pid`.
    ///
    /// # Errors
    /// If the server has ended.
    pub fn begin(name: impl Into<String>, pid: u32) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            pid,
            begun: std::time::Instant::now(),
            server: usage(Some(pid))?,
            driver: usage(None)?,
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// If the server has ended.
    pub fn end(self, times: &Times, frames: u64) -> Result<Row> {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let (server, driver) = (usage(Some(self.pid))?, usage(None)?);
        let n = times.count();
        let each = n.max(1) as f64;
        Ok(Row {
            name: self.name,
            n,
            per_second: n as f64 / elapsed,
            p50_ms: times.percentile_ms(0.5),
            p95_ms: times.percentile_ms(0.95),
            p99_ms: times.percentile_ms(0.99),
            server_cpu_micros: (server.cpu - self.server.cpu).as_secs_f64() * 1e6 / each,
            driver_cpu: (driver.cpu - self.driver.cpu).as_secs_f64() / elapsed,
            resident: server.resident,
            frames: frames as f64 / each,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_hundredth() {
        let mut times = Times::default();
        for micros in 1..=100_000 {
            times.add(Duration::from_micros(micros));
        }
        for share in [0.001, 0.5, 0.95, 0.99, 1.0] {
            let (wanted, got) = (share * 100.0, times.percentile_ms(share));
            assert!((got / wanted - 1.0).abs() < 0.02, "{share}: {got}");
        }
        assert!(Times::default().percentile_ms(0.5).abs() < 1e-9);
    }
}
