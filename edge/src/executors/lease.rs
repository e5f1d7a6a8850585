//! Leases in the Directory's database.
//!
//! A job is `waiting` until it is `leased` to a link, and `held` once the link has said that its
//! queue has it. A lease that is not acknowledged returns. A held job is the link's until its
//! result comes, its deadline passes, or the executor is revoked. A job that returns although
//! somebody has asked for its end, or that cannot be read, is `over`: nobody gets it any more, and
//! it is ended.
//!
//! An executor has one request waiting at a time. Its row names the newest, so that an older one,
//! whose caller may be gone, gets nothing, also where requests share no memory.

use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{ExecutionId, ExecutorId, LeaseId, RequestId};
use codecrafter_shared::job::{
    Acknowledged, Control, Job, Lease, LeaseRequest, Leases, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN,
};
use codecrafter_shared::language::{AnnouncedLanguage, KNOWN, is_day};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::{AcknowledgeLeases, LeaseJobs};
use super::controls::{self, executor_topic};
use super::store::authenticate;
use super::turns;
use crate::directory::Directory;
use crate::directory::parts::{self, Kind};
use crate::error::Refusal;
use crate::executions::end;
use crate::executions::store::jobs_topic;
use crate::ports::{Rows, Tx, Value};

/// How long a request waits without looking: a wake-up may have gone to somebody who left.
const LOOK_MS: i64 = 5_000;
/// Bytes of jobs after which no other is added to an answer.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Characters of a version, of the program or of a language, that are kept.
const VERSION_CHARS_MAX: usize = 100;

/// One request of a link, waiting.
struct Poll {
    id: RequestId,
    executor: ExecutorId,
    /// Jobs that may be handed out.
    slots: u32,
    /// Known languages that the executor offers, each once.
    languages: Vec<AnnouncedLanguage>,
    /// Whether it can pass input on.
    interactive: bool,
}

impl Poll {
    fn wanted(&self) -> turns::Wanted<'_> {
        turns::Wanted {
            languages: &self.languages,
            interactive: self.interactive,
            slots: self.slots,
        }
    }
}

/// [`LeaseJobs`]: at once if there is something, else held until there is, or the time is over.
///
/// # Errors
/// [`ErrorCode::ExecutorUnknown`], [`ErrorCode::ProtocolUnsupported`], or what is wrong with the
/// signature.
pub async fn lease(directory: &Directory, call: LeaseJobs) -> Result<Leases, Refusal> {
    let protocol = negotiate(&call.request)?;
    let poll = announce(directory, &call).await?;
    let mut topics = vec![executor_topic(poll.executor)];
    // An older request of the executor ends.
    topics.iter().for_each(|own| directory.signals.notify(own));
    if poll.slots > 0 {
        topics.extend(poll.languages.iter().map(|offered| jobs_topic(&offered.id)));
    }
    let wait_ms = call.request.wait_ms.clamp(0, limits::LEASE_WAIT_MS_MAX);
    let until = directory.clock.now().plus_millis(wait_ms);
    loop {
        // Listen, then look, then wait: a job that comes between is not missed.
        let listener = directory.signals.listen(&topics);
        directory.tick_in_turn().await?;
        let found = look(directory, &poll).await?;
        found.given_back.announce(directory).await?;
        let left = until.since(directory.clock.now());
        if found.superseded {
            // A wake-up that it may have got was for whoever can take the job.
            for topic in topics.iter().skip(1) {
                directory.signals.notify_one(topic);
            }
        }
        let found_something = !found.leases.is_empty() || !found.controls.is_empty();
        if found_something || found.superseded || left <= 0 {
            return Ok(Leases {
                protocol,
                leases: found.leases,
                controls: found.controls,
            });
        }
        listener
            .wait(u32::try_from(left.min(LOOK_MS)).unwrap_or(0))
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

/// Notes that the executor lives, what it offers and what it has taken, and that this is its
/// newest request.
async fn announce(directory: &Directory, call: &LeaseJobs) -> Result<Poll, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let request = &call.request;
    let offered = |id| request.languages.iter().find(|offered| offered.id == id);
    let known = KNOWN.iter().filter_map(|known| offered(known.id));
    let clipped = |version: &str| version.chars().take(VERSION_CHARS_MAX).collect();
    let languages = known.map(|offered| AnnouncedLanguage {
        id: offered.id.clone(),
        version: clipped(&offered.version),
        end_of_life: offered.end_of_life.clone().filter(|day| is_day(day)),
    });
    let languages: Vec<AnnouncedLanguage> = languages.collect();
    let announced = &serde_json::to_string(&languages).map_err(Refusal::internal)?;
    let version: &String = &clipped(&request.version);
    let id = RequestId::at(now, directory.rng.bytes());
    let executor = directory
        .db
        .transaction(|tx| async move {
            let executor = authenticate(&tx, tenant, &call.signature, now).await?;
            let sql = "UPDATE executor SET languages = ?, slots = ?, capacity = ?, version = ?, \
                       last_seen_at = ?, poll_id = ? WHERE tenant = ? AND id = ?";
            let values = [
                announced.into(),
                request.slots.into(),
                request.capacity.into(),
                version.into(),
                now.into(),
                id.into(),
                tenant.into(),
                executor.into(),
            ];
            tx.execute(sql, values).await?;
            controls::taken(&tx, tenant, executor, &request.controls_taken).await?;
            Ok::<_, Refusal>(executor)
        })
        .await?;
    Ok(Poll {
        id,
        executor,
        slots: request.slots,
        languages,
        interactive: request.interactive,
    })
}

/// What a request found when it looked.
#[derive(Default)]
struct Found {
    /// There is a newer request of the executor, and this one gets nothing.
    superseded: bool,
    leases: Vec<Lease>,
    controls: Vec<Control>,
    given_back: GiveBack,
}

async fn look(directory: &Directory, poll: &Poll) -> Result<Found, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let ids: Vec<LeaseId> = (0..poll.slots.min(limits::LEASE_JOBS_MAX))
        .map(|_| LeaseId::at(now, directory.rng.bytes()))
        .collect();
    let (ids, keys) = (&ids, &directory.config.keys);
    directory
        .db
        .transaction(|tx| async move {
            let mut found = Found::default();
            if !is_newest(&tx, tenant, poll).await? {
                found.superseded = true;
                return Ok(found);
            }
            let mut answer = Answer {
                tx: &tx,
                tenant,
                executor: poll.executor,
                expires_at: now.plus_millis(limits::LEASE_MS),
                bytes: 0,
                leases: Vec::new(),
            };
            for row in unacknowledged(&tx, tenant, poll.executor).await? {
                let language: String = row.get("language")?;
                let fits = poll.languages.iter().any(|offered| offered.id == language);
                if !fits || row.get("cancelled")? {
                    let id = row.get("execution_id")?;
                    let given_back = GiveBack::one(&tx, tenant, id, now).await?;
                    found.given_back.extend(given_back);
                } else if answer.has_room() {
                    let id = row.get("execution_id")?;
                    if !answer.hand_out(id, row.get("lease_id")?, keys).await? {
                        found
                            .given_back
                            .extend(GiveBack::of_no_use(&tx, tenant, id, now).await?);
                    }
                }
            }
            let handed_again = answer.leases.len();
            for (row, id) in turns::next(&tx, tenant, &poll.wanted(), now)
                .await?
                .into_iter()
                .zip(ids.iter().skip(handed_again))
            {
                if !answer.has_room() {
                    break;
                }
                let execution = row.get("execution_id")?;
                if !answer.hand_out(execution, *id, keys).await? {
                    let of_no_use = GiveBack::of_no_use(&tx, tenant, execution, now);
                    found.given_back.extend(of_no_use.await?);
                }
            }
            found.leases = answer.leases;
            found.controls = controls::of_executor(&tx, tenant, poll.executor).await?;
            Ok(found)
        })
        .await
}

/// Whether the executor has asked nothing since, and was not revoked.
async fn is_newest(tx: &Tx, tenant: &str, poll: &Poll) -> Result<bool, Refusal> {
    let sql = "SELECT poll_id FROM executor WHERE tenant = ? AND id = ? AND revoked_at IS NULL";
    let row = tx
        .first(sql, [tenant.into(), poll.executor.into()])
        .await?
        .ok_or_else(|| Refusal::new(ErrorCode::ExecutorUnknown))?;
    Ok(row.get::<Option<RequestId>>("poll_id")? == Some(poll.id))
}

pub(crate) const UNACKNOWLEDGED: &str = "SELECT execution_id, lease_id, language, cancelled \
     FROM job INDEXED BY job_by_executor WHERE tenant = ? AND executor_id = ? \
     AND state = 'leased' ORDER BY execution_id LIMIT ?";

/// What was handed to the executor, and not acknowledged. A request that is waiting has handed
/// nothing out yet, so this is of earlier ones: their answer was lost, or the executor restarted.
async fn unacknowledged(tx: &Tx, tenant: &str, executor: ExecutorId) -> Result<Rows, Refusal> {
    let values = [
        tenant.into(),
        executor.into(),
        limits::LEASE_JOBS_MAX.into(),
    ];
    Ok(tx.execute(UNACKNOWLEDGED, values).await?)
}

/// Jobs on their way to one executor.
struct Answer<'a> {
    tx: &'a Tx,
    tenant: &'a str,
    executor: ExecutorId,
    expires_at: Timestamp,
    bytes: usize,
    leases: Vec<Lease>,
}

impl Answer<'_> {
    const fn has_room(&self) -> bool {
        self.bytes < ANSWER_BYTES
    }

    /// Leases a job that nobody else has, or the same job again, under `id`; unless it is not
    /// readable, as another version wrote it.
    async fn hand_out(
        &mut self,
        execution_id: ExecutionId,
        id: LeaseId,
        keys: &crate::token::Keys,
    ) -> Result<bool, Refusal> {
        let name = execution_id.to_string();
        let job = parts::read(self.tx, self.tenant, Kind::Job, &name).await?;
        let mut job: Job = match serde_json::from_slice(&job) {
            Ok(read) => {
                self.bytes = self.bytes.saturating_add(job.len());
                read
            }
            Err(error) => {
                tracing::error!(execution.id = %name, cause = %error, "a job is not readable");
                return Ok(false);
            }
        };
        let sql = "UPDATE job SET state = 'leased', executor_id = ?, lease_id = ?, \
                   lease_expires_at = ? WHERE tenant = ? AND execution_id = ?";
        let values = [
            self.executor.into(),
            id.into(),
            self.expires_at.into(),
            self.tenant.into(),
            execution_id.into(),
        ];
        self.tx.execute(sql, values).await?;
        if job.interactive.is_some() {
            controls::go_along(self.tx, self.tenant, execution_id, self.executor).await?;
        }
        job.report_token = keys.report_token(execution_id, job.session_id, self.executor);
        self.leases.push(Lease {
            id,
            expires_at: self.expires_at,
            job,
        });
        Ok(true)
    }
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
                let sql = "UPDATE job INDEXED BY job_by_executor \
                           SET state = 'held', lease_expires_at = NULL \
                           WHERE tenant = ? AND executor_id = ? AND lease_id = ? \
                           AND state IN ('leased', 'held') RETURNING execution_id";
                let values = [tenant.into(), executor.into(), (*id).into()];
                if !tx.execute(sql, values).await?.is_empty() {
                    held.push(*id);
                }
            }
            Ok(Acknowledged { leases: held })
        })
        .await
}

/// Jobs that were taken from their executor.
#[derive(Default)]
#[must_use = "somebody waits for them"]
pub struct GiveBack {
    /// The language of each that waits again.
    waiting: Vec<String>,
    /// How many wait for nobody any more.
    over: usize,
}

impl GiveBack {
    /// Takes everything from an executor.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all_of(
        tx: &Tx,
        tenant: &str,
        executor: ExecutorId,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Self::take(tx, tenant, now, "executor_id = ?3", executor.into()).await
    }

    async fn one(
        tx: &Tx,
        tenant: &str,
        execution: ExecutionId,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Self::take(tx, tenant, now, "execution_id = ?3", execution.into()).await
    }

    /// Takes out of the way what nobody can run.
    async fn of_no_use(
        tx: &Tx,
        tenant: &str,
        execution: ExecutionId,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let sql = "UPDATE job SET state = 'over', deadline = min(deadline, ?), \
                   executor_id = NULL, lease_id = NULL, lease_expires_at = NULL \
                   WHERE tenant = ? AND execution_id = ?";
        tx.execute(sql, [now.into(), tenant.into(), execution.into()])
            .await?;
        Ok(Self {
            over: 1,
            ..Self::default()
        })
    }

    async fn expired(tx: &Tx, tenant: &str, now: Timestamp) -> Result<Self, Refusal> {
        let which = "state = 'leased' AND lease_expires_at <= ?3";
        Self::take(tx, tenant, now, which, now.into()).await
    }

    async fn take(
        tx: &Tx,
        tenant: &str,
        now: Timestamp,
        which: &str,
        value: Value,
    ) -> Result<Self, Refusal> {
        let sql = format!(
            "UPDATE job SET state = CASE WHEN cancelled THEN 'over' ELSE 'waiting' END, \
             deadline = CASE WHEN cancelled THEN min(deadline, ?2) ELSE deadline END, \
             executor_id = NULL, lease_id = NULL, lease_expires_at = NULL \
             WHERE tenant = ?1 AND {which} RETURNING execution_id, language, cancelled, \
             interactive"
        );
        let rows = tx.execute(&sql, [tenant.into(), now.into(), value]).await?;
        let mut given_back = Self::default();
        for row in rows {
            let id: ExecutionId = row.get("execution_id")?;
            let sql = "UPDATE execution SET status = 'queued' \
                       WHERE tenant = ? AND id = ? AND status = 'running'";
            tx.execute(sql, [tenant.into(), id.into()]).await?;
            if row.get("interactive")? {
                controls::return_input(tx, tenant, id).await?;
            }
            if row.get("cancelled")? {
                given_back.over = given_back.over.saturating_add(1);
            } else {
                given_back.waiting.push(row.get("language")?);
            }
        }
        Ok(given_back)
    }

    fn extend(&mut self, other: Self) {
        self.waiting.extend(other.waiting);
        self.over = self.over.saturating_add(other.over);
    }

    /// How many.
    pub fn jobs(&self) -> usize {
        self.waiting.len().saturating_add(self.over)
    }

    /// Once it is committed: wakes somebody for each that waits, and ends what is over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn announce(self, directory: &Directory) -> Result<(), Refusal> {
        for language in &self.waiting {
            directory.signals.notify_one(&jobs_topic(language));
        }
        if self.over > 0 {
            end::reap(directory).await?;
        }
        Ok(())
    }
}

/// Leases that nobody acknowledged return.
///
/// # Errors
/// Those of the database.
pub async fn return_expired(directory: &Directory) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let given_back = directory
        .db
        .transaction(|tx| async move { GiveBack::expired(&tx, tenant, now).await })
        .await?;
    if given_back.jobs() > 0 {
        tracing::warn!(
            jobs = given_back.jobs(),
            "leases were not acknowledged in time"
        );
    }
    given_back.announce(directory).await
}
