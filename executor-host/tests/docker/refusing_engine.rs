//! The machine's engine, which a test can have refuse to make containers, and is otherwise well.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// The engine by way of a socket of its own.
pub struct RefusingEngine {
    pub socket: PathBuf,
    /// Why it makes no container; it does while there is no reason.
    why: watch::Sender<Option<&'static str>>,
    refusals: watch::Sender<usize>,
    _folder: TempDir,
}

impl RefusingEngine {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (why, refusals) = (watch::Sender::new(None), watch::Sender::new(0));
        let (seen, counted) = (why.subscribe(), refusals.clone());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass_on(client, seen.clone(), counted.clone()));
            }
        });
        Self {
            socket,
            why,
            refusals,
            _folder: folder,
        }
    }

    /// Makes no container from now on, for this reason, or does again. Whoever is connected is cut
    /// off, and connects again.
    pub fn refuse(&self, why: Option<&'static str>) {
        self.why.send_replace(why);
    }

    /// Makes no container from now on, for this reason. Connections stay: what runs goes on.
    pub fn refuse_more(&self, why: &'static str) {
        self.why.send_if_modified(|known| {
            *known = Some(why);
            false
        });
    }

    /// Makes containers again, for whoever is connected as well.
    pub fn allow_more(&self) {
        self.why.send_if_modified(|known| {
            *known = None;
            false
        });
    }

    /// Waits until it has refused so often.
    pub async fn refused(&self, count: usize) {
        let mut refusals = self.refusals.subscribe();
        let often = refusals.wait_for(|refusals| *refusals >= count);
        let limit = crate::world::PATIENCE;
        tokio::time::timeout(limit, often).await.unwrap().unwrap();
    }
}

/// Passes a connection on, but for requests for a container that is not to be made.
async fn pass_on(
    mut client: UnixStream,
    mut why: watch::Receiver<Option<&'static str>>,
    refusals: watch::Sender<usize>,
) {
    why.mark_unchanged();
    let engine = Path::new("/var/run/docker.sock");
    let mut engine = UnixStream::connect(engine).await.unwrap();
    let (mut asked, mut said) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                // Each request begins with what it is.
                let head = String::from_utf8_lossy(&asked[..length.min(200)]);
                let line = head.lines().next().unwrap_or_default();
                let makes = line.starts_with("POST") && line.contains("/containers/create");
                let why = *why.borrow();
                if let Some(why) = why.filter(|_| makes) {
                    let _ = client.write_all(refusal(why).as_bytes()).await;
                    refusals.send_modify(|refusals| *refusals += 1);
                    return;
                }
                if engine.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = engine.read(&mut said) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&said[..length]).await.is_err() {
                    return;
                }
            }
            _ = why.changed() => return,
        }
    }
}

/// What an engine answers then.
fn refusal(why: &str) -> String {
    let says = format!("{{\"message\":\"{why}\"}}");
    let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n\
        Connection: close\r\nContent-Length:";
    format!("{head} {}\r\n\r\n{says}", says.len())
}
