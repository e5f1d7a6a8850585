//! [`Hasher`] in this process: Spin sets no limit to a request's time (E6).

use async_trait::async_trait;

use crate::password;
use crate::ports::{Hasher, HasherFailure};

/// Hashes where it is called. The instance answers nothing else meanwhile.
pub struct InProcess;

#[async_trait]
impl Hasher for InProcess {
    async fn hash(&self, password: &str, salt: [u8; 16]) -> Result<String, HasherFailure> {
        password::hash(password, salt).map_err(HasherFailure)
    }

    async fn verify(&self, password: &str, phc: &str) -> Result<bool, HasherFailure> {
        Ok(password::verify(password, phc))
    }
}
