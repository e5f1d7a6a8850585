//! What the internal routes ask the Directory about executors.

use codecrafter_shared::api::{Executors, Languages, Ready};
use codecrafter_shared::id::{AttemptId, ExecutionId, ExecutorId};
use codecrafter_shared::job::{Acknowledge, Acknowledged, Enrol, LeaseRequest, Leases, Report};
use serde::{Deserialize, Serialize};

use crate::directory::outbox::Committed;
use crate::shard::calls;

calls! {
    /// Makes an executor known. The join token was right.
    "/executors/enrol" => EnrolExecutor {
        /// Its name and key.
        request: Enrol,
    } -> ExecutorId;

    /// Hands out jobs and control messages, and waits for some while there are none.
    "/executors/lease" => LeaseJobs {
        /// Who asks.
        signature: Signature,
        /// For what.
        request: LeaseRequest,
    } -> Leases;

    /// Jobs are in the link's queue.
    "/executors/acknowledge" => AcknowledgeLeases {
        /// Who says so.
        signature: Signature,
        /// Which.
        request: Acknowledge,
    } -> Acknowledged;

    /// Attempts have started, go on or have ended. The report tokens were right for the claimed
    /// executor.
    "/executors/reports" => TakeReports {
        /// Who says so.
        signature: Signature,
        /// In order; only [`codecrafter_shared::job::Event::Started`] and
        /// [`codecrafter_shared::job::Event::Finished`].
        reports: Vec<Report>,
        /// Attempts that something else was reported of.
        live: Vec<(ExecutionId, AttemptId)>,
    } -> Committed<Taken>;

    /// What live executors offer.
    "/executors/offered" => Offered {} -> Languages;

    /// Whether anything waits, and whether anybody is there to take it.
    "/executors/state" => State {} -> Ready;

    /// Every enrolled executor. The operator token was right.
    "/executors/list" => List {} -> Executors;

    /// Ends an executor's credentials, and gives what it has to others. Harmless to repeat. The
    /// operator token was right.
    "/executors/revoke" => Revoke {
        /// Which.
        executor_id: ExecutorId,
    } -> ();
}

/// A link's signature, not checked yet, with what it must fit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// The JSON Web Token.
    pub token: String,
    /// The path that was called.
    pub path: String,
    /// The hash of the body that came.
    pub body_hash: String,
}

/// What became of the reports.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Final results that were not the first.
    pub duplicates: u32,
    /// Reports on executions that do not exist.
    pub unknown: u32,
    /// Attempts that nobody is to see: of an execution that another attempt has ended, or that
    /// another executor has by now.
    pub late: Vec<AttemptId>,
}
