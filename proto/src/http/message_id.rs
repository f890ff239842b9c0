//! The id that makes a repeated POST safe: `X-Message-Id`, or `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
//!
//! `X-Message-Id` is the message's id: a UUID. A key that is a UUID with hyphens is taken as it is, too. Any other key is the client's own word,
//! such as `backup-2026-11-21`: the id is made from it and the room, so that the same word in another room is another message. It is a
//! UUID of version 5 (RFC 9562, section 5.5), so that whoever knows the rule finds the message by its id.

use alloc::borrow::Cow;

use sha1::{Digest, Sha1};

use super::head::Fields;
use super::routes::Refusal;
use super::status::Status;
use crate::command::MessageId;
use crate::names::RoomName;

/// The longest key in bytes: what other servers take.
const KEY_BYTES_MAX: usize = 255;
/// A UUID with its hyphens. Other forms of one are words like any other: a hash in hexadecimal digits names no message in every room.
const UUID_BYTES: usize = 36;
/// The namespace of keys: a UUID that nobody else uses so.
const NAMESPACE: [u8; 16] = *b"chatd retry key\0";

/// The id that the client gives a message; nothing where it gives none, and is not safe against repeating it.
///
/// # Errors
/// Where it cannot be read, or there are two.
pub fn message_id(fields: &Fields<'_>, room: &RoomName) -> Result<Option<MessageId>, Refusal> {
    let id = fields.text("x-message-id").map_err(|_| bad(ID_FORM))?;
    let key = fields.text("idempotency-key").map_err(|_| bad(KEY_FORM))?;
    match (id, key) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(bad("The request has X-Message-Id and Idempotency-Key; give one of them."))
        }
        (Some(id), None) => MessageId::parse(id).map(Some).ok_or_else(|| bad(ID_FORM)),
        (None, Some(key)) => from_key(key, room).map(Some).ok_or_else(|| bad(KEY_FORM)),
    }
}

const ID_FORM: &str = "X-Message-Id is one UUID, a new one for each message.";
const KEY_FORM: &str = "Idempotency-Key is one word of 1 to 255 printable characters, with or without quotation marks.";

fn bad(message: &'static str) -> Refusal {
    Refusal::new(Status::BadRequest, message)
}

/// The id that a key stands for in a room. The draft's quotation marks are no part of the key.
fn from_key(key: &str, room: &RoomName) -> Option<MessageId> {
    let bare = match key.strip_prefix('"') {
        Some(rest) => unescaped(rest.strip_suffix('"')?)?,
        None => Cow::Borrowed(key),
    };
    if bare.is_empty() || bare.len() > KEY_BYTES_MAX {
        return None;
    }
    if let Some(id) = MessageId::parse(&bare).filter(|_| bare.len() == UUID_BYTES) {
        return Some(id);
    }
    let mut hash = Sha1::new();
    hash.update(NAMESPACE);
    // No room's name has a zero: the two cannot run into each other.
    for part in [room.as_str().as_bytes(), b"\0", bare.as_bytes()] {
        hash.update(part);
    }
    let digest: [u8; 20] = hash.finalize().into();
    let bytes = digest.first_chunk::<16>()?;
    Some(MessageId(uuid::Builder::from_sha1_bytes(*bytes).into_uuid().into_bytes()))
}

/// What a quoted string says (RFC 8941, section 3.3.3): a backslash stands before a quotation mark or another one.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['"', '\\']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bare = alloc::string::String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            '"' => return None,
            '\\' => bare.push(chars.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            next => bare.push(next),
        }
    }
    Some(Cow::Owned(bare))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use super::*;
    use crate::http::head::Head;

    fn id(room: &str, fields: &str) -> Result<Option<String>, Status> {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        let head = Head::parse(head.as_bytes()).unwrap();
        let id = message_id(&head.fields, &RoomName::parse(room).unwrap());
        id.map(|id| id.map(|id| id.to_string())).map_err(|refusal| refusal.status)
    }

    const UUID: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";

    #[test]
    fn a_uuid_is_taken_as_it_is() {
        let own = Ok(Some(UUID.to_string()));
        assert_eq!(id("a", "A: b"), Ok(None));
        assert_eq!(id("a", &format!("X-Message-Id: {UUID}")), own);
        assert_eq!(id("a", &format!("Idempotency-Key: {UUID}")), own);
        assert_eq!(id("b", &format!("Idempotency-Key: \"{}\"", UUID.to_uppercase())), own);
    }

    #[test]
    fn another_key_stands_for_one_id_in_its_room() {
        let key = |room, key: &str| id(room, &format!("Idempotency-Key: {key}")).unwrap().unwrap();
        let one = key("ops", "backup-2026-11-21");
        assert_eq!(one.as_bytes().get(14), Some(&b'5'), "a UUID of version 5: {one}");
        assert_eq!(key("OPS", "\"backup-2026-11-21\""), one);
        assert_ne!(key("ops", "backup-2026-11-22"), one);
        assert_ne!(key("op", "sbackup-2026-11-21"), one);
        assert_ne!(key("lobby", "backup-2026-11-21"), one);
        assert_eq!(key("a", "\"x\\\"y\\\\\""), key("a", "x\"y\\"));
    }

    #[test]
    fn a_hash_is_a_word_and_no_uuid() {
        for key in [UUID.replace('-', ""), format!("{{{UUID}}}"), format!("urn:uuid:{UUID}")] {
            let id = |room| id(room, &format!("Idempotency-Key: {key}")).unwrap().unwrap();
            assert_ne!(id("a"), id("b"), "{key}");
            assert_ne!(id("a"), UUID, "{key}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let long = "x".repeat(256);
        for wrong in [
            "X-Message-Id: x",
            "X-Message-Id:",
            "Idempotency-Key:",
            "Idempotency-Key: \"",
            "Idempotency-Key: \"\"",
            "Idempotency-Key: \"a\"b\"",
            "Idempotency-Key: \"a\\b\"",
            "Idempotency-Key: \u{e9}",
            "Idempotency-Key: a\r\nIdempotency-Key: a",
            &format!("Idempotency-Key: {long}"),
            &format!("Idempotency-Key: a\r\nX-Message-Id: {UUID}"),
        ] {
            assert_eq!(id("a", wrong), Err(Status::BadRequest), "{wrong}");
        }
    }
}
