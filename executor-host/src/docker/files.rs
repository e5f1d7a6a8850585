//! Which files a job puts into its container. Pure.

use std::collections::HashSet;

use agent_protocol::{Order, is_safe_path};
use codecrafter_shared::job::Job;
use codecrafter_shared::language::LanguageRow;

/// The orders that write the job's files, the main file first, and last those of the language that
/// the job does not bring itself.
///
/// # Errors
/// A sentence for the person who sent them: the files cannot exist beside each other.
pub fn orders(job: &Job, row: &LanguageRow) -> Result<Vec<Order>, String> {
    let main = (row.main_file.as_str(), job.code.as_str());
    let others = job
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.content.as_str()));
    let brought = |path: &str| job.files.iter().any(|file| file.path == path);
    let provided = row.files.iter().filter(|(path, _)| !brought(path));
    let provided = provided.map(|(path, content)| (path.as_str(), content.as_str()));
    let files: Vec<_> = std::iter::once(main)
        .chain(others)
        .chain(provided)
        .collect();

    let mut paths = HashSet::new();
    let mut folders = HashSet::new();
    for (path, _) in &files {
        if !is_safe_path(path) {
            return Err(format!("{path:?} is no path for a file."));
        }
        if !paths.insert(*path) {
            return Err(format!("There are two files called {path}."));
        }
        folders.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
    }
    if let Some(both) = paths.intersection(&folders).next() {
        return Err(format!("{both} is both a file and a folder."));
    }
    let write = |(path, content): (&str, &str)| Order::File {
        path: path.to_owned(),
        content: content.as_bytes().to_vec(),
    };
    Ok(files.into_iter().map(write).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecrafter_shared::job::SourceFile;

    /// The row of a language.
    fn row(id: &str) -> LanguageRow {
        let mut rows = crate::languages::load(None).unwrap();
        rows.retain(|row| row.id == id);
        rows.remove(0)
    }

    /// The paths that are written for a job of Python with these further files.
    fn written(further: &[&str]) -> Result<Vec<String>, String> {
        written_for(&row("python"), further)
    }

    fn written_for(row: &LanguageRow, further: &[&str]) -> Result<Vec<String>, String> {
        let file = |path: &&str| SourceFile {
            path: (*path).to_owned(),
            content: String::new(),
        };
        let job = Job {
            files: further.iter().map(file).collect(),
            ..crate::docker::testing::job("")
        };
        let path = |order| match order {
            Order::File { path, .. } => path,
            other => panic!("{other:?}"),
        };
        Ok(orders(&job, row)?.into_iter().map(path).collect())
    }

    #[test]
    fn the_main_file_comes_first_and_the_others_follow() {
        assert_eq!(
            written(&["b/c.py", "a.py"]).unwrap(),
            ["main.py", "b/c.py", "a.py"]
        );
    }

    #[test]
    fn a_file_of_the_language_is_written_unless_the_job_brings_its_own() {
        let written = |further: &[&str]| written_for(&row("go"), further).unwrap();
        assert_eq!(written(&["a.go"]), ["main.go", "a.go", "go.mod"]);
        assert_eq!(written(&["go.mod"]), ["main.go", "go.mod"]);
    }

    #[test]
    fn files_that_cannot_be_beside_each_other_are_refused_in_words() {
        assert_eq!(
            written(&["main.py"]).unwrap_err(),
            "There are two files called main.py."
        );
        assert_eq!(
            written(&["a/b/c", "a/b"]).unwrap_err(),
            "a/b is both a file and a folder."
        );
        assert!(
            written(&["main.py/x"])
                .unwrap_err()
                .contains("both a file and a folder")
        );
        assert!(written(&["../x"]).unwrap_err().contains("no path"));
    }
}
