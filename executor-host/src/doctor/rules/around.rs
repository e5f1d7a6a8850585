//! What is around the engine: settings, the state folder, the broker, the edge.

use crate::doctor::facts::{Broker, Edge, Queue, State, Writable};
use crate::doctor::{Check, Finding};

pub fn settings(fault: Option<String>) -> Check {
    let result = match fault {
        None => Finding::ok("can be used"),
        Some(fault) => Finding::broken(
            fault,
            "`executor-host config` shows every setting and where it comes from",
        ),
    };
    Check::new("settings", "settings", result)
}

pub fn language_table(fault: &str) -> Check {
    let mend = "mend the file that --languages names, or leave it out";
    Check::new(
        "languages.table",
        "language table",
        Finding::broken(fault, mend),
    )
}

pub fn state(state: &State) -> Vec<Check> {
    let mut checks = vec![Check::new("state.folder", "state folder", folder(state))];
    if let Some(open) = state.credentials_open {
        let result = if open {
            Finding::weak(
                "others on this machine can read credentials.json, and be this host",
                "`chmod 600` it; if somebody may have read it, revoke this host and join anew",
            )
        } else {
            Finding::ok("readable for their owner only")
        };
        checks.push(Check::new("state.credentials", "credentials", result));
    }
    if let Some(found) = &state.queue {
        let result = match found {
            Err(why) => Finding::broken(
                format!("queue.db is damaged or cannot be read: {why}"),
                "stop executor-host, move queue.db and the files beside it away, start it anew: \
                 the edge hands out again what was in it",
            ),
            Ok(found) => queue(found),
        };
        checks.push(Check::new("state.queue", "embedded queue", result));
    }
    checks
}

fn folder(state: &State) -> Finding {
    let mend = "give another by --state-dir, or this one to the user that executor-host runs as";
    match (&state.folder, &state.writable) {
        (Err(why), _) => Finding::broken(why, "give one by --state-dir"),
        (Ok(folder), Err(why)) => Finding::broken(
            format!("{} cannot be written to: {why}", folder.display()),
            mend,
        ),
        (Ok(folder), Ok(Writable::Now)) => Finding::ok(folder.display().to_string()),
        (Ok(folder), Ok(Writable::Later)) => {
            Finding::ok(format!("{} will be made", folder.display()))
        }
    }
}

fn queue(found: &Queue) -> Finding {
    let Queue {
        ready,
        results,
        parked,
    } = found;
    if *parked > 0 {
        return Finding::weak(
            format!("{parked} messages could not be read, and were put aside"),
            "look at them (docs/operations.md, The queue), then remove them",
        );
    }
    Finding::ok(format!("{ready} jobs and {results} results wait"))
}

pub fn broker(broker: &Broker) -> Check {
    let address = &broker.address;
    let result = match &broker.queue {
        Err(why) => Finding::broken(
            format!("{address}: {why}"),
            "see whether the broker runs and can be reached from here, and whether user, password \
             and vhost of AMQP_URL are right",
        ),
        Ok(found) => match queue(found) {
            Finding::Ok { detail } => Finding::ok(format!("{address}: {detail}")),
            other => other,
        },
    };
    Check::new("broker", "broker", result)
}

pub fn edge(edge: &Edge) -> Check {
    let result = match edge {
        Edge::Knows(url) => Finding::ok(format!("{url} knows this host")),
        Edge::NotJoined => Finding::weak(
            "this host has not joined one, and gets no jobs",
            "`executor-host join https://EDGE`, with the join token in CODECRAFTER_JOIN_TOKEN",
        ),
        Edge::Unreadable(why) => Finding::broken(
            why,
            "restore credentials.json, or `executor-host join` with --again",
        ),
        Edge::Away(url, why) => Finding::broken(
            format!("{url}: {why}"),
            "see whether the edge runs and can be reached from here",
        ),
        Edge::Refused(url, why) => Finding::broken(
            format!("{url}: {why}"),
            "see whether this host was revoked (docs/operations.md, Executors), and whether its \
             clock is right",
        ),
    };
    Check::new("edge", "edge", result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> State {
        let queue = Queue {
            ready: 0,
            results: 0,
            parked: 0,
        };
        State {
            folder: Ok("/state".into()),
            writable: Ok(Writable::Now),
            credentials_open: Some(false),
            queue: Some(Ok(queue)),
        }
    }

    fn ill(change: fn(&mut State)) -> Vec<(&'static str, &'static str)> {
        let mut state = sound();
        change(&mut state);
        let checks = super::state(&state);
        let ill = checks.iter().map(|check| (check.id, check.result.word()));
        ill.filter(|(_, word)| *word != "ok").collect()
    }

    #[test]
    fn each_fault_of_the_state_folder_is_found_by_its_own_check() {
        assert_eq!(ill(|_| {}), []);
        assert_eq!(ill(|state| state.writable = Ok(Writable::Later)), []);
        let broken = [("state.folder", "broken")];
        assert_eq!(ill(|state| state.writable = Err("full".into())), broken);
        assert_eq!(ill(|state| state.folder = Err("no HOME".into())), broken);
        let weak = [("state.credentials", "weak")];
        assert_eq!(ill(|state| state.credentials_open = Some(true)), weak);
        let broken = [("state.queue", "broken")];
        assert_eq!(
            ill(|state| state.queue = Some(Err("malformed".into()))),
            broken
        );
        let parked = |state: &mut State| {
            let queue = state.queue.as_mut().unwrap();
            queue.as_mut().unwrap().parked = 1;
        };
        assert_eq!(ill(parked), [("state.queue", "weak")]);
    }

    #[test]
    fn a_host_that_has_not_joined_is_weak_and_one_that_is_refused_is_broken() {
        let word = |found: Edge| edge(&found).result.word();
        assert_eq!(word(Edge::Knows("https://e".into())), "ok");
        assert_eq!(word(Edge::NotJoined), "weak");
        assert_eq!(word(Edge::Unreadable("damaged".into())), "broken");
        assert_eq!(
            word(Edge::Away("https://e".into(), "refused".into())),
            "broken"
        );
        assert_eq!(
            word(Edge::Refused("https://e".into(), "revoked".into())),
            "broken"
        );
    }
}
