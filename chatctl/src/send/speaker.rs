//! Under which name `send` speaks.
//!
//! A control socket knows who calls: there the name is the login name, or is given with each message by who may do so.
//! Over a network a connection takes its name: the one of `--as`, else the login name if nobody has it, else the guest
//! name it is given. A connection that is made anew wishes for the name of the one that was lost: a message that is sent
//! again is known by its id under any name, but who was asked for is who speaks. Only the name of `--as` is waited for.

use crate::ask::{Context, hello};
use crate::client::{Client, Fields};
use crate::clock;
use crate::failure::Failure;
use crate::reconnect::{self, Backoff};
use crate::server::pause;
use nix::unistd::{User, getuid};
use proto::{Nick, Now};
use serde_json::Value;

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The daemon knows who; where another name is given it comes with each message.
    Known(Option<String>),
    /// The connection has this name, and perhaps no other will do.
    Named {
        /// Which, where it said so.
        name: Option<String>,
        /// Whether it was asked for, so that no other will do.
        only: bool,
    },
}

impl Speaker {
    /// Says hello, under the name that can be had.
    pub fn greet(context: &Context, client: &mut Client) -> Result<(Self, Fields), Failure> {
        let wished = context.flags.as_nick.clone();
        if !context.server.is_remote() {
            return Ok((Self::Known(wished), context.greet(client)?));
        }
        let only = wished.is_some();
        let reply = be_called(context, client, wished.or_else(login_name).as_deref(), only)?;
        let name = reply.get("nick").and_then(Value::as_str).map(str::to_owned);
        Ok((Self::Named { name, only }, reply))
    }

    /// Says hello over a new connection, under the same name if it can be had.
    fn greet_again(
        &self,
        context: &Context,
        client: &mut Client,
        until: Now,
    ) -> Result<(), Failure> {
        let Self::Named { name, only } = self else { return Ok(()) };
        if clock::now() >= until {
            return Err(context.no_answer());
        }
        be_called(context, client, name.as_deref(), *only).map(drop)
    }

    /// A new connection under the same name, tried for until then: the daemon is away, or still thinks that the lost connection
    /// has the name.
    pub fn call_again(
        &self,
        context: &Context,
        backoff: &mut Backoff,
        until: Now,
    ) -> Result<Client, Failure> {
        let known = context.no_answer();
        let mut wait = |next: Now| pause(next.since(clock::now()));
        reconnect::call_again(backoff, known, Some(until), &mut wait, &mut || {
            let mut fresh = context.server.connect(until)?;
            self.greet_again(context, &mut fresh, until).map(|()| fresh)
        })
    }

    /// The name that is given with each message.
    pub fn spoken_for(&self) -> Option<&str> {
        match self {
            Self::Known(name) => name.as_deref(),
            Self::Named { .. } => None,
        }
    }
}

fn is_about_the_name(failure: &Failure) -> bool {
    ["nickname_in_use", "bad_nickname", "forbidden"].contains(&failure.code.as_str())
}

/// Says hello under a name, or under a guest's where that cannot be had and another will do.
fn be_called(
    context: &Context,
    client: &mut Client,
    name: Option<&str>,
    only: bool,
) -> Result<Fields, Failure> {
    let reply = match ask(context, client, name) {
        Err(failure) if !only && is_about_the_name(&failure) => {
            let why = format!("{} A guest's name will do.", failure.message);
            context.voice.whisper("guest", &why);
            ask(context, client, None)?
        }
        reply => reply?,
    };
    if let Some(name) = reply.get("nick").and_then(Value::as_str) {
        context.voice.whisper("name", &format!("speaking as {name}"));
    }
    Ok(reply)
}

fn ask(context: &Context, client: &mut Client, nick: Option<&str>) -> Result<Fields, Failure> {
    let mut fields = hello();
    if let Some(nick) = nick {
        fields.insert("nick".to_owned(), Value::from(nick));
    }
    context.ask(client, "hello", fields, &mut |_| Ok(()))
}

/// The login name, if it can be a nickname.
pub fn login_name() -> Option<String> {
    let user = User::from_uid(getuid()).ok().flatten()?;
    Nick::parse(&user.name).ok().map(|nick| nick.as_str().to_owned())
}
