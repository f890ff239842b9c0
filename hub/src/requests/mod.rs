//! The requests of v1: one function for each, and their replies. Those about rooms and messages have files of their own.

mod messages;
mod rooms;

use alloc::format;
use alloc::vec::Vec;

use proto::reply::{Hello, HelloLimits, Reply};
use proto::vocabulary::{Error, HISTORY_MESSAGES_MAX, VERSION};
use proto::{Dialect, ErrorCode, Nick, Request, RequestId, encode};

use crate::Hub;
use crate::connection::{ConnId, Phase};
use crate::outbox::{Effect, Notice, Outbox};

impl Hub {
    /// Carries out one request and replies to it, unless its reply has to wait for the store.
    pub(crate) fn request(
        &mut self,
        id: ConnId,
        request: &RequestId,
        what: Request<'_>,
        out: &mut Outbox,
    ) {
        assert_eq!(
            self.connections.known(id).phase,
            Phase::Control,
            "requests come from v1 connections"
        );
        let done = match what {
            Request::Hello { version, nick, .. } => {
                self.hello(id, request, version, nick.as_ref(), out)
            }
            Request::Nick { .. } => Err(no_nickname_here()),
            Request::Join { room } => self.join(id, request, &room, out),
            Request::Leave { room } => self.leave_room(id, request, &room, out),
            Request::Post { room, message_id, content, nick } => {
                self.post_request(id, request, &room, (message_id, content), nick, out)
            }
            Request::Tail { rooms, last } => self.tail(id, request, &rooms, last, out),
            Request::History { room, range } => self.history(id, request, &room, range, out),
            Request::Members { room } => self.members(id, request, &room, out),
            Request::Rooms => self.list_rooms(id, request, out),
            Request::Ping => self.reply_done(id, request, out),
            Request::Stats => self.reply_stats(id, request, out),
            Request::Stop => self.stop(id, request, out),
        };
        if let Err(error) = done {
            self.refuse(id, Some(request), &error, out);
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
        let mut bytes = Vec::new();
        encode::refusal(Dialect::Control, request, error, &mut bytes);
        self.push_private(id, bytes, out);
    }

    /// Encodes what a look-up found, unless it is more than may wait for the one who asks.
    fn encoded_reply(
        &self,
        id: ConnId,
        request: &RequestId,
        reply: &Reply<'_>,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        encode::reply(Dialect::Control, Some(request), reply, &mut bytes);
        if bytes.len() > self.budget_of(id).max(1024) {
            let text = "The answer is longer than what may wait for one connection; read first, or ask for less.";
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        Ok(bytes)
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
        nick: Option<&Nick>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if let Some(version) = version.filter(|version| *version != VERSION) {
            let text =
                format!("This server speaks version {VERSION} of the vocabulary, not {version}.");
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        if nick.is_some() {
            return Err(no_nickname_here());
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
            address: &connection.address,
            history: self.history,
            durability: "none",
            limits,
            features: &[],
        });
        let bytes = self.encoded_reply(id, request, &reply)?;
        self.push_private(id, bytes, out);
        Ok(())
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
        let bytes = self.encoded_reply(id, request, &Reply::Stats { stats: self.stats() })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    fn stop(&mut self, id: ConnId, request: &RequestId, out: &mut Outbox) -> Result<(), Error> {
        let connection = self.connections.known(id);
        let by = connection.nick.clone().filter(|_| connection.admin);
        let Some(by) = by else {
            return Err(Error::new(
                ErrorCode::Forbidden,
                "Only administrators may end the daemon.",
            ));
        };
        self.reply_done(id, request, out)?;
        out.notice(Notice::StopAsked { id, by });
        out.effect(Effect::Stop);
        Ok(())
    }
}

fn no_nickname_here() -> Error {
    let text = "A control connection takes no nickname: it speaks as its user's login name.";
    Error::new(ErrorCode::BadRequest, text)
}
