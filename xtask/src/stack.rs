//! A running CodeCrafter: an edge and an executor-host with a folder and a secret of their own.
//!
//! `up` has one that stays; every suite has one that ends with it.

pub mod broker;
mod executor;
pub mod queue;
mod setting;
mod spin;
pub mod workerd;

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Client, expect, wait_for};
use crate::inputs::hex;
use crate::ports::{free_port, is_taken};
use crate::process::{Service, Services, own_program};
use crate::repo::Repo;
use crate::work::{Work, answer, tail};
use broker::{EPMD, RABBITMQ};
use queue::Carrier;
use setting::Setting;

/// How long an edge may take until it answers.
const EDGE_LIMIT: Duration = Duration::from_secs(180);

/// How long an executor may take until it offers a language: it looks into every image first.
const EXECUTOR_LIMIT: Duration = Duration::from_secs(180);

/// How long a broker may take until it lets clients in.
const BROKER_LIMIT: Duration = Duration::from_secs(180);

/// Where edge and executor-host send their spans.
const OTLP: &str = "CODECRAFTER_OTLP";

/// What the edge runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Platform {
    /// Cloudflare's runtime.
    Workerd,
    /// The Spin component in the test host.
    Spin,
}

impl Platform {
    /// The name of the service.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workerd => "workerd",
            Self::Spin => "spin",
        }
    }
}

/// The service that runs programs.
pub const EXECUTOR: &str = "executor";

/// The limits of a stack whose clients are programs: they are one address, and do in a minute what
/// people do in a term.
const NO_LIMITS: &str = "off";

/// The limits of a stack whose clients are people, all of this machine.
const LIMITS_OF_USERS: &str = "address=off,register=off,login=off,refresh=off,public=off";

/// An edge and an executor-host.
#[derive(Debug)]
pub struct Stack<'a> {
    repo: &'a Repo,
    folder: PathBuf,
    setting: Setting,
    services: Services,
    /// The clone whose edge runs, if that is another one.
    edge_of: Option<PathBuf>,
    /// Where a suite listens for spans of its edge and its executor, if it does.
    collector: Option<u16>,
    /// What its executor is told beyond what every stack's is.
    executor_settings: Vec<(&'static str, &'static str)>,
    /// Whether it ends when it is dropped.
    ends: bool,
}

impl<'a> Stack<'a> {
    /// The stack that `up` keeps, on `port`. A broker of its own keeps its ports while it runs.
    pub fn kept(repo: &'a Repo, port: u16, mut carrier: Carrier) -> Result<Self> {
        let folder = repo.state_dir();
        let services = Services::load(&folder)?;
        if let (Carrier::Private(ports), Ok(before)) = (&mut carrier, Setting::read(&folder))
            && let Carrier::Private(used) = before.carrier
            && (services.is_alive(RABBITMQ) || used.are_free())
        {
            *ports = used;
        }
        let setting = Setting {
            platform: Platform::Workerd,
            port,
            contract: false,
            fast_host: false,
            carrier,
            limits: LIMITS_OF_USERS.to_owned(),
            believes_clients: false,
        };
        Self::begin(repo, folder, setting, services, false)
    }

    /// A new stack of a suite, with nothing kept from earlier ones. It ends when it is dropped.
    pub fn of_suite(repo: &'a Repo, suite: &str, platform: Platform) -> Result<Self> {
        Self::of_suite_on(repo, suite, platform, Carrier::Embedded)
    }

    /// As [`of_suite`](Self::of_suite), with another queue.
    pub fn of_suite_on(
        repo: &'a Repo,
        suite: &str,
        platform: Platform,
        carrier: Carrier,
    ) -> Result<Self> {
        let folder = suites_folder(repo).join(format!("{suite}-{}", platform.name()));
        end_leftovers(&folder)?;
        let setting = Setting {
            platform,
            port: free_port()?,
            contract: true,
            fast_host: false,
            carrier,
            limits: NO_LIMITS.to_owned(),
            believes_clients: false,
        };
        let services = Services::load_attached(&folder)?;
        Self::begin(repo, folder, setting, services, true)
    }

    /// As [`of_suite`](Self::of_suite), for figures: the component's host is compiled for speed.
    pub fn of_bench(repo: &'a Repo, bench: &str, platform: Platform) -> Result<Self> {
        let mut stack = Self::of_suite(repo, bench, platform)?;
        stack.setting.fast_host = true;
        Ok(stack)
    }

    /// As for people at one machine: each user has the limits that every user has. Before the edge
    /// is started.
    pub fn with_limits_of_users(self) -> Result<Self> {
        self.with_limits(LIMITS_OF_USERS)
    }

    /// With these, as `CODECRAFTER_LIMITS` has them. Before the edge is started.
    pub fn with_limits(mut self, limits: &str) -> Result<Self> {
        limits.clone_into(&mut self.setting.limits);
        self.setting.write(&self.folder)?;
        Ok(self)
    }

    /// As deployed behind a proxy, whose part clients play: all limits are there, and each client
    /// says where it is. Before the edge is started.
    pub fn behind_a_proxy(mut self) -> Result<Self> {
        // Two promises are about more sessions than anybody makes in an hour.
        self.setting.limits = "sessions=250/1h,join=110/5m".to_owned();
        self.setting.believes_clients = true;
        self.setting.write(&self.folder)?;
        Ok(self)
    }

    /// Gives the executor a setting, by its variable. Before it is started.
    pub fn set_executor(&mut self, variable: &'static str, value: &'static str) {
        self.executor_settings.push((variable, value));
    }

    /// From its next start on, edge and executor send their spans to an address that is given, where
    /// nobody needs to listen.
    pub fn set_collector(&mut self) -> Result<String> {
        let port = free_port()?;
        self.collector = Some(port);
        Ok(format!("127.0.0.1:{port}"))
    }

    /// The value of [`OTLP`].
    fn otlp(&self) -> String {
        let address = self
            .collector
            .map(|port| format!("http://127.0.0.1:{port}"));
        address.unwrap_or_default()
    }

    /// A stack that some other command started.
    pub fn found(repo: &'a Repo, folder: &Path) -> Result<Self> {
        Ok(Self {
            repo,
            folder: folder.to_owned(),
            setting: Setting::read(folder)?,
            services: Services::load_attached(folder)?,
            edge_of: None,
            collector: None,
            executor_settings: Vec::new(),
            ends: false,
        })
    }

    /// The clone that it runs.
    pub const fn repo(&self) -> &'a Repo {
        self.repo
    }

    /// Where its secret, its state and its services' logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What carries the jobs.
    pub fn carrier(&self) -> &Carrier {
        &self.setting.carrier
    }

    /// Where the edge answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.setting.port)
    }

    /// A client of the edge.
    pub fn client(&self) -> Client {
        Client::new(self.url())
    }

    /// From its next start on, the edge is the one that was built in another clone, or again this
    /// one's. On workerd only.
    pub fn set_edge_of(&mut self, clone: Option<PathBuf>) {
        self.edge_of = clone;
    }

    /// Starts the edge, and does not wait for anything.
    pub fn spawn_edge(&mut self) -> Result<()> {
        let service = self.edge()?;
        self.services.start(&service).map(drop)
    }

    /// The edge's process, while it runs.
    pub fn edge_pid(&self) -> Option<i32> {
        self.services.pid(self.setting.platform.name())
    }

    /// Starts the edge unless it runs as it is now, and waits until it answers.
    pub fn start_edge(&mut self) -> Result<()> {
        let service = self.edge()?;
        let name = self.setting.platform.name();
        ensure!(
            self.services.is_alive(name) || !is_taken(self.setting.port),
            "port {} is taken by another program; `cargo xtask up --port N` takes another",
            self.setting.port
        );
        self.services.start(&service)?;
        let client = self.client();
        self.wait(name, EDGE_LIMIT, || {
            expect(200, client.get("/ready")?)?;
            Ok(Some(()))
        })
    }

    /// Starts the stack's own broker, if it has one, unless it runs as it is now, and waits until
    /// it lets clients in.
    pub fn start_broker(&mut self) -> Result<()> {
        let Carrier::Private(ports) = self.setting.carrier else {
            return Ok(());
        };
        for service in broker::services(&self.folder.join("broker"), ports)? {
            self.services.start(&service)?;
        }
        self.wait(RABBITMQ, BROKER_LIMIT, || ports.answers().map(Some))
    }

    /// Joins the executor to the edge, starts it unless it runs as it is now, and waits until the
    /// edge knows of a language that it offers. Its broker is started before.
    pub fn start_executor(&mut self, work: &Work) -> Result<()> {
        self.start_broker()?;
        executor::join(self, work)?;
        self.services.start(&executor::service(self))?;
        let client = self.client();
        self.wait(EXECUTOR, EXECUTOR_LIMIT, || {
            let languages = expect(200, client.get("/api/v1/languages")?)?;
            Ok(offered(&languages).then_some(()))
        })
    }

    /// Kills the edge as a crash would.
    pub fn kill_edge(&mut self) -> Result<()> {
        self.services.kill(self.setting.platform.name())
    }

    /// Kills the executor as a crash would.
    pub fn kill_executor(&mut self) -> Result<()> {
        self.services.kill(EXECUTOR)
    }

    /// Kills the stack's own broker as a crash would.
    pub fn kill_broker(&mut self) -> Result<()> {
        self.services.kill(RABBITMQ)
    }

    /// Starts a service of the suite's own, unless it runs as it is now. It ends with the stack.
    pub fn start_service(&mut self, service: &Service) -> Result<()> {
        self.services.start(service).map(drop)
    }

    /// Kills a service of the suite's own as a crash would.
    pub fn kill_service(&mut self, name: &str) -> Result<()> {
        self.services.kill(name)
    }

    /// Asks a service of the suite's own to end, and waits until it has.
    pub fn stop_service(&mut self, name: &str) -> Result<()> {
        self.services.stop(name)
    }

    /// Stops the edge as whoever replaces it does.
    pub fn stop_edge(&mut self) -> Result<()> {
        self.services.stop(self.setting.platform.name())
    }

    /// The process of a service, while it runs.
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.services.pid(name)
    }

    /// Where the edge listens.
    pub const fn edge_port(&self) -> u16 {
        self.setting.port
    }

    /// Enrols a further host, which keeps its state in `folder` and knows the edge as `url`.
    pub fn join(&self, work: &Work, folder: &Path, url: &str) -> Result<()> {
        executor::join_at(self, work, folder, url)
    }

    /// What the embedded queue of such a host holds.
    pub fn queue_of(&self, folder: &Path) -> Result<Value> {
        let mut command = executor::embedded_queue_command(self, folder);
        let text = answer(&mut command).context("no answer about the queue")?;
        Ok(serde_json::from_str(&text)?)
    }

    /// What operators show the edge.
    pub fn operator_token(&self) -> Result<String> {
        executor::operator_token(self)
    }

    /// Every host that has joined, as operators see it.
    pub fn executors(&self) -> Result<Value> {
        let operator = self.client().with_bearer(self.operator_token()?);
        expect(200, operator.get("/api/v1/executors")?)
    }

    /// What the executor's queue holds; field `queue` is its name.
    pub fn queue(&self) -> Result<Value> {
        let text =
            answer(&mut executor::queue_command(self)).context("no answer about the queue")?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Whether both services run.
    pub fn is_up(&self) -> bool {
        self.services.is_alive(self.setting.platform.name()) && self.services.is_alive(EXECUTOR)
    }

    /// A command that knows where this stack is, by the variables that the interop suites read.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = self.repo.command(program);
        command
            .env("CODECRAFTER_URL", self.url())
            .env("CODECRAFTER_SECRET", self.secret()?)
            .env("CODECRAFTER_RESTART", self.restart_command()?);
        Ok(command)
    }

    /// A line for a shell that kills the edge, starts it again and returns when it answers.
    fn restart_command(&self) -> Result<String> {
        let program = own_program()?;
        let quoted =
            |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        Ok(format!(
            "CARGO_MANIFEST_DIR={} {} crash-edge {}",
            quoted(&self.repo.path("xtask")),
            quoted(&program),
            quoted(&self.folder)
        ))
    }

    /// What a service wrote last.
    pub fn tail(&self, name: &str, lines: usize) -> String {
        tail(&self.services.log(name), lines)
    }

    fn edge(&self) -> Result<Service> {
        match self.setting.platform {
            Platform::Workerd => workerd::service(self),
            Platform::Spin => spin::service(self),
        }
    }

    /// Waits for a service that was started; if it ends instead, shows what it said.
    fn wait(
        &self,
        name: &str,
        limit: Duration,
        ask: impl Fn() -> Result<Option<()>>,
    ) -> Result<()> {
        let mut ended = false;
        let result = wait_for(name, limit, || {
            ended = !self.services.is_alive(name);
            if ended { Ok(Some(())) } else { ask() }
        });
        ensure!(!ended, "{name} ended:\n{}", self.tail(name, 20));
        result.with_context(|| format!("{name} is not ready; it said:\n{}", self.tail(name, 20)))
    }

    /// Writes down what the stack is, and makes its secret.
    fn begin(
        repo: &'a Repo,
        folder: PathBuf,
        setting: Setting,
        services: Services,
        ends: bool,
    ) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        setting.write(&folder)?;
        let secret = folder.join("secret");
        if !secret.exists() {
            let mut random = [0; 32];
            fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&secret)?;
            writeln!(file, "{}", hex(&random))?;
        }
        Ok(Self {
            repo,
            folder,
            setting,
            services,
            edge_of: None,
            collector: None,
            executor_settings: Vec::new(),
            ends,
        })
    }

    /// The deployment's secret.
    fn secret(&self) -> Result<String> {
        let text = fs::read_to_string(self.folder.join("secret")).context("the stack's secret")?;
        Ok(text.trim().to_owned())
    }

    /// A benchmark types faster than anybody may.
    fn frames_per_second(&self) -> &'static str {
        if self.setting.fast_host {
            "1000000"
        } else {
            ""
        }
    }

    fn trusted_proxies(&self) -> &'static str {
        if self.setting.believes_clients {
            "127.0.0.1"
        } else {
            ""
        }
    }

    fn contract(&self) -> &'static str {
        if self.setting.contract { "1" } else { "" }
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        if self.ends
            && let Err(why) = end_leftovers_of(&self.folder)
        {
            eprintln!(
                "cannot end the services of {}: {why:#}",
                self.folder.display()
            );
        }
    }
}

/// Where the suites have their stacks.
pub fn suites_folder(repo: &Repo) -> PathBuf {
    repo.state_dir().join("suites")
}

/// Stops the services of a folder, the executor first: it gives back what it has in hand. The
/// broker is needed for that, and its name service until it has gone.
pub fn stop(folder: &Path) -> Result<Vec<String>> {
    Services::load(folder)?.stop_all(&[EXECUTOR, "workerd", "spin", RABBITMQ, EPMD])
}

/// Stops what an interrupted suite left, and forgets its state; its logs stay until then.
fn end_leftovers(folder: &Path) -> Result<()> {
    if folder.exists() {
        end_leftovers_of(folder)?;
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

fn end_leftovers_of(folder: &Path) -> Result<()> {
    stop(folder).map(drop)
}

/// Whether somebody offers a language now.
fn offered(languages: &Value) -> bool {
    let items = languages["items"].as_array();
    items.is_some_and(|items| items.iter().any(|language| language["available"] == true))
}
