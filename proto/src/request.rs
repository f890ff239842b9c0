//! One JSON object to one [`Request`], or to the error that says what is wrong with it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::command::{Command, MessageId, REQUEST_ID_BYTES_MAX, RequestId, Seq};
use crate::names::{NameError, Nick, RoomName};
use crate::session::WireLimits;
use crate::time::WallTime;
use crate::vocabulary::{Error, ErrorCode, HistoryRange, REQUESTS, Request, RequestKind};

/// Every field that any request has. What a request does not know of these it ignores, as it ignores all others.
#[derive(Deserialize)]
struct Fields<'a> {
    request: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    version: Option<u32>,
    agent: Option<Cow<'a, str>>,
    nick: Option<Cow<'a, str>>,
    room: Option<Cow<'a, str>>,
    text: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    rooms: Option<Vec<Cow<'a, str>>>,
    last: Option<u32>,
    before: Option<u64>,
    after: Option<u64>,
    since: Option<WallTime>,
    until: Option<WallTime>,
    limit: Option<u32>,
    to: Option<serde::de::IgnoredAny>,
    receipt: Option<serde::de::IgnoredAny>,
    with: Option<serde::de::IgnoredAny>,
    search: Option<serde::de::IgnoredAny>,
}

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
    let mut fields: Fields<'a> = match serde_json::from_str(json) {
        Ok(fields) => fields,
        Err(error) => {
            let identity = serde_json::from_str::<Identity<'_>>(json).ok();
            let id = identity.and_then(|identity| identity.id).and_then(|id| RequestId::parse(&id));
            return bad(
                id,
                bad_request(format!("The request is not a JSON object as expected: {error}.")),
            );
        }
    };
    let id = match fields.id.as_deref().map(RequestId::parse) {
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
    match kind(fields.request.take().as_deref()).and_then(|kind| request(kind, &id, fields, limits))
    {
        Ok(request) => Command::Request { id, request },
        Err(error) => bad(Some(id), error),
    }
}

fn bad_request(message: impl Into<alloc::string::String>) -> Error {
    Error::new(ErrorCode::BadRequest, message)
}

fn kind(name: Option<&str>) -> Result<RequestKind, Error> {
    let Some(name) = name else {
        return Err(bad_request("The object has no `request`; it names what is asked for."));
    };
    if let Some(row) = REQUESTS.iter().find(|row| row.name == name) {
        return Ok(row.kind);
    }
    let known: Vec<&str> = REQUESTS.iter().map(|row| row.name).collect();
    let shown = name.get(..name.floor_char_boundary(64)).unwrap_or_default();
    let message = format!("There is no request `{shown}`; there are {}.", known.join(", "));
    Err(Error::new(ErrorCode::UnknownRequest, message))
}

fn request<'a>(
    kind: RequestKind,
    id: &RequestId,
    fields: Fields<'a>,
    limits: WireLimits,
) -> Result<Request<'a>, Error> {
    refuse_unbuilt(kind, &fields)?;
    let missing =
        |field: &str| bad_request(format!("Missing field `{field}` in request `{}`.", kind.name()));
    let room = |name: Option<Cow<'_, str>>| room_name(&name.ok_or_else(|| missing("room"))?);
    Ok(match kind {
        RequestKind::Hello => Request::Hello {
            version: fields.version,
            agent: fields.agent,
            nick: fields.nick.as_deref().map(nickname).transpose()?,
        },
        RequestKind::Nick => Request::Nick { nick: nickname(&fields.nick.ok_or_else(|| missing("nick"))?)? },
        RequestKind::Join => Request::Join { room: room(fields.room)? },
        RequestKind::Leave => Request::Leave { room: room(fields.room)? },
        RequestKind::Post => Request::Post {
            room: room(fields.room)?,
            message_id: MessageId::parse(id.as_str()).ok_or_else(|| {
                bad_request("The id of a post is the message's id: make it a UUID, a new one for each message.")
            })?,
            nick: fields.nick.as_deref().map(nickname).transpose()?,
            content: content(fields.text, fields.data, limits)?,
        },
        RequestKind::Tail => Request::Tail {
            rooms: fields.rooms.unwrap_or_default().iter().map(|name| room_name(name)).collect::<Result<_, _>>()?,
            last: fields.last,
        },
        RequestKind::History => Request::History {
            room: room(fields.room)?,
            range: HistoryRange {
                before: fields.before.map(Seq),
                after: fields.after.map(Seq),
                since: fields.since,
                until: fields.until,
                limit: fields.limit,
            },
        },
        RequestKind::Members => Request::Members { room: room(fields.room)? },
        RequestKind::Rooms => Request::Rooms,
        RequestKind::Ping => Request::Ping,
        RequestKind::Stats => Request::Stats,
        RequestKind::Stop => Request::Stop,
    })
}

/// Fields that the protocol names and this version does not serve are refused: ignored, they would change the meaning.
fn refuse_unbuilt(kind: RequestKind, fields: &Fields<'_>) -> Result<(), Error> {
    let unbuilt = match kind {
        RequestKind::Post if fields.to.is_some() => "to",
        RequestKind::Post if fields.receipt.is_some() => "receipt",
        RequestKind::Join | RequestKind::Tail if fields.after.is_some() => "after",
        RequestKind::Tail if fields.since.is_some() => "since",
        RequestKind::History if fields.with.is_some() => "with",
        RequestKind::History if fields.search.is_some() => "search",
        RequestKind::Hello
        | RequestKind::Nick
        | RequestKind::Join
        | RequestKind::Leave
        | RequestKind::Post
        | RequestKind::Tail
        | RequestKind::History
        | RequestKind::Members
        | RequestKind::Rooms
        | RequestKind::Ping
        | RequestKind::Stats
        | RequestKind::Stop => return Ok(()),
    };
    Err(bad_request(format!(
        "The field `{unbuilt}` of request `{}` is not built yet.",
        kind.name()
    )))
}

fn content<'a>(
    text: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    limits: WireLimits,
) -> Result<Cow<'a, [u8]>, Error> {
    let content = match (text, data) {
        (Some(Cow::Borrowed(text)), None) => Cow::Borrowed(text.as_bytes()),
        (Some(Cow::Owned(text)), None) => Cow::Owned(text.into_bytes()),
        (None, Some(data)) => Cow::Owned(
            STANDARD
                .decode(data.as_bytes())
                .map_err(|error| bad_request(format!("`data` is not base64: {error}")))?,
        ),
        (Some(_), Some(_)) => return Err(bad_request("A post has `text` or `data`, not both.")),
        (None, None) => {
            return Err(bad_request("Missing field `text` or `data` in request `post`."));
        }
    };
    if content.len() > limits.message {
        let message = format!(
            "The message has {} bytes; the limit is {}. Send it in parts.",
            content.len(),
            limits.message
        );
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    Ok(content)
}

fn nickname(text: &str) -> Result<Nick, Error> {
    Nick::parse(text).map_err(|error| name_error(ErrorCode::BadNickname, error))
}

fn room_name(text: &str) -> Result<RoomName, Error> {
    RoomName::parse(text).map_err(|error| name_error(ErrorCode::BadRoom, error))
}

fn name_error(code: ErrorCode, error: NameError) -> Error {
    Error::new(code, format!("{error}"))
}
