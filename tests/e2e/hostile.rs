//! Hostile clients, each kind beside two witnesses who chat meanwhile and must notice nothing: everything in order, nothing twice, nothing
//! lost. How fast it stays is measured by `bench/run hostile`.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::json;
use tests::{Daemon, Heard, Setup, V1Client, eventually};

/// What the witnesses say at least.
const MESSAGES_MIN: u64 = 50;

/// A daemon with small limits, so that they are reached; the witnesses have no rate limits.
fn daemon(limits: &str) -> Daemon {
    let lines = format!("[limits]\nmessages = \"off\"\nbytes = \"off\"\nexempt = []\n{limits}\n");
    Setup::new().config(&lines).start()
}

/// Lets the witnesses chat until `attack` is over.
fn beside_witnesses(daemon: &Daemon, attack: impl FnOnce(&Daemon)) {
    let over = AtomicBool::new(false);
    let mut speaker = V1Client::connect(daemon.address(), "Witness One");
    let mut hearer = V1Client::connect(daemon.address(), "Witness Two");
    for witness in [&mut speaker, &mut hearer] {
        assert_eq!(witness.asks("join", json!({"room": "witnesses"}))["ok"], true);
    }
    thread::scope(|scope| {
        let speaks = scope.spawn(|| {
            let mut said = 0;
            while said < MESSAGES_MIN || !over.load(Ordering::SeqCst) {
                said += 1;
                assert_eq!(speaker.posts("witnesses", &said.to_string()), said);
                // Who says nothing for the idle limit is closed.
                hearer.sends("ping", json!({}));
                let heard = hearer.event_called("message");
                assert_eq!(
                    (&heard["seq"], &heard["text"]),
                    (&json!(said), &json!(said.to_string()))
                );
            }
        });
        attack(daemon);
        over.store(true, Ordering::SeqCst);
        speaks.join().unwrap();
    });
    assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
}

/// Room messages that fill the queues of who does not read.
fn shouts(daemon: &Daemon, count: usize) {
    let mut ops = daemon.control();
    for number in 0..count {
        ops.posts("lobby", &format!("{number} {}", "x".repeat(8_000)));
    }
}

/// A connection with little place for what it never reads.
fn deaf(daemon: &Daemon) -> TcpStream {
    let mut native = daemon.native();
    setsockopt(native.stream(), sockopt::RcvBuf, &4096).unwrap();
    native.sends(&tests::native::frame(2, &[]));
    native.stream().try_clone().unwrap()
}

/// A frame that has begun and never ends.
const HALF_A_CHAT: &[u8] = &[0, 0, 3, 0xee, 0, 0, 0, 0, 3, 0xe8, b'x'];

#[test]
fn one_that_never_reads() {
    let daemon = daemon("outbox = \"512KiB\"");
    beside_witnesses(&daemon, |daemon| {
        let _deaf = deaf(daemon);
        shouts(daemon, 100);
        daemon.logs(&["outbox_full"]);
    });
}

#[test]
fn many_that_never_read_share_one_budget() {
    let daemon = daemon("outbox = \"off\"\nstore = \"2MiB\"");
    beside_witnesses(&daemon, |daemon| {
        let _deaf: Vec<_> = (0..60).map(|_| deaf(daemon)).collect();
        shouts(daemon, 400);
        daemon.logs(&["memory_budget"]);
        let stats = daemon.control().asks("stats", json!({}))["stats"].clone();
        let queued =
            stats["block_bytes"].as_u64().unwrap() + stats["private_bytes"].as_u64().unwrap();
        assert!(queued <= 2 << 20, "{stats}");
    });
}

#[test]
fn frames_that_never_end_are_cut_in_their_time() {
    let daemon = daemon("frame_timeout = \"400ms\"");
    beside_witnesses(&daemon, |daemon| {
        let mut slow: Vec<_> = (0..200).map(|_| daemon.native()).collect();
        for native in &mut slow {
            native.sends(HALF_A_CHAT);
        }
        for mut native in slow {
            assert_eq!(native.until_closed(), []);
        }
        daemon.logs(&["frame_timeout"]);
    });
}

#[test]
fn a_crowd_whose_time_is_up_at_once() {
    let lines = "[keepalive]\ninterval = \"200ms\"\nidle = \"1s\"\n";
    let daemon = Setup::new().config(lines).start();
    let mut crowd: Vec<_> = (0..400).map(|_| daemon.native()).collect();
    let attack = |daemon: &Daemon| {
        for native in &mut crowd {
            native.sends(&tests::native::frame(2, &[]));
        }
        for native in &mut crowd {
            native.until_closed();
        }
        daemon.logs(&["idle"]);
    };
    // The witnesses are quicker than the idle limit.
    beside_witnesses(&daemon, attack);
}

#[test]
fn those_who_come_and_go_leave_no_descriptor() {
    let daemon = daemon("");
    // Who answers has opened all that it opens at its start.
    let mut ops = daemon.control();
    assert_eq!(ops.asks("ping", json!({}))["ok"], true);
    let before = daemon.descriptors();
    beside_witnesses(&daemon, |daemon| {
        for number in 0..1_000 {
            let mut native = daemon.native();
            match number % 3 {
                0 => {}
                1 => native.sends(&tests::native::frame(2, &[])),
                _ => native.sends(HALF_A_CHAT),
            }
        }
    });
    eventually("every descriptor is given back", || {
        // The witnesses and the last look at the daemon may still be closing.
        (daemon.descriptors() <= before + 1).then_some(())
    });
}

#[test]
fn a_flood_is_slowed_by_not_being_read() {
    let lines = "[limits]\nmessages = \"200/s\"\nmessage_burst = 40\n";
    let daemon = Setup::new().config(lines).start();
    beside_witnesses(&daemon, |daemon| {
        let mut bob = daemon.named("Bob");
        let mut flood = daemon.named("Flood");
        let many: Vec<u8> =
            (0..300).flat_map(|n| tests::native::chat(format!("{n}").as_bytes())).collect();
        flood.sends(&many);
        for number in 0..300 {
            bob.hears_that("Flood", &number.to_string());
        }
    });
}

#[test]
fn frames_of_all_wrong_kinds_close_only_their_sender() {
    let daemon = daemon("");
    let wrong: [&[u8]; 8] = [
        &[0, 0, 0, 3],
        &[0, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0, 0, 0, 8, 0, 0, 0, 0, 0, 200, b'h', b'i'],
        &[0, 0, 0, 5, 0, 0, 0, 2, 0],
        &[0, 0, 0, 20, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0xf0, 0, 0, 0, 0, 0, 16],
        &[0xff; 64],
        b"\x16\x03\x01\x02\x00",
    ];
    beside_witnesses(&daemon, |daemon| {
        for _ in 0..20 {
            for bytes in wrong {
                let mut native = daemon.native();
                native.sends(bytes);
                native.bytes_until_closed();
            }
        }
    });
}

#[test]
fn a_v1_frame_that_is_no_request_is_answered_and_the_next_one_is_understood() {
    let daemon = daemon("");
    beside_witnesses(&daemon, |daemon| {
        let mut mallory = daemon.native();
        for json in [&b"not json"[..], b"[]", b"\xff\xfe", b"{\"request\":\"hello\"", b"", b"{}"] {
            mallory.sends(&tests::native::frame(16, json));
        }
        mallory.sends(&tests::native::frame(16, b"{\"request\":\"hello\",\"id\":\"last\"}"));
        mallory.finishes();
        let said = String::from_utf8_lossy(&mallory.bytes_until_closed()).into_owned();
        assert_eq!(said.matches("bad_request").count(), 6, "{said}");
        assert!(said.contains("\"reply\":\"last\",\"ok\":true"), "{said}");
    });
}

#[test]
fn names_that_look_like_others_or_drive_terminals_are_refused() {
    let daemon = daemon("");
    beside_witnesses(&daemon, |daemon| {
        let mut mallory = daemon.native();
        let names = [
            "witness one",
            "WITNESS ONE",
            "Witness\u{a0}One",
            "W\u{456}tness One",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{1b}[2J",
            "a\nb",
        ];
        for (request, name) in (1..).zip(names) {
            assert!(
                matches!(mallory.asks_nick(request, name.as_bytes()), Heard::Nak(..)),
                "{name:?}"
            );
        }
    });
    let log = daemon.log();
    assert!(log.bytes().all(|byte| byte == b'\n' || !byte.is_ascii_control()), "{log:?}");
}

#[test]
fn without_descriptors_those_who_are_there_go_on() {
    let daemon =
        Setup::new().config("[limits]\nconnections = \"off\"\n").descriptors_max(40).start();
    beside_witnesses(&daemon, |daemon| {
        let _crowd: Vec<_> =
            (0..80).filter_map(|_| TcpStream::connect(daemon.address()).ok()).collect();
        daemon.logs(&["cannot accept"]);
    });
}

/// As much as one may say at once, of octets that come out as three each: whoever reads gets it, and is not cut for it.
#[test]
fn a_burst_within_its_quota_cuts_nobody_who_reads() {
    const CHATS: usize = 12;
    let daemon = Setup::new().config("[keepalive]\nidle = \"60s\"").start();
    let mut readers: Vec<_> = (0..8).map(|n| daemon.named(&format!("reader-{n}"))).collect();
    let mut burst = daemon.named("Burst");
    thread::scope(|scope| {
        for reader in &mut readers {
            scope.spawn(|| {
                let mut bytes = 0;
                while bytes < CHATS * 3 * 65_530 {
                    bytes += reader.hears_message().1.len();
                }
                assert_eq!(bytes, CHATS * 3 * 65_530);
            });
        }
        for _ in 0..CHATS {
            burst.sends(&tests::native::chat(&vec![0xff; 65_530]));
        }
    });
    let stats = daemon.control().asks("stats", json!({}))["stats"].clone();
    assert_eq!(stats["cut_slow"], 0, "{stats}");
}

/// What was written before the end arrives, also at a peer that said something that nobody reads any more.
#[test]
fn what_is_written_at_the_end_is_not_lost_by_a_last_keepalive() {
    let mut daemon = Setup::new().start();
    let mut bob = daemon.named("Bob");
    let mut ops = daemon.control();
    for number in 0..20 {
        ops.posts("lobby", &format!("{number} {}", "x".repeat(2_000)));
    }
    bob.sends(&tests::native::frame(2, &[]));
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(daemon.ends().code(), Some(0));
    assert_eq!(bob.until_closed().len(), 20);
}
