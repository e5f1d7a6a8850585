//! How long a server takes from nothing to its first answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Longer than any start that is worth measuring.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks again until the first answer is there, and gives the time since `begun`.
pub fn first_answer(port: u16, path: &str, begun: Instant) -> Result<Duration> {
    while begun.elapsed() < LIMIT {
        if answers(port, path) {
            return Ok(begun.elapsed());
        }
        thread::sleep(Duration::from_millis(1));
    }
    anyhow::bail!("no answer on port {port} within {} s", LIMIT.as_secs())
}

fn answers(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Least, median and greatest of some times, in milliseconds.
pub fn spread(mut times: Vec<Duration>) -> Result<[f64; 3]> {
    ensure!(!times.is_empty(), "nothing was measured");
    times.sort_unstable();
    let at = |index: usize| times[index].as_secs_f64() * 1_000.0;
    Ok([at(0), at(times.len() / 2), at(times.len() - 1)])
}
