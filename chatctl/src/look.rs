//! The commands that ask once and print the answer: `who`, `rooms`, `ping`, `stop`.

use crate::args::Who;
use crate::ask::{Context, of_room, room};
use crate::client::{Fields, Happening};
use crate::clock;
use crate::failure::Failure;
use crate::moments;
use crate::server::pause;
use proto::{Now, Span};
use serde_json::{Value, json};

/// Between two looks at whether a daemon that is ending is gone.
const STOP_PAUSE: Span = Span::from_millis(10);

/// How long a daemon has to answer before it is taken for one that is ending.
const STOP_ANSWER: Span = Span::from_millis(200);

/// The pages of `rooms` and `members`: the list, the name of an entry, and the field that asks beyond one.
const ROOMS: (&str, &str, &str) = ("rooms", "room", "room");
const MEMBERS: (&str, &str, &str) = ("members", "nick", "nick");

/// `chatctl who`: a line by name, with its rooms where no room was named.
pub fn who(context: &mut Context, args: &Who) -> Result<(), Failure> {
    let wanted = args.room.as_deref().map(room).transpose()?;
    let mut client = context.call()?;
    let rooms = match &wanted {
        Some(room) => vec![room.clone()],
        None => names(&context.ask_pages(&mut client, "rooms", Fields::new(), ROOMS)?, "room"),
    };
    for room in rooms {
        let members = context.ask_pages(&mut client, "members", of_room(&room), MEMBERS);
        let members = match members {
            // It ended between the two questions.
            Err(failure) if wanted.is_none() && failure.code == "no_such_room" => continue,
            members => members?,
        };
        for nick in names(&members, "nick") {
            if context.voice.is_json() {
                context.voice.object(&json!({"room": room, "nick": nick}).to_string())?;
            } else if wanted.is_some() {
                context.voice.line(&nick)?;
            } else {
                context.voice.line(&format!("#{room}\t{nick}"))?;
            }
        }
    }
    context.voice.flush()
}

/// `chatctl rooms`: a line by room.
pub fn rooms(context: &mut Context) -> Result<(), Failure> {
    let mut client = context.call()?;
    let rooms = context.ask_pages(&mut client, "rooms", Fields::new(), ROOMS)?;
    if context.voice.is_json() {
        for room in rooms {
            context.voice.object(&room.to_string())?;
        }
        return context.voice.flush();
    }
    let widest = rooms.iter().filter_map(|room| room["room"].as_str()).map(str::len).max();
    let width = widest.unwrap_or(0) + 1;
    context.voice.line(&format!("{:width$}  MEMBERS  FOLLOWERS  LAST SEQ", "ROOM"))?;
    for room in rooms {
        let name = format!("#{}", room["room"].as_str().unwrap_or("?"));
        let number = |field: &str| room[field].as_u64().unwrap_or(0);
        context.voice.line(&format!(
            "{name:width$}  {:7}  {:9}  {:8}",
            number("members"),
            number("followers"),
            number("seq")
        ))?;
    }
    context.voice.flush()
}

/// `chatctl ping`: the time of one round trip on an open connection.
pub fn ping(context: &mut Context) -> Result<(), Failure> {
    let mut client = context.call()?;
    // The first request pays for the daemon's work of accepting; the second one is the round trip.
    context.ask(&mut client, "ping", Fields::new(), &mut |_| Ok(()))?;
    let before = clock::now();
    context.ask(&mut client, "ping", Fields::new(), &mut |_| Ok(()))?;
    let micros = clock::now().since(before).as_micros();
    if context.voice.is_json() {
        context.voice.object(&json!({"round_trip_us": micros}).to_string())?;
    } else {
        let took = moments::span_shown(micros);
        context.voice.line(&format!("{} answered in {took}", context.server))?;
    }
    context.voice.flush()
}

/// `chatctl stop`: asks the daemon to end, and waits until it has: until it holds no socket any more and
/// another one can be started.
pub fn stop(context: &mut Context) -> Result<(), Failure> {
    let mut client = context.call()?;
    let is_managed = client.is_managed();
    context.ask(&mut client, "stop", Fields::new(), &mut |_| Ok(()))?;
    context.voice.whisper("stopping", "the daemon is emptying its queues");
    let deadline = context.deadline();
    while !client.is_lost() {
        let now = clock::now();
        if now >= deadline {
            return Err(still_there(context));
        }
        client
            .step(now, Some(deadline), &[])
            .map_err(|error| Failure::unreachable(error.to_string()))?;
        while client.take().is_some() {}
    }
    if is_managed {
        // A look whether it is gone would start it again.
        let text = "the daemon has ended; systemd starts it again for the next who connects, until its sockets are stopped, too";
        context.voice.say("stopped", text);
        return Ok(());
    }
    while is_ending(context, deadline) {
        if clock::now() >= deadline {
            return Err(still_there(context));
        }
        pause(STOP_PAUSE)?;
    }
    context.voice.say("stopped", "the daemon has ended");
    Ok(())
}

/// Whether somebody still holds the socket without answering. Who answers is the next daemon, started by a
/// service manager.
fn is_ending(context: &Context, deadline: Now) -> bool {
    let Ok(mut client) = context.server.connect(deadline) else { return false };
    let patience = clock::now().after(STOP_ANSWER).min(deadline);
    client.ask("ping", Fields::new(), patience);
    loop {
        if client.step(clock::now(), Some(patience), &[]).is_err() {
            return true;
        }
        client.expire(clock::now());
        while let Some(happening) = client.take() {
            match happening {
                Happening::Replied(_, outcome) => return outcome.is_err(),
                Happening::Event(_) => {}
                Happening::TimedOut(_) | Happening::Complaint(_) | Happening::Lost { .. } => {
                    return true;
                }
            }
        }
    }
}

fn still_there(context: &Context) -> Failure {
    let waited = moments::span_shown(context.flags.timeout.as_micros());
    Failure::timed_out(format!("the daemon agreed to stop, and is still at it after {waited}"))
}

/// The names in a list of objects.
fn names(entries: &[Value], name: &str) -> Vec<String> {
    entries.iter().filter_map(|entry| entry[name].as_str()).map(str::to_owned).collect()
}

/// A size as a person reads it.
pub fn bytes_shown(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes_shown;

    #[test]
    fn sizes_read_easily() {
        assert_eq!(bytes_shown(512), "512 B");
        assert_eq!(bytes_shown(65_536), "64 KiB");
        assert_eq!(bytes_shown(128 << 20), "128 MiB");
    }
}
