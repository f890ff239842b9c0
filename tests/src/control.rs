//! A raw client of the control socket: JSON lines.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::deadline::DEADLINE;

/// A connection. Each read has a deadline.
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    kept: Vec<u8>,
    events: VecDeque<Value>,
    requests: u32,
}

impl Control {
    /// Connects, and says nothing.
    pub fn connect(path: &Path) -> Self {
        Self::over(UnixStream::connect(path).unwrap())
    }

    /// Speaks over a connection that was made elsewhere.
    pub fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, kept: Vec::new(), events: VecDeque::new(), requests: 0 }
    }

    /// The socket.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Sends these bytes.
    pub fn sends(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request with an id of its own, and gives the reply. Events that come before are kept.
    pub fn asks(&mut self, request: &str, fields: Value) -> Value {
        self.requests += 1;
        let id = format!("r{}", self.requests);
        self.asks_as(&id, request, fields)
    }

    /// Sends a request with this id, and gives the reply.
    pub fn asks_as(&mut self, id: &str, request: &str, fields: Value) -> Value {
        let mut object = json!({"request": request, "id": id});
        if let Value::Object(fields) = fields {
            object.as_object_mut().unwrap().extend(fields);
        }
        self.sends(format!("{object}\n").as_bytes());
        self.reply(id)
    }

    /// Posts this text; gives its sequence number.
    pub fn posts(&mut self, room: &str, text: &str) -> u64 {
        self.requests += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.requests);
        let reply = self.asks_as(&id, "post", json!({"room": room, "text": text}));
        reply["seq"].as_u64().unwrap_or_else(|| panic!("the post is refused: {reply}"))
    }

    /// The reply to a request.
    pub fn reply(&mut self, id: &str) -> Value {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("closed before the reply to {id}"));
            if line["reply"] == id {
                return line;
            }
            assert!(line["event"].is_string(), "a reply that nobody waits for: {line}");
            self.events.push_back(line);
        }
    }

    /// The next event.
    pub fn event(&mut self) -> Value {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let line = self.line().expect("closed before the event");
        assert!(line["event"].is_string(), "a reply that nobody waits for: {line}");
        line
    }

    /// The next event of this kind; others are passed over.
    pub fn event_called(&mut self, name: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// The next line; none at the end of the stream.
    pub fn line(&mut self) -> Option<Value> {
        let mut buffer = [0; 16_384];
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.kept.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.kept.drain(..=at).collect();
                return Some(serde_json::from_slice(&line).expect("each line is one JSON value"));
            }
            assert!(Instant::now() < end, "the server says nothing whole");
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.kept.is_empty(), "the stream ends within a line");
                    return None;
                }
                Ok(read) => self.kept.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing is heard within {DEADLINE:?}: {error}"),
            }
        }
    }
}
