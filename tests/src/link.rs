//! An executor's link, played by hand: what is leased, acknowledged and reported is the test's
//! decision.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::id::{AttemptId, ExecutorId};
use codecrafter_shared::job::{
    Acknowledge, Acknowledged, Captured, Enrol, Enrolled, Event, Job, LINK_AUDIENCE, Lease,
    LeaseRequest, Leases, LinkClaims, Outcome, OutputFiles, PROTOCOL_VERSION, Report, Reports,
    ReportsTaken, RunOutcome, Usage, Verdict,
};
use codecrafter_shared::keys;
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::time::Timestamp;
use jwt_simple::prelude::{Claims, Duration, Ed25519KeyPair, EdDSAKeyPairLike as _};
use serde::Serialize;

use crate::client::{Answer, Client};
use crate::world::World;

/// An enrolled link.
pub struct Link {
    client: Client,
    key: Ed25519KeyPair,
    /// The executor's id.
    pub executor_id: ExecutorId,
    language: String,
}

/// Which part of a signed request is not what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// None: the request is as it should be.
    None,
    /// Another key signed it.
    Key,
    /// It was signed for another path.
    Path,
    /// It was signed for another body.
    Body,
}

impl Link {
    /// Enrols an executor that offers `language`.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn enrol(world: &World, language: &str) -> Result<Self> {
        let key = Ed25519KeyPair::generate();
        let client = world.stranger();
        let request = Enrol {
            name: "played by hand".into(),
            public_key: URL_SAFE_NO_PAD.encode(key.public_key().to_bytes()),
        };
        let join_token = keys::join_token(world.secret.as_bytes());
        let request = client
            .request(reqwest::Method::POST, "/internal/executors")
            .bearer_auth(join_token)
            .json(&request);
        let Enrolled { executor_id } = client.send(request).await?.expect(201)?;
        Ok(Self {
            client,
            key,
            executor_id,
            language: language.into(),
        })
    }

    /// Sends a signed request.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn call(
        &self,
        path: &str,
        body: &impl Serialize,
        forgery: Forgery,
    ) -> Result<Answer> {
        let body = serde_json::to_vec(body)?;
        let other = Ed25519KeyPair::generate();
        let key = if forgery == Forgery::Key {
            &other
        } else {
            &self.key
        };
        let signed = if forgery == Forgery::Body {
            b"{}" as &[u8]
        } else {
            &body
        };
        let path_signed = if forgery == Forgery::Path {
            "/internal/elsewhere"
        } else {
            path
        };
        let claims = LinkClaims {
            path: path_signed.into(),
            body: keys::body_hash(signed),
        };
        let claims = Claims::with_custom_claims(claims, Duration::from_secs(60))
            .with_issuer(self.executor_id)
            .with_audience(LINK_AUDIENCE);
        let request = self
            .client
            .request(reqwest::Method::POST, path)
            .bearer_auth(key.sign(claims)?)
            .header("content-type", "application/json")
            .body(body);
        self.client.send(request).await
    }

    /// Leases up to `slots` jobs, waiting for the first up to `wait_ms`.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn lease(&self, slots: u32, wait_ms: i64) -> Result<Vec<Lease>> {
        Ok(self.ask(&self.lease_request(slots, wait_ms)).await?.leases)
    }

    /// Asks for leases and control messages.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn ask(&self, request: &LeaseRequest) -> Result<Leases> {
        self.call("/internal/leases", request, Forgery::None)
            .await?
            .expect(200)
    }

    /// Waits until the edge knows of a request of this link for leases, or of a newer one than
    /// `since`; gives when that was.
    ///
    /// # Errors
    /// If operators are not told.
    pub async fn seen(&self, world: &World, since: Option<Timestamp>) -> Result<Timestamp> {
        loop {
            let known = world.executors().await?;
            let own = known
                .items
                .iter()
                .find(|known| known.id == self.executor_id);
            match own.and_then(|own| own.last_seen_at) {
                // So that what comes next is not of the same millisecond.
                Some(at) if Some(at) > since && world.now() > at => return Ok(at),
                _ => tokio::task::yield_now().await,
            }
        }
    }

    /// What [`Link::lease`] sends.
    #[must_use]
    pub fn lease_request(&self, slots: u32, wait_ms: i64) -> LeaseRequest {
        let language = AnnouncedLanguage {
            id: self.language.clone(),
            version: "1.2.3".into(),
            end_of_life: None,
        };
        LeaseRequest {
            protocol: PROTOCOL_VERSION,
            protocol_min: PROTOCOL_VERSION,
            slots,
            capacity: slots,
            version: "1.2.3".into(),
            controls_taken: Vec::new(),
            languages: vec![language],
            interactive: true,
            wait_ms,
        }
    }

    /// Acknowledges leases.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn acknowledge(&self, leases: &[Lease]) -> Result<Acknowledged> {
        let request = Acknowledge {
            leases: leases.iter().map(|lease| lease.id).collect(),
        };
        self.call("/internal/leases/ack", &request, Forgery::None)
            .await?
            .expect(200)
    }

    /// Reports.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn report(&self, reports: Vec<Report>) -> Result<ReportsTaken> {
        let answer = self
            .call("/internal/reports", &Reports { reports }, Forgery::None)
            .await?;
        answer.expect(200)
    }
}

/// A report on an attempt of `job`.
#[must_use]
pub fn report(job: &Job, attempt_id: AttemptId, seq: u32, event: Event) -> Report {
    Report {
        execution_id: job.execution_id,
        session_id: job.session_id,
        report_token: job.report_token.clone(),
        attempt_id,
        seq,
        at: job.deadline,
        traceparent: job
            .traceparent
            .filter(|_| matches!(event, Event::Finished { .. })),
        event,
    }
}

/// An accepted outcome that printed `stdout`.
#[must_use]
pub fn printed(stdout: &str) -> Event {
    let bytes = stdout.len() as u64;
    let run = RunOutcome {
        verdict: Verdict::Accepted,
        exit_code: Some(0),
        signal: None,
        stdout: Captured::new(stdout.into(), bytes),
        stderr: Captured::default(),
        files: OutputFiles::default(),
        usage: Usage {
            cpu_ms: 3,
            wall_ms: 5,
            peak_bytes: 1 << 20,
            ..Default::default()
        },
        also: Vec::new(),
        cached: false,
    };
    let outcome = Outcome {
        verdict: Verdict::Accepted,
        message: None,
        compile: None,
        runs: vec![run],
    };
    Event::Finished {
        outcome: Box::new(outcome),
    }
}
