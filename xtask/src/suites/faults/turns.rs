//! Turns, through everything that a job passes: whoever has asked for many programs keeps somebody
//! who asks for one waiting for no more than what the hosts have already.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::programs::{accepted, sign_up_as, submit, until};
use crate::repo::Repo;
use crate::stack::queue::Carrier;
use crate::stack::{Platform, Stack};
use crate::work::Work;

/// Jobs that run at a time.
const SLOTS: usize = 2;
/// As many as one user may have unfinished.
const MANY: usize = 10;
/// So long that others wait meanwhile, until all have asked.
const CODE: &str = "import time\ntime.sleep(3)\nprint('survived')\n";

/// Counts the positions between a request and its run, with jobs in `carrier`.
pub fn turns(repo: &Repo, work: &Work, carrier: Carrier) -> Result<()> {
    let suite = format!("turns-{}", carrier.queue());
    let mut stack = Stack::of_suite_on(repo, &suite, Platform::Workerd, carrier)?;
    stack.set_executor("CODECRAFTER_SLOTS", "2");
    stack.start_edge()?;
    stack.start_executor(work)?;
    let many = sign_up_as(&stack.client(), "with-many")?;
    let one = sign_up_as(&stack.client(), "with-one")?;
    let ids: Vec<String> = (0..MANY)
        .map(|_| submit(&many, CODE))
        .collect::<Result<_>>()?;
    // The hosts have taken what they have room for.
    until(&many, &ids[0], "running", |_| true)?;
    let alone = accepted(&one, &submit(&one, CODE)?)?;
    let others: Vec<Value> = ids
        .iter()
        .map(|id| accepted(&many, id))
        .collect::<Result<_>>()?;
    let (asked, begun) = (time(&alone, "createdAt")?, time(&alone, "startedAt")?);
    let mut before = 0;
    let mut after = 0;
    for other in &others {
        let start = time(other, "startedAt")?;
        before += usize::from(start > asked && start < begun);
        after += usize::from(start > begun);
    }
    // What was on its way to a slot when it was asked for may begin before it, and nothing else.
    ensure!(
        before <= SLOTS,
        "{before} of the many went before the one, on {SLOTS} slots"
    );
    ensure!(after >= 2, "there was no crowd: {after} came after it");
    Ok(())
}

/// Times of one form sort as text.
fn time<'a>(execution: &'a Value, name: &str) -> Result<&'a str> {
    execution[name].as_str().with_context(|| name.to_owned())
}
