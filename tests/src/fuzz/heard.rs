//! What a random server's peer is written: whole frames, lines, answers or events that make sense, whatever it said itself.

use proto::ws;

/// A server keeps to no limit of its clients, and says each message in one frame.
const WHATEVER_IT_SAYS: ws::Limits = ws::Limits { message: 1 << 20, fragments: 1 };

/// How a peer reads.
pub(super) struct Heard {
    pub(super) framing: Framing,
    /// It said bytes of its own over something else than native frames: which answers have a body is not known.
    pub(super) said_anything: bool,
    bytes: Vec<u8>,
}

/// What is written to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// JSON lines.
    Lines,
    /// Native frames; or something else, which the first byte tells.
    Frames,
    /// Answers over HTTP, one after the other.
    Answers,
    /// Frames of a WebSocket.
    Socket,
    /// Server-sent events.
    Events,
    /// What nobody here reads.
    Unknown,
}

impl Heard {
    /// A peer that has heard nothing.
    pub(super) const fn new(framing: Framing) -> Self {
        Self { framing, said_anything: false, bytes: Vec::new() }
    }

    /// More came.
    pub(super) fn takes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        while self.takes_one() {}
    }

    /// Takes the first whole thing of what came; false where nothing is whole.
    fn takes_one(&mut self) -> bool {
        match self.framing {
            Framing::Lines => {
                let Some(line) = self.up_to(b"\n") else { return false };
                v1(&line);
            }
            Framing::Frames => return self.takes_frame(),
            Framing::Answers => return self.takes_answer(),
            Framing::Socket => return self.takes_message(),
            Framing::Events => {
                let Some(event) = self.up_to(b"\n\n") else { return false };
                let data =
                    event.split(|byte| *byte == b'\n').find_map(|it| it.strip_prefix(b"data: "));
                data.into_iter().for_each(v1);
            }
            Framing::Unknown => self.bytes.clear(),
        }
        !self.bytes.is_empty()
    }

    /// Everything up to the next of these, and them.
    fn up_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let at = self.bytes.windows(end.len()).position(|window| window == end)?;
        Some(self.bytes.drain(..at + end.len()).collect())
    }

    fn takes_frame(&mut self) -> bool {
        match self.bytes.first() {
            None => return false,
            Some(0) => {}
            Some(b'H') if !self.said_anything => {
                self.framing = Framing::Answers;
                return true;
            }
            // A protocol that is not served is refused in its own words.
            Some(_) => {
                self.framing = Framing::Unknown;
                return true;
            }
        }
        let Some([length @ .., 0, 0, 0, 16]) = self.bytes.first_chunk::<8>() else {
            return crate::native::take_frame(&mut self.bytes).expect("a frame").is_some();
        };
        let whole = 4 + u32::from_be_bytes(*length) as usize;
        if self.bytes.len() < whole {
            return false;
        }
        let frame: Vec<u8> = self.bytes.drain(..whole).collect();
        v1(&frame[8..]);
        true
    }

    fn takes_answer(&mut self) -> bool {
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return false;
        };
        let head = std::str::from_utf8(&self.bytes[..end]).expect("a head is text").to_owned();
        let status = head.strip_prefix("HTTP/1.1 ").expect("an answer").get(..3).expect("a status");
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            fields.find(|(own, _)| *own == name).map(|(_, value)| value)
        };
        let length = field("Content-Length").map_or(0, |length| length.parse().expect("a number"));
        let body = end + 4;
        if self.bytes.len() < body + length {
            return false;
        }
        if field("Content-Type") == Some("application/json") {
            serde_json::from_slice::<serde_json::Value>(&self.bytes[body..body + length])
                .expect("JSON");
        }
        if status == "101" {
            self.framing = Framing::Socket;
        } else if field("Content-Type") == Some("text/event-stream") {
            self.framing = Framing::Events;
        }
        self.bytes.drain(..body + length);
        true
    }

    fn takes_message(&mut self) -> bool {
        // What a server says is whole in each frame, so that nothing is put together between two.
        let (mut reader, mut message) = (ws::Reader::new(ws::Role::Client), Vec::new());
        let step = reader.feed(&self.bytes, &mut message, WHATEVER_IT_SAYS);
        match step.item {
            ws::Item::More => return false,
            ws::Item::Message(_) => v1(&message),
            ws::Item::Fault(fault) => panic!("the server's frames cannot be read: {fault}"),
            ws::Item::Ping(_) | ws::Item::Pong(_) | ws::Item::Close(_) => {}
        }
        self.bytes.drain(..step.consumed);
        true
    }
}

/// A reply or an event.
fn v1(json: &[u8]) {
    proto::client::parse_line(json).expect("a reply or an event");
}
