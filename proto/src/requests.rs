//! The table of requests: [`Request`], its parsing, its permissions, the documents and the tests' matrix are made from it.
//!
//! A request is one row: its name, who may use it, its fields, what it does, what its reply carries. Fields are in a table of
//! their own, in [`crate::fields`]; one that not everybody may use who may use the request says who. A new row does not compile
//! until the hub answers it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::RequestId;
use crate::fields::{self, Field, Raw};
use crate::session::WireLimits;
use crate::vocabulary::{Error, ErrorCode};

/// Who may use a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Everybody who said `hello`, and every control connection.
    Anyone,
    /// Who may read: follow rooms, look things up.
    Watch,
    /// Who may speak: have a name, send.
    Send,
    /// Who may do both, and so be in rooms.
    Talk,
    /// Administrators.
    Admin,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 5] = [Self::Anyone, Self::Watch, Self::Send, Self::Talk, Self::Admin];

    /// The permission in words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Watch => "watch",
            Self::Send => "send",
            Self::Talk => "send and watch",
            Self::Admin => "admin",
        }
    }
}

/// A field of a request, as the documents show it.
#[derive(Clone, Copy, Debug)]
pub struct RequestField {
    /// Its names on the wire, and their forms; where there are several, one of them is given.
    pub wire: &'static [(&'static str, &'static str)],
    /// Whether a request without it is refused.
    pub required: bool,
    /// Who may use it, where that is more than the request needs.
    pub permission: Option<Permission>,
}

/// What a request needs that the one who asks has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// What is needed.
    pub permission: Permission,
    /// The field that it is needed for, where the request could be used without it.
    pub field: Option<&'static str>,
}

/// A request of the vocabulary, as the documents show it.
#[derive(Clone, Copy, Debug)]
pub struct RequestRow {
    /// Which request.
    pub kind: RequestKind,
    /// Its name on the wire.
    pub name: &'static str,
    /// Who may use it.
    pub permission: Permission,
    /// Its fields besides `request` and `id`.
    pub fields: &'static [RequestField],
    /// What it does.
    pub summary: &'static str,
    /// What its `ok` reply carries.
    pub reply: &'static str,
}

macro_rules! requests {
    ($($kind:ident $name:literal $permission:ident [$($field:ident $($required:ident)? $(: $may:ident)?),*] $summary:literal => $reply:literal;)*) => {
        /// Which request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RequestKind {
            $(#[doc = $summary] $kind,)*
        }

        /// A request, parsed and validated as far as one can without the server's state.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request<'a> {
            $(#[doc = $summary] $kind {
                $(
                    #[doc = concat!("See [`fields::", stringify!($field), "`].")]
                    $field: requests!(@type $field $($required)?),
                )*
            },)*
        }

        /// Every request of the vocabulary.
        pub const REQUESTS: &[RequestRow] = &[$(RequestKind::$kind.row()),*];

        impl RequestKind {
            /// The request's row in the table.
            pub const fn row(self) -> RequestRow {
                match self {
                    $(Self::$kind => RequestRow {
                        kind: Self::$kind,
                        name: $name,
                        permission: Permission::$permission,
                        fields: &[$(RequestField {
                            wire: <fields::$field as Field>::WIRE,
                            required: requests!(@required $($required)?),
                            permission: requests!(@permission $($may)?),
                        }),*],
                        summary: $summary,
                        reply: $reply,
                    },)*
                }
            }
        }

        impl Request<'_> {
            /// Which request this is.
            pub const fn kind(&self) -> RequestKind {
                match self {
                    $(Self::$kind { .. } => RequestKind::$kind,)*
                }
            }

            /// What it needs that the one who asks has not, the first of it; nothing where it may be carried out.
            pub fn lacks(&self, has: impl Fn(Permission) -> bool) -> Option<Lacking> {
                match self {
                    $(Self::$kind { $($field),* } => {
                        let permission = Permission::$permission;
                        if !has(permission) {
                            return Some(Lacking { permission, field: None });
                        }
                        $(requests!(@lacks $field has $($required)? $(: $may)?);)*
                        None
                    })*
                }
            }
        }

        /// Takes the fields of a request from its object.
        pub(crate) fn parse<'a>(
            kind: RequestKind,
            id: &RequestId,
            raw: &mut Raw<'a>,
            limits: WireLimits,
        ) -> Result<Request<'a>, Error> {
            Ok(match kind {
                $(RequestKind::$kind => Request::$kind {
                    $($field: requests!(@take $field kind id raw limits $($required)?),)*
                },)*
            })
        }
    };
    (@type $field:ident required) => { <fields::$field as Field>::Value<'a> };
    (@type $field:ident) => { Option<<fields::$field as Field>::Value<'a>> };
    (@take $field:ident $kind:ident $id:ident $raw:ident $limits:ident required) => {
        <fields::$field as Field>::take($raw, $id, $limits)?
            .ok_or_else(|| missing($kind, <fields::$field as Field>::WIRE))?
    };
    (@take $field:ident $kind:ident $id:ident $raw:ident $limits:ident) => {
        <fields::$field as Field>::take($raw, $id, $limits)?
    };
    (@lacks $field:ident $has:ident : $may:ident) => {
        if $field.is_some() && !$has(Permission::$may) {
            let field = Some(stringify!($field));
            return Some(Lacking { permission: Permission::$may, field });
        }
    };
    (@lacks $field:ident $has:ident $($required:ident)?) => { let _ = $field; };
    (@permission $may:ident) => { Some(Permission::$may) };
    (@permission) => { None };
    (@required required) => { true };
    (@required) => { false };
}

/// A required field is not there.
fn missing(kind: RequestKind, wire: &[(&str, &str)]) -> Error {
    let names: Vec<String> = wire.iter().map(|(name, _)| format!("`{name}`")).collect();
    let text = format!("Missing field {} in request `{}`.", names.join(" or "), kind.row().name);
    Error::new(ErrorCode::BadRequest, text)
}

requests! {
    Hello "hello" Anyone [version, agent, nick]
        "says who the client is, and asks what the server can do; on TCP it begins a v1 connection" =>
        "server, version, protocol, session, nick, address, default_room, history, durability, limits, features";
    Ping "ping" Anyone [] "asks for a reply and nothing else" => "";
    Nick "nick" Send [nick required]
        "takes a nickname; unique, without regard to case" => "nick, address, since";
    Join "join" Talk [room required, after]
        "joins a room, which is made where there is none; `after` replays everything later than that first" =>
        "room, seq, members";
    Leave "leave" Talk [room required] "leaves a room" => "room";
    Post "post" Send [target required, content required, content_type, own_id required, receipt, nick: Admin]
        "sends a message to a room or to one nickname; the request's id is a UUID and becomes the message's" =>
        "room, seq, time; or to, time";
    Receipt "receipt" Send [message_id required]
        "says 'received' to the sender of a message that asked for it" => "message_id";
    Tail "tail" Watch [rooms, last, since, after]
        "follows rooms without joining them, all of them where none is named; what `last`, `since` or `after` means is replayed first" =>
        "rooms, more";
    History "history" Watch [room required, before, after, since, until, search, limit]
        "past messages as events that carry the request's id in `history`, oldest first, then the reply" =>
        "room, count, more, forgotten";
    Rooms "rooms" Watch [room, limit] "which rooms there are, by name, those beyond a room" => "rooms, more";
    Members "members" Watch [room required, nick, limit]
        "who is in a room, by name, those beyond a nickname" => "room, members, more";
    Whois "whois" Watch [nick required]
        "who has a nickname; administrators see the address, too" =>
        "nick, since, connected, idle_ms, rooms, away, agent, protocol, address";
    Topic "topic" Watch [room required, topic: Send]
        "a room's topic; sets it where one is given, which only members may" => "room, topic, by, time";
    Away "away" Send [text]
        "whether one is away; sets it where a text is given, an empty one says that one is back" => "away";
    Bridge "bridge" Talk [peer, turns, port]
        "says that one is ready for a talk, with anyone or with the one named; again, it replaces what waits" =>
        "since";
    Unbridge "unbridge" Talk [] "takes that back, as long as no talk is open" => "";
    Chat "chat" Talk [peer, connected]
        "opens the talk with the peer that was found; the opener writes first where there are turns" =>
        "peer, turn, direct";
    Say "say" Talk [peer, content required, own_id required]
        "a message in the talk; the request's id is a UUID and becomes the message's; it passes the turn" =>
        "message_id, time, turn";
    Pass "pass" Talk [peer] "gives the turn to the other side" => "turn";
    Hangup "hangup" Talk []
        "ends the talk, and before it is open what `unbridge` takes back" => "";
    Stats "stats" Watch [] "what the server counts" => "stats";
    Connections "connections" Admin [slow, beyond, limit]
        "who is connected, by session, those beyond a session; `slow` those for whom something waits" =>
        "connections, more";
    Kick "kick" Admin [whom required, reason]
        "closes the connection of a nickname or of a session" => "closed";
    Ban "ban" Admin [banned required, duration, reason]
        "keeps a nickname or a network out, for good or for so long, and closes whom that concerns" => "closed, until";
    Unban "unban" Admin [banned required] "lets a nickname or a network in again" => "";
    Bans "bans" Admin [] "who is kept out" => "bans";
    Announce "announce" Admin [text required] "tells everybody something in the server's name" => "connections";
    LogLevel "log_level" Admin [level] "what is logged; sets it where a level is given" => "level";
    DebugStall "debug_stall" Admin [duration required]
        "lets the daemon do nothing at all for that long, 60 s at most: to see what watches it at work" => "";
    Reload "reload" Admin []
        "reads the configuration anew, all or nothing; the reply comes when that is done, and tells why it failed" => "";
    Stop "stop" Admin [] "ends the daemon as TERM does: says bye, empties the queues, closes" => "";
}

/// The request with this name.
pub(crate) fn find(name: &str) -> Option<RequestKind> {
    REQUESTS.iter().find(|row| row.name == name).map(|row| row.kind)
}
