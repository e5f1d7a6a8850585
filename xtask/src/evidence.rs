//! What a long run has to tell, which `record` writes down.

/// What a long run has to tell, beside how many cases passed: a seed, counts, durations. In the
/// order in which it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence(Vec<(String, String)>);

impl Evidence {
    /// Adds a line: what, and the value.
    pub fn fact(&mut self, what: impl Into<String>, value: impl ToString) {
        self.0.push((what.into(), value.to_string()));
    }

    /// Adds what another run has to tell.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Each of them: what, and the value.
    pub fn facts(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }

    /// Each line, as text.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|(what, value)| format!("{what}: {value}"))
    }
}
