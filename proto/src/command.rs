//! What a connection said, decoded: [`Command`], and the identifiers that commands carry.

use alloc::sync::Arc;
use core::fmt;

use serde::{Serialize, Serializer};

use crate::requests::Request;
use crate::vocabulary::Error;

/// One thing that a peer said. It borrows from the bytes it was read from; nothing of a chat is copied.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<'a> {
    /// v0.5: say this to the default room. Any bytes.
    Chat {
        /// The content.
        text: &'a [u8],
    },
    /// v0.5: take this nickname. Not validated here: the answer names the request.
    SetNickname {
        /// To be repeated in the answer.
        request: Guid,
        /// The wished name, perhaps not even UTF-8.
        nick: &'a [u8],
    },
    /// v0.5: nothing but a sign of life.
    Keepalive,
    /// Something that means nothing to a server: a Broadcast, or a frame of an unknown type.
    Ignored,
    /// v1: a request of the vocabulary.
    Request {
        /// To be echoed in the reply.
        id: RequestId,
        /// What is asked for.
        request: Request<'a>,
    },
    /// v1: something that is no request. It has its error reply, and the connection goes on.
    BadRequest {
        /// The request's id, where it could be read.
        id: Option<RequestId>,
        /// The reply.
        error: Error,
    },
}

/// A v0.5 request id: 16 opaque bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

/// Longest request id in bytes: a UUID has 36, and a connection may have many requests in flight.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// A v1 request's id, the client's own choice: at most [`REQUEST_ID_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Takes `text` as an id, or nothing where it is too long.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= REQUEST_ID_BYTES_MAX).then(|| Self(text.into()))
    }

    /// The id as its client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A message's id: a UUID, made by whoever sent the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// Takes a UUID in any of its usual spellings.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(|uuid| Self(uuid.into_bytes()))
    }

    /// A random (version 4) UUID from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        serializer
            .serialize_str(uuid::Uuid::from_bytes(self.0).as_hyphenated().encode_lower(&mut text))
    }
}

/// A message's place in its room's order, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Seq {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}
