//! `chatctl -s tcp://`, beside the control socket: the same commands, names, direct messages, receipts.

use serde_json::{Value, json};
use tests::{Daemon, Program, Setup, V1Client, program};

use crate::{ended_with, ways};

/// The login name of whoever runs the tests, which `send` takes.
fn login() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name
}

#[test]
fn the_same_commands_do_the_same_over_both_ways() {
    let daemon = Daemon::start();
    let _ada = daemon.named("Ada");
    for (number, way) in ways(&daemon).iter().enumerate() {
        let room = format!("room-{number}");
        let ctl = |arguments: &[&str]| daemon.ctl(&[&["-s", way][..], arguments].concat());
        let follower = Program::start(
            daemon.chatctl(&["-s", way, "tail", "-v", &room, "--raw"]).env("TZ", "UTC0"),
        );
        follower.stderr.line_with(&["following"]);
        ended_with(0, &ctl(&["send", &room, "one"]));
        ended_with(0, &ctl(&["send", &room, "--wait", "none", "two"]));
        let lines: Vec<String> = (3..50).map(|number| format!("line {number}")).collect();
        let mut command = daemon.chatctl(&["-s", way, "send", &room, "-l", "--as", "Liner"]);
        ended_with(0, &program::run(&mut command, lines.join("\n").as_bytes()));
        assert_eq!([follower.stdout.line(0), follower.stdout.line(1)], ["one", "two"]);
        assert_eq!(follower.stdout.line(48), "line 49");
        assert_eq!(ended_with(0, &ctl(&["history", &room, "-n", "all"])).0.lines().count(), 49);
        assert_eq!(ended_with(0, &ctl(&["who", "lobby"])).0, "Ada\n");
        assert!(ended_with(0, &ctl(&["rooms"])).0.contains(&room));
        assert!(ended_with(0, &ctl(&["ping"])).0.contains("answered in"));
        assert!(ended_with(0, &ctl(&["status"])).0.contains("uptime"));
        assert!(ended_with(0, &ctl(&["whois", "ada"])).0.contains("Ada"));
        ended_with(7, &ctl(&["whois", "nobody"]));
        ended_with(7, &ctl(&["history", "nowhere"]));
        ended_with(7, &ctl(&["send", "@nobody", "text"]));
    }
}

#[test]
fn over_tcp_nobody_is_an_administrator() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    for command in [
        &["kick", "ada"][..],
        &["ban", "ada"],
        &["unban", "ada"],
        &["bans"],
        &["announce", "text"],
        &["log-level"],
        &["clients"],
        &["stop"],
    ] {
        let (_, stderr) = ended_with(4, &daemon.ctl(&[&["-s", &tcp][..], command].concat()));
        assert!(stderr.contains("administrators"), "{stderr}");
    }
}

#[test]
fn a_sender_over_tcp_has_a_name() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let send =
        |arguments: &[&str]| daemon.ctl(&[&["-s", &tcp, "send", "lobby"][..], arguments].concat());
    let mut ada = daemon.named("Ada");
    ended_with(0, &send(&["hello"]));
    ada.hears_that(&login(), "hello");
    ended_with(0, &send(&["--as", "Build Bot", "green"]));
    ada.hears_that("Build Bot", "green");
    let (_, stderr) = ended_with(1, &send(&["--as", "ADA", "not me"]));
    assert!(stderr.contains("choose another"), "{stderr}");
    // With the login name in use a guest's name will do, and it is no secret.
    let mut own = daemon.named(&login());
    let (_, stderr) = ended_with(0, &send(&["-v", "hello again"]));
    let (from, text) = ada.hears_message();
    assert!(from.starts_with("guest-") && text == "hello again", "{from}: {text}");
    assert!(stderr.contains(&format!("speaking as {from}")), "{stderr}");
    own.hears_that(&from, "hello again");
}

#[test]
fn a_message_to_one_person_comes_to_them_alone() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut bob = V1Client::connect(daemon.address(), "Bob");
    for way in ways(&daemon) {
        ended_with(0, &daemon.ctl(&["-s", &way, "send", "@ada", "lunch?"]));
        ada.hears_that(&format!("{} (to you)", login()), "lunch?");
        ended_with(0, &daemon.ctl(&["-s", &way, "send", "@bob", "and you?"]));
        let event = bob.event_called("message");
        assert_eq!((&event["text"], &event["from"]), (&json!("and you?"), &json!(login())));
        assert_eq!(event.get("seq"), None);
    }
}

#[test]
fn delivered_waits_for_the_receipt() {
    let daemon = Daemon::start();
    let mut bob = V1Client::connect(daemon.address(), "Bob");
    bob.asks("join", json!({"room": "ops"}));
    for (way, to) in ways(&daemon).iter().flat_map(|way| [(way, "@bob"), (way, "ops")]) {
        let arguments = ["-s", way, "send", to, "--wait", "delivered", "--json", "lunch?"];
        let mut sender = Program::start(&mut daemon.chatctl(&arguments));
        let event = bob.event_called("message");
        assert_eq!((&event["receipt"], &event["text"]), (&json!(true), &json!("lunch?")));
        sender.stdout.line(0);
        assert!(sender.runs(), "taken is not delivered");
        let reply = bob.asks("receipt", json!({"message_id": event["message_id"]}));
        assert_eq!(reply["ok"], true, "{reply}");
        let delivered: Value = serde_json::from_str(&sender.stdout.line(1)).unwrap();
        assert_eq!(
            (&delivered["by"], &delivered["message_id"]),
            (&json!("Bob"), &event["message_id"])
        );
        assert_eq!(sender.exit_code(), 0);
    }
    // Ada speaks v0.5, which has no receipts.
    let _ada = daemon.named("Ada");
    let arguments = ["send", "@ada", "--wait", "delivered", "--timeout", "200ms", "lunch?"];
    ended_with(5, &daemon.ctl(&arguments));
}

/// The daemon closes who is silent for longer than `idle`; a follower has nothing to say, and stays.
#[test]
fn a_quiet_follower_over_tcp_is_not_taken_for_dead() {
    let daemon = Setup::new().config("[keepalive]\nidle = \"6s\"\n").start();
    let [_, tcp] = ways(&daemon);
    let follower = daemon.follower(&["-s", &tcp, "lobby", "--raw"]);
    let mut silent = daemon.native();
    silent.sends(&tests::native::frame(2, b""));
    drop(silent.until_closed());
    daemon.control().posts("lobby", "still there?");
    follower.stdout.line_with(&["still there?"]);
    assert!(!follower.stderr.all().contains("lost"), "{}", follower.stderr.all());
}
