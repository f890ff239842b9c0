//! Rule by rule of RFC 6455: what is taken, what is refused, and how early. Everything is read whole and a byte at a time.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use super::*;
use crate::ws::CloseCode;
use crate::ws::frame::head;

const LIMITS: Limits = Limits { message: 70_000, fragments: 4 };
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame with such a first byte.
fn raw(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    head(first, MASKED, body.len(), &mut out);
    out.extend_from_slice(&MASK);
    Mask(MASK).apply(body, &mut out);
    out
}

/// What was read, and how many bytes had come when the last of it was known.
fn seen(role: Role, bytes: &[u8], step: usize) -> (Vec<String>, usize) {
    let (mut reader, mut kept, mut message, mut seen) = (Reader::new(role), vec![], vec![], vec![]);
    let (mut came, mut known) = (0_usize, 0);
    let mut pieces = bytes.chunks(step);
    loop {
        let at = reader.feed(&kept, &mut message, LIMITS);
        assert!(at.consumed <= kept.len());
        kept.drain(..at.consumed);
        match at.item {
            Item::More => {
                assert!(kept.len() < 14 + CONTROL_BYTES_MAX, "a header or a control frame");
                assert!(message.capacity() <= LIMITS.message, "memory has the message's limit");
                let Some(piece) = pieces.next() else { return (seen, known) };
                came = came.saturating_add(piece.len());
                kept.extend_from_slice(piece);
                continue;
            }
            Item::Message(kind) => {
                seen.push(format!("{kind:?} {}", message.escape_ascii()));
                message.clear();
            }
            Item::Close(close) => {
                let reason = close.payload.bytes().get(2..).unwrap_or_default().escape_ascii();
                seen.push(format!("Close {:?} {reason}", close.code));
            }
            item @ (Item::Ping(_) | Item::Pong(_) | Item::Fault(_)) => {
                seen.push(format!("{item:?}"));
            }
        }
        known = came;
        if reader.is_over() {
            assert!(!reader.mid_message());
            return (seen, known);
        }
    }
}

/// What a server reads.
fn read(frames: &[Vec<u8>]) -> Vec<String> {
    let bytes = frames.concat();
    let (whole, _) = seen(Role::Server, &bytes, bytes.len().max(1));
    for step in [1, 2, 3, 5, 64] {
        assert_eq!(seen(Role::Server, &bytes, step).0, whole, "in steps of {step}");
    }
    whole
}

/// The fault that ends such frames, and how many bytes it took to find it.
fn fault(frames: &[Vec<u8>]) -> (String, usize) {
    let whole = read(frames);
    let last = whole.last().cloned().unwrap_or_default();
    let fault = last.strip_prefix("Fault(").and_then(|last| last.strip_suffix(')'));
    (fault.unwrap_or(&last).into(), seen(Role::Server, &frames.concat(), 1).1)
}

fn is(fault: &str, bytes: usize) -> (String, usize) {
    (fault.into(), bytes)
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec();
    assert_eq!(read(&[hello]), ["Text Hello"], "section 5.7");
    let parts = [raw(0x01, b"Hel"), raw(0x80, b"lo")];
    assert_eq!(read(&parts), ["Text Hello"]);
    assert_eq!(read(&[raw(0x89, b"Hello")]), ["Ping(\"Hello\")"]);
    assert_eq!(read(&[raw(0x82, &[b'x'; 256])]), [format!("Binary {}", "x".repeat(256))]);
    assert_eq!(read(&[raw(0x82, &vec![b'x'; 65_536])]), [format!("Binary {}", "x".repeat(65_536))]);
    let (client, _) = seen(Role::Client, b"\x81\x05Hello\x89\x00", 1);
    assert_eq!(client, ["Text Hello", "Ping(\"\")"]);
}

#[test]
fn empty_frames_are_frames() {
    assert_eq!(read(&[raw(0x81, b"")]), ["Text "]);
    assert_eq!(read(&[raw(0x02, b""), raw(0x00, b""), raw(0x80, b"")]), ["Binary "]);
    assert_eq!(read(&[raw(0x01, b""), raw(0x00, b"x"), raw(0x80, b"")]), ["Text x"]);
    assert!(read(&[]).is_empty());
}

#[test]
fn control_frames_stand_between_the_frames_of_a_message() {
    let frames = [
        raw(0x01, b"a"),
        raw(0x89, b"p"),
        raw(0x00, b"b"),
        raw(0x8a, b"q"),
        raw(0x80, b"c"),
        raw(0x82, b"d"),
    ];
    assert_eq!(read(&frames), ["Ping(\"p\")", "Pong(\"q\")", "Text abc", "Binary d"]);
    let frames = [raw(0x01, b"a"), raw(0x88, b"\x03\xe8bye"), raw(0x80, b"c")];
    assert_eq!(read(&frames), ["Close Some(CloseCode(1000)) bye"], "nothing is read behind it");
}

#[test]
fn messages_do_not_mix() {
    assert_eq!(fault(&[raw(0x80, b"x")]), is("NothingToContinue", 1));
    assert_eq!(fault(&[raw(0x81, b"x"), raw(0x00, b"y")]), is("NothingToContinue", 8));
    assert_eq!(fault(&[raw(0x01, b"x"), raw(0x81, b"y")]), is("Unfinished", 8));
    assert_eq!(fault(&[raw(0x02, b"x"), raw(0x01, b"y")]), is("Unfinished", 8));
}

#[test]
fn reserved_bits_and_opcodes_are_refused_with_the_first_byte() {
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(fault(&[raw(0x81 | bit, b"x")]), is("ReservedBit", 1));
        assert_eq!(fault(&[raw(0x89 | bit, b"x")]), is("ReservedBit", 1));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let expected = format!("ReservedOpcode({opcode})");
        assert_eq!(fault(&[raw(0x80 | opcode, b"x")]), is(&expected, 1));
    }
}

#[test]
fn masking_is_required_of_clients_and_forbidden_to_servers() {
    assert_eq!(fault(&[b"\x81\x01x".to_vec()]), is("Masking", 2));
    assert_eq!(seen(Role::Client, &raw(0x81, b"x"), 1), (vec!["Fault(Masking)".into()], 2));
}

#[test]
fn control_frames_are_short_and_whole() {
    let longest = format!("Ping(\"{}\")", "x".repeat(125));
    assert_eq!(read(&[raw(0x89, &[b'x'; 125])]), [longest]);
    for opcode in [0x88, 0x89, 0x8a] {
        assert_eq!(fault(&[raw(opcode, &[b'x'; 126])]), is("ControlFrame", 2));
        assert_eq!(fault(&[raw(opcode & 0x0f, b"")]), is("ControlFrame", 1), "cut");
    }
}

#[test]
fn lengths_have_their_shortest_form() {
    let long = |bytes: &[u8]| fault(&[bytes.to_vec()]);
    assert_eq!(long(b"\x81\xfe\x00\x7d"), is("Length", 4));
    assert_eq!(long(b"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff"), is("Length", 10));
    assert_eq!(long(b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00"), is("Length", 10));
    assert_eq!(long(b"\x81\xfe\x00\x7e"), is("", 0), "126 is fine");
}

#[test]
fn messages_have_limits_that_are_known_with_the_header() {
    let most = raw(0x82, &vec![b'x'; 70_000]);
    assert_eq!(read(&[most]).len(), 1);
    let header = b"\x82\xff\x00\x00\x00\x00\x00\x01\x11\x71\0\0\0\0";
    assert_eq!(fault(&[header.to_vec()]), is("TooBig { max: 70000 }", 14));
    let huge = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    assert_eq!(fault(&[huge.to_vec()]), is("TooBig { max: 70000 }", 14));
    let parts = [raw(0x02, &vec![0; 69_999]), raw(0x80, b"xy")];
    assert_eq!(fault(&parts).0, "TooBig { max: 70000 }", "all frames together");
    let parts = [raw(0x02, b""), raw(0x00, b""), raw(0x00, b""), raw(0x80, b"")];
    assert_eq!(read(&parts), ["Binary "]);
    let parts = [raw(0x02, b""), raw(0x00, b""), raw(0x00, b""), raw(0x00, b""), raw(0x80, b"")];
    assert_eq!(fault(&parts).0, "TooManyFragments { max: 4 }");
}

#[test]
fn a_wrong_octet_is_found_inside_an_unfinished_frame() {
    let text = "κόσμε".as_bytes();
    assert_eq!(read(&[raw(0x81, text)]), [format!("Text {}", text.escape_ascii())]);
    // Cut in the middle of a character, by frames.
    let (one, other) = text.split_at_checked(3).unwrap();
    assert_eq!(read(&[raw(0x01, one), raw(0x89, b""), raw(0x80, other)]).len(), 2);
    // The second octet of F4 90 is wrong; 20 more were announced.
    let wrong = [text, b"\xf4\x90\x80\x80", &[b'x'; 20]].concat();
    let begin = 6 + text.len();
    assert_eq!(fault(&[raw(0x81, &wrong)]), is("NotUtf8", begin + 2));
    assert_eq!(fault(&[raw(0x01, &wrong)]), is("NotUtf8", begin + 2));
    // A message may not end in the middle of a character; a frame may.
    assert_eq!(fault(&[raw(0x81, b"\xce")]), is("NotUtf8", 7));
    assert_eq!(fault(&[raw(0x01, b"\xce"), raw(0x80, b"")]), is("NotUtf8", 13));
    assert_eq!(fault(&[raw(0x01, b"\xce"), raw(0x80, b"x")]), is("NotUtf8", 14));
    assert_eq!(read(&[raw(0x82, &wrong)]).len(), 1, "bytes are bytes");
}

#[test]
fn what_came_before_the_offence_is_read() {
    let frames = [raw(0x81, b"one"), raw(0x89, b"two"), raw(0x81, b"\xff"), raw(0x81, b"three")];
    assert_eq!(read(&frames), ["Text one", "Ping(\"two\")", "Fault(NotUtf8)"]);
}

#[test]
fn close_frames_have_a_code_that_may_be_sent() {
    let close = |payload: &[u8]| read(&[raw(0x88, payload)]).pop().unwrap();
    assert_eq!(close(b""), "Close None ");
    assert_eq!(close(b"\x03"), "Fault(CloseCode)");
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999_u16,
    ] {
        assert_eq!(close(&code.to_be_bytes()), format!("Close Some(CloseCode({code})) "));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        assert_eq!(close(&code.to_be_bytes()), "Fault(CloseCode)", "{code}");
    }
    let longest = [&b"\x03\xe8"[..], &[b'x'; 123]].concat();
    assert_eq!(close(&longest), format!("Close Some(CloseCode(1000)) {}", "x".repeat(123)));
    assert_eq!(close(b"\x03\xe8\xce"), "Fault(NotUtf8)");
    assert_eq!(close(b"\x03\xe8\xff"), "Fault(NotUtf8)");
}

#[test]
fn faults_close_with_their_codes() {
    assert_eq!(WsFault::ReservedBit.code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(WsFault::NotUtf8.code().number(), 1007);
    assert_eq!(WsFault::TooBig { max: 1 }.code().number(), 1009);
    assert_eq!(WsFault::TooManyFragments { max: 1 }.code().number(), 1008);
}
