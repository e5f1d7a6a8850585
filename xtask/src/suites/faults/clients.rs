//! The users of a storm: each asks for one program after the other, whatever the edge answers, and
//! remembers every execution that was accepted and what was said of its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http::{Client, expect, wait_for};

use super::hosts::Sandbox;
use super::random::Random;

/// An access token lives for 15 minutes.
const SIGN_IN_EVERY: Duration = Duration::from_secs(600);
/// The edge may be dead for so long.
const EDGE_BACK: Duration = Duration::from_secs(120);
/// How long somebody who was refused waits; the answer says a few seconds.
const REFUSED_PAUSE: Duration = Duration::from_millis(700);
const PASSWORD: &str = "correct horse battery staple";

/// One program, and what it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    code: String,
    /// What its standard output must be.
    pub writes: String,
    /// Whether hosts are made to fail on it: once in the life of each process. With some that are
    /// killed as well, that may be as often as a job is tried.
    pub fails_hosts: bool,
}

impl Program {
    /// The `number`th of a user. Some fail for the host's reason at first, where the sandbox can do
    /// that.
    fn draw(whose: u64, number: u64, sandbox: &Sandbox, faulty: bool, random: &mut Random) -> Self {
        let (begin, end) = (
            format!("begun {whose}.{number}"),
            format!("done {whose}.{number}"),
        );
        let millis = random.between(50, 1_500);
        let fails_hosts = random.between(1, 20) == 1 && faulty && matches!(sandbox, Sandbox::Echo);
        let code = match sandbox {
            Sandbox::Echo => {
                let fault = if fails_hosts { "fault 1\n" } else { "" };
                format!("{fault}{begin}\nsleep {millis}\n{end}\n")
            }
            Sandbox::Containers(_) => format!(
                "import time\nprint('{begin}', flush=True)\ntime.sleep({millis} / 1000)\n\
                 print('{end}')\n"
            ),
        };
        let writes = format!("{begin}\n{end}\n");
        Self {
            code,
            writes,
            fails_hosts,
        }
    }
}

/// What one user has met.
#[derive(Debug, Default)]
pub struct Met {
    /// Every accepted execution, with the program.
    pub accepted: BTreeMap<String, Program>,
    /// Ends that were seen while the storm went on, by execution.
    pub ends: BTreeMap<String, Value>,
    /// Requests that were refused because there was too much: 429 and 503.
    pub refused: u64,
    /// Requests without an answer: whether they were accepted is not known.
    pub unanswered: u64,
}

/// Who may go on until when, for all users of a storm.
#[derive(Debug, Default)]
pub struct Going {
    /// Executions that were accepted.
    pub accepted: AtomicUsize,
    /// The storm is over.
    pub stop: AtomicBool,
    /// Whether some programs make hosts fail.
    pub faulty: bool,
}

/// A user.
pub struct User {
    number: u64,
    edge: Client,
    client: Client,
    signed_in: Instant,
    /// What was met.
    pub met: Met,
}

impl User {
    /// Registers the `number`th user.
    pub fn new(edge: &Client, number: u64) -> Result<Self> {
        let account = json!({
            "username": format!("storm-{number}"),
            "email": format!("storm-{number}@example.org"),
            "password": PASSWORD,
        });
        let signed_in = expect(201, edge.post("/api/v1/auth/register", &account)?)?;
        Ok(Self {
            number,
            edge: edge.clone(),
            client: edge.with_bearer(token(&signed_in)?),
            signed_in: Instant::now(),
            met: Met::default(),
        })
    }

    /// Asks for programs until the storm is over, with pauses of up to `pause_ms`.
    pub fn go(
        &mut self,
        going: &Going,
        sandbox: &Sandbox,
        pause_ms: u64,
        mut random: Random,
    ) -> Result<()> {
        let mut number = 0;
        while !going.stop.load(Ordering::Relaxed) {
            self.stay_signed_in()?;
            number += 1;
            let program = Program::draw(self.number, number, sandbox, going.faulty, &mut random);
            self.ask_for(program, going)?;
            // Meanwhile, a look at one of those that may have ended.
            self.look(&mut random);
            thread::sleep(Duration::from_millis(random.between(0, pause_ms)));
        }
        Ok(())
    }

    /// Asks until it is accepted, or the storm is over.
    fn ask_for(&mut self, program: Program, going: &Going) -> Result<()> {
        let request = json!({
            "language": "python",
            "code": program.code,
            "limits": { "wallMs": 10_000 },
        });
        while !going.stop.load(Ordering::Relaxed) {
            match self.client.post("/api/v1/executions", &request) {
                Ok((202, execution)) => {
                    let id = execution["id"].as_str().context("no id")?.to_owned();
                    self.met.accepted.insert(id, program);
                    going.accepted.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Ok((429 | 503, _)) => self.met.refused += 1,
                Ok((500..=599, _)) | Err(_) => self.met.unanswered += 1,
                Ok((status, body)) => {
                    anyhow::bail!("an execution was answered with {status}: {body}")
                }
            }
            thread::sleep(REFUSED_PAUSE);
        }
        Ok(())
    }

    fn look(&mut self, random: &mut Random) {
        let unseen = |id: &&String| !self.met.ends.contains_key(*id);
        let unseen: Vec<&String> = self.met.accepted.keys().filter(unseen).collect();
        let Some(last) = unseen.len().checked_sub(1) else {
            return;
        };
        let index = usize::try_from(random.between(0, last as u64)).unwrap_or(0);
        let id = unseen[index].clone();
        if let Ok(execution) = self.execution(&id)
            && execution["status"] == "finished"
        {
            self.met.ends.insert(id, execution);
        }
    }

    /// How an execution stands.
    pub fn execution(&self, id: &str) -> Result<Value> {
        expect(200, self.client.get(&format!("/api/v1/executions/{id}"))?)
    }

    /// The ids and states of all executions of this user that the Directory has.
    pub fn rows(&mut self) -> Result<Vec<(String, String)>> {
        self.signed_in -= SIGN_IN_EVERY;
        self.stay_signed_in()?;
        let mut rows = Vec::new();
        for page in 1.. {
            let path = format!("/api/v1/executions?limit=100&page={page}");
            let listed = expect(200, self.client.get(&path)?)?;
            let items = listed["items"].as_array().context("no items")?;
            if items.is_empty() {
                break;
            }
            for item in items {
                let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
                rows.push((text("id"), text("status")));
            }
        }
        Ok(rows)
    }

    fn stay_signed_in(&mut self) -> Result<()> {
        if self.signed_in.elapsed() < SIGN_IN_EVERY {
            return Ok(());
        }
        let login = json!({
            "login": format!("storm-{}", self.number),
            "password": PASSWORD,
        });
        let signed_in = wait_for("the edge, to sign in", EDGE_BACK, || {
            expect(200, self.edge.post("/api/v1/auth/login", &login)?).map(Some)
        })?;
        self.client = self.edge.with_bearer(token(&signed_in)?);
        self.signed_in = Instant::now();
        Ok(())
    }
}

fn token(signed_in: &Value) -> Result<&str> {
    signed_in["accessToken"].as_str().context("no access token")
}
