//! `chatctl chat --plain`: people in rooms, a daemon that is killed under them, scripts of lines.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};

use nix::sys::signal::Signal;
use tests::{Daemon, Folder, Program, Setup, program};

use crate::{ended_with, ways};

/// Somebody at a line client.
pub(crate) struct Person {
    pub(crate) program: Program,
    stdin: Option<ChildStdin>,
}

impl Person {
    /// Starts a client, and waits until it is in the lobby.
    pub(crate) fn start(daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut command = daemon.chatctl(&["chat", "--plain"]);
        command.args(arguments);
        Self::begin(command)
    }

    /// The same with this command.
    pub(crate) fn begin(mut command: Command) -> Self {
        let mut program = Program::start(command.stdin(Stdio::piped()));
        let stdin = program.stdin();
        let mut person = Self { program, stdin };
        person.program.stderr.line_with(&["connected; you are"]);
        // What comes from a pipe is done when what was before is: then the room is joined.
        person.types("/topic");
        person.sees(&["#lobby has no topic"]);
        person
    }

    pub(crate) fn types(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it still types");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    pub(crate) fn sees(&self, words: &[&str]) -> String {
        self.program.stdout.line_with(words)
    }

    /// How many lines it has printed.
    pub(crate) fn seen(&self) -> usize {
        self.program.stdout.all().lines().count()
    }

    /// Waits for a line with all of these words behind so many others.
    pub(crate) fn sees_behind(&self, seen: usize, words: &[&str]) {
        let has_all = |line: &String| words.iter().all(|word| line.contains(word));
        let found = self
            .program
            .stdout
            .find(|lines| lines.iter().skip(seen).find(|l| has_all(l)).map(drop));
        assert!(found.is_some(), "it never shows {words:?}:\n{}", self.program.stdout.all());
    }

    /// Ends the input, and waits for the end.
    pub(crate) fn ends(&mut self) -> i32 {
        self.stdin = None;
        self.program.exit_code()
    }

    /// What was said in the room, without the times.
    pub(crate) fn transcript(&self) -> Vec<String> {
        let all = self.program.stdout.all();
        let said = |line: &str| Some(line.split_once(" #lobby ")?.1.to_owned());
        let lines = all.lines().filter(|line| !line.starts_with("-- "));
        lines.filter_map(said).filter(|line| !line.starts_with("-- ")).collect()
    }
}

#[test]
fn two_people_talk_in_a_room_whatever_the_way() {
    let daemon = Daemon::start();
    let [unix, tcp] = ways(&daemon);
    let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    let mut root = Person::start(&daemon, &[&unix]);
    ada.types("hello");
    root.sees(&[" #lobby Ada: hello"]);
    root.types("//hello, \u{202e}you\u{1b}[2J");
    ada.sees(&["/hello, \\u{202e}you\\e[2J"]);
    ada.types("/who");
    ada.sees(&["-- in #lobby (2): Ada, "]);
    ada.types("/jion ops");
    ada.sees(&["did you mean /join?"]);
    ada.types("/join ops");
    ada.types("is anybody here?");
    ada.sees(&[" #ops Ada: is anybody here?"]);
    root.types("/msg ada psst");
    ada.sees(&[": psst"]);
    assert_eq!(
        (ada.ends(), root.ends()),
        (2, 0),
        "a line that was misunderstood is told at the end"
    );
    assert_eq!(ada.transcript(), root.transcript());
    assert_eq!(ada.transcript().len(), 2);
}

#[test]
fn nothing_typed_is_lost_or_doubled_when_the_daemon_is_killed() {
    for remote in [false, true] {
        let home = Folder::new();
        let (state, control) = (home.join("state"), home.join("control"));
        let setup = || {
            let setup = Setup::new().control(&control).argument("--state-dir");
            setup.argument(state.to_str().unwrap())
        };
        let mut daemon = setup().start();
        let address = daemon.address().to_string();
        let [unix, tcp] = ways(&daemon);
        let way = if remote { tcp } else { unix };
        // The clients have a home of their own, which does not go when this daemon does.
        let person = Daemon::start();
        let arguments = |name: &'static str| if remote { vec!["--as", name] } else { Vec::new() };
        let mut ada = Person::start(&person, &[&[&*way][..], &arguments("Ada")].concat());
        let mut bob = Person::start(&person, &[&[&*way][..], &arguments("Bob")].concat());
        for round in 0..3 {
            for number in 0..5 {
                ada.types(&format!("ada {round} {number}"));
                bob.types(&format!("bob {round} {number}"));
            }
            daemon.signal(Signal::SIGKILL);
            daemon.ends();
            ada.types(&format!("ada {round} while it is away"));
            daemon = setup().listen(&address).start();
            bob.types(&format!("bob {round} again"));
            for person in [&ada, &bob] {
                person.sees(&[&format!("ada {round} while it is away")]);
                person.sees(&[&format!("bob {round} again")]);
            }
        }
        assert_eq!((ada.ends(), bob.ends()), (0, 0));
        assert_eq!(ada.transcript(), bob.transcript());
        let of = |who: &str| {
            let all = ada.transcript().into_iter();
            all.filter(|line| line.contains(&format!(": {who} "))).count()
        };
        assert_eq!((of("ada"), of("bob")), (18, 18), "{:#?}", ada.transcript());
    }
}

#[test]
fn a_script_of_lines_ends_when_all_is_acknowledged() {
    let daemon = Daemon::start();
    for way in ways(&daemon) {
        let chat = |input: &str, more: &[&str]| {
            let mut command = daemon.chatctl(&["chat", &way, "--plain"]);
            program::run(command.args(more), input.as_bytes())
        };
        let (stdout, _) = ended_with(0, &chat("one\n/join ops\ntwo\n/history 10\nthree", &[]));
        let said: Vec<_> = stdout.lines().filter(|line| !line.starts_with("--")).collect();
        assert!(
            said.iter().any(|line| line.contains("#lobby") && line.ends_with(": one")),
            "{stdout}"
        );
        assert!(
            said.iter().any(|line| line.contains("#ops") && line.ends_with(": two")),
            "{stdout}"
        );
        assert!(said.last().is_some_and(|line| line.ends_with(": three")), "{stdout}");
        let (_, stderr) = ended_with(7, &chat("/msg nobody hello\n", &[]));
        assert!(stderr.contains("not sent: "), "{stderr}");
        ended_with(0, &chat("/quit\nnever said\n", &["--room", "quiet"]));
    }
    ended_with(2, &daemon.ctl(&["chat", "--json"]));
    ended_with(2, &daemon.ctl(&["chat", "--as", "Ada"]));
    ended_with(2, &daemon.ctl(&["chat", "--room", "no such room"]));
}

#[test]
fn a_script_ends_with_the_status_of_the_first_line_that_could_not_be_done() {
    let daemon = Setup::new().config("[limits]\nrooms_joined = 1").start();
    let _holder = daemon.named("Taken");
    let [_, tcp] = ways(&daemon);
    let scripts = [
        ("/nick Taken\n", 1),
        ("/who nope\n", 7),
        ("/whois nobody\n", 7),
        ("/pass\n", 1),
        ("/chat\n", 1),
        ("/unbridge\n", 1),
        ("/bridge Ada\n", 1),
        ("/leave nope\n", 1),
        ("/go nope\n", 7),
        ("/help nope\n", 2),
        ("/frob\n", 2),
        ("/join ops\n", 8),
        ("/go server\nnobody hears this\n", 1),
        ("/whois nobody\n/frob\nsaid all the same\n", 7),
        ("/help\n/who\n/bridge\n/unbridge\n", 0),
    ];
    for (lines, status) in scripts {
        let mut command = daemon.chatctl(&["chat", &tcp, "--plain", "--as", "Ada"]);
        let ended = program::run(&mut command, lines.as_bytes());
        assert_eq!(ended.status.code(), Some(status), "{lines:?}: {ended:?}");
    }
}

#[test]
fn without_a_daemon_a_script_is_told_so() {
    let daemon = Daemon::start();
    let nowhere = daemon.folder().join("nowhere");
    let mut command = daemon.chatctl(&["chat", nowhere.to_str().unwrap(), "--timeout", "300ms"]);
    let (_, stderr) = ended_with(3, &program::run(&mut command, b"hello\n"));
    assert!(stderr.contains("no daemon"), "{stderr}");
}

#[test]
fn a_nickname_that_is_held_is_waited_for_and_said() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let holder = daemon.named("Ada");
    let mut command = daemon.chatctl(&["chat", &tcp, "--plain", "--as", "Ada"]);
    let mut program = Program::start(command.stdin(Stdio::piped()));
    let mut stdin = program.stdin().unwrap();
    program.stderr.line_with(&["cannot be had yet"]);
    drop(holder);
    program.stderr.line_with(&["connected; you are Ada"]);
    writeln!(stdin, "here I am").unwrap();
    program.stdout.line_with(&["Ada: here I am"]);
    drop(stdin);
    assert_eq!(program.exit_code(), 0);
}

#[test]
fn a_nickname_that_can_never_be_had_ends_a_script_at_once() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let chat = |lines: &[u8]| {
        let mut command = daemon.chatctl(&["chat", &tcp, "--plain", "--as", "\u{e4}"]);
        // Whoever waited for that long would not be done by the test's own deadline.
        program::run(command.args(["--timeout", "1h"]), lines)
    };
    ended_with(1, &chat(b"hello\n"));
    ended_with(1, &chat(b""));
    let (stdout, _) = ended_with(0, &chat(b"/nick ada\nhello\n"));
    assert!(stdout.contains("ada: hello"), "{stdout}");
}

/// A script that was slower than the daemon was ended before its first line.
#[test]
fn a_script_that_takes_another_name_may_take_its_time() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let words = ["chat", &tcp, "--plain", "--as", "\u{e4}", "--timeout", "1h"];
    let mut script = Program::start(daemon.chatctl(&words).stdin(Stdio::piped()));
    script.stderr.line_with(&["use printable ASCII"]);
    let mut stdin = script.stdin().unwrap();
    stdin.write_all(b"/nick ada\nhello\n").unwrap();
    drop(stdin);
    assert_eq!(script.exit_code(), 0);
    script.stdout.line_with(&["ada: hello"]);
}

#[test]
fn two_people_talk_in_turn_and_whoever_is_left_waits_again() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    let mut bob = Person::start(&daemon, &[&tcp, "--as", "Bob"]);
    ada.types("/bridge --turns yes");
    ada.sees(&["waiting for anyone"]);
    bob.types("/bridge ada");
    ada.sees(&["Bob is ready: /chat opens the talk"]);
    bob.sees(&["Ada is ready: /chat opens the talk"]);
    ada.types("/chat");
    ada.sees(&["your turn, with Bob"]);
    bob.sees(&["Ada's turn"]);
    bob.types("out of turn");
    bob.sees(&["-- not sent: it is Ada's turn"]);
    bob.sees(&["-- it was: out of turn"]);
    ada.types("hello");
    bob.sees(&[" talk Ada: hello"]);
    ada.program.stderr.line_with(&["received after "]);
    bob.types("hi");
    ada.sees(&[" talk Bob: hi"]);
    ada.types("/pass");
    ada.types("/rtt");
    ada.sees(&["to the reader and back: p50 "]);
    ada.types("/quit");
    ada.sees(&["you ended the talk"]);
    bob.sees(&["Ada ended the talk"]);
    bob.sees(&["waiting for ada"]);
    bob.types("/unbridge");
    assert_eq!((ada.ends(), bob.ends()), (0, 1), "what was out of turn was not sent");
}
