//! Files, flags and what the daemon says about them.

use std::process::{Command, Output};

use serde_json::Value;
use tests::{Daemon, Folder, Setup, binaries, program};

fn chatd(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(binaries::chatd());
    tests::daemon::at_home(&mut command, folder);
    program::run(command.args(arguments), &[])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_good_configuration_is_good() {
    let folder = Folder::new();
    let path = folder.write(
        "chatd.toml",
        "[server]\nname = \"Test\"\n[[listen]]\naddr = \"127.0.0.1:4444\"\n[limits]\noutbox = \"2MiB\"\n\
         messages = \"off\"\nexempt = [\"127.0.0.0/8\", \"::1\"]\n",
    );
    let path = path.to_str().unwrap();
    let checked = chatd(&folder, &["--config", path, "--check-config"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));

    let effective =
        text(&chatd(&folder, &["--config", path, "--print-config", "effective"]).stdout);
    let line =
        |key: &str| effective.lines().find(|line| line.starts_with(key)).unwrap_or("").to_owned();
    assert!(
        line("outbox").contains("2MiB") && line("outbox").contains("chatd.toml:6"),
        "{effective}"
    );
    assert!(line("stall").contains("default"), "{effective}");
    let flag =
        chatd(&folder, &["--config", path, "--listen", "[::1]:5", "--print-config", "effective"]);
    let flag = text(&flag.stdout);
    assert!(
        flag.contains("[::1]:5") && flag.contains("--listen") && !flag.contains("4444"),
        "{flag}"
    );
}

#[test]
fn a_bad_configuration_names_file_line_and_the_nearest_key() {
    let cases = [
        ("[limits]\noutbix = \"1MiB\"\n", ":2", "limits.outbox"),
        ("\n[limits]\noutbox = \"a lot\"\n", ":3", "KiB"),
        ("[limits]\nstall = 10\n", ":2", "10s"),
        ("[history]\ndurability = \"paper\"\n", ":2", "sync, write, none"),
        ("[http]\norigins = [\"*\"]\n", ":2", "SCHEME://HOST"),
        ("listen = [\"127.0.0.1:4444\"]\n", ":1", "[[listen]]"),
        ("[server\n", ":1", ""),
        ("[[listen]]\naddr = \"localhost\"\n", ":2", "127.0.0.1:33333"),
        ("[keepalive]\ninterval = \"20s\"\n", "", "keepalive.interval"),
    ];
    for (lines, place, hint) in cases {
        let folder = Folder::new();
        let path = folder.write("bad.toml", lines);
        let path = path.to_str().unwrap();
        for arguments in [&["--config", path, "--check-config"][..], &["--config", path]] {
            let refused = chatd(&folder, arguments);
            let said = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(78), "{lines}: {said}");
            assert!(said.contains(hint), "{lines}: {said} lacks {hint}");
            if !place.is_empty() {
                assert!(said.contains(&format!("bad.toml{place}")), "{lines}: {said}");
            }
        }
    }
}

#[test]
fn the_printed_defaults_are_a_good_configuration() {
    let folder = Folder::new();
    let defaults = text(&chatd(&folder, &["--print-config", "default"]).stdout);
    let taken: Vec<&str> = defaults
        .lines()
        .filter_map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            (bare.starts_with('[') || bare.contains(" = ")).then_some(bare)
        })
        .collect();
    assert!(taken.len() > 25, "{defaults}");
    let path = folder.write("chatd.toml", taken.join("\n"));
    let checked = chatd(&folder, &["--config", path.to_str().unwrap(), "--check-config"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));

    let effective = chatd(&folder, &["--print-config", "effective"]).stdout;
    let path = folder.write("effective.toml", effective);
    let checked = chatd(&folder, &["--config", path.to_str().unwrap(), "--check-config"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn flags_have_their_exit_codes() {
    let folder = Folder::new();
    let version = chatd(&folder, &["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version.stdout).starts_with("chatd "));
    for wrong in [
        &["--nonsense"][..],
        &["--listen", "localhost"],
        &["--log-level", "loud"],
        &["--log-format", "xml"],
    ] {
        assert_eq!(chatd(&folder, wrong).status.code(), Some(2), "{wrong:?}");
    }
    let listen = text(&chatd(&folder, &["--listen", "localhost"]).stderr);
    assert!(listen.contains("127.0.0.1:33333"), "{listen}");
    let missing = chatd(&folder, &["--config", "/nowhere/chatd.toml"]);
    assert_eq!(missing.status.code(), Some(78), "{}", text(&missing.stderr));
    let directory = chatd(&folder, &["--config", "/"]);
    assert_eq!(directory.status.code(), Some(78), "{}", text(&directory.stderr));
}

#[test]
fn an_address_in_use_says_so() {
    let first = Daemon::start();
    let address = first.address().to_string();
    let second = Setup::new().listen(&address).run();
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
}

#[test]
fn log_lines_are_readable_or_objects_and_never_carry_what_was_said() {
    for format in ["text", "json"] {
        let daemon = Setup::new()
            .argument("--log-level")
            .argument("debug")
            .argument("--log-format")
            .argument(format)
            .start();
        let mut ada = daemon.named("Ada");
        let mut bob = daemon.named("Bob");
        ada.chats("a secret word");
        bob.hears_that("Ada", "a secret word");
        daemon.control().posts("lobby", "another secret word");
        bob.hears();
        drop(ada);
        daemon.logs(&["Ada", "closed"]);
        let log = daemon.log();
        assert!(!log.contains("secret"), "{log}");
        for line in log.lines().filter(|_| format == "json") {
            let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            assert!(entry["kind"].is_string() && entry["level"].is_string(), "{line}");
            if entry["kind"] == "closed" {
                assert!(entry["peer"].is_string() && entry["reason"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn one_line_is_printed_for_each_address_the_web_client_and_the_socket() {
    let daemon = Setup::new().listen("127.0.0.1:0").listen("127.0.0.1:0").start();
    let printed = daemon.printed();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "{printed}");
    assert!(lines[..2].iter().all(|line| line.starts_with("chatd: listening on 127.0.0.1:")));
    assert_eq!(lines[2], format!("chatd: web client at http://{}/", daemon.address()));
    assert!(daemon.addresses().iter().all(|address| address.port() != 0));
    let without = Setup::new().config("[http]\nweb = false").start();
    assert!(!without.printed().contains("web client"), "{}", without.printed());
    let below = Setup::new().config("[http]\nbase_path = \"/chat/\"").listen("0.0.0.0:0").start();
    let page = format!("http://localhost:{}/chat/\n", below.address().port());
    assert!(below.printed().contains(&page), "{}", below.printed());
}
