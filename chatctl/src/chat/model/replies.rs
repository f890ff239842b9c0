//! What was asked, and what becomes of the replies.

use super::answers::{away_told, time_shown};
use super::entry::Mark;
use super::{Joined, Member, Model, Moment, News, Older, ViewName};
use crate::ask::has_more;
use crate::client::{Fields, Refusal};
use crate::failure::Exit;
use serde_json::Value;

/// What a request is for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// To be known.
    Hello,
    /// To be called so.
    Nick(String),
    /// To be in a room.
    Join(String),
    /// A message of ours, under its own id.
    Sent,
    /// Who is in a room; for a view where the person asked.
    Members {
        room: String,
        shown: Option<ViewName>,
        so_far: Vec<Member>,
    },
    /// What a room is about, for its view's head.
    TopicOf(String),
    /// Messages of before; the lines that came, and the first place, whether or not that one is shown.
    Older {
        view: ViewName,
        numbers: Vec<u64>,
        first: Option<u64>,
    },
    /// Messages that were left out; the last of them that came.
    Fill {
        room: String,
        to: u64,
        last: Option<u64>,
        numbers: Vec<u64>,
    },
    /// To wait for a talk, to open it, to give the turn away.
    Bridge,
    OpenTalk,
    Pass,
    /// To be out of the talk, or not to wait for one any more.
    HangUp,
    /// To be away, or back where nothing is wished; what was wished before, and the view where that was typed now.
    Away {
        wish: Option<String>,
        before: Option<String>,
        view: Option<ViewName>,
    },
    /// A look-up that the person asked for in this view.
    Look(Look, ViewName),
    /// What needs no answer at all: whatever it is, nothing can be done about it.
    Quiet,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Whois,
    Rooms,
    Topic,
}

impl Asked {
    /// Whether the answer comes at our own pace: behind messages that it replays.
    pub(super) fn takes_its_time(&self) -> bool {
        matches!(self, Self::Join(_) | Self::Older { .. } | Self::Fill { .. })
    }

    /// Whether a person's command waits for it, so that a line behind that may mean something else before the answer.
    pub(super) fn is_command(&self) -> bool {
        match self {
            Self::Nick(_)
            | Self::Join(_)
            | Self::Members { shown: Some(_), .. }
            | Self::Older { .. }
            | Self::Bridge
            | Self::OpenTalk
            | Self::Pass
            | Self::HangUp
            | Self::Away { view: Some(_), .. }
            | Self::Look(..) => true,
            Self::Hello
            | Self::Sent
            | Self::Members { shown: None, .. }
            | Self::TopicOf(_)
            | Self::Fill { .. }
            | Self::Away { view: None, .. }
            | Self::Quiet => false,
        }
    }
}

impl Model {
    pub(super) fn replied(&mut self, at: Moment, id: &str, outcome: Result<Fields, Refusal>) {
        let Some(asked) = self.asked.remove(id) else { return };
        match outcome {
            Ok(reply) => self.agreed(at, id, asked, &reply),
            Err(refusal) => self.refused(at, id, asked, &refusal),
        }
    }

    fn agreed(&mut self, at: Moment, id: &str, asked: Asked, reply: &Fields) {
        match asked {
            Asked::Hello => self.greeted(at, reply),
            Asked::Nick(nick) => self.named(at, &nick, reply),
            Asked::Join(room) => self.joined(at, &room, reply),
            Asked::Sent => {
                if self.is_said(id) {
                    self.turn_told(reply);
                }
                self.sent(at, id, reply);
            }
            Asked::Members { room, shown, so_far } => self.members(at, room, shown, so_far, reply),
            Asked::TopicOf(room) => {
                let topic = reply.get("topic").and_then(Value::as_str).unwrap_or("");
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.set_topic(topic);
                }
            }
            Asked::Older { view, numbers, first } => {
                if let (Some(known), Some(_)) = (self.views.view_mut(&view), first) {
                    known.came_from = first;
                }
                self.older_came(view, numbers, reply);
            }
            Asked::Fill { room, to, last, mut numbers } => {
                let leads_on = last.filter(|last| has_more(reply) && *last < to);
                if let Some(last) = leads_on {
                    return self.ask_fill(at, &room, last.saturating_add(1), to, numbers);
                }
                let forgotten = reply.get("forgotten").and_then(Value::as_u64).unwrap_or(0);
                self.filled(at, &room, to, forgotten);
                numbers.dedup();
                self.news(News::Older { view: ViewName::Room(room), numbers });
            }
            Asked::Bridge => self.bridged(at, reply),
            Asked::OpenTalk => self.talk_opened(at, reply),
            Asked::Pass => self.turn_told(reply),
            Asked::Away { wish, view: Some(_), .. } => self.note(at, away_told(wish.as_deref())),
            Asked::Look(look, view) => self.looked_up(at, look, &view, reply),
            Asked::HangUp | Asked::Away { view: None, .. } | Asked::Quiet => {}
        }
    }

    fn refused(&mut self, at: Moment, id: &str, asked: Asked, refusal: &Refusal) {
        let exit = Exit::of_code(&refusal.code);
        match asked {
            Asked::Hello => self.not_greeted(at, refusal),
            Asked::Nick(nick) => {
                let text = format!("you cannot be called {nick}: {}", refusal.message);
                self.decline(at, exit, text);
            }
            Asked::Join(room) => self.not_joined(at, &room, refusal),
            Asked::Sent => {
                if self.is_said(id) {
                    self.not_said(refusal);
                }
                self.not_sent(at, id, refusal);
            }
            Asked::Bridge => self.not_bridged(at, refusal),
            Asked::OpenTalk | Asked::Pass if self.is_leaving_talk() => {}
            Asked::OpenTalk | Asked::Pass => self.decline(at, exit, refusal.message.clone()),
            Asked::Older { view, .. } => {
                // A room of which nothing was ever said, or nothing is left.
                let is_empty = refusal.code == "no_such_room";
                self.set_older(&view, if is_empty { Older::None } else { Older::Unknown });
                if !is_empty {
                    self.decline_in(at, &view, exit, refusal.message.clone());
                }
            }
            Asked::Away { wish, before, view } => {
                // What the server does not have is not shown as if it had.
                if self.wanted.away == wish {
                    self.wanted.away = before;
                }
                let view = view.unwrap_or_else(|| self.views.focus().clone());
                self.decline_in(at, &view, exit, refusal.message.clone());
            }
            Asked::Members { shown: Some(view), .. } | Asked::Look(_, view) => {
                self.decline_in(at, &view, exit, refusal.message.clone());
            }
            Asked::Members { shown: None, .. }
            | Asked::TopicOf(_)
            | Asked::Fill { .. }
            | Asked::HangUp
            | Asked::Quiet => {}
        }
    }

    /// We are called so now, in every room.
    fn named(&mut self, at: Moment, nick: &str, reply: &Fields) {
        let text = |name: &str| reply.get(name).and_then(Value::as_str);
        let new = text("nick").unwrap_or(nick).to_owned();
        let before = self.link.nick().unwrap_or_default().to_owned();
        self.link.set_nick(&new);
        self.rename_way();
        for room in self.rooms.values_mut().filter(|room| room.joined == Joined::In) {
            room.rename(&before, &new);
        }
        let address = text("address").map(|address| format!(", at {address}")).unwrap_or_default();
        let since = text("since").map(|since| format!(", named {}", time_shown(at, since)));
        self.note(at, format!("you are {new}{address}{}", since.unwrap_or_default()));
        self.wanted.nick = Some(new);
    }

    /// A room cannot be joined. Its view stays, so that what is typed on for it is not said elsewhere.
    fn not_joined(&mut self, at: Moment, room: &str, refusal: &Refusal) {
        if refusal.code == "shutting_down" {
            return;
        }
        let text = format!("#{room} cannot be joined: {}", refusal.message);
        self.decline(at, Exit::of_code(&refusal.code), text);
        self.rooms.remove(room);
        for message in self.outgoing.take_waiting(room) {
            self.give_up(&message, Mark::refused_for(refusal));
        }
    }
}
