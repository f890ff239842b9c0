//! A client of the control socket: asks by its dice, holds what it asked until the one answer comes,
//! and hands every event to the oracle. It has its own reader of the lines.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clients::Client;
use crate::following::Marks;
use crate::native::content;
use crate::net::{Net, Stage};
use crate::oracle::{Fate, LOBBY, Oracle, Post};
use crate::trace::Kind;

/// Rooms that control clients speak in.
const ROOMS: [&str; 6] = [LOBBY, LOBBY, "ops", "dev", "a.b-c", "x"];

/// Lines that are answered with an error, and whether the answer can carry an id.
const BAD_LINES: [(&[u8], Option<&str>); 7] = [
    (b"not json\n", None),
    (b"[1,2]\n", None),
    (b"{\"request\":\"ping\n", None),
    (b"\xff\xfe{}\n", None),
    (b"{\"request\":\"frobnicate\",\"id\":\"ID\"}\n", Some("ID")),
    (b"{\"request\":\"join\",\"id\":\"ID\"}\n", Some("ID")),
    (b"{\"request\":\"history\",\"id\":\"ID\",\"room\":\"not a room!\"}\n", Some("ID")),
];

/// What was asked under an id.
#[derive(Clone, Debug)]
pub enum Asked {
    Join(String),
    Leave(String),
    /// Which of the client's posts, and whether it repeats an earlier one.
    Post(usize, bool),
    /// Other content under the id of this post.
    Conflict(usize, usize),
    /// The rooms, and how far all rooms were when it was asked.
    Tail(Vec<String>, Marks),
    History,
    Other,
    Bad,
}

/// Past messages under the id of a request.
#[derive(Default)]
struct Page {
    last: Marks,
    count: u64,
}

/// What a control client remembers.
#[derive(Default)]
pub struct Memory {
    pub asked: BTreeMap<String, Vec<Asked>>,
    /// Lines sent whose answer can carry no id.
    pub faceless: u64,
    /// Past messages that answer a request, not yet followed by its reply: the last of each room.
    pages: BTreeMap<String, Page>,
    last_post: Option<usize>,
    pub admin: bool,
}

/// Does one thing.
pub fn act(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let mut bytes = Vec::new();
    let several =
        if client.rng.chance(100) { client.rng.scale(2, client.temper.burst.max(2)) } else { 1 };
    for _ in 0..several {
        let at = client.sent + bytes.len() as u64;
        let one = line(client, oracle, at);
        client.framed(at, &one);
        bytes.extend(one);
    }
    if client.rng.chance(client.temper.bad) && client.rng.chance(60) {
        // A line that does not end within the limit of a line.
        client.bad_from = Some(client.sent);
        let long = 6 * net.plan.message_max + 4_096 + 10;
        client.send_frame(net, &vec![b'x'; long]);
        return;
    }
    let half = client.rng.chance(client.temper.half);
    client.send_maybe_half(net, &bytes, half);
}

fn line(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let room = client.rng.pick(&ROOMS).to_owned();
    match client.rng.below(100) {
        0..45 => post(client, oracle, &room, at),
        45..55 => ask(client, json!({"request": "join", "room": room}), Asked::Join(room)),
        55..60 => ask(client, json!({"request": "leave", "room": room}), Asked::Leave(room)),
        60..70 => tail(client, oracle, room),
        70..78 => history(client, &room),
        78..81 => ask(client, json!({"request": "members", "room": room}), Asked::Other),
        81..84 => ask(client, json!({"request": "rooms", "extra": [1, {"a": null}]}), Asked::Other),
        84..90 => ask(client, json!({"request": "ping"}), Asked::Other),
        90..92 => ask(client, json!({"request": "stats"}), Asked::Other),
        _ => bad_line(client),
    }
}

fn next_id(client: &mut Client) -> String {
    client.count += 1;
    format!("r{}", client.count)
}

fn ask(client: &mut Client, mut request: Value, asked: Asked) -> Vec<u8> {
    let id = next_id(client);
    request["id"] = json!(id);
    client.control.asked.entry(id).or_default().push(asked);
    to_line(&request)
}

fn to_line(request: &Value) -> Vec<u8> {
    let mut line = serde_json::to_vec(request).expect("plain values");
    line.push(b'\n');
    line
}

fn bad_line(client: &mut Client) -> Vec<u8> {
    let (words, id) = client.rng.pick(&BAD_LINES);
    if id.is_none() {
        client.control.faceless += 1;
        return words.to_vec();
    }
    let id = next_id(client);
    let line = String::from_utf8_lossy(words).replace("ID", &id);
    client.control.asked.entry(id).or_default().push(Asked::Bad);
    line.into_bytes()
}

fn tail(client: &mut Client, oracle: &Oracle, room: String) -> Vec<u8> {
    let rooms = if client.rng.chance(200) { Vec::new() } else { vec![room] };
    let mut request = json!({"request": "tail", "rooms": rooms});
    if client.rng.chance(500) {
        request["last"] = json!(client.rng.below(20));
    }
    ask(client, request, Asked::Tail(rooms, oracle.marks()))
}

fn history(client: &mut Client, room: &str) -> Vec<u8> {
    let mut request = json!({"request": "history", "room": room});
    match client.rng.below(4) {
        0 => request["limit"] = json!(client.rng.below(30)),
        1 => request["after"] = json!(client.rng.below(50)),
        2 => request["before"] = json!(client.rng.below(50)),
        _ => {}
    }
    ask(client, request, Asked::History)
}

fn uuid_text(id: &[u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(*id));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn post(client: &mut Client, oracle: &mut Oracle, room: &str, at: u64) -> Vec<u8> {
    let again = client.control.last_post.filter(|_| client.rng.chance(client.temper.repeats));
    if let Some(first) = again {
        let first_post = &oracle.voices[client.no].posts[first];
        let id = first_post.id.expect("a control post has an id");
        if client.rng.chance(600) {
            let first_post = &mut oracle.voices[client.no].posts[first];
            first_post.resent = true;
            let asked = Asked::Post(first, true);
            return post_line(client, first_post, asked);
        }
        let index = oracle.voices[client.no].posts.len();
        let other = content(client, oracle);
        return post_new(client, oracle, (room, at), id, other, Asked::Conflict(index, first));
    }
    let mut id = [0; 16];
    id[..8].copy_from_slice(&client.rng.next().to_be_bytes());
    id[8..].copy_from_slice(&client.rng.next().to_be_bytes());
    // Version and variant of a random UUID.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    let index = oracle.voices[client.no].posts.len();
    client.control.last_post = Some(index);
    let text = content(client, oracle);
    post_new(client, oracle, (room, at), id, text, Asked::Post(index, false))
}

fn post_new(
    client: &mut Client,
    oracle: &mut Oracle,
    (room, at): (&str, u64),
    id: [u8; 16],
    content: Vec<u8>,
    asked: Asked,
) -> Vec<u8> {
    let as_nick = client.rng.chance(100).then(|| format!("as-{}", client.no));
    let room = room.to_owned();
    let mut post = Post { room, content, id: Some(id), as_nick, ..Post::default() };
    let line = post_line(client, &post, asked);
    post.end = at + line.len() as u64;
    oracle.voices[client.no].posts.push(post);
    line
}

fn post_line(client: &mut Client, post: &Post, asked: Asked) -> Vec<u8> {
    let id = uuid_text(&post.id.expect("a control post has an id"));
    let mut request = json!({"request": "post", "id": id, "room": post.room});
    match std::str::from_utf8(&post.content) {
        Ok(text) => request["text"] = json!(text),
        Err(_) => request["data"] = json!(base64(&post.content)),
    }
    if let Some(nick) = &post.as_nick {
        request["nick"] = json!(nick);
    }
    client.control.asked.entry(id).or_default().push(asked);
    to_line(&request)
}

/// Base64 as RFC 4648 section 4 has it, written here so that the daemon's is checked by another.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = word >> (18 - 6 * place) & 63;
            out.push(if place <= group.len() { ALPHABET[sextet as usize].into() } else { '=' });
        }
    }
    out
}

/// Reads every whole line that has come.
pub fn hear(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let bytes = std::mem::take(&mut client.heard);
    let mut rest = &bytes[..];
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        let value: Value = serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("#{} got a line that is no JSON: {error}", client.no));
        if value.get("event").is_some() {
            event(client, &value, net, oracle);
        } else {
            reply(client, &value, net, oracle);
        }
    }
    client.heard = rest.to_vec();
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

fn event(client: &mut Client, value: &Value, net: &mut Net, oracle: &mut Oracle) {
    let no = client.no;
    match text(value, "event") {
        "message" => {
            let (room, seq) = (text(value, "room"), number(value, "seq"));
            net.note_text(Kind::Got, no, &format!("{room} {seq}"));
            check_message(value, oracle);
            if let Some(id) = value.get("history") {
                let id = id.as_str().expect("the id of a request");
                assert!(
                    client.control.asked.contains_key(id),
                    "#{no} got history that it did not ask"
                );
                let page = client.control.pages.entry(id.to_owned()).or_default();
                page.count += 1;
                let last = page.last.insert(room.to_owned(), seq).unwrap_or(0);
                oracle.past_message(no, room, seq, last);
            } else {
                oracle.room_message(no, room, seq);
            }
        }
        "gap" => {
            let (from, to) = (number(value, "from_seq"), number(value, "to_seq"));
            let room = text(value, "room");
            net.note_text(Kind::Gap, no, &format!("{room} {from} {to}"));
            oracle.gap(no, room, from, to);
        }
        "joined" | "left" | "renamed" => {
            assert!(!text(value, "nick").is_empty(), "someone came or went: {value}");
            oracle.room_news(no, text(value, "room"));
        }
        "bye" | "notice" => {}
        other => panic!("#{no} got an unknown event {other}"),
    }
}

/// A message carries what its author said, whoever reads it, live or later.
fn check_message(value: &Value, oracle: &Oracle) {
    let (room, seq) = (text(value, "room"), number(value, "seq"));
    let log = oracle.rooms.get(room).unwrap_or_else(|| panic!("nobody spoke in {room}"));
    let known = log.by_seq.get(&seq).unwrap_or_else(|| panic!("{room} has no seq {seq}"));
    let message = &oracle.messages[*known];
    assert_eq!(text(value, "from"), message.from, "seq {seq} of {room}");
    assert_eq!(text(value, "message_id"), uuid_text(&message.id), "seq {seq} of {room}");
    match std::str::from_utf8(&message.content) {
        Ok(content) => assert_eq!(text(value, "text"), content, "seq {seq} of {room}"),
        Err(_) => assert_eq!(text(value, "data"), base64(&message.content), "seq {seq} of {room}"),
    }
}

/// Posts under one id are answered when the store has answered, or at once: which of them is this?
fn which_is_answered(no: usize, asked: &[Asked], value: &Value, oracle: &Oracle) -> usize {
    let fate = |post: usize| {
        let number = oracle.voices[no].posts[post].message?;
        Some((oracle.messages[number].seq, oracle.messages[number].fate))
    };
    let fits = |one: &Asked| {
        let (Asked::Post(post, _) | Asked::Conflict(post, _)) = one else { return true };
        match (value["error"].as_str(), fate(*post)) {
            (None, Some((seq, Fate::Stored))) => value["seq"].as_u64() == Some(seq),
            (Some("store_unavailable"), fate) => matches!(fate, Some((_, Fate::Refused))),
            (Some(_), fate) => fate.is_none(),
            (None, _) => false,
        }
    };
    asked.iter().position(fits).unwrap_or(0)
}

fn reply(client: &mut Client, value: &Value, net: &mut Net, oracle: &mut Oracle) {
    let no = client.no;
    let ok =
        value["ok"].as_bool().unwrap_or_else(|| panic!("#{no} got a reply without ok: {value}"));
    let code = if ok { "" } else { text(value, "error") };
    let id = value.get("reply").and_then(Value::as_str);
    net.note_text(Kind::Replied, no, &format!("{} {code} {}", id.unwrap_or("-"), value["seq"]));
    let Some(id) = id else {
        assert!(!ok, "an answer without an id is an error: {value}");
        // A connection that is refused, or ended for its line, is told so without having asked.
        if client.bad_from.is_none() && net.links[no].stage != Stage::Closed {
            assert!(client.control.faceless > 0, "#{no} got an answer to nothing: {value}");
            client.control.faceless -= 1;
        }
        return;
    };
    let asked = client.control.asked.get_mut(id);
    let asked = asked.unwrap_or_else(|| panic!("#{no} got a reply to {id}, which it did not ask"));
    let which = which_is_answered(no, asked, value, oracle);
    let first = asked.remove(which);
    if asked.is_empty() {
        client.control.asked.remove(id);
    }
    let page = client.control.pages.remove(id).unwrap_or_default();
    match first {
        Asked::Bad => assert!(!ok, "#{no}: {id} was not to succeed: {value}"),
        Asked::Join(room) if ok => oracle.joined(no, &room, number(value, "seq")),
        Asked::Leave(room) if ok => oracle.left(no, &room),
        Asked::Tail(rooms, marks) if ok => oracle.tailing(no, &rooms, &marks, &page.last),
        Asked::History if ok => {
            assert_eq!(
                number(value, "count"),
                page.count,
                "#{no}: a page is as long as its reply says"
            );
        }
        Asked::Other | Asked::Join(_) | Asked::Leave(_) | Asked::Tail(..) | Asked::History => {}
        Asked::Post(post, repeated) => {
            let seq = ok.then(|| number(value, "seq"));
            oracle.post_answered(no, post, repeated, seq, code);
        }
        Asked::Conflict(post, before) => {
            let seq = ok.then(|| number(value, "seq"));
            oracle.conflict_answered(no, post, before, seq, code);
        }
    }
}
