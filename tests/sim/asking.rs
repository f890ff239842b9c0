//! What v1 clients ask by their dice, whatever frames carry it, and what they remember until the one
//! answer to each comes. The answers are read in `answers`.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::catching::Catching;
use crate::clients::{Client, Sort};
use crate::direct::Receipts;
use crate::following::Marks;
use crate::native::{content, frame, nickname};
use crate::net::Net;
use crate::oracle::{LOBBY, Oracle, Post};
use crate::pairing;
use crate::socket;
use crate::talking;

/// The type of a v1 frame.
pub const V1_TYPE: u32 = 16;

/// Rooms that v1 clients and those over HTTP speak in.
pub const ROOMS: [&str; 6] = [LOBBY, LOBBY, "ops", "dev", "a.b-c", "x"];

/// The alphabet of base64.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Words that are answered with an error, and whether the answer can carry an id.
const BAD_WORDS: [(&[u8], Option<&str>); 7] = [
    (b"not json", None),
    (b"[1,2]", None),
    (b"{\"request\":\"ping", None),
    (b"\xff\xfe{}", None),
    (b"{\"request\":\"frobnicate\",\"id\":\"ID\"}", Some("ID")),
    (b"{\"request\":\"join\",\"id\":\"ID\"}", Some("ID")),
    (b"{\"request\":\"history\",\"id\":\"ID\",\"room\":\"not a room!\"}", Some("ID")),
];

/// What was asked under an id.
#[derive(Clone, Debug)]
pub enum Asked {
    /// The wish for a name that it carries, and what the lobby had released when it was sent.
    Hello(usize, usize),
    /// Which of the client's wishes.
    Nick(usize),
    Join(String),
    Leave(String),
    /// Which of the client's posts, and whether it repeats an earlier one.
    Post(usize, bool),
    /// Other content under the id of this post.
    Conflict(usize, usize),
    /// The rooms, and how far all rooms were when it was asked.
    Tail(Vec<String>, Marks),
    History,
    /// Which of the client's posts, for one nickname.
    Direct(usize),
    /// Whose post, and which.
    Receipt((usize, usize)),
    /// Something of a talk.
    Talk(pairing::Ask),
    /// What only administrators may.
    Admin,
    /// Which of all kicks and bans.
    Expel(usize),
    /// Which of all that let a name in again.
    Lift(usize),
    Other,
    Bad,
}

/// Past messages under the id of a request.
#[derive(Default)]
pub struct Page {
    pub last: Marks,
    pub count: u64,
}

/// How far a native client has come on its way to v1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Greeting {
    /// It has not said `hello`, or was refused.
    #[default]
    None,
    /// It has, and has no answer.
    Said,
    /// It speaks v1.
    Done,
}

/// What a v1 client remembers.
#[derive(Default)]
pub struct Memory {
    pub asked: BTreeMap<String, Vec<Asked>>,
    /// How often an id was said to be another message's, while other answers under it are still to come.
    pub conflicts: BTreeMap<String, usize>,
    /// What was sent whose answer can carry no id.
    pub faceless: u64,
    /// Past messages that answer a request, not yet followed by its reply: the last of each room.
    pub pages: BTreeMap<String, Page>,
    last_post: Option<usize>,
    pub last_direct: Option<usize>,
    /// Messages whose authors want a receipt: their ids and whose posts they are.
    pub owes: VecDeque<(String, (usize, usize))>,
    pub admin: bool,
    /// Its side of a talk.
    pub side: pairing::Side,
    /// Of a native connection.
    pub greeting: Greeting,
    /// It was told `bye`: nothing comes after that.
    pub bye: bool,
}

impl Memory {
    /// How many of its requests that are not answered are of some kind.
    pub fn asks(&self, kind: impl Fn(&Asked) -> bool) -> usize {
        self.asked.values().flatten().filter(|asked| kind(asked)).count()
    }
}

/// Does one thing.
pub fn act(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let mut bytes = Vec::new();
    let several =
        if client.rng.chance(100) { client.rng.scale(2, client.temper.burst.max(2)) } else { 1 };
    for _ in 0..several {
        let at = client.sent + bytes.len() as u64;
        let one = one(client, oracle, at);
        client.framed(at, &one);
        bytes.extend(one);
    }
    if client.rng.chance(client.temper.bad) && client.rng.chance(60) {
        client.bad_from = Some(client.sent);
        // More than a line or a v1 frame may have.
        let long = wrapped(client, &vec![b'x'; 6 * net.plan.message_max + 4_096 + 10]);
        client.send_frame(net, &long);
        return;
    }
    let half = client.rng.chance(client.temper.half);
    client.send_maybe_half(net, &bytes, half);
}

/// Some request, framed.
pub fn one(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let room = client.rng.pick(&ROOMS).to_owned();
    if client.rng.chance(600)
        && let Some(receipt) = talking::receipt(client, oracle)
    {
        return receipt;
    }
    if client.temper.talks > 0
        && client.rng.chance(client.temper.talks)
        && pairing::may_talk(client)
    {
        return pairing::one(client, oracle);
    }
    let is_admin = client.asking.admin && client.sort == Sort::Control;
    if client.rng.chance(client.temper.kicks / if is_admin { 1 } else { 16 }) {
        return talking::administer(client, oracle);
    }
    match client.rng.below(100) {
        0..38 => post(client, oracle, &room, at),
        38..46 => talking::direct(client, oracle, at),
        46..55 => join(client, oracle, room),
        55..60 => ask(client, json!({"request": "leave", "room": room}), Asked::Leave(room)),
        60..69 => tail(client, oracle, room),
        69..76 => history(client, &room),
        76..78 => ask(client, json!({"request": "members", "room": room}), Asked::Other),
        78..80 => ask(client, json!({"request": "rooms", "extra": [1, {"a": null}]}), Asked::Other),
        80..84 => ask(client, json!({"request": "ping"}), Asked::Other),
        84..86 => ask(client, json!({"request": "stats"}), Asked::Other),
        86..89 => nick(client, oracle, at),
        89..94 => talking::people(client, oracle, &room),
        _ => bad_words(client),
    }
}

/// Frames the JSON of a request as this client does.
fn wrapped(client: &mut Client, json: &[u8]) -> Vec<u8> {
    if client.sort == Sort::Socket { socket::wrap(client, json) } else { wrap(client.sort, json) }
}

/// The same for those whose frames need no dice.
pub fn wrap(sort: Sort, json: &[u8]) -> Vec<u8> {
    if sort == Sort::V1 {
        return frame(V1_TYPE, json);
    }
    [json, b"\n"].concat()
}

fn next_id(client: &mut Client) -> String {
    client.count += 1;
    format!("r{}", client.count)
}

/// A request with an id of its own.
pub fn ask(client: &mut Client, mut request: Value, asked: Asked) -> Vec<u8> {
    let id = next_id(client);
    request["id"] = json!(id);
    ask_under(client, &id, &request, asked)
}

/// A request with the id that is in it.
pub fn ask_under(client: &mut Client, id: &str, request: &Value, asked: Asked) -> Vec<u8> {
    client.asking.asked.entry(id.to_owned()).or_default().push(asked);
    to_bytes(client, request)
}

fn to_bytes(client: &mut Client, request: &Value) -> Vec<u8> {
    wrapped(client, &serde_json::to_vec(request).expect("plain values"))
}

fn bad_words(client: &mut Client) -> Vec<u8> {
    let (mut words, id) = client.rng.pick(&BAD_WORDS);
    if id.is_none() {
        client.asking.faceless += 1;
        if client.sort == Sort::Socket && std::str::from_utf8(words).is_err() {
            // A text message that is no text ends a WebSocket.
            words = BAD_WORDS[0].0;
        }
        return wrapped(client, words);
    }
    let id = next_id(client);
    let words = String::from_utf8_lossy(words).replace("ID", &id);
    client.asking.asked.entry(id).or_default().push(Asked::Bad);
    wrapped(client, words.as_bytes())
}

/// Says `hello`, perhaps with a nickname, perhaps with the wrong version.
pub fn hello(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let mut request = json!({"request": "hello", "agent": "sim"});
    if client.rng.chance(500) {
        request["version"] = json!(if client.rng.chance(100) { 2 } else { 1 });
    }
    let mut nick = String::new();
    if client.rng.chance(600) {
        nick = nickname(client);
        request["nick"] = json!(nick);
    }
    let lobby = oracle.released(LOBBY).len();
    let wish = oracle.voices[client.no].wishes.len();
    let bytes = ask(client, request, Asked::Hello(wish, lobby));
    oracle.wish(client.no, None, nick, at + bytes.len() as u64);
    bytes
}

fn nick(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let nick = nickname(client);
    let wish = oracle.voices[client.no].wishes.len();
    let bytes = ask(client, json!({"request": "nick", "nick": nick}), Asked::Nick(wish));
    oracle.wish(client.no, None, nick, at + bytes.len() as u64);
    bytes
}

fn join(client: &mut Client, oracle: &mut Oracle, room: String) -> Vec<u8> {
    let mut request = json!({"request": "join", "room": room});
    if client.rng.chance(400) {
        let after = oracle.place(client.no, &room, client.rng.below(1 << 20));
        request["after"] = json!(after);
        catch_up(client, oracle, Catching::of(std::slice::from_ref(&room), Some(after), false));
    }
    ask(client, request, Asked::Join(room))
}

fn tail(client: &mut Client, oracle: &mut Oracle, room: String) -> Vec<u8> {
    let rooms = match client.rng.below(10) {
        0..2 => Vec::new(),
        2 => vec![room, LOBBY.into()],
        _ => vec![room],
    };
    let mut request = json!({"request": "tail", "rooms": rooms});
    let mut after = None;
    match client.rng.below(8) {
        0..3 => request["last"] = json!(client.rng.below(20)),
        3..5 => {
            let room = rooms.first().map_or(LOBBY, String::as_str);
            after = Some(oracle.place(client.no, room, client.rng.below(1 << 20)));
            request["after"] = json!(after);
        }
        5 => request["since"] = json!("2026-01-01T00:00:00Z"),
        _ => {}
    }
    if request.as_object().is_some_and(|request| request.len() > 2) {
        catch_up(client, oracle, Catching::of(&rooms, after, true));
    }
    ask(client, request, Asked::Tail(rooms, oracle.marks()))
}

/// The next request asks for a replay.
fn catch_up(client: &Client, oracle: &mut Oracle, catching: Catching) {
    let catching = catching.asked(format!("r{}", client.count + 1), oracle.marks());
    oracle.ears[client.no].catching.push(catching);
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

/// A message's id as v1 writes it.
pub fn uuid_text(id: &[u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(*id));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn post(client: &mut Client, oracle: &mut Oracle, room: &str, at: u64) -> Vec<u8> {
    let again = client.asking.last_post.filter(|_| client.rng.chance(client.temper.repeats));
    if let Some(first) = again {
        let first_post = &oracle.voices[client.no].posts[first];
        let id = first_post.id.expect("a v1 post has an id");
        if client.rng.chance(600) {
            let first_post = &mut oracle.voices[client.no].posts[first];
            first_post.resent = true;
            let asked = Asked::Post(first, true);
            return post_bytes(client, first_post, asked);
        }
        let index = oracle.voices[client.no].posts.len();
        let other = content(client, oracle);
        return post_new(client, oracle, (room, at), id, other, Asked::Conflict(index, first));
    }
    let id = new_id(client);
    let index = oracle.voices[client.no].posts.len();
    client.asking.last_post = Some(index);
    let text = content(client, oracle);
    post_new(client, oracle, (room, at), id, text, Asked::Post(index, false))
}

/// A random UUID.
pub fn new_id(client: &mut Client) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&client.rng.next().to_be_bytes());
    id[8..].copy_from_slice(&client.rng.next().to_be_bytes());
    // Version and variant.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
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
    let receipts = Receipts { wanted: client.rng.chance(200), ..Receipts::default() };
    let mut post = Post { room, content, id: Some(id), as_nick, receipts, ..Post::default() };
    let bytes = post_bytes(client, &post, asked);
    post.end = at + bytes.len() as u64;
    oracle.voices[client.no].posts.push(post);
    bytes
}

/// A post's request: the first time or again.
pub fn post_bytes(client: &mut Client, post: &Post, asked: Asked) -> Vec<u8> {
    let id = uuid_text(&post.id.expect("a v1 post has an id"));
    let mut request = json!({"request": "post", "id": id});
    match &post.direct {
        Some(direct) => request["to"] = json!(direct.to),
        None => request["room"] = json!(post.room),
    }
    if post.receipts.wanted {
        request["receipt"] = json!(true);
    }
    match std::str::from_utf8(&post.content) {
        Ok(text) => request["text"] = json!(text),
        Err(_) => request["data"] = json!(base64(&post.content)),
    }
    if let Some(nick) = &post.as_nick {
        request["nick"] = json!(nick);
    }
    client.asking.asked.entry(id).or_default().push(asked);
    to_bytes(client, &request)
}

/// The bytes of `base64`'s text.
pub fn from_base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let sextet =
            |byte: &u8| ALPHABET.iter().position(|known| known == byte).unwrap_or(0) as u32;
        let word = group.iter().fold(0, |word, byte| word << 6 | sextet(byte));
        let length = String::from_utf8_lossy(group).trim_end_matches('=').len().saturating_sub(1);
        out.extend(&word.to_be_bytes()[1..=length]);
    }
    out
}

/// Base64 as RFC 4648 section 4 has it, written here so that the daemon's is checked by another.
pub fn base64(bytes: &[u8]) -> String {
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
