//! Every key of the configuration, once: parsing, printing, suggestions and documents are made from this table.

use std::net::SocketAddr;

use hub::Quota;
use proto::{BadNetwork, Network, Protocols, RoomName, Span};

use super::value;

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A room's name.
    Room,
    /// What a room is about, in one line.
    Topic,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// true or false.
    Switch,
    /// A duration; `off` where that is allowed.
    Duration { off: bool },
    /// A size in bytes; `off` where that is allowed.
    Size { off: bool },
    /// A number of things, or `off`.
    Count,
    /// A number of at least one.
    Burst,
    /// So many a second, or `off`.
    Rate,
    /// So many a second or a minute, or `off`.
    Quota,
    /// So many bytes a second, or `off`.
    ByteRate,
    /// A list of networks.
    Networks,
    /// A list of groups, by name or number.
    Groups,
    /// A list of protocols.
    Protocols,
    /// Who may open a file, in octal digits.
    Mode,
    /// An address and port.
    Address,
    /// A list of host names.
    Hosts,
    /// A list of pages' origins.
    Origins,
    /// The beginning of paths, from a slash to a slash.
    BasePath,
    /// A path, or `off`.
    Path,
}

/// A key's value, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Room(RoomName),
    Switch(bool),
    Span(Option<Span>),
    Size(Option<usize>),
    Rate(Option<u32>),
    Quota(Option<Quota>),
    Networks(Vec<Network>),
    Groups(Vec<String>),
    Words(Vec<String>),
    Protocols(Protocols),
    Mode(u32),
    Address(SocketAddr),
}

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// As it is written in the file; empty where it depends on the machine.
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
    /// It holds for a daemon's whole life: a reload does not change it.
    pub(crate) at_start: bool,
}

impl Key {
    const fn at_start(self) -> Self {
        Self { at_start: true, ..self }
    }
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { section, name, kind, default, doc, at_start: false }
}

const TIME: Kind = Kind::Duration { off: true };
const BYTES: Kind = Kind::Size { off: true };

/// What may be logged: this and what weighs more.
pub const LOG_LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];
/// How it may be logged.
pub const LOG_FORMATS: [&str; 4] = ["auto", "text", "json", "journal"];

/// A format of the log, as the command line takes it.
///
/// # Errors
/// Why it is none: another, or one that is not built yet.
pub fn log_format(text: &str) -> Result<String, String> {
    Kind::Choice(&LOG_FORMATS).parse(text).map(|_| text.to_owned())
}

/// The table.
pub(crate) const KEYS: &[Key] = &[
    key(
        "server",
        "name",
        Kind::Text,
        "",
        "how the server calls itself; by default the host's name",
    ),
    key("server", "default_room", Kind::Text, "\"lobby\"", "the room of every v0.5 client").at_start(),
    key(
        "server",
        "shutdown_timeout",
        Kind::Duration { off: false },
        "\"5s\"",
        "how long TERM waits for queues to be written",
    ),
    key(
        "listen",
        "addr",
        Kind::Address,
        "\"127.0.0.1:33333\"",
        "an address and port for clients; [[listen]] may be repeated",
    ),
    key(
        "listen",
        "proxy_protocol",
        Kind::Switch,
        "false",
        "whether a proxy in front says first, by the PROXY protocol, whose connection it is",
    ),
    key(
        "listen",
        "protocols",
        Kind::Protocols,
        "[\"native\", \"v1\", \"http\", \"websocket\"]",
        "what may be spoken there: native frames of v0.5, those of v1, HTTP, WebSockets",
    ),
    key("control", "path", Kind::Text, "", "the control socket").at_start(),
    key(
        "control",
        "mode",
        Kind::Mode,
        "\"0666\"",
        "who may open the control socket, in octal; what they may do there the groups decide",
    )
    .at_start(),
    key(
        "control",
        "admin_groups",
        Kind::Groups,
        "[\"chatd-admin\"]",
        "groups, by name or number, that may do everything over the control socket, as may root and the user that chatd runs as",
    ),
    key(
        "control",
        "send_groups",
        Kind::Groups,
        "[\"chat\"]",
        "groups that may send over the control socket; who may send and watch may be in rooms",
    ),
    key(
        "control",
        "watch_groups",
        Kind::Groups,
        "[\"chat\"]",
        "groups that may read over the control socket: follow rooms, look things up",
    ),
    key(
        "names",
        "anonymous",
        Kind::Choice(&["guest", "endpoint"]),
        "\"guest\"",
        "what a v0.5 client without a nickname is called",
    ),
    key(
        "names",
        "charset",
        Kind::Choice(&["ascii", "unicode"]),
        "\"ascii\"",
        "which characters nicknames have; with unicode letters of every script, and look-alikes have one owner",
    ).at_start(),
    key(
        "keepalive",
        "interval",
        TIME,
        "\"5s\"",
        "after how long without writing a v0.5 client is sent a keepalive",
    ),
    key(
        "keepalive",
        "idle",
        TIME,
        "\"15s\"",
        "how long a v0.5 client may send nothing before it is closed",
    ),
    key(
        "history",
        "durability",
        Kind::Choice(&["sync", "write", "none"]),
        "\"sync\"",
        "how durable an acknowledged message is: on the disk; with the operating system, which a power cut may make forget the last \
         ones; or in memory only, and gone with the daemon",
    )
    .at_start(),
    key(
        "history",
        "deliver",
        Kind::Choice(&["stored", "at_once"]),
        "\"stored\"",
        "when others are given a message: once it is stored; or at once, and a crash may then make it one that was never sent",
    )
    .at_start(),
    key(
        "history",
        "max_age",
        TIME,
        "\"30d\"",
        "how long messages are kept",
    ),
    key(
        "history",
        "max_bytes",
        BYTES,
        "\"10GiB\"",
        "how much of the disk they may take, all rooms together: beyond it the oldest go",
    ),
    key(
        "history",
        "max_messages",
        Kind::Count,
        "\"off\"",
        "how many messages of each room are kept: beyond it its oldest go",
    ),
    key(
        "history",
        "search",
        Kind::Switch,
        "true",
        "whether they can be searched for words, which takes about as much of the disk again",
    )
    .at_start(),
    key(
        "history",
        "recent",
        BYTES,
        "\"64MiB\"",
        "recent messages kept in memory, all rooms together; off: none",
    ),
    key(
        ROOM,
        "name",
        Kind::Room,
        "",
        "a room that always exists, whoever is in it; [[room]] may be repeated",
    ),
    key(ROOM, "topic", Kind::Topic, "", "what it is about; its members may set another"),
    key(ROOM, "max_age", TIME, "", "how long its messages are kept; by default as history.max_age"),
    key(
        ROOM,
        "max_messages",
        Kind::Count,
        "",
        "how many of its messages are kept; by default as history.max_messages",
    ),
    key(
        ROOM,
        "max_bytes",
        BYTES,
        "",
        "how much of the disk they may take; by default as much as history.max_bytes leaves them",
    ),
    key(
        "rendezvous",
        "wait_timeout",
        TIME,
        "\"off\"",
        "how long somebody waits for a one-to-one talk at most",
    ),
    key(
        "rendezvous",
        "turn_timeout",
        TIME,
        "\"5m\"",
        "after how long the turn in a talk passes by itself",
    ),
    key(
        "http",
        "hosts",
        Kind::Hosts,
        "[]",
        "names by which browsers call this server, besides localhost, the machine's name and addresses",
    ),
    key(
        "http",
        "origins",
        Kind::Origins,
        "[]",
        "pages of other servers that may post and read, like https://chat.example",
    ),
    key(
        "http",
        "trusted_proxies",
        Kind::Networks,
        "[]",
        "networks of proxies that say whose request they hand on, and are believed",
    ),
    key(
        "http",
        "forwarded",
        Kind::Choice(&["x-forwarded-for", "forwarded"]),
        "\"x-forwarded-for\"",
        "in which field they say it; the other one is not looked at",
    ),
    key(
        "http",
        "base_path",
        Kind::BasePath,
        "\"/\"",
        "what all paths begin with, where a proxy hands on a part of its own",
    ),
    key(
        "http",
        "web",
        Kind::Switch,
        "true",
        "whether the page for browsers is served; the API and WebSockets are in any case",
    ),
    key(
        "http",
        "ws_echo",
        Kind::Path,
        "\"off\"",
        "the path of a WebSocket that says everything again, for conformance suites",
    ),
    key("reactor", "flush", Kind::Choice(&["epoll"]), "\"epoll\"", "how queues are written").at_start(),
    key(
        "reactor",
        "pace",
        Kind::Switch,
        "true",
        "whether writes wait up to 5 ms for more in a busy room",
    ),
    key("log", "level", Kind::Choice(&LOG_LEVELS), "\"info\"", "what is logged"),
    key(
        "log",
        "format",
        Kind::Choice(&LOG_FORMATS),
        "\"auto\"",
        "how it is logged; auto: to the journal where stderr is the journal's, else text",
    )
    .at_start(),
    key(
        "limits",
        "connections",
        Kind::Count,
        "",
        "connections at once; by default the descriptors less 64",
    ),
    key(
        "limits",
        "clients_per_ip",
        Kind::Count,
        "32",
        "connections at once from one address; of IPv6 from one /64",
    ),
    key(
        "limits",
        "accept_rate",
        Kind::Quota,
        "\"1/s\"",
        "how often one address (of IPv6, one /64) may connect after accept_burst",
    ),
    key(
        "limits",
        "accept_burst",
        Kind::Burst,
        "32",
        "connections of one address in quick succession",
    ),
    key(
        "limits",
        "message",
        Kind::Size { off: false },
        "65530",
        "bytes of one message; what a v0.5 frame carries is the most",
    ),
    key(
        "limits",
        "messages",
        Kind::Rate,
        "\"10/s\"",
        "messages of one connection, by not reading it",
    ),
    key("limits", "message_burst", Kind::Burst, "40", "messages of one connection at once"),
    key(
        "limits",
        "bytes",
        Kind::ByteRate,
        "\"256KiB/s\"",
        "bytes from one connection, by not reading it",
    ),
    key(
        "limits",
        "byte_burst",
        Kind::Size { off: false },
        "\"1MiB\"",
        "bytes from one connection at once",
    ),
    key(
        "limits",
        "fanout",
        Kind::ByteRate,
        "\"64MiB/s\"",
        "bytes that one connection has others sent (its messages times their receivers), by not reading it",
    ),
    key(
        "limits",
        "fanout_burst",
        Kind::Size { off: false },
        "\"256MiB\"",
        "bytes that one connection has others sent at once",
    ),
    key(
        "limits",
        "nick_changes",
        Kind::Quota,
        "\"5/min\"",
        "changes of nickname of one connection, so many at once",
    ),
    key(
        "limits",
        "detect",
        TIME,
        "\"1s\"",
        "silence after which a connection is taken for a v0.5 listener",
    ),
    key(
        "limits",
        "frame_timeout",
        TIME,
        "\"10s\"",
        "how long a frame may take, and 1 s by KiB more, up to 30 s",
    ),
    key("limits", "outbox", BYTES, "\"1MiB\"", "bytes queued for one connection"),
    key(
        "limits",
        "stall",
        TIME,
        "\"10s\"",
        "how long a connection may take nothing of what is queued for it",
    ),
    key(
        "limits",
        "store",
        BYTES,
        "\"128MiB\"",
        "bytes queued for all connections, shared ones counted once",
    ),
    key("limits", "rooms", Kind::Count, "10000", "rooms at once"),
    key(
        "limits",
        "rooms_joined",
        Kind::Count,
        "100",
        "rooms that one connection is in or names to follow",
    ),
    key(
        "limits",
        "rooms_made",
        Kind::Count,
        "15",
        "rooms that one connection made and nobody else is in",
    ),
    key(
        "limits",
        "exempt",
        Kind::Networks,
        "[]",
        "networks whose clients have no rate limits and no limits by address",
    ),
];

/// The section of rooms that always exist: it repeats, and nothing of it has a default.
pub(crate) const ROOM: &str = "room";

/// Whether a section may be there several times, written in double brackets.
pub(crate) fn repeats(section: &str) -> bool {
    matches!(section, "listen" | ROOM)
}

/// Keys and sections that the design names and this version does not serve.
pub(crate) const UNBUILT: &[(&str, &[&str])] =
    &[("server", &["motd"]), ("listen", &["tls"]), ("log", &["addresses"])];

impl Kind {
    /// Which values these are, in words.
    pub(crate) fn in_words(self) -> String {
        let words = match self {
            Self::Text => "a text",
            Self::Room => "a room's name, such as ops",
            Self::Topic => "a line of at most 390 bytes",
            Self::Choice(words) => return words.join(", "),
            Self::Switch => "true, false",
            Self::Duration { off: false } => "a duration",
            Self::Duration { off: true } => "a duration, or off",
            Self::Size { off: false } => "a size",
            Self::Size { off: true } => "a size, or off",
            Self::Count => "a number of 1 or more, or off",
            Self::Burst => "a number of 1 or more",
            Self::Rate => "so many a second like 10/s, or off",
            Self::Quota => "so many a second or a minute like 1/s or 5/min, or off",
            Self::ByteRate => "a size a second like 256KiB/s, or off",
            Self::Networks => "a list of networks like 192.0.2.0/24 or 2001:db8::/32",
            Self::Groups => "a list of groups, by name or number",
            Self::Protocols => return format!("a list of some of {}", Protocols::ALL),
            Self::Mode => "a mode in octal digits like 0660",
            Self::Hosts => "a list of host names like chat.example",
            Self::Origins => "a list of origins like https://chat.example",
            Self::BasePath => "a path that begins and ends with a slash",
            Self::Path => "a path like /echo, or off",
            Self::Address => "an address and a port like 192.0.2.1:33333 or [2001:db8::1]:33333",
        };
        words.to_owned()
    }

    /// Takes text as this kind of value.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence's end.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        let is_off = text == "off";
        match self {
            Self::Text if text.is_empty() => Err("it is empty".to_owned()),
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Room => RoomName::parse(text).map(Value::Room).map_err(|error| error.to_string()),
            Self::Topic => value::topic(text).map(Value::Text),
            Self::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Self::Choice(words) => Err(choice_error(text, words)),
            Self::Switch => match text {
                "true" => Ok(Value::Switch(true)),
                "false" => Ok(Value::Switch(false)),
                _ => Err(format!("'{text}' is neither true nor false")),
            },
            Self::Duration { off: true } if is_off => Ok(Value::Span(None)),
            Self::Duration { .. } => value::duration(text).map(|span| Value::Span(Some(span))),
            Self::Size { off: true } | Self::Count if is_off => Ok(Value::Size(None)),
            Self::Size { off: false } if is_off => {
                Err("this limit cannot be off: buffers are sized by it".to_owned())
            }
            Self::Size { .. } => value::size(text).map(|size| Value::Size(Some(size))),
            Self::Count => number(text).map(|count| Value::Size(Some(count))),
            Self::Burst => number(text).map(|count| Value::Size(Some(count))),
            Self::Rate | Self::ByteRate if is_off => Ok(Value::Rate(None)),
            Self::Quota if is_off => Ok(Value::Quota(None)),
            Self::Quota => value::quota(text).map(|quota| Value::Quota(Some(quota))),
            Self::Rate => value::rate(text).map(|rate| Value::Rate(Some(rate))),
            Self::ByteRate => value::byte_rate(text).map(|rate| Value::Rate(Some(rate))),
            Self::Networks => text
                .split_whitespace()
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map(Value::Networks)
                .map_err(|error: BadNetwork| error.to_string()),
            Self::Groups => value::groups(text).map(Value::Groups),
            Self::Protocols => Protocols::named(text.split_terminator('\n')).map(Value::Protocols),
            Self::Hosts => value::hosts(text).map(Value::Words),
            Self::Origins => value::origins(text).map(Value::Words),
            Self::BasePath => value::base_path(text).map(Value::Text),
            Self::Path if is_off => Ok(Value::Text(String::new())),
            Self::Path => value::path(text).map(Value::Text),
            Self::Mode => value::mode(text).map(Value::Mode),
            Self::Address => value::address(text).map(Value::Address),
        }
    }
}

fn number(text: &str) -> Result<usize, String> {
    let wrong = || format!("'{text}' is no number of 1 or more");
    text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
}

fn choice_error(text: &str, words: &[&str]) -> String {
    let later = ["io_uring"];
    let known = words.join(", ");
    if later.contains(&text) {
        return format!("'{text}' is not built yet in this version; there is {known}");
    }
    format!("'{text}' is none of {known}")
}

/// Whether there is such a section, or what to say about one that there is not.
///
/// # Errors
/// What is wrong with the name, as a message.
pub(crate) fn find_section(section: &str) -> Result<(), String> {
    if KEYS.iter().any(|key| key.section == section) {
        return Ok(());
    }
    if UNBUILT.iter().any(|(known, _)| *known == section) {
        return Err(format!("'{section}' is not built yet in this version; take it out"));
    }
    Err(match nearest(section, KEYS.iter().map(|key| key.section.to_owned())) {
        Some(nearest) => format!("unknown section '{section}'; did you mean '{nearest}'?"),
        None => format!("unknown section '{section}'; 'chatd --print-config default' lists them"),
    })
}

/// The key's place in the table, or what to say about a name that is not in it.
pub(crate) fn find(section: &str, name: &str) -> Result<usize, String> {
    if let Some(at) = KEYS.iter().position(|key| key.section == section && key.name == name) {
        return Ok(at);
    }
    let unbuilt = UNBUILT.iter().any(|(known, names)| *known == section && names.contains(&name));
    if unbuilt {
        return Err(format!("'{section}.{name}' is not built yet in this version; take it out"));
    }
    let wished = format!("{section}.{name}");
    // Whoever knows a key's name is likelier to be wrong about its section.
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        let right = format!("{}.{}", key.section, key.name);
        return Err(format!("unknown key '{wished}'; did you mean '{right}'?"));
    }
    Err(match nearest(&wished, KEYS.iter().map(|key| format!("{}.{}", key.section, key.name))) {
        Some(nearest) => format!("unknown key '{wished}'; did you mean '{nearest}'?"),
        None => format!("unknown key '{wished}'; 'chatd --print-config default' lists the keys"),
    })
}

/// The name from which the fewest letters differ, of several the one most like it; none where none is like it.
fn nearest(wished: &str, names: impl Iterator<Item = String>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(wished, &name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .min_by(|(a, one), (b, other)| {
            let letters = |name: &str| strsim::osa_distance(wished, name);
            letters(one).cmp(&letters(other)).then(b.total_cmp(a))
        })
        .map(|(_, name)| name)
}
