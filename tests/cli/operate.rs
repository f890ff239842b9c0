//! `chatctl clients`, `kick`, `ban`, `unban`, `bans`, `announce`, `log-level`, `whois`: what operators do.

use serde_json::Value;
use tests::{Daemon, Setup, V1Client};

use crate::ended_with;

#[test]
fn clients_and_whois_show_who_is_there() {
    let daemon = Daemon::start();
    let _ada = daemon.named("Ada");
    let mut bob = V1Client::connect(daemon.address(), "Bob");
    bob.asks("join", serde_json::json!({"room": "ops"}));
    let (clients, _) = ended_with(0, &daemon.ctl(&["clients"]));
    let line = |name: &str| clients.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("Ada").contains("native") && line("Bob").contains("v1"), "{clients}");
    let (json, _) = ended_with(0, &daemon.ctl(&["clients", "--json"]));
    let sessions: Vec<u64> = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["session"].as_u64().unwrap())
        .collect();
    assert!(sessions.len() >= 3 && sessions.is_sorted(), "{sessions:?}");
    let (whois, _) = ended_with(0, &daemon.ctl(&["whois", "bob"]));
    for words in ["#ops", "v1", "127.0.0.1"] {
        assert!(whois.contains(words), "{whois}");
    }
}

#[test]
fn who_does_not_read_is_shown_with_how_much_waits_and_why() {
    let daemon = Setup::new().config("[limits]\nstall = \"off\"\noutbox = \"8MiB\"\n").start();
    let stuck = daemon.named("Stuck");
    let _well = daemon.named("Well");
    let mut ops = daemon.control();
    let text = "x".repeat(60_000);
    let shown = tests::eventually("somebody is behind", || {
        ops.posts("lobby", &text);
        let (slow, _) = ended_with(0, &daemon.ctl(&["clients", "--slow"]));
        let is_stuck = |line: &&str| line.contains("Stuck") && line.contains("their window");
        slow.lines().find(is_stuck).map(str::to_owned)
    });
    assert!(shown.contains("KiB") && !shown.contains("Well"), "{shown}");
    drop(stuck);
}

#[test]
fn kicked_is_told_why_and_may_come_back() {
    let daemon = Daemon::start();
    let mut eve = V1Client::connect(daemon.address(), "Eve");
    let mut old = daemon.named("Old");
    let (_, stderr) = ended_with(0, &daemon.ctl(&["kick", "eve", "be", "kind"]));
    assert!(stderr.contains("closed 1 connection"), "{stderr}");
    assert!(eve.event_called("bye")["reason"].as_str().unwrap().contains("be kind"));
    assert_eq!(eve.next_object(), None);
    ended_with(0, &daemon.ctl(&["kick", "@old"]));
    drop(old.until_closed());
    ended_with(7, &daemon.ctl(&["kick", "eve"]));
    V1Client::connect(daemon.address(), "Eve");
}

#[test]
fn banned_stays_out_until_unbanned() {
    let daemon = Daemon::start();
    let mut eve = daemon.named("Eve");
    ended_with(0, &daemon.ctl(&["ban", "eve", "--for", "1h", "not", "today"]));
    drop(eve.until_closed());
    let mut again = V1Client::silent(daemon.address());
    let reply = again.asks("hello", serde_json::json!({"nick": "EVE"}));
    assert_eq!(reply["error"], "forbidden", "{reply}");
    let (bans, _) = ended_with(0, &daemon.ctl(&["bans"]));
    assert!(bans.to_lowercase().contains("@eve") && bans.contains("not today"), "{bans}");
    ended_with(0, &daemon.ctl(&["unban", "eve"]));
    V1Client::connect(daemon.address(), "Eve");
    // A network: nobody from there comes in, and who is there goes.
    let mut ada = daemon.named("Ada");
    ended_with(0, &daemon.ctl(&["ban", "127.0.0.0/8"]));
    drop(ada.until_closed());
    drop(daemon.native().until_closed());
    ended_with(0, &daemon.ctl(&["unban", "127.0.0.0/8"]));
    daemon.named("Ada");
    ended_with(1, &daemon.ctl(&["unban", "127.0.0.0/8"]));
}

#[test]
fn announcements_come_to_everybody() {
    let daemon = Setup::new().config("[server]\nname = \"Here\"\n").start();
    let mut ada = daemon.named("Ada");
    let mut bob = V1Client::connect(daemon.address(), "Bob");
    let tail = daemon.follower(&["ops"]);
    let (_, stderr) = ended_with(0, &daemon.ctl(&["announce", "back", "in", "five"]));
    assert!(stderr.contains("told"), "{stderr}");
    ada.hears_that("Here", "back in five");
    assert_eq!(bob.event_called("notice")["text"], "back in five");
    tail.stderr.line_with(&["from the operator", "back in five"]);
}

#[test]
fn the_log_level_is_shown_and_set() {
    let daemon = Daemon::start();
    assert_eq!(ended_with(0, &daemon.ctl(&["log-level"])).0, "info\n");
    assert_eq!(ended_with(0, &daemon.ctl(&["log-level", "debug"])).0, "debug\n");
    assert_eq!(ended_with(0, &daemon.ctl(&["log-level"])).0, "debug\n");
}

/// A script alone is nobody to write to: it would be gone with the message.
#[test]
fn writing_to_oneself_reaches_nobody() {
    let daemon = Daemon::start();
    let login = daemon.control().asks("hello", serde_json::json!({}))["nick"].clone();
    let to = format!("@{}", login.as_str().unwrap());
    ended_with(7, &daemon.ctl(&["send", &to, "hello"]));
    ended_with(7, &daemon.ctl(&["whois", &to]));
}
