//! A room's document behind the gate, for `examples/gate.rs`: what is taken, and why something is
//! not.

use crate::room::Document;

/// A document that takes updates as a room does.
#[derive(Debug, Default)]
pub struct Gate(Document);

impl Gate {
    /// Takes an update in, and gives what the others are told: nothing if it had nothing new.
    ///
    /// # Errors
    /// Why the update, or a part of it, was refused.
    pub fn take(&mut self, update: &[u8]) -> Result<Vec<u8>, String> {
        let integrated = self.0.integrate(update).map_err(|why| format!("{why:?}"))?;
        if !integrated.complete {
            return Err("not all of it was integrated".to_owned());
        }
        Ok(integrated.update.unwrap_or_else(|| vec![0, 0]))
    }

    /// What somebody with this state vector lacks.
    ///
    /// # Panics
    /// If that is none.
    #[must_use]
    pub fn lacking(&self, state_vector: &[u8]) -> Vec<u8> {
        let lacking = self.0.lacking(state_vector);
        lacking.expect("a state vector").into_owned()
    }

    /// The state vector.
    #[must_use]
    pub fn state_vector(&self) -> Vec<u8> {
        self.0.state_vector()
    }

    /// The whole as one update.
    ///
    /// # Panics
    /// If that could not be loaded again.
    pub fn state(&mut self) -> Vec<u8> {
        let state = self.0.state().expect("it can be read back");
        let mut again = Document::new();
        again.integrate_stored(&state).expect("it can be loaded");
        assert_eq!(again.read(), self.0.read());
        state
    }
}
