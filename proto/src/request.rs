//! One JSON object to one [`Request`], or to the error that says what is wrong with it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use serde::Deserialize;

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
    let mut raw: Raw<'a> = match serde_json::from_str(json) {
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

/// Fields that the protocol names and this version does not serve are refused: ignored, they would change the meaning.
fn refuse_unbuilt(kind: RequestKind, raw: &Raw<'_>) -> Result<(), Error> {
    let unbuilt = match (&raw.with, &raw.search) {
        (Some(_), _) => "with",
        (None, Some(_)) => "search",
        (None, None) => return Ok(()),
    };
    if kind != RequestKind::History {
        return Ok(());
    }
    Err(bad_request(format!("The field `{unbuilt}` of request `history` is not built yet.")))
}
