//! The Directory at work: every call to its handler, and what is due.

use std::sync::atomic::Ordering;

use codecrafter_shared::time::Timestamp;

use super::{CONTRACT_PATH, Directory, outbox, schema};
use crate::accounts::{calls as accounts, store as accounts_store};
use crate::error::Refusal;
use crate::executions::{
    calls as executions, cancel, create, end, files, get, input, list, retention,
};
use crate::executors::{calls as executors, controls, lease, operators, store as executors_store};
use crate::notifications::{mentions, online, questions as notifications};
use crate::ports::{DbError, ShardResponse, contract};
use crate::sessions::{
    calls as sessions, fork, list as sessions_list, participants, store as sessions_store,
};
use crate::shard::{Call, answer, no_such_call, received};

macro_rules! dispatch {
    ($directory:ident, $path:ident, $body:ident; $($call:ty => $handler:path,)+) => {
        match $path {
            $(<$call as Call>::PATH => {
                let result = async { $handler($directory, received::<$call>($body)?).await };
                answer(result.await)
            })+
            _ => no_such_call(),
        }
    };
}

/// While links wait for jobs, what is due is done this often.
const TICK_MS: i64 = 5_000;

impl Directory {
    /// Answers one call.
    pub async fn handle(&self, path: &str, body: &[u8]) -> ShardResponse {
        if let Err(error) = self.migrate().await {
            return answer::<()>(Err(error.into()));
        }
        if path == CONTRACT_PATH && self.config.contract {
            return answer(Ok(self.contract().await));
        }
        dispatch! { self, path, body;
            accounts::OpenAccount => accounts_store::open_account,
            accounts::FindCredentials => accounts_store::find_credentials,
            accounts::OpenLoginSession => accounts_store::open_login_session,
            accounts::RefreshLoginSession => accounts_store::refresh_login_session,
            accounts::EndLoginSession => accounts_store::end_login_session,
            accounts::Me => accounts_store::me,
            sessions::Create => sessions_store::create,
            sessions::Get => sessions_store::get,
            sessions::List => sessions_list::list,
            sessions::Update => sessions_store::update,
            sessions::Delete => sessions_store::delete,
            sessions::Join => participants::join,
            sessions::AddParticipant => participants::add,
            sessions::ChangeRole => participants::change_role,
            sessions::RemoveParticipant => participants::remove,
            sessions::Transfer => participants::transfer,
            sessions::MayEdit => participants::may_edit,
            sessions::Stand => fork::stand,
            sessions::Names => fork::names,
            sessions::Fork => fork::fork,
            executions::Prepare => create::prepare,
            executions::Create => create::create,
            executions::Get => get::get,
            executions::TakeInput => input::take,
            executions::GetFile => files::get,
            executions::Cancel => cancel::cancel,
            executions::List => list::list,
            executions::ListOfSession => list::list_of_session,
            executors::EnrolExecutor => executors_store::enrol,
            executors::LeaseJobs => lease::lease,
            executors::AcknowledgeLeases => lease::acknowledge,
            executors::TakeReports => executors_store::take_reports,
            executors::Offered => executors_store::offered,
            executors::State => executors_store::state,
            executors::List => operators::list,
            executors::Revoke => operators::revoke,
            outbox::Delivered => outbox::delivered,
            notifications::OpenFeed => online::open_feed,
            notifications::KeepOnline => online::keep,
            notifications::SetOnline => online::set,
            notifications::OnlineIn => online::online_in,
            notifications::Mention => mentions::mention,
        }
    }

    /// Does what is due: returns expired leases, ends executions that nobody answered, sends
    /// again what the outbox still holds, forgets what is long over. Gives when something is due
    /// next.
    ///
    /// # Errors
    /// Those of the database; what a room refuses stays in the outbox.
    pub async fn tick(&self) -> Result<Option<Timestamp>, Refusal> {
        self.migrate().await?;
        let (tenant, now) = (&*self.config.tenant, self.clock.now());
        let memory = &self.memory;
        memory.ticked_at.store(now.as_millis(), Ordering::Relaxed);
        lease::return_expired(self).await?;
        end::reap(self).await?;
        controls::forget_old(self).await?;
        operators::forget_revoked(self).await?;
        retention::forget_old(self).await?;
        outbox::retry(self).await?;
        let due = self.due(tenant, self.clock.now()).await?;
        let due_at = due.map_or(i64::MAX, Timestamp::as_millis);
        memory.due_at.store(due_at, Ordering::Relaxed);
        Ok(due)
    }

    /// The [tick](Self::tick), unless somebody else did it a moment ago and nothing that was known
    /// then has become due.
    ///
    /// # Errors
    /// Those of the tick.
    pub async fn tick_in_turn(&self) -> Result<(), Refusal> {
        let now = self.clock.now().as_millis();
        let ticked_at = self.memory.ticked_at.load(Ordering::Relaxed);
        let recent = (ticked_at..ticked_at.saturating_add(TICK_MS)).contains(&now);
        if recent && now < self.memory.due_at.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.tick().await.map(|_| ())
    }

    async fn due(&self, tenant: &str, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        self.db
            .transaction(|tx| async move {
                let sql = "SELECT min(due) AS due FROM (\
                           SELECT min(due_at) AS due FROM outbox WHERE tenant = ?1 \
                           UNION ALL SELECT min(deadline) FROM job WHERE tenant = ?1 \
                           UNION ALL SELECT min(lease_expires_at) FROM job \
                           WHERE tenant = ?1 AND state = 'leased')";
                let row = tx.first(sql, [tenant.into()]).await?;
                let due: Option<Timestamp> = row.map_or(Ok(None), |row| row.get("due"))?;
                // Never at once: what could not be done now is not done by hurrying.
                Ok(due.map(|due| due.max(now.plus_millis(1_000))))
            })
            .await
    }

    async fn migrate(&self) -> Result<(), DbError> {
        if !self.memory.migrated.load(Ordering::Relaxed) {
            schema::migrate(&*self.db).await?;
            self.memory.migrated.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn contract(&self) -> Vec<contract::Seen> {
        contract::run(contract::World {
            db: &*self.db,
            clock: &*self.clock,
            rng: &*self.rng,
            cache: &*self.cache,
            hasher: &*self.hasher,
            signals: &*self.signals,
        })
        .await
    }
}
