//! An execution as its owner asks for it: as it stands, or once it has ended.

use codecrafter_shared::api::{Execution, ExecutionStatus};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::Get;
use super::end;
use super::retention::Kept;
use super::store::{read, readable, topic};
use super::wait::Place;
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::error::Refusal;

/// [`Get`]: at once, or when it has ended, or when the time is over; at once, too, if the caller
/// waits for as many answers as one may.
///
/// # Errors
/// `execution_not_found`, also for an execution of others outside the caller's
/// sessions.
pub async fn get(directory: &Directory, call: Get) -> Result<Execution, Refusal> {
    let mut place = None;
    let execution = get_in_time(directory, &call, &mut place).await;
    if let Some(place) = place {
        place.leave(directory).await;
    }
    execution
}

async fn get_in_time(
    directory: &Directory,
    call: &Get,
    place: &mut Option<Place>,
) -> Result<Execution, Refusal> {
    let wait_ms = call.wait_ms.clamp(0, limits::WAIT_MS_MAX);
    let until = directory.clock.now().plus_millis(wait_ms);
    loop {
        // Listen, then look, then wait: an end between looking and waiting is not missed.
        let listener = directory.signals.listen(&[topic(call.execution_id)]);
        let mut execution = get_now(directory, call).await?;
        if is_overdue(&execution, directory.clock.now()) {
            // Where nothing rings by itself and no link asks, nobody else ends it.
            end::reap(directory).await?;
            execution = get_now(directory, call).await?;
        }
        let left = until.since(directory.clock.now());
        if execution.status == ExecutionStatus::Finished || left <= 0 {
            return Ok(execution);
        }
        if place.is_none() {
            *place = Place::take(directory, call.caller, until).await?;
            if place.is_none() {
                return Ok(execution);
            }
        }
        listener.wait(u32::try_from(left).unwrap_or(0)).await;
    }
}

/// Whether it should have ended by now.
fn is_overdue(execution: &Execution, now: Timestamp) -> bool {
    let cancelled = execution.cancel_requested_at;
    let asked_to = cancelled.is_some_and(|at| now.since(at) >= limits::CANCEL_MS_MAX);
    let is_old = now.since(execution.created_at) >= limits::EXECUTION_MS_MAX;
    execution.status != ExecutionStatus::Finished && (asked_to || is_old)
}

async fn get_now(directory: &Directory, call: &Get) -> Result<Execution, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let kept = Kept::at(&directory.config, now);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let (row, _) = readable(&tx, tenant, call.execution_id, call.caller).await?;
            read(&tx, tenant, &row, kept).await
        })
        .await
}
