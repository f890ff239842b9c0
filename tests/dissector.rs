//! `contrib/wireshark/chatd.lua`, run by tshark over captures of frames that the codec made: what it shows, and where it differs
//! from what the server understands.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test that panics is a test that fails"
)]

use std::process::Command;

use proto::encode::{self, Content, Message, Place};
use proto::native;
use proto::{
    Charset, Dialect, Event, Guid, Item, MessageId, RequestId, RoomName, Seq, Session, Transport,
    WallTime, WireLimits,
};
use serde_json::Value;
use tests::binaries::checkout;
use tests::pcap::{Pcap, SEGMENT_BYTES_MAX};
use tests::{Folder, left_out};

const LIMITS: WireLimits = WireLimits { message: 65_530, charset: Charset::Ascii };
const SERVER: u16 = 33_333;
/// The first client's port; the others follow.
const CLIENT: u16 = 40_000;

/// What tshark prints of a capture; none where it is missing, which is said.
fn tshark(capture: &Pcap, arguments: &[&str]) -> Option<String> {
    let folder = Folder::new();
    let file = folder.write("frames.pcap", capture.bytes());
    let script = checkout().join("contrib/wireshark/chatd.lua");
    let run = Command::new("tshark")
        .env("XDG_CONFIG_HOME", folder.path())
        .env("HOME", folder.path())
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        .arg("-r")
        .arg(&file)
        .args(arguments)
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // The same words as in tests/run, which has them once.
            left_out("the Wireshark dissector: needs tshark (Debian package tshark)");
            return None;
        }
        Err(error) => panic!("tshark cannot be started: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "tshark failed: {said}");
    assert!(!said.to_lowercase().contains("lua"), "the script has errors: {said}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(!shown.contains("Lua Error"), "the script has errors: {shown}");
    Some(shown)
}

/// The values of these fields, packet by packet, each field's joined by `|`.
fn fields(capture: &Pcap, names: &[&str], arguments: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut all = vec!["-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"];
    for name in names {
        all.extend(["-e", name]);
    }
    all.extend(arguments);
    let shown = tshark(capture, &all)?;
    Some(shown.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

/// What each stream shows of these fields, all its packets together.
fn by_stream(capture: &Pcap, names: &[&str]) -> Option<Vec<Vec<String>>> {
    let names: Vec<&str> = ["tcp.stream"].iter().chain(names).copied().collect();
    let mut streams: Vec<Vec<String>> = Vec::new();
    for packet in fields(capture, &names, &[])? {
        let at: usize = packet[0].parse().unwrap();
        if streams.len() <= at {
            streams.resize(at + 1, vec![String::new(); names.len() - 1]);
        }
        for (all, new) in streams[at].iter_mut().zip(&packet[1..]) {
            if !all.is_empty() && !new.is_empty() {
                all.push('|');
            }
            all.push_str(new);
        }
    }
    Some(streams)
}

fn frame(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

fn said(dialect: Dialect, content: &[u8]) -> Vec<u8> {
    let event = Event::Message(Message {
        place: Place::Room {
            room: &RoomName::parse("lobby").unwrap(),
            seq: Seq(7),
            of: MessageId([0; 16]),
        },
        time: WallTime::from_micros(0),
        message_id: MessageId([1; 16]),
        from: "ada",
        content: Content(content),
        content_type: None,
        receipt: false,
        history: None,
    });
    frame(|out| encode::event(dialect, &event, out))
}

fn request(text: &str) -> Vec<u8> {
    let json = format!("{{\"request\":\"ping\",\"id\":\"{text}\"}}");
    frame(|out| native::v1_frame(json.as_bytes(), out))
}

/// A client's frames of every type that it sends, and one of an unknown type.
fn from_client() -> Vec<Vec<u8>> {
    vec![
        frame(|out| native::set_nickname(Guid([9; 16]), b"Ada Lovelace", out)),
        frame(native::keepalive),
        frame(|out| native::chat(b"hi", out)),
        frame(|out| native::chat(b"", out)),
        frame(|out| native::chat("naïve".as_bytes(), out)),
        tests::native::frame(99, b"abc"),
        request("p1"),
    ]
}

/// A server's.
fn from_server() -> Vec<Vec<u8>> {
    vec![
        frame(|out| native::ack(Guid([9; 16]), out)),
        frame(|out| native::nak(Guid([9; 16]), "Nickname already taken.", out)),
        said(Dialect::Native05, b"hi"),
        frame(native::keepalive),
        said(Dialect::NativeV1, b"hello"),
    ]
}

#[test]
fn every_frame_is_shown_with_its_fields() {
    let mut capture = Pcap::default();
    for frame in from_client() {
        capture.segment(CLIENT, SERVER, &frame);
    }
    for frame in from_server() {
        capture.segment(SERVER, CLIENT, &frame);
    }
    let names = [
        "_ws.col.Protocol",
        "_ws.col.Info",
        "chatd.type",
        "chatd.length",
        "chatd.request_id",
        "chatd.nickname",
        "chatd.from",
        "chatd.text",
        "chatd.message",
        "chatd.payload",
        "_ws.expert.message",
    ];
    let Some(shown) = fields(&capture, &names, &[]) else { return };
    let shown: Vec<String> = shown.iter().map(|packet| packet.join(";")).collect();
    let id = "09".repeat(16);
    let expected = [
        format!("chatd;SetNickname;3;33;{id};Ada Lovelace;;;;;"),
        "chatd;Keepalive;2;4;;;;;;;".to_owned(),
        "chatd;Chat;0;8;;;;hi;;;".to_owned(),
        "chatd;Chat;0;6;;;;;;;".to_owned(),
        "chatd;Chat;0;12;;;;naïve;;;".to_owned(),
        "chatd;type 99;99;7;;;;;;616263;Unknown type, skipped by chatd".to_owned(),
        "chatd;V1 request ping;16;32;;;;;;;".to_owned(),
        format!("chatd;Ack;4;20;{id};;;;;;"),
        format!("chatd;Nak;5;45;{id};;;;Nickname already taken.;;"),
        "chatd;Broadcast;1;12;;;ada;hi;;;".to_owned(),
        "chatd;Keepalive;2;4;;;;;;;".to_owned(),
        format!("chatd;V1 event message;16;{};;;;;;;", said(Dialect::NativeV1, b"hello").len() - 4),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_v1_body_is_shown_by_the_json_dissector() {
    let mut capture = Pcap::default();
    // What people say can drive no filter and no list of packets.
    let hostile = "\"request\":\"stop\" \u{1b}[2J\0\u{202e}";
    capture.segment(SERVER, CLIENT, &said(Dialect::NativeV1, hostile.as_bytes()));
    let reply = encode::Dialect::NativeV1;
    let id = RequestId::parse("r1").unwrap();
    let done = frame(|out| encode::reply(reply, Some(&id), &proto::reply::Reply::Done {}, out));
    capture.segment(SERVER, CLIENT, &done);
    let Some(shown) = tshark(&capture, &["-T", "json", "--no-duplicate-keys"]) else { return };
    let packets: Value = serde_json::from_str(&shown).unwrap();
    let shown = &packets[0]["_source"]["layers"]["chatd"];
    assert_eq!(shown["chatd.type"], "16");
    let members = shown["json"]["json.object"]["json.member_tree"].as_array().unwrap();
    let member = |at: usize| {
        let value =
            ["json.value.string", "json.value.number"].map(|kind| members[at][kind].as_str());
        (members[at]["json.key"].as_str().unwrap(), value[0].or(value[1]).unwrap())
    };
    assert_eq!(member(0), ("event", "message"));
    assert_eq!(member(1), ("room", "lobby"));
    assert_eq!(member(2), ("seq", "7"));
    assert_eq!(member(3), ("time", "1970-01-01T00:00:00.000000Z"));
    assert_eq!(member(4), ("message_id", "01010101-0101-0101-0101-010101010101"));
    assert_eq!(member(5), ("from", "ada"));
    assert_eq!(member(6).0, "text");
    assert!(member(6).1.starts_with("\"request\":\"stop\""), "{:?}", member(6));
    let filter = ["-Y", "json.value.string == \"r1\" && chatd.type == 16"];
    let shown = fields(&capture, &["frame.number", "_ws.col.Info"], &filter).unwrap();
    assert_eq!(shown, [["2", "V1 reply r1"]]);
    let shown = fields(&capture, &["_ws.col.Info"], &[]).unwrap();
    assert_eq!(shown[0], ["V1 event message"]);
}

#[test]
fn any_segmentation_shows_the_same() {
    let mut conversation = from_client().concat();
    conversation.extend(from_client().concat());
    let mut chance = Chance(1);
    let mut capture = Pcap::default();
    let mut ports = CLIENT..;
    let mut streams = 0;
    for size in [usize::MAX, 1, 2, 3, 7, 8, 9, 50].into_iter().map(Some).chain([None; 20]) {
        let port = ports.next().unwrap();
        let mut rest = &conversation[..];
        while !rest.is_empty() {
            let next = size.unwrap_or_else(|| 1 + chance.below(60)).min(rest.len());
            capture.segment(port, SERVER, &rest[..next]);
            rest = &rest[next..];
        }
        streams += 1;
    }
    let names = ["chatd.type", "chatd.length", "chatd.text", "chatd.nickname", "json.value.string"];
    let Some(shown) = by_stream(&capture, &names) else { return };
    assert_eq!(shown.len(), streams);
    assert_eq!(shown[0][0], "3|2|0|0|0|99|16|3|2|0|0|0|99|16");
    assert_eq!(shown[0][2], "hi|naïve|hi|naïve");
    for (at, stream) in shown.iter().enumerate() {
        assert_eq!(stream, &shown[0], "stream {at}");
    }
}

#[test]
fn the_largest_frames_are_put_together() {
    let text = "x".repeat(native::V05_CONTENT_BYTES_MAX);
    let largest = LIMITS.line();
    let filling = largest - br#"{"request":"ping","id":""}"#.len();
    let mut conversation = frame(|out| native::chat(text.as_bytes(), out));
    conversation.extend(request(&"y".repeat(filling)));
    conversation.extend(frame(native::keepalive));
    let mut capture = Pcap::default();
    for (port, size) in [(CLIENT, 1_400), (CLIENT + 1, SEGMENT_BYTES_MAX)] {
        for segment in conversation.chunks(size) {
            capture.segment(port, SERVER, segment);
        }
    }
    let names = ["chatd.type", "chatd.length", "chatd.text_length", "_ws.expert.message"];
    let Some(shown) = by_stream(&capture, &names) else { return };
    let expected =
        ["0|16|2".into(), format!("65536|{}|4", largest + 4), "65530".into(), String::new()];
    assert_eq!(shown, [expected.clone(), expected]);
}

/// Wrong frames, each with what is said of it.
fn malformed() -> Vec<(Vec<u8>, &'static str)> {
    let header = |length: u32, kind: u32| [length.to_be_bytes(), kind.to_be_bytes()].concat();
    let with = |length: u32, kind: u32, payload: &[u8]| [&header(length, kind), payload].concat();
    vec![
        (vec![0, 0, 0, 3], "The length is 3, below 4"),
        (vec![0xff], "The first byte is ff: a length of 16777216 or more"),
        (header(65_537, 0), "The length is 65537, over the 65536 of type Chat"),
        (header(5, 2), "The length is 5, over the 4 of type Keepalive"),
        (header(5, 0), "The length is 5, below the 6 of type Chat"),
        (header(19, 4), "The length is 19, below the 20 of type Ack"),
        (header(277, 3), "The length is 277, over the 276 of type SetNickname"),
        (header(397_281, 16), "The length is 397281, over the 397280 of type V1"),
        (with(8, 0, &[0, 5]), "The string claims 5 bytes where its frame has 2"),
        (with(8, 0, &[0, 1]), "The string claims 1 bytes where its frame has 2"),
        (
            with(24, 3, &[[1; 16].as_slice(), &[9]].concat()),
            "The string claims 9 bytes where its frame has 3",
        ),
    ]
}

#[test]
fn malformed_frames_are_said_as_soon_as_they_are_known() {
    let mut capture = Pcap::default();
    let mut ports = CLIENT..;
    for (bytes, _) in malformed() {
        let mut session = Session::new(Transport::Stream);
        let _ = session.feed(&[0], &mut Vec::new(), LIMITS);
        assert!(
            matches!(session.feed(&bytes, &mut Vec::new(), LIMITS).item, Item::Fault(_)),
            "{bytes:x?}"
        );
        // Behind a good frame; a byte at a time, the last of which makes it known; and before bytes that mean nothing any more.
        let port = ports.next().unwrap();
        capture.segment(port, SERVER, &[frame(native::keepalive), bytes.clone()].concat());
        let port = ports.next().unwrap();
        for byte in &bytes {
            capture.segment(port, SERVER, &[*byte]);
        }
        let port = ports.next().unwrap();
        capture.segment(port, SERVER, &[bytes, frame(|out| native::chat(b"no", out))].concat());
    }
    let names = ["_ws.expert.message", "chatd.text", "_ws.col.Info"];
    let Some(shown) = by_stream(&capture, &names) else { return };
    for ((bytes, expected), streams) in malformed().iter().zip(shown.chunks(3)) {
        for stream in streams {
            assert_eq!(stream[0], *expected, "{bytes:x?}");
            assert_eq!(stream[1], "", "{bytes:x?}");
        }
        assert_eq!(streams[0][2], "Keepalive, malformed", "{bytes:x?}");
    }
}

#[test]
fn the_wrong_side_and_what_is_no_object_are_said() {
    let mut capture = Pcap::default();
    for frame in from_server() {
        capture.segment(CLIENT, SERVER, &frame);
    }
    for frame in from_client() {
        capture.segment(SERVER, CLIENT, &frame);
    }
    for json in ["", "[]", "nonsense"] {
        capture.segment(CLIENT, SERVER, &frame(|out| native::v1_frame(json.as_bytes(), out)));
    }
    // A Broadcast that chatd does not look into.
    capture.segment(CLIENT, SERVER, &tests::native::frame(1, &[200, 1, 2, 3]));
    let Some(shown) = fields(&capture, &["_ws.expert.message"], &[]) else { return };
    let expected = [
        "Ack is sent by a server only",
        "Nak is sent by a server only",
        "Broadcast is sent by a server only",
        "",
        "",
        "SetNickname is sent by a client only",
        "",
        "Chat is sent by a client only",
        "Chat is sent by a client only",
        "Chat is sent by a client only",
        "Unknown type, skipped by chatd",
        "",
        "Not a JSON object",
        "Not a JSON object",
        "Not a JSON object",
        "Broadcast is sent by a server only",
    ];
    assert_eq!(shown.concat(), expected);
}

#[test]
fn another_port_is_taken_by_decode_as() {
    let mut capture = Pcap::default();
    capture.segment(CLIENT, 4_444, &frame(|out| native::chat(b"hi", out)));
    let names = ["_ws.col.Protocol", "chatd.text"];
    let Some(shown) = fields(&capture, &names, &[]) else { return };
    assert_eq!(shown, [["TCP", ""]]);
    let shown = fields(&capture, &names, &["-d", "tcp.port==4444,chatd"]).unwrap();
    assert_eq!(shown, [["chatd", "hi"]]);
}

#[test]
fn other_protocols_on_the_port_are_left_to_their_dissectors() {
    let mut capture = Pcap::default();
    // A TLS client hello's record, as far as a heuristic looks.
    let hello = [&[0x16, 3, 1, 0, 4, 1, 0, 0, 0][..]].concat();
    capture.segment(CLIENT, SERVER, &hello);
    for (at, text) in (1..).zip(["GET / HTTP/1.1\r\n\r\n", "NICK ada\r\n", ":ada PING\r\n"]) {
        capture.segment(CLIENT + at, SERVER, text.as_bytes());
    }
    let names = ["_ws.col.Protocol", "chatd.length", "chatd.malformed.length"];
    let Some(shown) = fields(&capture, &names, &[]) else { return };
    assert!(shown.iter().all(|packet| packet[1].is_empty() && packet[2].is_empty()), "{shown:?}");
    assert_eq!(shown[1][0], "HTTP");
}

#[test]
fn a_capture_that_has_not_all_bytes_shows_what_it_has() {
    let mut capture = Pcap::default();
    let bytes = [frame(native::keepalive), frame(|out| native::chat(b"hello", out))].concat();
    capture.cut_segment(CLIENT, SERVER, &bytes, bytes.len() - 2);
    let names = ["chatd.type", "_ws.expert.message"];
    let Some(shown) = fields(&capture, &names, &[]) else { return };
    assert_eq!(shown, [["2", "The capture ends within this frame"]]);
}

/// A small generator of its own, so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// What the server makes of a client's bytes: how many frames, and the word of the fault behind them.
fn understood(mut bytes: &[u8]) -> (usize, &'static str) {
    let mut session = Session::new(Transport::Stream);
    let (mut frames, mut message) = (0, Vec::new());
    loop {
        let step = session.feed(bytes, &mut message, LIMITS);
        bytes = &bytes[step.consumed..];
        match step.item {
            Item::Decided(_) => {}
            Item::More => return (frames, ""),
            Item::Fault(fault) => return (frames, fault.word()),
            Item::Command(_) => frames += 1,
            other => panic!("no native frame: {other:?}"),
        }
    }
}

#[test]
fn it_understands_what_the_server_understands() {
    let mut chance = Chance(3);
    let mut capture = Pcap::default();
    let mut expected = Vec::new();
    let frames = from_client();
    while expected.len() < 400 {
        let mut bytes = Vec::new();
        for _ in 0..=chance.below(5) {
            bytes.extend(&frames[chance.below(frames.len())]);
        }
        for _ in 0..chance.below(3) {
            // The first byte stays: it chooses the protocol.
            let at = 1 + chance.below(bytes.len() - 1);
            bytes[at] = [0, 1, 2, 3, 5, 16, 24, 200][chance.below(8)];
        }
        let (frames, fault) = understood(&bytes);
        // An answer to nothing closes the connection, but can be read, and what follows it, too.
        if fault == "unsolicited_answer" {
            continue;
        }
        let port = CLIENT + u16::try_from(expected.len()).unwrap();
        // After a fault each segment is tried anew: it is in the only one.
        let cut = if fault.is_empty() { chance.below(bytes.len()) } else { 0 };
        for part in [&bytes[..cut], &bytes[cut..]].into_iter().filter(|part| !part.is_empty()) {
            capture.segment(port, SERVER, part);
        }
        expected.push((bytes, frames, fault));
    }
    let Some(shown) = by_stream(&capture, &["chatd.type", "_ws.expert.message"]) else { return };
    for ((bytes, frames, fault), stream) in expected.iter().zip(&shown) {
        let said = |what: &str| stream[1].split('|').filter(|part| part.starts_with(what)).count();
        let lengths = said("The length") + said("The first byte");
        assert_eq!(lengths, usize::from(*fault == "bad_length"), "{stream:?} of {bytes:x?}");
        let strings = said("The string claims");
        assert_eq!(strings, usize::from(*fault == "bad_string"), "{stream:?} of {bytes:x?}");
        let types = stream[0].split('|').filter(|kind| !kind.is_empty()).count();
        // Of a wrong frame the type is shown where it is there.
        let understood = *frames..=frames + lengths + strings;
        assert!(understood.contains(&types), "{stream:?} of {bytes:x?}: {frames}");
    }
    let faults = expected.iter().filter(|(_, _, fault)| !fault.is_empty()).count();
    assert!((50..350).contains(&faults), "the changes matter too seldom or too often: {faults}");
}
