//! WebSocket without sockets (RFC 6455): [`handshake`] turns an HTTP request into a connection, [`Reader`] takes messages from bytes,
//! [`frame`] makes bytes.
//!
//! No extension is offered, so no compression either: a small message would gain little, and a few bytes could stand for gigabytes.

mod client;
mod close;
mod echo;
mod fault;
mod frame;
mod handshake;
mod item;
mod mask;
mod reader;
mod utf8;

pub use client::{NotUpgraded, Upgraded, masked_frame, request, upgraded};
pub use close::{Close, CloseCode};
pub use echo::{After, ECHO_LIMITS, answer, echo};
pub use fault::WsFault;
pub use frame::{CONTROL_BYTES_MAX, Opcode, close, frame, header, pong};
pub use handshake::{Accepted, SUBPROTOCOL, handshake};
pub use item::{Control, Item, Kind, Step};
pub use mask::Mask;
pub use reader::{Limits, Reader, Role};
pub use utf8::Utf8;
