//! A client that reads a room as server-sent events, and comes back behind the last event that it has when its connection is lost. It
//! has its own reader of the stream.

use serde_json::Value;

use crate::answers;
use crate::asking::{Greeting, ROOMS};
use crate::clients::Client;
use crate::native::content;
use crate::net::Net;
use crate::oracle::Oracle;
use crate::web::{Stream, give_up, take_answer};

/// Does one thing: asks for its room, and then says what nobody hears.
pub fn act(client: &mut Client, net: &mut Net, oracle: &mut Oracle, calm: bool) {
    if client.web.is_last || client.web.is_lost {
        return;
    }
    if client.sent == 0 {
        let half = client.rng.chance(client.temper.half) && !calm;
        let request = ask(client, oracle);
        client.send_framed(net, request.as_bytes(), half);
    } else if client.rng.chance(30) && !calm && is_open(client) {
        let nobody_hears = content(client, oracle);
        client.send_frame(net, &nobody_hears);
    }
}

fn is_open(client: &Client) -> bool {
    client.web.stream.as_ref().is_some_and(|stream| stream.is_open)
}

/// The request for a room: behind the last event that it has, behind some place, or from now on.
fn ask(client: &mut Client, oracle: &Oracle) -> String {
    let room = client.rng.pick(&ROOMS).to_owned();
    let mut stream = client.web.stream.take().unwrap_or(Stream { room, ..Stream::default() });
    stream.before = oracle.last_released(&stream.room);
    stream.after = None;
    stream.goes_on = false;
    let mut query = String::new();
    if client.rng.chance(200) {
        let after = client.rng.below(stream.before + 3);
        query = format!("?after={after}");
        stream.after = Some(after);
    }
    let mut last = String::new();
    if let Some(id) = &stream.last_id {
        // A place of another history is none of this one.
        let of_another = client.rng.chance(50);
        let id = if of_another { format!("{:032x}-3", 9) } else { id.clone() };
        stream.after = (!of_another).then(|| place_of(&id));
        stream.goes_on = !of_another;
        last = format!("Last-Event-ID: {id}\r\n");
    }
    stream.is_last = client.rng.chance(200);
    let version = if stream.is_last { "HTTP/1.0" } else { "HTTP/1.1" };
    let path = format!("/api/rooms/{}/events{query}", stream.room);
    client.web.stream = Some(stream);
    format!("GET {path} {version}\r\nHost: localhost\r\n{last}\r\n")
}

/// The place in the room's order that an event's id names.
fn place_of(id: &str) -> u64 {
    let (history, seq) = id.split_once('-').expect("a history and a place");
    assert_eq!(history.len(), 32, "a UUID without hyphens: {id}");
    seq.parse().expect("a place is a number")
}

/// Reads every whole event that has come.
pub fn hear(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    if !is_open(client) && !client.web.is_last {
        begin(client, net, oracle);
    }
    if !is_open(client) {
        return;
    }
    while let Some(end) = client.heard.windows(2).position(|two| two == b"\n\n") {
        let event: Vec<u8> = client.heard.drain(..end + 2).collect();
        let event = std::str::from_utf8(&event[..end]).expect("a stream is text");
        one(client, event, net, oracle);
    }
}

/// The stream begins, or there is none.
fn begin(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let no = client.no;
    let Some(answer) = take_answer(client, false) else { return };
    if answer.status != 200 {
        // There may be too many rooms or connections, or the daemon ends; the connection is of no use.
        let is_off = matches!(answer.status, 403 | 408 | 429 | 503);
        assert!(is_off && answer.json()["ok"] == false, "#{no} gets no stream: {answer:?}");
        oracle.reach("web", "no stream");
        give_up(client);
        client.finish(net);
        oracle.voices[no].leaving = true;
        return;
    }
    assert_eq!(answer.field("content-type"), Some("text/event-stream"), "#{no}: {answer:?}");
    assert!(answer.field("content-length").is_none() && answer.closes(), "#{no}: {answer:?}");
    client.asking.greeting = Greeting::Done;
    let stream = client.web.stream.as_mut().expect("it asked for one");
    stream.is_open = true;
    oracle.stream_opened(no, &stream.room, stream.after, stream.before);
    oracle.reach("web", if stream.goes_on { "stream again" } else { "stream" });
}

/// One event, or what stands between two.
fn one(client: &mut Client, event: &str, net: &mut Net, oracle: &mut Oracle) {
    let no = client.no;
    let (mut id, mut data) = (None, None);
    for line in event.split('\n') {
        match line.split_once(": ") {
            Some(("id", value)) => id = Some(value),
            Some(("data", value)) => data = Some(value),
            Some(("retry", value)) => assert_eq!(value, "1000", "#{no}"),
            _ => assert_eq!(line, ":", "#{no} got a line that means nothing"),
        }
    }
    let stream = client.web.stream.as_mut().expect("it reads one");
    let room = stream.room.clone();
    if let Some(id) = id {
        stream.last_id = Some(id.to_owned());
    }
    let Some(data) = data else {
        if let Some(id) = id {
            oracle.stream_stands(no, &room, place_of(id));
        }
        return;
    };
    let value: Value = serde_json::from_str(data).expect("an event is JSON");
    let is_message = value["event"] == "message";
    assert_eq!(is_message, id.is_some(), "#{no}: only messages have a place: {event}");
    if is_message {
        assert_eq!(value["room"], *room, "#{no} reads {room}");
        assert_eq!(value["seq"].as_u64(), id.map(place_of), "#{no}: an id is the event's place");
        assert!(value.get("history").is_none(), "#{no} asked for no history: {event}");
    }
    if stream.goes_on && value["event"] == "gap" {
        oracle.reach("web", "stream again with a gap");
    }
    answers::take(client, data.as_bytes(), net, oracle);
}
