//! What a host can run just now, kept true while the sandbox comes, goes and changes.

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::language::AnnouncedLanguage;
use tokio::time::timeout;

use super::Host;
use crate::retry::Retry;
use crate::sandbox::HostFault;

/// How often a sandbox in order is asked what it can run.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// A sandbox that takes longer to say what it can run is taken for one that runs nothing.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What the host can run at the moment; `None` while its sandbox does not answer.
pub type Offer = Option<Arc<[AnnouncedLanguage]>>;

/// Whether there is a language that can be run. A host without one takes no jobs: it would refuse
/// each at once, and so draw those to itself that other workers could run.
pub(super) fn offers_any(offer: &Offer) -> bool {
    offer
        .as_deref()
        .is_some_and(|languages| !languages.is_empty())
}

impl Host {
    /// Keeps [`Host::offer`] true: asks the sandbox until it answers, again after a fault and when
    /// it says that something changed, and now and then, because images come and go.
    pub(super) async fn watch_sandbox(&self) {
        let mut retry = Retry::new("use the sandbox");
        loop {
            match self.languages().await {
                Ok(languages) => {
                    retry.succeeded();
                    self.set_offer(Some(languages.into()));
                    tokio::select! {
                        () = self.faulted.notified() => {}
                        () = self.sandbox.changed() => {}
                        () = tokio::time::sleep(ASK_EVERY) => {}
                    }
                }
                Err(fault) => {
                    self.set_offer(None);
                    tokio::time::sleep(retry.failed(&fault)).await;
                }
            }
        }
    }

    /// What the sandbox says that it can run; nothing is offered while that takes too long.
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        let mut answer = self.sandbox.languages();
        if let Ok(answer) = timeout(ANSWER_MAX, &mut answer).await {
            return answer;
        }
        tracing::warn!("the sandbox does not answer");
        self.set_offer(None);
        answer.await
    }

    pub(super) fn set_offer(&self, offer: Offer) {
        let changed = self.offer.send_if_modified(|known| {
            let changed = *known != offer;
            if let Some(languages) = offer.as_deref().filter(|_| changed) {
                let ids: Vec<_> = languages.iter().map(|language| &*language.id).collect();
                if ids.is_empty() {
                    tracing::warn!("there is no language that this host can run");
                } else {
                    tracing::info!(languages = ids.join(" "), "ready");
                }
            }
            *known = offer;
            changed
        });
        if changed {
            let offer = self.offer.borrow();
            let languages = offer.as_deref().unwrap_or_default();
            let ids = languages.iter().map(|language| language.id.as_str());
            self.metrics.offered(ids);
        }
    }
}
