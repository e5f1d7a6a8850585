//! Finding sessions: one's own and the public ones, by language and by words (CC-SESS-22 to 24).

use codecrafter_shared::api::{Page, SessionSummary};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;

use super::calls::{List, Scope};
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::error::Refusal;
use crate::ports::{Row, Value};

/// What words are searched in: it is stored beside title and description, because SQLite knows the
/// cases of ASCII only.
#[must_use]
pub fn search_text(title: &str, description: &str) -> String {
    format!("{title}\n{description}").to_lowercase()
}

/// [`List`].
///
/// # Errors
/// [`LoginSessionEnded`](codecrafter_shared::error::ErrorCode::LoginSessionEnded).
pub async fn list(directory: &Directory, call: List) -> Result<Page<SessionSummary>, Refusal> {
    let (now, tenant, call) = (directory.clock.now(), &*directory.config.tenant, &call);
    let skipped = i64::from(call.page.saturating_sub(1)).saturating_mul(call.limit.into());
    let (count, page) = &statements(call.scope, call.language.is_some(), call.words.len());
    let key = || {
        let who = [tenant.into(), call.caller.user_id.into()].into_iter();
        let language = call.language.iter().map(Value::from);
        who.chain(language)
            .chain(call.words.iter().map(Value::from))
    };
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let counting = key().chain([limits::TOTAL_MAX.into()]);
            let total = tx.first(count, counting.collect::<Vec<Value>>()).await?;
            let total: u64 = total.map_or(Ok(0), |row| row.get("total"))?;
            let values = key().chain([call.limit.into(), skipped.into()]);
            let rows = tx.execute(page, values.collect::<Vec<Value>>()).await?;
            let items = rows.into_iter().map(|row| summary(&row));
            Ok(Page {
                items: items.collect::<Result<_, Refusal>>()?,
                page: call.page,
                limit: call.limit,
                total,
            })
        })
        .await
}

/// The statements that count a list, up to a limit, and give a page of it. They bind the tenant, the
/// user, the language if there is one, the words, then their limit; the page besides what comes
/// before it.
fn statements(scope: Scope, language: bool, words: usize) -> (String, String) {
    // Without statistics the planner would read all sessions of the tenant: so it is told.
    let mut of = match (scope, language) {
        (Scope::Mine, _) => String::from(
            "FROM participant p INDEXED BY participant_by_user \
             CROSS JOIN session s ON s.tenant = p.tenant AND s.id = p.session_id \
             WHERE p.tenant = ?1 AND p.user_id = ?2 AND s.deleted_at IS NULL",
        ),
        (Scope::Public, false) => public("session_public"),
        (Scope::Public, true) => public("session_public_by_language"),
    };
    if language {
        of.push_str(" AND s.language = ?");
    }
    // Not LIKE: platforms refuse patterns of more than 50 bytes.
    of.push_str(&" AND instr(s.search_text, ?) > 0".repeat(words));
    let count = format!("SELECT count(*) AS total FROM (SELECT 1 {of} LIMIT ?)");
    let page = format!(
        "SELECT s.*, p.role, (SELECT a.display_name FROM account a \
         WHERE a.tenant = s.tenant AND a.id = s.owner_id) AS owner_name, \
         (SELECT count(*) FROM participant q \
         WHERE q.tenant = s.tenant AND q.session_id = s.id) AS participants \
         {of} ORDER BY s.updated_at DESC, s.id DESC LIMIT ? OFFSET ?"
    );
    (count, page)
}

/// The public sessions by one of the indexes that hold only them, with the conditions of both.
fn public(index: &str) -> String {
    format!(
        "FROM session s INDEXED BY {index} LEFT JOIN participant p \
         ON p.tenant = s.tenant AND p.session_id = s.id AND p.user_id = ?2 \
         WHERE s.tenant = ?1 AND s.is_public = 1 AND s.deleted_at IS NULL"
    )
}

fn summary(row: &Row) -> Result<SessionSummary, Refusal> {
    let role: Option<String> = row.get("role")?;
    Ok(SessionSummary {
        id: row.get("id")?,
        title: row.get("title")?,
        language: row.get("language")?,
        is_public: row.get("is_public")?,
        role: match role {
            Some(_) => Some(row.parse("role", Role::from_name)?),
            None => None,
        },
        owner_name: row.get("owner_name")?,
        participant_count: row.get("participants")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::schema;
    use crate::native::SqliteDb;
    use crate::ports::{Db, DbError};

    /// What SQLite does for a list, as its own plan says.
    async fn plan(sql: String) -> Vec<String> {
        let db = SqliteDb::in_memory().unwrap();
        let db: &dyn Db = &db;
        schema::migrate(db).await.unwrap();
        let sql = &format!("EXPLAIN QUERY PLAN {sql}");
        let bound = sql.matches('?').count();
        let rows = db.transaction(|tx| async move {
            let values = std::iter::repeat_n(Value::Null, bound);
            tx.execute(sql, values.collect::<Vec<_>>()).await
        });
        let rows: Result<_, DbError> = rows.await;
        let details = rows.unwrap().into_iter().map(|row| row.get("detail"));
        let details: Vec<String> = details.collect::<Result<_, DbError>>().unwrap();
        // What is counted is a subquery, for its limit.
        let of_subquery = |step: &String| step.contains("(subquery") || step.contains("CO-ROUTINE");
        details
            .into_iter()
            .filter(|step| !of_subquery(step))
            .collect()
    }

    async fn plans(scope: Scope, language: bool, words: usize) -> [Vec<String>; 2] {
        let (count, page) = statements(scope, language, words);
        [plan(count).await, plan(page).await]
    }

    /// A step that reads a whole table reads everybody's.
    fn scans(plan: &[String]) -> bool {
        plan.iter().any(|step| step.starts_with("SCAN"))
    }

    #[tokio::test]
    async fn public_sessions_are_read_in_the_order_of_an_index() {
        for (language, index) in [
            (false, "session_public "),
            (true, "session_public_by_language "),
        ] {
            for words in [0, 2] {
                for plan in plans(Scope::Public, language, words).await {
                    assert!(!scans(&plan), "{plan:?}");
                    assert!(plan[0].contains(index), "{plan:?}");
                    let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
                    assert!(!sorts, "sorts: {plan:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn ones_own_sessions_are_found_by_user() {
        for language in [false, true] {
            for plan in plans(Scope::Mine, language, 1).await {
                assert!(!scans(&plan), "{plan:?}");
                assert!(plan[0].contains("participant_by_user"), "{plan:?}");
                assert!(plan[1].contains("PRIMARY KEY"), "{plan:?}");
            }
        }
    }
}
