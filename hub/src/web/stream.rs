//! Server-sent events: a request for what is said in a room becomes a reader that is never heard again.
//!
//! It follows the room as a `tail` does, gets the body that all v1 connections share, and is skipped, told of gaps and replayed to as they
//! are. A browser that comes back names the last event it has, and goes on behind it.

use alloc::vec;
use alloc::vec::Vec;

use proto::http::events::{self, EVENT_STREAM, HELLO, STREAM_FIELDS};
use proto::http::{Content, Response, Status};
use proto::vocabulary::Error;
use proto::{Dialect, Request, RoomName, Seq};

use super::Exchange;
use crate::Hub;
use crate::connection::{ConnId, Phase};
use crate::outbox::Outbox;

impl Hub {
    /// A request becomes a stream of what is said in a room, after a message or from now on. Returns how much work that was.
    pub(super) fn open_stream(
        &mut self,
        id: ConnId,
        room: &RoomName,
        after: Option<Seq>,
        out: &mut Outbox,
    ) -> u32 {
        if let Err(error) = self.may_follow(id, room) {
            self.charge_messages(id, 1);
            self.refuse(id, None, &error, out);
            return 1;
        }
        let head = self.stream_head(id);
        let connection = self.connections.known(id);
        connection.exchange = None;
        connection.session.last_request();
        connection.become_(Phase::Events);
        connection.dialect = Dialect::Events;
        assert!(connection.rooms.is_empty(), "it follows nothing yet");
        assert!(connection.replays.is_none(), "and is replayed nothing");
        self.push_private(id, head, out);
        self.rearm(id);
        if !self.connections.known(id).phase.is_live() {
            return 1;
        }
        let (rooms, last, since) = (Some(vec![room.clone()]), None, None);
        let work = self.ask(id, Request::Tail { rooms, last, since, after }, out);
        self.tell_begin(id, room, after, out);
        work
    }

    /// Tells a reader the place that it begins at, before it is told anything of the room: it has a place to come back to then, whenever
    /// it is cut.
    fn tell_begin(&mut self, id: ConnId, room: &RoomName, after: Option<Seq>, out: &mut Outbox) {
        let Some(no) = self.rooms.find(room) else { return };
        let last = self.rooms.known(no).last_released;
        // Nothing is known to be behind the last message, whatever it asks for.
        let seq = after.map_or(last, |after| after.min(last));
        let mut place = Vec::new();
        events::begins_at((self.history.0, seq), &mut place);
        self.push_private(id, place, out);
    }

    /// Whether a connection that follows nothing may follow a room.
    fn may_follow(&mut self, id: ConnId, room: &RoomName) -> Result<(), Error> {
        self.may_enter(id, 1)?;
        if self.rooms.find(room).is_none() { self.may_make(id, 1) } else { Ok(()) }
    }

    /// What stands before the first event.
    fn stream_head(&self, id: ConnId) -> Vec<u8> {
        let listed = self.exchange(id).and_then(Exchange::readable);
        let mut fields = STREAM_FIELDS.to_vec();
        fields.extend(listed.iter().flatten());
        let response = Response {
            status: Status::Ok,
            content_type: Some(EVENT_STREAM),
            fields: &fields,
            content: Content::UntilClose,
        };
        let mut head = Vec::new();
        response.write(self.last_manner(), &mut head);
        head.extend_from_slice(HELLO);
        head
    }
}
