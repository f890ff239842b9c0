//! A raw v1 client over TCP: frames of type 16 with one JSON object each, written from the protocol and not with chatd's own decoder.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::{Value, json};

use crate::deadline::DEADLINE;
use crate::native::frame;

/// The type of its frames.
const V1: u32 = 16;

/// A v1 connection.
#[derive(Debug)]
pub struct V1Client {
    stream: TcpStream,
    kept: Vec<u8>,
    events: VecDeque<Value>,
    asked: u64,
}

impl V1Client {
    /// Connects and says `hello` with this nickname.
    ///
    /// # Panics
    /// Where the server does not take it.
    pub fn connect(address: SocketAddr, nick: &str) -> Self {
        let mut client = Self::silent(address);
        let reply = client.asks("hello", json!({ "nick": nick }));
        assert_eq!(reply["ok"], true, "{reply}");
        client
    }

    /// Connects and says nothing.
    pub fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, kept: Vec::new(), events: VecDeque::new(), asked: 0 }
    }

    /// The connection itself.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends a request and does not wait; its id.
    pub fn sends(&mut self, request: &str, fields: Value) -> String {
        self.asked += 1;
        let id = fields["id"].as_str().map_or_else(|| self.asked.to_string(), str::to_owned);
        let mut object = match fields {
            Value::Object(object) => object,
            other => panic!("{other} are no fields"),
        };
        object.insert("request".into(), request.into());
        object.insert("id".into(), id.clone().into());
        // A server that is gone is noticed when it is listened to.
        let _ = self.stream.write_all(&frame(V1, Value::Object(object).to_string().as_bytes()));
        id
    }

    /// Sends a request and waits for its reply; events that come before are kept.
    pub fn asks(&mut self, request: &str, fields: Value) -> Value {
        let id = self.sends(request, fields);
        loop {
            let said = self.next_object().expect("the server closed before its reply");
            if said["reply"] == id {
                return said;
            }
            assert!(said.get("event").is_some(), "a reply to nothing: {said}");
            self.events.push_back(said);
        }
    }

    /// Posts to a room; the reply's `seq`.
    pub fn posts(&mut self, room: &str, text: &str) -> u64 {
        self.asked += 1;
        let (port, number) = (self.stream.local_addr().unwrap().port(), self.asked);
        let id = format!("00000000-0000-4000-a000-{port:04x}{number:08x}");
        let reply = self.asks("post", json!({ "id": id, "room": room, "text": text }));
        reply["seq"].as_u64().unwrap_or_else(|| panic!("{reply}"))
    }

    /// The next event of this name; others before it are left out.
    pub fn event_called(&mut self, name: &str) -> Value {
        loop {
            let event = self.events.pop_front().or_else(|| self.next_object());
            let event = event.unwrap_or_else(|| panic!("the server closed before `{name}`"));
            if event["event"] == name {
                return event;
            }
        }
    }

    /// The next object; none at the end of the stream. Keepalives are left out.
    pub fn next_object(&mut self) -> Option<Value> {
        let end = Instant::now() + DEADLINE;
        let mut buffer = [0; 16_384];
        loop {
            if let Some((kind, payload)) = self.take() {
                if kind == V1 {
                    return Some(serde_json::from_slice(&payload).unwrap());
                }
                assert!(kind <= 2, "a v1 client hears no frame of type {kind}");
                continue;
            }
            assert!(Instant::now() < end, "the server says nothing whole");
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.kept.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing is heard within {DEADLINE:?}: {error}"),
            }
        }
    }

    /// Takes the first whole frame off what came.
    fn take(&mut self) -> Option<(u32, Vec<u8>)> {
        let number =
            |at: usize| Some(u32::from_be_bytes(self.kept.get(at..at + 4)?.try_into().ok()?));
        let (length, kind) = (number(0)? as usize, number(4)?);
        assert!(length >= 4, "a frame of type {kind} has the length {length}");
        if self.kept.len() < 4 + length {
            return None;
        }
        let frame: Vec<u8> = self.kept.drain(..4 + length).collect();
        Some((kind, frame[8..].to_vec()))
    }
}
