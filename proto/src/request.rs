//! One JSON object to one [`Request`], or to the error that says what is wrong with it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::command::{Command, REQUEST_ID_BYTES_MAX, RequestId};
use crate::fields::{Raw, bad_request};
use crate::requests::{self, REQUESTS, RequestKind};
use crate::session::WireLimits;
use crate::vocabulary::{Error, ErrorCode};

/// The id alone, for the reply to an object whose other fields are of the wrong form.
#[derive(Deserialize)]
struct Identity<'a> {
    id: Option<Cow<'a, str>>,
}

/// Parses one JSON object, without the line's end.
pub(crate) fn parse<'a>(json: &'a [u8], limits: WireLimits) -> Command<'a> {
    let bad = |id, error| Command::BadRequest { id, error };
    let Ok(json) = core::str::from_utf8(json) else {
        return bad(
            None,
            bad_request("The request is not valid UTF-8; send bytes as base64 in `data`."),
        );
    };
    // An array of the fields' values in their order would be taken as well: only objects are requests.
    if !json.starts_with('{') {
        return bad(
            None,
            bad_request(
                "The request is not a JSON object, such as {\"request\":\"ping\",\"id\":\"1\"}.",
            ),
        );
    }
    let raw = serde_json::from_str(json).or_else(|_| used(json));
    let mut raw: Raw<'a> = match raw {
        Ok(raw) => raw,
        Err(error) => {
            let identity = serde_json::from_str::<Identity<'_>>(json).ok();
            let id = identity.and_then(|identity| identity.id).and_then(|id| RequestId::parse(&id));
            return bad(
                id,
                bad_request(format!("The request is not a JSON object as expected: {error}.")),
            );
        }
    };
    let id = match raw.id.as_deref().map(RequestId::parse) {
        Some(Some(id)) => id,
        Some(None) => {
            let text = format!("The id is longer than {REQUEST_ID_BYTES_MAX} bytes.");
            return bad(None, bad_request(text));
        }
        None => {
            return bad(
                None,
                bad_request("The request has no `id`; give it a string of your own."),
            );
        }
    };
    let name = raw.request.take();
    let request = kind(name.as_deref()).and_then(|kind| {
        refuse_unbuilt(kind, &raw)?;
        requests::parse(kind, &id, &mut raw, limits)
    });
    match request {
        Ok(request) => Command::Request { id, request },
        Err(error) => bad(Some(id), error),
    }
}

/// The name alone, for an object of which other fields are of the wrong form.
#[derive(Deserialize)]
struct Named<'a> {
    request: Option<Cow<'a, str>>,
}

/// What the named request uses of an object: whatever the other fields hold, they are ignored. This is slower than to take all
/// fields as they should be, and done only where that fails.
fn used(json: &str) -> Result<Raw<'static>, serde_json::Error> {
    let name = serde_json::from_str::<Named<'_>>(json)?.request;
    let kind = name.as_deref().and_then(requests::find);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let fields = Used(kind).deserialize(&mut deserializer)?;
    deserializer.end()?;
    let fields = Value::Object(fields);
    Raw::deserialize(&fields).map_err(|error| wrong_field(&fields).unwrap_or(error))
}

/// The error that names the first field of the wrong form.
fn wrong_field(fields: &Value) -> Option<serde_json::Error> {
    fields.as_object()?.iter().find_map(|(name, value)| {
        let one = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        let error = Raw::deserialize(&one).err()?;
        Some(serde_json::Error::custom(format!("field `{name}`: {error}")))
    })
}

/// The fields of an object that a request uses.
struct Used(Option<RequestKind>);

impl Used {
    fn is_used(&self, field: &str) -> bool {
        let wire = |kind: RequestKind| kind.row().fields.iter().flat_map(|field| field.wire);
        let unbuilt = self.0 == Some(RequestKind::History) && field == "with";
        ["request", "id"].contains(&field)
            || unbuilt
            || self.0.is_some_and(|kind| wire(kind).any(|(name, _)| *name == field))
    }
}

impl<'de> DeserializeSeed<'de> for Used {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Used {
    type Value = Map<String, Value>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if !self.is_used(&name) {
                map.next_value::<IgnoredAny>()?;
            } else if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        Ok(fields)
    }
}

fn kind(name: Option<&str>) -> Result<RequestKind, Error> {
    let Some(name) = name else {
        return Err(bad_request("The object has no `request`; it names what is asked for."));
    };
    if let Some(kind) = requests::find(name) {
        return Ok(kind);
    }
    let known: Vec<&str> = REQUESTS.iter().map(|row| row.name).collect();
    let shown = name.get(..name.floor_char_boundary(64)).unwrap_or_default();
    let message = format!("There is no request `{shown}`; there are {}.", known.join(", "));
    Err(Error::new(ErrorCode::UnknownRequest, message))
}

/// A field that the protocol names and this version does not serve is refused: ignored, it would change the meaning.
fn refuse_unbuilt(kind: RequestKind, raw: &Raw<'_>) -> Result<(), Error> {
    if kind != RequestKind::History || raw.with.is_none() {
        return Ok(());
    }
    Err(bad_request("The field `with` of request `history` is not built yet."))
}
