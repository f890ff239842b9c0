//! The per-connection protocol machine: bytes in, commands out.
//!
//! A [`Session`] holds no bytes. Its caller keeps what was not consumed and offers it again with more behind it, so that a
//! connection owns memory only for an unfinished frame. Any chunking of the bytes gives the same commands.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::charset::Charset;
use crate::command::Command;
use crate::detect::{Detected, detect};
use crate::fault::{Fault, Foreign};
use crate::http;
use crate::native::{self, Frame};
use crate::proxy::{self, Proxied};
use crate::request;
use crate::ws::{self, WsFault};

/// What a JSON line may have beyond six times the message limit: the other fields.
pub(crate) const LINE_OVERHEAD_BYTES: usize = 4 * 1024;
/// How many bytes one byte of content may take in a JSON line: `\u0000`.
pub(crate) const LINE_BYTES_BY_BYTE: usize = 6;

/// How a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP: the first bytes choose the protocol.
    Stream,
    /// The same behind a proxy, which says first whose connection it is.
    Proxied,
    /// The Unix control socket: JSON lines.
    ControlSocket,
}

/// What a connection speaks, once that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Native frames.
    Native,
    /// Native frames, after `hello`: the v1 vocabulary in frames of type 16.
    V1,
    /// JSON lines on the control socket.
    Control,
    /// HTTP requests, one after the other.
    Http,
    /// The v1 vocabulary in text messages of a WebSocket.
    WebSocket,
    /// Messages of a WebSocket that are said again.
    Echo,
}

/// The limits that decoding obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireLimits {
    /// The most content of one message in bytes.
    pub message: usize,
    /// Which characters nicknames have.
    pub charset: Charset,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self { message: native::V05_CONTENT_BYTES_MAX, charset: Charset::Ascii }
    }
}

impl WireLimits {
    /// The longest JSON line in bytes, its end included.
    pub const fn line(&self) -> usize {
        self.message.saturating_mul(LINE_BYTES_BY_BYTE).saturating_add(LINE_OVERHEAD_BYTES)
    }

    /// The longest frame or line in bytes, with its header.
    pub const fn frame(&self) -> usize {
        let v1 = self.line().saturating_add(native::HEADER_BYTES);
        let v05 = native::V05_CONTENT_BYTES_MAX.saturating_add(native::HEADER_BYTES + 2);
        if v1 > v05 { v1 } else { v05 }
    }
}

/// What the beginning of the offered bytes is.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// Nothing whole: more bytes are needed.
    More,
    /// The proxy said whose connection it is; none where it is its own.
    Source(Option<SocketAddr>),
    /// The first bytes chose this protocol; they are not consumed by it.
    Decided(Protocol),
    /// The peer said something.
    Command(Command<'a>),
    /// An HTTP request begins; where it has a body, pieces of it follow.
    Head(http::Head<'a>),
    /// A piece of an HTTP request's body.
    Body {
        /// Its bytes, perhaps none.
        bytes: &'a [u8],
        /// The request is whole with it.
        last: bool,
    },
    /// A ping, a pong or a close of a WebSocket.
    Socket(ws::Item),
    /// Anything of a WebSocket that is to be said again, and what was put together.
    Echo(ws::Item, &'a [u8]),
    /// The bytes cannot be read on; the connection is to be closed.
    Fault(Fault),
}

/// One step: an item, and how many of the offered bytes are done with.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'a> {
    /// Bytes that are not to be offered again.
    pub consumed: usize,
    /// What they were.
    pub item: Item<'a>,
}

/// Where a connection is in its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// What the proxy says has not come.
    Proxied,
    /// The first bytes have not come.
    Undecided,
    /// They have not come, and only native ones are accepted since something was written.
    NativeOnly,
    /// Native frames; so many bytes of an unknown one are still to be skipped.
    Native { skip: u32 },
    /// JSON lines; so many of the offered bytes are known to hold no line end.
    Control { scanned: u32 },
    /// HTTP requests. The others are small, and there are many more of them.
    Http(Box<http::Reader>),
    /// Messages of a WebSocket.
    Socket(Box<ws::Reader>),
    /// The same, said again.
    Echo(Box<ws::Reader>),
}

impl Session {
    /// A connection that has said nothing.
    pub const fn new(transport: Transport) -> Self {
        match transport {
            Transport::Stream => Self { state: State::Undecided },
            Transport::Proxied => Self { state: State::Proxied },
            Transport::ControlSocket => Self { state: State::Control { scanned: 0 } },
        }
    }

    /// What the connection speaks, once that is known.
    pub const fn protocol(&self) -> Option<Protocol> {
        match self.state {
            State::Proxied | State::Undecided | State::NativeOnly => None,
            State::Native { .. } => Some(Protocol::Native),
            State::Control { .. } => Some(Protocol::Control),
            State::Http(_) => Some(Protocol::Http),
            State::Socket(_) => Some(Protocol::WebSocket),
            State::Echo(_) => Some(Protocol::Echo),
        }
    }

    /// Something native was written to the connection: its first bytes choose no more.
    pub fn native_only(&mut self) {
        if self.state == State::Undecided {
            self.state = State::NativeOnly;
        }
    }

    /// Whether something has begun of which perhaps nothing is kept: a long frame of an unknown type, or a request.
    pub fn mid_frame(&self) -> bool {
        match &self.state {
            State::Native { skip } => *skip > 0,
            State::Http(reader) => reader.mid_request(),
            State::Socket(reader) | State::Echo(reader) => reader.mid_message(),
            State::Proxied | State::Undecided | State::NativeOnly | State::Control { .. } => false,
        }
    }

    /// Whether it is not known whose connection it is.
    pub fn is_nobodys(&self) -> bool {
        self.state == State::Proxied
    }

    /// Whether messages are put together.
    pub const fn is_socket(&self) -> bool {
        matches!(self.state, State::Socket(_) | State::Echo(_))
    }

    /// The HTTP request that was read is answered with an upgrade: what is behind it are frames.
    pub fn upgrade(&mut self, echoes: bool) {
        debug_assert!(matches!(self.state, State::Http(_)), "only a request is upgraded");
        let reader = Box::new(ws::Reader::new(ws::Role::Server));
        self.state = if echoes { State::Echo(reader) } else { State::Socket(reader) };
    }

    /// The head of an HTTP request that was read is not taken yet: its bytes are to be offered again.
    pub fn read_again(&mut self) {
        if let State::Http(reader) = &mut self.state {
            reader.read_again();
        }
    }

    /// The answer to the HTTP request that was read is the last: nothing behind it is read.
    pub fn last_request(&mut self) {
        if let State::Http(reader) = &mut self.state {
            reader.close();
        }
    }

    /// Looks at the beginning of `bytes`: everything offered before and not consumed, and what came since. Messages of a WebSocket
    /// are put together in `message`, which has what came of the one that is not whole yet, and nothing else: it is to be emptied
    /// after each whole one.
    pub fn feed<'a>(
        &mut self,
        bytes: &'a [u8],
        message: &'a mut Vec<u8>,
        limits: WireLimits,
    ) -> Step<'a> {
        match &mut self.state {
            State::Proxied => self.feed_proxied(bytes),
            State::Undecided | State::NativeOnly => self.feed_undecided(bytes),
            State::Native { skip: skip @ 1.. } => {
                let skip = *skip;
                self.feed_skip(bytes, skip)
            }
            State::Native { skip: 0 } => self.feed_native(bytes, limits),
            State::Control { scanned } => {
                let scanned = *scanned;
                self.feed_line(bytes, scanned, limits)
            }
            State::Http(reader) => feed_http(bytes, reader, limits),
            State::Socket(reader) => feed_socket(bytes, message, reader, limits),
            State::Echo(reader) => {
                let step = reader.feed(bytes, message, ws::ECHO_LIMITS);
                Step { consumed: step.consumed, item: Item::Echo(step.item, message) }
            }
        }
    }

    fn feed_proxied<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        match proxy::parse(bytes) {
            Ok(Proxied::Partial) => Step { consumed: 0, item: Item::More },
            Ok(Proxied::Header { consumed, source }) => {
                self.state = State::Undecided;
                Step { consumed, item: Item::Source(source) }
            }
            Err(_) => Step { consumed: 0, item: Item::Fault(Fault::NoProxy) },
        }
    }

    fn feed_undecided<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        let item = match detect(bytes) {
            Detected::Native => {
                self.state = State::Native { skip: 0 };
                Item::Decided(Protocol::Native)
            }
            Detected::Http if self.state == State::Undecided => {
                self.state = State::Http(Box::default());
                Item::Decided(Protocol::Http)
            }
            Detected::Undecided if self.state == State::Undecided || bytes.is_empty() => Item::More,
            Detected::Foreign(foreign) if self.state == State::Undecided => {
                Item::Fault(Fault::Foreign(foreign))
            }
            Detected::Undecided | Detected::Http | Detected::Foreign(_) => {
                Item::Fault(Fault::Foreign(Foreign::Unknown))
            }
        };
        Step { consumed: 0, item }
    }

    fn feed_skip<'a>(&mut self, bytes: &'a [u8], skip: u32) -> Step<'a> {
        let here = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(skip);
        let left = skip.saturating_sub(here);
        self.state = State::Native { skip: left };
        let item = if left == 0 { Item::Command(Command::Ignored) } else { Item::More };
        Step { consumed: usize::try_from(here).unwrap_or(bytes.len()), item }
    }

    fn feed_native<'a>(&mut self, bytes: &'a [u8], limits: WireLimits) -> Step<'a> {
        match native::decode(bytes, limits) {
            Ok(Frame::Partial) => Step { consumed: 0, item: Item::More },
            Ok(Frame::Whole(consumed, command)) => Step { consumed, item: Item::Command(command) },
            Ok(Frame::V1(consumed, json)) => {
                Step { consumed, item: Item::Command(request::parse(json, limits)) }
            }
            Ok(Frame::Unknown(whole)) => self.feed_skip(bytes, whole),
            Err(fault) => Step { consumed: 0, item: Item::Fault(fault) },
        }
    }

    fn feed_line<'a>(&mut self, bytes: &'a [u8], scanned: u32, limits: WireLimits) -> Step<'a> {
        let scanned = usize::try_from(scanned).unwrap_or(usize::MAX).min(bytes.len());
        let max = limits.line();
        let unseen = bytes.get(scanned..).unwrap_or_default();
        let end =
            unseen.iter().position(|byte| *byte == b'\n').map(|at| at.saturating_add(scanned));
        if end.unwrap_or(bytes.len()) >= max {
            return Step { consumed: 0, item: Item::Fault(Fault::LineTooLong { max }) };
        }
        let Some(end) = end else {
            self.state = State::Control { scanned: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
            return Step { consumed: 0, item: Item::More };
        };
        self.state = State::Control { scanned: 0 };
        let line = bytes.get(..end).unwrap_or_default().trim_ascii();
        let command = if line.is_empty() { Command::Ignored } else { request::parse(line, limits) };
        Step { consumed: end.saturating_add(1), item: Item::Command(command) }
    }
}

fn feed_http<'a>(bytes: &'a [u8], reader: &mut http::Reader, limits: WireLimits) -> Step<'a> {
    let step = reader.feed(bytes, limits.message);
    let item = match step.item {
        http::Item::More => Item::More,
        http::Item::Head(head) => Item::Head(head),
        http::Item::Body { bytes, last } => Item::Body { bytes, last },
        http::Item::Fault(fault) => Item::Fault(Fault::Http(fault)),
    };
    Step { consumed: step.consumed, item }
}

fn feed_socket<'a>(
    bytes: &[u8],
    message: &'a mut Vec<u8>,
    reader: &mut ws::Reader,
    limits: WireLimits,
) -> Step<'a> {
    let step = reader.feed(bytes, message, ws::Limits::of(limits));
    let item = match step.item {
        ws::Item::More => Item::More,
        ws::Item::Message(ws::Kind::Text) => Item::Command(request::parse(message, limits)),
        // What people say in bytes has its place in a request.
        ws::Item::Message(ws::Kind::Binary) => Item::Fault(Fault::Ws(WsFault::Binary)),
        item @ (ws::Item::Ping(_) | ws::Item::Pong(_) | ws::Item::Close(_)) => Item::Socket(item),
        ws::Item::Fault(fault) => Item::Fault(Fault::Ws(fault)),
    };
    Step { consumed: step.consumed, item }
}
