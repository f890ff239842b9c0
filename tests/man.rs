//! The pages of the manual, made from what the help, the configuration and the documents are made from; docs/man is held against them.
//!
//! What no table of the code has (signals, files, the environment) is said here, in a few lines of Markdown.

mod commands;
mod markdown;
mod roff;

use std::fs;
use std::process::{Command as Process, Stdio};

use clap::CommandFactory;
use tests::binaries::checkout;
use tests::left_out;

use self::roff::Page;
use super::{none, read, with_tables};

const CHATD: &str = "\
## Signals

| signal | meaning |
|---|---|
| TERM, INT | says bye, empties the queues for at most `shutdown_timeout`, and ends; a second one ends it at once |
| HUP | reads the configuration anew: all of it holds from then on, or nothing; the log says which |
| USR1 | puts what the daemon counts into the log |

## Exit status

| status | meaning |
|---|---|
| 0 | it was ended by a signal or by `chatctl stop`, or did what it was asked to print or to check |
| 1 | it could not start, or a system call failed that nothing works without |
| 2 | the command line cannot be understood |
| 78 | the configuration is bad |

## Files

| file | meaning |
|---|---|
| `$CONFIGURATION_DIRECTORY/chatd.toml` | the configuration, where a service manager names the folder |
| `/etc/chatd/chatd.toml` | the configuration of a daemon that root runs |
| `$XDG_CONFIG_HOME/chatd/chatd.toml` | the configuration of anybody else's |
| `$XDG_RUNTIME_DIR/chatd/control` | the control socket of a user's daemon; without that variable `/tmp/chatd-UID/control` |
| `/run/chatd/control` | the control socket of root's, and of the system's |
| `chatd.pid` | beside the control socket, with `--daemon`: the daemon's process number, locked as long as it runs |

## See also

chatctl(1), chatd.toml(5), chatd-protocol(7)
";

const CHATCTL: &str = "\
## Environment

| variable | meaning |
|---|---|
| `CHATD_SERVER` | the daemon, where `-s` names none |
| `XDG_RUNTIME_DIR` | where the control socket of the user's own daemon is looked for |
| `NO_COLOR` | no colours, if it is not empty |
| `MANPAGER` | what `chatctl man` shows a page with: see man(1) |

## Files

| file | meaning |
|---|---|
| `$XDG_RUNTIME_DIR/chatd/control` | the control socket of the user's own daemon; without that variable `/tmp/chatd-UID/control` |
| `/run/chatd/control` | the control socket of the system's, tried next |

## See also

chatd(8), chatd.toml(5), chatd-protocol(7)
";

const CONFIGURATION: &str = "\
chatd needs no configuration. What is written in this file, in TOML, takes the place of a default; `chatd --check-config` says whether it is
good, `chatd --print-config effective` what is in effect and where each value came from. A flag of the command line comes before the file.

HUP, `chatctl reload` and `systemctl reload chatd` have it read anew: all of it holds, or nothing. A key that takes a restart says so.

A duration is a number and ms, s, m, h or d; a size is a number of bytes, or a number and KiB, MiB or GiB.
";

/// The daemon's page.
fn chatd_page() -> String {
    let mut command = chatd::args::Args::command();
    command.build();
    let mut page =
        Page::new("chatd", 8, "a chat daemon for terminals, scripts and TcpChat clients");
    commands::synopsis(&mut command, &mut page);
    page.heading("Description");
    let about = command.get_long_about().expect("it says what it is").to_string();
    markdown::write(&about, &mut page);
    commands::options(&command, &mut page);
    markdown::write(CHATD, &mut page);
    page.source()
}

/// The client's page.
fn chatctl_page() -> String {
    let mut command = chatctl::requests::described(chatctl::args::CommandLine::command());
    command.build();
    let mut page = Page::new("chatctl", 1, "sends, follows and administers chatd");
    commands::synopsis(&mut command, &mut page);
    page.heading("Description");
    page.paragraph(
        "chatctl asks a chatd, over its control socket or over a network, to do what a command says.",
    );
    commands::examples(&command, &mut page);
    commands::options(&command, &mut page);
    commands::subcommands(&mut command, &mut page);
    page.heading("What scripts can rely on");
    markdown::write(&read(&checkout().join("docs/chatctl.md")), &mut page);
    page.heading("Exit status");
    for exit in chatctl::failure::Exit::ALL {
        page.item(&exit.code().to_string(), &[exit.words()]);
    }
    page.item("128+*N*", &["ended by signal *N*"]);
    markdown::write(CHATCTL, &mut page);
    page.source()
}

/// The configuration's page.
fn configuration_page() -> String {
    let mut page = Page::new("chatd.toml", 5, "the configuration of chatd");
    page.heading("Description");
    markdown::write(CONFIGURATION, &mut page);
    page.heading("Keys");
    let mut section = "";
    for key in chatd::config::documented() {
        if key.section != section {
            section = key.section;
            page.subheading(&if key.repeats {
                format!("[[{section}]]")
            } else {
                format!("[{section}]")
            });
        }
        let mut texts = vec![format!("{}.", key.doc), format!("Values: {}.", key.values)];
        match key.default {
            Some(default) => texts.push(format!("Default: `{default}`.")),
            // Nothing of a room has a default: its texts say what holds then.
            None if key.section == "room" => {}
            None => texts.push("The default depends on the machine.".to_owned()),
        }
        if key.at_start {
            texts.push("It takes a restart.".to_owned());
        }
        page.item(
            &format!("`{}`", key.name),
            &texts.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    page.heading("See also");
    page.paragraph("chatd(8), chatctl(1), chatd-protocol(7)");
    page.source()
}

/// The protocol's page.
fn protocol_page() -> String {
    let mut page = Page::new("chatd-protocol", 7, "what chatd speaks");
    page.heading("Description");
    // The tables may just be about to be written into the document.
    let document =
        with_tables(&read(&checkout().join("docs/protocol.md")), &super::protocol_tables()).0;
    markdown::write(&document, &mut page);
    page.heading("See also");
    page.paragraph("chatd(8), chatctl(1), chatd.toml(5)");
    page.source()
}

/// The pages by the names of their files.
fn pages() -> [(&'static str, String); 4] {
    [
        ("chatd.8", chatd_page()),
        ("chatctl.1", chatctl_page()),
        ("chatd.toml.5", configuration_page()),
        ("chatd-protocol.7", protocol_page()),
    ]
}

#[test]
fn the_manual_is_the_codes() {
    let mut complaints = Vec::new();
    for (name, page) in pages() {
        let path = checkout().join("docs/man").join(name);
        if fs::read_to_string(&path).ok().as_deref() == Some(&page) {
            continue;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(path, page).unwrap();
        } else {
            complaints.push(format!("docs/man/{name}: UPDATE_GOLDEN=1 writes it"));
        }
    }
    none(&complaints);
}

/// Whether a page has an item or a part of this name.
fn has(page: &str, name: &str) -> bool {
    let name = name.replace('-', "\\-");
    let heads = [format!("\\fB{name}\\fR"), format!(".SS \"{name}\""), format!(".SH \"{name}\"")];
    page.lines().any(|line| heads.iter().any(|head| line == head))
}

/// The characters that a page's escapes are.
fn plain(page: &str) -> String {
    let escapes = [
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(dq", "\""),
        ("\\(ga", "`"),
        ("\\(ti", "~"),
        ("\\(rs", "\\"),
    ];
    escapes.iter().fold(page.to_owned(), |page, (escape, c)| page.replace(escape, c))
}

#[test]
fn the_manual_has_every_command_key_and_request() {
    let [(_, chatd), (_, chatctl), (_, configuration), (_, protocol)] = pages();
    let mut complaints = Vec::new();
    let mut expect = |page: &str, name: &str| {
        if !has(page, name) {
            complaints.push(format!("{name} is in no page"));
        }
    };
    let command = chatctl::args::CommandLine::command();
    let words = plain(&chatctl);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        expect(&chatctl, sub.get_name());
        let examples = sub.get_before_help().map(ToString::to_string).unwrap_or_default();
        for example in examples.lines().skip(1) {
            assert!(words.contains(example.trim()), "{example} is not in chatctl(1)");
        }
    }
    for key in chatd::config::documented() {
        expect(&configuration, key.name);
    }
    for row in proto::REQUESTS {
        expect(&protocol, row.name);
    }
    for arg in chatd::args::Args::command().get_arguments() {
        let flag = arg.get_long().map(|flag| format!("\\fB\\-\\-{}", flag.replace('-', "\\-")));
        assert!(flag.is_none_or(|flag| chatd.contains(&flag)), "{arg} is not in chatd(8)");
    }
    none(&complaints);
}

/// The programs that show the manual have nothing to say against a page.
#[test]
fn the_manual_is_shown_without_a_warning() {
    for (name, page) in pages() {
        let groff = Process::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-z", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut groff) = groff else {
            left_out("the manual's pages: needs groff (Debian package groff-base)");
            return;
        };
        std::io::Write::write_all(&mut groff.stdin.take().unwrap(), page.as_bytes()).unwrap();
        let said = groff.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && words.is_empty(), "{name}: {words}");
    }
}
