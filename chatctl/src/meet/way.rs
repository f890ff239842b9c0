//! The way that a talk takes: by the server, or over a connection of the two.
//!
//! Both give the same happenings, and take the same words. By the server one message is asked for at a time, so that one that it
//! refuses for now is said again before the next.

use crate::client::{Client, Event, Fields, Refusal};
use crate::direct::{Happening, Link, Turn};
use nix::poll::PollFlags;
use proto::{Now, Span};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

/// After this long a message is said again that the server refused for now, where it does not say when.
const RETRY_SPAN: Span = Span::from_millis(200);

/// No reply is waited for in vain as long as the connection lives: a server that does not read us for our rate is slow.
const NEVER: Now = Now::from_micros(u64::MAX);

/// What happened on the way.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// The other side said this.
    Said {
        /// The message's id.
        id: String,
        /// Any bytes.
        content: Vec<u8>,
    },
    /// The other side has what we said under this id, so many bytes.
    Delivered(String, usize),
    /// Whose turn it is now.
    Turn(Turn),
    /// What we said is not taken, now and later.
    Refused(Refusal),
    /// The talk is over, for this reason.
    Over(String),
}

/// By the server.
pub(super) struct Relayed {
    peer: String,
    /// What the server has not answered, and when it is to be said again where it was refused for now.
    asked: Option<(String, Vec<u8>)>,
    again: Option<Now>,
    /// Whether it waits for our turn to be said again.
    waits_for_turn: bool,
    sizes: BTreeMap<String, usize>,
}

/// How a talk goes.
pub(super) enum Way {
    /// By the server.
    Relayed(Relayed),
    /// Over a connection of the two.
    Direct(Box<Link>, BTreeMap<String, usize>),
}

impl Way {
    /// By the server, with this peer.
    pub(super) fn relayed(peer: String) -> Self {
        let sizes = BTreeMap::new();
        Self::Relayed(Relayed { peer, asked: None, again: None, waits_for_turn: false, sizes })
    }

    /// Over this connection.
    pub(super) fn direct(link: Link) -> Self {
        Self::Direct(Box::new(link), BTreeMap::new())
    }

    /// Whether it goes past the server.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self, Self::Direct(..))
    }

    /// The descriptor to wait for besides the server's, and what for.
    pub(super) fn watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match self {
            Self::Relayed(_) => None,
            Self::Direct(link, _) => Some(link.watched()),
        }
    }

    /// Ends the connection of the two; the server is told by its owner.
    pub(super) fn hang_up(&mut self, now: Now) {
        if let Self::Direct(link, _) = self {
            link.peer.hang_up(now);
            link.flush(now);
        }
    }

    /// Whether the connection of the two has ended, and nothing waits to be written.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Relayed(_) => true,
            Self::Direct(link, _) => link.is_done(),
        }
    }

    /// Whether so many bytes can be said now.
    pub(super) fn may_say(&self, bytes: usize) -> bool {
        match self {
            Self::Relayed(way) => way.asked.is_none(),
            Self::Direct(link, _) => link.peer.may_say(bytes),
        }
    }

    /// Says something.
    pub(super) fn say(&mut self, client: &mut Client, id: &str, content: Vec<u8>, now: Now) {
        match self {
            Self::Relayed(way) => {
                way.sizes.insert(id.to_owned(), content.len());
                way.ask(client, id, &content);
                way.asked = Some((id.to_owned(), content));
            }
            Self::Direct(link, sizes) => {
                sizes.insert(id.to_owned(), content.len());
                link.peer.say(id, &content, now);
                link.flush(now);
            }
        }
    }

    /// Tells the other side that its message was taken.
    pub(super) fn acknowledge(&mut self, client: &mut Client, id: &str, now: Now) {
        match self {
            Self::Relayed(_) => {
                let fields = Fields::from_iter([("message_id".to_owned(), Value::from(id))]);
                client.ask("receipt", fields, NEVER);
            }
            Self::Direct(link, _) => {
                link.peer.acknowledge(id);
                link.flush(now);
            }
        }
    }

    /// Gives the turn away.
    pub(super) fn pass(&mut self, client: &mut Client, now: Now) {
        match self {
            Self::Relayed(way) => {
                let fields = Fields::from_iter([("peer".to_owned(), Value::from(&*way.peer))]);
                client.ask("pass", fields, NEVER);
            }
            Self::Direct(link, _) => {
                link.peer.pass();
                link.flush(now);
            }
        }
    }

    /// What a reply of the server means.
    pub(super) fn replied(
        &mut self,
        id: &str,
        outcome: Result<Fields, Refusal>,
        now: Now,
    ) -> Option<Heard> {
        let Self::Relayed(way) = self else { return None };
        way.asked.as_ref().filter(|(asked, _)| asked == id)?;
        match outcome {
            Ok(fields) => {
                way.asked = None;
                let turn = fields.get("turn").and_then(Value::as_str).and_then(turn);
                return turn.map(Heard::Turn);
            }
            Err(refusal) => match refusal.code.as_str() {
                "rate_limited" | "limit_reached" => {
                    way.again = Some(now.after(refusal.retry_after.map_or(RETRY_SPAN, seconds)));
                }
                // The turn went over just now, because it was not used in time.
                "not_your_turn" => {
                    way.waits_for_turn = true;
                    return Some(Heard::Turn(Turn::Theirs));
                }
                // The event that says why is on its way.
                "not_in_talk" => {}
                _ => return Some(Heard::Refused(refusal)),
            },
        }
        None
    }

    /// What an event of the server means.
    pub(super) fn event(&mut self, event: &Event) -> Option<Heard> {
        let Self::Relayed(way) = self else { return None };
        match event.name.as_str() {
            "talk_message" => {
                let id = event.text("message_id")?.to_owned();
                let content = proto::client::content(&event.fields)?;
                Some(Heard::Said { id, content })
            }
            "delivered" => {
                let id = event.text("message_id")?;
                let bytes = way.sizes.remove(id)?;
                Some(Heard::Delivered(id.to_owned(), bytes))
            }
            "talk_turn" => Some(Heard::Turn(turn(event.text("turn")?)?)),
            "talk_ended" => {
                let reason = match event.text("reason").unwrap_or("?") {
                    "hangup" | "left" => "has hung up",
                    "gone" => "is gone",
                    _ => "is not there any more",
                };
                Some(Heard::Over(reason.to_owned()))
            }
            "renamed" if event.text("room").is_none() => {
                event.text("new_nick")?.clone_into(&mut way.peer);
                None
            }
            _ => None,
        }
    }

    /// Says again what is due, and hears what came over the connection of the two.
    pub(super) fn move_on(&mut self, client: &mut Client, turn: Option<Turn>, now: Now) {
        match self {
            Self::Relayed(way) => {
                let due = way.again.is_some_and(|again| now >= again)
                    || (way.waits_for_turn && turn == Some(Turn::Yours));
                if due && let Some((id, content)) = way.asked.take() {
                    (way.again, way.waits_for_turn) = (None, false);
                    way.ask(client, &id, &content);
                    way.asked = Some((id, content));
                }
            }
            Self::Direct(link, _) => {
                link.read(now);
                link.peer.expire(now);
                link.flush(now);
            }
        }
    }

    /// What happened over the connection of the two.
    pub(super) fn take(&mut self) -> Option<Heard> {
        let Self::Direct(link, sizes) = self else { return None };
        loop {
            return Some(match link.peer.take()? {
                Happening::Said { id, content } => Heard::Said { id, content },
                Happening::Delivered { id, .. } => {
                    let bytes = sizes.remove(&id).unwrap_or(0);
                    Heard::Delivered(id, bytes)
                }
                Happening::NotTaken { refusal, .. } => Heard::Refused(refusal),
                Happening::Passed => Heard::Turn(Turn::Yours),
                Happening::Ended(end) => Heard::Over(end.how()),
                Happening::Called(_) | Happening::Welcomed(_) => continue,
            });
        }
    }

    /// When to look again, whatever the descriptors say.
    pub(super) fn next(&self) -> Option<Now> {
        match self {
            Self::Relayed(way) => way.again,
            Self::Direct(link, _) => link.peer.next(),
        }
    }
}

impl Relayed {
    fn ask(&self, client: &mut Client, id: &str, content: &[u8]) {
        let mut fields = Fields::from_iter([("peer".to_owned(), Value::from(&*self.peer))]);
        proto::client::put_content(&mut fields, content);
        client.ask_as(id, "say", fields, NEVER);
    }
}

/// Whose turn a word of the server means.
pub(super) fn turn(word: &str) -> Option<Turn> {
    match word {
        "yours" => Some(Turn::Yours),
        "theirs" => Some(Turn::Theirs),
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
fn seconds(seconds: f64) -> Span {
    Span::from_millis((seconds.clamp(0.01, 60.0) * 1_000.0) as u64)
}
