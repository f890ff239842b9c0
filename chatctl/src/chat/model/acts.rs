//! What the commands do.

use super::answers::away_told;
use super::outgoing::To;
use super::replies::{Asked, Look};
use super::times::Summary;
use super::{Model, Moment, Phase, TalkState, ViewName, with};
use crate::ask::of_room;
use crate::chat::command::{self, Command, Place};
use crate::client::Fields;
use crate::failure::Exit;
use crate::moments;

/// Said where something can only be asked over a connection.
const AWAY: &str = "there is no connection: try again when there is one";

impl Model {
    /// Does what a person typed.
    pub fn act(&mut self, at: Moment, command: Command) {
        let is_quit = command == Command::Quit;
        match command {
            Command::Help(name) => match command::help(name.as_deref()) {
                Ok(lines) => self.note(at, lines.join("\n")),
                Err(why) => self.decline(at, Exit::Usage, why),
            },
            Command::Nick(nick, port) => self.be_called(at, nick, port),
            Command::Join(room) => self.join(at, &room),
            Command::Leave(room) => self.leave(at, room),
            Command::Message(nick, text) => self.direct(at, &nick, text),
            Command::Go(place) => self.go_to(at, place),
            Command::Topic(text) => self.topic(at, text.as_deref()),
            Command::Away(text) => self.be_away(at, text),
            Command::Back => self.be_away(at, String::new()),
            Command::Ignore(nick) => self.ignore_somebody(at, nick),
            Command::Unignore(nick) => {
                let known = self.unignore(&nick);
                let text = if known { "you hear of them again" } else { "they were not ignored" };
                self.note(at, format!("{nick}: {text}"));
            }
            Command::Bridge(wish) => self.bridge(at, wish),
            Command::Unbridge => self.unbridge(at),
            Command::Rtt => self.show_times(at),
            Command::Clear => self.clear(),
            Command::Reconnect => self.reconnect(at),
            Command::Quit => self.quit(at),
            _ if !self.link.is_up() => self.decline(at, Exit::NotReachable, AWAY),
            Command::Who(room) => self.who(at, room),
            Command::Whois(nick) => {
                let fields = with(Fields::new(), "nick", nick);
                self.look(at, "whois", fields, Look::Whois);
            }
            Command::Rooms => self.look(at, "rooms", Fields::new(), Look::Rooms),
            Command::History(count) => self.history(at, count),
            Command::Chat => self.open_talk(at),
            Command::Pass => self.pass(at),
        }
        self.is_leaving &= is_quit;
        self.pump(at);
        self.check_invariants();
    }

    /// What was typed makes no sense, for this reason.
    pub fn misunderstood(&mut self, at: Moment, why: &str) {
        self.decline(at, Exit::Usage, why);
    }

    fn look(&mut self, at: Moment, name: &'static str, fields: Fields, look: Look) {
        let view = self.views.focus().clone();
        self.ask(at, name, fields, Asked::Look(look, view));
    }

    fn be_called(&mut self, at: Moment, nick: String, port: Option<u16>) {
        if let Some(port) = port {
            self.wanted.port = port;
            let text = format!("talks past the server will reach you at port {port}");
            self.note(at, text);
        }
        if self.link.is_up() {
            let fields = with(Fields::new(), "nick", nick.as_str());
            return self.ask(at, "nick", fields, Asked::Nick(nick));
        }
        if self.wanted.nick.is_none() {
            let text = "here you have the name that you logged in with";
            return self.decline(at, Exit::Refused, text);
        }
        self.note(at, format!("you will be called {nick}"));
        self.wanted.nick = Some(nick);
        if matches!(self.link.phase(), Phase::Held { .. }) {
            self.reconnect(at);
        }
    }

    fn join(&mut self, at: Moment, room: &str) {
        let is_new = !self.rooms.contains_key(room);
        self.want_room(room);
        if is_new && self.link.is_up() {
            self.ask_join(at, room);
        } else if is_new {
            self.note(at, format!("#{room} is joined as soon as there is a connection"));
        }
    }

    fn leave(&mut self, at: Moment, room: Option<String>) {
        let view = room.map_or_else(|| self.views.focus().clone(), ViewName::Room);
        match &view {
            ViewName::Room(room) if self.rooms.contains_key(room) => {
                let room = room.clone();
                self.unwant_room(at, &room);
                if self.link.is_up() {
                    self.ask(at, "leave", of_room(&room), Asked::Quiet);
                }
                self.note(at, format!("you left #{room}"));
            }
            ViewName::Room(room) if self.views.view(&view).is_none() => {
                self.decline(at, Exit::Refused, format!("you are not in #{room}"));
            }
            ViewName::Room(_) | ViewName::Nick(_) => self.views.close(&view),
            ViewName::Talk if *self.talk.state() == TalkState::Registered => {
                self.views.close(&view);
            }
            ViewName::Talk => {
                self.decline(at, Exit::Refused, "/unbridge or /quit first: you wait for a talk");
            }
            ViewName::Server => {
                self.decline(at, Exit::Refused, "this view stays; /quit ends it all");
            }
        }
    }

    fn direct(&mut self, at: Moment, nick: &str, text: Option<String>) {
        let view = ViewName::of_nick(nick);
        self.views.open(&view, &format!("@{nick}"));
        match text {
            Some(text) => self.say_to(at, To::Nick(nick.to_owned()), text.into_bytes()),
            None => self.views.see(&view),
        }
    }

    fn go_to(&mut self, at: Moment, place: Option<Place>) {
        let Some(place) = place else { return self.show_views(at) };
        let view = match place {
            Place::Server => ViewName::Server,
            Place::Talk => ViewName::Talk,
            Place::Room(room) => self.numbered(&room).unwrap_or(ViewName::Room(room)),
            Place::Nick(nick) => {
                let view = ViewName::of_nick(&nick);
                self.views.open(&view, &format!("@{nick}"));
                view
            }
        };
        if self.views.view(&view).is_some() {
            self.views.see(&view);
        } else {
            let help = if view == ViewName::Talk { "/bridge waits for one" } else { "/join it" };
            self.decline(at, Exit::NotFound, format!("there is no such view: {help}"));
        }
    }

    /// The view with this number, unless a room is called so.
    fn numbered(&self, room: &str) -> Option<ViewName> {
        let number = room.parse::<usize>().ok()?.checked_sub(1)?;
        let is_room = self.views.view(&ViewName::Room(room.to_owned())).is_some();
        let (name, _) = self.views.iter().nth(number).filter(|_| !is_room)?;
        Some(name.clone())
    }

    fn topic(&mut self, at: Moment, text: Option<&str>) {
        let Some(room) = self.views.focus().room().map(str::to_owned) else {
            return self.decline(at, Exit::Refused, "this view is no room");
        };
        if !self.link.is_up() {
            return self.decline(at, Exit::NotReachable, AWAY);
        }
        let fields = of_room(&room);
        let fields = match text {
            Some("-") => with(fields, "topic", ""),
            Some(text) => with(fields, "topic", text),
            None => fields,
        };
        self.look(at, "topic", fields, Look::Topic);
    }

    fn be_away(&mut self, at: Moment, text: String) {
        let wish = Some(text).filter(|text| !text.is_empty());
        let before = std::mem::replace(&mut self.wanted.away, wish.clone());
        if !self.link.is_up() {
            return self.note(at, away_told(wish.as_deref()));
        }
        let fields = with(Fields::new(), "text", wish.as_deref().unwrap_or_default());
        let view = Some(self.views.focus().clone());
        self.ask(at, "away", fields, Asked::Away { wish, before, view });
    }

    fn ignore_somebody(&mut self, at: Moment, nick: Option<String>) {
        let all: Vec<_> = self.ignored().collect();
        let text = match &nick {
            Some(nick) => format!("you hear nothing of {nick} any more"),
            None if all.is_empty() => "you ignore nobody".to_owned(),
            None => format!("you ignore {}", all.join(", ")),
        };
        if let Some(nick) = nick {
            self.ignore(&nick);
        }
        self.note(at, text);
        self.shun(at);
    }

    fn show_times(&mut self, at: Moment) {
        let shown = |what: &str, summary: Option<Summary>| match summary {
            None => format!("{what}: none yet"),
            Some(Summary { count, p50, p99 }) => {
                let (p50, p99) = (p50.as_micros(), p99.as_micros());
                let (p50, p99) = (moments::span_shown(p50), moments::span_shown(p99));
                format!("{what}: p50 {p50}, p99 {p99}, of {count}")
            }
        };
        let (stored, delivered) = (self.stored.summary(), self.delivered.summary());
        let text =
            [shown("to the reader and back", delivered), shown("to the server and back", stored)];
        self.note(at, text.join("\n"));
    }

    fn clear(&mut self) {
        let focus = self.views.focus().clone();
        if let Some(view) = self.views.view_mut(&focus) {
            view.log.clear();
            view.first_unread = None;
            view.older = super::Older::Unknown;
            view.came_from = None;
        }
    }

    fn who(&mut self, at: Moment, room: Option<String>) {
        let view = self.views.focus().clone();
        match room.or_else(|| view.room().map(str::to_owned)) {
            Some(room) => self.ask_members(at, &room, Some(view)),
            None => self.decline(at, Exit::Refused, "this view is no room: /who ROOM"),
        }
    }

    fn history(&mut self, at: Moment, count: u32) {
        let focus = self.views.focus().clone();
        let older = self.views.view(&focus).map(|view| view.older);
        match older {
            _ if focus.room().is_none() => {
                self.decline(at, Exit::Refused, "this view is no room: nobody keeps it");
            }
            Some(super::Older::None) => self.note(at, "there is nothing older"),
            _ => self.ask_older(at, &focus, count),
        }
    }

    /// Ends the talk, or the waiting for one; where there is neither, all of it. What is not sent is given up when it is said twice.
    fn quit(&mut self, at: Moment) {
        if self.hang_up(at) {
            return;
        }
        let unsent = self.outgoing.len();
        if unsent > 0 && !std::mem::replace(&mut self.is_leaving, true) {
            let text = format!("{unsent} not sent yet; /quit once more gives it up");
            return self.note(at, text);
        }
        self.has_ended = true;
    }
}
