//! Listeners that serve some of the protocols: who speaks another is told so, where that has a word for it, and closed.

use std::net::SocketAddr;

use serde_json::json;
use tests::{Daemon, Http, Native, Setup, native};

/// A daemon with a listener for each of these lists of protocols, on addresses of its own.
fn daemon(lists: &[&str]) -> Daemon {
    Setup::new().config(&file(lists)).listens_by_file().start()
}

fn file(lists: &[&str]) -> String {
    let listeners = lists.iter().zip(1..).map(|(list, number)| {
        format!("[[listen]]\naddr = \"127.0.0.{number}:0\"\nprotocols = [{list}]\n")
    });
    listeners.collect()
}

/// The error of an HTTP request that is refused for its listener; nothing comes behind it.
fn refused(address: SocketAddr, line: &str) -> String {
    let mut script = Http::connect(address);
    let answer = script.asks(line, "");
    assert_eq!((answer.status, &answer.json()["error"]), (403, &json!("forbidden")), "{answer:?}");
    answer.json()["message"].as_str().unwrap().to_owned()
}

/// What a v1 client is told that says `hello`: its reply, and why it is closed.
fn hello(address: SocketAddr) -> String {
    let mut client = Http::connect(address);
    client.sends(native::frame(16, br#"{"request":"hello","id":"1","nick":"Vera"}"#));
    String::from_utf8_lossy(&client.until_closed()).into_owned()
}

#[test]
fn each_listener_serves_what_it_is_for_and_tells_others_so() {
    let daemon = daemon(&["\"native\", \"v1\"", "\"http\"", "\"native\"", "\"v1\", \"websocket\""]);
    let [programs, web, old, new] = *daemon.addresses() else { panic!("{}", daemon.printed()) };
    let mut ada = Native::connect(programs);
    ada.takes_nick("Ada");
    let said = refused(programs, "GET /healthz");
    assert!(said.contains("HTTP") && said.contains("native, v1"), "{said}");
    let mut script = Http::connect(web);
    assert_eq!(script.posts("/api/rooms/lobby/messages", "", "from a script").status, 200);
    assert_eq!(ada.hears_message().1, "from a script");
    assert_eq!(refused(web, "GET /ws").matches("WebSockets").count(), 1);
    // v0.5 has no word for it.
    let mut stranger = Native::connect(web);
    stranger.sends(&native::chat(b"hello"));
    assert_eq!(stranger.until_closed(), []);
    daemon.logs(&["not_served"]);
    Native::connect(old).takes_nick("Old");
    for (address, served) in [(web, "http"), (old, "native")] {
        let heard = hello(address);
        assert!(heard.contains("\"reply\":\"1\",\"ok\":false,\"error\":\"forbidden\""), "{heard}");
        assert!(
            heard.contains(&format!(
                "\"event\":\"bye\",\"reason\":\"This port does not serve v1, but {served} "
            )),
            "{heard}"
        );
    }
    tests::V1Client::connect(new, "New").asks("join", json!({"room": "lobby"}));
    assert!(refused(new, "GET /").contains("HTTP"));
    // What is refused anyway is refused in its own words.
    let mut irc = Http::connect(programs);
    irc.sends("NICK irc\r\n");
    assert!(irc.until_closed().starts_with(b"ERROR :"));
}

#[test]
fn a_reload_changes_what_a_listener_serves_and_who_is_connected_stays() {
    let daemon = daemon(&["\"native\", \"v1\", \"http\", \"websocket\""]);
    let (mut ops, mut ada) = (daemon.control(), daemon.named("Ada"));
    let mut script = Http::connect(daemon.address());
    assert_eq!(script.gets("/healthz").status, 200);
    daemon.folder().write("chatd.toml", file(&["\"http\""]));
    assert_eq!(ops.asks("reload", json!({}))["ok"], true);
    let mut bob = Native::connect(daemon.address());
    bob.sends(&native::chat(b"hello"));
    assert_eq!(bob.until_closed(), []);
    assert_eq!(script.posts("/api/rooms/lobby/messages", "", "still here").status, 200);
    assert_eq!(ada.hears_message().1, "still here");
    daemon.folder().write("chatd.toml", file(&["\"https\""]));
    let refused = ops.asks("reload", json!({}));
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("chatd.toml:3: listen.protocols: 'https' is none of native, v1"), "{why}");
    assert_eq!(Http::connect(daemon.address()).gets("/healthz").status, 200, "it stays as it was");
}
