//! The requests of v1: one function for each, and their replies. Those about rooms, messages, people and the administrators' have
//! files of their own.

mod administration;
mod connections;
mod direct;
mod history;
mod messages;
mod people;
mod rooms;
mod talks;
mod topic;

pub(crate) use history::LookUp;
pub(crate) use messages::From;
use messages::Posted;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use proto::reply::{Hello, HelloLimits, Reply};
use proto::vocabulary::{Error, HISTORY_MESSAGES_MAX, VERSION};
use proto::{Dialect, ErrorCode, Nick, Permission, Protocol, Request, RequestId, encode};

use crate::Hub;
use crate::connection::{Client, ConnId, Phase};
use crate::outbox::{Effect, Notice, Outbox};
use crate::rooms::Pending;
use crate::settings::PAGE_ROWS_MAX;
use crate::talks::Wish;
use crate::talks::machine::Input;

impl Hub {
    /// Carries out one request and replies to it, unless its reply has to wait for the store.
    pub(crate) fn request(
        &mut self,
        id: ConnId,
        request: &RequestId,
        what: Request<'_>,
        out: &mut Outbox,
    ) {
        let name = what.kind().row().name;
        let permitted = self.permit(id, &what);
        if permitted.is_err()
            && let Some(by) = self.caller(id)
        {
            out.notice(Notice::Forbidden { id, by, request: name });
        }
        let done = permitted.and_then(|()| self.carry_out(id, request, what, out));
        if let Err(error) = done {
            self.refuse(id, Some(request), &error, out);
        }
    }

    fn carry_out(
        &mut self,
        id: ConnId,
        request: &RequestId,
        what: Request<'_>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        match what {
            Request::Hello { version, agent, nick } => {
                self.hello(id, request, version, (agent.as_deref(), nick.as_ref()), out)
            }
            Request::Ping {} => self.reply_done(id, request, out),
            Request::Nick { nick } => self.nick(id, request, &nick, out),
            Request::Join { room, after } => self.join(id, request, &room, after, out),
            Request::Leave { room } => self.leave_room(id, request, &room, out),
            Request::Post { target, content, content_type, own_id, receipt, nick } => {
                let receipt = receipt.unwrap_or(false);
                let posted = Posted { message_id: own_id, content, content_type, receipt };
                self.post_request(id, request, &target, &posted, nick, out)
            }
            Request::Receipt { message_id } => self.receipt(id, request, message_id, out),
            Request::Tail { rooms, last, since, after } => {
                let rooms = rooms.unwrap_or_default();
                self.tail(id, request, &rooms, messages::From { last, since, after }, out)
            }
            Request::History { room, before, after, since, until, search, limit } => {
                let search = search.map(|words| words.as_ref().into());
                let range = history::HistoryRange { before, after, since, until, search, limit };
                self.history(id, request, &room, range, out)
            }
            Request::Rooms { room, limit } => {
                self.list_rooms(id, request, (room.as_ref(), limit), out)
            }
            Request::Members { room, nick, limit } => {
                self.members(id, request, &room, (nick.as_ref(), limit), out)
            }
            Request::Whois { nick } => self.whois(id, request, &nick, out),
            Request::Topic { room, topic } => self.topic(id, request, &room, topic.as_deref(), out),
            Request::Away { text } => self.away(id, request, text.as_deref(), out),
            Request::Bridge { peer, turns, port } => {
                let turns = turns.unwrap_or_default();
                self.bridge(id, request, Wish { peer, turns, port }, out)
            }
            Request::Unbridge {} => self.end_talk(id, request, Input::Unbridge, out),
            Request::Chat { peer, connected } => {
                self.open_talk(id, request, (peer.as_ref(), connected.unwrap_or(false)), out)
            }
            Request::Say { peer, content, own_id } => {
                self.say_in_talk(id, request, peer.as_ref(), (own_id, &content), out)
            }
            Request::Pass { peer } => self.pass_turn(id, request, peer.as_ref(), out),
            Request::Hangup {} => self.end_talk(id, request, Input::Hangup, out),
            Request::Stats {} => self.reply_stats(id, request, out),
            Request::Connections { slow, beyond, limit } => {
                let page = (slow.unwrap_or(false), beyond, limit);
                self.list_connections(id, request, page, out);
                Ok(())
            }
            Request::Kick { whom, reason } => self.kick(id, request, &whom, reason.as_deref(), out),
            Request::Ban { banned, duration, reason } => {
                self.ban(id, request, (banned, duration, reason.as_deref()), out)
            }
            Request::Unban { banned } => self.unban(id, request, &banned, out),
            Request::Bans {} => self.list_bans(id, request, out),
            Request::Announce { text } => {
                self.announce_all(id, request, &text, out);
                Ok(())
            }
            Request::Reload {} => self.reload_for(id, request, out),
            Request::LogLevel { level } => {
                self.log_level(id, request, level, out);
                Ok(())
            }
            Request::DebugStall { duration } => self.debug_stall(id, request, duration, out),
            Request::Stop {} => self.stop(id, request, out),
        }
    }

    /// The dialect in which a connection is answered: a v0.5 connection that asks v1 requests understands their answers, too.
    pub(crate) fn reply_dialect(&self, id: ConnId) -> Dialect {
        match self.connections.get(id).map(|connection| connection.dialect) {
            Some(Dialect::Native05) => Dialect::NativeV1,
            Some(Dialect::Http) if self.wants_content(id) => Dialect::Content,
            Some(dialect) => dialect,
            None => Dialect::Control,
        }
    }

    /// Replies with an error.
    pub(crate) fn refuse(
        &mut self,
        id: ConnId,
        request: Option<&RequestId>,
        error: &Error,
        out: &mut Outbox,
    ) {
        let bytes = self.encode_refusal(id, request, error);
        self.push_private(id, bytes, out);
    }

    /// Replies with what a request did, however long that is.
    fn reply(&mut self, id: ConnId, request: &RequestId, reply: &Reply<'_>, out: &mut Outbox) {
        let bytes = self.encode_reply(id, request, reply);
        self.push_private(id, bytes, out);
    }

    /// A reply, as who asked understands it.
    pub(crate) fn encode_reply(
        &self,
        id: ConnId,
        request: &RequestId,
        reply: &Reply<'_>,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reply_dialect(id) {
            Dialect::Http | Dialect::Content => self.write_reply(id, reply, &mut bytes),
            // What is told is the stream itself.
            Dialect::Events => {}
            dialect @ (Dialect::Native05
            | Dialect::Control
            | Dialect::NativeV1
            | Dialect::WebSocket) => encode::reply(dialect, Some(request), reply, &mut bytes),
        }
        bytes
    }

    /// An error reply, as who asked understands it.
    pub(crate) fn encode_refusal(
        &self,
        id: ConnId,
        request: Option<&RequestId>,
        error: &Error,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reply_dialect(id) {
            Dialect::Http | Dialect::Content => self.write_error(id, error, &mut bytes),
            Dialect::Events => {}
            dialect @ (Dialect::Native05
            | Dialect::Control
            | Dialect::NativeV1
            | Dialect::WebSocket) => encode::refusal(dialect, request, error, &mut bytes),
        }
        bytes
    }

    /// The end of a page of past messages: its reply.
    pub(crate) fn end_page(
        &self,
        id: ConnId,
        request: &RequestId,
        mut page: Vec<u8>,
        reply: &Reply<'_>,
    ) -> Vec<u8> {
        match self.reply_dialect(id) {
            Dialect::Http => self.write_page(id, page, reply),
            Dialect::Content => self.write_content(id, &page, reply),
            dialect @ (Dialect::Native05
            | Dialect::Control
            | Dialect::NativeV1
            | Dialect::WebSocket
            | Dialect::Events) => {
                encode::reply(dialect, Some(request), reply, &mut page);
                page
            }
        }
    }

    /// Encodes what a look-up found, unless it is more than may wait for the one who asks.
    fn encoded_reply(
        &self,
        id: ConnId,
        request: &RequestId,
        reply: &Reply<'_>,
    ) -> Result<Vec<u8>, Error> {
        let most = self.budget_of(id).max(1024);
        let mut bytes = Vec::new();
        // What is refused costs nearly nothing: nobody has it encoded by not reading.
        if reply.bytes_least() <= most {
            bytes = self.encode_reply(id, request, reply);
        }
        if bytes.is_empty() || bytes.len() > most {
            let text = "The answer is longer than what may wait for one connection; read first, or ask for less.";
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        Ok(bytes)
    }

    /// Encodes a page of what a look-up found: half of it as often as it is more than may wait for the one who asks.
    fn encoded_page<'a, T: Clone>(
        &self,
        id: ConnId,
        request: &RequestId,
        (mut rows, mut more): (Vec<T>, bool),
        reply: impl Fn(Vec<T>, bool) -> Reply<'a>,
    ) -> Result<Vec<u8>, Error> {
        assert!(rows.len() <= PAGE_ROWS_MAX, "a page has so many");
        loop {
            let encoded = self.encoded_reply(id, request, &reply(rows.clone(), more));
            if encoded.is_ok() || rows.len() <= 1 {
                return encoded;
            }
            rows.truncate(rows.len() / 2);
            more = true;
        }
    }

    /// How many bytes of an answer may be queued for a connection: half of what its queue still takes.
    fn budget_of(&self, id: ConnId) -> usize {
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let private = self.connections.get(id).map_or(0, |connection| connection.private);
        limit.saturating_sub(private) / 2
    }

    fn hello(
        &mut self,
        id: ConnId,
        request: &RequestId,
        version: Option<u32>,
        (agent, nick): (Option<&str>, Option<&Nick>),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if let Some(version) = version.filter(|version| *version != VERSION) {
            let text =
                format!("This server speaks version {VERSION} of the vocabulary, not {version}.");
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        if let Some(nick) = nick {
            self.may_be_called(id, nick)?;
        }
        if self.connections.known(id).phase == Phase::Native {
            self.begin_v1(id, out);
        }
        if !self.connections.known(id).phase.is_live() {
            return Ok(());
        }
        if let Some(nick) = nick {
            let renamed = self.rename(id, nick, out);
            assert!(renamed, "a name that may be taken is taken");
        }
        if let Some(agent) = agent {
            self.client(id).agent = Some(agent.into());
        }
        let connection = self.connections.get(id).expect("who asks is there");
        let limited =
            |value: Option<u32>| value.filter(|_| connection.share.is_some()).map(u64::from);
        let settings = &self.settings;
        let limits = HelloLimits {
            message: settings.wire.message,
            line: settings.wire.line(),
            history: HISTORY_MESSAGES_MAX,
            messages_per_second: limited(settings.messages_per_s),
            message_burst: limited(settings.messages_per_s.map(|_| settings.message_burst)),
        };
        let reply = Reply::Hello(Hello {
            server: &settings.server_name,
            version: &settings.version,
            protocol: VERSION,
            session: id.as_u64(),
            nick: connection.nick.as_ref().map(Nick::as_str),
            address: &connection.address.text(),
            default_room: settings.default_room.as_str(),
            history: self.history,
            durability: settings.durability.word(),
            limits,
            features: &[],
        });
        let bytes = self.encoded_reply(id, request, &reply)?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    /// A native connection said `hello`: it has left the lobby until it joins a room, and has a name of its own or a guest's.
    fn begin_v1(&mut self, id: ConnId, out: &mut Outbox) {
        let home = self.rooms.home;
        self.settle_connection(id, out);
        if !self.connections.known(id).phase.is_live() {
            return;
        }
        if !self.connections.known(id).rooms.is_empty() {
            let member = self.exit(id, home);
            self.connections.known(id).gaps -= u32::from(member.gap_from().is_some());
        }
        let connection = self.connections.known(id);
        connection.become_(Phase::V1);
        connection.dialect = Dialect::NativeV1;
        if let Some(nick) = connection.nick.clone() {
            self.announce(home, Pending::Left { conn: id, nick }, out);
        } else {
            let nick = self.guest_name(id);
            let now = self.now;
            let connection = self.connections.known(id);
            connection.nick = Some(nick);
            connection.named = now;
        }
        out.notice(Notice::Decided { id, protocol: Protocol::V1 });
        self.rearm(id);
    }

    /// What the clock on the wall showed at a moment.
    pub(crate) fn wall_at(&self, moment: proto::Now) -> proto::WallTime {
        let ago = i64::try_from(self.now.since(moment).as_micros()).unwrap_or(i64::MAX);
        proto::WallTime::from_micros(self.wall.as_micros().saturating_sub(ago))
    }

    /// What a v1 connection said of itself.
    fn client(&mut self, id: ConnId) -> &mut Client {
        self.connections.known(id).client.get_or_insert_with(Box::default)
    }

    fn reply_done(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let bytes = self.encoded_reply(id, request, &Reply::Done {})?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    fn reply_stats(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let is_admin = self.connections.known(id).rights.allow(Permission::Admin);
        let stats = if is_admin { self.stats_with_names() } else { self.stats() };
        let bytes = self.encoded_reply(id, request, &Reply::Stats { stats: stats.into() })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    fn stop(&mut self, id: ConnId, request: &RequestId, out: &mut Outbox) -> Result<(), Error> {
        let by = self.connections.known(id).nick.clone().expect("administrators have a login name");
        self.reply_done(id, request, out)?;
        out.notice(Notice::StopAsked { id, by });
        out.effect(Effect::Stop);
        Ok(())
    }
}

/// How many rows a page has where a request asks for so many.
fn rows_of_page(limit: Option<u32>) -> usize {
    let asked = limit.and_then(|limit| usize::try_from(limit).ok());
    asked.unwrap_or(PAGE_ROWS_MAX).clamp(1, PAGE_ROWS_MAX)
}

/// An id that names another message.
pub(crate) fn id_conflict() -> Error {
    let text = "Another message has this id; make a new UUID for each message.";
    Error::new(ErrorCode::IdConflict, text)
}
