//! The client's side of the vocabulary: request lines out, replies and events in.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// What a server said.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerLine {
    /// An answer to a request.
    Reply {
        /// The request's id; none where the server could not read it.
        id: Option<String>,
        /// Whether it was done.
        ok: bool,
        /// The whole object.
        body: Map<String, Value>,
    },
    /// Something that happened.
    Event {
        /// Which event.
        name: String,
        /// The whole object.
        body: Map<String, Value>,
    },
}

/// A line that is neither reply nor event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine(String);

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's line is neither a reply nor an event: {}", self.0)
    }
}

impl core::error::Error for BadLine {}

/// Reads one line of a server, with or without its end.
///
/// # Errors
/// [`BadLine`] where it is no JSON object with `reply` or `event`.
pub fn parse_line(line: &[u8]) -> Result<ServerLine, BadLine> {
    let body: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| BadLine(error.to_string()))?;
    if let Some(Value::String(name)) = body.get("event") {
        return Ok(ServerLine::Event { name: name.clone(), body });
    }
    let ok = body.get("ok").and_then(Value::as_bool);
    match (body.get("reply"), ok) {
        (Some(Value::String(id)), Some(ok)) => {
            Ok(ServerLine::Reply { id: Some(id.clone()), ok, body })
        }
        (Some(Value::Null), Some(ok)) => Ok(ServerLine::Reply { id: None, ok, body }),
        _ => Err(BadLine(String::from("it has no `event`, and no `reply` with `ok`"))),
    }
}

/// One request as a line, its end included. `fields` are added to `request` and `id`.
pub fn request_line(name: &str, id: &str, fields: Map<String, Value>) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("request".into(), name.into());
    object.insert("id".into(), id.into());
    object.extend(fields);
    let mut line = Value::Object(object).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Adds content to a post's fields: `text` where it is valid UTF-8, else `data`.
pub fn put_content(fields: &mut Map<String, Value>, content: &[u8]) {
    match core::str::from_utf8(content) {
        Ok(text) => fields.insert("text".into(), text.into()),
        Err(_) => fields.insert("data".into(), STANDARD.encode(content).into()),
    };
}

/// The content of a message event, or nothing where it has none.
pub fn content(body: &Map<String, Value>) -> Option<Vec<u8>> {
    match (body.get("text"), body.get("data")) {
        (Some(Value::String(text)), _) => Some(text.clone().into_bytes()),
        (_, Some(Value::String(data))) => STANDARD.decode(data).ok(),
        _ => None,
    }
}
