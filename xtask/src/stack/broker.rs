//! RabbitMQ: installing it, and a private node in a stack's folder that no other broker of the
//! machine notices: own ports on 127.0.0.1, own data and logs, own name service, own cookie.
//!
//! The node is started without the wrapper of `/usr/sbin`, which as root would change the user and
//! forget the environment; and so that the service's process is the node itself, not a shell.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::amqp;
use crate::apt;
use crate::names;
use crate::ports::{free_port, is_taken};
use crate::process::Service;
use crate::report::Report;
use crate::step::{Lane, Step};
use crate::work::Work;

/// The node, as a service.
pub const RABBITMQ: &str = "rabbitmq";
/// The name service that Erlang nodes find each other by; this node needs it for itself only.
pub const EPMD: &str = "epmd";

/// The broker, on Debian.
const PACKAGE: &str = "rabbitmq-server";
/// The package's system service, which nobody here asked for.
const UNIT: &str = "rabbitmq-server.service";

/// With `localhost` in it, nothing depends on how the machine's own name is resolved.
const NODE: &str = "codecrafter@localhost";

/// Where a node of a stack listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    amqp: u16,
    distribution: u16,
    epmd: u16,
}

impl Ports {
    /// Three that nobody listens on.
    pub fn free() -> Result<Self> {
        Ok(Self {
            amqp: free_port()?,
            distribution: free_port()?,
            epmd: free_port()?,
        })
    }

    /// Whether nobody listens on any of them.
    pub fn are_free(self) -> bool {
        [self.amqp, self.distribution, self.epmd]
            .into_iter()
            .all(|port| !is_taken(port))
    }

    /// Where the node takes connections, and as whom.
    pub fn url(self) -> String {
        guest_url(self.amqp)
    }

    /// Where the node takes connections.
    pub const fn amqp(self) -> u16 {
        self.amqp
    }

    /// Whether the node lets clients in.
    pub fn answers(self) -> Result<()> {
        amqp::sign_in(self.amqp)
    }
}

/// A broker of this machine, by the account that a new one has.
pub fn guest_url(port: u16) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
}

/// Installs RabbitMQ unless it is there.
pub fn install_step() -> Option<Step<'static>> {
    if program().is_some() {
        return None;
    }
    let step = Step::new(names::BROKER, Lane::Packages, |work| {
        let systemd = Path::new("/run/systemd/system").is_dir();
        if systemd {
            // The package would start its service as soon as it is unpacked.
            systemctl(work, &["mask", "--runtime", UNIT])?;
        }
        let installed = apt::install(work, &[PACKAGE]);
        if systemd {
            systemctl(work, &["unmask", "--runtime", UNIT])?;
        }
        installed?;
        if systemd {
            systemctl(work, &["disable", UNIT])?;
        }
        ensure!(program().is_some(), "{PACKAGE} has no program that we know");
        Report::done()
    });
    Some(step.installs([apt::missing("RabbitMQ", &[PACKAGE], 100)]))
}

fn systemctl(work: &Work, arguments: &[&str]) -> Result<()> {
    work.run(Command::new("systemctl").args(arguments))
}

/// The script that becomes the node; none if RabbitMQ is not installed.
fn program() -> Option<PathBuf> {
    let packaged = PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server");
    // A package's wrapper for people is of no use; an unpacked release has the script on `PATH`.
    let folders = env::var_os("PATH").unwrap_or_default();
    let unpacked = env::split_paths(&folders)
        .filter(|folder| !folder.ends_with("sbin") || !folder.starts_with("/usr"))
        .map(|folder| folder.join("rabbitmq-server"));
    std::iter::once(packaged)
        .chain(unpacked)
        .find(|program| program.is_file())
}

/// The name service and the node, to be started in this order.
pub(super) fn services(folder: &Path, ports: Ports) -> Result<[Service; 2]> {
    let program = program().context("RabbitMQ is not installed")?;
    let home = folder.join("home");
    fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
    let config = folder.join("rabbitmq.conf");
    let plugins = folder.join("enabled_plugins");
    fs::write(&config, configuration(ports))?;
    fs::write(&plugins, "[].\n")?;

    // By itself the node would start one that outlives it.
    let epmd = Service::new(EPMD, "epmd", folder)
        .option("-port", ports.epmd.to_string())
        .option("-address", "127.0.0.1");
    let node = Service::new(RABBITMQ, program, folder)
        // Where the node keeps the cookie by which others may command it.
        .setting("HOME", &home)
        .setting("RABBITMQ_NODENAME", NODE)
        .setting("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .setting("RABBITMQ_NODE_PORT", ports.amqp.to_string())
        .setting("RABBITMQ_DIST_PORT", ports.distribution.to_string())
        .setting("ERL_EPMD_PORT", ports.epmd.to_string())
        .setting("ERL_EPMD_ADDRESS", "127.0.0.1")
        .setting("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .setting("RABBITMQ_LOG_BASE", folder.join("log"))
        .setting("RABBITMQ_LOGS", "-")
        .setting("RABBITMQ_CONFIG_FILE", &config)
        // The machine's own settings are for its own broker.
        .setting(
            "RABBITMQ_CONF_ENV_FILE",
            folder.join("no-rabbitmq-env.conf"),
        )
        .setting("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
        .setting("RABBITMQ_PID_FILE", folder.join("rabbitmq.pid"))
        // The script then becomes the node instead of waiting for it; the node is told itself not
        // to read its standard input.
        .setting("RABBITMQ_ALLOW_INPUT", "1")
        .setting(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
        )
        .reads(config);
    Ok([epmd, node])
}

fn configuration(ports: Ports) -> String {
    format!(
        "listeners.tcp.local = 127.0.0.1:{}\n\
         # The log of quorum queues: by default it grows to 512 MB before it is shortened.\n\
         raft.wal_max_size_bytes = 64000000\n\
         log.console = true\n\
         log.console.level = info\n",
        ports.amqp
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_three_ports_of_its_own() -> Result<()> {
        let Ports {
            amqp,
            distribution,
            epmd,
        } = Ports::free()?;
        assert!(amqp != distribution && amqp != epmd && distribution != epmd);
        assert!(configuration(Ports::free()?).starts_with("listeners.tcp.local = 127.0.0.1:"));
        Ok(())
    }
}
