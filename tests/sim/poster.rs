//! A client that posts and asks over HTTP: one request after the other or several in line, over a connection that is kept or not. What
//! has no answer it says again over the next connection under the same key. Answers come in the order of the requests.

use serde_json::Value;

use crate::answers::check_message;
use crate::asking::{ROOMS, new_id, uuid_text};
use crate::clients::Client;
use crate::native::content;
use crate::net::Net;
use crate::oracle::{Fate, LOBBY, Oracle, Post};
use crate::trace::Kind;
use crate::web::{Answer, give_up, take_answer};

/// What waits for its answer at once at most.
const IN_LINE_MAX: usize = 8;
/// The beginning of every request's fields.
const HOST: &str = "Host: localhost\r\n";

/// Requests after which the connection ends, since nobody knows where the next would begin.
const BAD_REQUESTS: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: localhost\r\nHost: x\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /api/rooms/lobby/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /api/rooms/lobby/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
    "POST /api/rooms/lobby/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
];

/// Requests that are refused, and how; the connection goes on.
const REFUSED: [(&str, u16); 5] = [
    ("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("DELETE /api/rooms/lobby/messages HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("GET /api/rooms HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 403),
    ("GET /api/rooms HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    ("GET /api/rooms/lobby/messages?limit=x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
];

/// What was asked for.
#[derive(Clone, Debug)]
enum Wanted {
    /// To say something: whose post, which of them, whether it was sent before, and whether it may be sent again.
    Post { who: usize, count: usize, again: bool, has_key: bool },
    /// Past messages of a room.
    Page(String),
    /// What one message carries, and whether it must be there.
    Message(String, u64, bool),
    /// Something about the server.
    Look,
    /// To be refused so.
    Refused(u16),
    /// What cannot be read.
    Bad,
}

/// A request that is not answered.
#[derive(Clone, Debug)]
pub struct Request {
    wanted: Wanted,
    head_only: bool,
}

impl Request {
    /// What it said, where that is safe to be said again.
    pub fn to_be_said_again(&self) -> Option<(usize, usize)> {
        match self.wanted {
            Wanted::Post { who, count, has_key: true, .. } => Some((who, count)),
            _ => None,
        }
    }

    /// Whether its answer may be as long as a queue.
    pub fn is_page(&self) -> bool {
        matches!(self.wanted, Wanted::Page(_) | Wanted::Message(..))
    }
}

/// Does one thing; while all is calm only what is owed.
pub fn act(client: &mut Client, net: &mut Net, oracle: &mut Oracle, calm: bool) {
    if client.web.is_last || client.web.is_lost || client.web.asked.len() >= IN_LINE_MAX {
        return;
    }
    if client.rng.chance(client.temper.bad) && client.rng.chance(100) && !calm {
        let bad = client.rng.pick(&BAD_REQUESTS);
        client.bad_from = Some(client.sent);
        client.web.asked.push_back(Request { wanted: Wanted::Bad, head_only: false });
        client.send_frame(net, bad.as_bytes());
        return;
    }
    let mut bytes = Vec::new();
    let several = if client.rng.chance(250) { client.rng.scale(2, 6) } else { 1 };
    let mut waits = None;
    for _ in 0..several {
        let at = client.sent + bytes.len() as u64;
        let (one, head) = one(client, oracle, at, calm);
        // Who waits to be told to go on has sent the head so far.
        waits = head.map(|head| bytes.len() + head);
        client.framed(at, &one);
        bytes.extend(one);
        if client.web.is_last || waits.is_some() {
            break;
        }
    }
    if several > 1 {
        oracle.reach("web", "in line");
    }
    if client.web.is_last && client.rng.chance(300) {
        bytes.extend(behind_the_last(client, oracle, client.sent + bytes.len() as u64));
    }
    if let Some(head) = waits.filter(|_| !calm) {
        client.rest = bytes.split_off(head);
        client.send(net, &bytes);
        return;
    }
    let half = client.rng.chance(client.temper.half) && !calm;
    client.send_maybe_half(net, &bytes, half);
}

/// Some request, and where its head ends if its body is to be sent later.
fn one(client: &mut Client, oracle: &mut Oracle, at: u64, calm: bool) -> (Vec<u8>, Option<usize>) {
    if let Some((who, count)) = client.web.debts.pop_front() {
        oracle.voices[who].posts[count].resent = true;
        oracle.reach("web", "post again");
        return post_bytes(client, oracle, (who, count), at);
    }
    let room = client.rng.pick(&ROOMS);
    if calm {
        return (get(client, "/healthz", Wanted::Look), None);
    }
    match client.rng.below(100) {
        0..60 => post(client, oracle, room, at),
        60..72 => (page(client, oracle, room), None),
        72..80 => (message(client, oracle, room), None),
        80..90 => {
            let path = client.rng.pick(&["/healthz", "/api/rooms", "/api/stats", "/metrics"]);
            (get(client, path, Wanted::Look), None)
        }
        90..95 => (foreign_post(client, oracle, room), None),
        _ => {
            let (words, status) = client.rng.pick(&REFUSED);
            let wanted = Wanted::Refused(status);
            client.web.asked.push_back(Request { wanted, head_only: false });
            (words.as_bytes().to_vec(), None)
        }
    }
}

/// Whether a request is the connection's last, in the words of its first line and its fields.
fn manner(client: &mut Client) -> (&'static str, &'static str) {
    match client.rng.below(30) {
        0 => {
            client.web.is_last = true;
            ("HTTP/1.1", "Connection: close\r\n")
        }
        1 => {
            client.web.is_last = true;
            ("HTTP/1.0", "")
        }
        _ => ("HTTP/1.1", ""),
    }
}

fn get(client: &mut Client, path: &str, wanted: Wanted) -> Vec<u8> {
    let (version, last) = manner(client);
    let head_only = client.rng.chance(100);
    let method = if head_only { "HEAD" } else { "GET" };
    client.web.asked.push_back(Request { wanted, head_only });
    format!("{method} {path} {version}\r\n{HOST}{last}\r\n").into_bytes()
}

fn page(client: &mut Client, oracle: &Oracle, room: &str) -> Vec<u8> {
    let place = client.rng.below(oracle.last_released(room) + 3);
    let query = match client.rng.below(4) {
        0 => format!("?limit={}", client.rng.below(30)),
        1 => format!("?after={place}"),
        2 => format!("?before={place}&nonsense=1"),
        _ => String::new(),
    };
    get(client, &format!("/api/rooms/{room}/messages{query}"), Wanted::Page(room.into()))
}

fn message(client: &mut Client, oracle: &Oracle, room: &str) -> Vec<u8> {
    let seq = client.rng.below(oracle.last_released(room) + 3);
    let wanted = Wanted::Message(room.into(), seq, oracle.must_be_kept(room, seq));
    get(client, &format!("/api/rooms/{room}/messages/{seq}"), wanted)
}

fn post(client: &mut Client, oracle: &mut Oracle, room: &str, at: u64) -> (Vec<u8>, Option<usize>) {
    let place = new_post(client, oracle, room);
    post_bytes(client, oracle, place, at)
}

/// Something new to say; it has not been sent.
fn new_post(client: &mut Client, oracle: &mut Oracle, room: &str) -> (usize, usize) {
    // A UUID, a word of its own or none: then nobody knows it again.
    let id = client.rng.chance(500).then(|| new_id(client));
    let content = content(client, oracle);
    let posts = &mut oracle.voices[client.no].posts;
    posts.push(Post { room: room.into(), content, id, end: u64::MAX, ..Post::default() });
    (client.no, posts.len() - 1)
}

/// A post's request, the first time or again. Somebody without a UUID has a word, or nothing.
fn post_bytes(
    client: &mut Client,
    oracle: &mut Oracle,
    (who, count): (usize, usize),
    at: u64,
) -> (Vec<u8>, Option<usize>) {
    let post = &oracle.voices[who].posts[count];
    let (room, again, body) = (post.room.clone(), post.resent, post.content.clone());
    let key = match post.id {
        Some(id) if client.rng.chance(500) => format!("X-Message-Id: {}\r\n", uuid_text(&id)),
        Some(id) => format!("Idempotency-Key: \"{}\"\r\n", uuid_text(&id)),
        None if again || client.rng.chance(800) => {
            format!("Idempotency-Key: said {who}.{count}\r\n")
        }
        None => String::new(),
    };
    let has_key = !key.is_empty() && client.temper.again;
    let (version, last) = manner(client);
    let is_new = version == "HTTP/1.1";
    let in_chunks = is_new && client.rng.below(3) == 0;
    let (length, body) = framed_body(client, &body, in_chunks);
    let waits = is_new && client.rng.chance(80);
    let expects = if waits { "Expect: 100-continue\r\n" } else { "" };
    let sort = client.rng.pick(&["", "", "Content-Type: text/plain; charset=utf-8\r\n"]);
    let path = format!("/api/rooms/{room}/messages");
    let head = format!("POST {path} {version}\r\n{HOST}{key}{last}{expects}{sort}{length}\r\n");
    let mut bytes = head.into_bytes();
    let head = waits.then_some(bytes.len());
    bytes.extend(body);
    let end = at + bytes.len() as u64;
    let post = &mut oracle.voices[who].posts[count];
    if who == client.no && !again {
        post.end = end;
    } else {
        post.again.push((client.no, end));
    }
    let wanted = Wanted::Post { who, count, again, has_key };
    client.web.asked.push_back(Request { wanted, head_only: false });
    (bytes, head)
}

/// A body as it is sent, and the field that says how long it is.
fn framed_body(client: &mut Client, body: &[u8], in_chunks: bool) -> (String, Vec<u8>) {
    if !in_chunks {
        return (format!("Content-Length: {}\r\n", body.len()), body.to_vec());
    }
    let (mut bytes, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(client.rng.size(1, rest.len()));
        rest = after;
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend([chunk, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    ("Transfer-Encoding: chunked\r\n".into(), bytes)
}

/// A post from a foreign page: it is refused when its body is over, and never said.
fn foreign_post(client: &mut Client, oracle: &mut Oracle, room: &str) -> Vec<u8> {
    let (_, count) = new_post(client, oracle, room);
    let body = oracle.voices[client.no].posts[count].content.clone();
    let in_chunks = client.rng.chance(500);
    let (length, body) = framed_body(client, &body, in_chunks);
    let origin = "Origin: https://evil.example\r\n";
    let head = format!("POST /api/rooms/{room}/messages HTTP/1.1\r\n{HOST}{origin}{length}\r\n");
    client.web.asked.push_back(Request { wanted: Wanted::Refused(403), head_only: false });
    [head.as_bytes(), &body].concat()
}

/// A post behind the request that said that it is the last: nobody reads it. It may be said over another connection.
fn behind_the_last(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let (who, count) = new_post(client, oracle, LOBBY);
    let waiting = client.web.asked.len();
    let (bytes, _) = post_bytes(client, oracle, (who, count), at);
    client.framed(at, &bytes);
    oracle.voices[who].posts[count].end = u64::MAX;
    let unread = client.web.asked.split_off(waiting);
    client.web.debts.extend(unread.iter().filter_map(Request::to_be_said_again));
    bytes
}

/// Reads every whole answer that has come.
pub fn hear(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    loop {
        let head_only = client.web.asked.front().is_some_and(|request| request.head_only);
        let Some(answer) = take_answer(client, head_only) else { break };
        if answer.status == 100 {
            oracle.reach("web", "continue");
            continue;
        }
        let no = client.no;
        let request = client.web.asked.pop_front();
        let request = request.unwrap_or_else(|| panic!("#{no} asked for nothing: {answer:?}"));
        net.note(Kind::Replied, no, u64::from(answer.status), answer.body.len() as u64);
        answered(client, request, &answer, oracle);
        if answer.closes() {
            // Where the request was not read to its end nobody knew that it wanted no body.
            client.heard.clear();
            give_up(client);
            oracle.voices[no].leaving = true;
        }
    }
    if client.web.asked.is_empty() && !client.web.is_lost {
        assert!(client.heard.is_empty(), "#{} got more than it asked for", client.no);
    }
}

/// An answer to the request that has its turn.
fn answered(client: &mut Client, request: Request, answer: &Answer, oracle: &mut Oracle) {
    let no = client.no;
    assert!(answer.field("date").is_some(), "#{no}: every answer has its time");
    // The daemon may end, an administrator may close it, the request may be late, and there may be too many of them.
    let is_off = matches!(answer.status, 403 | 408 | 429 | 503);
    match request.wanted {
        Wanted::Post { who, count, again, has_key } => {
            let body = answer.json();
            let code = word(no, answer, &body);
            let seq = (answer.status == 200).then(|| body["seq"].as_u64().expect("a place"));
            let post = &oracle.voices[who].posts[count];
            assert!(seq.is_none() || body["room"] == *post.room, "#{no}: another room: {body}");
            assert!(seq.is_some() || is_off, "#{no}: a post is answered {}", answer.status);
            oracle.post_answered(who, count, again, seq, code);
            oracle.reach("web", if seq.is_some() { "post" } else { "post refused" });
            if seq.is_none() && has_key {
                client.web.debts.push_back((who, count));
            }
        }
        Wanted::Page(room) if answer.status == 200 => {
            assert_eq!(answer.field("content-type"), Some("application/x-ndjson"));
            check_page(no, &room, &answer.body, oracle);
            oracle.reach("web", "page");
        }
        Wanted::Message(room, seq, must) => {
            assert!(!must || is_off || answer.status == 200, "#{no}: {room} has no {seq}");
            if answer.status == 200 && !request.head_only {
                let log = oracle.rooms.get(&room).expect("somebody spoke there");
                let message = &oracle.messages[log.by_seq[&seq]];
                assert_eq!(message.fate, Fate::Stored, "#{no}: seq {seq} of {room} is stored");
                assert_eq!(answer.body, message.content, "#{no}: seq {seq} of {room}");
                oracle.reach("web", "message");
            }
        }
        Wanted::Look => assert!(answer.status == 200 || is_off, "#{no} is told {answer:?}"),
        Wanted::Page(_) => assert!(is_off || answer.status == 404, "#{no} is told {answer:?}"),
        Wanted::Refused(status) => {
            assert!(answer.status == status || is_off, "#{no}: {answer:?} instead of {status}");
            oracle.reach("web", "refused");
        }
        Wanted::Bad => {
            assert!(answer.status >= 400 && answer.closes(), "#{no}: {answer:?}");
            oracle.reach("web", "cannot be read");
        }
    }
}

/// Why something was refused; nothing where it was not.
fn word<'a>(no: usize, answer: &Answer, body: &'a Value) -> &'a str {
    let ok = answer.status == 200;
    assert_eq!(body["ok"].as_bool(), Some(ok), "#{no}: {} says {body}", answer.status);
    if ok { "" } else { body["error"].as_str().expect("an error has a word") }
}

/// A page has each message once, in order and whole.
fn check_page(no: usize, room: &str, body: &[u8], oracle: &mut Oracle) {
    let mut last = 0;
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let value: Value = serde_json::from_slice(line).expect("a line is JSON");
        let seq = value["seq"].as_u64().expect("a message has its place");
        assert_eq!(value["room"], room, "#{no} asked for {room}");
        check_message(&value, oracle);
        oracle.past_message(no, room, seq, last);
        last = seq;
    }
}
