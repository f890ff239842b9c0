//! Properties of the codecs: any chunking gives the same commands, and what is encoded is decoded again.
#![allow(clippy::unwrap_used, reason = "a test that unwraps wrongly fails, as it should")]

mod chunks;

use chunks::cut;
use proptest::prelude::*;
use proto::encode::{self, Content, Message, Place};
use proto::{
    Charset, Command, Dialect, Event, Guid, Item, MessageId, Nick, RoomName, Seq, Session,
    Transport, WallTime, WireLimits, client, native,
};

const LIMITS: WireLimits = WireLimits { message: 65_530, charset: Charset::Ascii };

/// What a session says of bytes that come in these chunks, as one readable line each; a fault is the last.
fn said(transport: Transport, chunks: &[&[u8]]) -> Vec<String> {
    let mut session = Session::new(transport);
    let mut kept: Vec<u8> = Vec::new();
    let mut lines = Vec::new();
    for chunk in chunks {
        kept.extend_from_slice(chunk);
        loop {
            let mut message = Vec::new();
            let step = session.feed(&kept, &mut message, LIMITS);
            let line = match step.item {
                Item::More => None,
                Item::Fault(fault) => {
                    lines.push(format!("{fault:?}"));
                    return lines;
                }
                Item::Body { bytes, last } => {
                    // Where a body is cut into pieces does not count.
                    lines.extend(bytes.iter().map(|byte| format!("body {byte}")));
                    Some(if last { String::from("body ends") } else { String::new() })
                }
                item => Some(format!("{item:?}")),
            };
            kept.drain(..step.consumed);
            match line {
                Some(line) if line.is_empty() => {}
                Some(line) => lines.push(line),
                None => break,
            }
        }
    }
    lines
}

/// A frame that a v0.5 client may send, or something near it.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let text = proptest::collection::vec(any::<u8>(), 0..300);
    let made = (0_u8..4, text.clone(), any::<[u8; 16]>()).prop_map(|(kind, text, guid)| {
        let mut out = Vec::new();
        match kind {
            0 => native::chat(&text, &mut out),
            1 => native::set_nickname(Guid(guid), &text[..text.len().min(255)], &mut out),
            2 => native::keepalive(&mut out),
            _ => {
                out.extend_from_slice(&u32::try_from(text.len() + 4).unwrap().to_be_bytes());
                out.extend_from_slice(&99_u32.to_be_bytes());
                out.extend_from_slice(&text);
            }
        }
        out
    });
    let wrong = (0_u32..70_000, 0_u32..8, text).prop_map(|(length, kind, text)| {
        let mut out = length.to_be_bytes().to_vec();
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&text);
        out
    });
    prop_oneof![8 => made, 1 => wrong]
}

/// A line that a client may send on the control socket, or something near it.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z]{0,8}".prop_map(|room| format!("{{\"request\":\"join\",\"id\":\"1\",\"room\":\"{room}\"}}\n").into_bytes()),
        "\\PC{0,40}".prop_map(|text| {
            let line = serde_json::json!({"request": "post", "id": MessageId([7; 16]).to_string(), "room": "x", "text": text});
            format!("{line}\r\n").into_bytes()
        }),
        Just(b"\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn any_chunking_of_native_frames_gives_the_same_commands(
        frames in proptest::collection::vec(frame(), 1..12),
        lengths in proptest::collection::vec(1_usize..40, 1..10),
    ) {
        let bytes = frames.concat();
        prop_assert_eq!(
            said(Transport::Stream, &[&bytes]),
            said(Transport::Stream, &cut(&bytes, &lengths))
        );
    }

    #[test]
    fn any_chunking_of_control_lines_gives_the_same_commands(
        lines in proptest::collection::vec(line(), 1..12),
        lengths in proptest::collection::vec(1_usize..40, 1..10),
    ) {
        let bytes = lines.concat();
        prop_assert_eq!(
            said(Transport::ControlSocket, &[&bytes]),
            said(Transport::ControlSocket, &cut(&bytes, &lengths))
        );
    }

    #[test]
    fn any_chunking_of_garbage_gives_the_same_fault(
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
        lengths in proptest::collection::vec(1_usize..9, 1..10),
    ) {
        prop_assert_eq!(
            said(Transport::Stream, &[&bytes]),
            said(Transport::Stream, &cut(&bytes, &lengths))
        );
    }

    #[test]
    fn a_chat_is_decoded_as_it_was_encoded(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut bytes = Vec::new();
        native::chat(&text, &mut bytes);
        let mut session = Session::new(Transport::Stream);
        prop_assert!(matches!(session.feed(&bytes, &mut Vec::new(), LIMITS).item, Item::Decided(_)));
        let mut message = Vec::new();
        let step = session.feed(&bytes, &mut message, LIMITS);
        prop_assert_eq!(step.consumed, bytes.len());
        prop_assert_eq!(step.item, Item::Command(Command::Chat { text: &text }));
    }

    #[test]
    fn a_broadcast_keeps_its_limit_and_its_parts_are_the_lossy_text(
        unit in proptest::collection::vec(any::<u8>(), 1..60),
        times in 1_usize..2_000,
        from in "[a-z]{1,32}",
    ) {
        let mut content = unit.repeat(times);
        content.truncate(65_530);
        let mut bytes = Vec::new();
        encode::event(Dialect::Native05, &message(&from, &content), &mut bytes);
        let mut rest = &bytes[..];
        let mut text = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap());
            prop_assert!(length <= native::V05_LENGTH_MAX);
            prop_assert_eq!(&rest[4..8], &[0, 0, 0, 1]);
            let (frame, after) = rest.split_at(length as usize + 4);
            let name = usize::from(frame[8]);
            prop_assert_eq!(&frame[9..9 + name], from.as_bytes());
            let long = usize::from(u16::from_be_bytes(frame[9 + name..11 + name].try_into().unwrap()));
            prop_assert_eq!(frame.len(), 11 + name + long);
            prop_assert!(std::str::from_utf8(&frame[11 + name..]).is_ok());
            text.extend_from_slice(&frame[11 + name..]);
            rest = after;
        }
        prop_assert_eq!(String::from_utf8(text).unwrap(), String::from_utf8_lossy(&content));
    }

    #[test]
    fn content_of_any_bytes_comes_back_from_its_event(content in proptest::collection::vec(any::<u8>(), 0..500)) {
        let mut bytes = Vec::new();
        encode::event(Dialect::Control, &message("ada", &content), &mut bytes);
        prop_assert_eq!(String::from_utf8_lossy(&bytes).lines().count(), 1);
        let Ok(client::ServerLine::Event { name, body }) = client::parse_line(&bytes) else {
            return Err(TestCaseError::fail("no event"));
        };
        prop_assert_eq!(name, "message");
        prop_assert_eq!(client::content(&body), Some(content));
    }

    #[test]
    fn a_post_of_any_bytes_is_read_as_it_was_written(content in proptest::collection::vec(any::<u8>(), 0..500)) {
        let mut fields = serde_json::Map::new();
        fields.insert("room".into(), "lobby".into());
        client::put_content(&mut fields, &content);
        let id = MessageId::from_random([9; 16]);
        let line = client::request_line("post", &id.to_string(), fields);
        let mut message = Vec::new();
        let step = Session::new(Transport::ControlSocket).feed(&line, &mut message, LIMITS);
        let Item::Command(Command::Request { request: proto::Request::Post { content: read, own_id: message_id, .. }, .. }) = step.item
        else {
            return Err(TestCaseError::fail("no post"));
        };
        prop_assert_eq!(read.into_owned(), content);
        prop_assert_eq!(message_id, id);
    }

    #[test]
    fn names_never_panic_and_good_ones_are_stable(text in "\\PC{0,70}") {
        if let Ok(nick) = Nick::parse(&text) {
            prop_assert_eq!(Nick::parse(nick.as_str()).unwrap(), nick);
        }
        if let Ok(nick) = Nick::parse_in(&text, Charset::Unicode) {
            prop_assert_eq!(&Nick::parse_in(nick.as_str(), Charset::Unicode).unwrap(), &nick);
            if let Ok(shouted) = Nick::parse_in(&nick.as_str().to_uppercase(), Charset::Unicode) {
                prop_assert_eq!(shouted.key(), nick.key());
            }
        }
        if let Ok(room) = RoomName::parse(&text) {
            prop_assert_eq!(RoomName::parse(room.as_str()).unwrap(), room);
        }
    }
}

fn message<'a>(from: &'a str, content: &'a [u8]) -> Event<'a> {
    thread_local! {
        static ROOM: &'static RoomName = Box::leak(Box::new(RoomName::parse("lobby").unwrap()));
    }
    Event::Message(Message {
        place: Place::Room { room: ROOM.with(|room| *room), seq: Seq(1), of: MessageId([0; 16]) },
        receipt: false,
        time: WallTime::from_micros(0),
        message_id: MessageId([1; 16]),
        from,
        content: Content(content),
        content_type: None,
        history: None,
    })
}
