//! Who works on a queue that hosts share: what workers announce, and what the link may therefore
//! offer to the edge. Jobs go to whichever worker is free, so only what every worker can run is
//! offered.

use std::collections::BTreeMap;
use std::time::Duration;

use codecrafter_shared::language::AnnouncedLanguage;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::host::{Offer, describe};
use crate::queue::RabbitMq;
use crate::retry::Retry;

/// How often a worker says that it is there.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(2);
/// A worker that was not heard of for this long has gone.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// A worker that leaves does not wait longer to say so.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// More workers are not kept in mind.
const WORKERS_MAX: usize = 1024;

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// Tells it from other workers.
    pub worker: String,
    /// Jobs that it runs at a time.
    pub slots: u32,
    /// What it can run; `None` or nothing while it can run nothing, and `None` once it leaves.
    pub languages: Option<Vec<AnnouncedLanguage>>,
}

/// What the workers can do together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strength {
    /// What each of them can run; `None` while there is nobody.
    pub offer: Offer,
    /// Jobs that they run at a time.
    pub slots: u32,
}

/// The workers that were heard of lately. Pure.
#[derive(Debug, Default)]
pub struct Crew {
    heard: BTreeMap<String, (Announcement, Instant)>,
}

impl Crew {
    /// A worker has said what it can do, at `now`.
    pub fn hear(&mut self, announcement: Announcement, now: Instant) {
        let name = announcement.worker.clone();
        // One that can run nothing takes nothing, and must not keep the others from it.
        if announcement.languages.as_ref().is_none_or(Vec::is_empty) {
            self.heard.remove(&name);
        } else if self.heard.len() < WORKERS_MAX || self.heard.contains_key(&name) {
            self.heard.insert(name, (announcement, now));
        }
    }

    /// What those can do who were heard of lately. Of a language that workers have in different
    /// versions, that of the first of them is told.
    pub fn strength(&mut self, now: Instant) -> Strength {
        self.heard
            .retain(|_, (_, heard)| now.duration_since(*heard) < GONE_AFTER);
        let mut workers = self.heard.values().map(|(worker, _)| worker);
        let Some(first) = workers.next() else {
            let (offer, slots) = (None, 0);
            return Strength { offer, slots };
        };
        let (mut slots, mut offer) = (first.slots, first.languages.clone().unwrap_or_default());
        for worker in workers {
            let can = worker.languages.as_deref().unwrap_or_default();
            offer.retain(|language| can.iter().any(|other| other.id == language.id));
            slots = slots.saturating_add(worker.slots);
        }
        let offer = Some(offer.into());
        Strength { offer, slots }
    }

    /// When somebody may have gone unnoticed.
    fn next_at(&self) -> Option<Instant> {
        let heard = self.heard.values().map(|(_, heard)| *heard + GONE_AFTER);
        heard.min()
    }
}

/// Announces the worker `name` until `stop` fires, and then that it leaves.
pub async fn announce(
    queue: &RabbitMq,
    name: &str,
    slots: u32,
    mut offer: watch::Receiver<Offer>,
    stop: CancellationToken,
) {
    let announcement = |languages: Option<Vec<AnnouncedLanguage>>| Announcement {
        worker: name.to_owned(),
        slots,
        languages,
    };
    let mut retry = Retry::new("announce this worker");
    let announcing = async {
        loop {
            let languages = offer.borrow_and_update().as_deref().map(<[_]>::to_vec);
            match queue.announce(&announcement(languages)).await {
                Ok(()) => {
                    retry.succeeded();
                    let _ = timeout(ANNOUNCE_EVERY, offer.changed()).await;
                }
                Err(error) => sleep(retry.failed(&describe(&error))).await,
            }
        }
    };
    let _: Option<std::convert::Infallible> = stop.run_until_cancelled(announcing).await;
    // Without it the link notices a little later.
    let _ = timeout(GOODBYE_MAX, queue.announce(&announcement(None))).await;
}

/// Keeps `offer` and `slots` true for what the workers can do together, for ever.
pub async fn follow(queue: &RabbitMq, offer: &watch::Sender<Offer>, slots: &watch::Sender<u32>) {
    let mut crew = Crew::default();
    let tell = |crew: &mut Crew| tell(crew, offer, slots);
    let mut retry = Retry::new("hear of workers");
    loop {
        let mut announcements = match queue.announcements::<Announcement>().await {
            Ok(announcements) => {
                retry.succeeded();
                announcements
            }
            Err(error) => {
                sleep(retry.failed(&describe(&error))).await;
                tell(&mut crew);
                continue;
            }
        };
        let lost = loop {
            let gone = async {
                match crew.next_at() {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = announcements.next() => match heard {
                    Ok(announcement) => crew.hear(announcement, Instant::now()),
                    Err(error) => break error,
                },
                () = gone => {}
            }
            tell(&mut crew);
        };
        sleep(retry.failed(&describe(&lost))).await;
    }
}

fn tell(crew: &mut Crew, offer: &watch::Sender<Offer>, slots: &watch::Sender<u32>) {
    let strength = crew.strength(Instant::now());
    // Slots first: whoever waits for an offer then looks at them.
    let more =
        slots.send_if_modified(|known| std::mem::replace(known, strength.slots) != strength.slots);
    let other = offer.send_if_modified(|known| {
        let changed = *known != strength.offer;
        known.clone_from(&strength.offer);
        changed
    });
    if more || other {
        let languages = strength.offer.as_deref().unwrap_or_default();
        let ids: Vec<_> = languages.iter().map(|language| &*language.id).collect();
        let (workers, slots) = (crew.heard.len(), strength.slots);
        tracing::info!(workers, slots, languages = ids.join(" "), "workers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages(ids: &[&str]) -> Option<Vec<AnnouncedLanguage>> {
        let language = |id: &&str| AnnouncedLanguage {
            id: (*id).into(),
            version: "1".into(),
            end_of_life: None,
        };
        Some(ids.iter().map(language).collect())
    }

    fn worker(name: &str, slots: u32, ids: &[&str]) -> Announcement {
        Announcement {
            worker: name.into(),
            slots,
            languages: languages(ids),
        }
    }

    fn offered(strength: &Strength) -> Option<Vec<String>> {
        let ids = |offer: &[AnnouncedLanguage]| offer.iter().map(|one| one.id.clone()).collect();
        strength.offer.as_deref().map(ids)
    }

    #[test]
    fn what_every_worker_can_run_is_offered_and_their_slots_add_up() {
        let (mut crew, now) = (Crew::default(), Instant::now());
        assert_eq!(crew.strength(now).offer, None);
        crew.hear(worker("a", 2, &["c", "go", "python"]), now);
        crew.hear(worker("b", 3, &["python", "rust", "c"]), now);
        let strength = crew.strength(now);
        let expected: &[String] = &["c".into(), "python".into()];
        assert_eq!(offered(&strength).as_deref(), Some(expected));
        assert_eq!(strength.slots, 5);
    }

    #[test]
    fn a_worker_without_any_language_keeps_nobody_from_working() {
        let (mut crew, now) = (Crew::default(), Instant::now());
        crew.hear(worker("a", 2, &["c"]), now);
        crew.hear(worker("b", 3, &[]), now);
        let strength = crew.strength(now);
        assert_eq!(offered(&strength), Some(vec!["c".to_owned()]));
        assert_eq!(strength.slots, 2);
    }

    #[test]
    fn a_worker_counts_until_it_leaves_or_is_not_heard_of_any_more() {
        let (mut crew, now) = (Crew::default(), Instant::now());
        crew.hear(worker("a", 2, &["c"]), now);
        crew.hear(worker("b", 3, &["c"]), now + GONE_AFTER / 2);
        assert_eq!(crew.next_at(), Some(now + GONE_AFTER));
        assert_eq!(crew.strength(now + GONE_AFTER).slots, 3);
        let leaving = Announcement {
            languages: None,
            ..worker("b", 3, &[])
        };
        crew.hear(leaving, now + GONE_AFTER);
        assert_eq!(crew.strength(now + GONE_AFTER).offer, None);
    }
}
