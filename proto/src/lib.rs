//! What is said between chatd and its clients: the vocabulary, the codecs, protocol detection and [`Session`].
//!
//! Pure: no socket, clock, thread or random source can be reached here, and no number of a stranger is trusted. Bytes are
//! offered by whoever reads them; what a command does is decided in the hub.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![warn(clippy::wildcard_enum_match_arm)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that unwraps wrongly fails, as it should")
)]

extern crate alloc;

mod charset;
pub mod client;
mod command;
mod detect;
pub mod docs;
pub mod encode;
mod fault;
pub mod fields;
pub mod http;
mod names;
pub mod native;
mod network;
mod protocols;
pub mod proxy;
pub mod reply;
mod request;
pub mod requests;
mod session;
mod time;
pub mod vocabulary;
pub mod ws;

pub use charset::Charset;
pub use command::{Command, Guid, MessageId, REQUEST_ID_BYTES_MAX, RequestId, Seq};
pub use encode::{Dialect, Event};
pub use fault::{Fault, Foreign};
pub use fields::{Banned, Level, Target, Turns, Whom};
pub use names::{
    NICK_BYTES_MAX, NICK_CHARS_MAX, NICK_MARKS_MAX, NameError, Nick, NickKey, ROOM_NAME_BYTES_MAX,
    RoomName, Skeleton, TOPIC_BYTES_MAX, is_printable, printable_line,
};
pub use network::{BadNetwork, Network};
pub use protocols::Protocols;
pub use requests::{Lacking, Permission, REQUESTS, Request, RequestKind};
pub use session::{Item, Protocol, Session, Step, Transport, WireLimits};
pub use time::{BadTime, Now, Span, WallTime};
pub use vocabulary::{Error, ErrorCode};
