//! `chatctl chat`: people in a terminal.
//!
//! `model` is what the person wants and what there is of it, pure; `command` understands what is typed; a `Front` shows the model and
//! takes the typing; `life` joins them with the socket and the clock, `straight` with a peer past the server. There are two fronts:
//! `screen` where there is a terminal to draw on, and `plain`, line by line.

pub mod command;
pub mod front;
mod given_up;
mod life;
pub mod model;
mod name;
pub mod plain;
pub mod screen;
mod straight;

use crate::args::Chat;
use crate::ask::{Context, room};
use crate::failure::{Exit, Failure};
use model::{Model, Settings};
use plain::Plain;
use screen::Screen;

/// The room to be in where none is named.
const DEFAULT_ROOM: &str = "lobby";

/// How many past messages a person is shown of a room.
const CONTEXT_MESSAGES: u32 = 20;

/// `chatctl chat`; what the process is to end with.
pub fn chat(context: &mut Context, args: &Chat) -> Result<u8, Failure> {
    if context.flags.json {
        return Err(Failure::usage("chat is for people; `send` and `tail --json` are for scripts"));
    }
    let mut rooms = args.rooms.iter().map(|name| room(name)).collect::<Result<Vec<_>, _>>()?;
    if rooms.is_empty() {
        rooms.push(DEFAULT_ROOM.to_owned());
    }
    let nick = name::name(context)?;
    let past = if context.voice.is_terminal() { CONTEXT_MESSAGES } else { 0 };
    let settings = Settings { nick: nick.clone(), rooms, context: past };
    let mut model = Model::new(settings, life::moment());
    let server = context.server.clone();
    let timeout = context.flags.timeout;
    let ended = if !args.plain && screen::is_possible() {
        let mut front = Screen::new(&mut context.voice)?;
        let ended = life::live(server, timeout, &mut model, &mut front);
        front.leave().and(ended)
    } else {
        let mut front = Plain::new(&mut context.voice, timeout)?;
        let ended = life::live(server, timeout, &mut model, &mut front);
        front.leave().and(ended)
    };
    let taken =
        model.link().nick().filter(|taken| nick.as_deref().is_some_and(|nick| nick != *taken));
    if let Some(taken) = taken.filter(|_| context.flags.as_nick.is_none()) {
        name::keep(taken).unwrap_or_else(|failure| context.voice.say("name", &failure.message));
    }
    ended.map(Exit::code)
}
