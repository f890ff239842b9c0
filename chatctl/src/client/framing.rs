//! How the objects of the protocol lie in a stream of bytes, and what kind of object each is.
//!
//! One variant by way of framing: lines on the control socket, frames of type 16 over TCP, messages of a WebSocket. It moves no bytes and remembers no requests.

use proto::client::{ServerLine, parse_line};
use proto::native;
use serde_json::{Map, Value};

/// The longest object that is taken from a server: six times the largest message chatd can be told to
/// take would be more, but nobody reads such messages on a command line.
pub const OBJECT_BYTES_MAX: usize = 64 << 20;

/// What the length field of a frame counts at least: the type.
const TYPE_BYTES: u32 = 4;

/// The fields of an object.
pub type Fields = Map<String, Value>;

/// How one object is told from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One object a line.
    Lines,
    /// One object a line of a [`WebSocketTransport`](super::WebSocketTransport), where an empty line is a sign of life.
    Messages,
    /// One object by frame of type 16; frames of other types, keepalives among them, are passed over.
    Frames,
}

/// What a server can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// The answer to a request; without an id it is about the connection, or a request that had none.
    Reply {
        /// Which request.
        id: Option<String>,
        /// The reply's fields, or the refusal.
        outcome: Result<Fields, Refusal>,
    },
    /// Something happened.
    Event(Event),
    /// It says nothing to this program: a keepalive, or a frame of a type that is none of ours.
    Nothing,
}

/// An event, in both forms: fields to look at, and the very line to pass on.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which: `message`, `joined`, ...
    pub name: String,
    /// All its fields, the name included.
    pub fields: Fields,
    /// The object as it came, without a line break.
    pub line: String,
}

/// A refusal: `ok` was false.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The protocol's code word.
    pub code: String,
    /// The server's sentence.
    pub message: String,
    /// Seconds after which another try makes sense.
    pub retry_after: Option<f64>,
}

impl Refusal {
    /// What the fields of a reply say that says no.
    pub fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let code = text("error").unwrap_or_else(|| "refused".to_owned());
        Self {
            message: text("message").unwrap_or_else(|| format!("the server refused: {code}")),
            retry_after: fields.get("retry_after").and_then(Value::as_f64),
            code,
        }
    }
}

/// Why bytes of the server make no sense; the connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// It is no JSON object, or neither reply nor event.
    NoObject,
    /// It is longer than `OBJECT_BYTES_MAX`.
    TooLong,
    /// The length field of a frame is one that no frame has.
    BadLength(u32),
}

impl Framing {
    /// Appends one object to what is to be written.
    pub fn put(self, object: &Fields, out: &mut Vec<u8>) {
        // A map of strings and numbers always has a JSON form, and its text holds no line break.
        let json = Value::Object(object.clone()).to_string();
        match self {
            Self::Lines | Self::Messages => {
                out.extend_from_slice(json.as_bytes());
                out.push(b'\n');
            }
            Self::Frames => native::v1_frame(json.as_bytes(), out),
        }
    }

    /// Appends a sign of life, where this framing has one: TCP alone does not say that the other end is gone.
    pub fn put_keepalive(self, out: &mut Vec<u8>) {
        match self {
            Self::Lines => {}
            Self::Messages => out.push(b'\n'),
            Self::Frames => native::keepalive(out),
        }
    }

    /// Takes one whole object from `bytes`, of which the first `scanned` are known to hold no end. Says
    /// how many bytes it took; `None` where the object is not whole yet.
    pub fn take(self, bytes: &[u8], scanned: usize) -> Result<Option<(usize, Incoming)>, Nonsense> {
        match self {
            Self::Lines | Self::Messages => take_line(bytes, scanned),
            Self::Frames => take_frame(bytes),
        }
    }
}

impl Event {
    /// A field that is text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// A field that is a whole number.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field).and_then(Value::as_u64)
    }
}

impl std::fmt::Display for Nonsense {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoObject => to.write_str("it said something that is no reply and no event"),
            Self::TooLong => {
                write!(to, "it said something longer than {} MiB", OBJECT_BYTES_MAX >> 20)
            }
            Self::BadLength(length) => {
                write!(to, "it does not speak chatd's frames (a length of {length} bytes)")
            }
        }
    }
}

fn take_line(bytes: &[u8], scanned: usize) -> Result<Option<(usize, Incoming)>, Nonsense> {
    let fresh = bytes.get(scanned..).unwrap_or_default();
    let Some(at) = fresh.iter().position(|byte| *byte == b'\n') else {
        let too_long = bytes.len() > OBJECT_BYTES_MAX;
        return if too_long { Err(Nonsense::TooLong) } else { Ok(None) };
    };
    let line = bytes.get(..scanned + at).unwrap_or_default();
    Ok(Some((scanned + at + 1, understand(line)?)))
}

/// The first frame of `bytes`. A length that no frame has is known before the payload is waited for.
fn take_frame(bytes: &[u8]) -> Result<Option<(usize, Incoming)>, Nonsense> {
    let number = |at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*four))
    };
    let Some(length) = number(0) else {
        // The first byte of every frame is 00: an HTTP server, for one, is known by less than four.
        let high = bytes.first().copied().filter(|byte| *byte != 0);
        return high.map_or(Ok(None), |byte| Err(Nonsense::BadLength(u32::from(byte) << 24)));
    };
    if !(TYPE_BYTES..native::LENGTH_LIMIT).contains(&length) {
        return Err(Nonsense::BadLength(length));
    }
    let whole = usize::try_from(length).map_err(|_| Nonsense::TooLong)?.saturating_add(4);
    let (Some(kind), Some(frame)) = (number(4), bytes.get(..whole)) else { return Ok(None) };
    let payload = frame.get(native::HEADER_BYTES..).unwrap_or_default();
    let incoming = if kind == native::V1_TYPE { understand(payload)? } else { Incoming::Nothing };
    Ok(Some((whole, incoming)))
}

fn understand(object: &[u8]) -> Result<Incoming, Nonsense> {
    let text = std::str::from_utf8(object).map_err(|_| Nonsense::NoObject)?;
    let line = text.trim_end_matches(['\r', '\n']);
    match parse_line(line.as_bytes()).map_err(|_| Nonsense::NoObject)? {
        ServerLine::Event { name, body } => {
            // A frame may hold JSON of several lines; passed on it is one.
            let line = if line.contains('\n') {
                Value::Object(body.clone()).to_string()
            } else {
                line.to_owned()
            };
            Ok(Incoming::Event(Event { name, line, fields: body }))
        }
        ServerLine::Reply { id, ok: true, body } => Ok(Incoming::Reply { id, outcome: Ok(body) }),
        ServerLine::Reply { id, ok: false, body } => {
            Ok(Incoming::Reply { id, outcome: Err(Refusal::of(&body)) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Fields, Framing, Incoming, Nonsense, Refusal};
    use proptest::prelude::*;
    use proto::native;
    use serde_json::json;
    use std::cmp::Ordering;

    fn only(line: &str) -> Result<Incoming, Nonsense> {
        let (taken, incoming) = Framing::Lines.take(line.as_bytes(), 0)?.expect("whole");
        assert_eq!(taken, line.len());
        Ok(incoming)
    }

    fn framed(json: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        native::v1_frame(json, &mut bytes);
        bytes
    }

    /// All that a stream says, handed over in pieces of these sizes; and why it made no sense any more.
    fn heard(
        framing: Framing,
        bytes: &[u8],
        chunks: &[usize],
    ) -> (Vec<Incoming>, Option<Nonsense>) {
        let (mut inbox, mut scanned, mut all) = (Vec::new(), 0, Vec::new());
        let mut sizes = chunks.iter().copied().cycle();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
            inbox.extend_from_slice(now);
            rest = later;
            loop {
                match framing.take(&inbox, scanned) {
                    Ok(Some((count, incoming))) => {
                        assert!(count > 0 && count <= inbox.len(), "it takes what is there");
                        inbox.drain(..count);
                        scanned = 0;
                        all.push(incoming);
                    }
                    Ok(None) => {
                        scanned = inbox.len();
                        break;
                    }
                    Err(nonsense) => return (all, Some(nonsense)),
                }
            }
        }
        (all, None)
    }

    #[test]
    fn lines_are_replies_refusals_and_events() {
        let reply = only("{\"reply\":\"a\",\"ok\":true,\"seq\":3}\n").expect("a reply");
        let Incoming::Reply { id, outcome: Ok(fields) } = reply else { panic!("{reply:?}") };
        assert_eq!(id.as_deref(), Some("a"));
        assert_eq!(fields["seq"], 3);
        let no = only("{\"reply\":null,\"ok\":false,\"error\":\"forbidden\",\"message\":\"no\"}\n");
        let (code, message) = ("forbidden".to_owned(), "no".to_owned());
        let outcome = Err(Refusal { code, message, retry_after: None });
        assert_eq!(no, Ok(Incoming::Reply { id: None, outcome }));
        let event = only("{\"event\":\"message\",\"seq\":7}\r\n").expect("an event");
        let Incoming::Event(Event { name, line, .. }) = event else { panic!("{event:?}") };
        assert_eq!(
            (name.as_str(), line.as_str()),
            ("message", "{\"event\":\"message\",\"seq\":7}")
        );
    }

    #[test]
    fn half_a_line_waits_and_nonsense_is_called_so() {
        assert_eq!(Framing::Lines.take(b"{\"event\":", 0), Ok(None));
        for line in ["\n", "[1]\n", "{}\n", "{\"reply\":7,\"ok\":true}\n", "{\"reply\":\"a\"}\n"] {
            assert_eq!(only(line), Err(Nonsense::NoObject), "{line:?}");
        }
        assert_eq!(Framing::Lines.take(b"\xff\n", 0), Err(Nonsense::NoObject));
    }

    #[test]
    fn a_length_that_no_frame_has_is_known_at_once() {
        let wrong = |bytes: &[u8]| Framing::Frames.take(bytes, 0);
        assert_eq!(wrong(b""), Ok(None));
        assert_eq!(wrong(&[0, 0, 0]), Ok(None));
        assert_eq!(wrong(b"H"), Err(Nonsense::BadLength(0x4800_0000)));
        assert_eq!(wrong(b"HTTP/1.1 400"), Err(Nonsense::BadLength(0x4854_5450)));
        for length in [0_u32, 3, 1 << 24, u32::MAX] {
            assert_eq!(wrong(&length.to_be_bytes()), Err(Nonsense::BadLength(length)));
        }
    }

    #[test]
    fn frames_of_other_types_are_passed_over() {
        let mut bytes = Vec::new();
        Framing::Frames.put_keepalive(&mut bytes);
        native::chat(b"{}", &mut bytes);
        bytes.extend(framed(b"{\n\"event\":\"notice\"\n}"));
        let (all, fault) = heard(Framing::Frames, &bytes, &[1]);
        assert_eq!((all.len(), fault), (3, None));
        let Incoming::Event(event) = &all[2] else { panic!("{all:?}") };
        assert_eq!(event.line, "{\"event\":\"notice\"}", "passed on it is one line");
    }

    fn object() -> impl Strategy<Value = Fields> {
        let event = (".{0,20}", any::<u64>()).prop_map(
            |(text, seq)| json!({"event": "message", "room": "a", "seq": seq, "text": text}),
        );
        let reply = "[a-z0-9]{1,8}".prop_map(|id| json!({"reply": id, "ok": true}));
        prop_oneof![event, reply].prop_map(|value| value.as_object().expect("an object").clone())
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken_whatever_the_chunks(
            objects in proptest::collection::vec((object(), any::<bool>()), 0..12),
            chunks in proptest::collection::vec(1_usize..60, 1..8),
            frames in any::<bool>(),
        ) {
            let framing = if frames { Framing::Frames } else { Framing::Lines };
            let mut bytes = Vec::new();
            for (object, alive) in &objects {
                if *alive {
                    framing.put_keepalive(&mut bytes);
                }
                framing.put(object, &mut bytes);
            }
            let (all, fault) = heard(framing, &bytes, &chunks);
            prop_assert_eq!(fault, None);
            let all: Vec<Fields> = all.into_iter().filter_map(|incoming| match incoming {
                Incoming::Event(event) => Some(event.fields),
                Incoming::Reply { outcome, .. } => Some(outcome.expect("yes")),
                Incoming::Nothing => None,
            }).collect();
            let put: Vec<Fields> = objects.into_iter().map(|(object, _)| object).collect();
            prop_assert_eq!(all, put);
        }

        #[test]
        fn any_bytes_end_or_wait_and_never_hang(
            bytes in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 2 => 0_u8..20, 1 => any::<u8>()], 0..300),
            chunks in proptest::collection::vec(1_usize..40, 1..4),
        ) {
            for framing in [Framing::Lines, Framing::Frames] {
                let (whole, fault) = heard(framing, &bytes, &[usize::MAX]);
                let pieces = heard(framing, &bytes, &chunks);
                prop_assert!(whole.len() <= bytes.len());
                prop_assert_eq!(&pieces.0, &whole, "the pieces do not matter");
                prop_assert_eq!(pieces.1.is_some(), fault.is_some());
            }
        }

        #[test]
        fn a_frame_with_a_wrong_length_shifts_nothing_into_sense(
            object in object(),
            length in any::<u32>(),
        ) {
            let mut bytes = Vec::new();
            Framing::Frames.put(&object, &mut bytes);
            let right = u32::from_be_bytes(*bytes.first_chunk::<4>().expect("a length"));
            bytes.splice(..4, length.to_be_bytes());
            let (all, fault) = heard(Framing::Frames, &bytes, &[7]);
            match length.cmp(&right) {
                Ordering::Equal => prop_assert_eq!((all.len(), fault), (1, None)),
                Ordering::Greater => prop_assert!(all.is_empty(), "it waits, or says that none comes"),
                Ordering::Less => {
                    let nothing = all.iter().all(|incoming| matches!(incoming, Incoming::Nothing));
                    prop_assert!(fault.is_some() || nothing);
                }
            }
        }
    }
}
