//! `check` and `doctor`: what a monitoring system and an operator read, also of a daemon that is not well.

use crate::fake::{Fake, Folder, Ran, run};
use serde_json::{Value, json};

/// A daemon that tells these statistics.
fn tells(stats: Value, args: &[&str]) -> Ran {
    let fake = Fake::greeting(move |caller| {
        let asked = caller.hear("stats");
        caller.yes(&asked, json!({ "stats": stats }));
        caller.hung_up();
    });
    fake.run(args, b"")
}

/// What a monitoring system takes: one line on stdout, nothing on stderr.
fn one_line(ran: &Ran, code: i32, begin: &str) {
    assert_eq!((ran.code, ran.err.as_str()), (Some(code), ""), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 1, "{ran:?}");
    assert!(ran.out.starts_with(begin), "{begin} {ran:?}");
}

fn stats() -> Value {
    json!({"server": "fake", "version": "0", "uptime_ms": 61_000, "connections_native": 90,
           "connections_max": 100, "block_bytes": 10, "private_bytes": 0, "store_bytes_max": 1_000,
           "recent": {"ms": 50_000, "messages": 1, "turn_longest_us": 2_000}})
}

#[test]
fn check_is_one_line_and_the_statuses_of_monitoring_systems() {
    let begin = "CHATD WARNING - 90 of 100 connections (over 80 %), ";
    one_line(&tells(stats(), &["check"]), 1, begin);
    let ran = tells(stats(), &["check", "--connections", "90,95"]);
    one_line(&ran, 0, "CHATD OK - 90 of 100 connections, 10 B queued, longest turn 2 ms");
    assert!(ran.out.contains(" | connections=90;90;95;0;100 queue=10B;500;900;0;1000 "), "{ran:?}");
    one_line(&tells(stats(), &["check", "--turn", "0,1"]), 2, "CHATD CRITICAL - longest turn 2 ms");
    let ran = tells(stats(), &["check", "--json"]);
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &said["state"], &said["exit"]), (Some(1), &json!("warning"), &json!(1)));
}

#[test]
fn check_of_a_daemon_that_does_not_answer_is_critical() {
    let folder = Folder::new();
    one_line(&run(&folder.socket(), &["check"], b""), 2, "CHATD CRITICAL - no daemon at ");
    let silent = Fake::new(|door| {
        let mut caller = door.open();
        caller.hear("hello");
        caller.hung_up();
    });
    let ran = silent.run(&["check", "--timeout", "100ms"], b"");
    one_line(&ran, 2, "CHATD CRITICAL - no answer from ");
    let ended = Fake::new(|door| drop(door.open()));
    one_line(&ended.run(&["check"], b""), 2, "CHATD CRITICAL - ");
}

#[test]
fn check_that_is_used_wrongly_or_refused_is_unknown() {
    let folder = Folder::new();
    for args in [&["check", "--turn", "5"][..], &["check", "--nonsense"], &["check", "lobby"]] {
        one_line(&run(&folder.socket(), args, b""), 3, "CHATD UNKNOWN - ");
    }
    let ran = run(std::path::Path::new("tls://localhost"), &["check"], b"");
    one_line(&ran, 3, "CHATD UNKNOWN - ");
    let refusing = Fake::greeting(|caller| {
        let asked = caller.hear("stats");
        caller.no(&asked, "forbidden", "Only | some may.");
    });
    one_line(&refusing.run(&["check"], b""), 3, "CHATD UNKNOWN - ");
    // Others than it keep their own statuses.
    assert_eq!(run(&folder.socket(), &["send", "check", "--nonsense"], b"").code, Some(2));
}

#[test]
fn doctor_names_what_is_bad_and_what_to_do() {
    let folder = Folder::new();
    let ran = run(&folder.socket(), &["doctor"], b"");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let bad = |what: &str| ran.out.lines().any(|line| line.starts_with(&format!("bad   {what} ")));
    assert!(bad("socket") && bad("daemon"), "{ran:?}");
    assert!(ran.err.contains("things are bad"), "{ran:?}");
    let mut old = stats();
    old["process"] = json!({"pid": 1, "descriptors_max": 100, "listeners": []});
    let ran = tells(old, &["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let line = |begin: &str| ran.out.lines().find(|line| line.starts_with(begin)).is_some();
    assert!(line("ok    socket ") && line("warn  daemon "), "{ran:?}");
    assert!(
        line(
            "bad   descriptors  limits.connections is 100, but 100 descriptors allow 36: raise LimitNOFILE="
        ),
        "{ran:?}"
    );
    assert!(line("ok    history ") && ran.out.contains(" clock "), "{ran:?}");
}

#[test]
fn doctor_says_each_finding_as_an_object() {
    let ran = tells(stats(), &["doctor", "--json"]);
    for line in ran.out.lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        assert!(["ok", "warn", "bad"].contains(&finding["state"].as_str().unwrap()), "{line}");
        assert!(finding["state"] == "ok" || finding["advice"].is_string(), "{line}");
    }
}
