//! The agent: the first process of a sandbox container, and the only one that is trusted in it.
//!
//! It takes orders from executor-host on standard input, runs one program at a time as a user
//! without rights, and reports on standard output. It knows nothing of languages, jobs or
//! verdicts; [`agent_protocol`] is all that it shares with the host.

#[cfg(target_os = "linux")]
mod agent;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    agent::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the agent runs in Linux containers only");
    std::process::exit(1);
}
