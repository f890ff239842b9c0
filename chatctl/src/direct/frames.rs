//! How requests and replies lie in the bytes between two programs: frames of type 16 and keepalives, as between a client and
//! a daemon, but either side asks and either answers.
//!
//! It looks at bytes that its caller keeps, and trusts no number in them. What a request does is decided in `peer`.

use super::OBJECT_BYTES_MAX;
use crate::client::{Fields, Refusal};
use proto::{REQUEST_ID_BYTES_MAX, native};
use serde_json::Value;
use std::fmt;

/// What the length field of a frame counts at least: the type.
const TYPE_BYTES: u32 = 4;

/// What one frame says.
#[derive(Debug, PartialEq)]
pub(super) enum Word {
    /// The other side asks.
    Request {
        /// What for.
        name: String,
        /// To be echoed in the answer.
        id: String,
        /// The whole object.
        fields: Fields,
    },
    /// The other side answers; without an id it is about the connection.
    Reply {
        /// Which request.
        id: Option<String>,
        /// The whole object, or the refusal.
        outcome: Result<Fields, Refusal>,
    },
    /// A sign of life, or something that is none of ours.
    Nothing,
}

/// Why bytes make no sense: nothing behind them can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The length field of a frame is one that no frame has.
    BadLength(u32),
    /// A frame's payload is no JSON object, or a request without a sound id.
    NoObject,
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadLength(length) => {
                write!(to, "it does not speak the frames of a talk (a length of {length} bytes)")
            }
            Self::NoObject => to.write_str("it said something that is no request and no reply"),
        }
    }
}

/// The first frame of `bytes` and how long it is; `None` where it is not whole yet. A length that no frame has is known before
/// the payload is waited for.
pub(super) fn take(bytes: &[u8]) -> Result<Option<(usize, Word)>, Fault> {
    let number = |at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*four))
    };
    let Some(length) = number(0) else {
        // The first byte of every frame is 00: an HTTP client, for one, is known by less than four.
        let high = bytes.first().copied().filter(|byte| *byte != 0);
        return high.map_or(Ok(None), |byte| Err(Fault::BadLength(u32::from(byte) << 24)));
    };
    let whole = usize::try_from(length).map_err(|_| Fault::BadLength(length))?.saturating_add(4);
    if length < TYPE_BYTES || whole > OBJECT_BYTES_MAX + native::HEADER_BYTES {
        return Err(Fault::BadLength(length));
    }
    let (Some(kind), Some(frame)) = (number(4), bytes.get(..whole)) else { return Ok(None) };
    let payload = frame.get(native::HEADER_BYTES..).unwrap_or_default();
    let word = if kind == native::V1_TYPE { understand(payload)? } else { Word::Nothing };
    Ok(Some((whole, word)))
}

/// Appends one object.
pub(super) fn put(fields: Fields, out: &mut Vec<u8>) {
    // A map of strings and numbers always has a JSON form.
    native::v1_frame(Value::Object(fields).to_string().as_bytes(), out);
}

/// Appends a request.
pub(super) fn put_request(name: &str, id: &str, mut fields: Fields, out: &mut Vec<u8>) {
    fields.insert("request".to_owned(), Value::from(name));
    fields.insert("id".to_owned(), Value::from(id));
    put(fields, out);
}

/// Appends a reply that says yes.
pub(super) fn put_yes(id: &str, mut fields: Fields, out: &mut Vec<u8>) {
    fields.insert("reply".to_owned(), Value::from(id));
    fields.insert("ok".to_owned(), Value::from(true));
    put(fields, out);
}

/// Appends a reply that says no.
pub(super) fn put_no(id: &str, code: &str, message: &str, out: &mut Vec<u8>) {
    let mut fields = Fields::new();
    fields.insert("reply".to_owned(), Value::from(id));
    fields.insert("ok".to_owned(), Value::from(false));
    fields.insert("error".to_owned(), Value::from(code));
    fields.insert("message".to_owned(), Value::from(message));
    put(fields, out);
}

fn understand(object: &[u8]) -> Result<Word, Fault> {
    let fields: Fields = serde_json::from_slice(object).map_err(|_| Fault::NoObject)?;
    if let Some(name) = fields.get("request").and_then(Value::as_str).map(str::to_owned) {
        let id = fields.get("id").and_then(Value::as_str).map(str::to_owned);
        let id = id.filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).ok_or(Fault::NoObject)?;
        return Ok(Word::Request { name, id, fields });
    }
    let id = match fields.get("reply") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Null) => None,
        // An event, most likely: nobody has those here, and it does no harm.
        _ => return Ok(Word::Nothing),
    };
    match fields.get("ok").and_then(Value::as_bool) {
        Some(true) => Ok(Word::Reply { id, outcome: Ok(fields) }),
        Some(false) => Ok(Word::Reply { id, outcome: Err(Refusal::of(&fields)) }),
        None => Err(Fault::NoObject),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Word, put_no, put_request, put_yes, take};
    use crate::client::Fields;
    use crate::direct::OBJECT_BYTES_MAX;
    use proptest::prelude::*;
    use proto::native;
    use serde_json::json;

    fn framed(json: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        native::v1_frame(json.as_bytes(), &mut bytes);
        bytes
    }

    #[test]
    fn what_is_put_is_taken() {
        let mut bytes = Vec::new();
        put_request("say", "a", Fields::from_iter([("text".to_owned(), json!("x"))]), &mut bytes);
        let (taken, word) = take(&bytes).expect("sound").expect("whole");
        let Word::Request { name, id, fields } = word else { panic!("{word:?}") };
        assert_eq!((taken, &*name, &*id), (bytes.len(), "say", "a"));
        assert_eq!(fields["text"], "x");
        bytes.clear();
        put_yes("a", Fields::new(), &mut bytes);
        let (_, word) = take(&bytes).expect("sound").expect("whole");
        assert!(matches!(word, Word::Reply { id: Some(id), outcome: Ok(_) } if id == "a"));
        bytes.clear();
        put_no("b", "busy", "no", &mut bytes);
        let (_, word) = take(&bytes).expect("sound").expect("whole");
        let Word::Reply { outcome: Err(refusal), .. } = word else { panic!("{word:?}") };
        assert_eq!((&*refusal.code, &*refusal.message), ("busy", "no"));
    }

    #[test]
    fn a_wrong_length_is_known_at_its_first_bytes() {
        assert_eq!(take(b"G"), Err(Fault::BadLength(0x4700_0000)));
        assert_eq!(take(&[0, 0, 0, 3]), Err(Fault::BadLength(3)));
        let over = u32::try_from(OBJECT_BYTES_MAX + 5).expect("small");
        assert_eq!(take(&over.to_be_bytes()), Err(Fault::BadLength(over)));
        assert_eq!(take(&(over - 1).to_be_bytes()), Ok(None));
    }

    #[test]
    fn what_is_none_of_ours_is_passed_over_and_what_is_nothing_is_a_fault() {
        for nothing in [framed("{\"event\":\"x\"}"), framed("{}"), vec![0, 0, 0, 4, 0, 0, 0, 2]] {
            assert_eq!(take(&nothing), Ok(Some((nothing.len(), Word::Nothing))));
        }
        let long = "i".repeat(65);
        for json in ["", "[]", "\u{0}", "{\"request\":\"say\"}", "{\"reply\":\"a\"}"] {
            assert_eq!(take(&framed(json)), Err(Fault::NoObject), "{json}");
        }
        let long = framed(&format!("{{\"request\":\"say\",\"id\":\"{long}\"}}"));
        assert_eq!(take(&long), Err(Fault::NoObject));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_a_fault_or_not_whole(bytes in any::<Vec<u8>>()) {
            if let Ok(Some((taken, _))) = take(&bytes) {
                prop_assert!(taken >= 8 && taken <= bytes.len());
            }
        }
    }
}
