//! What a request asks for: method and target to a [`Route`] (docs/protocol.md, "HTTP").
//!
//! Nothing is looked up: whether there is such a room, and who may ask, is decided where the route is served. Query parameters
//! that are not known are ignored, as unknown fields are; known ones are read strictly, each once.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::head::{Head, Method};
use super::status::Status;
use super::target::{Target, decode};
use crate::command::Seq;
use crate::names::RoomName;
use crate::time::WallTime;

/// A file of the web client, as it is served.
#[derive(Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its path below the base path; [`PAGE`] is what is at the base path itself.
    pub name: &'static str,
    /// What it is.
    pub content_type: &'static str,
    /// The tag of its bytes.
    pub etag: String,
    /// The bytes, which are part of the program.
    pub bytes: &'static [u8],
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, etag, bytes, .. } = self;
        write!(f, "{name} {etag} ({} bytes)", bytes.len())
    }
}

/// The name of the page.
pub const PAGE: &str = "index.html";

/// Where chatd's pages are, and which there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site<'a> {
    /// The path that all others are under; it begins and ends with a slash.
    pub base_path: &'a str,
    /// The web client's files; none where it is not served.
    pub assets: &'static [Asset],
    /// The whole path of the WebSocket echo, where it is offered.
    pub echo: Option<&'a str>,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// The web client's page, or one of its files.
    Asset(&'static Asset),
    /// The chat by WebSocket.
    Socket,
    /// The echo by WebSocket.
    Echo,
    /// The body is to be said in a room.
    Post {
        /// Which room.
        room: RoomName,
    },
    /// Past messages of a room.
    History(Past),
    /// What one message of a room carries, as it was posted.
    Message {
        /// Which room.
        room: RoomName,
        /// Its place in the room's order.
        seq: Seq,
    },
    /// What is said in a room from now on, or from a message on.
    Events {
        /// Which room.
        room: RoomName,
        /// What was said later than this comes first.
        after: Option<Seq>,
    },
    /// Which rooms there are.
    Rooms,
    /// What the server counts.
    Stats,
    /// The same for Prometheus.
    Metrics,
    /// Whether the server is there.
    Health,
    /// Which methods there are.
    Options {
        /// Their names.
        allow: &'static str,
    },
    /// The page is at the path with a slash behind it.
    ToBase,
}

/// Which past messages of a room are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Which room.
    pub room: RoomName,
    /// Those later than this.
    pub after: Option<Seq>,
    /// Those earlier than this.
    pub before: Option<Seq>,
    /// Those from this time on.
    pub since: Option<WallTime>,
    /// Those until this time.
    pub until: Option<WallTime>,
    /// So many at most.
    pub limit: Option<u32>,
}

/// Why a request is not carried out. The connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it is answered with.
    pub status: Status,
    /// What is wrong and what to do, for people.
    pub message: Cow<'static, str>,
    /// Fields that belong to the answer: `Allow`, or what an upgrade needs.
    pub fields: Vec<(&'static str, &'static str)>,
}

impl Refusal {
    /// A refusal without fields of its own.
    pub(crate) fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), fields: Vec::new() }
    }
}

/// The methods of what is only read.
const READ: &str = "GET, HEAD, OPTIONS";
/// The methods of a room's messages.
const READ_AND_POST: &str = "GET, HEAD, POST, OPTIONS";
/// The methods of what is upgraded, or never ends.
const GET_ONLY: &str = "GET, OPTIONS";

impl Route {
    /// Whether it reads or changes what people say: then no foreign page may ask for it. The page and its files are the same for
    /// everybody, and links to them are followed from anywhere.
    pub const fn is_guarded(&self) -> bool {
        match self {
            Self::Asset(_) | Self::Health | Self::Options { .. } | Self::ToBase => false,
            Self::Socket
            | Self::Echo
            | Self::Post { .. }
            | Self::History(_)
            | Self::Message { .. }
            | Self::Events { .. }
            | Self::Rooms
            | Self::Stats
            | Self::Metrics => true,
        }
    }
}

/// Finds what a request asks for.
///
/// # Errors
/// Where there is nothing of the kind, or it is asked for in a wrong way.
pub fn route(head: &Head<'_>, site: &Site<'_>) -> Result<Route, Refusal> {
    let method = head.method;
    let Target::Resource { path, query } = head.target else {
        return Ok(Route::Options { allow: READ_AND_POST });
    };
    if site.echo == Some(path) {
        return only(method, GET_ONLY, || Ok(Route::Echo));
    }
    let Some(path) = path.strip_prefix(site.base_path) else {
        if site.base_path.strip_suffix('/') == Some(path) {
            return only(method, READ, || Ok(Route::ToBase));
        }
        return Err(nothing_here());
    };
    let mut segments = path.split('/');
    let first = segments.next().unwrap_or_default();
    let rest = (segments.next(), segments.next(), segments.next(), segments.next());
    match (first, rest) {
        ("ws", (None, ..)) => only(method, GET_ONLY, || Ok(Route::Socket)),
        ("metrics", (None, ..)) => only(method, READ, || Ok(Route::Metrics)),
        ("healthz", (None, ..)) => only(method, READ, || Ok(Route::Health)),
        ("api", (Some("rooms"), None, ..)) => only(method, READ, || Ok(Route::Rooms)),
        ("api", (Some("stats"), None, ..)) => only(method, READ, || Ok(Route::Stats)),
        ("api", (Some("rooms"), Some(name), Some("messages"), None)) => {
            only(method, READ_AND_POST, || {
                let room = room(name)?;
                if method == Method::Post {
                    return Ok(Route::Post { room });
                }
                past(room, query.unwrap_or_default()).map(Route::History)
            })
        }
        ("api", (Some("rooms"), Some(name), Some("messages"), Some(seq)))
            if segments.next().is_none() && is_digits(seq) =>
        {
            only(method, READ, || {
                let wrong = |_| bad("The message's sequence number is too large.".into());
                Ok(Route::Message { room: room(name)?, seq: Seq(seq.parse().map_err(wrong)?) })
            })
        }
        ("api", (Some("rooms"), Some(name), Some("events"), None)) => {
            only(method, GET_ONLY, || {
                let past = past(room(name)?, query.unwrap_or_default())?;
                Ok(Route::Events { room: past.room, after: past.after })
            })
        }
        _ => match site.assets.iter().find(|asset| asset.name == file(path)) {
            Some(asset) => only(method, READ, || Ok(Route::Asset(asset))),
            None => Err(nothing_here()),
        },
    }
}

fn nothing_here() -> Refusal {
    let message =
        "There is nothing here; the API is under api/rooms, api/stats, metrics and healthz.";
    Refusal::new(Status::NotFound, message)
}

/// Which file is at a path: without a name it is the page.
const fn file(path: &str) -> &str {
    if path.is_empty() { PAGE } else { path }
}

/// Lets those methods pass that `allow` names (RFC 9110, section 15.5.6).
fn only(
    method: Method,
    allow: &'static str,
    route: impl FnOnce() -> Result<Route, Refusal>,
) -> Result<Route, Refusal> {
    let fits = match method {
        Method::Options => return Ok(Route::Options { allow }),
        Method::Get => true,
        Method::Head => allow != GET_ONLY,
        Method::Post => allow == READ_AND_POST,
        Method::Put | Method::Delete | Method::Trace | Method::Patch => false,
    };
    if fits {
        return route();
    }
    let message = format!("The methods here are {allow}.");
    let refusal = Refusal::new(Status::MethodNotAllowed, message);
    Err(Refusal { fields: vec![("Allow", allow)], ..refusal })
}

fn bad(message: String) -> Refusal {
    Refusal::new(Status::BadRequest, message)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn room(segment: &str) -> Result<RoomName, Refusal> {
    let name = decode(segment)
        .ok_or_else(|| bad("The room's name is not percent-encoded UTF-8 text.".into()))?;
    RoomName::parse(&name).map_err(|error| bad(format!("{error}")))
}

fn past(room: RoomName, query: &str) -> Result<Past, Refusal> {
    let mut past = Past { room, after: None, before: None, since: None, until: None, limit: None };
    let (mut after, mut before) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decode(name) else { continue };
        match &*name {
            "after" => number(&mut after, &name, value, "a sequence number")?,
            "before" => number(&mut before, &name, value, "a sequence number")?,
            "limit" => number(&mut past.limit, &name, value, "a number")?,
            "since" => number(&mut past.since, &name, value, TIME_FORM)?,
            "until" => number(&mut past.until, &name, value, TIME_FORM)?,
            _ => {}
        }
    }
    (past.after, past.before) = (after.map(Seq), before.map(Seq));
    Ok(past)
}

/// What a time looks like, for people.
const TIME_FORM: &str = "a time such as 2026-01-31T12:00:00Z";

/// Takes a parameter's value, once.
fn number<T: FromStr>(
    slot: &mut Option<T>,
    name: &str,
    value: &str,
    form: &str,
) -> Result<(), Refusal> {
    if slot.is_some() {
        return Err(bad(format!("`{name}` is there more than once.")));
    }
    // A sign is no digit, but `+5` would be taken for a number.
    let value = decode(value).filter(|value| !value.starts_with('+'));
    *slot = value.and_then(|value| value.parse().ok());
    if slot.is_some() { Ok(()) } else { Err(bad(format!("`{name}` is not {form}."))) }
}

#[cfg(test)]
mod tests;
