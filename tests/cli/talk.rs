//! `chatctl talk`: two programs and no daemon.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::network::{self, Elsewhere};
use tests::{DEADLINE, Program, binaries, native, program};

use crate::keyboard::Typist;
use crate::{ended_with, interruptible};

/// `chatctl talk` with these arguments, and a pipe to type into.
fn talk(nick: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries::chatctl());
    command.args(["talk", "--as", nick]).args(arguments).env_remove("CHATD_SERVER");
    let mut command = interruptible(command.env("TZ", "UTC0").env_remove("NO_COLOR"));
    command.stdin(Stdio::piped());
    command
}

/// Somebody who waits for callers.
struct Listener {
    program: Program,
    keys: Option<ChildStdin>,
    address: String,
}

impl Listener {
    fn start(arguments: &[&str]) -> Self {
        Self::at("127.0.0.1:0", arguments)
    }

    fn at(address: &str, arguments: &[&str]) -> Self {
        let mut command = talk("bob", &["--listen", address]);
        let mut program = Program::start(command.args(arguments));
        let line = program.stderr.line_with(&["listening at "]);
        let address = line.rsplit("listening at ").next().unwrap();
        let address = address.split('"').next().unwrap().to_owned();
        Self { keys: program.stdin(), program, address }
    }

    fn types(&mut self, line: &str) {
        types(self.keys.as_mut().unwrap(), line);
    }

    /// Somebody who calls, and is in the talk.
    fn called_by(&self, nick: &str, arguments: &[&str]) -> (Program, ChildStdin) {
        let mut program = Program::start(talk(nick, &[&self.address]).args(arguments));
        let keys = program.stdin().unwrap();
        self.program.stderr.line_with(&[&format!("talking with {nick} ")]);
        program.stderr.line_with(&["talking with bob"]);
        (program, keys)
    }
}

fn types(keys: &mut ChildStdin, line: &str) {
    keys.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// What this many lines of JSON say.
fn events(program: &Program, count: usize) -> Vec<Value> {
    (0..count).map(|line| serde_json::from_str(&program.stdout.line(line)).unwrap()).collect()
}

#[test]
fn two_programs_talk_and_each_message_is_acknowledged_with_its_round_trip() {
    let mut bob = Listener::start(&["-v"]);
    let (mut ada, mut keys) = bob.called_by("ada", &["-v"]);
    types(&mut keys, "hello");
    bob.program.stdout.line_with(&[" ada: hello"]);
    ada.stderr.line_with(&["bob has it: "]);
    bob.types("hi");
    ada.stdout.line_with(&[" bob: hi"]);
    bob.program.stderr.line_with(&["ada has it: "]);
    drop(keys);
    assert_eq!(ada.exit_code(), 0, "{}", ada.stderr.all());
    ada.stderr.line_with(&["the talk with bob is over; 1 said, 1 heard; round trips: min ", "p99"]);
    bob.program.stderr.line_with(&["ada has hung up; 1 said, 1 heard; round trips: min "]);
}

#[test]
fn one_peer_comes_after_another_and_who_calls_meanwhile_is_told_that_it_is_busy() {
    let mut bob = Listener::start(&[]);
    for round in 0..3 {
        let (mut ada, mut keys) = bob.called_by("ada", &[]);
        let eve = program::run(&mut talk("eve", &[&bob.address, "--json"]), b"let me in\n");
        let (stdout, stderr) = ended_with(1, &eve);
        assert!(stderr.contains("\"error\":\"busy\"") && stdout.is_empty(), "{stderr}");
        types(&mut keys, &format!("still here {round}"));
        bob.program.stdout.line_with(&[&format!("ada: still here {round}")]);
        drop(keys);
        assert_eq!(ada.exit_code(), 0);
        // The next one is let in once the listener knows.
        let ended = |lines: &[String]| {
            (lines.iter().filter(|line| line.contains("has hung up")).count() > round).then_some(())
        };
        bob.program.stderr.find(ended).unwrap();
    }
    bob.program.stderr.line_with(&["eve called meanwhile"]);
    assert!(bob.program.runs() && !bob.program.stdout.all().contains("let me in"));
}

#[test]
fn any_bytes_up_to_the_limit_are_one_message() {
    let mut bob = Listener::start(&["--json"]);
    let mut all: Vec<u8> = (0..=255).cycle().take(65_530).collect();
    *all.last_mut().unwrap() = b'\n';
    let raw: Vec<u8> = all.iter().copied().chain(*b"\n").collect();
    let caller = program::run(&mut talk("ada", &[&bob.address, "--message-at-eof"]), &raw);
    ended_with(0, &caller);
    let said = events(&bob.program, 2);
    let content = proto::client::content(said[1].as_object().unwrap()).unwrap();
    assert!(content == all, "exactly one last newline is removed");
    assert_eq!(said[1]["from"], "ada");
    let over = vec![b'x'; 65_531];
    let caller = program::run(&mut talk("ada", &[&bob.address, "--message-at-eof"]), &over);
    let (_, stderr) = ended_with(8, &caller);
    assert!(stderr.contains("65530"), "{stderr}");
    assert!(bob.program.runs());
    bob.types("");
}

#[test]
fn a_thousand_lines_arrive_in_their_order() {
    let bob = Listener::start(&["--raw"]);
    let lines: Vec<String> = (0..1000).map(|number| format!("/line {number}")).collect();
    let caller = program::run(&mut talk("ada", &[&bob.address]), lines.join("\n").as_bytes());
    let (_, stderr) = ended_with(0, &caller);
    assert!(stderr.contains("1000 said, 0 heard; round trips: "), "{stderr}");
    assert_eq!(bob.program.stdout.line(999), "/line 999");
    assert_eq!(bob.program.stdout.all(), lines.join("\n"), "a pipe has no commands");
}

#[test]
fn json_tells_what_happened() {
    let mut bob = Listener::start(&["--json"]);
    let (ada, mut keys) = bob.called_by("ada", &["--json"]);
    types(&mut keys, "x");
    let [_, message, ..] = &events(&bob.program, 2)[..] else { panic!("two") };
    assert_eq!((&message["event"], &message["text"]), (&"talk_message".into(), &"x".into()));
    let [started, delivered, ..] = &events(&ada, 2)[..] else { panic!("two") };
    assert_eq!((&started["event"], &started["peer"]), (&"talk_started".into(), &"bob".into()));
    assert_eq!(started["address"], *bob.address);
    assert_eq!((&delivered["event"], &delivered["by"]), (&"delivered".into(), &"bob".into()));
    assert_eq!(delivered["message_id"], message["message_id"]);
    assert!(delivered["round_trip_us"].as_u64() > Some(0), "{delivered}");
    drop(keys);
    let ended = &events(&bob.program, 3)[2];
    assert_eq!((&ended["event"], &ended["reason"]), (&"talk_ended".into(), &"hangup".into()));
    assert_eq!(ended["heard"], 1);
    bob.types("");
}

#[test]
fn who_is_killed_is_gone_and_the_next_one_is_welcome() {
    let bob = Listener::start(&[]);
    let (ada, mut ada_keys) = bob.called_by("ada", &[]);
    types(&mut ada_keys, "one word");
    bob.program.stdout.line_with(&["ada: one word"]);
    ada.signal(Signal::SIGKILL);
    bob.program.stderr.line_with(&["ada is gone"]);
    let (mut eve, mut keys) = bob.called_by("eve", &[]);
    types(&mut keys, "hello");
    bob.program.stdout.line_with(&["eve: hello"]);
    bob.program.signal(Signal::SIGKILL);
    assert_eq!(eve.exit_code(), 1, "{}", eve.stderr.all());
    eve.stderr.line_with(&["chatctl: bob is gone"]);
}

#[test]
fn a_signal_hangs_up_first() {
    let mut bob = Listener::start(&[]);
    let (mut ada, _keys) = bob.called_by("ada", &[]);
    ada.signal(Signal::SIGINT);
    assert_eq!(ada.exit_code(), 130);
    bob.program.stderr.line_with(&["ada has hung up"]);
    // A listener's INT ends the talk alone; without one it ends the program.
    let (mut eve, _keys) = bob.called_by("eve", &[]);
    bob.program.signal(Signal::SIGINT);
    bob.program.stderr.line_with(&["the talk with eve is over"]);
    assert_eq!(eve.exit_code(), 1, "its pipe has not ended: {}", eve.stderr.all());
    eve.stderr.line_with(&["bob has hung up"]);
    bob.program.signal(Signal::SIGINT);
    assert_eq!(bob.program.exit_code(), 130);
}

#[test]
fn term_ends_a_listener_in_the_midst_of_a_talk_and_the_other_side_is_told() {
    let mut bob = Listener::start(&[]);
    let (ada, _keys) = bob.called_by("ada", &[]);
    bob.program.signal(Signal::SIGTERM);
    assert_eq!(bob.program.exit_code(), 128 + 15);
    ada.stderr.line_with(&["bob has hung up"]);
}

#[test]
fn strangers_harm_nobody() {
    let mut bob = Listener::start(&["-v"]);
    let callers: Vec<TcpStream> = [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\xff\xff\xff\xff",
        b"\x00\x7f\xff\xff\x00\x00\x00\x10",
        b"\x00\x00\x00\x03",
        b"\x00\x00\x00\x06\x00\x00\x00\x10{}",
        b"\x00\x00\x00",
        b"",
    ]
    .iter()
    .map(|bytes| {
        let mut caller = TcpStream::connect(&bob.address).unwrap();
        caller.write_all(bytes).unwrap();
        caller
    })
    .collect();
    // Those who say nothing that makes sense are closed; the others wait at the door, and keep nobody out.
    for mut caller in callers.into_iter().take(4) {
        caller.set_read_timeout(Some(DEADLINE)).unwrap();
        let end = caller.read(&mut [0; 64]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|error| is_reset(&error)));
    }
    let _crowd: Vec<_> = (0..40).map(|_| TcpStream::connect(&bob.address).unwrap()).collect();
    let (mut ada, mut keys) = bob.called_by("ada", &[]);
    types(&mut keys, "hello");
    bob.program.stdout.line_with(&["ada: hello"]);
    drop(keys);
    assert_eq!(ada.exit_code(), 0);
    // One that is let in and then talks nonsense ends its own talk only.
    let mut eve = TcpStream::connect(&bob.address).unwrap();
    let hello = br#"{"request":"hello","id":"1","version":1,"nick":"eve"}"#;
    eve.write_all(&native::frame(16, hello)).unwrap();
    bob.program.stderr.line_with(&["talking with eve"]);
    eve.write_all(b"\x00\x00\x00\x00").unwrap();
    bob.program.stderr.line_with(&["eve: it does not speak the frames of a talk"]);
    let _ = bob.called_by("ada", &[]);
    assert!(bob.program.runs());
}

fn is_reset(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionReset
}

#[test]
fn where_nobody_listens_or_something_else_does_it_is_said() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    ended_with(3, &program::run(&mut talk("ada", &[&address]), b"x\n"));
    ended_with(2, &program::run(&mut talk("ada", &["no host"]), b"x\n"));
    ended_with(2, &program::run(&mut talk("ada", &["--listen", "x y"]), b"x\n"));
    let daemon = tests::Daemon::start();
    let called = program::run(&mut talk("ada", &[&daemon.address().to_string()]), b"x\n");
    let (_, stderr) = ended_with(1, &called);
    assert!(stderr.contains("a chat daemon answers at"), "{stderr}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let called = program::run(&mut talk("ada", &[&address, "--timeout", "200ms"]), b"x\n");
    ended_with(5, &called);
    let bob = Listener::start(&[]);
    let taken = program::run(&mut talk("eve", &["--listen", &bob.address]), b"x\n");
    let (_, stderr) = ended_with(1, &taken);
    assert!(stderr.contains("in use"), "{stderr}");
}

#[test]
fn who_looks_for_a_daemon_takes_no_listener_for_one() {
    let words: [&[&str]; 4] = [
        &["send", "lobby", "x"],
        &["tail", "lobby"],
        &["meet"],
        &["chat", "--plain", "--timeout", "200ms"],
    ];
    for words in words {
        // One for each: a listener who has a caller is busy.
        let bob = Listener::start(&[]);
        let mut command = Command::new(binaries::chatctl());
        command.args(["-s", &format!("tcp://{}", bob.address), "--as", "ada"]).args(words);
        let done = program::run(command.stdin(Stdio::piped()), b"important\n");
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(3), "{words:?}: {stderr}");
        let said = stderr.matches("somebody who waits for a call").count();
        assert_eq!(said, 1, "{words:?}: {stderr}");
        bob.program
            .stderr
            .line_with(&["is gone, with no more than a hello: perhaps it looked for a daemon"]);
    }
}

#[test]
fn a_person_types_lines_and_commands_and_no_stranger_drives_the_terminal() {
    let mut bob = Typist::start(&mut talk("bob", &["--listen", "127.0.0.1:0", "--color", "never"]));
    bob.sees("listening at ");
    bob.sees("\r\n");
    bob.types(b"too early\n");
    bob.sees("nobody is there yet");
    let address = listening(&bob);
    let mut ada = Program::start(&mut talk("ada", &[&address]));
    let mut keys = ada.stdin().unwrap();
    bob.sees("talking with ada (127.0.0.1:");
    types(&mut keys, "\u{1b}[2Jevil\u{7}");
    bob.sees(" ada: \\e[2Jevil\\x07\r\n");
    bob.types(b"hello\n");
    bob.sees("ada has it: ");
    ada.stdout.line_with(&["bob: hello"]);
    bob.types(b"//x\n/rtt\n/nonsense\n");
    ada.stdout.line_with(&["bob: /x"]);
    bob.sees("round trips: min ");
    bob.sees("/nonsense is no command");
    bob.types(b"/quit\n");
    bob.sees("the talk with ada is over");
    ada.stderr.line_with(&["bob has hung up"]);
    // The listener waits again; Ctrl-D with nobody there is the end.
    let eve = Program::start(&mut talk("eve", &[&address]));
    bob.sees("talking with eve");
    drop(eve);
    bob.sees("eve is gone");
    bob.types(b"\x04");
    assert!(tests::eventually("it ends", || bob.program.try_wait().unwrap()).success());
}

/// Where the program of a person listens.
fn listening(person: &Typist) -> String {
    let pid = person.program.id();
    let tcp = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let mut own = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let Ok(target) = std::fs::read_link(entry.unwrap().path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        own.extend(
            target.strip_prefix("socket:[").map(|rest| rest.trim_end_matches(']').to_owned()),
        );
    }
    let listens = tcp.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut ports = listens.filter(|row| row[3] == "0A" && own.contains(&row[9].to_owned()));
    let port = ports.next().unwrap()[1].rsplit(':').next().unwrap();
    format!("127.0.0.1:{}", u16::from_str_radix(port, 16).unwrap())
}

#[test]
fn several_lines_ended_by_ctrl_d_are_one_message_and_an_empty_one_ends_the_talk() {
    let bob = Listener::start(&["--json"]);
    let mut ada = Typist::start(&mut talk("ada", &[&bob.address, "--message-at-eof"]));
    ada.sees("talking with bob");
    ada.types(b"one\n/two\n\n\x04");
    ada.sees("bob has it: ");
    ada.types(b"half a line\x04\x04");
    ada.sees("bob has it: ");
    ada.types(b"\x04");
    ada.sees("the talk with bob is over; 2 said");
    assert!(tests::eventually("it ends", || ada.program.try_wait().unwrap()).success());
    let said = events(&bob.program, 3);
    assert_eq!(
        (&said[1]["text"], &said[2]["text"]),
        (&"one\n/two\n".into(), &"half a line".into())
    );
}

#[test]
fn ctrl_c_at_a_terminal_ends_the_talk() {
    let bob = Listener::start(&[]);
    let mut ada = Typist::start(talk("ada", &[&bob.address]).env("TERM", "dumb"));
    ada.sees("talking with bob");
    // Not its controlling terminal: what Ctrl-C would send is sent.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(ada.program.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
    ada.sees("the talk with bob is over");
    bob.program.stderr.line_with(&["ada has hung up"]);
}

/// Its reader takes its time: nothing is acknowledged that was not taken, and nothing is lost.
#[test]
fn a_reader_who_stops_holds_acknowledgments_back() {
    let mut command = talk("bob", &["--listen", "127.0.0.1:0", "--raw"]);
    let mut bob = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(bob.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let address = line.trim_end().rsplit(' ').next().unwrap().to_owned();
    let mut ada = Program::start(&mut talk("ada", &[&address, "--json"]));
    let mut keys = ada.stdin().unwrap();
    let lines = 100;
    let text = "x".repeat(4000);
    let fed = std::thread::spawn(move || (0..lines).for_each(|_| types(&mut keys, &text)));
    // The pipe holds 64 KiB, and the message on which it filled up was acknowledged as it came.
    ada.stdout.line(16);
    let count =
        |ada: &Program| ada.stdout.all().lines().filter(|l| l.contains("delivered")).count();
    assert!(count(&ada) < 20, "{}", count(&ada));
    let mut heard = vec![0; lines * 4001];
    bob.stdout.take().unwrap().read_exact(&mut heard).unwrap();
    fed.join().unwrap();
    assert_eq!(ada.exit_code(), 0, "{}", ada.stderr.all());
    assert_eq!(count(&ada), lines);
    assert!(heard.iter().all(|byte| b"x\n".contains(byte)));
    bob.kill().unwrap();
    bob.wait().unwrap();
}

#[test]
fn a_peer_whose_network_is_gone_is_found_by_both_within_the_idle_limit() {
    let name = "talk::a_peer_whose_network_is_gone_is_found_by_both_within_the_idle_limit";
    if !network::is_own(name) {
        return;
    }
    let elsewhere = Elsewhere::new();
    let bob = Listener::at("192.0.2.1:0", &[]);
    let address = bob.address.clone();
    let mut ada = elsewhere.runs(move || Program::start(&mut talk("ada", &[&address])));
    let _keys = ada.stdin();
    bob.program.stderr.line_with(&["talking with ada"]);
    ada.stderr.line_with(&["talking with bob"]);
    elsewhere.is_cut_off();
    let gone = Instant::now();
    bob.program.stderr.line_with(&["ada has fallen silent"]);
    assert_eq!(ada.exit_code(), 1);
    ada.stderr.line_with(&["bob has fallen silent"]);
    assert!(gone.elapsed() < Duration::from_secs(17), "{:?}", gone.elapsed());
}
