//! How SQLite finds the rows of what is asked often: by an index, in its order, never through a
//! whole tenant.

use codecrafter_shared::id::{ExecutionId, ExecutorId, SessionId, UserId};
use codecrafter_shared::job::Verdict;
use codecrafter_shared::time::Timestamp;

use crate::config::Config;
use crate::executions::calls::Filter;
use crate::executions::create::{INTERACTIVE_OF_USER, UNFINISHED_OF_USER, WAITING};
use crate::executions::list::{Whose, counted, selected, shown};
use crate::executions::retention::TOO_OLD;
use crate::executors::lease::UNACKNOWLEDGED;
use crate::executors::turns::in_turn;
use crate::native::NativeEdge;
use crate::ports::{DbError, Value};
use crate::sessions::store::OWNED;

struct Plans(NativeEdge);

impl Plans {
    async fn new() -> Self {
        let secret = |name: &str| (name == "CODECRAFTER_SECRET").then(|| "s".repeat(32));
        let config = Config::from_settings(secret).ok().unwrap();
        let edge = NativeEdge::new(config).unwrap();
        edge.directory.tick().await.unwrap();
        Self(edge)
    }

    async fn of(&self, sql: &str, values: &[Value]) -> Vec<String> {
        let explain = &format!("EXPLAIN QUERY PLAN {sql}");
        let rows = self
            .0
            .directory
            .db
            .transaction(|tx| async move { tx.execute(explain, values.to_vec()).await });
        let rows: Result<_, DbError> = rows.await;
        let details = rows.unwrap().into_iter().map(|row| row.get("detail"));
        details.map(Result::unwrap).collect()
    }

    /// `sql` goes through nothing but `index`, and sorts nothing.
    async fn check(&self, sql: &str, values: &[Value], index: &str) {
        let plan = self.of(sql, values).await;
        // `a` is the account of a name that is shown. What is counted is a subquery, for its limit.
        let allowed = |line: &String| {
            line.starts_with("SEARCH ") && line.contains(index)
                || line == "SEARCH a USING PRIMARY KEY (tenant=? AND id=?)"
                || line.starts_with("CORRELATED SCALAR SUBQUERY")
                || line.starts_with("CO-ROUTINE")
                || line.starts_with("SCAN (subquery")
        };
        assert!(plan.iter().all(allowed), "{sql}: {plan:?}");
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:?}");
    }
}

#[tokio::test]
async fn lists_of_executions_are_read_by_an_index() {
    let plans = Plans::new().await;
    let now = Timestamp::from_millis(1);
    let mut filter = Filter {
        page: 1,
        limit: 20,
        status: None,
        verdict: None,
        language: None,
    };
    for narrowed in [false, true] {
        if narrowed {
            filter.verdict = Some(Verdict::Accepted);
            filter.language = Some("python".into());
        }
        for (whose, index) in [
            (
                Whose::User(UserId::at(now, [1; 10]).into()),
                "execution_by_user",
            ),
            (
                Whose::Session(SessionId::at(now, [1; 10]).into()),
                "execution_by_session",
            ),
        ] {
            let (from, mut values) = selected("main", whose, &filter);
            let covering = format!("COVERING INDEX {index}");
            let count = if narrowed { index } else { &covering };
            values.push(Value::Integer(20));
            plans.check(&counted(&from), &values, count).await;
            values.push(Value::Integer(0));
            plans.check(&shown(&from), &values, index).await;
        }
    }
}

#[tokio::test]
async fn what_is_unfinished_or_owned_is_counted_and_leased_by_an_index() {
    let plans = Plans::new().await;
    let now = Timestamp::from_millis(1);
    let user = UserId::at(now, [1; 10]).into();
    let own = ["main".into(), user, Value::Integer(10)];
    plans.check(UNFINISHED_OF_USER, &own, "job_by_user").await;
    plans.check(INTERACTIVE_OF_USER, &own, "job_by_user").await;
    plans.check(OWNED, &own, "session_by_owner").await;
    let all = ["main".into(), Value::Integer(10)];
    plans
        .check(WAITING, &all, "COVERING INDEX job_waiting")
        .await;
    let executor = ExecutorId::at(now, [1; 10]).into();
    let given = ["main".into(), executor, Value::Integer(32)];
    plans.check(UNACKNOWLEDGED, &given, "job_by_executor").await;
}

#[tokio::test]
async fn what_is_too_old_is_found_by_its_id() {
    let plans = Plans::new().await;
    let oldest = ExecutionId::at(Timestamp::from_millis(1), [0; 10]).into();
    let values = ["main".into(), "result".into(), oldest, Value::Integer(100)];
    plans.check(TOO_OLD, &values, "PRIMARY KEY").await;
}

#[tokio::test]
async fn whose_turn_it_is_takes_an_index_of_what_waits_and_one_of_what_is_held() {
    let plans = Plans::new().await;
    let id = ExecutionId::at(Timestamp::from_millis(1), [0; 10]).into();
    let of = [id, "main".into(), "c".into(), "go".into(), "main".into()];
    let values = [&of[..], &[Value::Integer(4)]].concat();
    for interactive in [true, false] {
        let plan = plans.of(&in_turn(2, interactive), &values).await;
        let of_job: Vec<&String> = plan.iter().filter(|line| line.contains(" job ")).collect();
        assert_eq!(of_job.len(), 2, "{plan:?}");
        for index in ["COVERING INDEX job_waiting", "INDEX job_by_executor"] {
            let by_index = |line: &&String| line.starts_with("SEARCH ") && line.contains(index);
            assert!(of_job.iter().any(by_index), "{plan:?}");
        }
    }
}
