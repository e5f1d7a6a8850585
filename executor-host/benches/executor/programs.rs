//! What is run: the program that each image is tried with when it is built, and what a class
//! hands in.

use std::fs;
use std::path::Path;

use agent_protocol::BASE_ENV;
use codecrafter_shared::job::{Job, PROTOCOL_VERSION, RunLimits, RunSpec, SourceFile};
use codecrafter_shared::language::LanguageRow;
use codecrafter_shared::time::Timestamp;

use crate::Result;

/// The memory that a compiler has.
const COMPILER_MIB: u64 = 1024;

/// The language table.
pub struct Languages {
    pub rows: Vec<LanguageRow>,
}

impl Languages {
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let rows = executor_host::languages::load(file)?;
        Ok(Self { rows })
    }

    /// A program in one of them.
    pub fn program(&self, language: &str, code: impl Into<String>) -> Result<Program> {
        let row = self.rows.iter().find(|row| row.id == language);
        let row = row.ok_or_else(|| format!("the language table has no {language}"))?;
        Ok(Program {
            row: row.clone(),
            code: code.into(),
        })
    }

    /// The shortest program of Python.
    pub fn hi(&self) -> Result<Program> {
        self.program("python", "print(\"hi\")\n")
    }
}

/// A program and the language that it is written in.
#[derive(Debug, Clone)]
pub struct Program {
    pub row: LanguageRow,
    pub code: String,
}

impl Program {
    /// `images/LANGUAGE/hello.*`.
    pub fn hello(row: LanguageRow) -> Result<Self> {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
        for entry in fs::read_dir(images.join(&row.id))? {
            let path = entry?.path();
            if path.file_stem().is_some_and(|name| name == "hello") {
                let code = fs::read_to_string(path)?;
                return Ok(Self { row, code });
            }
        }
        Err(format!("images/{} has no hello program", row.id).into())
    }

    /// A job like no other that the compiler has seen: `number` is in a file beside the program.
    pub fn new_job(&self, number: usize) -> Job {
        let note = SourceFile {
            path: "number.txt".into(),
            content: number.to_string(),
        };
        Job {
            files: vec![note],
            ..self.job()
        }
    }

    /// A job like every other of this program.
    pub fn job(&self) -> Job {
        Job {
            schema: PROTOCOL_VERSION,
            execution_id: executor_host::clock::execution_id(),
            session_id: None,
            tenant: "main".into(),
            language: self.row.id.clone(),
            code: self.code.clone(),
            files: Vec::new(),
            runs: vec![RunSpec::default()],
            limits: RunLimits::default(),
            interactive: None,
            report_token: String::new(),
            deadline: Timestamp::from_millis(i64::MAX),
            traceparent: None,
        }
    }

    /// The files to put into the work directory.
    pub fn files(&self) -> Vec<(String, String)> {
        let main = (self.row.main_file.clone(), self.code.clone());
        let provided = self.row.files.clone();
        std::iter::once(main).chain(provided).collect()
    }

    /// The compiler and its arguments.
    pub fn compiler(&self) -> Option<Vec<String>> {
        let compile = self.row.compile.as_ref()?;
        Some(self.filled(compile, COMPILER_MIB))
    }

    /// The program and its arguments.
    pub fn command(&self) -> Vec<String> {
        self.filled(&self.row.run, self.memory_mib())
    }

    /// The environment of both.
    pub fn environment(&self) -> Vec<(String, String)> {
        let base = BASE_ENV.iter().map(|(name, value)| (*name, *value));
        let own = self.row.env.iter();
        let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
        base.chain(own)
            .map(|(name, value)| (name.to_owned(), self.with_heap(value, self.memory_mib())))
            .collect()
    }

    fn memory_mib(&self) -> u64 {
        let limit = RunLimits::default().memory_bytes;
        limit.max(self.row.memory_floor_bytes) >> 20
    }

    fn filled(&self, argv: &[String], memory_mib: u64) -> Vec<String> {
        let fill = |argument: &String| match argument.as_str() {
            "{sources}" => self.row.main_file.clone(),
            other => self.with_heap(other, memory_mib),
        };
        argv.iter().map(fill).collect()
    }

    fn with_heap(&self, text: &str, memory_mib: u64) -> String {
        let heap = memory_mib * u64::from(self.row.heap_percent) / 100;
        text.replace("{heap_mib}", &heap.to_string())
    }
}
