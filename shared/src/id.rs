//! Identity: a newtype per thing that has one, so that ids cannot be exchanged by mistake.
//!
//! Every id is a UUID in lower case with hyphens. The edge makes version 7 (ordered by time);
//! attempts are version 4, because a second attempt must not be guessable from the first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::Timestamp;

/// Text that is not an id of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is a UUID in lower case with hyphens, such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct InvalidId;

macro_rules! id {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A version 7 id: `now` in its first 48 bits, then `random`.
            #[must_use]
            pub fn at(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// A version 4 id of nothing but `random`.
            #[must_use]
            pub fn random(random: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(random).into_uuid())
            }

            /// All of its bits.
            #[must_use]
            pub const fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// When it was made, by the clock of who made it; `None` unless it is of version 7.
            #[must_use]
            pub fn made_at(self) -> Option<Timestamp> {
                if self.0.get_version_num() != 7 {
                    return None;
                }
                let millis = self.0.as_u128() >> 80;
                i64::try_from(millis).ok().map(Timestamp::from_millis)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Accepts the canonical form only, so that one thing has one spelling.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
                let canonical = id.as_hyphenated().to_string() == text;
                canonical.then_some(Self(id)).ok_or(InvalidId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/// An account.
    UserId);
id!(/// One signed-in device of a user.
    LoginSessionId);
id!(/// A shared coding document with its participants; also the name of its room.
    SessionId);
id!(/// A request to run code. The job that carries it has the same id.
    ExecutionId);
id!(/// One start of a job by a worker.
    AttemptId);
id!(/// A job handed to a link, until it is acknowledged or expires.
    LeaseId);
id!(/// A control message to an executor-host, until it is taken.
    ControlId);
id!(/// An enrolled executor-host.
    ExecutorId);
id!(/// One HTTP request, as named in logs and problem documents.
    RequestId);
id!(/// A row of an outbox; receivers use it to drop what they have seen.
    OutboxId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = SessionId::at(Timestamp::from_millis(1_700_000_000_000), [7; 10]);
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.as_bytes()[14], b'7', "version 7");
        assert_eq!(text.to_uppercase().parse::<SessionId>(), Err(InvalidId));
        assert_eq!(text.replace('-', "").parse::<SessionId>(), Err(InvalidId));
        assert_eq!("".parse::<SessionId>(), Err(InvalidId));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = UserId::at(Timestamp::from_millis(1_000), [255; 10]);
        let late = UserId::at(Timestamp::from_millis(1_001), [0; 10]);
        assert!(early.to_string() < late.to_string());
    }
}
