//! Both kinds of shard keep the same promises.

use futures_util::future::{BoxFuture, join_all};

use super::*;
use crate::limits::calls::{Account, Counted, Taken, Tried};
use crate::limits::rate::Rate;
use crate::limits::slow_down::SlowDown;
use crate::native::{HandClock, SqliteDb};
use crate::ports::TransactionBody;

/// A deployment's limits: a database, and the shards that use it one after the other.
struct World {
    db: Arc<SqliteDb>,
    clock: Arc<HandClock>,
    lasts: bool,
}

impl World {
    fn both() -> [Self; 2] {
        [true, false].map(|lasts| Self {
            db: Arc::new(SqliteDb::in_memory().unwrap()),
            clock: Arc::new(HandClock::default()),
            lasts,
        })
    }

    fn shard(&self) -> LimitsShard {
        let (db, clock) = (self.db.clone(), self.clock.clone());
        if self.lasts {
            LimitsShard::in_memory(db, clock)
        } else {
            LimitsShard::in_database(db, clock)
        }
    }

    async fn rows(&self) -> usize {
        let db: &dyn Db = &*self.db;
        let rows = db.query("SELECT key FROM cell", Vec::new()).await;
        rows.unwrap().into_iter().count()
    }
}

async fn ask<C: Call>(shard: &LimitsShard, call: &C) -> C::Answer {
    let answer = shard
        .handle(C::PATH, &serde_json::to_vec(call).unwrap())
        .await;
    assert_eq!(answer.status, 200, "{}", C::PATH);
    serde_json::from_slice(&answer.body).unwrap()
}

fn take(key: &str, rate: Rate) -> Take {
    let key = key.to_owned();
    Take {
        from: vec![Counted { key, rate }],
    }
}

fn is_admitted(taken: &Taken) -> bool {
    taken.refused_by.is_empty()
}

#[tokio::test]
async fn refusals_are_summed_over_instances_and_outlast_the_shard() {
    for world in World::both() {
        let told = |limit: &str, count| RefusalCount {
            limit: limit.to_owned(),
            count,
        };
        for refusals in [
            vec![told("login", 3)],
            vec![told("login", 4), told("address", u64::MAX)],
            vec![told("address", 1)],
        ] {
            ask(&world.shard(), &CountRefusals { refusals }).await;
        }
        let all = ask(&world.shard(), &ListRefusals {}).await;
        let most = INTEGER_MAX.unsigned_abs();
        assert_eq!(all, [told("address", most), told("login", 7)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_requests_at_once_exactly_as_many_pass_as_are_allowed() {
    for world in World::both() {
        let shard = Arc::new(world.shard());
        let rate = Rate::new(50, 86_400, 50);
        let asked = (0..400).map(|n| {
            let shard = shard.clone();
            let key = if n % 2 == 0 { "one" } else { "other" };
            tokio::spawn(async move { is_admitted(&ask(&shard, &take(key, rate)).await) })
        });
        let admitted = join_all(asked).await;
        let admitted = admitted
            .into_iter()
            .filter(|asked| *asked.as_ref().unwrap());
        assert_eq!(admitted.count(), 100);
    }
}

#[tokio::test]
async fn what_lasts_is_known_to_who_comes_after_the_shard_was_forgotten() {
    for world in World::both() {
        let register = take("register", Rate::new(5, 3_600, 5));
        for n in 0..20 {
            let admitted = is_admitted(&ask(&world.shard(), &register).await);
            assert_eq!(admitted, n < 5, "{n}");
        }
        world.clock.advance_ms(720_000);
        assert!(is_admitted(&ask(&world.shard(), &register).await));
        assert!(!is_admitted(&ask(&world.shard(), &register).await));
    }
}

#[tokio::test]
async fn where_memory_lasts_ordinary_use_writes_no_row() {
    let [world, _] = World::both();
    let shard = world.shard();
    for n in 0..500 {
        let key = format!("user {}", n % 10);
        let taken = ask(&shard, &take(&key, Rate::new(1_200, 60, 1_200))).await;
        assert!(is_admitted(&taken));
    }
    assert_eq!(world.rows().await, 0);
}

/// A database that counts its transactions.
struct Metered(SqliteDb, AtomicI64);

impl Db for Metered {
    fn run<'a>(&'a self, body: &'a TransactionBody<'a>) -> BoxFuture<'a, Result<(), DbError>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.run(body)
    }
}

#[tokio::test]
async fn a_check_costs_what_the_benchmarks_say() {
    let clock = Arc::new(HandClock::default());
    for lasts in [true, false] {
        let db = Arc::new(Metered(SqliteDb::in_memory().unwrap(), AtomicI64::new(0)));
        let shard = match lasts {
            true => LimitsShard::in_memory(db.clone(), clock.clone()),
            false => LimitsShard::in_database(db.clone(), clock.clone()),
        };
        let spent = || db.1.swap(0, Ordering::Relaxed);
        let user = |name| take(name, Rate::new(1_200, 60, 1_200));
        ask(&shard, &user("the tables")).await;
        spent();
        ask(&shard, &user("new")).await;
        assert_eq!(spent(), 1);
        for _ in 0..100 {
            ask(&shard, &user("new")).await;
        }
        assert_eq!(spent(), if lasts { 0 } else { 100 });
        // Who uses up what lasts long is written down now and then; refusals are not.
        let stranger = take("stranger", Rate::new(100, 900, 100));
        for _ in 0..100 {
            assert!(is_admitted(&ask(&shard, &stranger).await));
        }
        let used = spent();
        let few = 20..=40;
        assert!(
            if lasts {
                few.contains(&used)
            } else {
                used == 100
            },
            "{used}"
        );
        for _ in 0..100 {
            assert!(!is_admitted(&ask(&shard, &stranger).await));
        }
        assert_eq!(spent(), if lasts { 0 } else { 100 });
    }
}

#[tokio::test]
async fn rows_that_are_over_go() {
    for world in World::both() {
        let shard = world.shard();
        let rate = Rate::new(2, 60, 2);
        for n in 0..300 {
            ask(&shard, &take(&format!("k{n}"), rate)).await;
        }
        assert_eq!(world.rows().await, 300);
        world.clock.advance_ms(3_600_000);
        // Where each call may be another instance's, sweeping is a matter of chance.
        for n in 0..2_000 {
            world.clock.advance_ms(1);
            ask(&shard, &take(&format!("later {n}"), Rate::new(1, 20, 1))).await;
            if world.rows().await <= n + 1 {
                break;
            }
        }
        let db: &dyn Db = &*world.db;
        let old = db.query("SELECT key FROM cell WHERE key LIKE 'k%'", Vec::new());
        assert_eq!(old.await.unwrap().into_iter().count(), 0);
    }
}

#[tokio::test]
async fn an_owner_who_was_right_is_not_slowed_down_and_a_guesser_is() {
    for world in World::both() {
        let account = |address: &str| Account {
            anywhere: "a".into(),
            here: format!("a:{address}"),
            known: format!("k:{address}"),
        };
        let mut shard = world.shard();
        let tried = async |shard: &LimitsShard, address: String| -> Tried {
            let call = TryPassword {
                account: account(&address),
                here: Some(SlowDown::new(2, 900)),
                anywhere: Some(SlowDown::new(5, 900)),
            };
            ask(shard, &call).await
        };
        tried(&shard, "home".into()).await;
        let right = PasswordRight {
            account: account("home"),
        };
        ask(&shard, &right).await;
        for n in 0..20 {
            tried(&shard, format!("guesser {n}")).await;
        }
        shard = world.shard();
        assert!(tried(&shard, "guesser 99".into()).await.wait > 0);
        assert_eq!(tried(&shard, "home".into()).await.wait, 0);
    }
}

#[tokio::test]
async fn a_shard_that_cannot_read_says_so() {
    for world in World::both() {
        let shard = world.shard();
        let rate = Rate::new(1, 60, 1);
        ask(&shard, &take("k", rate)).await;
        let db: &dyn Db = &*world.db;
        db.query("DROP TABLE cell", Vec::new()).await.unwrap();
        let body = serde_json::to_vec(&take("other", rate)).unwrap();
        let answer = shard.handle(Take::PATH, &body).await;
        assert_eq!(answer.status, 500);
    }
}

#[test]
fn keys_are_spread_over_all_shards() {
    let keys = crate::token::Keys::new(&[7; 32], None);
    let mut asked = [0; crate::limits::SHARDS as usize];
    for n in 0..1_600 {
        let key = keys.limit_key(&format!("address:192.0.2.{n}"));
        asked[usize::from(number(&key))] += 1;
    }
    assert!(asked.iter().all(|n| (40..250).contains(n)), "{asked:?}");
}
