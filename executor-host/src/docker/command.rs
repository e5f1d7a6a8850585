//! What a row of the language table means for one job: its commands and environment with their
//! placeholders filled in. Pure.

use codecrafter_shared::job::Job;
use codecrafter_shared::language::LanguageRow;

/// What the placeholders stand for in one stage of one job.
#[derive(Debug)]
pub struct Values<'a> {
    /// `{sources}`: the source files of the job, the main file first.
    sources: Vec<&'a str>,
    /// `{heap_mib}`.
    heap_mib: String,
}

impl<'a> Values<'a> {
    /// For a stage that may use so much memory.
    pub fn new(job: &'a Job, row: &'a LanguageRow, memory_bytes: u64) -> Self {
        let is_source = |path: &&str| row.sources.iter().any(|end| path.ends_with(end.as_str()));
        let others = job.files.iter().map(|file| file.path.as_str());
        let sources = std::iter::once(row.main_file.as_str()).chain(others.filter(is_source));
        let heap_mib = (memory_bytes >> 20) * u64::from(row.heap_percent) / 100;
        Self {
            sources: sources.collect(),
            // A runtime refuses a heap of nothing.
            heap_mib: heap_mib.max(1).to_string(),
        }
    }

    /// The row's environment.
    pub fn environment(&self, row: &LanguageRow) -> Vec<(String, String)> {
        let filled = |(name, value): (&String, &String)| (name.clone(), self.fill(value));
        row.env.iter().map(filled).collect()
    }

    /// A command of the row.
    pub fn command(&self, argv: &[String]) -> Vec<String> {
        let mut filled = Vec::with_capacity(argv.len() + self.sources.len());
        for argument in argv {
            if argument == "{sources}" {
                filled.extend(self.sources.iter().map(|path| as_operand(path)));
            } else {
                filled.push(self.fill(argument));
            }
        }
        filled
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{heap_mib}", &self.heap_mib)
    }
}

/// A path that no compiler takes for an option.
fn as_operand(path: &str) -> String {
    if path.starts_with('-') {
        format!("./{path}")
    } else {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::SourceFile;

    use super::*;

    fn row() -> LanguageRow {
        let mut row = crate::languages::load(None).unwrap().remove(0);
        row.main_file = "main.c".into();
        row.sources = vec![".c".into()];
        row.heap_percent = 50;
        row.env = [("LIMIT".to_owned(), "{heap_mib}MiB".to_owned())].into();
        row
    }

    #[test]
    fn sources_are_all_files_with_an_ending_of_the_language_the_main_file_first() {
        let row = row();
        let file = |path: &str| SourceFile {
            path: path.into(),
            content: String::new(),
        };
        let mut job = crate::docker::testing::job("");
        job.files = ["a.h", "-o.c", "lib/b.c", "c.cc"].map(file).into();
        let argv = ["cc", "-o", "x", "{sources}", "-l{sources}"].map(str::to_owned);
        assert_eq!(
            Values::new(&job, &row, 0).command(&argv),
            [
                "cc",
                "-o",
                "x",
                "main.c",
                "./-o.c",
                "lib/b.c",
                "-l{sources}"
            ]
        );
    }

    #[test]
    fn the_heap_is_its_share_of_the_memory_limit_in_arguments_and_environment() {
        let (job, row) = (crate::docker::testing::job(""), row());
        let values = Values::new(&job, &row, 129 << 20);
        let argv = ["vm".to_owned(), "-Xmx{heap_mib}m".to_owned()];
        assert_eq!(values.command(&argv), ["vm", "-Xmx64m"]);
        let environment = values.environment(&row);
        assert_eq!(environment, [("LIMIT".to_owned(), "64MiB".to_owned())]);
        assert_eq!(Values::new(&job, &row, 1).command(&argv)[1], "-Xmx1m");
    }
}
