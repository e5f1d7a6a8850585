//! Ports of this machine for services that must be told where to listen.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// Below what Linux gives to outgoing connections (`ip_local_port_range`, 32768 and up): while a
/// killed service is down, a client that tries again must not be given its port.
const SUITE_PORTS: Range<u16> = 20_000..30_000;

/// The port before the next one to try. None is given twice by one process, since a service that was told
/// its port listens there only later, and again after it was killed.
static BEFORE: Mutex<Option<u16>> = Mutex::new(None);

/// A port that nobody listens on, and that this process has not given before.
pub fn free_port() -> Result<u16> {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let first = before.map_or_else(first_port, next_port);
    let port = std::iter::successors(Some(first), |port| Some(next_port(*port)))
        .take(SUITE_PORTS.len())
        .find(|port| !is_taken(*port))
        .context("no port is free")?;
    *before = Some(port);
    Ok(port)
}

/// Processes begin at different places, so that two at once hardly tell their services the same.
fn first_port() -> u16 {
    let place = std::process::id() * PLACE % u32::from(SUITE_PORTS.end - SUITE_PORTS.start);
    SUITE_PORTS.start + u16::try_from(place).unwrap_or_default()
}

/// How many ports apart processes begin that were started one after the other.
const PLACE: u32 = 100;

const fn next_port(port: u16) -> u16 {
    if port + 1 < SUITE_PORTS.end {
        port + 1
    } else {
        SUITE_PORTS.start
    }
}

/// Whether somebody listens on the port, at whatever address: some services ask for all of them.
pub fn is_taken(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_err()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_port_is_given_once_even_if_nobody_listens_there_yet() -> Result<()> {
        let given = (0..300)
            .map(|_| free_port())
            .collect::<Result<HashSet<_>>>()?;
        assert_eq!(given.len(), 300);
        assert!(given.iter().all(|port| SUITE_PORTS.contains(port)));
        Ok(())
    }

    #[test]
    fn a_port_is_taken_by_a_listener_at_any_address() -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.2", 0))?;
        assert!(is_taken(listener.local_addr()?.port()));
        Ok(())
    }
}
