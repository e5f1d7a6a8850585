//! Executors and leases in the Directory's database.
//!
//! A job is `waiting` until it is `leased` to a link, and `held` once the link has said that its
//! queue has it. A lease that is not acknowledged returns to `waiting`. A held job is the link's
//! until its result comes or its deadline passes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::api::{Languages, OfferedLanguage, Ready};
use codecrafter_shared::error::{ErrorCode, FieldError};
use codecrafter_shared::id::{ExecutionId, ExecutorId, LeaseId};
use codecrafter_shared::job::{
    Acknowledged, Event, Job, Lease, LeaseRequest, Leases, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN,
    Report,
};
use codecrafter_shared::language::{AnnouncedLanguage, KNOWN};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::{
    AcknowledgeLeases, EnrolExecutor, LeaseJobs, Offered, Signature, State, TakeReports, Taken,
};
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft, RoomMessage};
use crate::directory::parts::{self, Kind};
use crate::error::Refusal;
use crate::executions::store as executions;
use crate::ports::{Tx, Value};
use crate::token::{claimed_executor, verify_link};

/// The tables, one statement each.
pub const SCHEMA: &[&str] = &["CREATE TABLE executor (
        tenant TEXT, id TEXT, name TEXT, public_key BLOB, languages TEXT, slots INTEGER,
        enrolled_at INTEGER, last_seen_at INTEGER, revoked_at INTEGER,
        PRIMARY KEY (tenant, id)) WITHOUT ROWID"];

/// While a link waits for jobs, the Directory does what is due this often.
const TICK_MS: i64 = 5_000;

/// [`EnrolExecutor`].
///
/// # Errors
/// [`ErrorCode::ValidationFailed`] for what is no Ed25519 public key.
pub async fn enrol(directory: &Directory, call: EnrolExecutor) -> Result<ExecutorId, Refusal> {
    let now = directory.clock.now();
    let id = ExecutorId::at(now, directory.rng.bytes());
    let key = URL_SAFE_NO_PAD.decode(&call.request.public_key).ok();
    let key = key.filter(|key| jwt_simple::prelude::Ed25519PublicKey::from_bytes(key).is_ok());
    let key = key.ok_or_else(|| {
        let message = "is an Ed25519 public key in base64url without padding".into();
        Refusal::fields(vec![FieldError {
            field: "publicKey".into(),
            message,
        }])
    })?;
    let (tenant, name, key) = (&*directory.config.tenant, &call.request.name, &key);
    directory
        .db
        .transaction(|tx| async move {
            let sql = "INSERT INTO executor (tenant, id, name, public_key, languages, slots, \
                       enrolled_at) VALUES (?, ?, ?, ?, '[]', 0, ?)";
            let values = [
                tenant.into(),
                id.into(),
                name.into(),
                key.clone().into(),
                now.into(),
            ];
            tx.execute(sql, values).await?;
            Ok(id)
        })
        .await
}

/// Whose signature it is.
async fn authenticate(
    tx: &Tx,
    tenant: &str,
    signature: &Signature,
    now: Timestamp,
) -> Result<ExecutorId, Refusal> {
    let unknown = || Refusal::new(ErrorCode::ExecutorUnknown);
    let id = claimed_executor(&signature.token).ok_or_else(unknown)?;
    let sql = "SELECT public_key FROM executor WHERE tenant = ? AND id = ? AND revoked_at IS NULL";
    let row = tx
        .first(sql, [tenant.into(), id.into()])
        .await?
        .ok_or_else(unknown)?;
    let key: Vec<u8> = row.get("public_key")?;
    let Signature {
        token,
        path,
        body_hash,
    } = signature;
    verify_link(token, id, &key, path, body_hash, now)?;
    Ok(id)
}

/// [`LeaseJobs`]: at once if something waits, else held until something does, or the time is over.
///
/// # Errors
/// [`ErrorCode::ExecutorUnknown`], [`ErrorCode::ProtocolUnsupported`], or what is wrong with the
/// signature.
pub async fn lease(directory: &Directory, call: LeaseJobs) -> Result<Leases, Refusal> {
    let protocol = negotiate(&call.request)?;
    let executor = announce(directory, &call).await?;
    let wait_ms = call.request.wait_ms.clamp(0, limits::LEASE_WAIT_MS_MAX);
    let until = directory.clock.now().plus_millis(wait_ms);
    let mut tick_at = Timestamp::default();
    loop {
        // Listen, then look, then wait: a job that comes between is not missed.
        let listener = directory.signals.listen(executions::JOBS_TOPIC);
        if directory.clock.now() >= tick_at {
            directory.tick().await?;
            tick_at = directory.clock.now().plus_millis(TICK_MS);
        }
        let leases = lease_now(directory, &call.request, executor).await?;
        let left = until.since(directory.clock.now());
        if !leases.is_empty() || call.request.slots == 0 || left <= 0 {
            return Ok(Leases {
                protocol,
                leases,
                controls: Vec::new(),
            });
        }
        listener
            .wait(u32::try_from(left.min(TICK_MS)).unwrap_or(0))
            .await;
    }
}

/// The highest version that both speak.
fn negotiate(request: &LeaseRequest) -> Result<u16, Refusal> {
    let highest = request.protocol.min(PROTOCOL_VERSION);
    if highest >= request.protocol_min.max(PROTOCOL_VERSION_MIN) {
        return Ok(highest);
    }
    let detail = format!(
        "this edge speaks versions {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}, \
         this executor {} to {}",
        request.protocol_min, request.protocol
    );
    Err(Refusal::with_detail(ErrorCode::ProtocolUnsupported, detail))
}

/// Notes that the executor lives, and what it offers.
async fn announce(directory: &Directory, call: &LeaseJobs) -> Result<ExecutorId, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let languages = serde_json::to_string(&call.request.languages).map_err(Refusal::internal)?;
    let (languages, slots) = (&languages, call.request.slots);
    directory
        .db
        .transaction(|tx| async move {
            let id = authenticate(&tx, tenant, &call.signature, now).await?;
            let sql = "UPDATE executor SET languages = ?, slots = ?, last_seen_at = ? \
                       WHERE tenant = ? AND id = ?";
            let values = [
                languages.into(),
                slots.into(),
                now.into(),
                tenant.into(),
                id.into(),
            ];
            tx.execute(sql, values).await?;
            Ok(id)
        })
        .await
}

async fn lease_now(
    directory: &Directory,
    request: &LeaseRequest,
    executor: ExecutorId,
) -> Result<Vec<Lease>, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let wanted = request.slots.min(limits::LEASE_JOBS_MAX);
    let languages: Vec<&str> = KNOWN
        .iter()
        .map(|known| known.id)
        .filter(|id| request.languages.iter().any(|offered| offered.id == *id))
        .collect();
    if wanted == 0 || languages.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<LeaseId> = (0..wanted)
        .map(|_| LeaseId::at(now, directory.rng.bytes()))
        .collect();
    let (languages, ids) = (&languages, &ids);
    directory
        .db
        .transaction(|tx| async move {
            let places = vec!["?"; languages.len()].join(", ");
            let sql = format!(
                "SELECT execution_id FROM job WHERE tenant = ? AND state = 'waiting' \
                 AND language IN ({places}) ORDER BY execution_id LIMIT ?"
            );
            let mut values: Vec<Value> = vec![tenant.into()];
            values.extend(languages.iter().map(|id| Value::from(*id)));
            values.push(wanted.into());
            let waiting = tx.execute(&sql, values).await?;
            let mut leases = Vec::new();
            for (row, id) in waiting.into_iter().zip(ids) {
                let execution_id: ExecutionId = row.get("execution_id")?;
                let expires_at = now.plus_millis(limits::LEASE_MS);
                let sql = "UPDATE job SET state = 'leased', executor_id = ?, lease_id = ?, \
                           lease_expires_at = ? WHERE tenant = ? AND execution_id = ?";
                let values = [
                    executor.into(),
                    (*id).into(),
                    expires_at.into(),
                    tenant.into(),
                    execution_id.into(),
                ];
                tx.execute(sql, values).await?;
                let job = parts::read(&tx, tenant, Kind::Job, &execution_id.to_string()).await?;
                let mut job: Job = serde_json::from_slice(&job).map_err(Refusal::internal)?;
                job.report_token = directory.config.keys.report_token(execution_id, executor);
                leases.push(Lease {
                    id: *id,
                    expires_at,
                    job,
                });
            }
            Ok(leases)
        })
        .await
}

/// [`AcknowledgeLeases`]. Harmless to repeat.
///
/// # Errors
/// [`ErrorCode::ExecutorUnknown`], or what is wrong with the signature.
pub async fn acknowledge(
    directory: &Directory,
    call: AcknowledgeLeases,
) -> Result<Acknowledged, Refusal> {
    let (now, tenant, call) = (directory.clock.now(), &*directory.config.tenant, &call);
    directory
        .db
        .transaction(|tx| async move {
            let executor = authenticate(&tx, tenant, &call.signature, now).await?;
            let mut held = Vec::new();
            for id in &call.request.leases {
                let sql = "UPDATE job SET state = 'held', lease_expires_at = NULL \
                           WHERE tenant = ? AND lease_id = ? AND executor_id = ? \
                           AND state IN ('leased', 'held') RETURNING execution_id";
                let values = [tenant.into(), (*id).into(), executor.into()];
                if !tx.execute(sql, values).await?.is_empty() {
                    held.push(*id);
                }
            }
            Ok(Acknowledged { leases: held })
        })
        .await
}

/// Leases that nobody acknowledged return.
///
/// # Errors
/// Those of the database.
pub async fn return_expired_leases(directory: &Directory) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let returned: usize = directory
        .db
        .transaction(|tx| async move {
            let sql = "UPDATE job SET state = 'waiting', executor_id = NULL, lease_id = NULL, \
                       lease_expires_at = NULL WHERE tenant = ? AND state = 'leased' \
                       AND lease_expires_at <= ? RETURNING execution_id";
            Ok::<_, Refusal>(tx.execute(sql, [tenant.into(), now.into()]).await?.len())
        })
        .await?;
    if returned > 0 {
        tracing::warn!(jobs = returned, "leases were not acknowledged in time");
        directory.signals.notify(executions::JOBS_TOPIC);
    }
    Ok(())
}

/// [`TakeReports`].
///
/// # Errors
/// [`ErrorCode::ExecutorUnknown`], or what is wrong with the signature.
pub async fn take_reports(
    directory: &Directory,
    call: TakeReports,
) -> Result<Committed<Taken>, Refusal> {
    let now = directory.clock.now();
    let drafts: Vec<Draft> = call
        .reports
        .iter()
        .map(|_| Draft::new(directory, now))
        .collect();
    let (tenant, call, drafts) = (&*directory.config.tenant, &call, &drafts);
    let committed = directory
        .db
        .transaction(|tx| async move {
            authenticate(&tx, tenant, &call.signature, now).await?;
            let mut committed = Committed::nothing_to_send(Taken::default());
            for (report, draft) in call.reports.iter().zip(drafts) {
                match take(&tx, tenant, report, now).await? {
                    executions::Taken::Unknown => {
                        committed.value.unknown = committed.value.unknown.saturating_add(1);
                    }
                    executions::Taken::Duplicate if is_end(report) => {
                        committed.value.duplicates = committed.value.duplicates.saturating_add(1);
                    }
                    executions::Taken::Yes if is_end(report) => {
                        let Some(session) = report.session_id else {
                            continue;
                        };
                        let message = RoomMessage::Finished {
                            report: Box::new(without_output(report)),
                        };
                        let sent = draft.commit(&tx, tenant, session, message, ()).await?;
                        committed.outbox.extend(sent.outbox);
                    }
                    executions::Taken::Yes | executions::Taken::Duplicate => {}
                }
            }
            Ok::<_, Refusal>(committed)
        })
        .await?;
    for report in call.reports.iter().filter(|report| is_end(report)) {
        executions::announce_end(directory, report.execution_id);
    }
    Ok(committed)
}

async fn take(
    tx: &Tx,
    tenant: &str,
    report: &Report,
    now: Timestamp,
) -> Result<executions::Taken, Refusal> {
    let (id, attempt) = (report.execution_id, report.attempt_id);
    match &report.event {
        Event::Started => executions::start(tx, tenant, id, attempt, report.at).await,
        Event::Finished { outcome } => {
            executions::finish(tx, tenant, id, Some(attempt), outcome, now).await
        }
        Event::Stage { .. } | Event::Output { .. } => Ok(executions::Taken::Yes),
    }
}

fn is_end(report: &Report) -> bool {
    matches!(report.event, Event::Finished { .. })
}

/// The room has shown the output already, and a row of the outbox is small.
fn without_output(report: &Report) -> Report {
    let mut report = report.clone();
    if let Event::Finished { outcome } = &mut report.event {
        for run in outcome.runs.iter_mut().chain(&mut outcome.compile) {
            run.stdout.data.clear();
            run.stderr.data.clear();
        }
    }
    report
}

/// [`Offered`].
///
/// # Errors
/// Those of the database.
pub async fn offered(directory: &Directory, _: Offered) -> Result<Languages, Refusal> {
    let live = live(directory).await?;
    let items = KNOWN.iter().map(|known| {
        let offers = live.iter().flatten().filter(|offer| offer.id == known.id);
        let mut versions: Vec<String> = offers.map(|offer| offer.version.clone()).collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        versions.dedup();
        OfferedLanguage {
            id: known.id.into(),
            name: known.name.into(),
            available: !versions.is_empty(),
            versions,
        }
    });
    Ok(Languages {
        items: items.collect(),
    })
}

/// [`State`].
///
/// # Errors
/// Those of the database.
pub async fn state(directory: &Directory, _: State) -> Result<Ready, Refusal> {
    let live = live(directory).await?.len();
    let tenant = &*directory.config.tenant;
    let waiting: u32 = directory
        .db
        .transaction(|tx| async move {
            let sql = "SELECT count(*) AS n FROM job WHERE tenant = ? AND state = 'waiting'";
            let row = tx.first(sql, [tenant.into()]).await?;
            Ok::<_, Refusal>(row.map_or(Ok(0), |row| row.get("n"))?)
        })
        .await?;
    Ok(Ready {
        status: "ready".into(),
        live_executors: u32::try_from(live).unwrap_or(u32::MAX),
        waiting_executions: waiting,
    })
}

/// What each executor that was heard of lately offers.
async fn live(directory: &Directory) -> Result<Vec<Vec<AnnouncedLanguage>>, Refusal> {
    let tenant = &*directory.config.tenant;
    let since = directory.clock.now().plus_millis(-limits::EXECUTOR_LIVE_MS);
    directory
        .db
        .transaction(|tx| async move {
            let sql = "SELECT languages FROM executor \
                       WHERE tenant = ? AND revoked_at IS NULL AND last_seen_at >= ?";
            let rows = tx.execute(sql, [tenant.into(), since.into()]).await?;
            let read = |row: crate::ports::Row| {
                let languages: String = row.get("languages")?;
                serde_json::from_str(&languages).map_err(Refusal::internal)
            };
            rows.into_iter().map(read).collect()
        })
        .await
}
