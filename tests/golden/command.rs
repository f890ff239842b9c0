//! The commands of a script.
//!
//! ```text
//! set KEY VALUE                     a setting, before anyone connects; VALUE `off` lifts a limit
//! connect NAME [exempt]             a TCP connection, from 192.0.2.1
//! connect NAME from ADDRESS
//! connect NAME where PROTOCOLS      to a listener that serves these: `native,v1`, say
//! control NAME LOGIN [RIGHTS]       a connection to the control socket: RIGHTS is `admin`, `send`, `watch` or `nothing`, without it both of the middle
//! crowd NAME COUNT ROOM             TCP connections NAME1, NAME2, ... that say `hello` and join a room; what they hear is not shown
//! NAME chat STRING                  v0.5 frames: Chat, SetNickname (request id: one byte, 16 times), Keepalive, any type
//! NAME nick BYTE STRING
//! NAME keepalive
//! NAME frame TYPE STRING
//! NAME says STRING...               bytes as they are
//! NAME opens a socket               the request for a WebSocket; what it asks then comes in text messages
//! NAME pings STRING                 a ping of a WebSocket; `closes` and `sends binary` likewise
//! NAME asks {JSON}                  a line, over TCP a frame of type 16
//! NAME slowly ...                   one of these a byte at a time, 200 ms apart
//! NAME times N ...                  one of these so often, within one read
//! NAME ends | NAME breaks           FIN, RST
//! NAME stops reading [after BYTES]  and `NAME reads` again
//! NAME is read?                     whether the daemon would read from it
//! store answers | holds | refuses   what the store does from now on
//! stored N | refused N              the store answers the N oldest that it holds
//! kernel tells RTT BYTES SEGMENTS   what it says of everybody from now on: microseconds, unsent bytes, unacknowledged segments; or `-`
//! advance SPAN                      1500ms, 5s, 2m
//! reload                            the operator's wish by signal
//! reloaded KEY VALUE                the configuration was read anew, and this setting is another
//! reload fails STRING               it is wrong
//! drain
//! memory                            what the hub holds for others
//! encoded                           how often something was encoded
//! ```

use std::net::{IpAddr, Ipv4Addr};

use hub::{Anonymous, HangUp, LastingRoom, Measured, Quota, Rights, Settings};
use proto::{Protocols, RoomName, Span, ws};
use tests::native;

use crate::literal::{Token, tokens};
use crate::world::{StoreMood, World};

/// Where peers come from that a script says nothing of.
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn opcode(what: &str) -> ws::Opcode {
    match what {
        "pings" => ws::Opcode::Ping,
        "closes" => ws::Opcode::Close,
        _ => ws::Opcode::Binary,
    }
}

pub fn carry_out(world: &mut World, command: &str) {
    if let Some((name, json)) = command.split_once(" asks ") {
        return asks(world, name, json);
    }
    let tokens = tokens(command);
    let words: Vec<&str> = tokens
        .iter()
        .map(|token| match token {
            Token::Word(text) => text.as_str(),
            Token::Bytes(_) => "\"",
        })
        .collect();
    match *words {
        ["set", key, value] => set(world.settings(), key, value),
        ["connect", name, ref how @ ..] => connect(world, name, how),
        ["control", name, login] => world.connect_control(name, login, Rights::TALK),
        ["control", name, login, rights] => {
            world.connect_control(name, login, self::rights(rights));
        }
        ["crowd", name, count, room] => crowd(world, name, count.parse().unwrap(), room),
        ["store", "answers"] => world.store(StoreMood::Answers),
        ["store", "holds"] => world.store(StoreMood::Holds),
        ["store", "refuses"] => world.store(StoreMood::Refuses),
        ["stored", count] => world.stored(count.parse().unwrap(), false),
        ["refused", count] => world.stored(count.parse().unwrap(), true),
        ["advance", time] => world.advance(span(time)),
        ["kernel", "tells", rtt, bytes, segments] => {
            let number = |text: &str| text.parse().ok();
            world.kernel = Measured {
                rtt_us: number(rtt),
                kernel_bytes: number(bytes),
                under_way: number(segments),
            };
        }
        ["reload" | "reloaded", ..] => reload(world, &words, &tokens),
        ["drain"] => world.drain(),
        ["memory"] => memory(world),
        ["encoded"] => {
            let (v05, v1) = world.hub().encoded();
            world.note(format!("for v0.5 {v05}, for v1 {v1}"));
        }
        [name, "ends"] => world.hangs_up(name, HangUp::Eof),
        [name, "breaks"] => world.hangs_up(name, HangUp::Reset),
        [name, "opens", "a", "socket"] => world.opens(name),
        [name, what @ ("pings" | "closes" | "sends"), ..] => {
            world.sends(name, opcode(what), &bytes_of(tokens.last().unwrap()));
        }
        [name, "stops", "reading"] => world.takes(name, Some(0)),
        [name, "stops", "reading", "after", bytes] => {
            world.takes(name, Some(bytes.parse().unwrap()));
        }
        [name, "reads"] => world.takes(name, None),
        [name, "is", "read?"] => {
            let answer = if world.is_read(name) { "yes" } else { "no" };
            world.note(answer.to_owned());
        }
        [name, "slowly", ..] => {
            for byte in bytes(&tokens[2..]) {
                world.advance(Span::from_millis(200));
                world.receives(name, &[byte]);
            }
        }
        [name, "times", count, ..] => {
            let bytes = bytes(&tokens[3..]).repeat(count.parse().unwrap());
            world.receives(name, &bytes);
        }
        [name, ..] => world.receives(name, &bytes(&tokens[1..])),
        [] => panic!("an empty command"),
    }
}

fn connect(world: &mut World, name: &str, how: &[&str]) {
    match *how {
        [] => world.connect(name, HOME, false, Protocols::ALL),
        ["exempt"] => world.connect(name, HOME, true, Protocols::ALL),
        ["from", address] => world.connect(name, address.parse().unwrap(), false, Protocols::ALL),
        ["where", list] => {
            let protocols = Protocols::named(list.split(',')).unwrap();
            world.connect(name, HOME, false, protocols);
        }
        _ => panic!("no such way to connect: {how:?}"),
    }
}

fn asks(world: &mut World, name: &str, json: &str) {
    // `"x"*5` stands for a long text in JSON too.
    let mut line = json.to_owned();
    while let Some(at) = line.find("\"*") {
        let begin = line[..at].rfind('"').unwrap() + 1;
        let digits = line[at + 2..].chars().take_while(char::is_ascii_digit).count();
        let times: usize = line[at + 2..at + 2 + digits].parse().unwrap();
        let long = line[begin..at].repeat(times);
        line.replace_range(begin..at + 2 + digits, &format!("{long}\""));
    }
    world.asks(name, &line);
}

fn crowd(world: &mut World, name: &str, count: u32, room: &str) {
    for number in 1..=count {
        let name = format!("{name}{number}");
        world.connect(&name, HOME, true, Protocols::ALL);
        world.mute(&name);
        world.asks(&name, &format!(r#"{{"request":"hello","id":"1","nick":"{name}"}}"#));
        world.asks(&name, &format!(r#"{{"request":"join","id":"2","room":"{room}"}}"#));
    }
}

fn rights(word: &str) -> Rights {
    match word {
        "admin" => Rights::ADMIN,
        "send" => Rights::SEND,
        "watch" => Rights::WATCH,
        "nothing" => Rights::NONE,
        _ => panic!("no such rights: {word}"),
    }
}

/// What one of the sending commands sends.
fn bytes(command: &[Token]) -> Vec<u8> {
    use Token::{Bytes, Word};
    match command {
        [Word(what), Bytes(text)] if what == "chat" => native::chat(text),
        [Word(what), strings @ ..] if what == "says" => strings.iter().flat_map(bytes_of).collect(),
        [Word(what)] if what == "keepalive" => native::frame(2, &[]),
        [Word(what), Word(request), Bytes(nick)] if what == "nick" => {
            native::set_nickname([u8::from_str_radix(request, 16).unwrap(); 16], nick)
        }
        [Word(what), Word(kind), Bytes(payload)] if what == "frame" => {
            native::frame(kind.parse().unwrap(), payload)
        }
        other => panic!("no such command: {other:?}"),
    }
}

fn reload(world: &mut World, words: &[&str], tokens: &[Token]) {
    match *words {
        ["reload"] => world.reload(),
        ["reloaded", key, value] => {
            let mut settings = world.hub().settings().clone();
            set(&mut settings, key, value);
            world.reloaded(Ok(settings));
        }
        ["reload", "fails", _] => {
            world.reloaded(Err(String::from_utf8(bytes_of(&tokens[2])).unwrap()));
        }
        _ => panic!("no such command: {words:?}"),
    }
}

fn bytes_of(token: &Token) -> Vec<u8> {
    match token {
        Token::Bytes(bytes) => bytes.clone(),
        Token::Word(word) => word.clone().into_bytes(),
    }
}

fn memory(world: &mut World) {
    let memory = world.hub().memory();
    world.note(format!(
        "blocks {} ({} bytes), runs {}, private bytes {}, kept bytes {}",
        memory.blocks, memory.blocks_bytes, memory.runs, memory.private_bytes, memory.kept_bytes
    ));
}

fn span(text: &str) -> Span {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().unwrap();
    match &text[digits.len()..] {
        "ms" => Span::from_millis(number),
        "s" => Span::from_secs(number),
        "m" => Span::from_secs(number * 60),
        unit => panic!("no such unit: {unit}"),
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').filter(|word| *word != "off").map(str::to_owned).collect()
}

fn set(settings: &mut Settings, key: &str, value: &str) {
    let off = value == "off";
    let time = || (!off).then(|| span(value));
    let number = || (!off).then(|| value.parse().unwrap());
    let small = || number().map(|value| u32::try_from(value).unwrap());
    let quota = || {
        let (count, unit) = value.split_once('/')?;
        let span = if unit == "min" { Span::from_secs(60) } else { Span::from_secs(1) };
        Some(Quota { count: count.parse().unwrap(), span })
    };
    match key {
        "clients_per_ip" => settings.clients_per_ip = small(),
        "accept_rate" => settings.accept_rate = quota(),
        "accept_burst" => settings.accept_burst = value.parse().unwrap(),
        "nick_changes" => settings.nick_changes = quota(),
        "fanout" => settings.fanout_per_s = small(),
        "fanout_burst" => settings.fanout_burst = value.parse().unwrap(),
        "connections" => settings.connections = number(),
        "outbox" => settings.outbox = number(),
        "store" => settings.store = number(),
        "recent" => settings.recent = number(),
        "rooms" => settings.rooms = number(),
        "room" => {
            // One that always exists, and what it is about.
            let (name, topic) = value.split_once(':').unwrap_or((value, ""));
            let topic = Some(topic).filter(|topic| !topic.is_empty()).map(Into::into);
            let name = RoomName::parse(name).unwrap();
            settings.lasting_rooms.insert(name, LastingRoom { topic });
        }
        "rooms_joined" => settings.rooms_joined = number(),
        "rooms_made" => settings.rooms_made = number(),
        "message" => settings.wire.message = number().unwrap(),
        "messages" => settings.messages_per_s = small(),
        "message_burst" => settings.message_burst = value.parse().unwrap(),
        "bytes" => settings.bytes_per_s = small(),
        "byte_burst" => settings.byte_burst = value.parse().unwrap(),
        "detect" => settings.detect = time(),
        "frame_timeout" => settings.frame_timeout = time(),
        "idle" => settings.idle = time(),
        "keepalive" => settings.keepalive = time(),
        "stall" => settings.stall = time(),
        "wait_timeout" => settings.wait_timeout = time(),
        "turn_timeout" => settings.turn_timeout = time(),
        "hosts" => settings.web.hosts = words(value),
        "origins" => settings.web.origins = words(value),
        "base_path" => value.clone_into(&mut settings.web.base_path),
        "ws_echo" => settings.web.echo = Some(value.to_owned()),
        "trusted_proxies" => settings.web.trusted_proxies = vec![value.parse().unwrap()],
        "charset" if value == "ascii" => settings.wire.charset = proto::Charset::Ascii,
        "charset" if value == "unicode" => settings.wire.charset = proto::Charset::Unicode,
        "admin_groups" => settings.groups.admin = words(value),
        "send_groups" => settings.groups.send = words(value),
        "watch_groups" => settings.groups.watch = words(value),
        "anonymous" if value == "guest" => settings.anonymous = Anonymous::Guest,
        "anonymous" if value == "endpoint" => settings.anonymous = Anonymous::Endpoint,
        _ => panic!("no such setting: {key} {value}"),
    }
}
