//! The request `connections`: who is connected, what waits for whom, and why.
//!
//! What the kernel knows of each is asked by an effect, and the reply is made of both in [`Hub::measured`], in the same turn.

use alloc::vec::Vec;

use proto::reply::{Connection as Row, Reply};
use proto::{Dialect, Nick, Now, RequestId};

use super::rows_of_page;
use crate::Hub;
use crate::connection::{ConnId, Connection, Phase};
use crate::outbox::{Effect, Measure, Measured, Outbox};
use crate::queue::Chunk;

impl Hub {
    pub(super) fn list_connections(
        &mut self,
        id: ConnId,
        request: &RequestId,
        (slow, beyond, limit): (bool, Option<u64>, Option<u32>),
        out: &mut Outbox,
    ) {
        // Each costs two questions to the kernel, and a page no more than a millisecond.
        let most = rows_of_page(limit);
        let page = self.connections.iter().filter(|connection| {
            connection.phase != Phase::Closing
                && !self.is_turned_away(connection.id)
                && beyond.is_none_or(|beyond| connection.id.as_u64() > beyond)
                && (!slow || lags(connection))
        });
        let mut page: Vec<ConnId> = page.map(|connection| connection.id).collect();
        page.sort_unstable_by_key(|id| id.as_u64());
        let more = page.len() > most;
        let looked_at = self.connections.len();
        page.truncate(most);
        page.shrink_to_fit();
        // Each of the page is asked of the kernel, twice; the others are only looked at.
        self.has_done(page.len() / 4 + looked_at / 64);
        let request = request.clone();
        out.effect(Effect::Measure(Measure { asker: id, request, more, connections: page }));
    }

    /// The kernel's answer to an [`Effect::Measure`], one for each of its connections in their order.
    pub fn measured(
        &mut self,
        measure: &Measure,
        answers: &[Measured],
        now: Now,
        out: &mut Outbox,
    ) {
        self.tick(now);
        let Measure { asker, request, connections, more } = measure;
        assert_eq!(connections.len(), answers.len(), "each question has its answer");
        if self.connections.get(*asker).is_none_or(|asker| !asker.phase.is_answered()) {
            return;
        }
        let pairs = connections.iter().zip(answers);
        let rows = pairs.filter_map(|(id, measured)| {
            self.connections.get(*id).map(|connection| self.row(connection, *measured))
        });
        let page = (rows.collect(), *more);
        let encoded = self.encoded_page(*asker, request, page, |connections, more| {
            Reply::Connections { connections, more }
        });
        match encoded {
            Ok(bytes) => self.push_private(*asker, bytes, out),
            Err(error) => self.refuse(*asker, Some(request), &error, out),
        }
    }

    fn row<'a>(&'a self, connection: &'a Connection, measured: Measured) -> Row<'a> {
        let millis = |moment: Now| self.now.since(moment).as_millis();
        let waits = !connection.queue.is_empty();
        Row {
            session: connection.id.as_u64(),
            nick: connection.nick.as_ref().map(Nick::as_str),
            address: connection.address.text(),
            protocol: protocol(connection),
            agent: connection.client.as_ref().and_then(|client| client.agent.as_deref()),
            connected_ms: millis(connection.since),
            idle_ms: millis(connection.last_said),
            rooms: connection.rooms.len(),
            pauses: connection.pauses,
            lag_messages: self.lag_messages(connection),
            lag_bytes: connection.queue.bytes(),
            lag_ms: if waits { millis(connection.waiting_since) } else { 0 },
            gaps: connection.gaps,
            kernel_bytes: measured.kernel_bytes,
            rtt_us: measured.rtt_us,
            why: why(connection, measured),
        }
    }

    /// How many messages a connection has not got: those that wait for it, and those that are being left out.
    fn lag_messages(&self, connection: &Connection) -> u64 {
        let mut begun = connection.queue.offset();
        let mut messages = 0;
        for chunk in connection.queue.chunks() {
            if let Chunk::Run(run) = chunk {
                let block = self.blocks.get(run.block);
                messages += u64::from(block.count_messages(&(run.from + begun..run.to)));
            }
            begun = 0;
        }
        if connection.gaps > 0 {
            for no in &connection.rooms {
                let room = self.rooms.known(*no);
                let member = room.member(connection.id).expect("a connection is in its rooms");
                let from = member.gap_from().map_or(u64::MAX, |from| from.0);
                messages += (room.last_released.0 + 1).saturating_sub(from);
            }
        }
        messages
    }
}

/// What a connection speaks, as one word.
pub(super) const fn protocol(connection: &Connection) -> &'static str {
    match (&connection.phase, connection.dialect) {
        (Phase::Undecided, _) => "undecided",
        (_, Dialect::Native05) => "native",
        (_, Dialect::NativeV1) => "v1",
        (_, Dialect::Control) => "control",
        (_, Dialect::WebSocket) => "websocket",
        (_, Dialect::Events) => "events",
        (_, Dialect::Http | Dialect::Content) => "http",
    }
}

/// Whether something waits for it, or is being left out.
fn lags(connection: &Connection) -> bool {
    connection.gaps > 0 || !connection.queue.is_empty()
}

/// Why something waits for a connection; nothing where nothing does, or the kernel does not tell.
fn why(connection: &Connection, measured: Measured) -> Option<&'static str> {
    if connection.gaps > 0 {
        return Some("our limit");
    }
    match (measured.kernel_bytes?, measured.under_way) {
        (0, _) if connection.queue.is_empty() => None,
        (0, _) => Some("our pace"),
        // What is under way has not come there yet; when nothing is, they have closed their window, or read no local socket.
        (_, Some(segments)) if segments > 0 => Some("the network"),
        (_, Some(_) | None) => Some("their window"),
    }
}
