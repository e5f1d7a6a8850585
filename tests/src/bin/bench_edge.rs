//! What requests cost an edge: `bench-edge load` drives one route after the other in a closed loop,
//! `bench-edge costs` counts what the platform charges for. `cargo xtask bench edge` runs both and
//! draws the table.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use codecrafter_shared::api::{CreateExecution, CreateSession, Login};
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::Event;
use codecrafter_tests::client::{Client, PASSWORD};
use codecrafter_tests::link::{Link, printed, report};
use codecrafter_tests::load::{Asked, closed_loop};
use codecrafter_tests::world::World;
use http::Method;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// The edge, such as `http://127.0.0.1:8787`.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8787")]
    url: String,
    /// The edge's secret.
    #[arg(
        long,
        global = true,
        env = "CODECRAFTER_SECRET",
        hide_env_values = true,
        default_value = ""
    )]
    secret: String,
}

#[derive(Subcommand)]
enum What {
    /// One JSON object a line for each route.
    Load {
        /// The server's process: its CPU time is read beside the driver's clock.
        #[arg(long)]
        server_pid: u32,
        /// How long each route is driven, after two seconds that do not count.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Connections, each with one request at a time.
        #[arg(long, default_value_t = 16)]
        connections: usize,
        /// Only this path, without an account: for a server that is no edge.
        #[arg(long)]
        constant: Option<String>,
    },
    /// What a login and an execution cost, as one JSON object.
    Costs,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let world = World::new(arguments.url.trim_end_matches('/'), arguments.secret)?;
    match arguments.what {
        What::Load {
            server_pid,
            seconds,
            connections,
            constant,
        } => {
            let driver = Driver {
                world,
                server_pid,
                time: Duration::from_secs(seconds),
            };
            match constant {
                Some(path) => {
                    driver
                        .drive("constant", &vec![get(&path, None); connections])
                        .await
                }
                None => driver.drive_all(connections).await,
            }
        }
        What::Costs => {
            println!("{}", costs(&world).await?);
            Ok(())
        }
    }
}

/// People who create sessions on one connection, in turns: enough for 3,200 sessions.
const OWNERS: usize = 16;
/// Connections for what takes tens of milliseconds: a login its hash, a session the files of a
/// database of its own. More connections only wait, and workerd, asked for more than it can do,
/// lets some wait for so long that it closes them.
const FEW: usize = 4;

struct Driver {
    world: World,
    server_pid: u32,
    time: Duration,
}

impl Driver {
    async fn drive_all(&self, connections: usize) -> Result<()> {
        self.drive("constant", &vec![get("/health", None); connections])
            .await?;

        let owner = self.world.user().await?;
        let session = owner.create_session(&two_sums()).await?;
        let path = format!("/api/v1/sessions/{}", session.id);
        let read = get(&path, Some(owner.token()));
        self.drive("session read", &vec![read; connections]).await?;

        // A person each: the logins of one follow one another.
        let mut logins = Vec::with_capacity(FEW);
        for _ in 0..FEW {
            let person = self.world.user().await?;
            let login = Login {
                login: person.user()?.username.clone(),
                password: PASSWORD.into(),
            };
            logins.push(Asked {
                method: Method::POST,
                path: "/api/v1/auth/login".into(),
                bearers: Vec::new(),
                body: Some(body(&login)?),
                status: 200,
            });
        }
        self.drive("login", &logins).await?;

        // A person owns only so many sessions.
        let mut people = Vec::with_capacity(FEW * OWNERS);
        for _ in 0..FEW * OWNERS {
            people.push(self.world.user().await?);
        }
        // Last: rooms that have fallen asleep are put away for a while after it.
        let session = body(&two_sums())?;
        let creates = people.chunks(OWNERS).map(|owners| Asked {
            method: Method::POST,
            path: "/api/v1/sessions".into(),
            bearers: owners.iter().map(|owner| owner.token().into()).collect(),
            body: Some(session.clone()),
            status: 201,
        });
        self.drive("session create", &creates.collect::<Vec<_>>())
            .await
    }

    /// Drives one route, and prints what came of it.
    async fn drive(&self, name: &str, asked: &[Asked]) -> Result<()> {
        let authority = self.world.url.trim_start_matches("http://");
        closed_loop(authority, asked, Duration::from_secs(2))
            .await
            .context(name.to_owned())?;
        let before = cpu_seconds(self.server_pid)?;
        let seen = closed_loop(authority, asked, self.time)
            .await
            .context(name.to_owned())?;
        let cpu = cpu_seconds(self.server_pid)? - before;
        ensure!(seen.count() > 0, "{name}: no answer within {:?}", self.time);
        let line = json!({
            "name": name,
            "connections": asked.len(),
            "n": seen.count(),
            "perSecond": seen.per_second(),
            "p50Ms": seen.percentile_ms(0.50),
            "p95Ms": seen.percentile_ms(0.95),
            "p99Ms": seen.percentile_ms(0.99),
            "serverCpuMs": cpu * 1_000.0 / seen.count() as f64,
        });
        println!("{line}");
        Ok(())
    }
}

fn get(path: &str, bearer: Option<&str>) -> Asked {
    Asked {
        method: Method::GET,
        path: path.into(),
        bearers: bearer.into_iter().map(str::to_owned).collect(),
        body: None,
        status: 200,
    }
}

fn body(request: &impl serde::Serialize) -> Result<Bytes> {
    Ok(serde_json::to_vec(request)?.into())
}

fn two_sums() -> CreateSession {
    CreateSession {
        title: "Two sums".into(),
        language: "python".into(),
        content: Some("print(1 + 1)\n".into()),
        ..Default::default()
    }
}

/// CPU time of a process so far, of all its threads, from `/proc/PID/stat`, fields 14 and 15, in
/// ticks of 1/100 s (proc_pid_stat(5); the kernel's `USER_HZ` is 100 on every architecture that
/// this runs on).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the server's process")?;
    // The name may hold spaces, and ends at the last parenthesis.
    let after = stat.rsplit_once(')').context("no stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks =
        |index: usize| -> Result<u64> { Ok(fields.get(index).context("no stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

/// How often each thing is done to be counted.
const REPEATED: u32 = 10;

/// What one login and one execution cost, each the mean of ten. The execution is leased,
/// acknowledged and reported by a link that is played by hand, as an executor would; what an
/// executor's waiting costs comes on top.
async fn costs(world: &World) -> Result<Value> {
    let user = world.user().await?;
    let login = user.user()?.username.clone();
    let stranger = world.stranger();
    let logins = Costs::of(&stranger, async {
        for _ in 0..REPEATED {
            stranger
                .login(&login, PASSWORD)
                .await?
                .expect::<Value>(200)?;
        }
        Ok(())
    });
    let logins = logins.await?;

    let session = user.create_session(&two_sums()).await?;
    let link = Link::enrol(world, "python").await?;
    link.lease(0, 0).await?;
    let executions = Costs::of(&stranger, async {
        for _ in 0..REPEATED {
            let request = CreateExecution {
                session_id: Some(session.id),
                ..Default::default()
            };
            user.execute(&request).await?;
            let leases = link.lease(1, 1_000).await?;
            link.acknowledge(&leases).await?;
            let job = &leases.first().context("no job was leased")?.job;
            let attempt = AttemptId::at(world.now(), [7; 10]);
            link.report(vec![report(job, attempt, 0, Event::Started)])
                .await?;
            link.report(vec![report(job, attempt, 1, printed("2\n"))])
                .await?;
        }
        Ok(())
    });
    let executions = executions.await?;
    Ok(json!({ "login": logins, "execution": executions }))
}

/// What the platform has charged for so far.
struct Costs(Value);

impl Costs {
    const NAMES: [&str; 5] = [
        "rowsRead",
        "rowsWritten",
        "objectRequests",
        "socketMessages",
        "kvWrites",
    ];

    async fn now(client: &Client) -> Result<Self> {
        let costs = client.get("/internal/costs").await?.expect(200);
        Ok(Self(costs.context(
            "the edge counts its costs on workerd, with CODECRAFTER_CONTRACT=1",
        )?))
    }

    /// The mean cost of what `work` does [`REPEATED`] times.
    async fn of(client: &Client, work: impl Future<Output = Result<()>>) -> Result<Value> {
        let before = Self::now(client).await?;
        work.await?;
        let after = Self::now(client).await?;
        let mean = |name: &str| {
            let count = |costs: &Self| costs.0[name].as_f64().unwrap_or(0.0);
            (
                name.to_owned(),
                json!((count(&after) - count(&before)) / f64::from(REPEATED)),
            )
        };
        Ok(Value::Object(Self::NAMES.into_iter().map(mean).collect()))
    }
}
