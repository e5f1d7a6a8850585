use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;

/// A folder of its own for each test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "spin-host-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self) -> Connection {
        Connection::open(&self.0.join("test.db")).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a statement to its end, as a component does that takes all rows.
fn all(connection: &Connection, sql: &str) -> (Vec<String>, Vec<RowResult>, Result<(), Error>) {
    let (columns_in, columns_out) = oneshot::channel();
    let (rows_in, mut rows_out) = mpsc::channel(ROWS_AHEAD);
    let taken = thread::spawn(move || {
        let mut rows = Vec::new();
        while let Some(row) = rows_out.blocking_recv() {
            rows.push(row);
        }
        rows
    });
    let result = connection.run(sql, Vec::new(), columns_in, &rows_in);
    drop(rows_in);
    let columns = columns_out.blocking_recv().unwrap_or_default();
    (columns, taken.join().unwrap(), result)
}

fn count(connection: &Connection) -> usize {
    let (_, rows, result) = all(connection, "SELECT n FROM t");
    result.unwrap();
    rows.len()
}

fn said(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Io(text)) => text,
        other => panic!("{other:?}"),
    }
}

const FILL: &str = "INSERT INTO t WITH RECURSIVE c (n) AS \
                    (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20) SELECT n FROM c";

#[test]
fn a_statement_that_is_wrong_has_no_columns_and_says_so_in_its_result() {
    let folder = Folder::new();
    let (columns, rows, result) = all(&folder.open(), "SELEC 1");
    assert!(columns.is_empty() && rows.is_empty());
    assert!(said(result).contains("syntax error"));
}

#[test]
fn of_two_statements_only_the_first_runs() {
    let folder = Folder::new();
    let connection = folder.open();
    all(&connection, "CREATE TABLE t (n)").2.unwrap();
    let (_, rows, result) = all(&connection, "SELECT 1; DROP TABLE t");
    assert_eq!((rows.len(), result.is_ok()), (1, true));
    assert_eq!(count(&connection), 0);
}

#[test]
fn a_file_cannot_be_attached() {
    let folder = Folder::new();
    let other = folder.0.join("other.db");
    let sql = format!("ATTACH '{}' AS other", other.display());
    assert_eq!(said(all(&folder.open(), &sql).2), "not authorized");
    assert!(!other.exists());
}

#[test]
fn rows_that_nobody_takes_hold_up_the_next_statement() {
    let folder = Folder::new();
    let connection = folder.open();
    all(&connection, "CREATE TABLE t (n)").2.unwrap();
    all(&connection, FILL).2.unwrap();
    let (columns_in, columns_out) = oneshot::channel();
    let (rows_in, rows_out) = mpsc::channel(ROWS_AHEAD);
    let first = connection.clone();
    let first =
        thread::spawn(move || first.run("SELECT n FROM t", Vec::new(), columns_in, &rows_in));
    columns_out.blocking_recv().unwrap();
    // More rows are there than wait for anybody, so the first statement still has the connection.
    assert!(connection.0.try_lock().is_err());
    drop(rows_out);
    assert_eq!(said(first.join().unwrap()), "nobody takes the rows");
    assert_eq!(count(&connection), 20);
}

#[test]
fn a_transaction_ends_with_its_connection() {
    let folder = Folder::new();
    let connection = folder.open();
    all(&connection, "CREATE TABLE t (n)").2.unwrap();
    let writer = folder.open();
    all(&writer, "BEGIN IMMEDIATE").2.unwrap();
    all(&writer, FILL).2.unwrap();
    drop(writer);
    assert_eq!(count(&connection), 0);
    all(&connection, "BEGIN IMMEDIATE").2.unwrap();
}
