//! Executors and their reports in the Directory's database; [`super::lease`] has the leases.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::api::{Languages, OfferedLanguage, Ready};
use codecrafter_shared::error::{ErrorCode, FieldError};
use codecrafter_shared::id::{AttemptId, ExecutionId, ExecutorId};
use codecrafter_shared::job::{Event, OutputFiles, Report};
use codecrafter_shared::language::{AnnouncedLanguage, KNOWN};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::{EnrolExecutor, Offered, Signature, State, TakeReports, Taken};
use super::versions::newest_first;
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft, RoomMessage};
use crate::error::Refusal;
use crate::executions::end;
use crate::executions::store::announce_end;
use crate::ports::Tx;
use crate::token::{claimed_executor, verify_link};

/// The tables, one statement each.
pub const SCHEMA: &[&str] = &["CREATE TABLE executor (
        tenant TEXT, id TEXT, name TEXT, public_key BLOB, languages TEXT, slots INTEGER,
        enrolled_at INTEGER, last_seen_at INTEGER, revoked_at INTEGER,
        PRIMARY KEY (tenant, id)) WITHOUT ROWID"];

/// Step 2: what operators see of an executor, and which of its requests is the newest.
pub const SCHEMA_2: &[&str] = &[
    "ALTER TABLE executor ADD COLUMN capacity INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE executor ADD COLUMN version TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE executor ADD COLUMN poll_id TEXT",
];

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
pub(super) async fn authenticate(
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
            let executor = authenticate(&tx, tenant, &call.signature, now).await?;
            let mut committed = Committed::nothing_to_send(Taken::default());
            // Before the ends, which take the jobs away that say whose they are.
            let started = call.reports.iter().filter(|report| !is_end(report));
            let started = started.map(|report| (report.execution_id, report.attempt_id));
            let others = others(
                &tx,
                tenant,
                executor,
                started.chain(call.live.iter().copied()),
            );
            let others = others.await?;
            for (report, draft) in call.reports.iter().zip(drafts) {
                let value = &mut committed.value;
                if !is_end(report) && others.contains(&report.attempt_id) {
                    continue;
                }
                match take(&tx, tenant, report, now).await? {
                    end::Taken::Unknown => {
                        value.unknown = value.unknown.saturating_add(1);
                        value.late.push(report.attempt_id);
                    }
                    end::Taken::Duplicate { own } => {
                        let again = u32::from(is_end(report));
                        value.duplicates = value.duplicates.saturating_add(again);
                        if !own {
                            value.late.push(report.attempt_id);
                        }
                    }
                    end::Taken::End { shown, told } => {
                        let Some(session) = report.session_id else {
                            continue;
                        };
                        let message = RoomMessage::Finished {
                            report: Box::new(end_of(shown, report)),
                        };
                        let mut letters = vec![(session, message).into()];
                        letters.extend(told.map(|told| *told));
                        let sent = draft.commit_each(&tx, tenant, letters, ()).await?;
                        committed.outbox.extend(sent.outbox);
                    }
                    end::Taken::Yes => {}
                }
            }
            committed.value.late.extend(others);
            Ok::<_, Refusal>(committed)
        })
        .await?;
    for report in call.reports.iter().filter(|report| is_end(report)) {
        announce_end(directory, report.execution_id);
    }
    Ok(committed)
}

/// Those of the attempts whose execution is not the executor's: its lease has returned, and was
/// perhaps given to another one. Of what has ended, the attempt that has ended it may be repeated.
async fn others(
    tx: &Tx,
    tenant: &str,
    executor: ExecutorId,
    attempts: impl Iterator<Item = (ExecutionId, AttemptId)> + Send,
) -> Result<BTreeSet<AttemptId>, Refusal> {
    let attempts: BTreeSet<_> = attempts.collect();
    let mut others = BTreeSet::new();
    for (id, attempt) in attempts {
        let sql = "SELECT executor_id FROM job WHERE tenant = ? AND execution_id = ?";
        let is_own = match tx.first(sql, [tenant.into(), id.into()]).await? {
            Some(job) => job.get::<Option<ExecutorId>>("executor_id")? == Some(executor),
            None => end::is_last_attempt(tx, tenant, id, attempt).await?,
        };
        if !is_own {
            others.insert(attempt);
        }
    }
    Ok(others)
}

async fn take(
    tx: &Tx,
    tenant: &str,
    report: &Report,
    now: Timestamp,
) -> Result<end::Taken, Refusal> {
    let (id, attempt) = (report.execution_id, report.attempt_id);
    match &report.event {
        Event::Started => end::start(tx, tenant, id, attempt, report.at).await,
        Event::Finished { outcome } => end::finish(tx, tenant, id, attempt, outcome, now).await,
        Event::Stage { .. } | Event::Output { .. } => Ok(end::Taken::Yes),
    }
}

fn is_end(report: &Report) -> bool {
    matches!(report.event, Event::Finished { .. })
}

/// An end as the room is told. It has shown the output already, and a row of the outbox is small.
/// If it shows a later attempt than the one that has ended, that one is over as well, and what it
/// still reports comes too late.
fn end_of(shown: AttemptId, report: &Report) -> Report {
    let mut report = report.clone();
    if report.attempt_id != shown {
        report.attempt_id = shown;
        report.seq = u32::MAX;
    }
    if let Event::Finished { outcome } = &mut report.event {
        for run in outcome.runs.iter_mut().chain(&mut outcome.compile) {
            for stream in [&mut run.stdout, &mut run.stderr] {
                stream.data.clear();
                stream.tail = None;
            }
            run.files = OutputFiles::default();
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
        let mut offers: Vec<&AnnouncedLanguage> = offers.collect();
        offers.sort_unstable_by(|a, b| newest_first(&a.version, &b.version));
        let newest = offers.first().map(|offer| &offer.version);
        let of_newest = offers.iter().filter(|offer| Some(&offer.version) == newest);
        // Not every link that offers it may be new enough to know.
        let end_of_life = of_newest
            .filter_map(|offer| offer.end_of_life.clone())
            .max();
        let mut versions: Vec<String> = offers.iter().map(|offer| offer.version.clone()).collect();
        versions.dedup();
        OfferedLanguage {
            id: known.id.into(),
            name: known.name.into(),
            available: !versions.is_empty(),
            versions,
            end_of_life,
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
