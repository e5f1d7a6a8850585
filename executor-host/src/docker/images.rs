//! What is known of each language's image: pure.
//!
//! ```text
//! new ─▶ tried out ─▶ works ◀────────────────────┐
//!           │  ▲        │ FAULTS_MAX jobs in a row │
//!           │  │        ▼                          │
//!           │  └── suspect: tried out at once ─────┤
//!           ▼                                      │
//!         broken ── left alone for a while ──▶ tried out
//! ```
//!
//! Trying out takes as long as the image likes, so it is somebody else's task, and languages whose
//! images work do not wait for it. An image that is built anew counts as working meanwhile if the
//! one before it did.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Jobs in a row that fail for the host's reason before their image is withdrawn. One alone may
/// have been an accident, such as a container that somebody has removed.
const FAULTS_MAX: u32 = 2;

/// How long an image that did not work is left alone at first, because it may have been the
/// machine's fault; doubled each time.
const BROKEN_FIRST: Duration = Duration::from_secs(20);
/// How long at most.
const BROKEN_MAX: Duration = Duration::from_secs(5 * 60);

/// The images, by the id of their language.
#[derive(Debug, Default)]
pub struct Images {
    known: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    /// The image's id.
    image: String,
    state: State,
    /// Jobs in a row that failed for the host's reason.
    faults: u32,
    /// How often in a row it did not work when it was tried out.
    failures: u32,
}

#[derive(Debug)]
enum State {
    /// It is being tried out.
    Trying {
        /// For the first time, and nothing was known of another.
        is_new: bool,
        /// What the one before it printed.
        before: Option<String>,
    },
    /// It printed this version.
    Works { version: String },
    /// Its jobs fail, though it worked when it was tried out.
    Suspect,
    /// It did not work.
    Broken { until: Instant },
}

/// An image that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// The image's id.
    pub image: String,
    /// What its runtime printed as its version.
    pub version: String,
}

impl Images {
    /// The language's image is `image`, or there is none. Returns whether the caller has to try it
    /// out now, and to tell by [`Images::tried`].
    pub fn seen(&mut self, language: &str, image: Option<&str>, now: Instant) -> bool {
        let Some(image) = image else {
            self.known.remove(language);
            return false;
        };
        match self.known.get_mut(language) {
            Some(known) if known.image == image => {
                let due = match known.state {
                    State::Trying { .. } | State::Works { .. } => false,
                    State::Suspect => true,
                    State::Broken { until } => until <= now,
                };
                if due {
                    let (is_new, before) = (false, None);
                    known.state = State::Trying { is_new, before };
                }
                due
            }
            _ => {
                let before = self.working(language).map(|working| working.version);
                let is_new = before.is_none();
                let known = Known {
                    image: image.to_owned(),
                    state: State::Trying { is_new, before },
                    faults: 0,
                    failures: 0,
                };
                self.known.insert(language.to_owned(), known);
                true
            }
        }
    }

    /// `image` was tried out for the language and printed its version, or does not work. Returns
    /// when it is to be tried again, if it is to be.
    pub fn tried(
        &mut self,
        language: &str,
        image: &str,
        version: Option<String>,
        now: Instant,
    ) -> Option<Instant> {
        // The language may have got another image meanwhile.
        let known = self.of(language, image)?;
        match version {
            Some(version) => {
                (known.faults, known.failures) = (0, 0);
                known.state = State::Works { version };
                None
            }
            None => {
                let doubled = BROKEN_FIRST.saturating_mul(2_u32.saturating_pow(known.failures));
                let until = now + doubled.min(BROKEN_MAX);
                known.failures = known.failures.saturating_add(1);
                known.state = State::Broken { until };
                Some(until)
            }
        }
    }

    /// A job of the language came to its end in `image`.
    pub fn ran(&mut self, language: &str, image: &str) {
        if let Some(known) = self.of(language, image) {
            known.faults = 0;
        }
    }

    /// A job of the language failed for a reason that may be its image's. Returns whether the
    /// language is withdrawn by this.
    pub fn failed(&mut self, language: &str) -> bool {
        let Some(known) = self.known.get_mut(language) else {
            return false;
        };
        known.faults = known.faults.saturating_add(1);
        let withdrawn = known.faults >= FAULTS_MAX && matches!(known.state, State::Works { .. });
        if withdrawn {
            known.state = State::Suspect;
        }
        withdrawn
    }

    /// The language's image, if it works.
    pub fn working(&self, language: &str) -> Option<Working> {
        let known = self.known.get(language)?;
        match &known.state {
            State::Works { version }
            | State::Trying {
                before: Some(version),
                ..
            } => Some(Working {
                image: known.image.clone(),
                version: version.clone(),
            }),
            State::Trying { before: None, .. } | State::Suspect | State::Broken { .. } => None,
        }
    }

    /// Whether there are images that are tried out for the first time.
    pub fn has_new(&self) -> bool {
        let is_new = |known: &Known| matches!(known.state, State::Trying { is_new: true, .. });
        self.known.values().any(is_new)
    }

    fn of(&mut self, language: &str, image: &str) -> Option<&mut Known> {
        let known = self.known.get_mut(language);
        known.filter(|known| known.image == image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(images: &mut Images, language: &str, now: Instant) {
        assert!(images.seen(language, Some("one"), now));
        images.tried(language, "one", Some("1.0".into()), now);
    }

    fn is_offered(images: &Images, language: &str) -> bool {
        images.working(language).is_some()
    }

    #[test]
    fn an_image_is_tried_out_once_and_again_when_it_is_built_anew() {
        let (mut images, now) = (Images::default(), Instant::now());
        assert!(images.seen("c", Some("one"), now));
        assert!(!images.seen("c", Some("one"), now), "it is under way");
        assert!(!is_offered(&images, "c"));
        images.tried("c", "one", Some("1.0".into()), now);
        let working = Working {
            image: "one".into(),
            version: "1.0".into(),
        };
        assert_eq!(images.working("c"), Some(working));
        assert!(!images.seen("c", Some("one"), now + 2 * BROKEN_MAX));
        assert!(images.seen("c", Some("two"), now));
        assert!(is_offered(&images, "c"), "the one before it worked");
        images.tried("c", "one", None, now);
        assert!(is_offered(&images, "c"), "that was the old one");
        images.tried("c", "two", None, now);
        assert!(!is_offered(&images, "c"));
        assert!(!images.seen("c", None, now));
        assert!(images.seen("c", Some("two"), now));
    }

    #[test]
    fn a_broken_image_is_left_alone_for_longer_each_time_and_holds_nobody_up_then() {
        let (mut images, mut now) = (Images::default(), Instant::now());
        assert!(images.seen("c", Some("one"), now));
        assert!(images.has_new());
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let until = images.tried("c", "one", None, now).unwrap();
            pauses.push((until - now).as_secs());
            assert!(!images.seen("c", Some("one"), now) && !is_offered(&images, "c"));
            now = until;
            assert!(images.seen("c", Some("one"), now));
            assert!(!images.has_new());
        }
        assert_eq!(pauses, [20, 40, 80, 160, 300, 300]);
        images.tried("c", "one", Some("1.0".into()), now);
        assert!(is_offered(&images, "c"));
    }

    #[test]
    fn an_image_whose_jobs_keep_failing_is_withdrawn_until_it_works_again() {
        let (mut images, now) = (Images::default(), Instant::now());
        works(&mut images, "c", now);
        works(&mut images, "go", now);
        assert!(!images.failed("c"));
        images.ran("c", "one");
        assert!(!images.failed("c"), "not in a row");
        assert!(images.failed("c"));
        assert!(!images.failed("c"), "it is withdrawn already");
        assert!(!is_offered(&images, "c") && is_offered(&images, "go"));
        assert!(images.seen("c", Some("one"), now), "at once");
        images.tried("c", "one", Some("1.0".into()), now);
        assert!(is_offered(&images, "c"));
        assert!(!images.failed("c"), "counted anew");
    }
}
