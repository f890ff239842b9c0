//! `who`, `rooms`, `status`, `ping`, `stop`, and the form of errors.

use serde_json::Value;
use tests::{Daemon, Folder, Setup, program};

use crate::ended_with;

#[test]
fn who_and_rooms_list_what_is_there() {
    let daemon = Daemon::start();
    let _ada = daemon.named("Ada");
    let _bob = daemon.named("Bob");
    daemon.control().posts("ops", "hello");
    let (who, _) = ended_with(0, &daemon.ctl(&["who", "lobby"]));
    assert!(who.contains("Ada") && who.contains("Bob"), "{who}");
    let (rooms, _) = ended_with(0, &daemon.ctl(&["rooms"]));
    assert!(rooms.contains("lobby") && rooms.contains("ops"), "{rooms}");
    ended_with(7, &daemon.ctl(&["who", "nowhere"]));
    let (json, _) = ended_with(0, &daemon.ctl(&["rooms", "--json"]));
    for line in json.lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{line}");
    }
}

#[test]
fn status_and_ping_say_how_it_is() {
    let daemon = Setup::new().config("[server]\nname = \"Here\"\n").start();
    let _ada = daemon.named("Ada");
    let (status, _) = ended_with(0, &daemon.ctl(&["status"]));
    assert!(status.contains("Here") && status.contains("connections"), "{status}");
    ended_with(0, &daemon.ctl(&["ping"]));
    let (json, _) = ended_with(0, &daemon.ctl(&["status", "--json"]));
    let status: Value = serde_json::from_str(&json).unwrap();
    assert!(status.to_string().contains("\"connections_native\":1"), "{status}");
}

#[test]
fn stop_waits_for_the_end() {
    let mut daemon = Daemon::start();
    ended_with(0, &daemon.ctl(&["stop"]));
    assert_eq!(daemon.ends().code(), Some(0));
    ended_with(3, &daemon.ctl(&["ping"]));
}

#[test]
fn an_error_is_a_sentence_or_one_object() {
    let daemon = Daemon::start();
    let (stdout, stderr) = ended_with(7, &daemon.ctl(&["history", "nowhere"]));
    assert!(stdout.is_empty() && stderr.contains("nowhere"), "{stderr}");
    for (code, arguments) in [
        (7, &["history", "nowhere", "--json"][..]),
        (2, &["--json", "send", "a", "--id", "nonsense", "text"]),
        (7, &["--json", "send", "@nobody", "text"]),
    ] {
        let (stdout, stderr) = ended_with(code, &daemon.ctl(arguments));
        assert!(stdout.is_empty(), "{stdout}");
        let object: Value = serde_json::from_str(&stderr).unwrap_or_else(|_| panic!("{stderr}"));
        assert!(object["error"].is_string() && object["message"].is_string(), "{object}");
    }
}

#[test]
fn help_begins_with_examples_and_version_says_which() {
    let daemon = Daemon::start();
    let (help, _) = ended_with(0, &daemon.ctl(&["--help"]));
    assert!(help.starts_with("Examples:"), "{help}");
    let (version, _) = ended_with(0, &daemon.ctl(&["--version"]));
    assert!(version.starts_with("chatctl "), "{version}");
}

/// Without `-s` and `CHATD_SERVER` the tool looks where the daemon of the same user puts its socket.
#[test]
fn the_daemon_is_found_where_it_puts_its_socket() {
    let folder = Folder::new();
    let mut command = std::process::Command::new(tests::binaries::chatd());
    tests::daemon::at_home(&mut command, &folder);
    let daemon = tests::Program::start(command.args(["--listen", "127.0.0.1:0"]));
    daemon.stdout.line_with(&["control socket"]);
    let mut command = std::process::Command::new(tests::binaries::chatctl());
    tests::daemon::at_home(&mut command, &folder);
    ended_with(0, &program::run(command.arg("ping"), &[]));
}
