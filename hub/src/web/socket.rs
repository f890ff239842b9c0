//! A WebSocket: from the upgrade on a connection is a v1 connection, whose requests come in text messages.
//!
//! What is said to it is the body that all v1 connections share, in a frame of its own. Here are its beginning, its end, and the
//! frames that are no messages.

use alloc::vec::Vec;

use proto::ws::{self, Accepted, After};
use proto::{Dialect, Protocol};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Phase};
use crate::outbox::{Notice, Outbox};

impl Hub {
    /// A request became a WebSocket. It has a guest's name until it takes another, and is in no room.
    pub(super) fn open_socket(
        &mut self,
        id: ConnId,
        accepted: &Accepted,
        echoes: bool,
        out: &mut Outbox,
    ) {
        let mut answer = Vec::new();
        accepted.write(self.wall, &mut answer);
        self.connections.known(id).exchange = None;
        self.push_private(id, answer, out);
        if !self.connections.known(id).phase.is_live() {
            return;
        }
        if echoes {
            self.open_echo(id, out);
            return;
        }
        if self.connections.known(id).nick.is_none() {
            let nick = self.guest_name(id);
            self.connections.known(id).nick = Some(nick);
        }
        let now = self.now;
        let connection = self.connections.known(id);
        connection.named = now;
        connection.become_(Phase::V1);
        connection.dialect = Dialect::WebSocket;
        connection.session.upgrade(false);
        assert!(connection.rooms.is_empty(), "it is in no room yet");
        assert!(connection.message.is_empty(), "an upgrade has no body");
        out.notice(Notice::Decided { id, protocol: Protocol::WebSocket });
        self.rearm(id);
    }

    /// What is said is said again, for conformance suites. It is nobody's, and hears nothing else.
    fn open_echo(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        connection.become_(Phase::Echo);
        connection.dialect = Dialect::WebSocket;
        connection.session.upgrade(true);
        assert!(connection.rooms.is_empty(), "it hears no room");
        out.notice(Notice::Decided { id, protocol: Protocol::Echo });
        self.rearm(id);
    }

    /// Something of the echo came. While much of what was said again waits, no more is read.
    pub(crate) fn hear_echo(
        &mut self,
        id: ConnId,
        item: &ws::Item,
        message: &[u8],
        out: &mut Outbox,
    ) {
        let mut words = Vec::new();
        match ws::echo(item, message, &mut words) {
            After::Read => self.push_private(id, words, out),
            After::Close => self.leave(id, CloseReason::SocketClosed, words, out),
        }
        if self.connections.known(id).phase == Phase::Echo {
            self.pause_while_written(id);
        }
    }

    /// A ping, a pong or a close. Whoever closes has its answer and nothing more.
    pub(crate) fn hear_socket(&mut self, id: ConnId, item: &ws::Item, out: &mut Outbox) {
        let mut words = Vec::new();
        match ws::answer(item, &mut words) {
            After::Read if words.is_empty() => {}
            After::Read => self.answer_ping(id, words, out),
            After::Close => self.leave(id, CloseReason::SocketClosed, words, out),
        }
    }

    /// A ping costs as much as the request of that name. Of pings that come faster than their answers are taken the latest is answered (RFC
    /// 6455, section 5.5.3): who asks and does not read makes the server keep one answer.
    fn answer_ping(&mut self, id: ConnId, pong: Vec<u8>, out: &mut Outbox) {
        self.charge_messages(id, 1);
        let connection = self.connections.known(id);
        assert_eq!(connection.dialect, Dialect::WebSocket, "others are not pinged so");
        let (length, first) = (pong.len(), pong.first().copied());
        let is_pong = |before: &[u8]| before.first().copied() == first;
        match connection.queue.replace_last(pong.into_boxed_slice(), is_pong) {
            Ok(before) => {
                connection.private = connection.private - before + length;
                self.private_bytes = self.private_bytes - before + length;
            }
            Err(pong) => self.push_private(id, pong.into_vec(), out),
        }
    }

    /// A WebSocket is closed for something that its peer is told.
    pub(crate) fn close_socket(
        &mut self,
        id: ConnId,
        reason: CloseReason,
        why: &str,
        out: &mut Outbox,
    ) {
        let mut words = Vec::new();
        ws::close(reason.close_code(), why, &mut words);
        self.leave(id, reason, words, out);
    }
}
