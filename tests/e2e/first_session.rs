//! What the README promises: terminals, scripts and v0.5 clients see each other's messages, any bytes included.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::binaries::checkout;
use tests::daemon::at_home;
use tests::{Daemon, Heard, Http, Program, Setup, left_out, program};
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest;

#[test]
fn terminals_scripts_and_v05_clients_see_each_other() {
    let daemon = Daemon::start();
    let tail = daemon.follower(&["lobby"]);
    let mut ada = daemon.named("Ada");

    assert!(daemon.ctl(&["send", "lobby", "hello"]).status.success());
    let (from, text) = ada.hears_message();
    assert_eq!(text, "hello");
    let line = tail.stdout.line_with(&["hello"]);
    assert!(line.contains(&from), "{line} does not say that it is from {from}");

    ada.chats("hello yourself");
    let line = tail.stdout.line_with(&["hello yourself"]);
    assert!(line.contains("Ada"), "{line}");

    let mut bob = daemon.named("Bob");
    bob.chats("from one v0.5 client to another");
    ada.hears_that("Bob", "from one v0.5 client to another");
}

/// The commands of the README's first session, for this daemon and without building anything.
fn first_session(daemon: &Daemon) -> Vec<String> {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    let session = readme.split("## A first session\n").nth(1).expect("the README has one");
    let session = session.split("```").next().unwrap();
    assert!(session.contains("<http://127.0.0.1:33333/>"), "what is printed is opened");
    let commands = session.lines().filter_map(|line| line.strip_prefix("    "));
    let chatctl = tests::binaries::chatctl().display().to_string();
    let address = daemon.address().to_string();
    commands
        .map(|command| {
            let command = command.replace("cargo run --release -p chatctl --", &chatctl);
            let command = command.replace("tcp://localhost", &format!("tcp://{address}"));
            command.replace("localhost:33333", &address)
        })
        .collect()
}

/// The printed address as a browser opens it: the page, then the WebSocket beside it, in the room that the daemon says.
fn browser(daemon: &Daemon) -> WebSocket<TcpStream> {
    let printed = daemon.printed();
    let page = printed.lines().find_map(|line| line.strip_prefix("chatd: web client at ")).unwrap();
    assert_eq!(page, format!("http://{}/", daemon.address()));
    let answer = Http::connect(daemon.address()).gets("/");
    assert!(answer.text().starts_with("<!doctype html>"), "{answer:?}");
    let socket = format!("{}ws", page.replace("http:", "ws:"));
    let mut request = socket.into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "chat.v1".parse().unwrap());
    let stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(tests::DEADLINE)).unwrap();
    let (mut socket, _) = tungstenite::client(request, stream).unwrap();
    let greeting = json!({"request": "hello", "id": "1", "nick": "Web"});
    socket.send(tungstenite::Message::text(greeting.to_string())).unwrap();
    let hello = hears(&mut socket, |frame| frame["reply"] == "1");
    let joining = json!({"request": "join", "id": "2", "room": hello["default_room"]});
    socket.send(tungstenite::Message::text(joining.to_string())).unwrap();
    hears(&mut socket, |frame| frame["reply"] == "2");
    socket
}

/// Reads on until something is what is waited for.
fn hears(socket: &mut WebSocket<TcpStream>, is_it: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = socket.read().unwrap();
        let Ok(text) = message.to_text() else { continue };
        let Ok(frame) = serde_json::from_str(text) else { continue };
        if is_it(&frame) {
            return frame;
        }
    }
}

#[test]
fn the_readmes_first_session_works_as_it_stands_there() {
    if Command::new("curl").arg("--version").output().is_err() {
        return left_out("the README's first session: needs curl (Debian package curl)");
    }
    let daemon = Daemon::start();
    let commands = first_session(&daemon);
    let [chat, post, send, events, tail] = &commands[..] else { panic!("{commands:?}") };
    let run = |command: &str| {
        let mut shell = Command::new("sh");
        at_home(&mut shell, daemon.folder());
        shell.env("CHATD_SERVER", daemon.control_path()).args(["-c", &format!("exec {command}")]);
        shell
    };
    let mut browser = browser(&daemon);
    // Only a terminal is asked for a name.
    let mut terminal = Program::start(run(&format!("{chat} --as Cy")).stdin(Stdio::piped()));
    let mut typed = terminal.stdin().unwrap();
    terminal.stderr.line_with(&["connected; you are"]);
    writeln!(typed, "/topic").unwrap();
    terminal.stdout.line_with(&["#lobby has no topic"]);
    let stream = Program::start(&mut run(events));
    stream.stdout.line_with(&["retry:"]);
    let follower = Program::start(&mut run(&format!("{tail} -v")));
    follower.stderr.line_with(&["following"]);
    for (command, text) in [(post, "hello from curl"), (send, "hello from chatctl")] {
        let output = program::run(&mut run(command), &[]);
        assert!(output.status.success(), "{command}: {output:?}");
        hears(&mut browser, |frame| frame["text"] == text);
        terminal.stdout.line_with(&[text]);
        stream.stdout.line_with(&["data: ", text]);
        follower.stdout.line_with(&[text]);
    }
    writeln!(typed, "from the terminal").unwrap();
    let heard = hears(&mut browser, |frame| frame["text"] == "from the terminal");
    assert_eq!(heard["room"], "lobby");
    let id = "00000000-0000-4000-8000-000000000001";
    let said = json!({"request": "post", "id": id, "room": "lobby", "text": "from the browser"});
    browser.send(tungstenite::Message::text(said.to_string())).unwrap();
    terminal.stdout.line_with(&["Web", "from the browser"]);
    stream.stdout.line_with(&["data: ", "from the browser"]);
    follower.stdout.line_with(&["from the browser"]);
}

#[test]
fn any_bytes_reach_the_other_side() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut ops = daemon.control();
    ops.asks("tail", json!({"rooms": ["lobby"]}));
    let bytes: Vec<u8> = (0..=255).collect();

    // v0.5 to v1: every byte as it was.
    ada.chats(&bytes);
    let event = ops.event_called("message");
    let heard = proto::client::content(event.as_object().unwrap()).unwrap();
    assert_eq!(heard, bytes);

    // v1 to v0.5: malformed UTF-8 as U+FFFD, everything else as it was.
    let sent = program::run(&mut daemon.chatctl(&["send", "lobby"]), &bytes);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(ada.hears_message().1, String::from_utf8_lossy(&bytes));

    // And to another tool, every byte and one newline.
    let history = daemon.ctl(&["history", "lobby", "--raw"]);
    let twice = [&bytes[..], b"\n", &bytes[..], b"\n"].concat();
    assert_eq!(history.stdout, twice);
}

#[test]
fn the_longest_message_arrives_whole() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    let text = "0123456789".repeat(6_553);
    ada.chats(&text);
    let (mut heard, mut frames) = (String::new(), 0);
    while heard.len() < text.len() {
        heard += &bob.hears_message().1;
        frames += 1;
    }
    assert_eq!((heard == text, frames), (true, 2), "a longer broadcast is split");
}

#[test]
fn ipv4_and_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        left_out("IPv6 listeners: this machine has no ::1");
        return;
    }
    let daemon = Setup::new().listen("127.0.0.1:0").listen("[::1]:0").start();
    let [four, six] = *daemon.addresses() else { panic!("two addresses: {}", daemon.printed()) };
    assert!(four.is_ipv4() && six.is_ipv6());
    let mut ada = tests::Native::connect(four);
    let mut bob = tests::Native::connect(six);
    ada.takes_nick("Ada");
    bob.takes_nick("Bob");
    ada.chats("over IPv4");
    bob.hears_that("Ada", "over IPv4");
    bob.chats("over IPv6");
    ada.hears_that("Bob", "over IPv6");
}

#[test]
fn a_listener_that_never_says_a_word_hears_all_since_it_came() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut listener = daemon.native();
    // The listener's accept comes before Ada's next words, since a later connection is served already.
    let _later = daemon.named("Later");
    ada.chats("one");
    ada.chats("two");
    listener.hears_that("Ada", "one");
    listener.hears_that("Ada", "two");
}

/// The README's client, as it stands there.
#[test]
fn the_readmes_python_client_chats() {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    let example = readme.split("```python\n").nth(1).expect("the README has a Python client");
    let example = example.split("```").next().unwrap();
    assert!(example.lines().count() <= 15, "15 lines are promised");
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        left_out("the README's Python client: there is no python3");
        return;
    }
    let daemon = Daemon::start();
    let port = daemon.address().port().to_string();
    let script = daemon.folder().write("client.py", example.replace("33333", &port));
    let mut ada = daemon.named("Ada");
    let client = Program::start(Command::new("python3").arg("-u").arg(script).stdin(Stdio::null()));
    let (_, text) = ada.hears_message();
    assert!(!text.is_empty());
    ada.chats("hello, snake");
    client.stdout.line_with(&["Ada", "hello, snake"]);
}

#[test]
fn requests_are_answered_in_order_with_others_in_flight() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    let ping = |number| format!("{{\"request\":\"ping\",\"id\":\"{number}\"}}\n");
    let lines: String = (0..100).map(ping).collect();
    ops.sends(lines.as_bytes());
    for number in 0..100 {
        let reply = ops.line().unwrap();
        assert_eq!(reply, json!({"reply": number.to_string(), "ok": true}));
    }
}

#[test]
fn nicknames_are_acknowledged_and_refused() {
    let daemon = Daemon::start();
    let _ada = daemon.named("Ada");
    let mut bob = daemon.native();
    let taken = Heard::Nak([1; 16], "Nickname already taken.".to_owned());
    assert_eq!(bob.asks_nick(1, b"ADA"), taken);
    assert!(matches!(bob.asks_nick(2, b""), Heard::Nak(_, _)));
    assert_eq!(bob.asks_nick(0, b"Bob"), Heard::Ack([0; 16]));
}
