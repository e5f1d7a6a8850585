//! The promises of the ports as functions that every adapter runs: natively in `cargo test`, in a
//! Durable Object in workerd and in the Spin component over the route `/internal/contract`, which
//! exists only in builds for tests (`CODECRAFTER_CONTRACT=1`).

use serde::{Deserialize, Serialize};

use super::{Cache, Clock, Db, DbError, Hasher, Rng, Signals, Value};

/// A promise, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The promise.
    pub name: String,
    /// What broke it, if it is broken.
    pub broken: Option<String>,
}

/// Everything that an adapter brings.
pub struct World<'a> {
    /// A database that the test may write its own tables into.
    pub db: &'a dyn Db,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The source of randomness.
    pub rng: &'a dyn Rng,
    /// The cache.
    pub cache: &'a dyn Cache,
    /// The hasher.
    pub hasher: &'a dyn Hasher,
    /// The signals of a shard.
    pub signals: &'a dyn Signals,
}

type Check = Result<(), String>;

/// Runs every promise, in order, and tells of each.
pub async fn run(world: World<'_>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut note = |name: &str, check: Check| {
        seen.push(Seen {
            name: name.into(),
            broken: check.err(),
        });
    };
    note(
        "db_keeps_what_a_transaction_wrote",
        db_keeps(world.db).await,
    );
    note(
        "db_a_failure_after_the_second_write_leaves_no_row",
        db_rolls_back(world.db).await,
    );
    note(
        "db_a_refused_statement_leaves_no_row",
        db_refused_statement(world.db).await,
    );
    note(
        "db_values_come_back_as_they_went_in",
        db_values(world.db).await,
    );
    note(
        "db_integers_stay_integers_in_every_expression",
        db_integers(world.db).await,
    );
    note(
        "db_on_conflict_returning_tells_who_was_first",
        db_on_conflict(world.db).await,
    );
    note(
        "db_refuses_what_is_not_portable",
        db_portable(world.db).await,
    );
    note("db_searches_text", db_full_text(world.db).await);
    note("clock_is_of_this_century", clock(world.clock));
    note("rng_never_repeats", rng(world.rng));
    note(
        "cache_may_forget_but_never_invents",
        cache(world.cache).await,
    );
    note(
        "hasher_verifies_its_own_hash_and_no_other",
        hasher(world.hasher).await,
    );
    note(
        "signals_wake_a_listener_that_listened_before",
        signals(world.signals).await,
    );
    seen
}

fn ensure(holds: bool, what: impl Into<String>) -> Check {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn text(error: DbError) -> String {
    error.to_string()
}

async fn fresh_table(db: &dyn Db) -> Check {
    db.transaction(|tx| async move {
        tx.execute("DROP TABLE IF EXISTS contract", []).await?;
        tx.execute(
            "CREATE TABLE contract (k TEXT PRIMARY KEY, n INTEGER, x REAL, t TEXT, b BLOB)",
            [],
        )
        .await?;
        Ok(())
    })
    .await
    .map_err(text)
}

async fn count(db: &dyn Db) -> Result<i64, String> {
    db.transaction(|tx| async move {
        let row = tx.first("SELECT count(*) AS n FROM contract", []).await?;
        row.map_or(Ok(-1), |row| row.get("n"))
    })
    .await
    .map_err(text)
}

const INSERT: &str = "INSERT INTO contract (k, n) VALUES (?, ?)";

async fn db_keeps(db: &dyn Db) -> Check {
    fresh_table(db).await?;
    db.transaction(|tx| async move {
        tx.execute(INSERT, ["a".into(), 1_i64.into()]).await?;
        tx.execute(INSERT, ["b".into(), 2_i64.into()]).await?;
        Ok(())
    })
    .await
    .map_err(text)?;
    let n = count(db).await?;
    ensure(n == 2, format!("{n} rows instead of 2"))
}

async fn db_rolls_back(db: &dyn Db) -> Check {
    fresh_table(db).await?;
    let failed: Result<(), DbError> = db
        .transaction(|tx| async move {
            tx.execute(INSERT, ["a".into(), 1_i64.into()]).await?;
            tx.execute(INSERT, ["b".into(), 2_i64.into()]).await?;
            Err(DbError::Failed("on purpose".into()))
        })
        .await;
    ensure(
        failed == Err(DbError::Failed("on purpose".into())),
        format!("{failed:?}"),
    )?;
    let n = count(db).await?;
    ensure(n == 0, format!("{n} rows were left"))
}

async fn db_refused_statement(db: &dyn Db) -> Check {
    fresh_table(db).await?;
    let failed: Result<(), DbError> = db
        .transaction(|tx| async move {
            tx.execute(INSERT, ["a".into(), 1_i64.into()]).await?;
            tx.execute(INSERT, ["a".into(), 2_i64.into()]).await?;
            Ok(())
        })
        .await;
    ensure(failed.is_err(), "a duplicate key was taken")?;
    let n = count(db).await?;
    ensure(n == 0, format!("{n} rows were left"))
}

async fn db_values(db: &dyn Db) -> Check {
    fresh_table(db).await?;
    let values = [
        Value::Text("k".into()),
        Value::Integer(super::db::INTEGER_MAX),
        Value::Real(0.5),
        Value::Text("ü\u{0}🦀'\"".into()),
        Value::Blob(vec![0, 255, 1]),
    ];
    let values = &values;
    let row = db
        .transaction(|tx| async move {
            let sql = "INSERT INTO contract (k, n, x, t, b) VALUES (?, ?, ?, ?, ?)";
            tx.execute(sql, values.clone()).await?;
            tx.execute(INSERT, ["null".into(), Value::Null]).await?;
            let row = tx.first("SELECT * FROM contract WHERE k = 'k'", []).await?;
            let null = tx
                .first("SELECT n FROM contract WHERE k = 'null'", [])
                .await?;
            let null: Option<Option<i64>> = null.map(|row| row.get("n")).transpose()?;
            if null != Some(None) {
                return Err(DbError::Failed(format!("NULL came back as {null:?}")));
            }
            row.ok_or_else(|| DbError::Failed("the row is missing".into()))
        })
        .await
        .map_err(text)?;
    let n: i64 = row.get("n").map_err(text)?;
    let t: String = row.get("t").map_err(text)?;
    let b: Vec<u8> = row.get("b").map_err(text)?;
    ensure(n == super::db::INTEGER_MAX, format!("{n}"))?;
    ensure(t == "ü\u{0}🦀'\"", format!("{t:?}"))?;
    ensure(b == [0, 255, 1], format!("{b:?}"))
}

async fn db_integers(db: &dyn Db) -> Check {
    let row = db
        .transaction(|tx| async move {
            let sql = "SELECT typeof(?1) AS kind, 7 / ?2 AS whole, '?' || ?1 || ?3 AS joined";
            let row = tx.first(sql, [1_i64.into(), 2_i64.into(), "?".into()]);
            row.await?.ok_or_else(|| DbError::Failed("no row".into()))
        })
        .await
        .map_err(text)?;
    let kind: String = row.get("kind").map_err(text)?;
    let whole: i64 = row.get("whole").map_err(text)?;
    let joined: String = row.get("joined").map_err(text)?;
    ensure(
        kind == "integer" && whole == 3 && joined == "?1?",
        format!("{kind} {whole} {joined}"),
    )
}

async fn db_on_conflict(db: &dyn Db) -> Check {
    fresh_table(db).await?;
    let won = db
        .transaction(|tx| async move {
            let sql = "INSERT INTO contract (k, n) VALUES ('one', ?) \
                       ON CONFLICT DO NOTHING RETURNING k";
            let first = tx.execute(sql, [1_i64.into()]).await?.len();
            let second = tx.execute(sql, [2_i64.into()]).await?.len();
            Ok((first, second))
        })
        .await
        .map_err(text)?;
    ensure(won == (1, 0), format!("{won:?}"))
}

async fn db_portable(db: &dyn Db) -> Check {
    let cases: [(&str, Vec<Value>); 4] = [
        ("PRAGMA user_version", vec![]),
        ("SELECT 1; SELECT 2", vec![]),
        ("SELECT ?", vec![Value::Integer(1 << 53)]),
        ("SELECT ?", vec![Value::Blob(vec![0; 1_000_001])]),
    ];
    for (sql, values) in &cases {
        let result: Result<(), DbError> = db
            .transaction(|tx| async move {
                tx.execute(sql, values.clone()).await?;
                Ok(())
            })
            .await;
        ensure(
            matches!(result, Err(DbError::NotPortable(_))),
            format!("{sql}: {result:?}"),
        )?;
    }
    Ok(())
}

async fn db_full_text(db: &dyn Db) -> Check {
    let found = db
        .transaction(|tx| async move {
            tx.execute("DROP TABLE IF EXISTS contract_text", []).await?;
            tx.execute("CREATE VIRTUAL TABLE contract_text USING fts5(body)", [])
                .await?;
            tx.execute("INSERT INTO contract_text (body) VALUES ('two sums')", [])
                .await?;
            let sql = "SELECT body FROM contract_text WHERE contract_text MATCH ?";
            let found = tx.execute(sql, ["sums".into()]).await?.len();
            tx.execute("DROP TABLE contract_text", []).await?;
            Ok(found)
        })
        .await
        .map_err(text)?;
    ensure(found == 1, format!("{found} rows instead of 1"))
}

fn clock(clock: &dyn Clock) -> Check {
    let now = clock.now();
    let (from, to) = (1_700_000_000_000, 4_102_444_800_000);
    ensure((from..to).contains(&now.as_millis()), now.to_string())
}

fn rng(rng: &dyn Rng) -> Check {
    let (a, b) = (rng.bytes::<16>(), rng.bytes::<16>());
    ensure(a != b && a != [0; 16], "two draws are alike")
}

async fn cache(cache: &dyn Cache) -> Check {
    cache.put("contract", b"value", 60).await;
    let found = cache.get("contract").await;
    ensure(
        found.is_none() || found.as_deref() == Some(b"value"),
        format!("{found:?}"),
    )?;
    let missing = cache.get("contract/never-put").await;
    ensure(missing.is_none(), format!("{missing:?}"))
}

async fn hasher(hasher: &dyn Hasher) -> Check {
    let phc = hasher
        .hash("correct horse", [7; 16])
        .await
        .map_err(|e| e.to_string())?;
    ensure(phc.starts_with("$argon2id$"), &phc)?;
    let right = hasher
        .verify("correct horse", &phc)
        .await
        .map_err(|e| e.to_string())?;
    let wrong = hasher
        .verify("battery staple", &phc)
        .await
        .map_err(|e| e.to_string())?;
    let broken = hasher
        .verify("correct horse", "not a hash")
        .await
        .map_err(|e| e.to_string())?;
    ensure(
        right && !wrong && !broken,
        format!("{right} {wrong} {broken}"),
    )
}

async fn signals(signals: &dyn Signals) -> Check {
    let topics = ["contract/a".to_owned(), "contract/b".to_owned()];
    let listener = signals.listen(&topics);
    signals.notify("contract/b");
    // Ends at once where memory is shared, and soon where it is not; a test run that hangs here
    // has lost the wake-up.
    listener.wait(60_000).await;
    let listener = signals.listen(&topics);
    signals.notify_one("contract/a");
    listener.wait(60_000).await;
    Ok(())
}
