//! The requests of one-to-one talks.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use proto::encode::{self, Content};
use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{Dialect, ErrorCode, Event, MessageId, Nick, RequestId};

use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::Outbox;
use crate::receipts::Wanted;
use crate::talks::Wish;
use crate::talks::machine::{Input, Refused, State, transition};

impl Hub {
    /// Somebody is ready for a talk. Whoever goes with it is found behind the reply.
    pub(super) fn bridge(
        &mut self,
        id: ConnId,
        request: &RequestId,
        wish: Wish,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        if connection.dialect != Dialect::Control && !connection.named_itself {
            let text = "Take a nickname first: nobody can invite a guest.";
            return Err(Error::new(ErrorCode::NoNickname, text));
        }
        let own = connection.nick.as_ref().expect("who speaks v1 has a name").key();
        if wish.peer.as_ref().is_some_and(|peer| peer.key() == own) {
            let text = "That is your own name; name somebody else, or nobody to talk with anyone.";
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        self.settle_peer(id, out);
        self.await_talk(id, wish).map_err(refusal)?;
        let since = self.wall_at(self.now);
        self.reply(id, request, &Reply::Bridge { since }, out);
        self.seek_peer(id, out);
        Ok(())
    }

    /// Somebody takes that back, or hangs up.
    pub(super) fn end_talk(
        &mut self,
        id: ConnId,
        request: &RequestId,
        input: Input,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.settle_peer(id, out);
        let done = self.talk_step(id, input).map_err(refusal)?;
        assert_eq!(self.talks.state(id), State::Registered, "who ends it is out of it");
        self.reply(id, request, &Reply::Done {}, out);
        self.tell_step(id, &done, out);
        Ok(())
    }

    /// Somebody opens the talk, or says so again.
    pub(super) fn open_talk(
        &mut self,
        id: ConnId,
        request: &RequestId,
        (peer, direct): (Option<&Nick>, bool),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.settle_peer(id, out);
        self.is_peer(id, peer)?;
        let is_ready = matches!(self.talks.state(id), State::Ready { .. });
        let peer = self.talks.peer(id);
        if direct && is_ready && peer.is_none_or(|peer| self.direct_address(id, peer).is_none()) {
            let text = "You were told no address of your peer: open the talk without `direct`.";
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        let done = self.talk_step(id, Input::Chat { direct }).map_err(refusal)?;
        let peer = done.peer.expect("a talk has two sides");
        let (turn, direct) = match self.talks.state(id) {
            State::Relayed(turn) => (turn.word(), false),
            State::Direct(turn) => (turn.word(), true),
            State::Registered | State::Waiting | State::Ready { .. } => {
                unreachable!("a talk that was opened is open")
            }
        };
        let peer = self.talker_name(peer);
        self.reply(id, request, &Reply::Chat { peer: peer.as_str(), turn, direct }, out);
        self.tell_step(id, &done, out);
        Ok(())
    }

    /// A message of the talk goes to the peer, and is stored nowhere. Where the peer has too much waiting it is refused, and the
    /// turn stays.
    pub(super) fn say_in_talk(
        &mut self,
        id: ConnId,
        request: &RequestId,
        peer: Option<&Nick>,
        (message_id, content): (MessageId, &[u8]),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.settle_peer(id, out);
        self.is_peer(id, peer)?;
        let pair = self.talks.pair(id);
        transition(pair, Input::Say).map_err(refusal)?;
        let peer = self.talks.peer(id).expect("a talk has two sides");
        let is_known = self.recents.ids.contains_key(&message_id)
            || self.directs.get(message_id).is_some()
            || self.receipts.get(message_id).is_some();
        if is_known {
            return Err(super::id_conflict());
        }
        let name = self.talker_name(peer);
        self.may_take_more(&[peer], &name)?;
        let done = self.talk_step(id, Input::Say).map_err(refusal)?;
        assert_eq!(done.peer, Some(peer), "what is said is for the peer");
        self.deliver_in_talk(id, peer, (message_id, content), out);
        if !self.connections.get(peer).is_some_and(|peer| peer.phase.is_live()) {
            let text = format!("`{name}` reads too slowly and is closed: nothing was delivered.");
            return Err(Error::new(ErrorCode::NotInTalk, text));
        }
        self.await_receipts(message_id, id, Wanted::OneOf(vec![peer]));
        let turn = self.talk_turn_word(id);
        self.reply(id, request, &Reply::Say { message_id, time: self.wall, turn }, out);
        Ok(())
    }

    fn deliver_in_talk(
        &mut self,
        id: ConnId,
        peer: ConnId,
        (message_id, content): (MessageId, &[u8]),
        out: &mut Outbox,
    ) {
        let from = self.talker_name(id);
        let event = Event::TalkMessage {
            from: from.as_str(),
            time: self.wall,
            message_id,
            content: Content(content),
            turn: self.talk_turn_word(peer),
        };
        let mut frame = Vec::new();
        encode::event(self.reply_dialect(peer), &event, &mut frame);
        let bytes = frame.len();
        assert!(bytes > 0, "every v1 dialect has a form for it");
        self.counters.encoded_v1 += 1;
        self.counters.messages += 1;
        self.counters.deliveries += 1;
        self.portion.was_said(bytes);
        self.charge_fanout(id, bytes, 1);
        self.push_private(peer, frame, out);
    }

    /// Somebody gives its turn away.
    pub(super) fn pass_turn(
        &mut self,
        id: ConnId,
        request: &RequestId,
        peer: Option<&Nick>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.settle_peer(id, out);
        self.is_peer(id, peer)?;
        let done = self.talk_step(id, Input::Pass).map_err(refusal)?;
        let turn = self.talk_turn_word(id).expect("what was passed is a turn");
        self.reply(id, request, &Reply::Pass { turn }, out);
        self.tell_step(id, &done, out);
        Ok(())
    }

    /// Refuses what is for somebody who is not the peer any more: what was on its way when a talk ended is not the next peer's.
    fn is_peer(&self, id: ConnId, named: Option<&Nick>) -> Result<(), Error> {
        let (Some(named), Some(peer)) = (named, self.talks.peer(id)) else { return Ok(()) };
        let name = self.talker_name(peer);
        if name.key() == named.key() || self.talks.was_called(peer, named) {
            return Ok(());
        }
        let text = format!("Your peer is `{name}`, not `{named}`; nothing was delivered.");
        Err(Error::new(ErrorCode::NotInTalk, text))
    }

    /// Whose turn it is for a connection, in a word.
    fn talk_turn_word(&self, id: ConnId) -> Option<&'static str> {
        match self.talks.state(id) {
            State::Relayed(turn) | State::Direct(turn) => turn.word(),
            State::Registered | State::Waiting | State::Ready { .. } => None,
        }
    }

    /// The name of one side of a talk.
    fn talker_name(&self, id: ConnId) -> Nick {
        let connection = self.connections.get(id).expect("who is in a talk is there");
        connection.nick.clone().expect("who is in a talk has a name")
    }
}

/// What is told whoever asks for what its state does not allow.
fn refusal(refused: Refused) -> Error {
    let (code, text) = match refused {
        Refused::NotInTalk => {
            (ErrorCode::NotInTalk, "You are in no talk that you could do this in.")
        }
        Refused::NotYourTurn => {
            (ErrorCode::NotYourTurn, "It is the other side's turn; nothing was delivered.")
        }
        Refused::HasPeer => (ErrorCode::BadRequest, "You have found somebody; hang up first."),
        Refused::IsOpen => (ErrorCode::BadRequest, "The talk is open; hang up to end it."),
        Refused::NoTurns => (ErrorCode::BadRequest, "This talk has no turns: write at will."),
        Refused::IsDirect => (
            ErrorCode::BadRequest,
            "This talk goes over your own connection to the peer; write there.",
        ),
    };
    Error::new(code, text)
}
