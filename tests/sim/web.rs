//! What simulated clients over HTTP share: what they remember, a reader of answers that is their own, and the way back: whoever
//! lost its connection comes again over another one, with what it has no answer to and how far it had read.

use std::collections::VecDeque;

use crate::clients::{Client, Life};
use crate::clock::MS;
use crate::net::Net;
use crate::oracle::Oracle;
use crate::poster::Request;

/// How often the same somebody comes back at most.
const LIVES_MAX: u32 = 8;

/// What a client over HTTP remembers. A client is one connection; somebody who comes back is another one that knows the same.
#[derive(Default)]
pub struct Memory {
    /// Requests that are not answered, in their order.
    pub asked: VecDeque<Request>,
    /// Nothing may follow what it sent: it said so, or was told so.
    pub is_last: bool,
    /// It sent a close frame.
    pub said_close: bool,
    /// It said nothing in time, and is spoken to as a v0.5 client.
    pub is_lost: bool,
    /// Posts that may be said again: whose, and which.
    pub debts: VecDeque<(usize, usize)>,
    /// What it reads.
    pub stream: Option<Stream>,
    /// Pings that have no answer.
    pub pings: VecDeque<u64>,
    /// It was told the end of a WebSocket.
    pub was_closed: bool,
    has_returned: bool,
    lives: u32,
}

/// A room's events, as somebody reads them.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub room: String,
    /// The id of the last event that had one.
    pub last_id: Option<String>,
    /// Everything behind this is asked for, where a place is named at all.
    pub after: Option<u64>,
    /// What the room had released when it was asked for.
    pub before: u64,
    pub is_open: bool,
    /// Whatever is said instead of it is the connection's last answer.
    pub is_last: bool,
    /// It went on where another one had ended.
    pub goes_on: bool,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A field's value; its name in small letters.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    /// The connection ends behind it.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// The JSON object that its body is.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body.escape_ascii()))
    }
}

/// Takes the next whole answer from what has come, with its body unless that has no end of its own; nothing while it is not whole.
pub fn take_answer(client: &mut Client, is_bodiless: bool) -> Option<Answer> {
    let no = client.no;
    if client.heard.first() == Some(&0) {
        // It was taken for a v0.5 client, and its request for nothing.
        client.web.is_lost = true;
        client.heard.clear();
        return None;
    }
    let end = client.heard.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&client.heard[..end]).expect("a head is text");
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.unwrap_or_else(|| panic!("#{no} got what is no answer: {head}"));
    let status: u16 = status[..3].parse().expect("a status is a number");
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line}"));
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let mut answer = Answer { status, fields: lines.map(field).collect(), body: Vec::new() };
    let length = answer.field("content-length").map(|length| length.parse().expect("a number"));
    let length: usize = if is_bodiless { 0 } else { length.unwrap_or(0) };
    if client.heard.len() < end + length {
        return None;
    }
    answer.body = client.heard[end..end + length].to_vec();
    client.heard.drain(..end + length);
    Some(answer)
}

/// What it asked and has no answer to is over; posts that have a key may be said again.
pub fn give_up(client: &mut Client) {
    client.rest.clear();
    let unanswered = std::mem::take(&mut client.web.asked);
    client.web.debts.extend(unanswered.iter().filter_map(Request::to_be_said_again));
    client.web.is_last = true;
}

/// When somebody comes back whose connection is gone, if it does: true once.
pub fn comes_back(client: &mut Client) -> Option<u64> {
    let is_gone = matches!(client.life, Life::Gone | Life::Ended);
    let lives = client.web.lives;
    if !client.sort.comes_back() || !is_gone || client.web.has_returned || lives >= LIVES_MAX {
        return None;
    }
    client.web.has_returned = true;
    give_up(client);
    Some(client.rng.scale(1, 500 * MS))
}

/// What whoever comes back knows.
pub fn remembered(client: &mut Client) -> Memory {
    let web = &mut client.web;
    let stream = web.stream.clone().map(|stream| Stream { is_open: false, ..stream });
    let debts = std::mem::take(&mut web.debts);
    Memory { debts, stream, lives: web.lives + 1, ..Memory::default() }
}

/// Now and then loses its connection, in the middle of whatever it is.
pub fn is_cut_off(client: &mut Client, net: &mut Net, oracle: &mut Oracle) -> bool {
    if !client.sort.comes_back() || !client.rng.chance(client.temper.drops) {
        return false;
    }
    if client.sort.may_vanish() && client.rng.chance(200) {
        net.vanish(client.no);
    } else {
        net.abort(client.no);
    }
    client.life = Life::Gone;
    oracle.reach("web", "cut off");
    true
}
