//! The hosts of a storm: a link and two workers around a broker, and one more host that has its
//! queue in a file. Every way between two of them, and to the edge, goes through a proxy.
//!
//! ```text
//! edge ◀─to_edge─ link ─to_broker─▶ broker ◀─of_worker_a─ worker-a
//!  ▲                                       ◀─of_worker_b─ worker-b
//!  └─of_lone─ lone
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::artifacts;
use crate::http::{expect, wait_for};
use crate::process::Service;
use crate::stack::Stack;
use crate::stack::broker;
use crate::stack::queue::{AMQP_PREFIX, AMQP_URL, Carrier};
use crate::work::Work;

use super::proxy::Proxy;

/// The names of the hosts' processes.
pub const LINK: &str = "link";
/// One worker around the broker.
pub const WORKER_A: &str = "worker-a";
/// The other.
pub const WORKER_B: &str = "worker-b";
/// The host without a broker.
pub const LONE: &str = "lone";

/// The whole service around a sandbox that follows orders.
pub const ECHO_HOST: &str = "echo-host";

/// In the order in which they are started.
const EACH: [&str; 4] = [LINK, WORKER_A, WORKER_B, LONE];

/// In the order in which they are stopped: who runs jobs before who reports them.
const ALL: [&str; 4] = [WORKER_A, WORKER_B, LINK, LONE];

/// Hosts look into their images before they offer a language.
const READY: Duration = Duration::from_secs(120);

/// What jobs run in.
#[derive(Debug, Clone)]
pub enum Sandbox {
    /// None: jobs are followed line by line.
    Echo,
    /// Containers, of the engine at this socket.
    Containers(PathBuf),
}

/// The hosts, and the ways between them.
pub struct Hosts {
    sandbox: Sandbox,
    slots: u32,
    /// The programs of those that are not of this clone.
    programs: BTreeMap<&'static str, PathBuf>,
    /// From the link to the edge.
    pub to_edge: Proxy,
    /// From the link to the broker.
    pub to_broker: Proxy,
    /// From one worker to the broker.
    pub of_worker_a: Proxy,
    /// From the other.
    pub of_worker_b: Proxy,
    /// From the host without a broker to the edge.
    pub of_lone: Proxy,
}

impl Hosts {
    /// Joins the hosts to the stack's edge and starts them, from `program` if it is not this
    /// clone's. Edge and broker run already.
    pub fn start(
        stack: &mut Stack<'_>,
        work: &Work,
        sandbox: Sandbox,
        slots: u32,
        program: Option<&Path>,
    ) -> Result<Self> {
        let Carrier::Private(ports) = *stack.carrier() else {
            anyhow::bail!("hosts share a broker of the stack's own");
        };
        let (edge, broker) = (stack.edge_port(), ports.amqp());
        let hosts = Self {
            sandbox,
            slots,
            programs: program.map_or_else(BTreeMap::new, |program| {
                EACH.map(|name| (name, program.to_owned())).into()
            }),
            to_edge: Proxy::to(edge)?,
            to_broker: Proxy::to(broker)?,
            of_worker_a: Proxy::to(broker)?,
            of_worker_b: Proxy::to(broker)?,
            of_lone: Proxy::to(edge)?,
        };
        for (name, proxy) in [(LINK, &hosts.to_edge), (LONE, &hosts.of_lone)] {
            let url = format!("http://127.0.0.1:{}", proxy.port());
            stack.join(work, &folder(stack, name), &url)?;
        }
        for name in EACH {
            hosts.start_one(stack, name)?;
        }
        hosts.wait_until_two_offer(stack)?;
        Ok(hosts)
    }

    /// Starts a host that does not run.
    pub fn start_one(&self, stack: &mut Stack<'_>, name: &'static str) -> Result<()> {
        let service = self.service(stack, name)?;
        stack.start_service(&service)
    }

    /// From its next start on, a host is this program, or again this clone's.
    pub fn set_program(&mut self, name: &'static str, program: Option<&Path>) {
        match program {
            Some(program) => drop(self.programs.insert(name, program.to_owned())),
            None => drop(self.programs.remove(name)),
        }
    }

    /// Waits until both links have told the edge that they can run something.
    pub fn wait_until_two_offer(&self, stack: &Stack<'_>) -> Result<()> {
        let client = stack.client();
        wait_for("two hosts that offer a language", READY, || {
            let ready = expect(200, client.get("/ready")?)?;
            let offers = stack.executors()?;
            let offers = offers["items"].as_array().context("no items")?.iter();
            let offering = offers.filter(|host| {
                host["live"] == true && host["languages"].as_array().is_some_and(|l| !l.is_empty())
            });
            let offering = offering.count();
            ensure!(offering >= 2, "{offering} do; {ready}");
            Ok(Some(()))
        })
    }

    /// Stops every host as an operator would. Each must end by itself.
    pub fn stop(&self, stack: &mut Stack<'_>) -> Result<()> {
        for name in ALL {
            ensure!(stack.pid(name).is_some(), "{name} had ended by itself");
            stack.stop_service(name)?;
        }
        for proxy in [
            &self.to_edge,
            &self.to_broker,
            &self.of_worker_a,
            &self.of_worker_b,
            &self.of_lone,
        ] {
            proxy.end();
        }
        Ok(())
    }

    fn service(&self, stack: &Stack<'_>, name: &'static str) -> Result<Service> {
        let folder = folder(stack, name);
        std::fs::create_dir_all(&folder)?;
        let amqp = |proxy: &Proxy| broker::guest_url(proxy.port());
        let (url, role) = match name {
            LINK => (amqp(&self.to_broker), "link"),
            WORKER_A => (amqp(&self.of_worker_a), "worker"),
            WORKER_B => (amqp(&self.of_worker_b), "worker"),
            _ => (String::new(), ""),
        };
        let own = match &self.sandbox {
            Sandbox::Echo => artifacts::example_program(stack.repo(), ECHO_HOST),
            Sandbox::Containers(_) => artifacts::executor(stack.repo()),
        };
        let program = self.programs.get(name).cloned().unwrap_or(own);
        let mut service = Service::new(name, program, stack.repo().root())
            .argument("serve")
            .option("--state-dir", &folder)
            .option("--slots", self.slots.to_string())
            .option("--grace-seconds", "5")
            .setting(AMQP_URL, url)
            .setting(AMQP_PREFIX, "codecrafter")
            .setting("CODECRAFTER_LOG_FORMAT", "json");
        if !role.is_empty() {
            service = service.option("--role", role);
        }
        if let (Sandbox::Containers(socket), true) = (&self.sandbox, role != "link") {
            service = service.option("--docker-socket", socket);
        }
        Ok(service)
    }
}

/// Where a host keeps its state.
pub fn folder(stack: &Stack<'_>, name: &str) -> PathBuf {
    Path::new(stack.folder()).join(name)
}
