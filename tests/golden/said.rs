//! What the hub wrote to a connection, in a form that people read.

use proto::ws;
use tests::Heard;
use tests::native::take_frame;

use crate::literal::{hex, shown};

/// The type of a frame that carries an object of v1.
const V1_TYPE: [u8; 4] = [0, 0, 0, 16];

/// Bytes that were written to one connection and not shown yet.
#[derive(Debug, Default)]
pub struct Said {
    bytes: Vec<u8>,
}

impl Said {
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes what is whole: frames after a first byte of 00, lines of JSON after a brace, else everything as it is.
    pub fn take(&mut self) -> Vec<String> {
        match self.bytes.first() {
            None => Vec::new(),
            Some(0) => self.take_frames(),
            Some(b'{') => self.take_lines(),
            Some(b'H') => self.take_responses(),
            Some(0x81..=0x8a) => self.take_messages(),
            Some(_) => {
                let bytes = std::mem::take(&mut self.bytes);
                vec![match std::str::from_utf8(&bytes) {
                    Ok(text) if !text.starts_with('\x15') => {
                        format!("says \"{}\"", text.escape_debug())
                    }
                    _ => format!("bytes {}", hex(&bytes)),
                }]
            }
        }
    }

    fn take_frames(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            if let Some(json) = self.take_v1() {
                said.push(with_short_runs(&json));
            } else if let Some(heard) = self.take_v05() {
                said.push(frame(&heard));
            } else {
                return said;
            }
        }
    }

    /// Responses of HTTP, each with as much of its body as it says and is here. What follows an upgrade are messages.
    fn take_responses(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while self.bytes.first() == Some(&b'H') {
            let end = self.bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let head = String::from_utf8(self.bytes[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            let streams = head.contains("text/event-stream");
            let body = if streams { self.bytes.len() - end } else { length };
            let whole = self.bytes.len().min(end + body);
            let bytes: Vec<u8> = self.bytes.drain(..whole).collect();
            let text = String::from_utf8_lossy(&bytes);
            said.push(format!("says \"{}\"", text.escape_debug()));
        }
        said.extend(self.take());
        said
    }

    /// Messages of a WebSocket.
    fn take_messages(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        let mut reader = ws::Reader::new(ws::Role::Client);
        let limits = ws::Limits { message: 1 << 24, fragments: 1 };
        loop {
            let mut message = Vec::new();
            let step = reader.feed(&self.bytes, &mut message, limits);
            said.push(match step.item {
                ws::Item::More => return said,
                ws::Item::Message(ws::Kind::Text) => {
                    with_short_runs(std::str::from_utf8(&message).unwrap())
                }
                ws::Item::Message(ws::Kind::Binary) => format!("bytes {}", hex(&message)),
                ws::Item::Ping(ping) => format!("ping {ping:?}"),
                ws::Item::Pong(pong) => format!("pong {pong:?}"),
                ws::Item::Close(close) => {
                    let code = close.code.map_or(0, ws::CloseCode::number);
                    let reason = close.payload.bytes().get(2..).unwrap_or_default();
                    format!("closes {code} \"{}\"", std::str::from_utf8(reason).unwrap())
                }
                ws::Item::Fault(fault) => panic!("the daemon wrote {fault:?}"),
            });
            self.bytes.drain(..step.consumed);
        }
    }

    fn take_v05(&mut self) -> Option<Heard> {
        if self.bytes.get(4..8) == Some(&V1_TYPE) {
            return None;
        }
        take_frame(&mut self.bytes).unwrap()
    }

    /// A whole frame of type 16: its JSON object.
    fn take_v1(&mut self) -> Option<String> {
        let length = u32::from_be_bytes(*self.bytes.first_chunk()?);
        let end = 4 + usize::try_from(length).unwrap();
        if self.bytes.get(4..8) != Some(&V1_TYPE) || self.bytes.len() < end {
            return None;
        }
        let frame: Vec<u8> = self.bytes.drain(..end).collect();
        let json = String::from_utf8(frame[8..].to_vec()).unwrap();
        let _: serde_json::Value = serde_json::from_str(&json).unwrap();
        Some(json)
    }

    fn take_lines(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            let _: serde_json::Value = serde_json::from_str(&line).unwrap();
            said.push(with_short_runs(line.trim_end()));
        }
        said
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

fn frame(heard: &Heard) -> String {
    match heard {
        Heard::Broadcast(from, text) => format!("broadcast {} {}", shown(from), shown(text)),
        Heard::Keepalive => String::from("keepalive"),
        Heard::Ack(request) => format!("ack {}", guid(request)),
        Heard::Nak(request, message) => format!("nak {} {}", guid(request), shown(message)),
    }
}

/// A request id; one byte where all are the same, as in scripts.
fn guid(request: &[u8; 16]) -> String {
    if request.iter().all(|byte| *byte == request[0]) {
        return format!("{:02x}", request[0]);
    }
    hex(request).replace(' ', "")
}

/// Long runs of one character as that character and how many there are: `xxx{300}`.
fn with_short_runs(line: &str) -> String {
    const RUN_MAX: usize = 40;
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let mut count = 1;
        while chars.next_if_eq(&c).is_some() {
            count += 1;
        }
        if count <= RUN_MAX {
            out.extend(std::iter::repeat_n(c, count));
        } else {
            out.extend([c, c, c]);
            out.push_str(&["{", &count.to_string(), "}"].concat());
        }
    }
    out
}
