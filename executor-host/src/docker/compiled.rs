//! What compilers have made, so that an equal job does not wait for its compiler again.
//!
//! Kept in memory and bounded in bytes. Jobs are equal if they are of one tenant, so that nobody
//! learns by the time it takes what others have compiled, and have the same image, command,
//! environment and files. What a compiler takes from elsewhere, such as C's `__TIME__`, is kept as
//! it was.

use std::sync::Arc;

use agent_protocol::{Exec, Order};
use codecrafter_shared::job::RunOutcome;
use hmac_sha256::Hash;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Most bytes of a work directory that are kept for one job.
pub const PROGRAM_BYTES_MAX: u32 = 16 << 20;

/// What an entry takes beside its program and output, about, in bytes.
const ENTRY_BYTES: usize = 1024;

/// A compiler's run that would end the same again.
#[derive(Debug)]
pub struct Compiled {
    /// How it ended: accepted, or with an exit code of its own.
    pub outcome: RunOutcome,
    /// A sentence about it.
    pub message: Option<String>,
    /// The work directory after it, as the agent packs it; empty if it was not accepted.
    pub program: Vec<u8>,
}

/// Names what goes into a compiler.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// For these files and this start of a compiler.
    pub fn new(tenant: &str, image: &str, files: &[Order], compiler: &Exec) -> Self {
        let mut hash = Hash::new();
        let mut add = |bytes: &[u8]| {
            // With their length, so that no two lists of texts are one text.
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        add(tenant.as_bytes());
        add(image.as_bytes());
        add(&Order::Exec(compiler.clone()).to_frame());
        files.iter().for_each(|file| add(&file.to_frame()));
        Self(hash.finalize())
    }
}

/// The compilers' runs that are kept: those that were asked for of late.
#[derive(Debug)]
pub struct Compilations {
    kept: Cache<Key, Arc<Compiled>, Bytes>,
}

impl Compilations {
    /// Keeps so many bytes at the most; 0 keeps nothing.
    pub fn new(bytes: u64) -> Self {
        // Only a guess at how many that will be.
        let entries = usize::try_from(bytes / (256 << 10)).unwrap_or(usize::MAX);
        let kept = Cache::with_weighter(entries.clamp(1, 1 << 16), bytes, Bytes);
        Self { kept }
    }

    /// The run of an equal job.
    pub fn get(&self, key: &Key) -> Option<Arc<Compiled>> {
        self.kept.get(key)
    }

    /// Keeps a run. One that is larger than all that may be kept is dropped.
    pub fn put(&self, key: Key, compiled: Compiled) {
        self.kept.insert(key, Arc::new(compiled));
    }
}

/// Weighs entries by what they take in memory.
#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Key, Arc<Compiled>> for Bytes {
    fn weight(&self, _key: &Key, compiled: &Arc<Compiled>) -> u64 {
        let RunOutcome { stdout, stderr, .. } = &compiled.outcome;
        let written = [stdout, stderr]
            .map(|output| output.data.len() + output.tail.as_ref().map_or(0, String::len));
        let bytes = ENTRY_BYTES + compiled.program.len() + written.iter().sum::<usize>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::{Captured, OutputFiles, Usage, Verdict};

    use super::*;

    fn compiled(program_bytes: usize) -> Compiled {
        Compiled {
            outcome: RunOutcome {
                verdict: Verdict::Accepted,
                exit_code: Some(0),
                signal: None,
                stdout: Captured::default(),
                stderr: Captured::default(),
                files: OutputFiles::default(),
                usage: Usage::default(),
                also: Vec::new(),
                cached: true,
            },
            message: None,
            program: vec![0; program_bytes],
        }
    }

    fn file(path: &str, content: &str) -> Order {
        Order::File {
            path: path.into(),
            content: content.into(),
        }
    }

    fn key(tenant: &str, files: &[Order]) -> Key {
        let compiler = Exec {
            argv: vec!["cc".into()],
            ..Exec::default()
        };
        Key::new(tenant, "sha256:1", files, &compiler)
    }

    #[test]
    fn only_an_equal_job_of_the_same_tenant_finds_what_was_compiled() {
        let compilations = Compilations::new(1 << 20);
        let files = [file("a", "bc")];
        compilations.put(key("t", &files), compiled(3));
        assert_eq!(
            compilations.get(&key("t", &files)).unwrap().program.len(),
            3
        );
        for other in [
            key("u", &files),
            key("t", &[file("ab", "c")]),
            key("t", &[file("a", "bc"), file("b", "")]),
            key("t", &[]),
        ] {
            assert!(compilations.get(&other).is_none());
        }
    }

    #[test]
    fn no_more_is_kept_than_fits() {
        const ALL: u64 = 1 << 20;
        let compilations = Compilations::new(ALL);
        for number in 0..100 {
            let files = [file("a", &number.to_string())];
            compilations.put(key("t", &files), compiled(100 << 10));
            assert!(compilations.kept.weight() <= ALL);
        }
        assert!(compilations.kept.len() >= 5, "{}", compilations.kept.len());
        let large = key("t", &[file("large", "")]);
        compilations.put(large.clone(), compiled(2 << 20));
        assert!(compilations.get(&large).is_none());
        let none = Compilations::new(0);
        none.put(large.clone(), compiled(0));
        assert!(none.get(&large).is_none());
    }
}
