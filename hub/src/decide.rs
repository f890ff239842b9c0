//! One command, applied: what v0.5 peers say. The requests of v1 are in `requests`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proto::vocabulary::Error;
use proto::{Command, ErrorCode, Guid, MessageId, Nick, Protocol, Request, native};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Phase};
use crate::outbox::{Notice, Outbox};
use crate::planted::Planted;
use crate::publish::Draft;
use crate::quotas::too_many_names;
use crate::rooms::{Pending, Standing};
use crate::settings::Anonymous;

/// What a v0.5 client is told whose wished name somebody has: to the byte what the published server says.
const TAKEN: &str = "Nickname already taken.";

impl Hub {
    /// Applies one command of a connection.
    pub(crate) fn decide(&mut self, id: ConnId, command: Command<'_>, out: &mut Outbox) {
        if !self.is_served(id, &command, out) {
            return;
        }
        let is_v1 = is_v1(&command);
        let connection = self.connections.known(id);
        if connection.phase == Phase::Native && connection.nick.is_none() {
            // Who asked and was refused may ask again, and gives signs of life until then.
            let is_silent = command == Command::Keepalive && connection.client.is_some();
            if is_v1 {
                connection.client.get_or_insert_default();
            } else if !is_silent {
                self.introduce(id, out);
            }
        }
        if says_something(&command) {
            self.connections.known(id).last_said = self.now;
        }
        match command {
            Command::Keepalive | Command::Ignored => {}
            Command::Chat { .. } | Command::SetNickname { .. }
                if self.connections.known(id).phase == Phase::V1 =>
            {
                let text = "The connection speaks v1: use `post` and `nick` in frames of type 16.";
                self.refuse(id, None, &Error::new(ErrorCode::BadRequest, text), out);
            }
            Command::Chat { text } => self.chat(id, text, out),
            Command::SetNickname { request, nick } => self.set_nickname(id, request, nick, out),
            Command::Request { id: request, request: what } => {
                self.request(id, &request, what, out);
            }
            Command::BadRequest { id: request, error } => {
                self.refuse(id, request.as_ref(), &error, out);
            }
        }
    }

    fn chat(&mut self, id: ConnId, content: &[u8], out: &mut Outbox) {
        if content.len() > self.settings.wire.message {
            self.close(id, CloseReason::TooLarge, out);
            return;
        }
        let nick = self.connections.known(id).nick.clone();
        let from = nick.expect("who is shown has a name");
        let message = (self.rooms.home, self.new_message_id());
        self.post(Draft::of_v05(message, (id, from), content), out);
    }

    /// An id for a message whose author gives none.
    pub(crate) fn new_message_id(&mut self) -> MessageId {
        let mut message_id = self.random.message_id();
        while self.recents.ids.contains_key(&message_id) || self.directs.get(message_id).is_some() {
            message_id = self.random.message_id();
        }
        message_id
    }

    /// Requests are answered in order, each; a name holds from its Ack on, and the old one is free at once.
    fn set_nickname(&mut self, id: ConnId, request: Guid, nick: &[u8], out: &mut Outbox) {
        let taken = Nick::parse_bytes(nick, self.settings.wire.charset);
        let taken = taken.map_err(|error| error.to_string());
        let taken = taken.and_then(|nick| self.take_nickname(id, &nick, out));
        let mut answer = Vec::new();
        match taken {
            Ok(()) => native::ack(request, &mut answer),
            Err(text) => native::nak(request, &text, &mut answer),
        }
        self.push_private(id, answer, out);
    }

    fn take_nickname(&mut self, id: ConnId, nick: &Nick, out: &mut Outbox) -> Result<(), String> {
        // First the quota: what the others look at is long to compute.
        if let Some(waits) = self.nick_change_waits(id, nick) {
            return Err(too_many_names(waits).message);
        }
        self.nick_is_not_banned(nick).map_err(|error| error.message)?;
        if self.names.obstacle(nick, id).is_some() {
            return Err(TAKEN.to_string());
        }
        let renamed = self.rename(id, nick, out);
        assert!(renamed, "a name that may be taken is taken");
        Ok(())
    }

    /// Gives a connection another name; false where somebody else has it.
    pub(crate) fn rename(&mut self, id: ConnId, nick: &Nick, out: &mut Outbox) -> bool {
        if self.names.obstacle(nick, id).is_some() {
            return false;
        }
        let now = self.now;
        let connection = self.connections.known(id);
        let before = connection.nick.replace(nick.clone());
        let before = before.expect("who is shown has a name");
        connection.named_itself = true;
        self.names.release(&before, id);
        let taken = self.names.take(nick, id);
        assert!(taken, "a name that is its own or nobody's can be taken");
        if before == *nick {
            return true;
        }
        self.connections.known(id).named = now;
        self.charge_nick_change(id);
        out.notice(Notice::Named { id, nick: nick.clone() });
        let rooms = self.connections.known(id).rooms.clone();
        for no in rooms {
            let member = self.rooms.known(no).member(id);
            if member.is_some_and(|member| member.standing.is_shown()) {
                let (nick, new_nick) = (before.clone(), nick.clone());
                self.announce(no, Pending::Renamed { conn: id, nick, new_nick }, out);
            }
        }
        self.talker_renamed(id, &before, out);
        true
    }

    /// A v0.5 connection is shown from now on: it gets a name, and the lobby hears of it.
    pub(crate) fn introduce(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        assert_eq!(connection.phase, Phase::Native, "only who has decided is shown");
        assert!(connection.nick.is_none(), "it is shown once");
        let nick = self.name_newcomer(id);
        out.notice(Notice::Decided { id, protocol: Protocol::Native });
        let home = self.rooms.home;
        self.rooms.known_mut(home).stand(id, Standing::Joined);
        self.announce(home, Pending::Joined { conn: id, nick }, out);
    }

    /// Whoever gave itself no name has one from now on.
    pub(crate) fn name_newcomer(&mut self, id: ConnId) -> Nick {
        let connection = self.connections.known(id);
        let endpoint = match self.settings.anonymous {
            Anonymous::Endpoint => Nick::parse(&connection.address.text()).ok(),
            Anonymous::Guest => None,
        };
        let endpoint = endpoint.filter(|nick| self.nick_is_not_banned(nick).is_ok());
        let endpoint = endpoint.filter(|nick| !self.names.is_reserved(nick));
        let endpoint = endpoint.filter(|nick| self.names.take(nick, id));
        let nick = endpoint.unwrap_or_else(|| self.guest_name(id));
        let now = self.now;
        let connection = self.connections.known(id);
        connection.nick = Some(nick.clone());
        connection.named = now;
        nick
    }

    /// What was held of the lobby is let through, in order.
    pub(crate) fn release_backlog(&mut self, id: ConnId, next: Phase, out: &mut Outbox) {
        if !self.may_speak_for_itself(id, out) {
            return;
        }
        let (now, home) = (self.now, self.rooms.home);
        let reverses = self.settings.plants(Planted::BacklogOrder);
        let connection = self.connections.known(id);
        let was_held = connection.phase == Phase::Undecided;
        connection.become_(next);
        if was_held {
            connection.held_frames = 0;
            connection.waiting_since = now;
            if reverses {
                connection.queue.reverse();
            }
            if !connection.rooms.is_empty() {
                self.rooms.known_mut(home).stand(id, Standing::Following);
            }
            self.list(id, out);
        }
        self.rearm(id);
    }

    /// A foreign protocol: what the lobby said is not for it, and it is no member any more.
    pub(crate) fn drop_backlog(&mut self, id: ConnId) {
        let connection = self.connections.known(id);
        assert!(connection.nick.is_none(), "it was never shown");
        if !connection.rooms.is_empty() {
            self.exit(id, self.rooms.home);
        }
        self.forget_queue(id);
    }
}

/// Whether a command is one of v1.
pub(crate) const fn is_v1(command: &Command<'_>) -> bool {
    matches!(command, Command::Request { .. } | Command::BadRequest { .. })
}

/// Whether somebody does something, and does not only show that it is there.
const fn says_something(command: &Command<'_>) -> bool {
    match command {
        Command::Keepalive | Command::Ignored | Command::BadRequest { .. } => false,
        Command::Request { request, .. } => !matches!(request, Request::Ping {}),
        Command::Chat { .. } | Command::SetNickname { .. } => true,
    }
}
