//! Properties of WebSocket connections, and another implementation on the other side: what tungstenite says is read, and what we say
//! it reads.
#![allow(clippy::unwrap_used, reason = "a test that unwraps wrongly fails, as it should")]

mod chunks;

use std::io::{self, Read, Write};

use chunks::cut;
use proptest::prelude::*;
use proto::WallTime;
use proto::http::{self, Head};
use proto::ws::{
    self, After, CloseCode, ECHO_LIMITS, Item, Limits, Opcode, Reader, Role, SUBPROTOCOL, Step,
    echo, frame, handshake, masked_frame,
};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{HandshakeError, Message, WebSocket};

const LIMITS: Limits = Limits { message: 3_000, fragments: 20 };

/// What a reader makes of bytes that come in these chunks, as one readable line each.
fn seen(role: Role, chunks: &[&[u8]]) -> Vec<String> {
    let (mut reader, mut kept, mut message) = (Reader::new(role), Vec::new(), Vec::new());
    let mut seen = Vec::new();
    for chunk in chunks {
        kept.extend_from_slice(chunk);
        loop {
            let Step { consumed, item } = reader.feed(&kept, &mut message, LIMITS);
            kept.drain(..consumed);
            assert!(message.capacity() <= LIMITS.message, "memory has the message's limit");
            match item {
                Item::More => break,
                Item::Message(kind) => {
                    seen.push(format!("{kind:?} {}", message.escape_ascii()));
                    message.clear();
                }
                item => seen.push(format!("{item:?}")),
            }
        }
        assert!(kept.len() < 14 + ws::CONTROL_BYTES_MAX, "a header or a control frame is kept");
    }
    seen
}

/// A message, where its frames are cut, and what stands between them.
type Said = (bool, String, Vec<usize>, Option<Vec<u8>>, [u8; 4]);

fn said() -> impl Strategy<Value = Said> {
    let ping = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=125));
    let cuts = proptest::collection::vec(0_usize..200, 0..4);
    (any::<bool>(), "\\PC{0,60}", cuts, ping, any::<[u8; 4]>())
}

/// The frames of a message, as a client sends them; the first bit of a masked frame's header says whether it is the last.
fn frames((is_text, text, cuts, ping, mask): &Said, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    let mut opcode = if *is_text { Opcode::Text } else { Opcode::Binary };
    for cut in cuts {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        let begin = out.len();
        masked_frame(opcode, piece, *mask, out);
        out[begin] &= 0x7f;
        if let Some(ping) = ping {
            masked_frame(Opcode::Ping, ping, *mask, out);
        }
        (rest, opcode) = (after, Opcode::Continuation);
    }
    masked_frame(opcode, rest, *mask, out);
}

/// Something that stands in streams of frames, or near it.
fn scrap() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => proptest::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => any::<u8>(),
    ];
    let body = proptest::collection::vec(any::<u8>(), 0..140);
    let made = (first, body, any::<[u8; 4]>()).prop_map(|(first, body, mask)| {
        let mut out = Vec::new();
        masked_frame(Opcode::Binary, &body, mask, &mut out);
        out[0] = first;
        out
    });
    let text = said().prop_map(|said| {
        let mut out = Vec::new();
        frames(&said, &mut out);
        out
    });
    prop_oneof![4 => text, 4 => made, 1 => proptest::collection::vec(any::<u8>(), 0..20)]
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_items(
        scraps in proptest::collection::vec(scrap(), 0..10),
        lengths in proptest::collection::vec(1_usize..60, 1..6),
    ) {
        let bytes = scraps.concat();
        let whole = seen(Role::Server, &[&bytes]);
        prop_assert_eq!(&seen(Role::Server, &cut(&bytes, &lengths)), &whole);
        prop_assert_eq!(&seen(Role::Server, &cut(&bytes, &[1])), &whole);
    }

    #[test]
    fn messages_are_put_together_however_they_are_cut(
        said in proptest::collection::vec(said(), 1..6),
        lengths in proptest::collection::vec(1_usize..300, 1..6),
    ) {
        let mut bytes = Vec::new();
        for said in &said {
            frames(said, &mut bytes);
        }
        let read = seen(Role::Server, &cut(&bytes, &lengths));
        let messages: Vec<_> = read.iter().filter(|line| !line.starts_with("Ping")).collect();
        prop_assert_eq!(messages.len(), said.len());
        for (read, (is_text, text, ..)) in messages.iter().zip(&said) {
            let kind = if *is_text { "Text" } else { "Binary" };
            prop_assert_eq!(*read, &format!("{kind} {}", text.as_bytes().escape_ascii()));
        }
        let pings: usize = said.iter().filter(|said| said.3.is_some()).map(|said| said.2.len()).sum();
        prop_assert_eq!(read.len(), said.len() + pings);
    }

    #[test]
    fn what_a_server_says_a_client_reads(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..5)) {
        let mut bytes = Vec::new();
        for body in &bodies {
            frame(Opcode::Binary, body, &mut bytes);
        }
        let read = seen(Role::Client, &cut(&bytes, &[7, 1, 90]));
        let said: Vec<_> = bodies.iter().map(|body| format!("Binary {}", body.escape_ascii())).collect();
        prop_assert_eq!(read, said);
    }
}

/// One end of a connection without sockets: what was written to it, and what is to be read from it.
#[derive(Debug, Default)]
struct End {
    written: Vec<u8>,
    to_read: Vec<u8>,
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.to_read.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // Few bytes at a time, so that they are cut anywhere.
        let count = buffer.len().min(self.to_read.len()).min(61);
        buffer[..count].copy_from_slice(&self.to_read[..count]);
        self.to_read.drain(..count);
        Ok(count)
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Our side of the connection: an echo.
struct Server {
    reader: Reader,
    kept: Vec<u8>,
    message: Vec<u8>,
    closed: bool,
}

impl Server {
    fn new() -> Self {
        let reader = Reader::new(Role::Server);
        Self { reader, kept: Vec::new(), message: Vec::new(), closed: false }
    }

    /// Reads what the client wrote, and answers it.
    fn serve(&mut self, end: &mut End) {
        for chunk in std::mem::take(&mut end.written).chunks(101) {
            self.kept.extend_from_slice(chunk);
            loop {
                let step = self.reader.feed(&self.kept, &mut self.message, ECHO_LIMITS);
                self.kept.drain(..step.consumed);
                if step.item == Item::More {
                    break;
                }
                self.closed |= echo(&step.item, &self.message, &mut end.to_read) == After::Close;
                self.message.clear();
            }
        }
    }
}

/// Their client, connected to our server by both handshakes.
fn connected() -> (WebSocket<End>, Server) {
    let mut request = "ws://localhost:33333/ws?x".into_client_request().unwrap();
    let protocols = format!("other, {SUBPROTOCOL}").parse().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocols);
    let config = WebSocketConfig::default().max_frame_size(None);
    let waiting =
        match tungstenite::client::client_with_config(request, End::default(), Some(config)) {
            Err(HandshakeError::Interrupted(waiting)) => waiting,
            other => panic!("{other:?}"),
        };
    let mut waiting = waiting;
    let end = waiting.get_mut().get_mut();
    let asked = std::mem::take(&mut end.written);
    let http::Item::Head(head) = http::Reader::new().feed(&asked, 0).item else {
        panic!("no head")
    };
    answer(&head, &mut end.to_read);
    let mut waiting = waiting.handshake();
    loop {
        match waiting {
            Ok((client, response)) => {
                assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
                return (client, Server::new());
            }
            Err(HandshakeError::Interrupted(again)) => waiting = again.handshake(),
            Err(HandshakeError::Failure(error)) => panic!("{error}"),
        }
    }
}

fn answer(head: &Head<'_>, out: &mut Vec<u8>) {
    assert!(head.upgrade);
    handshake(head, Some(SUBPROTOCOL)).unwrap().write(WallTime::from_micros(0), out);
}

/// What comes back for a message, `None` where the connection is over.
fn exchanged(client: &mut WebSocket<End>, server: &mut Server) -> Option<Message> {
    server.serve(client.get_mut());
    match client.read() {
        Ok(message) => Some(message),
        Err(tungstenite::Error::ConnectionClosed) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn tungstenite_shakes_hands_and_hears_its_echo() {
    let (mut client, mut server) = connected();
    let long = "κόσμε ".repeat(20_000);
    let messages = [
        Message::text("hello"),
        Message::text(""),
        Message::text(long),
        Message::binary(vec![0_u8; 125]),
        Message::binary(vec![0xff_u8; 126]),
        Message::binary(vec![7_u8; 65_535]),
        Message::binary(vec![8_u8; 65_536]),
        Message::binary(Vec::new()),
    ];
    for message in messages {
        client.send(message.clone()).unwrap();
        assert_eq!(exchanged(&mut client, &mut server), Some(message));
    }
    client.send(Message::Ping("are you there".into())).unwrap();
    assert_eq!(exchanged(&mut client, &mut server), Some(Message::Pong("are you there".into())));
}

#[test]
fn tungstenite_closes_and_is_answered_with_its_code() {
    let (mut client, mut server) = connected();
    let close = CloseFrame { code: TheirCode::Library(4_000), reason: "enough".into() };
    client.close(Some(close)).unwrap();
    match exchanged(&mut client, &mut server) {
        Some(Message::Close(Some(close))) => assert_eq!(u16::from(close.code), 4_000),
        other => panic!("{other:?}"),
    }
    assert!(server.closed);
}

#[test]
fn tungstenite_is_told_why_it_is_closed() {
    let (mut client, mut server) = connected();
    let mut out = Vec::new();
    ws::close(CloseCode::GOING_AWAY, "The daemon is ending.", &mut out);
    client.get_mut().to_read.extend_from_slice(&out);
    match client.read().unwrap() {
        Message::Close(Some(close)) => {
            assert_eq!(close.code, TheirCode::Away);
            assert_eq!(close.reason.as_str(), "The daemon is ending.");
        }
        other => panic!("{other:?}"),
    }
    let over = client.read();
    assert!(matches!(over, Err(tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed)));
    server.serve(client.get_mut());
    assert!(server.closed, "it answers with a close frame");
}

/// Their server reads what our client's side says.
#[test]
fn tungstenite_serves_our_client() {
    let key = *b"0123456789abcdef";
    let mut end = End::default();
    end.to_read.extend_from_slice(&ws::request("localhost", "/ws", key));
    #[allow(clippy::result_large_err, reason = "the type is theirs")]
    let agree = |_: &tungstenite::handshake::server::Request,
                 mut response: tungstenite::handshake::server::Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().unwrap());
        Ok(response)
    };
    let mut accepted = tungstenite::accept_hdr(end, agree);
    let mut server = loop {
        match accepted {
            Ok(server) => break server,
            Err(HandshakeError::Interrupted(again)) => accepted = again.handshake(),
            Err(HandshakeError::Failure(error)) => panic!("{error}"),
        }
    };
    let answered = std::mem::take(&mut server.get_mut().written);
    let consumed = answered.len();
    assert_eq!(ws::upgraded(&answered, key), Ok(ws::Upgraded::Yes { consumed }));
    let mut said = Vec::new();
    masked_frame(Opcode::Text, "κόσμε".as_bytes(), [1, 2, 3, 4], &mut said);
    server.get_mut().to_read.extend_from_slice(&said);
    assert_eq!(server.read().unwrap(), Message::text("κόσμε"));
    server.send(Message::text("back")).unwrap();
    let back = std::mem::take(&mut server.get_mut().written);
    assert_eq!(seen(Role::Client, &[&back]), ["Text back"]);
}
