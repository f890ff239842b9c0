//! What the operator decided: names, limits, deadlines. `None` means that a limit is off.
//!
//! Where the values come from and how people write them is the business of whoever makes a [`Settings`].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use proto::vocabulary::TAIL_ROOMS_MAX;
use proto::{Level, Network, RoomName, Span, WireLimits};

use crate::planted::Planted;
use crate::rights::Groups;
use crate::store::Durability;
use crate::web::Website;

/// What an undecided connection is held of the lobby at most, in bytes: what one block may have.
pub(crate) const BACKLOG_BYTES_MAX: usize = BLOCK_BYTES_MAX;
/// What an undecided connection is held of the lobby at most, in frames.
pub(crate) const BACKLOG_FRAMES_MAX: u32 = 256;
/// A block of several frames has at most so many bytes: a reader pins at most its queue and one block.
pub(crate) const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// Unfinished frames and what quotas hold back, all connections together; past it the largest goes.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Messages that wait for the store; past it speakers wait.
pub(crate) const STORE_QUEUE_MESSAGES_MAX: usize = 10_000;
/// Their content in bytes; past it speakers wait.
pub(crate) const STORE_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A timer that fires so much later than it was due says that this machine slept, not that a peer did.
pub(crate) const LATE_MAX: Span = Span::from_secs(1);
/// A part of a frame's bytes that buys it one second more.
pub(crate) const FRAME_BYTES_PER_SECOND: u64 = 1024;
/// No frame may take longer than this, however large it is.
pub(crate) const FRAME_TIMEOUT_MAX: Span = Span::from_secs(30);

const _: () = assert!(BACKLOG_BYTES_MAX >= 65_536, "any v0.5 frame can be held");

/// Control connections at once; so many are kept for root and the daemon's own user, and so many one other user may have.
pub(crate) const CONTROL_CONNECTIONS_MAX: usize = 256;
/// See [`CONTROL_CONNECTIONS_MAX`].
pub(crate) const CONTROL_CONNECTIONS_KEPT: usize = 4;
/// See [`CONTROL_CONNECTIONS_MAX`].
pub(crate) const CONTROL_CONNECTIONS_BY_USER_MAX: usize = 16;
/// Addresses without connections that are remembered for what they used of their share: a megabyte or two.
pub(crate) const IDLE_ADDRESSES_MAX: usize = 16 * 1024;
/// A request for past messages costs as much as so many messages: it makes a page of them.
pub(crate) const REPLAY_COST_MESSAGES: u64 = 16;

const _: () = assert!(CONTROL_CONNECTIONS_KEPT < CONTROL_CONNECTIONS_MAX);
const _: () = assert!(TAIL_ROOMS_MAX < PAGE_ROWS_MAX, "the reply to a `tail` names what was named");
const _: () = assert!(CONTROL_CONNECTIONS_BY_USER_MAX < CONTROL_CONNECTIONS_MAX);

/// A page of what a look-up found, in rows: `connections`, `rooms`, `members`, and the rooms that the reply to `tail` names.
pub(crate) const PAGE_ROWS_MAX: usize = 500;
/// A page of a replay: what one connection gets in a turn, as much as one block has.
pub(crate) const PAGE_BYTES_MAX: usize = BLOCK_BYTES_MAX;
/// A page of a replay that the store encodes: the turn only hands it on, and the store has nothing to do between two of them.
pub(crate) const FETCH_BYTES_MAX: usize = 4 * PAGE_BYTES_MAX;
/// A page while more than a quarter of the budget of memory is used: thousands may come back at once and read slowly.
pub(crate) const PAGE_CROWDED_BYTES_MAX: usize = 4 * 1024;
/// The pages of one turn together: they cost about as long as any other phase of it may take.
pub(crate) const PAGES_BYTES_MAX: usize = 4 * PAGE_BYTES_MAX;

/// So many rooms does who follows everything enter at once; the next ones come with its next page. A quarter of a millisecond.
pub(crate) const ROOMS_AT_ONCE: usize = 256;

const _: () = assert!(PAGE_CROWDED_BYTES_MAX < PAGE_BYTES_MAX);
const _: () = assert!(ROOMS_AT_ONCE > TAIL_ROOMS_MAX, "who names its rooms enters them at once");

/// Rooms of more members gather who comes and goes: every event is for each of them.
const SMALL_ROOM_MEMBERS_MAX: usize = 50;
/// How long they gather it.
pub(crate) const PRESENCE_SPAN: Span = Span::from_secs(1);
/// The names of either kind that are told of a gathering; the others are counted.
pub(crate) const PRESENCE_NAMES_MAX: usize = 20;
/// Names that a gathering remembers; past it it is told before its time.
pub(crate) const PRESENCE_CHANGES_MAX: usize = 4096;

const _: () = assert!(PRESENCE_NAMES_MAX < PRESENCE_CHANGES_MAX);

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// How long.
    pub span: Span,
}

/// What a v0.5 connection without a nickname is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// A generated guest name.
    Guest,
    /// Its network address, where that fits a nickname.
    Endpoint,
}

/// A room that always exists, since the operator named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastingRoom {
    /// What it is about, where the operator says; its members may set another.
    pub topic: Option<Box<str>>,
}

/// Everything that can be set. The default is what product.md's table says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the server calls itself.
    pub server_name: String,
    /// The version it tells.
    pub version: String,
    /// The room of every v0.5 connection.
    pub default_room: RoomName,
    /// Rooms that always exist, besides that one, which may be among them.
    pub lasting_rooms: BTreeMap<RoomName, LastingRoom>,
    /// What nameless connections are called.
    pub anonymous: Anonymous,
    /// The most content of a message.
    pub wire: WireLimits,
    /// Connections at once.
    pub connections: Option<usize>,
    /// Connections at once from one address: an IPv4 address, or the first half of an IPv6 one.
    pub clients_per_ip: Option<u32>,
    /// How often one address may connect, after a burst.
    pub accept_rate: Option<Quota>,
    /// Connections of one address in quick succession.
    pub accept_burst: u32,
    /// Messages of one connection in a second.
    pub messages_per_s: Option<u32>,
    /// Messages of one connection at once.
    pub message_burst: u32,
    /// Bytes of one connection in a second.
    pub bytes_per_s: Option<u32>,
    /// Bytes of one connection at once.
    pub byte_burst: u32,
    /// Bytes that one connection has others sent in a second: those of its messages times their receivers.
    pub fanout_per_s: Option<u32>,
    /// The same at once.
    pub fanout_burst: u32,
    /// How often one connection may take another nickname; so many at once.
    pub nick_changes: Option<Quota>,
    /// Bytes that wait for one receiver.
    pub outbox: Option<usize>,
    /// Bytes of all blocks, each once, and private bytes.
    pub store: Option<usize>,
    /// Silence before the first byte; then it is a v0.5 listener.
    pub detect: Option<Span>,
    /// A frame must be complete in this time, and a second more by KiB, at most 30 s.
    pub frame_timeout: Option<Span>,
    /// A native connection from which nothing came for so long is closed.
    pub idle: Option<Span>,
    /// A native connection to which nothing was written for so long gets a keepalive.
    pub keepalive: Option<Span>,
    /// A connection that takes none of what waits for it for so long is closed.
    pub stall: Option<Span>,
    /// Bytes of unfinished frames and of what quotas hold back, all connections together. No key of the configuration sets it.
    pub kept: usize,
    /// How long somebody may wait for a talk.
    pub wait_timeout: Option<Span>,
    /// How long a turn in a talk may take before it passes by itself.
    pub turn_timeout: Option<Span>,
    /// How durable an acknowledged message is.
    pub durability: Durability,
    /// Bytes of recent messages, all rooms together.
    pub recent: Option<usize>,
    /// Rooms of more members gather who comes and goes. No key of the configuration sets it.
    pub small_room: usize,
    /// Rooms at once.
    pub rooms: Option<usize>,
    /// Rooms that one connection may be in, or follow by name.
    pub rooms_joined: Option<usize>,
    /// Rooms that one connection may have made while nobody else is in them.
    pub rooms_made: Option<usize>,
    /// Networks whose clients have no rate limits, where a proxy says whose a connection is: others are exempt when they come.
    pub exempt: Vec<Network>,
    /// What is served over HTTP.
    pub web: Website,
    /// Who on the control socket may do what, for those who may not.
    pub groups: Groups,
    /// What is logged; administrators change it while the server runs.
    pub log_level: Level,
    /// The bug that is put in.
    #[cfg(feature = "planted")]
    pub planted: Option<Planted>,
}

impl Settings {
    /// Whether this bug is put in: never, unless this is a test build.
    #[cfg(feature = "planted")]
    pub fn plants(&self, bug: Planted) -> bool {
        self.planted == Some(bug)
    }

    /// Whether this bug is put in: never, unless this is a test build.
    #[cfg(not(feature = "planted"))]
    #[allow(clippy::unused_self, reason = "the shipped build plants nothing")]
    pub const fn plants(&self, _bug: Planted) -> bool {
        false
    }
}

impl Default for Settings {
    #[allow(clippy::missing_panics_doc, reason = "a constant that does not parse is our bug")]
    fn default() -> Self {
        Self {
            server_name: String::from("chatd"),
            version: String::from(env!("CARGO_PKG_VERSION")),
            default_room: RoomName::parse("lobby").expect("a constant room name"),
            lasting_rooms: BTreeMap::new(),
            anonymous: Anonymous::Guest,
            wire: WireLimits::default(),
            connections: None,
            clients_per_ip: Some(32),
            accept_rate: Some(Quota { count: 1, span: Span::from_secs(1) }),
            accept_burst: 32,
            messages_per_s: Some(10),
            message_burst: 40,
            bytes_per_s: Some(256 * 1024),
            byte_burst: 1024 * 1024,
            fanout_per_s: Some(64 * 1024 * 1024),
            fanout_burst: 256 * 1024 * 1024,
            nick_changes: Some(Quota { count: 5, span: Span::from_secs(60) }),
            outbox: Some(1024 * 1024),
            store: Some(128 * 1024 * 1024),
            detect: Some(Span::from_secs(1)),
            frame_timeout: Some(Span::from_secs(10)),
            idle: Some(Span::from_secs(15)),
            keepalive: Some(Span::from_secs(5)),
            stall: Some(Span::from_secs(10)),
            kept: KEPT_BYTES_MAX,
            wait_timeout: None,
            turn_timeout: Some(Span::from_secs(300)),
            durability: Durability::None,
            recent: Some(64 * 1024 * 1024),
            small_room: SMALL_ROOM_MEMBERS_MAX,
            rooms: Some(10_000),
            rooms_joined: Some(100),
            rooms_made: Some(15),
            exempt: Vec::new(),
            web: Website::default(),
            groups: Groups::default(),
            log_level: Level::Info,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }
}
