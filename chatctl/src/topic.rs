//! `chatctl topic`: what a room is about, shown or changed.
//!
//! A control connection of an administrator may change it as it is; over a network that is for members, so the room is
//! joined for the moment that it takes.

use crate::args::Topic;
use crate::ask::{Context, of_room, room};
use crate::client::{Client, Fields};
use crate::failure::Failure;
use crate::operate::{done, object, one_line};
use crate::send::speaker::Speaker;
use serde_json::Value;

/// `chatctl topic`.
pub fn topic(context: &mut Context, args: &Topic) -> Result<(), Failure> {
    let room = room(&args.room)?;
    let mut fields = of_room(&room);
    let is_set = !args.text.is_empty();
    if is_set {
        let text = args.text.join(" ");
        one_line("the topic", &text)?;
        fields.insert("topic".to_owned(), Value::from(text));
    }
    let mut client = context.connect()?;
    if context.server.is_remote() {
        Speaker::greet(context, &mut client)?;
    }
    let reply = match ask(context, &mut client, "topic", fields.clone()) {
        Err(failure) if failure.code == "not_in_room" => {
            ask(context, &mut client, "join", of_room(&room))?;
            ask(context, &mut client, "topic", fields)?
        }
        reply => reply?,
    };
    let text = reply.get("topic").and_then(Value::as_str).unwrap_or_default().to_owned();
    if is_set {
        return done(context, reply, |_| match text.as_str() {
            "" => format!("#{room} has no topic any more"),
            text => format!("#{room}: {text}"),
        });
    }
    if context.voice.is_json() {
        return object(context, reply);
    }
    if !text.is_empty() {
        context.voice.line(&text)?;
    }
    context.voice.flush()
}

fn ask(
    context: &Context,
    client: &mut Client,
    request: &str,
    fields: Fields,
) -> Result<Fields, Failure> {
    context.ask(client, request, fields, &mut |_| Ok(()))
}
