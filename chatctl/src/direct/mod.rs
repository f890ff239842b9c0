//! A talk between two programs without a server: docs/protocol.md, "Between two programs".
//!
//! `Peer` is the whole of it, and pure: bytes in, happenings out, the moment an argument. `Link` gives it a socket, `Door`
//! lets callers in one after another, `Opening` is how two come to it who met by a server. What is said, shown and ended is the
//! business of whoever owns them: `talk`, `meet` and `chat`.

mod door;
mod frames;
mod link;
mod opening;
mod peer;
mod trips;

pub use door::Door;
pub use frames::Fault;
pub use link::Link;
pub use opening::{Opening, Outcome, listening_address};
pub use peer::{End, Happening, Hello, Peer, Turn};
pub use trips::Trips;

use proto::{Charset, Span, WireLimits, native};

/// Where a talk is listened for when nobody said where: beside a chatd on the same machine.
pub const USUAL_PORT: u16 = 33334;

/// The most content of one message: what a daemon takes that was told nothing else.
pub const CONTENT_BYTES_MAX: usize = native::V05_CONTENT_BYTES_MAX;

/// The longest object: any content fits, however much of it JSON must escape.
const OBJECT_BYTES_MAX: usize =
    WireLimits { message: CONTENT_BYTES_MAX, charset: Charset::Ascii }.line();

/// How many messages may wait for their acknowledgments in one direction, and with how much content. Whoever says more is
/// refused, so that neither side ever keeps more for the other.
pub const UNACKNOWLEDGED_MAX: usize = 64;
/// See `UNACKNOWLEDGED_MAX`.
pub const UNACKNOWLEDGED_BYTES_MAX: usize = 1 << 20;

/// How much may wait to be written: all that may be unacknowledged, however much JSON must escape, and as much again for
/// answers. Only to a peer who asks and asks and never reads does more wait.
const OUTGOING_BYTES_MAX: usize = 16 << 20;

/// After so long without a word of ours the peer gets a sign of life.
const KEEPALIVE_INTERVAL: Span = Span::from_secs(5);

/// So long a peer may be silent, and so long it may take nothing of what waits for it.
const IDLE_SPAN_MAX: Span = Span::from_secs(15);

/// So long a caller has to say who it is.
const HELLO_SPAN_MAX: Span = Span::from_secs(10);

/// So long a frame may take that has begun.
const FRAME_SPAN_MAX: Span = Span::from_secs(30);

/// So long the answer to a farewell is waited for.
const FAREWELL_SPAN_MAX: Span = Span::from_secs(1);

const _: () = assert!(CONTENT_BYTES_MAX <= UNACKNOWLEDGED_BYTES_MAX);
const _: () = assert!(12 * UNACKNOWLEDGED_BYTES_MAX <= OUTGOING_BYTES_MAX);
const _: () = assert!(2 * KEEPALIVE_INTERVAL.as_micros() < IDLE_SPAN_MAX.as_micros());
const _: () = assert!(HELLO_SPAN_MAX.as_micros() < IDLE_SPAN_MAX.as_micros());
