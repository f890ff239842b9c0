//! Two peers and no network: what each hears of the other, in any pieces and whatever a stranger says.

use super::{End, Happening, Hello, Peer, Turn};
use crate::direct::{CONTENT_BYTES_MAX, Fault, UNACKNOWLEDGED_BYTES_MAX, UNACKNOWLEDGED_MAX};
use proptest::prelude::*;
use proto::{Now, Span, native};
use serde_json::Value;
use uuid::Uuid;

fn at(millis: u64) -> Now {
    Now::from_micros(millis * 1_000)
}

fn hello(nick: &str) -> Hello {
    Hello::ours(Some(nick.to_owned()))
}

fn id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

/// Carries what one has to write to the other, in pieces of this size.
fn carry(from: &mut Peer, to: &mut Peer, piece: usize, now: Now) {
    while !from.outgoing().is_empty() {
        let bytes = from.outgoing().get(..piece).unwrap_or(from.outgoing()).to_vec();
        from.wrote(bytes.len(), now);
        to.receive(&bytes, now);
    }
}

fn all(peer: &mut Peer) -> Vec<Happening> {
    std::iter::from_fn(|| peer.take()).collect()
}

fn ended(peer: &mut Peer) -> Option<End> {
    all(peer).into_iter().find_map(|happening| match happening {
        Happening::Ended(end) => Some(end),
        _ => None,
    })
}

fn frame(json: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    native::v1_frame(json.as_bytes(), &mut bytes);
    bytes
}

/// A talk that is on, between ada, who called, and bob.
fn talk(turns: bool) -> (Peer, Peer) {
    let ours = Hello { turns, ..hello("ada") };
    let mut ada = Peer::calling(&ours, at(0), at(10_000));
    let mut bob = Peer::called(at(0));
    carry(&mut ada, &mut bob, 7, at(0));
    assert_eq!(all(&mut bob), [Happening::Called(ours)]);
    bob.welcome(&hello("bob"), at(0));
    carry(&mut bob, &mut ada, 7, at(0));
    assert_eq!(all(&mut ada), [Happening::Welcomed(hello("bob"))]);
    assert!(ada.is_talking() && bob.is_talking());
    (ada, bob)
}

#[test]
fn a_message_is_acknowledged_and_its_round_trip_known() {
    let (mut ada, mut bob) = talk(false);
    let long = vec![1; CONTENT_BYTES_MAX];
    for (number, content) in [&b"hello"[..], b"", b"\xff\x00", &long].iter().enumerate() {
        let id = id(number as u128);
        ada.say(&id, content, at(1_000));
        carry(&mut ada, &mut bob, 4096, at(1_000));
        assert_eq!(all(&mut bob), [Happening::Said { id: id.clone(), content: content.to_vec() }]);
        assert_eq!(ada.unacknowledged(), 1, "only the other side's word counts");
        bob.acknowledge(&id);
        carry(&mut bob, &mut ada, 4096, at(1_003));
        let round_trip = Span::from_millis(3);
        assert_eq!(all(&mut ada), [Happening::Delivered { id, round_trip }]);
        assert_eq!(ada.unacknowledged(), 0);
    }
}

#[test]
fn who_hangs_up_hears_what_was_said_until_the_other_knew() {
    let (mut ada, mut bob) = talk(false);
    ada.hang_up(at(0));
    bob.say(&id(1), b"and one more thing", at(0));
    carry(&mut bob, &mut ada, 9, at(0));
    assert!(matches!(&all(&mut ada)[..], [Happening::Said { .. }]));
    ada.acknowledge(&id(1));
    carry(&mut ada, &mut bob, 9, at(0));
    let heard = all(&mut bob);
    assert!(matches!(&heard[..], [Happening::Ended(End::HungUp)]), "in order: {heard:?}");
    carry(&mut bob, &mut ada, 9, at(0));
    assert_eq!(all(&mut ada), [Happening::Ended(End::Left)]);
    assert!(ada.is_over() && bob.is_over());
}

#[test]
fn both_may_hang_up_at_once_or_one_may_be_gone_before_it_answers() {
    let (mut ada, mut bob) = talk(false);
    ada.hang_up(at(0));
    bob.hang_up(at(0));
    carry(&mut ada, &mut bob, 9, at(0));
    carry(&mut bob, &mut ada, 9, at(0));
    carry(&mut ada, &mut bob, 9, at(0));
    assert_eq!((ended(&mut ada), ended(&mut bob)), (Some(End::Left), Some(End::Left)));
    let (mut ada, _) = talk(false);
    ada.hang_up(at(0));
    ada.lost(None);
    assert_eq!(ended(&mut ada), Some(End::Left));
    let (mut ada, _) = talk(false);
    ada.hang_up(at(0));
    ada.expire(at(1_000));
    assert_eq!(ended(&mut ada), Some(End::Left));
}

#[test]
fn turns_go_with_messages_or_without_and_come_back_where_a_message_was_not_taken() {
    let (mut ada, mut bob) = talk(true);
    assert_eq!((ada.turn(), bob.turn()), (Some(Turn::Yours), Some(Turn::Theirs)));
    assert!(!bob.may_say(1));
    ada.say(&id(1), b"x", at(0));
    assert!(!ada.may_say(1));
    carry(&mut ada, &mut bob, 100, at(0));
    assert_eq!(bob.turn(), Some(Turn::Yours));
    bob.pass();
    carry(&mut bob, &mut ada, 100, at(0));
    assert_eq!((ada.turn(), bob.turn()), (Some(Turn::Yours), Some(Turn::Theirs)));
    assert_eq!(all(&mut ada), [Happening::Passed]);
    // A stranger who speaks out of turn is refused.
    let say = format!("{{\"request\":\"say\",\"id\":\"{}\",\"text\":\"y\"}}", id(2));
    ada.receive(&frame(&say), at(0));
    assert_eq!(all(&mut ada), []);
    let said = String::from_utf8_lossy(ada.outgoing()).into_owned();
    assert!(said.contains("not_your_turn"), "{said}");
    ada.say(&id(3), b"z", at(0));
    let no = "{\"reply\":\"ID\",\"ok\":false,\"error\":\"too_large\",\"message\":\"no\"}";
    ada.receive(&frame(&no.replace("ID", &id(3))), at(0));
    assert!(matches!(&all(&mut ada)[..], [Happening::NotTaken { .. }]));
    assert_eq!(ada.turn(), Some(Turn::Yours));
}

#[test]
fn who_is_turned_away_is_told_and_what_it_said_behind_its_hello_is_not_heard() {
    let mut ada = Peer::calling(&hello("ada"), at(0), at(10_000));
    let mut bob = Peer::called(at(0));
    carry(&mut ada, &mut bob, 1000, at(0));
    bob.receive(&frame("{\"request\":\"say\",\"id\":\"x\",\"text\":\"y\"}"), at(0));
    bob.turn_away("busy", "later");
    assert!(matches!(&all(&mut bob)[..], [Happening::Called(_)]));
    carry(&mut bob, &mut ada, 1000, at(0));
    let Some(End::Refused(refusal)) = ended(&mut ada) else { panic!("refused") };
    assert_eq!((&*refusal.code, &*refusal.message), ("busy", "later"));
}

#[test]
fn a_message_behind_hello_in_the_same_bytes_is_heard() {
    let mut bob = Peer::called(at(0));
    let mut bytes = frame("{\"request\":\"hello\",\"id\":\"1\",\"version\":1}");
    let say = format!("{{\"request\":\"say\",\"id\":\"{}\",\"text\":\"y\"}}", id(2));
    bytes.extend(frame(&say));
    bob.receive(&bytes, at(0));
    bob.welcome(&hello("bob"), at(0));
    assert!(matches!(&all(&mut bob)[..], [Happening::Called(_), Happening::Said { .. }]));
}

#[test]
fn silence_ends_a_talk_and_signs_of_life_keep_it() {
    let (mut ada, mut bob) = talk(false);
    for second in 1..60 {
        for (from, to) in [(0, 1), (1, 0)] {
            let both = [&mut ada, &mut bob];
            both[from].expire(at(second * 1_000));
            let bytes = both[from].outgoing().to_vec();
            both[from].wrote(bytes.len(), at(second * 1_000));
            both[to].receive(&bytes, at(second * 1_000));
        }
    }
    assert_eq!((all(&mut ada), all(&mut bob)), (vec![], vec![]));
    // Now bob's network is gone: he writes, and nothing arrives.
    let mut now = at(59_000);
    while !ada.is_over() {
        now = ada.next().expect("something is always due");
        ada.expire(now);
        ada.wrote(ada.outgoing().len(), now);
    }
    assert_eq!(ended(&mut ada), Some(End::Silent));
    assert!(now.since(at(59_000)) <= Span::from_secs(15), "within the idle limit: {now:?}");
}

#[test]
fn who_never_reads_says_nothing_or_never_ends_a_frame_is_given_up() {
    let (mut ada, _) = talk(false);
    ada.say(&id(1), b"x", at(0));
    for second in 0..15 {
        ada.receive(&[0, 0, 0, 4, 0, 0, 0, 2], at(second * 1_000));
        ada.expire(at(second * 1_000));
        assert!(ada.is_talking());
    }
    ada.receive(&[0, 0, 0, 4, 0, 0, 0, 2], at(15_000));
    ada.expire(at(15_000));
    assert_eq!(ended(&mut ada), Some(End::Stuck));
    assert!(ada.outgoing().is_empty(), "nothing is kept for it");

    let mut bob = Peer::called(at(0));
    bob.receive(&[0, 0], at(9_000));
    bob.expire(at(9_999));
    assert!(!bob.is_over());
    bob.expire(at(10_000));
    assert_eq!(ended(&mut bob), Some(End::Slow));

    let (mut ada, _) = talk(false);
    let bytes = frame(&format!("{{\"x\":\"{}\"}}", "y".repeat(100)));
    for (second, byte) in (0..).zip(&bytes) {
        ada.receive(&[*byte], at(second * 1_000));
        ada.expire(at(second * 1_000));
        ada.wrote(ada.outgoing().len(), at(second * 1_000));
        if ada.is_over() {
            assert_eq!(second, 30);
            break;
        }
    }
    assert_eq!(ended(&mut ada), Some(End::Slow));
}

#[test]
fn who_asks_and_never_reads_costs_no_more_than_the_limit() {
    let (mut ada, _) = talk(false);
    let ask = frame("{\"request\":\"dance\",\"id\":\"x\"}");
    let mut most = 0;
    while !ada.is_over() {
        ada.receive(&ask.repeat(1000), at(1));
        most = most.max(ada.outgoing().len());
    }
    assert_eq!(ended(&mut ada), Some(End::Stuck));
    assert!(most < super::OUTGOING_BYTES_MAX + 1000, "{most}");
}

#[test]
fn neither_side_says_more_than_the_other_keeps() {
    let (mut ada, mut bob) = talk(false);
    let mut count = 0;
    while ada.may_say(1) {
        ada.say(&id(count), b"x", at(0));
        count += 1;
    }
    assert_eq!(count, UNACKNOWLEDGED_MAX as u128);
    carry(&mut ada, &mut bob, 4096, at(0));
    assert_eq!(all(&mut bob).len(), UNACKNOWLEDGED_MAX);
    // Who does not keep to that is refused.
    let say = format!("{{\"request\":\"say\",\"id\":\"{}\",\"text\":\"y\"}}", id(count));
    bob.receive(&frame(&say), at(0));
    assert_eq!(all(&mut bob), []);
    assert!(String::from_utf8_lossy(bob.outgoing()).contains("limit_reached"));
    let (mut ada, _) = talk(false);
    let long = vec![b'x'; CONTENT_BYTES_MAX];
    while ada.may_say(CONTENT_BYTES_MAX) {
        ada.say(&id(count), &long, at(0));
        count += 1;
    }
    assert!(ada.unacknowledged() * CONTENT_BYTES_MAX <= UNACKNOWLEDGED_BYTES_MAX);
}

#[test]
fn what_no_talk_can_be_is_refused_or_ends_it() {
    for (said, code) in [
        ("{\"request\":\"say\",\"id\":\"no uuid\",\"text\":\"y\"}", "bad_request"),
        ("{\"request\":\"say\",\"id\":\"7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e\"}", "bad_request"),
        ("{\"request\":\"pass\",\"id\":\"1\"}", "bad_request"),
        ("{\"request\":\"hello\",\"id\":\"1\",\"version\":1}", "bad_request"),
        ("{\"request\":\"dance\",\"id\":\"1\"}", "unknown_request"),
    ] {
        let (mut ada, _) = talk(false);
        ada.receive(&frame(said), at(0));
        assert_eq!(all(&mut ada), [], "{said}");
        let answer = String::from_utf8_lossy(ada.outgoing()).into_owned();
        assert!(answer.contains(code) && ada.is_talking(), "{said}: {answer}");
    }
    let (mut ada, _) = talk(false);
    ada.receive(b"GET / HTTP/1.1\r\n", at(0));
    let fault = Fault::BadLength(0x4745_5420);
    assert_eq!(ended(&mut ada), Some(End::Nonsense(fault)));
    for (hello, code) in [
        ("{\"request\":\"hello\",\"id\":\"1\"}", "bad_request"),
        (
            "{\"request\":\"hello\",\"id\":\"1\",\"version\":1,\"nick\":\"\\u001b[2J\"}",
            "bad_nickname",
        ),
    ] {
        let mut bob = Peer::called(at(0));
        bob.receive(&frame(hello), at(0));
        let Some(End::Refused(refusal)) = ended(&mut bob) else { panic!("{hello}") };
        assert_eq!(refusal.code, code);
    }
    let mut ada = Peer::calling(&hello("ada"), at(0), at(10_000));
    ada.receive(&frame("{\"reply\":\"hello\",\"ok\":true,\"server\":\"chatd\"}"), at(0));
    assert_eq!(ended(&mut ada), Some(End::Daemon));
}

/// Whether what was said is what is expected, where `"..."` stands for anything.
fn is_like(said: &Value, expected: &Value) -> bool {
    match (said, expected) {
        (_, Value::String(text)) if text == "..." => true,
        (Value::Object(said), Value::Object(expected)) => {
            said.len() == expected.len()
                && expected
                    .iter()
                    .all(|(name, value)| said.get(name).is_some_and(|said| is_like(said, value)))
        }
        (said, expected) => said == expected,
    }
}

/// The example of docs/protocol.md: what a caller says, and what it hears of one who listens.
#[test]
fn the_documented_talk_is_what_is_spoken() {
    let text = include_str!("../../../../docs/protocol.md");
    let example = text.split("```talk\n").nth(1).expect("there is one");
    let example = example.split("```").next().expect("it ends");
    let mut bob = Peer::called(at(0));
    for line in example.lines() {
        if let Some(json) = line.strip_prefix("ada => ") {
            bob.receive(&frame(json), at(0));
            while let Some(happening) = bob.take() {
                match happening {
                    Happening::Called(_) => bob.welcome(&hello("Bob"), at(0)),
                    Happening::Said { id, .. } => bob.acknowledge(&id),
                    _ => {}
                }
            }
        } else if let Some(json) = line.strip_prefix("ada <= ") {
            let expected: Value = serde_json::from_str(json).expect("JSON");
            let said: Value = serde_json::from_slice(&bob.outgoing()[8..]).expect("one frame");
            assert!(is_like(&said, &expected), "{said} is not {expected}");
            bob.wrote(bob.outgoing().len(), at(0));
        }
    }
    assert!(bob.is_over() && bob.outgoing().is_empty());
    let length = crate::direct::OBJECT_BYTES_MAX + 4;
    let shown = format!("{},{:03}", length / 1000, length % 1000);
    assert!(text.contains(&format!("| length field | {shown} |")), "{shown}");
}

proptest! {
    /// Messages arrive whole and in order, whatever the pieces.
    #[test]
    fn any_chunking_gives_the_same_talk(
        contents in proptest::collection::vec(any::<Vec<u8>>(), 0..20),
        piece in 1_usize..300,
    ) {
        let (mut ada, mut bob) = talk(false);
        for (number, content) in contents.iter().enumerate() {
            ada.say(&id(number as u128), content, at(0));
        }
        carry(&mut ada, &mut bob, piece, at(0));
        let heard: Vec<_> = all(&mut bob).into_iter().map(|happening| match happening {
            Happening::Said { id, content } => {
                bob.acknowledge(&id);
                content
            }
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(heard, contents);
        carry(&mut bob, &mut ada, piece, at(0));
        prop_assert_eq!(ada.unacknowledged(), 0);
    }

    /// Whatever a stranger says, at whatever moment: it is bounded, and never a panic.
    #[test]
    fn any_bytes_harm_nobody(
        pieces in proptest::collection::vec(
            prop_oneof![
                any::<Vec<u8>>(),
                "\\{\"(request|reply)\":\"(hello|say|pass|hangup|x)\",\"id\":\"(hello|pass|7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e)\",\"ok\":(true|false),\"version\":1,\"text\":\"y\"\\}"
                    .prop_map(|json| frame(&json)),
            ],
            0..40,
        ),
        start in 0_u8..3,
        wait in 0_u64..4_000,
    ) {
        let mut peer = match start {
            0 => Peer::called(at(0)),
            1 => Peer::calling(&hello("ada"), at(0), at(10_000)),
            _ => talk(true).0,
        };
        for (step, bytes) in (0_u64..).zip(pieces) {
            let now = at(step * wait);
            peer.receive(&bytes, now);
            let mut over = false;
            while let Some(happening) = peer.take() {
                prop_assert!(!over, "nothing happens behind the end");
                match happening {
                    Happening::Called(_) if peer.is_over() => {}
                    Happening::Called(_) => peer.welcome(&hello("bob"), now),
                    Happening::Said { id, .. } => peer.acknowledge(&id),
                    Happening::Ended(_) => over = true,
                    _ => {}
                }
            }
            peer.expire(now);
            if peer.may_say(1) {
                peer.say(&id(u128::from(step)), b"x", now);
            }
            peer.wrote(peer.outgoing().len() / 2, now);
        }
    }
}
