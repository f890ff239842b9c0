//! Who ran into which limit: a count for each limit, and the latest by name, for the operator.
//!
//! Only those of the last minutes are named, and only so many, so that nobody can fill it. It decides nothing.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use proto::reply::{Hit, LimitHits};
use proto::{Now, Span};

/// So many are named.
const NAMED_MAX: usize = 16;
/// For how long after the last time somebody is named.
const NAMED_FOR: Span = Span::from_secs(600);

/// A limit that somebody ran into, by the key that sets it where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Messages,
    Bytes,
    Fanout,
    StoreQueue,
    Connections,
    ClientsPerIp,
    AcceptRate,
    Control,
    ControlByUser,
    NickChanges,
    Rooms,
    RoomsJoined,
    RoomsMade,
}

impl Limit {
    /// Each of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 13] = [
        Self::Messages,
        Self::Bytes,
        Self::Fanout,
        Self::StoreQueue,
        Self::Connections,
        Self::ClientsPerIp,
        Self::AcceptRate,
        Self::Control,
        Self::ControlByUser,
        Self::NickChanges,
        Self::Rooms,
        Self::RoomsJoined,
        Self::RoomsMade,
    ];

    /// The limit as one word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::Fanout => "fanout",
            Self::StoreQueue => "store_queue",
            Self::Connections => "connections",
            Self::ClientsPerIp => "clients_per_ip",
            Self::AcceptRate => "accept_rate",
            Self::Control => "control",
            Self::ControlByUser => "control_by_user",
            Self::NickChanges => "nick_changes",
            Self::Rooms => "rooms",
            Self::RoomsJoined => "rooms_joined",
            Self::RoomsMade => "rooms_made",
        }
    }
}

/// Somebody who ran into a limit.
#[derive(Debug)]
struct Named {
    limit: Limit,
    who: Box<str>,
    times: u64,
    last: Now,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    counts: LimitHits,
    /// The latest at the end.
    named: VecDeque<Named>,
}

impl Hits {
    /// Somebody ran into a limit.
    pub(crate) fn note(&mut self, limit: Limit, who: &str, now: Now) {
        *self.count(limit) += 1;
        let same = |named: &Named| named.limit == limit && *named.who == *who;
        let before = self.named.iter().position(same).and_then(|at| self.named.remove(at));
        let mut named =
            before.unwrap_or_else(|| Named { limit, who: who.into(), times: 0, last: now });
        named.times += 1;
        named.last = now;
        if self.named.len() == NAMED_MAX {
            self.named.pop_front();
        }
        self.named.push_back(named);
        assert!(self.named.len() <= NAMED_MAX, "only so many are named");
        assert!(self.named.iter().is_sorted_by_key(|named| named.last), "the latest is the last");
    }

    /// How often each limit was hit.
    pub(crate) const fn counts(&self) -> LimitHits {
        self.counts
    }

    /// Who hit one lately, the latest first.
    pub(crate) fn named(&self, now: Now) -> Vec<Hit<'_>> {
        let named = self.named.iter().rev();
        let lately = named.take_while(|named| now.since(named.last) < NAMED_FOR);
        lately
            .map(|named| Hit {
                limit: named.limit.word(),
                who: &named.who,
                times: named.times,
                ago_ms: now.since(named.last).as_millis(),
            })
            .collect()
    }

    /// Forgets who hit none lately.
    pub(crate) fn forget(&mut self, now: Now) {
        while self.named.front().is_some_and(|named| now.since(named.last) >= NAMED_FOR) {
            self.named.pop_front();
        }
    }

    fn count(&mut self, limit: Limit) -> &mut u64 {
        let counts = &mut self.counts;
        match limit {
            Limit::Messages => &mut counts.paused_messages,
            Limit::Bytes => &mut counts.paused_bytes,
            Limit::Fanout => &mut counts.paused_fanout,
            Limit::StoreQueue => &mut counts.paused_store,
            Limit::Connections => &mut counts.refused_connections,
            Limit::ClientsPerIp => &mut counts.refused_clients_per_ip,
            Limit::AcceptRate => &mut counts.refused_accept_rate,
            Limit::Control | Limit::ControlByUser => &mut counts.refused_control,
            Limit::NickChanges => &mut counts.refused_nick_changes,
            Limit::Rooms | Limit::RoomsJoined | Limit::RoomsMade => &mut counts.refused_rooms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_named_for_a_while_and_only_so_many() {
        let at = |seconds: u64| Now::from_micros((1_000 + seconds) * 1_000_000);
        let mut hits = Hits::default();
        for number in 0..40 {
            hits.note(Limit::AcceptRate, &alloc::format!("192.0.2.{number}"), at(number));
        }
        hits.note(Limit::AcceptRate, "192.0.2.30", at(50));
        assert_eq!(hits.counts().refused_accept_rate, 41);
        let named = hits.named(at(60));
        assert_eq!(named.len(), NAMED_MAX);
        assert_eq!((named[0].who, named[0].times, named[0].ago_ms), ("192.0.2.30", 2, 10_000));
        assert_eq!(hits.named(at(640)).len(), 1, "the others are too long ago");
        hits.forget(at(640));
        assert_eq!(hits.named.len(), 1);
    }
}
