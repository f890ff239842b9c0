//! Whatever happens in whatever order: no assertion fires, every invariant holds after each input, memory keeps within its
//! limits, and at the end nothing is left.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use proto::{Span, Transport};

use crate::testing::{StoreMode, Turn, chat, keepalive, nick};
use crate::{ConnId, HangUp, Peer, Quota, Rights, Settings};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// From which address.
    Dial(u8),
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
        2 => (0_u8..3).prop_map(Step::Dial),
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
            nick_changes: store.map(|_| Quota { count: 2, span: Span::from_secs(1) }),
            ..Settings::default()
        },
    )
}

/// Something to say, by its number.
fn words(what: u8, native: bool) -> Vec<u8> {
    let room = ["lobby", "ops", "dev", "x"][usize::from(what >> 3 & 3)];
    if native {
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

fn at(place: u8) -> Peer {
    let ip = core::net::IpAddr::from([192, 0, 2, place]);
    Peer {
        transport: Transport::Stream,
        address: format!("{ip}:1").into(),
        ip: Some(ip),
        login: None,
        rights: Rights::TALK,
        exempt: false,
    }
}

fn act(turn: &mut Turn, all: &mut Vec<(ConnId, bool)>, step: Step) {
    let whom = |who: usize, all: &[(ConnId, bool)]| all.get(who % all.len().max(1)).copied();
    match step {
        Step::Dial(from) => all.extend(turn.arrive(at(from)).map(|id| (id, true))),
        Step::Control => all.push((turn.control("root"), false)),
        Step::Say(who, what, pieces) => {
            let Some((id, native)) = whom(who, all) else { return };
            let bytes = words(what, native);
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
