//! HTTP as scripts and browsers use it: posts, past messages, streams of events, figures, the page.

use std::fmt::Write;
use std::io::Write as _;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Daemon, Exposition, Folder, Http, Setup, V1Client, network};
use tungstenite::protocol::frame::coding::CloseCode;

use crate::socket::Socket;

/// Where messages of the lobby are posted and read.
const LOBBY: &str = "/api/rooms/lobby/messages";

fn setup(home: &Folder) -> Setup {
    Setup::new().argument("--state-dir").argument(home.join("state").to_str().unwrap())
}

fn http(daemon: &Daemon) -> Http {
    Http::connect(daemon.address())
}

#[test]
fn a_script_posts_and_reads_over_one_connection() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut script = http(&daemon);
    let posted = script.posts(LOBBY, "", "backup done");
    assert_eq!((posted.status, posted.json()["seq"].as_u64()), (200, Some(1)), "{posted:?}");
    let (guest, text) = ada.hears_message();
    assert_eq!(text, "backup done");
    ada.chats("thank you");
    let read = tests::eventually("the answer is there", || {
        Some(script.gets(LOBBY)).filter(|answer| answer.lines().len() == 2)
    });
    assert_eq!(read.field("content-type"), Some("application/x-ndjson"));
    let said: Vec<Value> = read.lines();
    assert_eq!((&said[0]["from"], &said[0]["text"]), (&json!(guest), &json!("backup done")));
    assert_eq!((&said[1]["from"], &said[1]["seq"]), (&json!("Ada"), &json!(2)));
    let later = script.gets(&format!("{LOBBY}?after=1&limit=5"));
    assert_eq!(later.lines(), said[1..]);
    let head = script.asks(&format!("HEAD {LOBBY}"), "");
    assert_eq!(head.field("content-length"), read.field("content-length"));
    assert!(head.body.is_empty());
    let rooms = script.gets("/api/rooms").json();
    assert_eq!(rooms["rooms"][0]["room"], "lobby", "{rooms}");
    assert_eq!(script.gets("/api/stats").json()["stats"]["messages"], 2);
    assert_eq!(script.gets("/healthz").json(), json!({"ok": true, "store": "well"}));
    assert_eq!(script.gets("/api/rooms/none/messages").status, 404);
    assert_eq!(
        script.asks(&format!("DELETE {LOBBY}"), "").field("allow"),
        Some("GET, HEAD, POST, OPTIONS")
    );
    let last = script.asks("GET /healthz", "Connection: close\r\n");
    assert_eq!(last.field("connection"), Some("close"));
    assert_eq!(script.until_closed(), b"");
}

#[test]
fn requests_may_come_all_at_once_and_are_answered_in_their_order() {
    let daemon = Daemon::start();
    let mut script = http(&daemon);
    let mut asked = String::new();
    for number in 0..8 {
        let _ = write!(
            asked,
            "POST {LOBBY} HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 1\r\n\r\n{number}"
        );
        let _ = write!(asked, "GET {LOBBY}?limit=1 HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    }
    script.sends(asked);
    for number in 0..8 {
        assert_eq!(script.hears(false).json()["seq"], number + 1);
        assert_eq!(script.hears(false).lines()[0]["text"], number.to_string());
    }
}

#[test]
fn a_body_comes_in_chunks_after_it_was_asked_for() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut script = http(&daemon);
    let head = "Host: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n";
    script.sends(format!("POST {LOBBY} HTTP/1.1\r\n{head}\r\n"));
    assert_eq!(script.hears(false).status, 100);
    script.sends("3\r\nhel\r\n");
    script.sends("2;x=y\r\nlo\r\n0\r\nTrailer: dropped\r\n\r\n");
    assert_eq!(script.hears(false).status, 200);
    assert_eq!(ada.hears_message().1, "hello");
}

#[test]
fn what_is_posted_comes_back_as_it_was() {
    let daemon = Daemon::start();
    let mut script = http(&daemon);
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(script.posts(LOBBY, "", &bytes).json()["seq"], 1);
    let got = script.gets(&format!("{LOBBY}/1"));
    assert_eq!((got.status, &got.body), (200, &bytes));
    assert_eq!(got.field("content-disposition"), Some("attachment"));
    assert_eq!(got.field("x-content-type-options"), Some("nosniff"));
    assert!(got.field("content-security-policy").unwrap().contains("sandbox"));
    assert_eq!(script.gets(&format!("{LOBBY}/2")).status, 404);
    let page = script.gets(LOBBY).lines();
    assert!(page[0]["data"].is_string(), "it is no text: {}", page[0]);
    assert_eq!(got.field("content-type"), Some("application/octet-stream"));
}

#[test]
fn what_a_body_is_said_to_be_is_kept_over_a_restart_and_given_back() {
    let home = Folder::new();
    let mut daemon = setup(&home).start();
    let mut script = http(&daemon);
    let types = ["image/png", "text/html; charset=utf-8", "application/x-www-form-urlencoded"];
    for kind in types {
        let posted = script.posts(LOBBY, &format!("Content-Type: {kind}\r\n"), "<b>x</b>");
        assert_eq!(posted.status, 200, "{posted:?}");
    }
    assert_eq!(script.posts(LOBBY, "Content-Type: image\r\n", "x").status, 400);
    // `curl -d` says of everything that it is a form.
    let expected = [Some("image/png"), Some("text/html; charset=utf-8"), None];
    for _ in 0..2 {
        let mut script = http(&daemon);
        let lines = script.gets(LOBBY).lines();
        for (seq, (line, kind)) in (1..).zip(lines.iter().zip(expected)) {
            assert_eq!(line["content_type"].as_str(), kind, "{line}");
            let got = script.gets(&format!("{LOBBY}/{seq}"));
            assert_eq!(got.field("content-type"), Some(kind.unwrap_or("application/octet-stream")));
            assert_eq!(
                (got.field("content-disposition"), got.text()),
                (Some("attachment"), "<b>x</b>")
            );
        }
        daemon.signal(Signal::SIGTERM);
        daemon.ends();
        daemon = setup(&home).start();
    }
}

#[test]
fn a_post_that_is_sent_again_after_a_restart_is_the_same_message() {
    let home = Folder::new();
    let mut daemon = setup(&home).start();
    let uuid = "X-Message-Id: 7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e\r\n";
    let key = "Idempotency-Key: nightly backup of tuesday\r\n";
    let first: Vec<Value> =
        [uuid, key].iter().map(|id| http(&daemon).posts(LOBBY, id, "done").json()).collect();
    daemon.signal(Signal::SIGKILL);
    daemon.ends();
    let daemon = setup(&home).start();
    let mut script = http(&daemon);
    for (id, before) in [uuid, key].iter().zip(&first) {
        assert_eq!(script.posts(LOBBY, id, "done").json(), *before);
        let other = script.posts(LOBBY, id, "other");
        assert_eq!((other.status, &other.json()["error"]), (409, &json!("id_conflict")));
    }
    let elsewhere = script.posts("/api/rooms/ops/messages", key, "done").json();
    assert_eq!(elsewhere["ok"], true, "a key is of one room: {elsewhere}");
    assert_eq!(script.gets(LOBBY).lines().len(), 2, "nothing was said twice");
    assert_eq!(script.posts(LOBBY, "X-Message-Id: 1\r\n", "done").status, 400);
    assert_eq!(script.posts(LOBBY, &format!("{uuid}{key}"), "done").status, 400);
}

#[test]
fn a_reader_of_events_goes_on_after_a_restart_where_it_was() {
    let home = Folder::new();
    let mut daemon = setup(&home).start();
    let path = "GET /api/rooms/lobby/events";
    let mut reader = http(&daemon);
    let head = reader.asks(path, "");
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    let mut script = http(&daemon);
    script.posts(LOBBY, "", "one");
    let (id, event) = reader.event_called("message");
    let id = id.unwrap();
    assert_eq!(event["text"], "one");
    script.posts(LOBBY, "", "two");
    script.posts(LOBBY, "", "three");
    daemon.signal(Signal::SIGTERM);
    daemon.ends();
    while reader.event().1["event"] != "bye" {}
    assert_eq!(reader.until_closed(), b"");

    let daemon = setup(&home).start();
    let mut reader = http(&daemon);
    assert_eq!(reader.asks(path, &format!("Last-Event-ID: {id}\r\n")).status, 200);
    for text in ["two", "three"] {
        assert_eq!(reader.event_called("message").1["text"], text);
    }
    http(&daemon).posts(LOBBY, "", "four");
    let (last, event) = reader.event_called("message");
    assert_eq!((event["text"].as_str(), event["seq"].as_u64()), (Some("four"), Some(4)));
    assert_eq!(last.unwrap().rsplit_once('-').unwrap().0, id.rsplit_once('-').unwrap().0);
}

#[test]
fn one_room_is_the_same_for_all_and_each_message_is_encoded_once_for_v1_and_once_for_v05() {
    let daemon = Daemon::start();
    let mut old = daemon.named("Old");
    let mut native = V1Client::connect(daemon.address(), "Native");
    native.asks("join", json!({"room": "lobby"}));
    let mut control = daemon.control();
    control.asks("tail", json!({"rooms": ["lobby"]}));
    let mut socket = Socket::open(&daemon);
    socket.asks("join", json!({"room": "lobby"}));
    let mut readers: Vec<Http> = (0..2).map(|_| http(&daemon)).collect();
    for reader in &mut readers {
        assert_eq!(reader.asks("GET /api/rooms/lobby/events", "").status, 200);
    }
    let mut figures = http(&daemon);
    let mut encoded = || {
        let stats = figures.gets("/api/stats").json();
        let count = |name: &str| stats["stats"][name].as_u64().unwrap();
        [count("messages"), count("encoded_v05"), count("encoded_v1"), count("deliveries")]
    };
    // Who came is told to the others before anything is counted.
    let mut script = http(&daemon);
    script.posts(LOBBY, "", "first");
    let heard = |said: &Value, text: &str| assert_eq!(said["text"], text, "{said}");
    let hear_all = |text: &str| {
        assert_eq!(old.hears_message().1, text);
        heard(&native.event_called("message"), text);
        heard(&control.event_called("message"), text);
        heard(&socket.event_called("message"), text);
        for reader in &mut readers {
            heard(&reader.event_called("message").1, text);
        }
    };
    let mut hear_all = hear_all;
    hear_all("first");
    let before = encoded();
    let count = 20;
    for number in 0..count {
        script.posts(LOBBY, "", format!("message {number}"));
        hear_all(&format!("message {number}"));
    }
    let after = encoded();
    let grown: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(grown, [count, count, count, 6 * count]);
}

#[test]
fn the_page_is_served_once_and_then_only_asked_about() {
    let daemon = Daemon::start();
    let mut browser = http(&daemon);
    let page = browser.gets("/");
    assert_eq!((page.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.field("cache-control"), Some("no-cache"));
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    let tag = page.field("etag").unwrap();
    let again = browser.asks("GET /", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.field("etag")), (304, Some(tag)));
    let head = browser.asks("HEAD /app.js", "");
    let script = browser.gets("/app.js");
    assert_eq!(head.field("content-length").unwrap(), script.body.len().to_string());
    assert_eq!(script.field("content-type"), Some("text/javascript; charset=utf-8"));
    // A link from a foreign page is followed; what it would post is not.
    let foreign = "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n";
    assert_eq!(browser.asks("GET /", foreign).status, 200);
    assert_eq!(browser.gets("/nothing.js").status, 404);
    let last = browser.asks("GET /app.js", "Connection: close\r\n");
    assert_eq!(last.body, script.body, "all of it comes before the end");
    assert_eq!(browser.until_closed(), b"");
}

#[test]
fn many_answers_wait_for_who_does_not_read_them_without_being_made() {
    let daemon = Setup::new().config("[limits]\nmessages = \"off\"").start();
    let mut browser = http(&daemon);
    let size = browser.gets("/app.js").body.len();
    let count = 4_000_000 / size;
    let mut writer = browser.stream().try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        for _ in 0..count {
            let asked = b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
            std::io::Write::write_all(&mut writer, asked).unwrap();
        }
    });
    for _ in 0..count {
        assert_eq!(browser.hears(false).body.len(), size);
    }
    asking.join().unwrap();
    let stats = http(&daemon).gets("/api/stats").json();
    assert_eq!(stats["stats"]["cut_slow"], 0, "{stats}");
}

#[test]
fn the_page_may_be_left_out_and_everything_be_below_a_path() {
    let daemon = Setup::new().config("[http]\nweb = false\nbase_path = \"/chat/\"").start();
    let mut script = http(&daemon);
    assert_eq!(script.gets("/chat/").status, 404);
    assert_eq!(script.gets("/chat/app.js").status, 404);
    assert_eq!(script.gets("/chat/healthz").status, 200);
    assert_eq!(script.gets("/healthz").status, 404);
    assert_eq!(script.gets("/chat").field("location"), Some("/chat/"));
}

#[test]
fn prometheus_can_read_the_figures() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    ada.chats("one");
    let mut scraper = http(&daemon);
    let page = tests::eventually("the message is counted", || {
        let page = scraper.gets("/metrics");
        page.text().contains("\nchatd_messages_total 1\n").then_some(page)
    });
    assert_eq!(page.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let figures = Exposition::read(page.text());
    for name in [
        "chatd_connections",
        "chatd_messages_total",
        "chatd_deliveries_total",
        "chatd_received_bytes_total",
        "chatd_cut_slow_total",
        "chatd_queue_bytes",
        "chatd_commit_seconds",
        "chatd_turn_seconds",
    ] {
        assert!(figures.families.contains_key(name), "{name} is missing");
    }
    assert_eq!(figures.families["chatd_commit_seconds"], "summary");
    let stored = figures.value("chatd_commit_seconds_count");
    assert!(stored >= 1.0 && figures.value("chatd_commit_seconds_sum") > 0.0, "{}", page.text());
    assert!(!page.text().contains("Ada"), "nobody's name is in it");
}

#[test]
fn who_posts_too_much_waits_and_nothing_is_lost() {
    let daemon = Setup::new().config("[limits]\nmessages = \"20/s\"\nmessage_burst = 5").start();
    let mut script = http(&daemon);
    let begun = Instant::now();
    for number in 0..15 {
        assert_eq!(script.posts(LOBBY, "", "x").json()["seq"], number + 1);
    }
    assert!(begun.elapsed() >= Duration::from_millis(400), "ten are beyond the burst");
}

#[test]
fn a_kicked_reader_is_told() {
    let daemon = Daemon::start();
    let mut reader = http(&daemon);
    reader.asks("GET /api/rooms/lobby/events", "");
    let listed = daemon.control().asks("connections", json!({}));
    let of_reader = listed["connections"].as_array().unwrap().iter();
    let events: Vec<&Value> = of_reader.filter(|one| one["protocol"] == "events").collect();
    assert_eq!(events.len(), 1, "{listed}");
    let id = events[0]["session"].clone();
    let reply = daemon.control().asks("kick", json!({"session": id, "reason": "enough"}));
    assert_eq!(reply["ok"], true, "{reply} {listed}");
    let bye = reader.event_called("bye").1;
    assert!(bye["reason"].as_str().unwrap().contains("enough"), "{bye}");
    assert_eq!(reader.until_closed(), b"");
}

#[test]
fn a_banned_address_loses_its_readers_and_is_kept_out() {
    let daemon = Daemon::start();
    let events = "GET /api/rooms/lobby/events";
    let from = |address: &str| Http::over(network::connect_from(address, daemon.address()));
    let (mut reader, mut other) = (from("127.0.0.2"), from("127.0.0.3"));
    let mut socket = Socket::over(&daemon, network::connect_from("127.0.0.2", daemon.address()));
    socket.asks("join", json!({"room": "lobby"}));
    for one in [&mut reader, &mut other] {
        assert_eq!(one.asks(events, "").status, 200);
    }
    let mut asking = from("127.0.0.2");
    assert_eq!(asking.gets("/healthz").status, 200);
    let ban = json!({"network": "127.0.0.2/32", "reason": "enough"});
    let reply = daemon.control().asks("ban", ban);
    assert_eq!((&reply["ok"], &reply["closed"]), (&json!(true), &json!(3)), "{reply}");
    let bye = reader.event_called("bye").1;
    assert!(bye["reason"].as_str().unwrap().contains("enough"), "{bye}");
    assert_eq!(reader.until_closed(), b"");
    let bye = socket.event_called("bye");
    assert!(bye["reason"].as_str().unwrap().contains("enough"), "{bye}");
    assert_eq!(socket.closes().code, CloseCode::Policy);
    assert_eq!(asking.until_closed(), b"", "it had asked for nothing");
    // The next is closed before it is known what it speaks; whoever comes from elsewhere is none of it.
    let mut next = from("127.0.0.2");
    let _ = next.stream().write_all(format!("{events} HTTP/1.1\r\n\r\n").as_bytes());
    assert_eq!(next.until_closed(), b"");
    assert_eq!(http(&daemon).posts(LOBBY, "", "still here").status, 200);
    assert_eq!(other.event_called("message").1["text"], "still here");
    let reply = daemon.control().asks("unban", json!({"network": "127.0.0.2/32"}));
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!(from("127.0.0.2").asks(events, "").status, 200);
}
