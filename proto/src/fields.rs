//! The table of the requests' fields: each has its names on the wire, its form, and how it is taken from an object.
//!
//! A field means the same in every request that has it. What a request does not name of these it ignores, as all others, whatever it
//! holds.
#![allow(
    non_camel_case_types,
    reason = "a field's type has the name that the field has in a request"
)]

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::command::{MessageId, RequestId, Seq};
use crate::http;
use crate::names::{NameError, Nick, RoomName, TOPIC_BYTES_MAX, printable_line};
use crate::network::Network;
use crate::session::WireLimits;
use crate::time::{Span, WallTime};
use crate::vocabulary::{Error, ErrorCode, TAIL_ROOMS_MAX};

/// What JSON has of each field: the one place that says which JSON type a field is.
#[derive(Deserialize)]
pub(crate) struct Raw<'a> {
    pub(crate) request: Option<Cow<'a, str>>,
    pub(crate) id: Option<Cow<'a, str>>,
    version: Option<u32>,
    agent: Option<Cow<'a, str>>,
    nick: Option<Cow<'a, str>>,
    room: Option<Cow<'a, str>>,
    rooms: Option<Vec<Cow<'a, str>>>,
    to: Option<Cow<'a, str>>,
    text: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    content_type: Option<Cow<'a, str>>,
    receipt: Option<bool>,
    message_id: Option<Cow<'a, str>>,
    topic: Option<Cow<'a, str>>,
    last: Option<u32>,
    before: Option<u64>,
    after: Option<u64>,
    since: Option<WallTime>,
    until: Option<WallTime>,
    limit: Option<u32>,
    slow: Option<bool>,
    session: Option<u64>,
    network: Option<Cow<'a, str>>,
    seconds: Option<u32>,
    reason: Option<Cow<'a, str>>,
    level: Option<Cow<'a, str>>,
    search: Option<Cow<'a, str>>,
    peer: Option<Cow<'a, str>>,
    turns: Option<Cow<'a, str>>,
    direct: Option<Direct>,
    /// A field that the protocol names and this version does not serve.
    pub(crate) with: Option<serde::de::IgnoredAny>,
}

/// What says how two reach each other without the server: where a client listens, or whether it has connected.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a port, or true or false")]
enum Direct {
    Port(u32),
    Connected(bool),
}

/// A field of requests.
pub trait Field {
    /// What it is taken as.
    type Value<'a>;
    /// Its names on the wire, and their forms; where there are several, one of them is given.
    const WIRE: &'static [(&'static str, &'static str)];
    /// Takes it from the object; nothing where it is not there.
    ///
    /// # Errors
    /// What is wrong with it.
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only the table of requests takes fields")]
    fn take<'a>(
        raw: &mut Raw<'a>,
        id: &RequestId,
        limits: WireLimits,
    ) -> Result<Option<Self::Value<'a>>, Error>;
}

macro_rules! fields {
    ($($name:ident: $value:ty = $take:expr, $($wire:literal $form:literal)or+;)*) => {
        $(
            #[doc = concat!($($wire, ": ", $form, " "),+)]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Field for $name {
                type Value<'a> = $value;
                const WIRE: &'static [(&'static str, &'static str)] = &[$(($wire, $form)),+];
                #[allow(private_interfaces, reason = "only the table of requests takes fields")]
                fn take<'a>(
                    raw: &mut Raw<'a>,
                    id: &RequestId,
                    limits: WireLimits,
                ) -> Result<Option<Self::Value<'a>>, Error> {
                    let take: fn(&mut Raw<'a>, &RequestId, WireLimits) -> Result<Option<$value>, Error> = $take;
                    take(raw, id, limits)
                }
            }
        )*
    };
}

fields! {
    version: u32 = |raw, _, _| Ok(raw.version), "version" "integer";
    agent: Cow<'a, str> = |raw, _, _| line(raw.agent.take(), "agent", AGENT_BYTES_MAX), "agent" "text";
    nick: Nick = |raw, _, limits| nickname(raw.nick.take(), limits), "nick" "nickname";
    room: RoomName = |raw, _, _| named(raw.room.take(), room_name), "room" "room name";
    rooms: Vec<RoomName> = |raw, _, _| raw.rooms.take().map(|names| room_names(&names)).transpose(),
        "rooms" "list of room names";
    target: Target = |raw, _, limits| target(raw, limits), "room" "room name" or "to" "nickname";
    content: Cow<'a, [u8]> = |raw, _, limits| content(raw, limits), "text" "text" or "data" "base64";
    content_type: Cow<'a, str> = |raw, _, _| media_type(raw.content_type.take()), "content_type" "media type";
    own_id: MessageId = |_, id, _| own_id(id), "id" "UUID";
    receipt: bool = |raw, _, _| Ok(raw.receipt), "receipt" "true or false";
    message_id: MessageId = |raw, _, _| raw.message_id.take().map(|text| uuid(&text)).transpose(), "message_id" "UUID";
    topic: Cow<'a, str> = |raw, _, _| line(raw.topic.take(), "topic", TOPIC_BYTES_MAX), "topic" "text";
    text: Cow<'a, str> = |raw, _, _| line(raw.text.take(), "text", TOPIC_BYTES_MAX), "text" "text";
    last: u32 = |raw, _, _| Ok(raw.last), "last" "integer";
    before: Seq = |raw, _, _| Ok(raw.before.map(Seq)), "before" "seq";
    after: Seq = |raw, _, _| Ok(raw.after.map(Seq)), "after" "seq";
    since: WallTime = |raw, _, _| Ok(raw.since), "since" "time";
    until: WallTime = |raw, _, _| Ok(raw.until), "until" "time";
    search: Cow<'a, str> = |raw, _, _| words(raw.search.take()), "search" "words";
    limit: u32 = |raw, _, _| Ok(raw.limit), "limit" "integer";
    peer: Nick = |raw, _, limits| nickname(raw.peer.take(), limits), "peer" "nickname";
    turns: Turns = |raw, _, _| raw.turns.take().map(|text| turns_of(&text)).transpose(), "turns" "yes, no or any";
    port: u16 = |raw, _, _| raw.direct.take().map(|direct| port_of(&direct)).transpose(), "direct" "port";
    connected: bool = |raw, _, _| raw.direct.take().map(|direct| is_connected(&direct)).transpose(), "direct" "true or false";
    slow: bool = |raw, _, _| Ok(raw.slow), "slow" "true or false";
    beyond: u64 = |raw, _, _| Ok(raw.session), "session" "integer";
    whom: Whom = |raw, _, limits| whom(raw, limits), "nick" "nickname" or "session" "integer";
    banned: Banned = |raw, _, limits| banned(raw, limits), "nick" "nickname" or "network" "network";
    duration: Span = |raw, _, _| Ok(raw.seconds.map(|seconds| Span::from_secs(u64::from(seconds)))), "seconds" "integer";
    reason: Cow<'a, str> = |raw, _, _| line(raw.reason.take(), "reason", TOPIC_BYTES_MAX), "reason" "text";
    level: Level = |raw, _, _| raw.level.take().map(|text| level_of(&text)).transpose(), "level" "error, warn, info or debug";
}

/// How long a client's own description may be, in bytes: a name and a version.
const AGENT_BYTES_MAX: usize = 128;

/// How long a search may be, in bytes: a sentence, as a topic is.
pub const SEARCH_BYTES_MAX: usize = TOPIC_BYTES_MAX;

/// Whom a post is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everybody in a room.
    Room(RoomName),
    /// One nickname.
    Nick(Nick),
}

/// Whose connection is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Who has this nickname.
    Nick(Nick),
    /// The connection with this number, as `hello` and the log say it.
    Session(u64),
}

/// What is kept out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Banned {
    /// A nickname, without regard to case.
    Nick(Nick),
    /// Addresses that begin alike.
    Network(Network),
}

/// Whether somebody wants to write by turns in a talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turns {
    /// By turns.
    Yes,
    /// Both at will.
    No,
    /// As the other side wants it.
    #[default]
    Any,
}

impl Turns {
    /// Every wish.
    pub const ALL: [Self; 3] = [Self::Yes, Self::No, Self::Any];

    /// The wish as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Any => "any",
        }
    }

    /// The wish of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|turns| turns.word() == word)
    }

    /// Whether two who wish so write by turns; nothing where they do not go together.
    pub const fn with(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Yes, Self::No) | (Self::No, Self::Yes) => None,
            (Self::Yes, _) | (_, Self::Yes) => Some(true),
            (Self::No | Self::Any, Self::No | Self::Any) => Some(false),
        }
    }
}

/// How much an entry of the log weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who look for something.
    Debug,
    /// The course of things.
    Info,
    /// Somebody had a disadvantage.
    Warn,
    /// The operator should act.
    Error,
}

impl Level {
    /// Every level, the lightest first.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The level as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }
}

pub(crate) fn bad_request(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadRequest, message)
}

fn named<T>(
    raw: Option<Cow<'_, str>>,
    parse: fn(&str) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    raw.map(|text| parse(&text)).transpose()
}

fn nickname(raw: Option<Cow<'_, str>>, limits: WireLimits) -> Result<Option<Nick>, Error> {
    let nick = raw.map(|text| Nick::parse_in(&text, limits.charset)).transpose();
    nick.map_err(|error| name_error(ErrorCode::BadNickname, error))
}

fn room_name(text: &str) -> Result<RoomName, Error> {
    RoomName::parse(text).map_err(|error| name_error(ErrorCode::BadRoom, error))
}

/// The names of several rooms, each once, in their order.
fn room_names(names: &[Cow<'_, str>]) -> Result<Vec<RoomName>, Error> {
    if names.len() > TAIL_ROOMS_MAX {
        let message = format!(
            "`rooms` has {} names; the limit is {TAIL_ROOMS_MAX}. Ask in parts, or name none for all rooms.",
            names.len()
        );
        return Err(Error::new(ErrorCode::LimitReached, message));
    }
    let mut names = names.iter().map(|name| room_name(name)).collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn name_error(code: ErrorCode, error: NameError) -> Error {
    Error::new(code, format!("{error}"))
}

/// One of two fields; both at once are refused.
fn one_of<T>(first: Option<T>, second: Option<T>, names: &str) -> Result<Option<T>, Error> {
    match (first, second) {
        (Some(_), Some(_)) => {
            Err(bad_request(format!("The request has {names}; give one of them.")))
        }
        (first, second) => Ok(first.or(second)),
    }
}

fn target(raw: &mut Raw<'_>, limits: WireLimits) -> Result<Option<Target>, Error> {
    let room = named(raw.room.take(), room_name)?.map(Target::Room);
    let nick = nickname(raw.to.take(), limits)?.map(Target::Nick);
    one_of(room, nick, "`room` and `to`")
}

fn whom(raw: &mut Raw<'_>, limits: WireLimits) -> Result<Option<Whom>, Error> {
    let nick = nickname(raw.nick.take(), limits)?.map(Whom::Nick);
    one_of(nick, raw.session.map(Whom::Session), "`nick` and `session`")
}

fn banned(raw: &mut Raw<'_>, limits: WireLimits) -> Result<Option<Banned>, Error> {
    let nick = nickname(raw.nick.take(), limits)?.map(Banned::Nick);
    let network = raw.network.take().map(|text| {
        text.parse().map_err(|error: crate::network::BadNetwork| bad_request(format!("{error}")))
    });
    one_of(nick, network.transpose()?.map(Banned::Network), "`nick` and `network`")
}

fn own_id(id: &RequestId) -> Result<Option<MessageId>, Error> {
    let wrong = "The id is the message's own: make it a UUID, a new one for each message.";
    MessageId::parse(id.as_str()).map(Some).ok_or_else(|| bad_request(wrong))
}

fn uuid(text: &str) -> Result<MessageId, Error> {
    MessageId::parse(text).ok_or_else(|| bad_request("`message_id` is not a UUID."))
}

fn level_of(text: &str) -> Result<Level, Error> {
    Level::from_word(text)
        .ok_or_else(|| bad_request("`level` is one of error, warn, info and debug."))
}

fn turns_of(text: &str) -> Result<Turns, Error> {
    Turns::from_word(text).ok_or_else(|| bad_request("`turns` is one of yes, no and any."))
}

fn port_of(direct: &Direct) -> Result<u16, Error> {
    let port = match direct {
        Direct::Port(port) => u16::try_from(*port).ok().filter(|port| *port > 0),
        Direct::Connected(_) => None,
    };
    port.ok_or_else(|| bad_request("`direct` is the TCP port where you listen: 1 to 65535."))
}

fn is_connected(direct: &Direct) -> Result<bool, Error> {
    match direct {
        Direct::Connected(connected) => Ok(*connected),
        Direct::Port(_) => Err(bad_request(
            "`direct` is true or false: whether you have connected to the peer's address.",
        )),
    }
}

/// A text of one line that people are shown: a topic, a reason.
fn line<'a>(
    text: Option<Cow<'a, str>>,
    name: &str,
    most: usize,
) -> Result<Option<Cow<'a, str>>, Error> {
    let Some(text) = text else { return Ok(None) };
    if text.len() > most {
        let message = format!("`{name}` has {} bytes; the limit is {most}.", text.len());
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    if !printable_line(&text) {
        return Err(bad_request(format!(
            "`{name}` has a control or invisible character; write one plain line."
        )));
    }
    Ok(Some(text))
}

/// What is searched for. Nothing is in everything: who searches for it most likely lost something on the way.
fn words(text: Option<Cow<'_, str>>) -> Result<Option<Cow<'_, str>>, Error> {
    let text = line(text, "search", SEARCH_BYTES_MAX)?;
    match text {
        Some(text) if text.trim().is_empty() => Err(bad_request("`search` has no word.")),
        text => Ok(text),
    }
}

/// What people say it is that they say.
fn media_type(text: Option<Cow<'_, str>>) -> Result<Option<Cow<'_, str>>, Error> {
    match text {
        Some(text) if !http::is_media_type(&text) => {
            Err(bad_request("`content_type` is not one TYPE/SUBTYPE of at most 255 bytes."))
        }
        text => Ok(text),
    }
}

fn content<'a>(raw: &mut Raw<'a>, limits: WireLimits) -> Result<Option<Cow<'a, [u8]>>, Error> {
    let text = raw.text.take().map(|text| match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    });
    let data = raw.data.take().map(|data| STANDARD.decode(data.as_bytes()).map(Cow::Owned));
    let data =
        data.transpose().map_err(|error| bad_request(format!("`data` is not base64: {error}")))?;
    let Some(content) = one_of(text, data, "`text` and `data`")? else { return Ok(None) };
    if content.len() > limits.message {
        let message = format!(
            "The message has {} bytes; the limit is {}. Send it in parts.",
            content.len(),
            limits.message
        );
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    Ok(Some(content))
}
