//! A raw HTTP/1.1 client over one connection, written from RFC 9112 and not with chatd's own reader: what it reads is to be exactly right.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::Value;

use crate::deadline::DEADLINE;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its fields, the names in small letters.
    pub fields: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a field that is there once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(other, _)| other == name);
        let value = found.next().map(|(_, value)| &**value);
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as one JSON object.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as JSON lines.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A connection. Each read has a deadline.
#[derive(Debug)]
pub struct Http {
    stream: TcpStream,
    kept: Vec<u8>,
}

impl Http {
    /// Connects, and says nothing.
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, DEADLINE).unwrap())
    }

    /// Over a connection that is there.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, kept: Vec::new() }
    }

    /// The socket.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends these bytes.
    pub fn sends(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Asks, with more fields that end in line ends each, and hears the answer.
    pub fn asks(&mut self, line: &str, fields: &str) -> Answer {
        self.sends(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        self.hears(line.starts_with("HEAD "))
    }

    /// Gets a path.
    pub fn gets(&mut self, path: &str) -> Answer {
        self.asks(&format!("GET {path}"), "")
    }

    /// Posts a body, with more fields that end in line ends each.
    pub fn posts(&mut self, path: &str, fields: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n"
        );
        self.sends([head.as_bytes(), body].concat());
        self.hears(false)
    }

    /// The next answer; `is_head` where it has no body whatever it says of one.
    pub fn hears(&mut self, is_head: bool) -> Answer {
        let head = self.head();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap();
        let status = status.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{status}"));
        let status = status[..3].parse().unwrap();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            (name.to_ascii_lowercase(), value.to_owned())
        });
        let mut answer = Answer { status, fields: fields.collect(), body: Vec::new() };
        let length = answer.field("content-length").map(|length| length.parse().unwrap());
        let bodiless = is_head || matches!(status, 100..=199 | 204 | 304);
        if let Some(length) = length.filter(|_| !bodiless) {
            while self.kept.len() < length {
                self.reads_more();
            }
            answer.body = self.kept.drain(..length).collect();
        }
        answer
    }

    /// What stands before the next empty line.
    pub fn head(&mut self) -> String {
        self.up_to(b"\r\n\r\n")
    }

    /// The next server-sent event: its id, where it has one, and its data.
    pub fn event(&mut self) -> (Option<String>, Value) {
        loop {
            let block = self.up_to(b"\n\n");
            let (mut id, mut data) = (None, None);
            for line in block.split('\n') {
                match line.split_once(": ") {
                    Some(("id", value)) => id = Some(value.to_owned()),
                    Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                    // What it begins with, and what breaks a silence.
                    Some(("retry", _)) | None => {}
                    Some(_) => panic!("an event has no such line: {line}"),
                }
            }
            if let Some(data) = data {
                return (id, data);
            }
        }
    }

    /// The next event of this name.
    pub fn event_called(&mut self, name: &str) -> (Option<String>, Value) {
        loop {
            let (id, data) = self.event();
            if data["event"] == name {
                return (id, data);
            }
        }
    }

    /// The server closes; all bytes before that.
    pub fn until_closed(&mut self) -> Vec<u8> {
        while self.reads() {}
        std::mem::take(&mut self.kept)
    }

    /// Ends its direction.
    pub fn finishes(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn up_to(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.kept.windows(end.len()).position(|window| window == end) {
                let bytes: Vec<u8> = self.kept.drain(..at + end.len()).take(at).collect();
                return String::from_utf8(bytes).unwrap();
            }
            self.reads_more();
        }
    }

    fn reads_more(&mut self) {
        assert!(self.reads(), "the server closed: {}", String::from_utf8_lossy(&self.kept));
    }

    /// Reads some bytes; false at the end of the stream.
    fn reads(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        let end = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < end, "the server says nothing");
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    self.kept.extend_from_slice(&buffer[..read]);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("nothing is heard within {DEADLINE:?}: {error}"),
            }
        }
    }
}
