//! A value of each type that a request or an answer is. A test holds each against its schema.

use serde_json::{Value, json};

const USER: &str = "01a1fb7e-7d45-79d9-a7d2-167aab462b09";
const OTHER_USER: &str = "01a1fb81-0a3e-7c51-8f19-2f2b8f0f6c11";
const SESSION: &str = "01a1fb7f-2c08-7f3a-9b1e-5a1d3e7c9f20";
const EXECUTION: &str = "01a1fb80-5b71-7a2c-a1c4-9d0e4b6f8a31";
const ATTEMPT: &str = "5f0c7b1e-93a4-4d2f-8b6a-1c9e7d3f5a42";
const EXECUTOR: &str = "01a1fb00-1111-7222-8333-444455556666";
const TIME: &str = "2026-11-20T12:00:00.000Z";
const LATER: &str = "2026-11-20T12:15:00.000Z";

/// Every example, by the name of its type.
#[must_use]
pub fn examples() -> Vec<(&'static str, Value)> {
    let mut all = accounts();
    all.extend(sessions());
    all.extend(versions());
    all.extend(chat());
    all.extend(notifications());
    all.extend(executions());
    all.extend(service());
    all
}

fn user() -> Value {
    json!({
        "id": USER,
        "username": "ada",
        "email": "ada@example.org",
        "displayName": "Ada",
        "createdAt": TIME,
        "lastLoginAt": null,
    })
}

fn accounts() -> Vec<(&'static str, Value)> {
    let signed_in = json!({
        "user": user(),
        "accessToken": "eyJhbGciOiJFZERTQSJ9.…",
        "accessTokenExpiresAt": LATER,
        "refreshToken": "rt1.…",
        "refreshTokenExpiresAt": "2026-11-27T12:00:00.000Z",
    });
    let register = json!({
        "username": "ada",
        "email": "ada@example.org",
        "password": "plain long words",
        "displayName": "Ada",
    });
    let login = json!({ "login": "ada", "password": "plain long words" });
    vec![
        ("Register", register),
        ("Login", login),
        ("Refresh", json!({ "refreshToken": "rt1.…" })),
        ("SignedIn", signed_in),
        ("User", user()),
    ]
}

fn participant(id: &str, name: &str, role: &str) -> Value {
    json!({
        "userId": id,
        "username": name,
        "displayName": name,
        "role": role,
        "joinedAt": TIME,
    })
}

fn session() -> Value {
    json!({
        "id": SESSION,
        "title": "Two sums",
        "description": "",
        "language": "python",
        "isPublic": true,
        "isLocked": false,
        "joinRole": "editor",
        "maxParticipants": 10,
        "ownerId": USER,
        "role": "owner",
        "accessVersion": 1,
        "participants": [participant(USER, "ada", "owner")],
        "forkOf": null,
        "forks": 0,
        "createdAt": TIME,
        "updatedAt": TIME,
    })
}

fn sessions() -> Vec<(&'static str, Value)> {
    let create = json!({
        "title": "Two sums",
        "language": "python",
        "content": "print(sum(range(10)))\n",
        "isPublic": true,
        "joinRole": "editor",
    });
    let joined = json!({
        "session": session(),
        "roomToken": "eyJhbGciOiJFZERTQSJ9.…",
        "roomTokenExpiresAt": "2026-11-21T00:00:00.000Z",
        "roomUrl": "/api/v1/rooms",
        "roomStreamUrl": null,
    });
    let page = json!({
        "items": [{
            "id": SESSION,
            "title": "Two sums",
            "language": "python",
            "isPublic": true,
            "role": "owner",
            "ownerName": "Ada",
            "participantCount": 1,
            "createdAt": TIME,
            "updatedAt": TIME,
        }],
        "page": 1,
        "limit": 20,
        "total": 1,
    });
    let content = json!({
        "content": "import numbers_\n",
        "files": [{ "path": "numbers_.py", "content": "ONE = 1\n" }],
    });
    vec![
        ("CreateSession", create),
        (
            "UpdateSession",
            json!({ "title": "Three sums", "isLocked": true }),
        ),
        ("Session", session()),
        ("SessionSummaryPage", page),
        ("SessionContent", content),
        ("WriteContent", json!({ "content": "print('hello')\n" })),
        ("Joined", joined),
        (
            "AddParticipant",
            json!({ "username": "grace", "role": "editor" }),
        ),
        ("ChangeRole", json!({ "role": "admin" })),
        ("Participant", participant(OTHER_USER, "grace", "editor")),
        ("TransferSession", json!({ "userId": OTHER_USER })),
    ]
}

fn version() -> Value {
    json!({
        "number": 3,
        "kind": "manual",
        "takenAt": TIME,
        "userId": USER,
        "displayName": "ada",
        "message": "before the loop was turned around",
        "bytes": 24,
        "fileCount": 0,
    })
}

fn versions() -> Vec<(&'static str, Value)> {
    let diff = json!({
        "from": 3,
        "to": null,
        "files": [{
            "path": null,
            "change": "changed",
            "added": 1,
            "removed": 1,
            "hunks": [{
                "oldStart": 1,
                "newStart": 1,
                "lines": [
                    { "kind": "removed", "text": "print(sum(range(10)))" },
                    { "kind": "added", "text": "print(sum(range(11)))" },
                ],
            }],
        }],
        "truncated": false,
    });
    let history = json!({
        "first": 1,
        "last": 41,
        "from": 41,
        "start": { "content": "print(sum(range(10)))\n", "files": [] },
        "steps": [{
            "number": 41,
            "at": TIME,
            "userIds": [USER],
            "files": [{
                "path": null,
                "change": "changed",
                "splices": [{ "at": 17, "removed": 1, "inserted": "1" }],
            }],
        }],
        "people": [{ "userId": USER, "displayName": "ada" }],
        "next": null,
    });
    vec![
        (
            "TakeVersion",
            json!({ "message": "before the loop was turned around" }),
        ),
        ("Version", version()),
        (
            "VersionContent",
            json!({ "version": version(), "content": "print(sum(range(10)))\n", "files": [] }),
        ),
        ("VersionDiff", diff),
        (
            "RestoredVersion",
            json!({ "restored": version(), "before": null }),
        ),
        ("ForkSession", json!({ "title": "My sums", "version": 3 })),
        ("HistoryPage", history),
        ("RestoredStep", json!({ "step": 41, "before": version() })),
        (
            "VersionPage",
            json!({ "items": [version()], "page": 1, "limit": 20, "total": 1 }),
        ),
    ]
}

fn chat() -> Vec<(&'static str, Value)> {
    let message = json!({
        "seq": 1,
        "sentAt": TIME,
        "userId": USER,
        "displayName": "ada",
        "text": "shall we start at one?",
        "deleted": false,
    });
    vec![
        (
            "SendChatMessage",
            json!({ "text": "shall we start at one?", "key": "6f1c9a" }),
        ),
        ("ChatMessage", message.clone()),
        ("ChatMessages", json!({ "items": [message], "more": false })),
    ]
}

fn notifications() -> Vec<(&'static str, Value)> {
    let notification = json!({
        "seq": 7,
        "at": TIME,
        "read": false,
        "event": {
            "type": "added",
            "sessionId": SESSION,
            "title": "Two sums",
            "role": "editor",
            "by": { "userId": USER, "displayName": "Ada" },
        },
    });
    let list = json!({ "items": [notification], "more": false, "seq": 7, "unread": 1 });
    let pass = json!({
        "feedToken": "eyJhbGciOiJFZERTQSJ9.…",
        "feedTokenExpiresAt": LATER,
        "socketUrl": "/api/v1/notifications/socket",
        "eventsUrl": "/api/v1/notifications/events",
    });
    vec![
        ("Notifications", list),
        ("MarkRead", json!({ "upTo": 7 })),
        ("ReadState", json!({ "readSeq": 7, "unread": 0 })),
        ("FeedPass", pass),
        ("OnlinePeople", json!({ "userIds": [USER, OTHER_USER] })),
    ]
}

fn executions() -> Vec<(&'static str, Value)> {
    let create = json!({
        "language": "python",
        "code": "print(input())\n",
        "stdin": "hello\n",
        "expectedOutput": "hello\n",
        "limits": { "wallMs": 2000 },
    });
    let execution = json!({
        "id": EXECUTION,
        "sessionId": null,
        "userId": USER,
        "language": "python",
        "status": "finished",
        "limits": {
            "cpuMs": 5000,
            "wallMs": 2000,
            "memoryBytes": 134_217_728,
            "outputBytes": 65_536,
            "processes": 64,
        },
        "verdict": "accepted",
        "message": null,
        "stdout": "hello\n",
        "stdoutTail": null,
        "stderr": "",
        "stderrTail": null,
        "stdoutBytes": 6,
        "stderrBytes": 0,
        "encoding": "utf8",
        "truncated": false,
        "resultExpired": false,
        "compileOutput": null,
        "exitCode": 0,
        "signal": null,
        "files": [{ "name": "plot.png", "mediaType": "image/png", "bytes": 20_480 }],
        "filesLeftOut": [{ "name": "data.db", "reason": "type" }],
        "filesLeftOutCount": 1,
        "cpuMs": 18,
        "wallMs": 23,
        "peakBytes": 7_340_032,
        "attemptId": ATTEMPT,
        "attempts": 1,
        "duplicates": 0,
        "traceId": "01a1fe60a5ba73ddaeaaa9af5676ca30",
        "createdAt": TIME,
        "startedAt": TIME,
        "cancelRequestedAt": null,
        "finishedAt": TIME,
    });
    let page = json!({
        "items": [{
            "id": EXECUTION,
            "sessionId": SESSION,
            "userId": USER,
            "displayName": "Ada",
            "language": "python",
            "status": "running",
            "verdict": null,
            "exitCode": null,
            "cpuMs": null,
            "wallMs": null,
            "peakBytes": null,
            "createdAt": TIME,
            "startedAt": TIME,
            "finishedAt": null,
        }],
        "page": 1,
        "limit": 20,
        "total": 1,
    });
    let input = json!({
        "inputs": [{ "type": "text", "text": "42\r" }],
        "after": 3,
    });
    vec![
        ("CreateExecution", create),
        ("Execution", execution),
        ("ExecutionSummaryPage", page),
        ("GiveInput", input),
        ("InputTaken", json!({ "inputs": 4 })),
    ]
}

fn service() -> Vec<(&'static str, Value)> {
    let languages = json!({
        "items": [{
            "id": "python",
            "name": "Python",
            "versions": ["Python 3.11.2"],
            "endOfLife": "2027-10-31",
            "available": true,
        }],
    });
    let executors = json!({
        "items": [{
            "id": EXECUTOR,
            "name": "campus-1",
            "version": "0.1.0",
            "languages": [{ "id": "python", "version": "Python 3.11.2", "endOfLife": "2027-10-31" }],
            "capacity": 4,
            "held": 1,
            "live": true,
            "enrolledAt": TIME,
            "lastSeenAt": LATER,
            "revokedAt": null,
        }],
    });
    let ready = json!({ "status": "ready", "liveExecutors": 1, "waitingExecutions": 0 });
    let problem = json!({
        "type": "urn:codecrafter:problem:validation_failed",
        "title": "A field is missing or breaks a rule.",
        "status": 422,
        "code": "validation_failed",
        "requestId": "01a1fb7e-8e21-7a11-b222-c333d444e555",
        "errors": [{ "field": "title", "message": "is one line of 1–100 characters" }],
    });
    vec![
        ("Languages", languages),
        ("Executors", executors),
        ("Health", json!({ "status": "ok", "timestamp": TIME })),
        ("Ready", ready),
        ("Problem", problem),
    ]
}
