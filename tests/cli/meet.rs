//! `chatctl meet`: two scripts in a talk, by the server and past it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tests::{Daemon, Program, Setup, V1Client, eventually, program};

use crate::{ended_with, interruptible};

/// So much is exchanged where it is to be much.
const MUCH_BYTES: usize = 10 << 20;

/// Bytes that nobody would guess, always the same.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

fn meet(daemon: &Daemon, nick: &str, arguments: &[&str]) -> Command {
    let address = format!("tcp://{}", daemon.address());
    let mut command = daemon.chatctl(&["-s", &address, "--as", nick, "meet"]);
    let mut command = interruptible(command.args(arguments));
    command.stdin(Stdio::piped());
    command
}

/// A side that gives these bytes, each piece behind the one before, and ends.
struct Side {
    child: Child,
    taken: std::thread::JoinHandle<Vec<u8>>,
    said: std::thread::JoinHandle<String>,
    fed: std::thread::JoinHandle<()>,
}

impl Side {
    fn start(mut command: Command, bytes: Vec<u8>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let fed = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        let taken = std::thread::spawn(move || {
            let mut all = Vec::new();
            stdout.read_to_end(&mut all).unwrap();
            all
        });
        let said = std::thread::spawn(move || {
            let mut all = String::new();
            stderr.read_to_string(&mut all).unwrap();
            all
        });
        Self { child, taken, said, fed }
    }

    /// Its status, what it took, and what it said.
    fn ends(mut self, deadline: Duration) -> (Option<i32>, Vec<u8>, String) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if begun.elapsed() > deadline {
                self.child.kill().unwrap();
            }
            let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(5_u8));
        }
        let status = self.child.wait().unwrap();
        self.fed.join().unwrap();
        (status.code(), self.taken.join().unwrap(), self.said.join().unwrap())
    }
}

/// Two exchange these bytes, with these arguments, and nothing is lost; what they said of it.
fn exchange(
    daemon: &Daemon,
    arguments: [&[&str]; 2],
    bytes: &[Vec<u8>; 2],
    deadline: Duration,
) -> [String; 2] {
    let ada = Side::start(meet(daemon, "Ada", arguments[0]), bytes[0].clone());
    let bob = Side::start(meet(daemon, "Bob", arguments[1]), bytes[1].clone());
    let (ada, bob) = (ada.ends(deadline), bob.ends(deadline));
    assert_eq!((ada.0, bob.0), (Some(0), Some(0)), "{}\n{}", ada.2, bob.2);
    assert!(ada.1 == bytes[1], "{} of {} bytes\n{}", ada.1.len(), bytes[1].len(), ada.2);
    assert!(bob.1 == bytes[0], "{} of {} bytes\n{}", bob.1.len(), bytes[0].len(), bob.2);
    [ada.2, bob.2]
}

fn unlimited() -> Daemon {
    let limits = "[limits]\nmessages = \"off\"\nbytes = \"off\"\nfanout = \"off\"\n";
    Setup::new().config(limits).start()
}

const SOON: Duration = Duration::from_secs(20);
const LATER: Duration = Duration::from_secs(90);

#[test]
fn two_scripts_exchange_much_by_the_server() {
    let daemon = unlimited();
    let bytes = [noise(1, MUCH_BYTES), noise(2, MUCH_BYTES)];
    exchange(&daemon, [&[], &[]], &bytes, LATER);
}

/// The one that has given all its bytes passes its turns at once.
#[test]
fn two_scripts_exchange_much_in_turn() {
    let daemon = unlimited();
    let bytes = [noise(9, MUCH_BYTES), noise(10, MUCH_BYTES / 2)];
    exchange(&daemon, [&["--turns"], &[]], &bytes, LATER);
    let said = exchange(&daemon, [&["--turns", "--direct"], &["--direct"]], &bytes, LATER);
    assert!(said.iter().all(|said| said.contains("past the server")), "{said:?}");
}

#[test]
fn two_scripts_exchange_much_past_the_server() {
    let daemon = unlimited();
    let bytes = [noise(3, MUCH_BYTES), noise(4, MUCH_BYTES)];
    let said = exchange(&daemon, [&["--direct"], &["--direct", "ada"]], &bytes, LATER);
    assert!(said.iter().all(|said| said.contains("past the server")), "{said:?}");
}

/// The limits make it slower, and never wrong.
#[test]
fn the_limits_of_a_connection_only_make_it_slow() {
    let limits = "[limits]\nmessages = \"40/s\"\nmessage_burst = 5\nbytes = \"512KiB/s\"\nbyte_burst = \"128KiB\"\n";
    let daemon = Setup::new().config(limits).start();
    let bytes = [noise(5, 1 << 20), noise(6, 300_000)];
    let begun = Instant::now();
    exchange(&daemon, [&[], &[]], &bytes, LATER);
    assert!(begun.elapsed() > Duration::from_secs(1), "the limits were there");
}

#[test]
fn any_bytes_and_none_are_exchanged_with_turns_and_without() {
    let daemon = Daemon::start();
    let odd = || (0..=255).chain([10, 10]).collect::<Vec<u8>>();
    let all = [&[][..], &["--turns"], &["--turns=no"], &["--direct"], &["--direct", "--turns"]];
    for arguments in all {
        exchange(&daemon, [arguments, &["--direct"]], &[odd(), Vec::new()], SOON);
        exchange(&daemon, [&["bob", "--direct"], arguments], &[Vec::new(), odd()], SOON);
        exchange(&daemon, [arguments, arguments], &[noise(7, 100_000), noise(8, 60_000)], SOON);
    }
}

#[test]
fn one_that_cannot_be_reached_is_relayed_and_it_is_said() {
    let daemon = Daemon::start();
    let odd = || b"odd".to_vec();
    let said = exchange(&daemon, [&["--direct"], &[]], &[odd(), odd()], SOON);
    assert!(said[0].contains("the server relays"), "{said:?}");
    // Zoe says that she listens where nobody does; Ada calls there in vain, and opens the talk by the server.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let mut zoe = V1Client::connect(daemon.address(), "Zoe");
    zoe.asks("bridge", json!({"direct": port}));
    let ada = Side::start(meet(&daemon, "Ada", &["--direct"]), b"hello".to_vec());
    zoe.event_called("talk_ready");
    let started = zoe.event_called("talk_started");
    assert_eq!(started.get("direct"), None, "{started}");
    let message = zoe.event_called("talk_message");
    assert_eq!(message["text"], "hello");
    zoe.asks("receipt", json!({"message_id": message["message_id"]}));
    zoe.asks("hangup", json!({}));
    let (code, _, said) = ada.ends(SOON);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nobody listens there): the server relays"), "{said}");
    assert!(said.contains("Zoe has hung up before all was exchanged: 5 bytes of ours"), "{said}");
}

/// Whose name comes second waits to be called, and knows nothing of a call that went nowhere.
#[test]
fn who_is_called_in_vain_is_told_that_the_server_relays() {
    let daemon = Daemon::start();
    let mut ada = V1Client::connect(daemon.address(), "Ada");
    ada.asks("bridge", json!({"direct": 9}));
    let zoe = Side::start(meet(&daemon, "Zoe", &["--direct"]), b"hello".to_vec());
    ada.event_called("talk_ready");
    ada.asks("chat", json!({}));
    assert_eq!(ada.event_called("talk_message")["text"], "hello");
    ada.asks("hangup", json!({}));
    let (code, _, said) = zoe.ends(SOON);
    assert_eq!(code, Some(1), "{said}");
    let told = said.find("Ada does not reach us: the server relays").expect(&said);
    assert!(told < said.find("talking with Ada").expect(&said), "{said}");
}

#[test]
fn a_peer_that_vanishes_is_status_1_and_said() {
    let daemon = Daemon::start();
    for arguments in [&[][..], &["--direct"]] {
        let ada = Program::start(&mut meet(&daemon, "Ada", arguments));
        let mut bob = Program::start(&mut meet(&daemon, "Bob", arguments));
        let _keys = bob.stdin();
        bob.stderr.line_with(&["talking with Ada"]);
        ada.stderr.line_with(&["talking with Bob"]);
        ada.signal(Signal::SIGKILL);
        assert_eq!(bob.exit_code(), 1);
        bob.stderr.line_with(&["Ada is gone", "before all was exchanged"]);
        drop(ada);
    }
}

#[test]
fn whose_daemon_or_reader_is_gone_is_told_what_was_not_exchanged() {
    let mut daemon = Daemon::start();
    let mut zoe = V1Client::connect(daemon.address(), "Zoe");
    zoe.asks("bridge", json!({}));
    let mut child =
        meet(&daemon, "Ada", &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    let (_, stderr) = ended_with(1, &ended);
    assert!(stderr.contains("stdout was closed before all was exchanged"), "{stderr}");
    let mut bob = Program::start(&mut meet(&daemon, "Bob", &[]));
    let mut keys = bob.stdin().unwrap();
    bob.stderr.line_with(&["talking with Zoe"]);
    keys.write_all(b"hello").unwrap();
    // Ada may have said that she has nothing to say.
    let message = std::iter::repeat_with(|| zoe.event_called("talk_message"));
    let message = message.into_iter().find(|message| message["text"] == "hello").unwrap();
    zoe.asks("receipt", json!({"message_id": message["message_id"]}));
    zoe.asks("say", json!({"id": "7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e", "text": "yes?"}));
    zoe.event_called("delivered");
    daemon.signal(Signal::SIGKILL);
    daemon.ends();
    assert_eq!(bob.exit_code(), 3);
    bob.stderr.line_with(&["5 bytes of ours have come, 4 of theirs"]);
}

#[test]
fn a_signal_hangs_up() {
    let daemon = Daemon::start();
    let mut ada = Program::start(&mut meet(&daemon, "Ada", &["bob"]));
    let _ada_keys = ada.stdin();
    ada.stderr.line_with(&["waiting for @bob, as Ada"]);
    let mut bob = Program::start(&mut meet(&daemon, "Bob", &[]));
    let _keys = bob.stdin();
    bob.stderr.line_with(&["talking with Ada"]);
    ada.stderr.line_with(&["talking with Bob"]);
    ada.signal(Signal::SIGINT);
    assert_eq!(ada.exit_code(), 130);
    assert_eq!(bob.exit_code(), 1);
    bob.stderr.line_with(&["Ada has hung up before all was exchanged"]);
}

#[test]
fn over_the_control_socket_one_meets_under_the_own_name() {
    let daemon = Daemon::start();
    let ada = Side::start(meet(&daemon, "Ada", &["--direct"]), b"from ada".to_vec());
    eventually("Ada waits", || {
        let told = daemon.ctl(&["status", "--json"]);
        let stats: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        (stats["talks_waiting"] == 1).then_some(())
    });
    let mut own = daemon.chatctl(&["meet", "ada", "--direct"]);
    let (stdout, stderr) = ended_with(0, &program::run(&mut own, b"from us"));
    assert_eq!(stdout, "from ada");
    assert!(stderr.contains("past the server"), "both are on this machine: {stderr}");
    assert_eq!(ada.ends(SOON).1, b"from us");
    ended_with(2, &daemon.ctl(&["--as", "Eve", "meet"]));
}

#[test]
fn whoever_cannot_wait_is_told() {
    let daemon = Setup::new().config("[rendezvous]\nwait_timeout = \"50ms\"\n").start();
    let (code, _, said) = Side::start(meet(&daemon, "Ada", &[]), Vec::new()).ends(SOON);
    assert_eq!(code, Some(5), "{said}");
    let (code, _, said) = Side::start(meet(&daemon, "Ada", &["ada"]), Vec::new()).ends(SOON);
    assert_eq!(code, Some(1), "one does not meet oneself: {said}");
    let _ada = daemon.named("Ada");
    let (code, _, said) = Side::start(meet(&daemon, "Ada", &[]), Vec::new()).ends(SOON);
    assert!(code == Some(1) && said.contains("--as"), "{said}");
}
