//! What v1 clients are answered and told, whatever frames carry it: every reply goes to what was asked,
//! every event to the oracle.

use serde_json::Value;

use crate::asking::{Asked, Greeting, base64, from_base64, uuid_text};
use crate::clients::{Client, Sort};
use crate::naming::Refused;
use crate::net::{Net, Stage};
use crate::oracle::{Fate, LOBBY, Oracle};
use crate::pairing;
use crate::trace::Kind;

/// So many are named of those who came, and of those who went.
const PRESENCE_NAMES_MAX: u64 = 20;

/// Takes one JSON object that came.
pub fn take(client: &mut Client, json: &[u8], net: &mut Net, oracle: &mut Oracle) {
    let value: Value = serde_json::from_slice(json)
        .unwrap_or_else(|error| panic!("#{} got something that is no JSON: {error}", client.no));
    assert!(!client.asking.bye, "#{} got something after its bye: {value}", client.no);
    if value.get("event").is_some() {
        event(client, &value, net, oracle);
    } else {
        reply(client, &value, net, oracle);
    }
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
        "message" if value.get("to").is_some() => direct(client, value, net, oracle),
        "message" => {
            let (room, seq) = (text(value, "room"), number(value, "seq"));
            net.note_text(Kind::Got, no, &format!("{room} {seq}"));
            check_message(value, oracle);
            if let Some(id) = value.get("history") {
                let id = id.as_str().expect("the id of a request");
                assert!(
                    client.asking.asked.contains_key(id),
                    "#{no} got history that it did not ask"
                );
                if oracle.ears[no].catching.iter().any(|catching| catching.id == id) {
                    oracle.replayed(no, id, room, seq);
                } else {
                    let page = client.asking.pages.entry(id.to_owned()).or_default();
                    page.count += 1;
                    let last = page.last.insert(room.to_owned(), seq).unwrap_or(0);
                    oracle.past_message(no, room, seq, last);
                }
            } else {
                oracle.room_message(no, room, seq);
                oracle.reach("hear", "message");
                let number = oracle.rooms[room].by_seq[&seq];
                let post = (oracle.messages[number].author, oracle.messages[number].count);
                owe(client, value, post);
            }
        }
        "gap" => {
            let (from, to) = (number(value, "from_seq"), number(value, "to_seq"));
            let room = text(value, "room");
            net.note_text(Kind::Gap, no, &format!("{room} {from} {to}"));
            if client.sort == Sort::V1 && client.asking.greeting != Greeting::Done {
                assert_eq!(room, LOBBY, "#{no} is in no room yet");
                oracle.gap_before_hello(no, from, to);
            } else {
                oracle.gap(no, room, from, to);
            }
            oracle.reach("hear", "gap");
        }
        "delivered" => {
            let (id, by) = (text(value, "message_id"), text(value, "by"));
            net.note_text(Kind::Got, no, &format!("receipt {id} {by}"));
            if !oracle.talk_delivered(no, id) {
                oracle.delivered(no, id, by);
            }
        }
        "renamed" if value.get("room").is_none() => pairing::event(client, value, oracle),
        name if name.starts_with("talk_") => {
            net.note_text(Kind::Got, no, name);
            pairing::event(client, value, oracle);
        }
        "topic" | "away" => oracle.room_news(no, text(value, "room")),
        "presence" | "joined" | "left" | "renamed" => people(no, value, oracle),
        "bye" => {
            assert!(!text(value, "reason").is_empty(), "a bye says why");
            client.asking.bye = true;
        }
        "notice" => {}
        other => panic!("#{no} got an unknown event {other}"),
    }
}

/// Who is in a room is told.
fn people(no: usize, value: &Value, oracle: &mut Oracle) {
    let room = text(value, "room");
    oracle.room_news(no, room);
    let what = text(value, "event");
    if what == "presence" {
        check_presence(value, oracle);
        let count = |key: &str| number(value, key) as i64;
        let by = count("joined_count") - count("left_count");
        oracle.presence(no, room, count("members"), by);
        return;
    }
    assert!(!text(value, "nick").is_empty(), "someone came or went: {value}");
    match what {
        "joined" => oracle.came(no, room, 1),
        "left" => oracle.came(no, room, -1),
        _ => {}
    }
}

/// Who came and who went in a while is somebody, and named as far as that is short.
fn check_presence(value: &Value, oracle: &Oracle) {
    let names = |key: &str| value[key].as_array().expect("a list of names").clone();
    let (joined, left) = (names("joined"), names("left"));
    let counts = (number(value, "joined_count"), number(value, "left_count"));
    // Some may have had one name, together on the control socket or one after the other.
    let is_shared = |nick: &Value| {
        let nick = nick.as_str().unwrap_or_default();
        let had_it = |who: &usize| oracle.may_be_called(*who, nick);
        (0..oracle.voices.len()).filter(had_it).count() > 1
    };
    let is_short = |list: &[Value], count: u64| {
        let (told, most) = (list.len() as u64, count.min(PRESENCE_NAMES_MAX));
        told == most || (told > 0 && told < most && list.iter().any(is_shared))
    };
    assert!(counts.0 + counts.1 > 0, "somebody came or went: {value}");
    assert!(is_short(&joined, counts.0) && is_short(&left, counts.1), "they are named: {value}");
    assert!(!joined.iter().any(|nick| left.contains(nick)), "nobody does both: {value}");
}

/// A message for this client alone.
fn direct(client: &mut Client, value: &Value, net: &mut Net, oracle: &mut Oracle) {
    let (no, id) = (client.no, text(value, "message_id"));
    net.note_text(Kind::Got, no, &format!("direct {id}"));
    let content = match value.get("text").and_then(Value::as_str) {
        Some(text) => text.as_bytes().to_vec(),
        None => from_base64(text(value, "data")),
    };
    let names = (text(value, "from"), text(value, "to"));
    let post = oracle.direct_message(no, names, &content, id);
    owe(client, value, post);
}

/// It gives a receipt where one is wanted, mostly.
fn owe(client: &mut Client, value: &Value, post: (usize, usize)) {
    let wanted = value.get("receipt").and_then(Value::as_bool) == Some(true);
    if wanted && client.rng.chance(700) {
        client.asking.owes.push_back((text(value, "message_id").to_owned(), post));
    }
}

/// A message carries what its author said, whoever reads it, live or later.
pub fn check_message(value: &Value, oracle: &Oracle) {
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
            (Some("store_unavailable"), fate) => {
                oracle.voices[no].posts[*post].refused || matches!(fate, Some((_, Fate::Refused)))
            }
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
            assert!(client.asking.faceless > 0, "#{no} got an answer to nothing: {value}");
            client.asking.faceless -= 1;
        }
        return;
    };
    let asked = client.asking.asked.get_mut(id);
    let asked = asked.unwrap_or_else(|| panic!("#{no} got a reply to {id}, which it did not ask"));
    if code == "id_conflict" {
        conflict(client, id, oracle);
        return;
    }
    let which = which_is_answered(no, asked, value, oracle);
    let first = asked.remove(which);
    let left = asked.len();
    if left == 0 {
        client.asking.asked.remove(id);
    }
    assert!(
        client.asking.conflicts.get(id).is_none_or(|conflicts| *conflicts <= left),
        "#{no}: {id} was answered more often than it was sent"
    );
    if left > 0 && client.asking.conflicts.get(id) == Some(&left) {
        client.asking.conflicts.remove(id);
        client.asking.asked.remove(id);
    }
    answered(client, first, id, value, oracle);
}

/// What an answer means for what was asked.
fn answered(client: &mut Client, asked: Asked, id: &str, value: &Value, oracle: &mut Oracle) {
    let (no, ok) = (client.no, value["ok"] == true);
    let code = if ok { "" } else { text(value, "error") };
    let page = client.asking.pages.remove(id).unwrap_or_default();
    let joined = match &asked {
        Asked::Join(room) if ok => Some((&**room, number(value, "seq"))),
        _ => None,
    };
    let shown = oracle.caught_up(no, id, joined);
    match asked {
        Asked::Bad => assert!(!ok, "#{no}: {id} was not to succeed: {value}"),
        Asked::Hello(wish, lobby) => {
            oracle.named(no, wish, name(value, code));
            if ok && client.sort != Sort::Control {
                oracle.sessions.insert(no, number(value, "session"));
            }
            if client.sort == Sort::V1 {
                greeted(client, ok, lobby, oracle);
            }
        }
        Asked::Nick(wish) => {
            oracle.named(no, wish, name(value, code));
        }
        Asked::Join(room) if ok => oracle.joined(no, &room, number(value, "seq")),
        Asked::Leave(room) if ok => oracle.left(no, &room),
        Asked::Tail(rooms, marks) if ok => oracle.tailing(no, &rooms, &marks, &shown),
        Asked::History if ok => {
            assert_eq!(
                number(value, "count"),
                page.count,
                "#{no}: a page is as long as its reply says"
            );
        }
        Asked::Direct(post) => {
            let time = ok.then(|| text(value, "time"));
            oracle.direct_answered(no, post, time, code);
        }
        Asked::Expel(which) => {
            let closed = ok.then(|| number(value, "closed"));
            oracle.expulsion_answered(which, closed, code);
            is_permitted(client, value, code);
        }
        Asked::Lift(which) => {
            oracle.lift_answered(which, ok);
            is_permitted(client, value, code);
        }
        Asked::Receipt(post) if ok => oracle.receipt_accepted(no, post),
        Asked::Receipt(_) => oracle.reach("receipt", "refused"),
        Asked::Talk(asked) => pairing::answered(client, &asked, value, oracle),
        Asked::Admin => is_permitted(client, value, code),
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

/// The name that was granted, or why none was.
fn name<'a>(value: &'a Value, code: &str) -> Result<&'a str, Refused> {
    if code.is_empty() { Ok(text(value, "nick")) } else { Err(Refused::of_code(code)) }
}

/// An id is another message's. Which of those that were sent under it that was shows when the others are answered.
/// What is with the store or in it is nobody else's, under whatever name it comes again.
fn conflict(client: &mut Client, id: &str, oracle: &Oracle) {
    let no = client.no;
    let count = client.asking.conflicts.entry(id.to_owned()).or_default();
    *count += 1;
    let asked = &client.asking.asked[id];
    if *count < asked.len() {
        return;
    }
    let is_taken = |post: usize| {
        let number = oracle.voices[no].posts[post].message;
        number.is_some_and(|number| oracle.messages[number].fate != Fate::Refused)
    };
    let mine = asked.iter().any(|asked| match asked {
        Asked::Post(post, true) => is_taken(*post),
        Asked::Conflict(..) => false,
        _ => true,
    });
    assert!(!mine, "#{no}: {id} is nobody else's, and {asked:?} was refused for it");
    client.asking.conflicts.remove(id);
    client.asking.asked.remove(id);
}

/// Only administrators are told what they ask as such.
fn is_permitted(client: &Client, value: &Value, code: &str) {
    let is_refused = matches!(code, "forbidden" | "bad_request" | "shutting_down");
    let (is_admin, no) = (client.asking.admin && client.sort == Sort::Control, client.no);
    assert!(is_admin || is_refused, "#{no} is no administrator: {value}");
}

/// A native client was answered its `hello`.
fn greeted(client: &mut Client, ok: bool, lobby: usize, oracle: &mut Oracle) {
    match client.asking.greeting {
        Greeting::Done => {}
        _ if ok => {
            client.asking.greeting = Greeting::Done;
            oracle.greeted(client.no, lobby);
        }
        _ => client.asking.greeting = Greeting::None,
    }
}
