//! What ends a connection: bytes after which nothing further can be understood, and what is said before the close.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use crate::http::{HttpFault, response};
use crate::native::FrameType;
use crate::proxy::BadProxy;
use crate::time::WallTime;
use crate::ws::{self, WsFault};

/// Why the bytes of a peer cannot be read on. The connection closes with this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A length field below 4: no room for the type.
    LengthTooSmall(u32),
    /// A length field over its limit.
    LengthTooLarge {
        /// What was claimed, in bytes.
        length: u32,
        /// The most that is allowed, in bytes.
        max: u32,
    },
    /// A length field that no frame of this type has.
    LengthWrong {
        /// The frame's type.
        kind: FrameType,
        /// What was claimed, in bytes.
        length: u32,
    },
    /// A string that does not fill its frame exactly.
    StringWrong {
        /// The frame's type.
        kind: FrameType,
        /// Bytes that the string claims.
        claimed: u32,
        /// Bytes that its frame has for it.
        room: u32,
    },
    /// An Ack or Nak: chatd asks v0.5 peers nothing.
    UnsolicitedAnswer,
    /// A JSON line over its limit in bytes.
    LineTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// An HTTP request that cannot be read on.
    Http(HttpFault),
    /// Frames of a WebSocket that cannot be read on.
    Ws(WsFault),
    /// No PROXY header where a proxy is to say whose connection it is.
    NoProxy,
    /// Another protocol, recognised by its first bytes.
    Foreign(Foreign),
}

/// The protocols that are recognised, and refused in their own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A TLS client hello.
    Tls,
    /// Letters that are no HTTP request.
    BadHttp,
    /// An IRC client.
    Irc,
    /// Anything else.
    Unknown,
}

impl Fault {
    /// The fault as one word, for logs and counters.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::LengthTooSmall(_) | Self::LengthTooLarge { .. } | Self::LengthWrong { .. } => {
                "bad_length"
            }
            Self::StringWrong { .. } => "bad_string",
            Self::UnsolicitedAnswer => "unsolicited_answer",
            Self::LineTooLong { .. } => "line_too_long",
            Self::NoProxy => "no_proxy_header",
            Self::Foreign(Foreign::Tls) => "tls_not_offered",
            Self::Http(fault) => fault.word(),
            Self::Ws(fault) => fault.word(),
            Self::Foreign(Foreign::BadHttp) => "no_http",
            Self::Foreign(Foreign::Irc) => "irc_not_offered",
            Self::Foreign(Foreign::Unknown) => "unknown_protocol",
        }
    }

    /// The last words to the peer, in its own protocol, said at `date`; empty where no answer could be understood.
    pub fn farewell(&self, date: WallTime) -> Vec<u8> {
        match self {
            Self::LengthTooSmall(_)
            | Self::LengthTooLarge { .. }
            | Self::LengthWrong { .. }
            | Self::StringWrong { .. }
            | Self::UnsolicitedAnswer
            | Self::NoProxy
            | Self::Foreign(Foreign::Unknown) => Vec::new(),
            Self::LineTooLong { max } => format!(
                "{{\"reply\":null,\"ok\":false,\"error\":\"too_large\",\"message\":\"The line is longer than {max} \
                 bytes; send smaller messages.\"}}\n"
            )
            .into_bytes(),
            // An alert record (21) of TLS 1.2's framing: fatal (2), handshake_failure (40), RFC 8446 section 6.
            Self::Foreign(Foreign::Tls) => Vec::from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 40]),
            Self::Ws(fault) => {
                let mut words = Vec::new();
                ws::close(fault.code(), &format!("{fault}"), &mut words);
                words
            }
            Self::Http(fault) => {
                let mut words = Vec::new();
                response::fault(*fault, date, &mut words);
                words
            }
            Self::Foreign(Foreign::BadHttp) => {
                let mut words = Vec::new();
                response::fault(HttpFault::RequestLine, date, &mut words);
                words
            }
            Self::Foreign(Foreign::Irc) => Vec::from(
                *b"ERROR :This chatd does not speak IRC yet; use a TcpChat v0.5 client or chatctl.\r\n",
            ),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthTooSmall(length) => write!(f, "a frame's length is {length}, below 4"),
            Self::LengthTooLarge { length, max } => {
                write!(f, "a frame's length is {length}, over the limit of {max} bytes")
            }
            Self::LengthWrong { kind, length } => {
                write!(f, "a {kind:?} frame's length is {length}")
            }
            Self::StringWrong { kind, claimed, room } => {
                write!(
                    f,
                    "a string in a {kind:?} frame claims {claimed} bytes where its frame has {room}"
                )
            }
            Self::UnsolicitedAnswer => f.write_str("an Ack or Nak to nothing"),
            Self::LineTooLong { max } => write!(f, "a line longer than {max} bytes"),
            Self::NoProxy => BadProxy.fmt(f),
            Self::Foreign(Foreign::Tls) => f.write_str("TLS is not offered on this port"),
            Self::Http(fault) => fault.fmt(f),
            Self::Ws(fault) => fault.fmt(f),
            Self::Foreign(Foreign::BadHttp) => f.write_str("letters that are no HTTP request"),
            Self::Foreign(Foreign::Irc) => f.write_str("IRC is not offered on this port"),
            Self::Foreign(Foreign::Unknown) => {
                f.write_str("the first bytes belong to no known protocol")
            }
        }
    }
}

impl core::error::Error for Fault {}
