//! Who connects from where: how many connections each address has, and how often it connected lately.
//!
//! An address is remembered while it has a connection, and afterwards until its share is whole again; of those that have none
//! only so many are kept. It decides about addresses only; who is exempt, who is behind which proxy, and what a refusal is called, is
//! not its business.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proto::Now;

use crate::bucket::{Bucket, Rate, Share};
use crate::settings::IDLE_ADDRESSES_MAX;

/// What shares a quota: an IPv4 address, or the first half of an IPv6 one, since a subscriber has all of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prefix {
    V4(Ipv4Addr),
    V6(u64),
}

impl Prefix {
    /// Where an address belongs. An IPv4 address in IPv6 clothes is the IPv4 address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let half = address.to_bits() >> 64;
                Self::V6(u64::try_from(half).expect("half of an address has 64 bits"))
            }
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(half) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*half) << 64)),
        }
    }
}

/// What is known of one prefix.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    connections: u32,
    accepts: Bucket,
    /// What was used by all for whom proxies asked.
    share: Share,
}

impl Place {
    /// When it is no other than one that nobody knows.
    fn full_at(&self) -> Now {
        self.accepts.full_at().max(self.share.full_at())
    }
}

/// Why an address may not have one connection more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMany {
    /// It has as many as it may.
    AtOnce,
    /// It connects too often.
    TooOften,
}

/// All addresses that have connections, or had them lately.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    places: BTreeMap<Prefix, Place>,
    /// Those without connections, by when their share is whole again.
    idle: BTreeSet<(Now, Prefix)>,
}

impl Addresses {
    /// One connection more from an address, if it may have it. One that is turned away costs it nothing.
    pub(crate) fn enter(
        &mut self,
        prefix: Prefix,
        most: Option<u32>,
        rate: Option<Rate>,
        now: Now,
    ) -> Result<(), TooMany> {
        let mut place = self.places.get(&prefix).copied().unwrap_or_default();
        if most.is_some_and(|most| place.connections >= most) {
            return Err(TooMany::AtOnce);
        }
        if rate.is_some_and(|rate| place.accepts.waits_until(rate, 1, now).is_some()) {
            return Err(TooMany::TooOften);
        }
        if place.connections == 0 {
            let was_known = self.places.contains_key(&prefix);
            let was_idle = self.idle.remove(&(place.full_at(), prefix));
            assert_eq!(was_known, was_idle, "who is known and has no connection is idle");
        }
        place.connections += 1;
        if let Some(rate) = rate {
            place.accepts.take(rate, 1, now);
        }
        self.places.insert(prefix, place);
        Ok(())
    }

    /// When an address may have one connection more, as far as its rate goes.
    pub(crate) fn enters_at(&self, prefix: Prefix, rate: Rate, now: Now) -> Now {
        let place = self.places.get(&prefix);
        place.and_then(|place| place.accepts.waits_until(rate, 1, now)).unwrap_or(now)
    }

    /// One of its connections counts as one that came just now, if it may.
    ///
    /// # Errors
    /// It connects too often; when it may again.
    pub(crate) fn enter_again(&mut self, prefix: Prefix, rate: Rate, now: Now) -> Result<(), Now> {
        let accepts = &mut self.here(prefix).accepts;
        if let Some(until) = accepts.waits_until(rate, 1, now) {
            return Err(until);
        }
        accepts.take(rate, 1, now);
        Ok(())
    }

    /// What an address that has a connection shares with all for whom proxies ask from there.
    pub(crate) fn share(&mut self, prefix: Prefix) -> &mut Share {
        &mut self.here(prefix).share
    }

    fn here(&mut self, prefix: Prefix) -> &mut Place {
        let place = self.places.get_mut(&prefix).expect("who is counted came");
        assert!(place.connections > 0, "what changes is not on its way to be forgotten");
        place
    }

    /// One of its connections is gone.
    pub(crate) fn leave(&mut self, prefix: Prefix, now: Now) {
        let place = self.places.get_mut(&prefix).expect("who leaves came");
        assert!(place.connections > 0, "each connection leaves once");
        place.connections -= 1;
        if place.connections > 0 {
            return;
        }
        let full_at = place.full_at();
        let fresh = self.idle.insert((full_at, prefix));
        assert!(fresh, "who had a connection was not idle");
        if full_at <= now || self.idle.len() > IDLE_ADDRESSES_MAX {
            self.forget_first();
        }
    }

    /// Forgets at most `budget` addresses that have no connection and whose share is whole again.
    pub(crate) fn forget(&mut self, now: Now, budget: usize) {
        for _ in 0..budget {
            if self.idle.first().is_none_or(|(full_at, _)| *full_at > now) {
                return;
            }
            self.forget_first();
        }
    }

    /// Forgets the idle address that owes least.
    fn forget_first(&mut self) {
        let Some((_, prefix)) = self.idle.pop_first() else { return };
        let place = self.places.remove(&prefix).expect("an idle address is known");
        assert_eq!(place.connections, 0, "only who has no connection is idle");
    }

    /// How many addresses are known.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many connections an address has.
    pub(crate) fn connections(&self, prefix: Prefix) -> u32 {
        self.places.get(&prefix).map_or(0, |place| place.connections)
    }

    /// Sweeps all of it, in tests: `connections` are those of all addresses together.
    pub(crate) fn check(&self, connections: usize) {
        let (mut sum, mut idle) = (0, 0);
        for (prefix, place) in &self.places {
            sum += place.connections as usize;
            if place.connections == 0 {
                idle += 1;
                let known = self.idle.contains(&(place.full_at(), *prefix));
                assert!(known, "an address without connections is on its way to be forgotten");
            }
        }
        assert_eq!(sum, connections, "connections are counted where they come from");
        assert_eq!(idle, self.idle.len(), "only known addresses are idle");
        assert!(idle <= IDLE_ADDRESSES_MAX, "idle addresses have a limit");
    }
}

#[cfg(test)]
mod tests {
    use proto::Span;

    use super::*;
    use crate::settings::Quota;

    fn prefix(address: &str) -> Prefix {
        Prefix::of(address.parse().unwrap())
    }

    fn rate() -> Option<Rate> {
        Rate::of(Some(Quota { count: 1, span: Span::from_secs(1) }), 2)
    }

    fn at(seconds: u64) -> Now {
        Now::from_micros((1_000 + seconds) * 1_000_000)
    }

    #[test]
    fn an_ipv6_address_counts_with_its_network_and_an_ipv4_one_for_itself() {
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(prefix("2001:db8::1"), prefix("2001:db8:0:1::1"));
        assert_ne!(prefix("127.0.0.1"), prefix("127.0.0.2"));
        assert_eq!(prefix("::ffff:127.0.0.1"), prefix("127.0.0.1"));
        assert_eq!(alloc::format!("{}", prefix("2001:db8::1")), "2001:db8::/64");
    }

    #[test]
    fn connections_of_an_address_are_counted_while_they_last() {
        let (mut addresses, home) = (Addresses::default(), prefix("192.0.2.1"));
        let enter = |addresses: &mut Addresses, from| addresses.enter(from, Some(1), None, at(0));
        assert_eq!(enter(&mut addresses, home), Ok(()));
        assert_eq!(enter(&mut addresses, home), Err(TooMany::AtOnce));
        assert_eq!(enter(&mut addresses, prefix("192.0.2.2")), Ok(()));
        addresses.leave(home, at(0));
        assert_eq!(enter(&mut addresses, home), Ok(()));
        addresses.check(2);
    }

    #[test]
    fn an_address_connects_at_its_rate_and_is_then_forgotten() {
        let (mut addresses, home) = (Addresses::default(), prefix("192.0.2.1"));
        for _ in 0..2 {
            assert_eq!(addresses.enter(home, None, rate(), at(0)), Ok(()));
            addresses.leave(home, at(0));
        }
        for _ in 0..100 {
            assert_eq!(addresses.enter(home, None, rate(), at(0)), Err(TooMany::TooOften));
        }
        assert_eq!(addresses.enter(home, None, rate(), at(1)), Ok(()), "a refusal costs nothing");
        addresses.leave(home, at(1));
        addresses.forget(at(2), 10);
        assert_eq!(addresses.len(), 1, "what it owes is remembered");
        addresses.forget(at(3), 10);
        assert_eq!(addresses.len(), 0);
        addresses.check(0);
    }

    #[test]
    fn idle_addresses_have_a_limit_and_who_owes_most_is_kept() {
        let (mut addresses, debtor) = (Addresses::default(), prefix("192.0.2.1"));
        for _ in 0..2 {
            assert_eq!(addresses.enter(debtor, None, rate(), at(0)), Ok(()));
            addresses.leave(debtor, at(0));
        }
        for network in 0..IDLE_ADDRESSES_MAX as u64 + 100 {
            let other = Prefix::V6(network);
            assert_eq!(addresses.enter(other, None, rate(), at(0)), Ok(()));
            addresses.leave(other, at(0));
        }
        assert_eq!(addresses.len(), IDLE_ADDRESSES_MAX);
        assert_eq!(addresses.enter(debtor, None, rate(), at(0)), Err(TooMany::TooOften));
        addresses.check(0);
    }
}
