//! `chatctl chat` past the server: two people whom it brings together talk over a connection of their own, where that can be had.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tests::network::{self, Elsewhere, ip};
use tests::{Daemon, Folder, Program, Setup, V1Client, eventually};

use crate::chat::Person;
use crate::ways;

/// Waits until it was said of so many messages of theirs that they came.
fn has_come(person: &Person, count: usize) {
    let said = |lines: &[String]| {
        let came = lines.iter().filter(|line| line.contains("received after ")).count();
        assert!(came <= count, "each comes once");
        (came == count).then_some(())
    };
    assert!(person.program.stderr.find(said).is_some(), "{}", person.program.stderr.all());
}

/// Ada and Bob, who have found each other.
fn found(people: &mut [Person; 2], bridge: &str) {
    let seen = people.each_ref().map(Person::seen);
    let [ada, bob] = people;
    ada.types(bridge);
    ada.sees_behind(seen[0], &["waiting for anyone"]);
    bob.types(bridge);
    ada.sees_behind(seen[0], &["Bob is ready: /chat opens the talk"]);
    bob.sees_behind(seen[1], &["Ada is ready: /chat opens the talk"]);
}

fn over_tcp(daemon: &Daemon) -> [Person; 2] {
    let [_, tcp] = ways(daemon);
    ["Ada", "Bob"].map(|nick| Person::start(daemon, &[&tcp, "--as", nick]))
}

/// How many messages the server has relayed or kept.
fn messages(daemon: &Daemon) -> u64 {
    let told = daemon.ctl(&["status", "--json"]);
    let stats: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    stats["messages"].as_u64().unwrap()
}

#[test]
fn two_people_talk_past_the_server_and_each_message_is_acknowledged() {
    let daemon = Daemon::start();
    for (opener, turns) in [(0, "no"), (1, "no"), (0, "yes"), (1, "yes")] {
        let mut people = over_tcp(&daemon);
        found(&mut people, &format!("/bridge --direct --turns {turns}"));
        people[opener].types("/chat");
        for person in &people {
            person.sees(&[", past the server"]);
        }
        let before = messages(&daemon);
        for (round, one) in [(0, opener), (0, 1 - opener), (1, opener), (1, 1 - opener)] {
            let line = format!("{one} says {round}");
            people[one].types(&line);
            people[1 - one].sees(&[" talk ", &line]);
            people[one].sees(&[" talk ", &line]);
        }
        for person in &mut people {
            person.types("/rtt");
            person.sees(&["to the reader and back: p50 ", "of 2"]);
            has_come(person, 2);
        }
        assert_eq!(messages(&daemon), before, "the server has heard nothing of it");
        people[opener].types("/quit");
        people[opener].sees(&["you ended the talk"]);
        people[1 - opener].sees(&["ended the talk"]);
        people[1 - opener].sees(&["waiting for anyone"]);
        // Whoever is left listens on, and whoever comes reaches them.
        let seen = people[1 - opener].seen();
        people[opener].types("/bridge --direct");
        people[1 - opener].sees_behind(seen, &["is ready: /chat opens the talk"]);
        let seen = people[1 - opener].seen();
        people[1 - opener].types("/chat");
        people[1 - opener].sees_behind(seen, &[", past the server"]);
        people[1 - opener].types("again");
        people[opener].sees(&[" talk ", ": again"]);
        let ended = people.each_mut().map(Person::ends);
        assert_eq!(ended, [0, 0]);
    }
}

/// Whichever call comes first: there is one talk, and it goes past the server.
#[test]
fn both_open_it_at_once() {
    let daemon = Daemon::start();
    for _ in 0..10 {
        let mut people = over_tcp(&daemon);
        found(&mut people, "/bridge --direct --turns=no");
        for person in &mut people {
            person.types("/chat");
        }
        for person in &people {
            person.sees(&["in a talk with ", ", past the server"]);
        }
        for (one, text) in [(0, "from ada"), (1, "from bob")] {
            people[one].types(text);
            people[1 - one].sees(&[text]);
        }
        let ended = people.each_mut().map(Person::ends);
        assert_eq!(ended, [0, 0]);
    }
}

#[test]
fn over_the_control_socket_one_is_reached_on_this_machine() {
    let daemon = Daemon::start();
    let [unix, tcp] = ways(&daemon);
    let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    let mut own = Person::start(&daemon, &[&unix]);
    own.types("/bridge ada --direct");
    own.sees(&["waiting for ada"]);
    ada.types("/bridge --direct");
    ada.sees(&["is ready"]);
    ada.types("/chat");
    own.sees(&["in a talk with Ada, past the server"]);
    ada.sees(&[", past the server"]);
    ada.types("hello");
    own.sees(&[" talk Ada: hello"]);
    assert_eq!(ada.ends(), 0);
}

#[test]
fn a_script_and_a_person_talk_past_the_server() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    for nick in ["Abe", "Zoe"] {
        let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
        ada.types("/bridge --direct");
        ada.sees(&["waiting for anyone"]);
        let mut meet = daemon.chatctl(&["-s", &tcp, "--as", nick, "meet", "--direct"]);
        let mut script = Program::start(meet.stdin(Stdio::piped()));
        ada.sees(&[&format!("{nick} is ready")]);
        // Abe, whose name comes first, has called already; Zoe waits to be called.
        ada.types("/chat");
        ada.sees(&[&format!("in a talk with {nick}, past the server")]);
        script.stderr.line_with(&["talking with Ada, past the server"]);
        ada.types("hello");
        script.stdout.find(|lines| (lines.concat() == "hello").then_some(()));
        drop(script.stdin());
        ada.types("/quit");
        assert_eq!(script.exit_code(), 1, "nobody said that this was all");
    }
}

#[test]
fn who_cannot_be_reached_is_talked_with_by_the_server_and_that_is_said() {
    let daemon = Daemon::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let mut zoe = V1Client::connect(daemon.address(), "Zoe");
    zoe.asks("bridge", json!({"direct": port}));
    let [_, tcp] = ways(&daemon);
    let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    ada.types("/bridge --direct");
    ada.sees(&["Zoe is ready"]);
    ada.types("/chat");
    ada.sees(&["Zoe cannot be reached at ", "nobody listens there): the server relays"]);
    ada.sees(&["in a talk with Zoe"]);
    ada.types("hello");
    assert_eq!(zoe.event_called("talk_started").get("direct"), None);
    assert_eq!(zoe.event_called("talk_message")["text"], "hello");
    zoe.asks("hangup", json!({}));
    ada.sees(&["Zoe ended the talk; 1 of yours not acknowledged"]);
    ada.program.stderr.line_with(&["not acknowledged: ", "It was: hello"]);
    // Zoe opens it: she has called in vain.
    zoe.asks("bridge", json!({"direct": port}));
    zoe.event_called("talk_ready");
    zoe.asks("chat", json!({}));
    ada.sees(&["Zoe does not reach us: the server relays"]);
    zoe.asks("hangup", json!({}));
    // A port that somebody has, and a peer that does not listen.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    ada.types("/unbridge");
    ada.types(&format!("/register Ada {port}"));
    ada.types("/bridge --direct");
    ada.sees(&["cannot listen at 127.0.0.1:", "the server will relay"]);
    drop(taken);
    ada.types("/unbridge");
    ada.types("/help nick");
    ada.sees(&["take a nickname"]);
    let seen = ada.seen();
    ada.types("/bridge --direct");
    ada.sees_behind(seen, &["waiting for anyone"]);
    zoe.asks("bridge", json!({}));
    ada.sees(&["Zoe does not listen: the server will relay"]);
}

#[test]
fn a_peer_that_vanishes_is_waited_for() {
    let daemon = Daemon::start();
    let mut people = over_tcp(&daemon);
    found(&mut people, "/bridge --direct");
    people[0].types("/chat");
    people[1].sees(&[", past the server"]);
    let [ada, mut bob] = people;
    ada.program.signal(Signal::SIGKILL);
    bob.sees(&["Ada is gone"]);
    bob.sees(&["waiting for Ada"]);
    let [_, tcp] = ways(&daemon);
    let mut carol = Person::start(&daemon, &[&tcp, "--as", "Carol"]);
    carol.types("/bridge");
    carol.sees(&["waiting for anyone"]);
    drop(ada);
    let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    let seen = bob.seen();
    ada.types("/bridge bob");
    // It was open, and is so again without a word.
    ada.sees(&["in a talk with Bob"]);
    bob.sees_behind(seen, &["in a talk with Ada"]);
    bob.types("hello");
    ada.sees(&[" talk Bob: hello"]);
}

/// A lost connection ends a talk, and it is open again with the same peer as soon as both are there, whoever else waits.
#[test]
fn a_daemon_that_is_killed_costs_no_talk() {
    let home = Folder::new();
    let (state, control) = (home.join("state"), home.join("control"));
    let setup = || {
        let setup = Setup::new().control(&control).argument("--state-dir");
        setup.argument(state.to_str().unwrap())
    };
    let person = Daemon::start();
    for (bridge, told) in [("/bridge", "in a talk"), ("/bridge --direct", ", past the server")] {
        let mut daemon = setup().start();
        let address = daemon.address().to_string();
        let [_, tcp] = ways(&daemon);
        let mut people =
            ["Ada", "Bob", "Carol"].map(|nick| Person::start(&person, &[&tcp, "--as", nick]));
        for (one, sees) in
            [(0, "waiting for anyone"), (1, "Ada is ready"), (2, "waiting for anyone")]
        {
            people[one].types(bridge);
            people[one].sees(&[sees]);
        }
        people[1].types("/chat");
        for person in people.iter().take(2) {
            person.sees(&["in a talk with", told]);
        }
        daemon.signal(Signal::SIGKILL);
        daemon.ends();
        let daemon = setup().listen(&address).start();
        for one in 0..2 {
            let peer = ["Bob", "Ada"][one];
            people[one].sees(&[&format!("the talk with {peer} is over: the connection was lost")]);
            people[one].program.stderr.line_with(&["found the daemon"]);
        }
        // Once for each time that it was opened.
        for (one, peer) in [(0, "Bob"), (1, "Ada")] {
            let words = [format!("in a talk with {peer}"), told.to_owned()];
            let again = |lines: &[String]| {
                let told = lines.iter().filter(|line| words.iter().all(|word| line.contains(word)));
                (told.count() == 2).then_some(())
            };
            assert!(people[one].program.stdout.find(again).is_some());
        }
        people[0].types("hello again");
        people[1].sees(&[" talk Ada: hello again"]);
        assert!(!people[2].program.stdout.all().contains("is ready"));
        drop(daemon);
    }
}

/// What forwards between the two hosts is this one, if it is told to.
fn forwards(is_on: bool) {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", if is_on { "1" } else { "0" }).unwrap();
}

/// Ada and Bob on hosts of their own, and the daemon on this one, which forwards between them or swallows what it is to forward.
fn on_two_hosts(daemon: &Daemon, is_forwarded: bool) -> ([Elsewhere; 2], [Person; 2]) {
    let hosts = [Elsewhere::new(), Elsewhere::another()];
    hosts[0].runs(|| ip("route add default via 192.0.2.1"));
    hosts[1].runs(|| ip("route add default via 198.51.100.1"));
    forwards(is_forwarded);
    let people = [0, 1].map(|one: usize| {
        let address = format!("tcp://{}", daemon.addresses()[one + 1]);
        let mut command = daemon.chatctl(&["chat", &address, "--plain"]);
        command.args(["--as", ["Ada", "Bob"][one]]);
        hosts[one].runs(move || Person::begin(command))
    });
    (hosts, people)
}

fn for_two_hosts() -> Daemon {
    let listen = Setup::new().listen("127.0.0.1:0");
    listen.listen("192.0.2.1:0").listen("198.51.100.1:0").start()
}

#[test]
fn two_hosts_talk_past_the_server_and_when_that_breaks_by_the_server() {
    let name = "past::two_hosts_talk_past_the_server_and_when_that_breaks_by_the_server";
    if !network::is_own_for(name, 4 * tests::DEADLINE) {
        return;
    }
    let daemon = for_two_hosts();
    let (_hosts, mut people) = on_two_hosts(&daemon, true);
    people[1].types("/register Bob 4000");
    people[1].sees(&["you are Bob, at 198.51.100.2"]);
    found(&mut people, "/bridge --direct");
    people[0].types("/chat");
    people[0].sees(&["in a talk with Bob, past the server"]);
    people[1].sees(&["in a talk with Ada, past the server"]);
    people[1].types("hello");
    people[0].sees(&[" talk Bob: hello"]);
    // What is between the two swallows all; the server is there for both.
    forwards(false);
    people[0].types("into the hole");
    for (one, peer) in [(0, "Bob"), (1, "Ada")] {
        people[one].sees(&[peer, "you wait for them again, and the server will relay"]);
    }
    people[0].program.stderr.line_with(&["not acknowledged", "into the hole"]);
    // They come together again in some steps, for each has hung up.
    eventually("they talk again", || {
        people[1].types("is anybody there?");
        let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(200_u8));
        people[0].program.stdout.all().contains(" talk Bob: is anybody there?").then_some(())
    });
}

#[test]
fn a_call_that_nobody_answers_takes_3_s_and_then_the_server_relays() {
    let name = "past::a_call_that_nobody_answers_takes_3_s_and_then_the_server_relays";
    if !network::is_own_for(name, 4 * tests::DEADLINE) {
        return;
    }
    let daemon = for_two_hosts();
    let (_hosts, mut people) = on_two_hosts(&daemon, false);
    found(&mut people, "/bridge --direct");
    let begun = Instant::now();
    people[0].types("/chat");
    people[0]
        .sees(&["Bob cannot be reached at 198.51.100.2:", "no answer in time): the server relays"]);
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    people[1].sees(&["Ada does not reach us: the server relays"]);
    for person in &people {
        person.sees(&["in a talk with "]);
    }
    people[0].types("by the server");
    people[1].sees(&[" talk Ada: by the server"]);
}
