//! How the objects of the protocol lie in a stream of bytes, and what kind of object each is.
//!
//! One variant by way of framing: lines on the control socket today; frames of type 16 and WebSocket messages
//! come beside it. It moves no bytes and remembers no requests.

use proto::client::{ServerLine, parse_line};
use serde_json::{Map, Value};

/// The longest object that is taken from a server: six times the largest message chatd can be told to
/// take would be more, but nobody reads such messages on a command line.
pub const OBJECT_BYTES_MAX: usize = 64 << 20;

/// The fields of an object.
pub type Fields = Map<String, Value>;

/// How one object is told from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One object a line.
    Lines,
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

/// Why bytes of the server make no sense; the connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// It is no JSON object, or neither reply nor event.
    NoObject,
    /// It is longer than `OBJECT_BYTES_MAX`.
    TooLong,
}

impl Framing {
    /// Appends one object to what is to be written.
    pub fn put(self, object: &Fields, out: &mut Vec<u8>) {
        match self {
            Self::Lines => {
                // A map of strings and numbers always has a JSON form, and its text holds no line break.
                out.extend_from_slice(Value::Object(object.clone()).to_string().as_bytes());
                out.push(b'\n');
            }
        }
    }

    /// Takes one whole object from `bytes`, of which the first `scanned` are known to hold no end. Says
    /// how many bytes it took; `None` where the object is not whole yet.
    pub fn take(self, bytes: &[u8], scanned: usize) -> Result<Option<(usize, Incoming)>, Nonsense> {
        match self {
            Self::Lines => {
                let fresh = bytes.get(scanned..).unwrap_or_default();
                let Some(at) = fresh.iter().position(|byte| *byte == b'\n') else {
                    let too_long = bytes.len() > OBJECT_BYTES_MAX;
                    return if too_long { Err(Nonsense::TooLong) } else { Ok(None) };
                };
                let line = bytes.get(..scanned + at).unwrap_or_default();
                Ok(Some((scanned + at + 1, understand(line)?)))
            }
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
        }
    }
}

fn understand(line: &[u8]) -> Result<Incoming, Nonsense> {
    let line = std::str::from_utf8(line).map_err(|_| Nonsense::NoObject)?.trim_end_matches('\r');
    match parse_line(line.as_bytes()).map_err(|_| Nonsense::NoObject)? {
        ServerLine::Event { name, body } => {
            Ok(Incoming::Event(Event { name, line: line.to_owned(), fields: body }))
        }
        ServerLine::Reply { id, ok: true, body } => Ok(Incoming::Reply { id, outcome: Ok(body) }),
        ServerLine::Reply { id, ok: false, body } => {
            Ok(Incoming::Reply { id, outcome: Err(refusal(&body)) })
        }
    }
}

fn refusal(fields: &Fields) -> Refusal {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = text("error").unwrap_or_else(|| "refused".to_owned());
    Refusal {
        message: text("message").unwrap_or_else(|| format!("the server refused: {code}")),
        retry_after: fields.get("retry_after").and_then(Value::as_f64),
        code,
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Framing, Incoming, Nonsense, Refusal};

    fn only(line: &str) -> Result<Incoming, Nonsense> {
        let (taken, incoming) = Framing::Lines.take(line.as_bytes(), 0)?.expect("whole");
        assert_eq!(taken, line.len());
        Ok(incoming)
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
}
