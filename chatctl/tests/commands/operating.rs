//! `whois`, `clients`, `kick`, `ban`, `unban`, `bans`, `announce`, `log-level`: what is asked, and what is shown.

use crate::fake::{Fake, Ran};
use serde_json::{Value, json};

/// A daemon that is asked one thing, which must have these fields, and answers with those.
fn asks(args: &[&str], request: &'static str, wanted: Value, answer: Value) -> Ran {
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        let asked = caller.hear(request);
        let mut fields = asked.clone();
        fields.as_object_mut().unwrap().retain(|name, _| name != "request" && name != "id");
        assert_eq!(fields, wanted);
        caller.yes(&asked, answer);
        caller.hung_up();
    });
    fake.run(args, b"")
}

fn done(ran: &Ran, said: &str) {
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", said), "{ran:?}");
}

#[test]
fn whois_says_what_is_known() {
    let known = json!({"nick": "Alice", "since": "2026-01-02T03:04:05.000000Z",
        "connected": "2026-01-02T03:00:00.000000Z", "idle_ms": 90_000, "rooms": ["lobby", "ops"],
        "away": null, "agent": "chatctl 0.1.0", "protocol": "v1", "address": null});
    let ran = asks(&["whois", "@alice"], "whois", json!({"nick": "alice"}), known.clone());
    let expected = "nick       Alice\nsince      2026-01-02 03:04:05\nconnected  2026-01-02 03:00:00\n\
                    idle       1m 30s\nrooms      #lobby #ops\nprotocol   v1\nagent      chatctl 0.1.0\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected), "{ran:?}");
    let ran = asks(&["whois", "alice", "--json"], "whois", json!({"nick": "alice"}), known.clone());
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), known);
}

#[test]
fn clients_come_page_by_page() {
    let entry = |session: u64| {
        json!({"session": session, "nick": format!("n{session}"), "address": "192.0.2.1:5",
            "protocol": "native", "agent": null, "connected_ms": 61_000, "idle_ms": 500, "rooms": 1,
            "lag_messages": 0, "lag_bytes": 0, "lag_ms": 0, "gaps": 0})
    };
    let pages = move || {
        Fake::new(move |door| {
            let mut caller = door.open();
            let asked = caller.hear("connections");
            assert_eq!((&asked["session"], &asked["slow"]), (&json!(0), &json!(false)));
            caller.yes(&asked, json!({"connections": [entry(3), entry(7)], "more": true}));
            let asked = caller.hear("connections");
            assert_eq!(asked["session"], 7);
            caller.yes(&asked, json!({"connections": [entry(12)], "more": false}));
            caller.hung_up();
        })
    };
    let ran = pages().run(&["clients"], b"");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.code, lines.len()), (Some(0), 4), "{ran:?}");
    assert!(lines[0].starts_with("SESSION  NICK"), "{ran:?}");
    assert!(lines[3].starts_with("     12  n12   192.0.2.1:5  native"), "{ran:?}");
    let ran = pages().run(&["clients", "--json"], b"");
    assert_eq!(ran.out.lines().count(), 3, "{ran:?}");
}

#[test]
fn kick_names_a_nickname_or_a_session() {
    let closed = json!({"closed": 1});
    let wanted = json!({"nick": "eve", "reason": "be kind"});
    let ran = asks(&["kick", "eve", "be", "kind"], "kick", wanted, closed.clone());
    done(&ran, "chatctl: eve: closed 1 connection\n");
    let wanted = json!({"session": 42, "reason": "be kind"});
    let ran = asks(&["kick", "--session", "42", "be", "kind"], "kick", wanted, closed.clone());
    done(&ran, "chatctl: session 42: closed 1 connection\n");
    let ran = asks(&["kick", "eve", "--json"], "kick", json!({"nick": "eve"}), closed);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("{\"closed\":1}\n", ""));
}

#[test]
fn bans_are_made_shown_and_lifted() {
    let wanted = json!({"network": "192.0.2.0/24", "seconds": 3_600, "reason": "too many"});
    let answer = json!({"closed": 2, "until": "2026-01-02T03:04:05.000000Z"});
    let ran = asks(&["ban", "192.0.2.9/24", "--for", "1h", "too", "many"], "ban", wanted, answer);
    done(
        &ran,
        "chatctl: 192.0.2.0/24 is kept out until 2026-01-02 03:04:05; closed 2 connections\n",
    );
    let answer = json!({"closed": 0, "until": null});
    let ran = asks(&["ban", "eve", "-q"], "ban", json!({"nick": "eve"}), answer);
    done(&ran, "");
    let ran = asks(&["unban", "@eve"], "unban", json!({"nick": "eve"}), json!({}));
    done(&ran, "chatctl: @eve may come again\n");
    let answer = json!({"bans": [
        {"nick": "eve", "until": null, "reason": "", "by": "root"},
        {"network": "192.0.2.0/24", "until": "2026-01-02T03:04:05.000000Z", "reason": "too many", "by": "root"}]});
    let ran = asks(&["bans"], "bans", json!({}), answer);
    let expected = "WHO           UNTIL                BY    REASON\n\
                    @eve          -                    root\n\
                    192.0.2.0/24  2026-01-02 03:04:05  root  too many\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected), "{ran:?}");
}

#[test]
fn announcements_are_one_text_and_the_log_level_is_data() {
    let wanted = json!({"text": "back in five"});
    let ran = asks(&["announce", "back", "in five"], "announce", wanted, json!({"connections": 3}));
    done(&ran, "chatctl: told 3 connections\n");
    let level = json!({"level": "debug"});
    let ran = asks(&["log-level", "debug"], "log_level", level.clone(), level.clone());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "debug\n"), "{ran:?}");
    let ran = asks(&["log-level"], "log_level", json!({}), level);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "debug\n"), "{ran:?}");
}

#[test]
fn who_may_not_is_told_so() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("kick");
        caller.no(&asked, "forbidden", "Only administrators may use `kick`.");
    });
    assert_eq!(fake.run(&["kick", "eve"], b"").code, Some(4));
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("whois");
        caller.no(&asked, "no_such_nick", "Nobody is called eve.");
    });
    assert_eq!(fake.run(&["whois", "eve"], b"").code, Some(7));
}
