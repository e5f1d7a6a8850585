//! A way between two processes of a storm that can be cut, held up and slowed down. A thread for
//! each direction of each connection, as there are a few of them only.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// How often a way is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(20);

/// What a way does to what is sent over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// No connection is taken, and those that there were have ended.
    Cut,
    /// Nothing arrives on either side, and nobody is told so. It is only late.
    Stalled,
    /// Who has called is heard, and hears nothing: neither answers nor that there are none.
    HalfOpen,
    /// Each piece takes so many milliseconds longer.
    Slow(u64),
}

/// A listener on a port of its own that passes connections on. It ends with the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: u16,
    weather: Mutex<Weather>,
    /// Connections of an earlier age have ended.
    age: AtomicU64,
    ended: AtomicBool,
}

impl Proxy {
    /// A way to the port `to` of this machine.
    pub fn to(to: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            to,
            weather: Mutex::new(Weather::Fair),
            age: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                // A connection that was reset before it was taken is no concern of ours.
                let Ok(client) = client else { continue };
                accepting.take(client);
            }
        });
        Ok(Self { port, shared })
    }

    /// Where to call.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens on the way. What was half open is not mended by that: it ends.
    pub fn set(&self, weather: Weather) {
        let mut current = self.shared.weather();
        if weather == Weather::Cut || *current == Weather::HalfOpen {
            self.shared.age.fetch_add(1, Ordering::Relaxed);
        }
        *current = weather;
    }

    /// Takes no more connections. Those that there are go on.
    pub fn end(&self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the one who accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn weather(&self) -> std::sync::MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Weather {
        *self.weather()
    }

    /// Whether nothing goes on in a direction now.
    fn holds(&self, is_answer: bool) -> bool {
        match self.now() {
            Weather::Stalled => true,
            Weather::HalfOpen => is_answer,
            Weather::Fair | Weather::Cut | Weather::Slow(_) => false,
        }
    }

    fn take(self: &Arc<Self>, client: TcpStream) {
        let age = self.age.load(Ordering::Relaxed);
        if self.now() == Weather::Cut {
            return; // Dropped.
        }
        let to = SocketAddr::from(([127, 0, 0, 1], self.to));
        // Who is called may be dead.
        let Ok(server) = TcpStream::connect_timeout(&to, Duration::from_secs(1)) else {
            return;
        };
        let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        let (asking, answering) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || asking.pump(client, server, age, false));
        thread::spawn(move || answering.pump(server_too, client_too, age, true));
    }

    /// Passes on what comes, until one side ends or the way is cut; both sides have ended then.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, age: u64, is_answer: bool) {
        let mut buffer = vec![0; 64 * 1024];
        let is_set = from.set_read_timeout(Some(LOOK)).is_ok() && to.set_nodelay(true).is_ok();
        while is_set && self.age.load(Ordering::Relaxed) == age {
            if self.holds(is_answer) {
                thread::sleep(LOOK);
                continue;
            }
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if is_early(error.kind()) => continue,
                Err(_) => break,
            };
            // It may have turned while this was waited for.
            while self.holds(is_answer) && self.age.load(Ordering::Relaxed) == age {
                thread::sleep(LOOK);
            }
            if self.age.load(Ordering::Relaxed) != age {
                break;
            }
            if let Weather::Slow(millis) = self.now() {
                thread::sleep(Duration::from_millis(millis));
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Whether nothing has come yet.
fn is_early(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says again what it hears, and a connection to it by a proxy.
    fn connected() -> Result<(Proxy, TcpStream)> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let proxy = Proxy::to(listener.local_addr()?.port())?;
        let client = TcpStream::connect(("127.0.0.1", proxy.port()))?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (mut server, _) = listener.accept()?;
        thread::spawn(move || {
            let mut byte = [0];
            while server.read_exact(&mut byte).is_ok() && server.write_all(&byte).is_ok() {}
        });
        Ok((proxy, client))
    }

    fn echoed(client: &mut TcpStream) -> Result<u8> {
        let mut byte = [0];
        client.write_all(b"x")?;
        client.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    #[test]
    fn what_is_stalled_arrives_later_and_what_was_cut_has_ended() -> Result<()> {
        let (proxy, mut client) = connected()?;
        assert_eq!(echoed(&mut client)?, b'x');
        proxy.set(Weather::Stalled);
        let again = {
            let proxy = proxy.clone();
            thread::spawn(move || {
                thread::sleep(LOOK * 5);
                proxy.set(Weather::Fair);
            })
        };
        assert_eq!(echoed(&mut client)?, b'x');
        again.join().expect("no panic");
        proxy.set(Weather::Cut);
        assert!(echoed(&mut client).is_err());
        let refused = TcpStream::connect(("127.0.0.1", proxy.port()));
        assert!(refused.is_err() || echoed(&mut refused?).is_err());
        proxy.end();
        Ok(())
    }

    #[test]
    fn what_was_half_open_ends_when_the_way_is_mended() -> Result<()> {
        let (proxy, mut client) = connected()?;
        // Both directions wait for what comes then.
        assert_eq!(echoed(&mut client)?, b'x');
        proxy.set(Weather::HalfOpen);
        client.write_all(b"x")?;
        client.set_read_timeout(Some(LOOK * 5))?;
        let mut byte = [0];
        let waited = client.read(&mut byte).expect_err("an answer");
        assert!(is_early(waited.kind()), "{waited}");
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        proxy.set(Weather::Fair);
        assert!(matches!(client.read(&mut byte), Ok(0) | Err(_)));
        proxy.end();
        Ok(())
    }
}
