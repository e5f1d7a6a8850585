//! A user of a deployment, and the programs that the user runs: what several suites do to see
//! whether it works.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http::{Client, expect, wait_for};

/// How long an execution may take to come to its next state, crashes included.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A new account, signed in.
pub fn sign_up(edge: &Client) -> Result<Client> {
    sign_up_as(edge, "fault-finder")
}

/// A new account of this name, signed in.
pub fn sign_up_as(edge: &Client, name: &str) -> Result<Client> {
    let account = json!({
        "username": name,
        "email": format!("{name}@example.org"),
        "password": "correct horse battery staple",
    });
    let signed_in = expect(201, edge.post("/api/v1/auth/register", &account)?)?;
    let token = signed_in["accessToken"]
        .as_str()
        .context("no access token")?;
    Ok(edge.with_bearer(token))
}

/// Asks for a Python program to be run; gives the execution's id.
pub fn submit(user: &Client, code: &str) -> Result<String> {
    let request = json!({ "language": "python", "code": code, "limits": { "wallMs": 30_000 } });
    let execution = expect(202, user.post("/api/v1/executions", &request)?)?;
    Ok(execution["id"]
        .as_str()
        .context("an execution without an id")?
        .to_owned())
}

/// How an execution stands.
pub fn execution(user: &Client, id: &str) -> Result<Value> {
    let execution = expect(200, user.get(&format!("/api/v1/executions/{id}"))?)?;
    ensure!(execution["id"] == id, "another execution: {execution}");
    Ok(execution)
}

/// Waits until the execution is in `status` and what is asked of it holds.
pub fn until(
    user: &Client,
    id: &str,
    status: &str,
    holds: impl Fn(&Value) -> bool,
) -> Result<Value> {
    wait_for(&format!("execution {id} is {status}"), LIMIT, || {
        let execution = execution(user, id)?;
        let reached = execution["status"] == status && holds(&execution);
        let passed = execution["status"] == "finished" && status != "finished";
        ensure!(!passed, "ended before: {execution}");
        Ok(reached.then_some(execution))
    })
}

/// Waits for the final result, which must be that the program ran to its end once and wrote
/// `survived`.
pub fn accepted(user: &Client, id: &str) -> Result<Value> {
    let end = until(user, id, "finished", |_| true)?;
    ensure!(
        end["verdict"] == "accepted" && end["stdout"] == "survived\n",
        "ended badly: {end}"
    );
    Ok(end)
}
