//! One room with readers of every dialect: each hears every message once and in order, from two bodies that were encoded once.

use serde_json::{Value, json};
use tests::{Daemon, Http, Native, V1Client};

use crate::socket::Socket;

/// Readers of each kind.
const EACH: usize = 50;
const MESSAGES: u64 = 200;

/// How many messages there were, and how often one was encoded in v0.5 and in v1.
fn counted(daemon: &Daemon) -> [u64; 4] {
    let stats = daemon.control().asks("stats", json!({}));
    let count = |name: &str| stats["stats"][name].as_u64().unwrap_or_else(|| panic!("{stats}"));
    ["messages", "encoded_v05", "encoded_v1", "deliveries"].map(count)
}

#[test]
fn fifty_readers_of_each_kind_hear_every_message_once_and_in_order() {
    let daemon = Daemon::start();
    let mut old: Vec<Native> = (0..EACH).map(|no| daemon.named(&format!("Old {no}"))).collect();
    let lobby = || json!({"rooms": ["lobby"]});
    let native = |no| V1Client::connect(daemon.address(), &format!("Native {no}"));
    let mut native: Vec<V1Client> = (0..EACH).map(native).collect();
    let mut sockets: Vec<Socket> = (0..EACH).map(|_| Socket::open(&daemon)).collect();
    let mut events: Vec<Http> = (0..EACH).map(|_| Http::connect(daemon.address())).collect();
    for client in &mut native {
        assert_eq!(client.asks("tail", lobby())["ok"], true);
    }
    for socket in &mut sockets {
        assert_eq!(socket.asks("tail", lobby())["ok"], true);
    }
    for reader in &mut events {
        assert_eq!(reader.asks("GET /api/rooms/lobby/events", "").status, 200);
    }
    let mut speaker = daemon.control();
    // Who came is told before anything is counted.
    speaker.posts("lobby", "0");
    for reader in &mut events {
        assert_eq!(reader.event_called("message").1["text"], "0");
    }
    let before = counted(&daemon);
    for number in 1..=MESSAGES {
        speaker.posts("lobby", &number.to_string());
    }
    let after = counted(&daemon);
    let heard = |said: &Value, number: u64| assert_eq!(said["text"], number.to_string(), "{said}");
    for number in 0..=MESSAGES {
        for client in &mut old {
            assert_eq!(client.hears_message().1, number.to_string());
        }
        for client in &mut native {
            heard(&client.event_called("message"), number);
        }
        for socket in &mut sockets {
            heard(&socket.event_called("message"), number);
        }
        for reader in events.iter_mut().filter(|_| number > 0) {
            heard(&reader.event_called("message").1, number);
        }
    }
    let grown: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(grown, [MESSAGES, MESSAGES, MESSAGES, MESSAGES * 4 * EACH as u64]);
}
