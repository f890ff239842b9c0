//! What the server says of the talk.

use super::entry::{Content, Mark, Message, What};
use super::replies::Asked;
use super::talk::{TalkState, turn};
use super::views::folded;
use super::{Model, Moment, News, ViewName, time_of, with};
use crate::client::{Event, Fields};
use jiff::Timestamp;

impl Model {
    /// An event of the talk.
    pub(super) fn talk_heard(&mut self, at: Moment, event: &Event) {
        let peer = event.text("peer").map(str::to_owned);
        if event.name == "talk_message" {
            return self.talk_message(at, event);
        }
        if self.is_leaving_talk() || self.talk.wish.is_none() {
            // It crossed our word that we do not want it any more.
            return;
        }
        match event.name.as_str() {
            "talk_waiting" => {
                let since = event.text("since").and_then(|since| since.parse().ok());
                let since = since.unwrap_or(at.wall);
                self.talk_is(TalkState::Waiting { since, peer }, "the talk ended");
                self.tell_talk(at);
            }
            "talk_ready" => {
                let peer = peer.unwrap_or_default();
                let is_again = self
                    .talk
                    .again
                    .as_ref()
                    .is_some_and(|again| folded(&again.peer) == folded(&peer));
                self.talk_is(TalkState::Ready { peer: peer.clone() }, "the talk ended");
                self.shun(at);
                if !self.talk.is_on() {
                    return;
                }
                self.tell_talk(at);
                self.find_way(at, event, &peer);
                self.news(News::Mention(ViewName::Talk));
                if is_again {
                    self.open_talk(at);
                }
            }
            // The reply to our `chat` has said so.
            "talk_started" if matches!(self.talk.state, TalkState::Open { .. }) => {}
            "talk_started" => {
                self.talk_starts(at, peer.unwrap_or_default(), &event.fields);
                self.news(News::Mention(ViewName::Talk));
            }
            "talk_turn" => {
                self.talk.set_turn(turn(&event.fields));
                let why = event.text("reason").map(|why| format!(" ({why})")).unwrap_or_default();
                let text = format!("{}{why}", self.talk.words());
                self.note_in(at, &ViewName::Talk, text);
            }
            "talk_ended" => self.talk_ended(at, event.text("reason").unwrap_or("")),
            _ => {}
        }
    }

    fn talk_message(&mut self, at: Moment, event: &Event) {
        let from = event.text("from").unwrap_or("?").to_owned();
        let id = event.text("message_id").unwrap_or_default().to_owned();
        self.talk.set_turn(turn(&event.fields));
        self.talk.heard();
        let content = proto::client::content(&event.fields).unwrap_or_default();
        self.put_said(time_of(&event.fields, at), id.clone(), from, content);
        self.ask(at, "receipt", with(Fields::new(), "message_id", id), Asked::Quiet);
    }

    /// Shows what the peer said. By an empty message a program says that this was all.
    pub(super) fn put_said(&mut self, time: Timestamp, id: String, from: String, content: Vec<u8>) {
        self.views.open(&ViewName::Talk, "talk");
        let what = if content.is_empty() {
            What::Note(format!("{from} has no more to say"))
        } else {
            let (content, mark) = (Content::of(content), Mark::None);
            let (is_own, is_mention) = (false, true);
            What::Message(Message { id, from, content, is_own, is_mention, mark })
        };
        self.put(&ViewName::Talk, time, None, what);
    }

    /// The peer is called otherwise.
    pub(super) fn peer_renamed(&mut self, at: Moment, nick: &str, new: &str) {
        let (TalkState::Ready { peer } | TalkState::Open { peer, .. }) = &mut self.talk.state
        else {
            return;
        };
        if folded(peer) == folded(nick) {
            new.clone_into(peer);
            self.rename_way();
            self.note_in(at, &ViewName::Talk, format!("{nick} is now {new}"));
            self.shun(at);
        }
    }
}
