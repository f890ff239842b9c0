//! Hostile clients, each kind beside two witnesses who chat meanwhile and must notice nothing. Peers that are gone without a word are
//! in `half_open`; how fast it stays on a quiet machine is measured by `bench/run hostile`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::json;
use tests::{Control, Daemon, Heard, Native, Setup, eventually, network};

use crate::witnesses::{beside_witnesses, beside_witnesses_called};

/// What a busy machine may add to any deadline before it is the daemon's fault.
pub(crate) const SLACK: Duration = Duration::from_millis(1_500);

/// Small limits, so that they are reached; the witnesses have no rate limits.
pub(crate) fn setup(limits: &str) -> Setup {
    // What is measured is the loop: a disk that others use, too, is none of its doing.
    let history = if limits.contains("[history]\n") { "" } else { "[history]\n" };
    let lines =
        format!("[limits]\nmessages = \"off\"\nbytes = \"off\"\nexempt = []\n{limits}\n{history}");
    let lines = lines.replace("[history]\n", "[history]\ndurability = \"none\"\n");
    Setup::new().config(&lines)
}

fn daemon(limits: &str) -> Daemon {
    setup(limits).start()
}

/// A number that the daemon counts.
fn counted(daemon: &Daemon, name: &str) -> u64 {
    let reply = daemon.control().asks("stats", json!({}));
    reply["stats"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {reply}"))
}

/// Room messages that fill the queues of who does not read.
pub(crate) fn shouts(ops: &mut Control, count: usize) {
    for number in 0..count {
        ops.posts("lobby", &format!("{number} {}", "x".repeat(8_000)));
    }
}

/// A connection with little place for what it never reads.
fn deaf(daemon: &Daemon) -> Native {
    let mut native = daemon.native();
    setsockopt(native.stream(), sockopt::RcvBuf, &4096).unwrap();
    native.sends(&tests::native::frame(2, &[]));
    native
}

/// A frame that has begun and never ends.
const HALF_A_CHAT: &[u8] = &[0, 0, 3, 0xee, 0, 0, 0, 0, 3, 0xe8, b'x'];

#[test]
fn one_that_never_reads() {
    let daemon = daemon("outbox = \"512KiB\"");
    beside_witnesses(&daemon, |daemon| {
        let _deaf = deaf(daemon);
        shouts(&mut daemon.control(), 100);
        daemon.logs(&["outbox_full"]);
    });
}

/// What all receivers may have waiting in chatd, and what the rooms remember, in the next test.
const STORE: u64 = 2 << 20;
const RECENT: u64 = 1 << 20;
/// What chatd itself has for one connection, generously, and what an allocator keeps that nobody uses.
const BY_CONNECTION: u64 = 16 << 10;
const SPARE: u64 = 8 << 20;
/// What the kernel may have for one connection of the daemon: the send buffer and the receive buffer of 64 KiB, which it counts twice
/// for its own needs, and one piece more that passes them.
const SOCKET: u64 = 4 * (64 << 10) + (64 << 10);

/// The memory of the kernel for the sockets of the daemon's side.
fn socket_memory(daemon: &Daemon) -> Option<u64> {
    let local = format!("sport = :{}", daemon.address().port());
    let sockets = Command::new("ss").args(["-tmnH", "state", "all", &local]).output().ok()?;
    let text = String::from_utf8(sockets.stdout).ok()?;
    // skmem:(r0,rb131072,t0,tb131072,f0,w0,o0,bl0,d0): what was received, what is to be sent, what is set aside, options, backlog.
    let of = |list: &str| -> u64 {
        let used = |part: &str| {
            ["r", "w", "f", "o", "bl"]
                .into_iter()
                .find_map(|key| part.strip_prefix(key)?.parse::<u64>().ok())
        };
        list.split(',').filter_map(used).sum::<u64>()
    };
    let lists = text.split("skmem:(").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    Some(lists.map(of).sum())
}

#[test]
fn many_that_never_read_share_one_budget() {
    const DEAF: u64 = 60;
    let limits = "outbox = \"off\"\nstore = \"2MiB\"\n[history]\nrecent = \"1MiB\"";
    let daemon = daemon(limits);
    beside_witnesses(&daemon, |daemon| {
        let before = daemon.resident_bytes();
        let _deaf: Vec<_> = (0..DEAF).map(|_| deaf(daemon)).collect();
        let (mut resident, mut sockets) = (0, 0);
        let mut ops = daemon.control();
        for _ in 0..10 {
            shouts(&mut ops, 40);
            resident = resident.max(daemon.resident_bytes());
            sockets = sockets.max(socket_memory(daemon).unwrap_or(u64::MAX));
        }
        daemon.logs(&["memory_budget"]);
        let queued = counted(daemon, "block_bytes") + counted(daemon, "private_bytes");
        assert!(queued <= STORE, "{queued} bytes wait");
        let grown = resident.saturating_sub(before);
        let budget = STORE + RECENT + DEAF * BY_CONNECTION + SPARE;
        assert!(grown <= budget, "{grown} bytes of memory more, {budget} may be");
        // The deaf, the witnesses and who looks; all of it together far below what the kernel would let one have.
        let budget = (DEAF + 5) * SOCKET;
        assert!(sockets > 0 && sockets <= budget, "{sockets} bytes in sockets, {budget} may be");
    });
}

/// Each sends a byte now and then, and has so much time for a whole frame all the same.
#[test]
fn frames_that_never_end_are_cut_in_their_time() {
    const TIME: Duration = Duration::from_millis(400);
    let daemon = daemon("frame_timeout = \"400ms\"");
    beside_witnesses(&daemon, |daemon| {
        let mut slow: Vec<_> = (0..200).map(|_| (daemon.native(), Instant::now())).collect();
        for (native, begun) in &mut slow {
            *begun = Instant::now();
            native.sends(HALF_A_CHAT);
            native.stream().set_nonblocking(true).unwrap();
        }
        let mut cut = Vec::new();
        eventually("all are cut", || {
            slow.retain(|(native, begun)| {
                let lives = goes_on(native.stream());
                if !lives {
                    cut.push(begun.elapsed());
                }
                lives
            });
            // A byte of each some ten times in its life.
            let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(40_u8));
            slow.is_empty().then_some(())
        });
        let (first, last) = (cut.iter().min().unwrap(), cut.iter().max().unwrap());
        assert!(*first >= TIME && *last <= TIME + SLACK, "cut after {first:?} to {last:?}");
        assert_eq!(cut.len(), 200);
        daemon.logs(&["frame_timeout"]);
    });
}

/// Sends one byte more of a frame; whether the connection is still there.
fn goes_on(mut stream: &TcpStream) -> bool {
    let there = |result: io::Result<usize>| match result {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    there(stream.read(&mut [0; 64])) && there(stream.write(b"x"))
}

/// Closing one takes microseconds; however many are due, a turn does only some. A debug build looks through its whole state, on a machine
/// that may give the processor to others meanwhile.
const TURN_MAX_US: u64 = 250_000;

#[test]
fn a_crowd_whose_time_is_up_at_once() {
    let daemon = daemon("[keepalive]\ninterval = \"200ms\"\nidle = \"1s\"");
    // The witnesses are quicker than the idle limit.
    beside_witnesses(&daemon, |daemon| {
        let mut crowd: Vec<_> = (0..400).map(|_| daemon.native()).collect();
        for native in &mut crowd {
            native.sends(&tests::native::frame(2, &[]));
        }
        for native in &mut crowd {
            native.until_closed();
        }
        daemon.logs(&["idle"]);
        let longest = counted(daemon, "turn_longest_us");
        assert!((1..=TURN_MAX_US).contains(&longest), "a turn took {longest} us");
    });
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

/// The witnesses' address has no limits, the flood's has.
#[test]
fn a_flood_is_slowed_by_not_being_read() {
    let limits = "messages = \"200/s\"\nmessage_burst = 40\nexempt = [\"127.0.0.1\"]";
    let daemon = Setup::new().config(&format!("[limits]\n{limits}\n")).start();
    beside_witnesses(&daemon, |daemon| {
        let mut bob = daemon.named("Bob");
        let mut flood = Native::over(network::connect_from("127.0.0.2", daemon.address()));
        flood.takes_nick("Flood");
        let many: Vec<u8> =
            (0..300).flat_map(|n| tests::native::chat(format!("{n}").as_bytes())).collect();
        let begun = Instant::now();
        flood.sends(&many);
        for number in 0..300 {
            bob.hears_that("Flood", &number.to_string());
        }
        // 40 at once, and 260 at 200 a second.
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(1_250), "300 messages came through in {took:?}");
    });
}

#[test]
fn frames_of_all_wrong_kinds_close_only_their_sender() {
    let daemon = daemon("");
    let wrong: [&[u8]; 9] = include!("../malformed.in");
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
fn a_name_that_looks_like_a_witness_is_taken() {
    let daemon = daemon("[names]\ncharset = \"unicode\"");
    beside_witnesses_called(&daemon, ["PayPal", "Wit Ness"], |daemon| {
        let mut mallory = daemon.native();
        let alike = [
            "paypal",
            "PAYPAL",
            "PayPaI",
            "P\u{430}yPal",
            "\u{420}\u{430}yPal",
            "Pa\u{443}Pal",
            "\u{ff30}ayPal",
        ];
        for (request, name) in (1..).zip(alike) {
            let Heard::Nak(_, said) = mallory.asks_nick(request, name.as_bytes()) else {
                panic!("{name:?} is taken by somebody else")
            };
            assert_eq!(said, "Nickname already taken.", "{name:?}");
        }
        // The alphabet itself is no offence.
        assert_eq!(
            mallory.asks_nick(99, "\u{41f}\u{430}\u{432}\u{435}\u{43b}".as_bytes()),
            Heard::Ack([99; 16])
        );
    });
}

/// What the log makes of such text where it comes in otherwise is a unit test of chatd's log.
#[test]
fn names_that_drive_terminals_are_refused() {
    for charset in ["ascii", "unicode"] {
        let daemon = daemon(&format!("nick_changes = \"off\"\n[names]\ncharset = \"{charset}\""));
        beside_witnesses(&daemon, |daemon| {
            let mut mallory = daemon.native();
            let names = [
                "\u{1b}[2J",
                "a\nb",
                "a\rb",
                "a\0b",
                "\u{9b}31m",
                "\u{7f}",
                "a\u{202e}b",
                "a\u{200b}",
                "a\u{2028}b",
                "a\u{2066}b",
            ];
            for (request, name) in (1..).zip(names) {
                let Heard::Nak(_, said) = mallory.asks_nick(request, name.as_bytes()) else {
                    panic!("{name:?} is no name")
                };
                let wrong = name.chars().find(|c| !proto::is_printable(*c)).unwrap();
                assert!(said.contains(&format!("U+{:04X}", u32::from(wrong))), "{name:?}: {said}");
            }
        });
    }
}

#[test]
fn without_descriptors_those_who_are_there_go_on_and_others_come_in_soon_after() {
    let daemon = setup("connections = \"off\"").descriptors_max(40).start();
    beside_witnesses(&daemon, |daemon| {
        let crowd: Vec<_> =
            (0..80).filter_map(|_| TcpStream::connect(daemon.address()).ok()).collect();
        daemon.logs(&["cannot accept"]);
        let begun = Instant::now();
        drop(crowd);
        eventually("there are descriptors again", || crate::limits::kept(daemon, "Late"));
        let took = begun.elapsed();
        // It looks again after 100 ms; a second is promised.
        assert!(took <= Duration::from_secs(1) + SLACK, "nobody came in for {took:?}");
    });
}

/// As much as one may say at once, of octets that come out as three each: whoever reads gets it, and is not cut for it. The outbox is
/// half as large again as the quota, so that readers whom a busy machine does not let run for a while are none who do not read.
#[test]
fn a_burst_within_its_quota_cuts_nobody_who_reads() {
    const CHATS: usize = 12;
    let lines = "[limits]\noutbox = \"1536KiB\"\n[keepalive]\nidle = \"60s\"";
    let daemon = Setup::new().config(lines).start();
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

/// Direct messages of characters that take six bytes each: those that are acknowledged arrive, and nobody is cut.
#[test]
fn a_burst_of_direct_messages_cuts_nobody() {
    let daemon =
        Setup::new().config("[limits]\nbytes = \"off\"\n[keepalive]\nidle = \"60s\"").start();
    let mut victim = tests::V1Client::connect(daemon.address(), "Victim");
    let mut mallory = tests::V1Client::connect(daemon.address(), "Mallory");
    let (text, data) = ("\0".repeat(65_530), format!("{}AA==", "AAAA".repeat(21_843)));
    let mut acknowledged = 0;
    for number in 0..12 {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let reply = mallory.asks("post", json!({"id": id, "to": "Victim", "data": data}));
        if reply["ok"] == true {
            acknowledged += 1;
        } else {
            assert_eq!(reply["error"], "limit_reached", "{reply}");
        }
    }
    for _ in 0..acknowledged {
        assert_eq!(victim.event_called("message")["text"], text);
    }
    assert_eq!(victim.asks("ping", json!({}))["ok"], true);
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
