//! docs/protocol.md, "What v0.5 peers rely on": the sentences that concern the codec, and wrong frames at their header.
#![allow(clippy::unwrap_used, reason = "a test that unwraps wrongly fails, as it should")]

use proto::encode::{self, Content, Message, Place};
use proto::native::{self, FrameType};
use proto::{
    Charset, Command, Dialect, Event, Fault, Guid, Item, MessageId, RoomName, Seq, Session, Step,
    Transport, WallTime, WireLimits,
};

const LIMITS: WireLimits = WireLimits { message: 65_530, charset: Charset::Ascii };

/// One step of a session to which nobody sends messages in pieces.
fn feed<'a>(session: &mut Session, bytes: &'a [u8]) -> Step<'a> {
    session.feed(bytes, Box::leak(Box::default()), LIMITS)
}

/// What a native session says of the beginning of these bytes.
fn native_item(bytes: &[u8]) -> Item<'_> {
    let mut session = Session::new(Transport::Stream);
    assert!(matches!(feed(&mut session, bytes).item, Item::Decided(_)));
    feed(&mut session, bytes).item
}

fn header(length: u32, kind: u32) -> Vec<u8> {
    [length.to_be_bytes(), kind.to_be_bytes()].concat()
}

#[test]
fn frames_are_byte_for_byte_those_of_v05() {
    let mut out = Vec::new();
    native::chat(b"hi", &mut out);
    assert_eq!(out, b"\0\0\0\x08\0\0\0\0\0\x02hi");
    out.clear();
    native::keepalive(&mut out);
    assert_eq!(out, b"\0\0\0\x04\0\0\0\x02");
    out.clear();
    native::set_nickname(Guid([7; 16]), b"ada", &mut out);
    assert_eq!(out, [&b"\0\0\0\x18\0\0\0\x03"[..], &[7; 16], b"\x03ada"].concat());
    out.clear();
    native::ack(Guid([7; 16]), &mut out);
    assert_eq!(out, [&b"\0\0\0\x14\0\0\0\x04"[..], &[7; 16]].concat());
    out.clear();
    native::nak(Guid([7; 16]), "no", &mut out);
    assert_eq!(out, [&b"\0\0\0\x18\0\0\0\x05"[..], &[7; 16], b"\0\x02no"].concat());
    out.clear();
    encode::event(Dialect::Native05, &broadcast(b"hi"), &mut out);
    assert_eq!(out, b"\0\0\0\x0c\0\0\0\x01\x03ada\0\x02hi");
}

fn broadcast(content: &[u8]) -> Event<'_> {
    let room: &'static RoomName = Box::leak(Box::new(RoomName::parse("lobby").unwrap()));
    Event::Message(Message {
        place: Place::Room { room, seq: Seq(1), of: MessageId([0; 16]) },
        receipt: false,
        time: WallTime::from_micros(0),
        message_id: MessageId([0; 16]),
        from: "ada",
        content: Content(content),
        content_type: None,
        history: None,
    })
}

#[test]
fn request_ids_are_opaque() {
    let mut bytes = Vec::new();
    native::set_nickname(Guid([0; 16]), b"\xff", &mut bytes);
    assert_eq!(
        native_item(&bytes),
        Item::Command(Command::SetNickname { request: Guid([0; 16]), nick: b"\xff" })
    );
}

#[test]
fn a_clients_broadcast_is_ignored() {
    let mut bytes = Vec::new();
    encode::event(Dialect::Native05, &broadcast(b"hi"), &mut bytes);
    assert_eq!(native_item(&bytes), Item::Command(Command::Ignored));
}

#[test]
fn an_unsolicited_ack_or_nak_closes() {
    let mut bytes = Vec::new();
    native::ack(Guid([1; 16]), &mut bytes);
    assert_eq!(native_item(&bytes), Item::Fault(Fault::UnsolicitedAnswer));
    bytes.clear();
    native::nak(Guid([1; 16]), "no", &mut bytes);
    assert_eq!(native_item(&bytes[..8]), Item::Fault(Fault::UnsolicitedAnswer));
}

#[test]
fn empty_text_nul_and_line_breaks_are_relayed() {
    for text in [&b""[..], b"\0", b"a\r\nb\n"] {
        let mut bytes = Vec::new();
        native::chat(text, &mut bytes);
        assert_eq!(native_item(&bytes), Item::Command(Command::Chat { text }));
        bytes.clear();
        encode::event(Dialect::Native05, &broadcast(text), &mut bytes);
        assert!(bytes.ends_with(text));
    }
}

#[test]
fn malformed_utf8_comes_out_as_replacement_characters() {
    let mut bytes = Vec::new();
    encode::event(Dialect::Native05, &broadcast(b"a\xffb"), &mut bytes);
    assert!(bytes.ends_with("a\u{fffd}b".as_bytes()));
}

#[test]
fn a_broadcast_that_would_be_longer_is_split_at_character_boundaries() {
    let content = "é".repeat(32_765);
    let mut bytes = Vec::new();
    encode::event(Dialect::Native05, &broadcast(content.as_bytes()), &mut bytes);
    let first = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    assert!(first <= 65_536 && bytes.len() > first + 4);
    assert!(std::str::from_utf8(&bytes[14..first + 4]).is_ok());
}

#[test]
fn the_length_field_is_at_most_65536_in_both_directions() {
    let mut bytes = Vec::new();
    native::chat(&vec![b'x'; 65_530], &mut bytes);
    assert_eq!(bytes[..4], 65_536_u32.to_be_bytes());
    assert!(
        matches!(native_item(&bytes), Item::Command(Command::Chat { text }) if text.len() == 65_530)
    );
    assert_eq!(
        native_item(&header(65_537, 0)),
        Item::Fault(Fault::LengthTooLarge { length: 65_537, max: 65_536 })
    );
}

#[test]
fn a_frame_may_come_a_byte_at_a_time() {
    let mut bytes = Vec::new();
    native::chat(b"slowly", &mut bytes);
    let mut session = Session::new(Transport::Stream);
    feed(&mut session, &bytes[..1]);
    for end in 1..bytes.len() {
        let step = feed(&mut session, &bytes[..end]);
        assert_eq!((step.consumed, step.item), (0, Item::More));
    }
    assert_eq!(feed(&mut session, &bytes).item, Item::Command(Command::Chat { text: b"slowly" }));
}

#[test]
fn an_unknown_type_is_skipped_whole_and_nothing_is_kept_of_it() {
    let mut session = Session::new(Transport::Stream);
    let mut bytes = header(16_000_000, 77);
    feed(&mut session, &bytes);
    bytes.extend_from_slice(&[0; 100]);
    let step = feed(&mut session, &bytes);
    assert_eq!((step.consumed, step.item), (108, Item::More));
    assert!(session.mid_frame());
    let rest = vec![0; 16_000_004 - 108];
    let step = feed(&mut session, &rest);
    assert_eq!((step.consumed, step.item), (rest.len(), Item::Command(Command::Ignored)));
    assert!(!session.mid_frame());
}

#[test]
fn a_wrong_length_is_a_fault_before_its_payload_is_waited_for() {
    assert_eq!(native_item(&header(3, 0)[..4]), Item::Fault(Fault::LengthTooSmall(3)));
    assert_eq!(
        native_item(&[0, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        Item::Fault(Fault::LengthTooLarge { length: 0xff_ffff, max: 65_536 })
    );
    assert_eq!(
        native_item(&header(5, 2)),
        Item::Fault(Fault::LengthWrong { kind: FrameType::Keepalive, length: 5 })
    );
    assert_eq!(
        native_item(&header(4, 0)),
        Item::Fault(Fault::LengthWrong { kind: FrameType::Chat, length: 4 })
    );
    let mut longer = header(8, 0);
    longer.extend_from_slice(&[0, 200]);
    assert_eq!(
        native_item(&longer),
        Item::Fault(Fault::StringWrong { kind: FrameType::Chat, claimed: 200, room: 2 })
    );
    let mut shorter = header(8, 0);
    shorter.extend_from_slice(&[0, 1]);
    assert!(matches!(
        native_item(&shorter),
        Item::Fault(Fault::StringWrong { claimed: 1, room: 2, .. })
    ));
}

#[test]
fn a_length_that_no_frame_has_is_one_fault_however_it_is_cut() {
    let keepalive = header(4, 2);
    for bytes in [&[0xb7][..], &[0xb7, 0xd0, 1], &[0xb7, 0xd0, 1, 2, 3, 4, 5, 6, 7]] {
        let mut session = Session::new(Transport::Stream);
        feed(&mut session, &keepalive);
        assert_eq!(feed(&mut session, &keepalive).item, Item::Command(Command::Keepalive));
        let fault = Fault::LengthTooLarge { length: 0xb700_0000, max: 0xff_ffff };
        assert_eq!(feed(&mut session, bytes).item, Item::Fault(fault), "{bytes:x?}");
    }
}
