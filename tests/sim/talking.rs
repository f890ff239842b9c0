//! What v1 clients ask about one another: messages to one nickname, receipts, who somebody is, topics, being away, and what
//! administrators do to people.

use serde_json::json;

use crate::asking::{Asked, ask, new_id, post_bytes};
use crate::clients::Client;
use crate::clock::SECOND;
use crate::direct::{Direct, Receipts};
use crate::expelling::Whom;
use crate::native::content;
use crate::oracle::{Oracle, Post};
use crate::world::address;

/// Some nickname: mostly one that somebody has.
pub fn somebody(client: &mut Client, oracle: &Oracle) -> String {
    let who = client.rng.size(0, oracle.voices.len() - 1);
    let voice = &oracle.voices[who];
    let name = oracle.called(who).or(voice.names.last().map(String::as_str));
    match client.rng.below(12) {
        0 => "nobody".into(),
        1 => format!("common {}", client.rng.below(3)),
        2 => name.unwrap_or("Nobody").to_ascii_uppercase(),
        _ => name.unwrap_or("nobody").into(),
    }
}

/// Says something to one nickname, or again what it said last.
pub fn direct(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let no = client.no;
    if let Some(first) = client.asking.last_direct.filter(|_| client.rng.chance(250)) {
        let post = &mut oracle.voices[no].posts[first];
        post.resent = true;
        oracle.under_way.insert((no, first), 512 + 6 * post.content.len());
        return post_bytes(client, post, Asked::Direct(first));
    }
    let to = somebody(client, oracle);
    let holders = oracle.holders(&to);
    let index = oracle.voices[no].posts.len();
    client.asking.last_direct = Some(index);
    let direct = Direct { to, holders, sent: oracle.now, ..Direct::default() };
    let receipts = Receipts { wanted: client.rng.chance(500), ..Receipts::default() };
    let mut post = Post {
        content: content(client, oracle),
        id: Some(new_id(client)),
        direct: Some(direct),
        receipts,
        ..Post::default()
    };
    let bytes = post_bytes(client, &post, Asked::Direct(index));
    post.end = at + bytes.len() as u64;
    oracle.under_way.insert((no, index), 512 + 6 * post.content.len());
    oracle.voices[no].posts.push(post);
    bytes
}

/// Gives a receipt that it owes, if it owes one: rarely it gives it twice.
pub fn receipt(client: &mut Client, oracle: &mut Oracle) -> Option<Vec<u8>> {
    let (id, post) = client.asking.owes.pop_front()?;
    if client.rng.chance(100) {
        client.asking.owes.push_back((id.clone(), post));
    }
    oracle.receipt_sent(client.no, post);
    let request = json!({"request": "receipt", "message_id": id});
    Some(ask(client, request, Asked::Receipt(post)))
}

/// Asks about people and their rooms, or does something to them.
pub fn people(client: &mut Client, oracle: &mut Oracle, room: &str) -> Vec<u8> {
    let nick = somebody(client, oracle);
    match client.rng.below(20) {
        0..6 => ask(client, json!({"request": "whois", "nick": nick}), Asked::Other),
        6..8 => ask(client, json!({"request": "topic", "room": room}), Asked::Other),
        8..11 => {
            let topic = format!("topic {}", client.count);
            ask(client, json!({"request": "topic", "room": room, "topic": topic}), Asked::Other)
        }
        11..14 => {
            let text = if client.rng.chance(500) { "out" } else { "" };
            ask(client, json!({"request": "away", "text": text}), Asked::Other)
        }
        14 => ask(client, json!({"request": "announce", "text": "hear, hear"}), Asked::Admin),
        15 => ask(client, json!({"request": "connections", "slow": true}), Asked::Admin),
        _ => ask(client, json!({"request": "bans"}), Asked::Admin),
    }
}

/// Closes somebody's connection, perhaps keeps the name out for a while, or lets a name in again.
pub fn administer(client: &mut Client, oracle: &mut Oracle) -> Vec<u8> {
    let mut nick = somebody(client, oracle);
    let dice = client.rng.below(100);
    // Names that many want are worth being kept from them.
    if dice >= 50 && client.rng.chance(600) {
        nick = format!("common {}", client.rng.below(3));
    }
    match dice {
        0..40 => {
            let request = json!({"request": "kick", "nick": nick, "reason": "go"});
            let which = oracle.expel(Whom::Nick(nick), None);
            ask(client, request, Asked::Expel(which))
        }
        40..50 => {
            let sessions: Vec<_> = oracle.sessions.iter().map(|(no, id)| (*no, *id)).collect();
            if sessions.is_empty() {
                return ask(client, json!({"request": "bans"}), Asked::Admin);
            }
            let (no, session) = client.rng.pick(&sessions);
            let which = oracle.expel(Whom::Session(no), None);
            let request = json!({"request": "kick", "session": session});
            ask(client, request, Asked::Expel(which))
        }
        50..70 => {
            let seconds = client.rng.scale(1, 30);
            let request = json!({"request": "ban", "nick": nick, "seconds": seconds});
            let which = oracle.expel(Whom::Nick(nick), Some(seconds * SECOND));
            ask(client, request, Asked::Expel(which))
        }
        70..85 => {
            let (place, seconds) = (client.rng.below(oracle.places), client.rng.range(2, 30));
            let request = json!({"request": "ban", "network": network(place), "seconds": seconds});
            let which = oracle.expel(Whom::Place(place), Some(seconds * SECOND));
            ask(client, request, Asked::Expel(which))
        }
        85..95 => {
            let request = json!({"request": "unban", "nick": nick});
            let which = oracle.lift(Whom::Nick(nick));
            ask(client, request, Asked::Lift(which))
        }
        _ => {
            let place = client.rng.below(oracle.places);
            let request = json!({"request": "unban", "network": network(place)});
            let which = oracle.lift(Whom::Place(place));
            ask(client, request, Asked::Lift(which))
        }
    }
}

/// Where clients come from, as a ban names it.
fn network(place: u64) -> String {
    let length = if place.is_multiple_of(2) { 64 } else { 32 };
    format!("{}/{length}", address(place, 0))
}
