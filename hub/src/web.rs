//! HTTP: a connection's requests, one after the other, each with its answer, in their order.
//!
//! What a head asks for is decided in `asked`; here the body is put together and the request is carried out, as one of the
//! vocabulary where it is one, so that rights, quotas and budgets are those of every other connection. While an answer is owed the
//! connection is not heard. How answers are written is the business of `answer`.

mod answer;
mod asked;
mod behind;
mod metrics;
mod site;
mod socket;
mod stream;
mod turned_away;

pub(crate) use answer::Answer;
pub(crate) use behind::share_of;
pub use site::Website;
pub use turned_away::TURNED_AWAY_CONNECTIONS_MAX;
pub(crate) use turned_away::{TURNED_AWAY_FOR, TurnedAway};

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use proto::http::origin::readable_by;
use proto::http::response::CONTINUE;
use proto::http::{Asset, BodyLength, Head, Method, Status};
use proto::vocabulary::Error;
use proto::ws::Accepted;
use proto::{
    Command, Dialect, ErrorCode, MessageId, Protocol, Request, RequestId, RoomName, Seq, Target,
};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Connection, Pause, Phase};
use crate::kept::Kept;
use crate::outbox::{Notice, Outbox};

/// The id of a request of the vocabulary that came over HTTP: nobody sees it, and there is one at a time.
const REQUEST_ID: &str = "http";

/// What waits to be written to who asks over HTTP, or hears its echo, before no more is read: what one read may have.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// What a chunk of a queue costs beside its bytes: its place, and its own piece of memory.
const CHUNK_BYTES: usize = 64;

/// A request that is being read or answered.
#[derive(Debug)]
pub(crate) struct Exchange {
    deed: Deed,
    /// The request was HEAD: the answer has no body.
    head_only: bool,
    /// The answer is the connection's last.
    close: bool,
    /// The foreign page that may read the answer.
    origin: Option<Box<str>>,
}

impl Exchange {
    /// What the answer says so that a foreign page can read it, where there is one that may.
    fn readable(&self) -> Option<[(&str, &str); 3]> {
        self.origin.as_deref().map(readable_by)
    }
}

/// What is to be done when a request is whole.
#[derive(Debug)]
enum Deed {
    /// It has this answer, whatever its body says.
    Answer(Answer),
    /// It is a request of the vocabulary.
    Ask(Request<'static>),
    /// Its body is to be said in a room.
    Post {
        room: RoomName,
        /// The message's id, where its author gives one.
        own_id: Option<MessageId>,
        /// What its author says that it is.
        content_type: Option<Box<str>>,
    },
    /// What a message carries is asked for.
    Message { room: RoomName, seq: Seq },
    /// It is a file of the web client.
    File(&'static Asset),
    /// It becomes a stream of events.
    Events { room: RoomName, after: Option<Seq> },
    /// It becomes a WebSocket, of the chat or of the echo.
    Upgrade(Accepted, bool),
    /// It was carried out, and has no answer yet.
    Owed(Owed),
}

/// What is owed to a request that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// What became of a post: it may be stored before anybody knows it.
    Outcome,
    /// What a message carries, as it was posted.
    Content,
    /// Whatever else.
    Reply,
}

impl Deed {
    /// What is owed once this is carried out.
    const fn owes(&self) -> Owed {
        match self {
            Self::Post { .. } => Owed::Outcome,
            Self::Message { .. } => Owed::Content,
            Self::Answer(_)
            | Self::Ask(_)
            | Self::File(_)
            | Self::Events { .. }
            | Self::Upgrade(..)
            | Self::Owed(_) => Owed::Reply,
        }
    }
}

impl Hub {
    /// The request of a connection that is being read or answered.
    fn exchange(&self, id: ConnId) -> Option<&Exchange> {
        self.connections.get(id)?.exchange.as_deref()
    }

    /// The first bytes are an HTTP request: what the lobby said is not for it.
    pub(crate) fn begin_http(&mut self, id: ConnId, out: &mut Outbox) {
        self.drop_backlog(id);
        let now = self.now;
        let connection = self.connections.known(id);
        connection.become_(Phase::Http);
        connection.dialect = Dialect::Http;
        connection.listed = false;
        connection.waiting_since = now;
        assert!(connection.queue.is_empty() && connection.rooms.is_empty(), "it begins anew");
        out.notice(Notice::Decided { id, protocol: Protocol::Http });
        self.rearm(id);
    }

    /// A request begins, with a head of so many bytes; `is_here` says that something of its body came with it. Returns how much work
    /// that was; nothing where it is to be heard again later, since whose it is is known from it, and they have used up their share.
    pub(crate) fn hear_head(
        &mut self,
        id: ConnId,
        head: &Head<'_>,
        (bytes, is_here): (usize, bool),
        out: &mut Outbox,
    ) -> Option<u32> {
        let head_only = head.method == Method::Head;
        if self.is_turned_away(id) {
            self.tell_turned_away(id, head_only, out);
            return Some(1);
        }
        let whose = self.is_whose(id, &head.fields);
        if whose.is_ok() && self.is_between_clients(id) && self.waits_for_share(id, out) {
            return None;
        }
        self.charge_bytes(id, bytes);
        let protocols = self.connections.known(id).protocols;
        let (deed, origin) = match whose {
            Ok(()) => self.asked(head, protocols),
            Err(answer) => (Deed::Answer(answer), None),
        };
        let refuses = matches!(&deed, Deed::Answer(answer) if answer.is_refusal());
        let has_body = head.body != BodyLength::None;
        let waits = has_body && head.expects_continue && !is_here;
        // Who waits for `100 Continue` and is refused may send its body or not: nobody could tell it from the next request.
        // And where only a WebSocket is served, each answer is a refusal.
        let close = !head.keep_alive || (waits && refuses) || !protocols.has(Protocol::Http);
        let connection = self.connections.known(id);
        assert_eq!(connection.phase, Phase::Http, "only who speaks HTTP is heard so");
        assert!(connection.exchange.is_none(), "a request has its answer before the next is read");
        connection.exchange = Some(Box::new(Exchange { deed, head_only, close, origin }));
        if !has_body || (waits && refuses) {
            return Some(self.request_is_whole(id, out));
        }
        if waits {
            self.push_private(id, CONTINUE.to_vec(), out);
        }
        Some(1)
    }

    /// A piece of a request's body came; nothing of it is kept where nobody wants it. Returns how much work that was.
    pub(crate) fn hear_body(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        last: bool,
        out: &mut Outbox,
    ) -> u32 {
        let most = self.settings.wire.message;
        let connection = self.connections.known(id);
        let exchange = connection.exchange.as_ref().expect("a body belongs to a request");
        if matches!(exchange.deed, Deed::Post { .. }) {
            let before = connection.message.capacity();
            connection.message.extend(bytes, most);
            self.kept_bytes += connection.message.capacity() - before;
        }
        if last { self.request_is_whole(id, out) } else { 1 }
    }

    /// A request is carried out; where its answer has to wait, so has the next one.
    fn request_is_whole(&mut self, id: ConnId, out: &mut Outbox) -> u32 {
        let connection = self.connections.known(id);
        let exchange = connection.exchange.as_mut().expect("a request that is read is known");
        let owed = Deed::Owed(exchange.deed.owes());
        let deed = mem::replace(&mut exchange.deed, owed);
        let body = mem::take(&mut connection.message);
        self.kept_bytes -= body.capacity();
        let work = match deed {
            Deed::Answer(answer) => {
                self.charge_messages(id, 1);
                self.answer(id, &answer, out);
                1
            }
            Deed::File(asset) => {
                self.charge_messages(id, 1);
                self.serve(id, asset, out);
                1
            }
            Deed::Ask(request) => self.ask(id, request, out),
            Deed::Post { room, own_id, content_type } => {
                let content_type = content_type.map(|name| Cow::Owned(name.into_string()));
                self.post_body(id, room, own_id, (&body, content_type), out)
            }
            Deed::Message { room, seq } => self.ask_for_message(id, room, seq, out),
            Deed::Events { room, after } => self.open_stream(id, &room, after, out),
            Deed::Upgrade(accepted, echoes) => {
                match self.is_for_one(id) {
                    Ok(()) => self.open_socket(id, &accepted, echoes, out),
                    Err(answer) => {
                        self.charge_messages(id, 1);
                        self.answer(id, &answer, out);
                    }
                }
                1
            }
            Deed::Owed(_) => unreachable!("a request is carried out once"),
        };
        let now = self.now;
        let connection = self.connections.known(id);
        if connection.phase.is_live() && connection.exchange.is_some() {
            connection.pause = Pause::Answer { since: now };
        }
        work
    }

    /// A message is a page of past ones that has no other.
    fn ask_for_message(&mut self, id: ConnId, room: RoomName, seq: Seq, out: &mut Outbox) -> u32 {
        let (after, before) = (Some(Seq(seq.0.saturating_sub(1))), Some(seq.next()));
        let (since, until, search, limit) = (None, None, None, Some(1));
        let request = Request::History { room, before, after, since, until, search, limit };
        self.ask(id, request, out)
    }

    /// Whether a connection waits for what a message carries.
    pub(crate) fn wants_content(&self, id: ConnId) -> bool {
        self.connections.get(id).is_some_and(|connection| owes(connection, Owed::Content))
    }

    fn ask(&mut self, id: ConnId, request: Request<'_>, out: &mut Outbox) -> u32 {
        let name = RequestId::parse(REQUEST_ID).expect("a constant id");
        self.carry_out_frame(id, Command::Request { id: name, request }, out)
    }

    /// Whoever posts over HTTP is a guest, as one who chats over v0.5 without a nickname.
    fn post_body(
        &mut self,
        id: ConnId,
        room: RoomName,
        own_id: Option<MessageId>,
        (body, content_type): (&Kept, Option<Cow<'_, str>>),
        out: &mut Outbox,
    ) -> u32 {
        if self.connections.known(id).nick.is_none() {
            self.name_newcomer(id);
        }
        let own_id = own_id.unwrap_or_else(|| self.new_message_id());
        let (target, content) = (Target::Room(room), Cow::Borrowed(body.bytes()));
        let (receipt, nick) = (None, None);
        let request = Request::Post { target, content, content_type, own_id, receipt, nick };
        self.ask(id, request, out)
    }

    /// Something was queued for a connection: where that was the answer that it is owed, the next request has its turn.
    pub(crate) fn may_be_answered(&mut self, id: ConnId, out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let is_owed = |exchange: &mut Box<Exchange>| matches!(exchange.deed, Deed::Owed(_));
        let Some(exchange) = connection.exchange.take_if(is_owed) else { return };
        if !connection.phase.is_live() {
            return;
        }
        if exchange.close {
            connection.session.last_request();
            self.leave(id, CloseReason::Answered, Vec::new(), out);
            return;
        }
        if matches!(connection.pause, Pause::Answer { .. }) {
            self.go_on(id, out);
            self.rearm(id);
        }
        self.pause_while_written(id);
    }

    /// While much waits to be written to a connection it is not read: what it asks for would wait, too.
    fn pause_while_written(&mut self, id: ConnId) {
        let since = self.now;
        let connection = self.connections.known(id);
        if connection.phase.is_live() && waiting_bytes(connection) > WAITING_BYTES_MAX {
            connection.pause = Pause::Written { since };
        }
    }

    /// Something is written to a connection: who waited for that is read again.
    pub(crate) fn read_on(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        let waits = matches!(connection.pause, Pause::Written { .. });
        if waits && waiting_bytes(connection) <= WAITING_BYTES_MAX {
            self.go_on(id, out);
            self.rearm(id);
        }
    }

    /// A request was not complete in time.
    pub(crate) fn request_is_late(&mut self, id: ConnId, out: &mut Outbox) {
        let message = "The request was not complete in time.";
        let answer = Answer::refused(Status::RequestTimeout, message);
        self.leave_with(id, CloseReason::FrameTimeout, &answer, out);
    }

    /// A connection is to go, not by its own doing: who waits for an answer is told why it has none. Who posted something that
    /// the store has is told nothing: what is refused is not stored, now and later, and nobody knows that of it.
    pub(crate) fn dismiss_http(
        &mut self,
        id: ConnId,
        reason: CloseReason,
        bye: &str,
        out: &mut Outbox,
    ) {
        let connection = self.connections.known(id);
        if connection.exchange.is_none() || owes(connection, Owed::Outcome) {
            self.leave(id, reason, Vec::new(), out);
            return;
        }
        let is_sent_off = matches!(reason, CloseReason::Kicked | CloseReason::Banned);
        let code = if is_sent_off { ErrorCode::Forbidden } else { ErrorCode::ShuttingDown };
        let answer = Answer::error(&Error::new(code, bye));
        self.leave_with(id, reason, &answer, out);
    }

    /// A connection has this as its last answer.
    fn leave_with(&mut self, id: ConnId, reason: CloseReason, answer: &Answer, out: &mut Outbox) {
        let mut words = Vec::new();
        self.connections.known(id).exchange = None;
        answer.write(self.last_manner(), &[], &mut words);
        self.leave(id, reason, words, out);
    }
}

/// Whether a connection is owed this for a request that was carried out.
fn owes(connection: &Connection, what: Owed) -> bool {
    let exchange = connection.exchange.as_ref();
    exchange.is_some_and(|exchange| matches!(&exchange.deed, Deed::Owed(owed) if *owed == what))
}

/// What waits to be written to a connection, and what its pieces cost, of which there may be many small ones.
fn waiting_bytes(connection: &Connection) -> usize {
    connection.queue.bytes() + connection.queue.len() * CHUNK_BYTES
}
