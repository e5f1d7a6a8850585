//! A broker of a test's own, to be killed.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::bench::{until, within};

/// A node needs some seconds to start, and many on a busy machine.
pub const START_MAX: Duration = Duration::from_secs(120);

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// A RabbitMQ node in a folder of its own. Dropping it ends it.
pub struct Broker {
    pub url: String,
    ports: [u16; 3],
    folder: TempDir,
    node: Child,
    /// The node would start one by itself, which outlived it.
    name_server: Child,
}

impl Broker {
    pub async fn start() -> Self {
        let broker = Self::spawned(None).await;
        broker.ready().await;
        broker
    }

    /// One that speaks TLS only. It may not be ready yet.
    pub async fn start_with(certificate: &Certificate) -> Self {
        Self::spawned(Some(certificate)).await
    }

    async fn spawned(certificate: Option<&Certificate>) -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "there is no {SERVER}: install rabbitmq-server"
        );
        let ports = [(); 3].map(|()| own_port());
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        let listener = match certificate {
            None => format!("listeners.tcp.local = 127.0.0.1:{}", ports[0]),
            Some(certificate) => {
                std::fs::write(path.join("certificate.pem"), &certificate.chain).unwrap();
                std::fs::write(path.join("key.pem"), &certificate.key).unwrap();
                format!(
                    "listeners.tcp = none\nlisteners.ssl.local = 127.0.0.1:{}\n\
                     ssl_options.certfile = {folder}/certificate.pem\n\
                     ssl_options.keyfile = {folder}/key.pem\n\
                     ssl_options.verify = verify_none",
                    ports[0],
                    folder = path.display()
                )
            }
        };
        let config = format!("{listener}\nraft.wal_max_size_bytes = 64000000\n");
        std::fs::write(path.join("rabbitmq.conf"), config).unwrap();
        std::fs::write(path.join("enabled_plugins"), "[].").unwrap();
        let name_server = Command::new("epmd")
            .args(["-address", "127.0.0.1", "-port", &ports[2].to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until(|| async { TcpStream::connect(("127.0.0.1", ports[2])).await.ok() }).await;
        Self {
            url: format!("amqp://127.0.0.1:{}", ports[0]),
            node: spawn(path, ports),
            name_server,
            ports,
            folder,
        }
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.ports[0]
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        // The whole group: the node is a child of a script.
        let group = format!("-{}", self.node.id());
        let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
        assert!(killed.unwrap().success());
        self.node.wait().unwrap();
    }

    /// Makes the node believe that it has no memory left, or that it has.
    pub async fn starve(&self, starved: bool) {
        let share = if starved { "0.000001" } else { "0.9" };
        let [port, _, names] = self.ports;
        let told = tokio::process::Command::new(CONTROL)
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", names.to_string())
            .args(["-q", "-n", &format!("codecrafter-{port}@localhost")])
            .args(["set_vm_memory_high_watermark", share])
            .status()
            .await;
        assert!(told.unwrap().success());
    }

    pub async fn start_again(&mut self) {
        self.node = spawn(self.folder.path(), self.ports);
        self.ready().await;
    }

    async fn ready(&self) {
        within(START_MAX, || async {
            let connected = Connection::connect(&self.url, ConnectionProperties::default()).await;
            connected.ok()
        })
        .await;
    }
}

/// What a broker says who it is by, in PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.node.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.kill();
        }
        let _ = self.name_server.kill();
        let _ = self.name_server.wait();
    }
}

/// A port of this test process alone, below what Linux gives to outgoing connections (32768 and up):
/// while a killed node is down, a client that tries again must not be given its port.
fn own_port() -> u16 {
    /// More than one test needs.
    const EACH: u32 = 9;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() * EACH + given) % 10_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

fn spawn(folder: &Path, [port, distribution, names]: [u16; 3]) -> Child {
    let log = std::fs::File::create(folder.join("output")).unwrap();
    Command::new(SERVER)
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", format!("codecrafter-{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("ERL_EPMD_PORT", names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
        .env(
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            folder.join("enabled_plugins"),
        )
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1}",
        )
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
