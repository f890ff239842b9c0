//! Whatever happens in whatever order: no assertion fires, every invariant holds after each input, memory keeps within its
//! limits, and at the end nothing is left.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use proto::http::{Asset, PAGE};
use proto::{Protocols, Span, Transport, ws};

use crate::testing::{StoreMode, Turn, chat, keepalive, nick};
use crate::{ConnId, HangUp, Peer, Quota, Rights, Settings, Website};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Native,
    /// The same, behind a PROXY header.
    Proxied,
    Control,
    Web,
    Socket,
    Echo,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// From which address, as what.
    Dial(u8, Sort),
    Control,
    /// Who, what, in how many pieces.
    Say(usize, u8, usize),
    HangUp(usize, bool),
    Read(usize, usize),
    Answer(usize, bool),
    Store(bool),
    Wait(u64),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..3, sort()).prop_map(|(from, sort)| Step::Dial(from, sort)),
        1 => Just(Step::Control),
        14 => (0_usize..12, any::<u8>(), 1_usize..4).prop_map(|(who, what, pieces)| Step::Say(who, what, pieces)),
        1 => (0_usize..12, any::<bool>()).prop_map(|(who, end)| Step::HangUp(who, end)),
        6 => (0_usize..12, 1_usize..3_000).prop_map(|(who, most)| Step::Read(who, most)),
        3 => (0_usize..6, proptest::bool::weighted(0.9)).prop_map(|(count, stored)| Step::Answer(count, stored)),
        1 => any::<bool>().prop_map(Step::Store),
        2 => (1_u64..3_000).prop_map(Step::Wait),
        4 => Just(Step::Settle),
    ]
}

fn sort() -> impl Strategy<Value = Sort> {
    prop_oneof![
        6 => Just(Sort::Native),
        1 => Just(Sort::Proxied),
        2 => Just(Sort::Web),
        2 => Just(Sort::Socket),
        1 => Just(Sort::Echo),
    ]
}

/// A page that is larger than what may wait.
static ASSETS: [Asset; 1] =
    [Asset { name: PAGE, content_type: "text/html", etag: String::new(), bytes: &[b'x'; 100_000] }];

fn website() -> Website {
    Website {
        trusted_proxies: std::vec!["192.0.2.2".parse().unwrap()],
        assets: &ASSETS,
        echo: Some("/echo".into()),
        ..Website::default()
    }
}

fn limits() -> impl Strategy<Value = Settings> {
    let some = |range: core::ops::Range<usize>| proptest::option::weighted(0.7, range);
    (some(600..8_000), some(2_000..20_000), some(0..3_000), some(2..5), some(1..3)).prop_map(
        |(outbox, store, recent, rooms, rooms_joined)| Settings {
            outbox,
            store,
            recent,
            rooms,
            rooms_joined,
            messages_per_s: Some(50),
            message_burst: 20,
            clients_per_ip: rooms_joined.map(|_| 4),
            accept_rate: rooms.map(|_| Quota { count: 5, span: Span::from_secs(1) }),
            accept_burst: 4,
            fanout_per_s: outbox.map(|outbox| u32::try_from(outbox).unwrap()),
            fanout_burst: 2_000,
            web: website(),
            nick_changes: store.map(|_| Quota { count: 2, span: Span::from_secs(1) }),
            ..Settings::default()
        },
    )
}

/// Something to say, by its number.
fn words(what: u8, sort: Sort) -> Vec<u8> {
    let room = ["lobby", "ops", "dev", "x"][usize::from(what >> 3 & 3)];
    match sort {
        Sort::Web => return web(what, room),
        Sort::Socket => return frame(what, &request(what.rotate_left(3), room)),
        Sort::Echo => return frame(what, &"again ".repeat(usize::from(what) * 3)),
        Sort::Native | Sort::Proxied | Sort::Control => {}
    }
    if sort != Sort::Control {
        return match what & 7 {
            0 => nick(what, &format!("n{}", what >> 6)),
            1 => keepalive(),
            2 => chat(&"long ".repeat(usize::from(what) * 5)),
            3 => [chat("two"), chat("at once")].concat(),
            4 if what > 250 => std::vec![0, 0, 0, 1],
            5 | 6 => v1_frame(&request(what.rotate_left(3), room)),
            _ => chat("short"),
        };
    }
    format!("{}\n", request(what, room)).into_bytes()
}

/// A request over HTTP, or two, or something like one.
fn web(what: u8, room: &str) -> Vec<u8> {
    let fields = format!("Host: localhost\r\nX-Forwarded-For: 203.0.113.{}\r\n", what >> 6);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{fields}\r\n");
    let post = format!("POST /api/rooms/{room}/messages HTTP/1.1\r\n{fields}");
    match what & 7 {
        0 => get("/"),
        1 => [get("/healthz"), get("/"), get("/metrics")].concat(),
        2 => get(&format!("/api/rooms/{room}/messages?limit=2")),
        3 => format!("{post}X-Message-Id: 00000000-0000-4000-8000-0000000000{what:02x}\r\nContent-Length: 2\r\n\r\nhi"),
        4 if what > 150 => get(&format!("/api/rooms/{room}/events?after={}", what >> 6)),
        4 => get(&format!("/api/rooms/{room}/messages/{}", what >> 4)),
        5 => format!("{post}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nhey\r\n0\r\n\r\n"),
        6 if what > 200 => get("/healthz").replace("localhost", "evil.example"),
        6 if what > 150 => format!("HEAD / HTTP/1.1\r\nConnection: close\r\n{fields}\r\n"),
        7 if what > 220 => format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
        _ => format!("{post}Content-Length: 5\r\n\r\nhello"),
    }
    .into_bytes()
}

/// A frame of a WebSocket: most have this text.
fn frame(what: u8, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let opcode = match what & 31 {
        0 => ws::Opcode::Ping,
        1 => ws::Opcode::Pong,
        2 if what > 150 => ws::Opcode::Close,
        3 if what > 150 => ws::Opcode::Binary,
        _ => ws::Opcode::Text,
    };
    let is_control = matches!(what & 31, 0 | 1);
    let text = if is_control { "p" } else { text };
    ws::masked_frame(opcode, text.as_bytes(), [what; 4], &mut out);
    out
}

/// What a connection says first.
fn first(sort: Sort, place: u8) -> String {
    let path = match sort {
        Sort::Native | Sort::Control | Sort::Web => return String::new(),
        Sort::Proxied => return format!("PROXY TCP4 203.0.113.{place} 192.0.2.1 1 2\r\n"),
        Sort::Socket => "/ws",
        Sort::Echo => "/echo",
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A frame of type 16.
fn v1_frame(json: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    proto::native::v1_frame(json.as_bytes(), &mut frame);
    frame
}

/// Something to ask for, by its number.
fn request(what: u8, room: &str) -> String {
    let id = format!("00000000-0000-4000-8000-0000000000{what:02x}");
    let who = format!("n{}", what >> 6);
    match what & 15 {
        8 => format!(r#"{{"request":"hello","id":"{id}"}}"#),
        9 => format!(r#"{{"request":"nick","id":"{id}","nick":"{who}"}}"#),
        10 => format!(r#"{{"request":"join","id":"{id}","room":"{room}","after":{}}}"#, what >> 6),
        11 => {
            format!(r#"{{"request":"tail","id":"{id}","rooms":["{room}"],"after":{}}}"#, what >> 6)
        }
        12 => format!(
            r#"{{"request":"post","id":"{id}","to":"{who}","text":"to you","receipt":true}}"#
        ),
        13 => format!(
            r#"{{"request":"receipt","id":"{id}","message_id":"00000000-0000-4000-8000-0000000000{:02x}"}}"#,
            what.rotate_left(2)
        ),
        14 => match what >> 4 {
            0..4 => {
                format!(r#"{{"request":"topic","id":"{id}","room":"{room}","topic":"t{what}"}}"#)
            }
            4..7 => format!(r#"{{"request":"bridge","id":"{id}","turns":"any"}}"#),
            7..10 => format!(r#"{{"request":"bridge","id":"{id}","peer":"{who}","turns":"yes"}}"#),
            10..12 => format!(r#"{{"request":"chat","id":"{id}"}}"#),
            12..14 => format!(r#"{{"request":"say","id":"{id}","text":"in a talk"}}"#),
            14 => format!(r#"{{"request":"pass","id":"{id}"}}"#),
            _ => format!(r#"{{"request":"hangup","id":"{id}"}}"#),
        },
        15 => match what >> 4 {
            0..4 => format!(r#"{{"request":"away","id":"{id}","text":"lunch"}}"#),
            4..6 => format!(r#"{{"request":"kick","id":"{id}","nick":"{who}","reason":"noise"}}"#),
            6..8 => format!(r#"{{"request":"ban","id":"{id}","nick":"{who}","seconds":2}}"#),
            8 => format!(r#"{{"request":"unban","id":"{id}","nick":"{who}"}}"#),
            9..11 => format!(r#"{{"request":"announce","id":"{id}","text":"hear"}}"#),
            11..13 => format!(r#"{{"request":"connections","id":"{id}"}}"#),
            _ => format!(r#"{{"request":"whois","id":"{id}","nick":"{who}"}}"#),
        },
        0 => format!(r#"{{"request":"join","id":"{id}","room":"{room}"}}"#),
        1 => format!(r#"{{"request":"leave","id":"{id}","room":"{room}"}}"#),
        2 => format!(r#"{{"request":"tail","id":"{id}","rooms":["{room}"],"last":{what}}}"#),
        3 if what > 200 => format!(r#"{{"request":"tail","id":"{id}"}}"#),
        3 => format!(r#"{{"request":"history","id":"{id}","room":"{room}"}}"#),
        4 => format!(
            r#"{{"request":"{}","id":"{id}"}}"#,
            ["stats", "rooms", "ping", "?"][usize::from(what >> 6)]
        ),
        _ => format!(r#"{{"request":"post","id":"{id}","room":"{room}","text":"said"}}"#),
    }
}

fn at(place: u8, sort: Sort) -> Peer {
    let ip = core::net::IpAddr::from([192, 0, 2, place]);
    let is_proxied = sort == Sort::Proxied;
    Peer {
        transport: if is_proxied { Transport::Proxied } else { Transport::Stream },
        address: format!("{ip}:1").into(),
        ip: Some(ip),
        login: None,
        rights: Rights::TALK,
        exempt: false,
        // From one of the addresses to a listener that is for some only.
        protocols: match place {
            2 => Protocols::named(["v1", "websocket"]).unwrap(),
            _ => Protocols::ALL,
        },
    }
}

fn act(turn: &mut Turn, all: &mut Vec<(ConnId, Sort)>, step: Step) {
    let whom = |who: usize, all: &[(ConnId, Sort)]| all.get(who % all.len().max(1)).copied();
    match step {
        Step::Dial(from, sort) => {
            let Ok(id) = turn.arrive(at(from, sort)) else { return };
            all.push((id, sort));
            turn.say_more(id, first(sort, from).as_bytes());
        }
        Step::Control => all.push((turn.control("root"), Sort::Control)),
        Step::Say(who, what, pieces) => {
            let Some((id, sort)) = whom(who, all) else { return };
            let bytes = words(what, sort);
            for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
                if turn.hub.wants_read(id) {
                    turn.say_more(id, piece);
                }
            }
        }
        Step::HangUp(who, end) => {
            let Some((id, _)) = whom(who, all) else { return };
            turn.hang_up(id, if end { HangUp::Eof } else { HangUp::Reset });
        }
        Step::Read(who, most) => {
            let Some((id, _)) = whom(who, all) else { return };
            turn.read_some(id, most);
        }
        Step::Answer(count, stored) => turn.answer(count.min(turn.held.len()), stored),
        Step::Store(holds) => {
            turn.store = if holds { StoreMode::Holds } else { StoreMode::AtOnce };
        }
        Step::Wait(millis) => turn.wait(millis),
        Step::Settle => turn.settle(),
    }
    let memory = turn.hub.memory();
    let settings = turn.hub.settings();
    assert!(settings.recent.is_none_or(|limit| memory.recent_bytes <= limit));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]
    #[test]
    fn no_order_of_inputs_breaks_an_invariant(
        settings in limits(),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut turn = Turn::new(settings);
        let mut all = Vec::new();
        for step in steps {
            act(&mut turn, &mut all, step);
        }
        turn.settle();
        let memory = turn.hub.memory();
        let limit = turn.hub.settings().store.unwrap_or(usize::MAX);
        prop_assert!(memory.blocks_bytes + memory.private_bytes <= limit);
        turn.stop();
        turn.answer(turn.held.len(), true);
        turn.wait(10_100);
        let memory = turn.hub.memory();
        prop_assert!(turn.hub.is_empty(), "everybody has left");
        prop_assert_eq!((memory.blocks, memory.timers, memory.kept_bytes), (0, 0, 0));
    }
}
