//! `whois`, `clients`, `kick`, `ban`, `unban`, `bans`, `announce`, `log-level`: what is asked, and what is shown.

use crate::fake::{Fake, Folder, HISTORY, Ran, run};
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
        caller.no(&asked, "forbidden", "Only administrators may use `kick`: join the group `ops`.");
    });
    let ran = fake.run(&["kick", "eve"], b"");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let said = "Only administrators may use `chatctl kick`: join the group `ops`.";
    assert!(ran.err.contains(said), "{ran:?}");
    // Of the request's name nobody who typed a command knows.
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("connections");
        caller.no(&asked, "forbidden", "Only administrators may use `connections`.");
    });
    let ran = fake.run(&["clients"], b"");
    assert!(ran.err.contains("`chatctl clients`") && !ran.err.contains("`connections`"), "{ran:?}");
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("whois");
        caller.no(&asked, "no_such_nick", "Nobody is called eve.");
    });
    assert_eq!(fake.run(&["whois", "eve"], b"").code, Some(7));
}

/// What no daemon would take is said before one is asked, in the words of the command line.
#[test]
fn what_cannot_be_is_said_before_a_daemon_is_asked() {
    let socket = Folder::new().socket();
    for (args, words) in [
        (&["ban", "eve", "--for", "0s"][..], "--for 0 is no time"),
        (&["ban", "10.0.0.0/33"], "10.0.0.0/33 is no network; for a nickname write @10.0.0.0/33"),
        (&["unban", "1.2.3"], "1.2.3 is no network"),
        (&["announce", "a\nb"], "the announcement has several lines"),
        (&["announce", " "], "the announcement is empty"),
        (&["kick", "eve", "a\u{7}b"], "the reason has the character U+0007"),
        (&["topic", "lobby", "a\nb"], "the topic has several lines"),
    ] {
        let ran = run(&socket, args, b"");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(words), "{ran:?}");
    }
}

#[test]
fn a_topic_is_shown_and_set() {
    let known = json!({"room": "ops", "topic": "all is well", "by": "ada",
        "time": "2026-01-02T03:04:05.000000Z"});
    let ran = asks(&["topic", "#Ops"], "topic", json!({"room": "ops"}), known.clone());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "all is well\n"), "{ran:?}");
    let wanted = json!({"room": "ops", "topic": "all is well"});
    let ran = asks(&["topic", "ops", "all", "is well"], "topic", wanted, known.clone());
    done(&ran, "chatctl: #ops: all is well\n");
    let none = json!({"room": "ops", "topic": "", "by": null, "time": null});
    let ran = asks(&["topic", "ops"], "topic", json!({"room": "ops"}), none.clone());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    let ran = asks(&["topic", "ops", ""], "topic", json!({"room": "ops", "topic": ""}), none);
    done(&ran, "chatctl: #ops has no topic any more\n");
    let ran = asks(&["topic", "ops", "--json"], "topic", json!({"room": "ops"}), known.clone());
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), known);
}

/// Over a network only members may set it.
#[test]
fn a_topic_is_set_over_a_network_by_who_joins_for_it() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        let hello = caller.hear("hello");
        assert_eq!(hello["nick"], "Bob");
        caller.welcome(&hello, HISTORY, Some("Bob"));
        let asked = caller.hear("topic");
        caller.no(&asked, "not_in_room", "The connection is not in `ops`.");
        let join = caller.hear("join");
        caller.yes(&join, json!({"room": "ops", "seq": 0, "members": 1}));
        let asked = caller.hear("topic");
        assert_eq!(asked["topic"], "here");
        caller.yes(&asked, json!({"room": "ops", "topic": "here", "by": "Bob", "time": "t"}));
        caller.hung_up();
    });
    let ran = fake.run(&["topic", "ops", "here", "--as", "Bob"], b"");
    done(&ran, "chatctl: #ops: here\n");
}
