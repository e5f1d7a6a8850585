//! Times and how they are printed.

use std::time::Duration;

/// Times of one thing, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, time: Duration) {
        self.push_ms(time.as_secs_f64() * 1e3);
    }

    pub fn push_ms(&mut self, ms: f64) {
        let place = self.0.partition_point(|other| *other < ms);
        self.0.insert(place, ms);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that so many percent are no longer than, by nearest rank.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub fn greatest(&self) -> f64 {
        self.percentile(100)
    }

    /// `p50 / p95 / p99 (n)`.
    pub fn cell(&self) -> String {
        if self.0.is_empty() {
            return "–".to_owned();
        }
        let [p50, p95, p99] = [50, 95, 99].map(|percent| short(self.percentile(percent)));
        format!("{p50} / {p95} / {p99} ({})", self.len())
    }

    /// The median, if there is any.
    pub fn median_cell(&self) -> String {
        if self.0.is_empty() {
            return "–".to_owned();
        }
        short(self.median())
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        let mut samples = Self::default();
        times.into_iter().for_each(|time| samples.push(time));
        samples
    }
}

/// Three digits are as many as mean something.
pub fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100.0 {
        format!("{value:.0}")
    } else if magnitude >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A table whose first column is words and whose others are numbers. Printed row by row, because
/// the next one may take minutes.
pub struct Table {
    columns: usize,
}

impl Table {
    pub fn new(columns: &[&str]) -> Self {
        println!("| {} |", columns.join(" | "));
        println!("|---|{}", "--:|".repeat(columns.len() - 1));
        let columns = columns.len();
        Self { columns }
    }

    pub fn row(&self, cells: &[String]) {
        debug_assert_eq!(cells.len(), self.columns);
        println!("| {} |", cells.join(" | "));
    }
}
