//! What is known of versions of runc.

use crate::doctor::Finding;
use crate::doctor::facts::Wants;

/// Ways out of a container that runc once left open, and where each was closed.
struct Escape {
    names: &'static str,
    /// The first version of each series that has it no more; every later series has it no more.
    fixed: &'static [[u64; 3]],
}

const ESCAPES: [Escape; 2] = [
    Escape {
        names: "CVE-2024-21626",
        fixed: &[[1, 1, 12]],
    },
    Escape {
        names: "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881",
        fixed: &[[1, 2, 8], [1, 3, 3]],
    },
];

impl Escape {
    fn is_open_in(&self, version: [u64; 3]) -> bool {
        let of_series = |fixed: &&[u64; 3]| fixed[..2] == version[..2];
        match self.fixed.iter().find(of_series) {
            Some(fixed) => version < *fixed,
            None => self.fixed.iter().all(|fixed| version < *fixed),
        }
    }
}

pub fn runc(version: Option<&str>, wants: &Wants) -> Finding {
    let mend = "install runc 1.2.8, 1.3.3 or newer, or see that your distribution has mended it \
                in its own version";
    let Some(told) = version else {
        return match wants.runtime.as_deref() {
            None | Some("runc") => Finding::weak("the engine does not tell its version", mend),
            Some(other) => Finding::ok(format!("not used; {other} is")),
        };
    };
    let [major, minor, patch, ..] = numbers(told)[..] else {
        return Finding::weak(format!("its version {told:?} cannot be read"), mend);
    };
    let open = ESCAPES
        .iter()
        .filter(|escape| escape.is_open_in([major, minor, patch]))
        .map(|escape| escape.names);
    let open: Vec<_> = open.collect();
    if open.is_empty() {
        return Finding::ok(told);
    }
    Finding::weak(
        format!(
            "{told} is older than what closes {}: ways out of a container",
            open.join("; ")
        ),
        mend,
    )
}

/// The numbers that a version begins with.
pub fn numbers(version: &str) -> Vec<u64> {
    let end = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let version = &version[..end.unwrap_or(version.len())];
    version
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runc_is_judged_by_what_its_own_series_has_closed() {
        let wants = Wants {
            slots: 1,
            runtime: None,
        };
        let open = |version: &str| match runc(Some(version), &wants) {
            Finding::Ok { .. } => 0,
            Finding::Weak { why, .. } => 1 + usize::from(why.contains("21626")),
            Finding::Broken { .. } => unreachable!("never"),
        };
        for (version, expected) in [
            ("1.1.5+ds1", 2),
            ("1.1.11", 2),
            ("1.1.12", 1),
            ("1.2.7", 1),
            ("1.2.8", 0),
            ("1.3.0-rc.1", 1),
            ("1.3.2", 1),
            ("1.3.3", 0),
            ("1.4.0", 0),
        ] {
            assert_eq!(open(version), expected, "{version}");
        }
    }
}
