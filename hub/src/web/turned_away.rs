//! Newcomers whose address has used up its share of connections: a few of them are let stand for a moment, so that who asks over HTTP is
//! told which limit it was and when to come again. A script whose connection is closed without a word knows nothing.
//!
//! They are no clients: they are in no room, have no place that is counted, and nothing is done for them. Whoever turns out to speak anything
//! else, and whoever comes while as many stand as may, is closed without a word: see `quotas`, which decides who is over its share.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proto::http::Manner;
use proto::vocabulary::Error;
use proto::{ErrorCode, Now, Protocol, Span, Transport};

use super::Hub;
use super::answer::Answer;
use crate::addresses::Prefix;
use crate::close::CloseReason;
use crate::connection::{ConnId, Peer, Phase};
use crate::outbox::{Outbox, RefusalReason};

/// So many stand at once, whoever they are: enough for some scripts that ask one time after the other, and a flood of newcomers costs no
/// more than that, nor more than a few of the descriptors that are no client's.
pub const TURNED_AWAY_CONNECTIONS_MAX: usize = 16;
/// So long do they have for the head of a request: a slow line's round trips, and no longer than silence tells of v0.5.
pub(crate) const TURNED_AWAY_FOR: Span = Span::from_secs(1);
/// When to come again where an address has as many connections as it may: nobody knows when one of them ends.
const PLACE_AGAIN: Span = Span::from_secs(1);

/// Why somebody is turned away, and when it may come again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    reason: RefusalReason,
    again: Now,
}

/// Those who stand, until they are reaped.
pub(crate) type TurnedAway = BTreeMap<ConnId, Over>;

impl Hub {
    /// A newcomer that is over its address's share is let stand, if it may turn out to speak HTTP and not as many stand already.
    pub(crate) fn let_stand(&mut self, mut peer: Peer, reason: RefusalReason) -> Option<ConnId> {
        if self.turned_away.len() >= TURNED_AWAY_CONNECTIONS_MAX {
            return None;
        }
        let speaks = [Protocol::Http, Protocol::WebSocket];
        let may_ask = speaks.iter().any(|protocol| peer.protocols.has(*protocol));
        // A proxy's connection is not counted before it is known whose it is.
        let ip = peer.ip.filter(|_| peer.transport == Transport::Stream && may_ask)?;
        let again = match reason {
            RefusalReason::AcceptRate => {
                let rate = self.rates.accepts.expect("who connects too often has a rate");
                self.addresses.enters_at(Prefix::of(ip), rate, self.now)
            }
            RefusalReason::ClientsPerIp => self.now.after(PLACE_AGAIN),
            RefusalReason::ConnectionsLimit
            | RefusalReason::ControlLimit
            | RefusalReason::ControlByUser
            | RefusalReason::Banned
            | RefusalReason::Draining => return None,
        };
        peer.ip = None;
        let id = self.connections.insert(peer, self.now);
        self.connections.known(id).become_(Phase::TurnedAway);
        self.turned_away.insert(id, Over { reason, again });
        self.rearm(id);
        assert!(self.turned_away.len() <= TURNED_AWAY_CONNECTIONS_MAX, "few stand");
        Some(id)
    }

    /// Whether a connection is one that is turned away, also when it was told so.
    pub(crate) fn is_turned_away(&self, id: ConnId) -> bool {
        self.turned_away.contains_key(&id)
    }

    /// Who is turned away asks over HTTP, and is told why it has no answer.
    pub(crate) fn tell_turned_away(&mut self, id: ConnId, head_only: bool, out: &mut Outbox) {
        let Over { reason, again } = self.turned_away[&id];
        let (code, text) = if reason == RefusalReason::AcceptRate {
            let text = "This address connects too often (`[limits] accept_rate`); say several things over one connection, or wait.";
            (ErrorCode::RateLimited, text)
        } else {
            let text = "This address has as many connections as one may have (`[limits] clients_per_ip`); close one of them.";
            (ErrorCode::LimitReached, text)
        };
        let least = Span::from_secs(1);
        let retry_after = Some(again.since(self.now).max(least));
        let answer = Answer::error(&Error { retry_after, ..Error::new(code, text) });
        let mut words = Vec::new();
        answer.write(Manner { head_only, ..self.last_manner() }, &[], &mut words);
        self.leave(id, CloseReason::TooMany, words, out);
        assert!(!self.connections.known(id).phase.is_live(), "it is told once");
    }

    /// Sweeps those who stand, in tests.
    pub(crate) fn check_turned_away(&self) {
        assert!(self.turned_away.len() <= TURNED_AWAY_CONNECTIONS_MAX, "only so many stand");
        for id in self.turned_away.keys() {
            let connection = self.connections.get(*id).expect("who stands is there");
            assert!(connection.rooms.is_empty() && connection.nick.is_none(), "it is no client");
            assert!(connection.ip.is_none(), "and counted nowhere");
        }
        let stand = self.connections.iter().filter(|one| one.phase == Phase::TurnedAway);
        for connection in stand {
            assert!(self.is_turned_away(connection.id), "who stands is known");
            assert!(connection.timer.is_some(), "and not for ever");
        }
    }
}
