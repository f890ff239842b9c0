//! Who is kept out: nicknames and networks, for good or for so long, in memory.
//!
//! The list decides nothing about who is here: whom a ban concerns is closed in `requests`. Peers are asked about it where they
//! come and where they take a name; whoever is on the control socket is the kernel's to let in, and no ban concerns it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use core::net::IpAddr;

use proto::vocabulary::Error;
use proto::{Banned, Charset, Dialect, ErrorCode, Network, Nick, NickKey, Now, Skeleton, WallTime};

use crate::Hub;
use crate::connection::{ConnId, Phase};
use crate::planted::Planted;

/// So many are kept out: a list that a person can read.
pub(crate) const BANS_MAX: usize = 100;

/// What is compared of what is kept out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Nick(NickKey),
    Network(Network),
}

impl Key {
    fn of(banned: &Banned) -> Self {
        match banned {
            Banned::Nick(nick) => Self::Nick(nick.key()),
            Banned::Network(network) => Self::Network(*network),
        }
    }
}

/// When a ban ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Now,
    /// The same moment for people; it does not move with the clock on the wall.
    pub(crate) shown: WallTime,
}

/// Somebody who is kept out.
#[derive(Debug)]
pub(crate) struct Ban {
    pub(crate) banned: Banned,
    pub(crate) until: Option<End>,
    /// Why; empty where nobody said.
    pub(crate) reason: Box<str>,
    /// Which administrator said so.
    pub(crate) by: Nick,
}

impl Ban {
    fn is_over(&self, now: Now) -> bool {
        self.until.is_some_and(|end| end.at <= now)
    }
}

/// A ban, and what the nickname that it keeps out looks like: that is long to compute, and asked of each name that is taken.
#[derive(Debug)]
struct Entry {
    ban: Ban,
    look: Option<Skeleton>,
}

impl Entry {
    fn of(ban: Ban) -> Self {
        let look = match &ban.banned {
            Banned::Nick(nick) => Some(nick.skeleton()),
            Banned::Network(_) => None,
        };
        Self { ban, look }
    }
}

/// Everybody who is kept out.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    entries: BTreeMap<Key, Entry>,
}

impl Bans {
    /// Keeps somebody out, in the place of what was said of the same before; false where there are as many as there may be.
    pub(crate) fn put(&mut self, ban: Ban, now: Now) -> bool {
        self.entries.retain(|_, entry| !entry.ban.is_over(now));
        let key = Key::of(&ban.banned);
        if self.entries.len() == BANS_MAX && !self.entries.contains_key(&key) {
            return false;
        }
        assert!(!ban.is_over(now), "a ban holds for some time");
        self.entries.insert(key, Entry::of(ban));
        assert!(self.entries.len() <= BANS_MAX, "only so many are kept out");
        true
    }

    /// Lets somebody in again; false where nobody kept it out.
    pub(crate) fn lift(&mut self, banned: &Banned, now: Now) -> bool {
        self.entries.remove(&Key::of(banned)).is_some_and(|entry| !entry.ban.is_over(now))
    }

    /// Everybody who is kept out now.
    pub(crate) fn iter(&self, now: Now) -> impl Iterator<Item = &Ban> {
        self.entries.values().map(|entry| &entry.ban).filter(move |ban| !ban.is_over(now))
    }

    /// A ban of a nickname, or of one that is taken for it.
    pub(crate) fn of_nick(&self, nick: &Nick, charset: Charset, now: Now) -> Option<&Ban> {
        let same = self.entries.get(&Key::Nick(nick.key()));
        if let Some(entry) = same.filter(|entry| !entry.ban.is_over(now)) {
            return Some(&entry.ban);
        }
        if charset == Charset::Ascii || self.entries.is_empty() {
            return None;
        }
        let look = Some(nick.skeleton());
        let mut entries = self.entries.values().filter(|entry| !entry.ban.is_over(now));
        entries.find(|entry| entry.look == look).map(|entry| &entry.ban)
    }

    /// A ban of a network that an address is in.
    pub(crate) fn of_address(&self, address: IpAddr, now: Now) -> Option<&Ban> {
        self.iter(now).find(|ban| match &ban.banned {
            Banned::Nick(_) => false,
            Banned::Network(network) => network.contains(address),
        })
    }
}

impl Hub {
    /// Whether nobody may come from there.
    pub(crate) fn is_address_banned(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.bans.of_address(address, self.now).is_some())
    }

    /// Whether nobody may have this name, and what to tell who wants it.
    pub(crate) fn nick_is_not_banned(&self, nick: &Nick) -> Result<(), Error> {
        let charset = self.settings.wire.charset;
        if self.settings.plants(Planted::BanForgotten) {
            return Ok(());
        }
        let Some(ban) = self.bans.of_nick(nick, charset, self.now) else { return Ok(()) };
        let text = match &*ban.reason {
            "" => format!("The nickname `{nick}` is banned; choose another."),
            reason => format!("The nickname `{nick}` is banned: {reason}"),
        };
        Err(Error::new(ErrorCode::Forbidden, text))
    }

    /// A guest name that nobody has, and that nobody is kept from.
    pub(crate) fn guest_name(&mut self, id: ConnId) -> Nick {
        loop {
            let nick = self.names.guest(id);
            if self.nick_is_not_banned(&nick).is_ok() {
                return nick;
            }
            self.names.release(&nick, id);
        }
    }

    /// Who is here and would be kept out, in tests.
    pub(crate) fn check_bans(&self) {
        assert!(self.bans.entries.len() <= BANS_MAX, "only so many are kept out");
        for (key, entry) in &self.bans.entries {
            assert_eq!(*key, Key::of(&entry.ban.banned), "a ban is filed where it is looked for");
        }
        let tcp = self.connections.iter().filter(|connection| {
            connection.dialect != Dialect::Control
                && connection.phase.is_live()
                && !self.farewells.concern(connection.id)
        });
        for connection in tcp {
            assert_ne!(connection.phase, Phase::Control, "who came over TCP stays so");
            assert!(!self.is_address_banned(connection.ip), "nobody is here from a banned address");
            let nick = connection.nick.as_ref();
            let banned = nick.is_some_and(|nick| self.nick_is_not_banned(nick).is_err());
            assert!(!banned, "nobody has a banned name");
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::Span;

    use super::*;

    const NOW: Now = Now::from_micros(1_000_000);

    fn nick(text: &str) -> Banned {
        Banned::Nick(Nick::parse(text).unwrap())
    }

    fn network(text: &str) -> Banned {
        Banned::Network(text.parse().unwrap())
    }

    fn ban(banned: Banned, seconds: Option<u64>) -> Ban {
        let end = |span| End { at: NOW.after(span), shown: WallTime::default() };
        let until = seconds.map(|seconds| end(Span::from_secs(seconds)));
        Ban { banned, until, reason: "".into(), by: Nick::parse("root").unwrap() }
    }

    #[test]
    fn a_ban_is_found_whatever_the_case_and_the_host_bits_and_until_it_ends() {
        let mut bans = Bans::default();
        assert!(bans.put(ban(nick("Ada"), Some(10)), NOW));
        assert!(bans.put(ban(network("192.0.2.77/24"), None), NOW));
        let ada = Nick::parse("aDA").unwrap();
        assert!(bans.of_nick(&ada, Charset::Ascii, NOW).is_some());
        let later = NOW.after(Span::from_secs(10));
        assert!(bans.of_nick(&ada, Charset::Ascii, later).is_none(), "it is over");
        assert!(!bans.lift(&nick("ada"), later), "and cannot be lifted");
        assert!(bans.of_address("192.0.2.1".parse().unwrap(), later).is_some());
        assert!(bans.of_address("::ffff:192.0.2.1".parse().unwrap(), later).is_some());
        assert!(bans.of_address("192.0.3.1".parse().unwrap(), later).is_none());
        assert!(bans.lift(&network("192.0.2.0/24"), later));
        assert_eq!(bans.iter(later).count(), 0);
    }

    #[test]
    fn of_names_that_look_alike_all_are_kept_out_in_a_charset_that_has_such() {
        let name = |text: &str| Nick::parse_in(text, Charset::Unicode).unwrap();
        let mut bans = Bans::default();
        assert!(bans.put(ban(Banned::Nick(name("PayPal")), Some(10)), NOW));
        assert!(bans.put(ban(network("192.0.2.0/24"), None), NOW));
        // The one has a capital i, the other a Cyrillic a.
        for alike in ["PayPaI", "P\u{430}yPal"] {
            assert!(bans.of_nick(&name(alike), Charset::Unicode, NOW).is_some(), "{alike}");
            assert!(bans.of_nick(&name(alike), Charset::Ascii, NOW).is_none(), "{alike}");
            let later = NOW.after(Span::from_secs(10));
            assert!(bans.of_nick(&name(alike), Charset::Unicode, later).is_none(), "{alike}");
        }
        assert!(bans.of_nick(&name("ada"), Charset::Unicode, NOW).is_none());
    }

    #[test]
    fn there_are_so_many_and_those_that_are_over_make_room() {
        let mut bans = Bans::default();
        for number in 0..100 {
            assert!(bans.put(ban(nick(&format!("n{number}")), Some(10)), NOW));
        }
        assert!(!bans.put(ban(nick("ada"), None), NOW));
        assert!(bans.put(ban(nick("N7"), None), NOW), "the same again is no more");
        let later = NOW.after(Span::from_secs(10));
        assert!(bans.put(ban(nick("ada"), None), later));
        assert_eq!(bans.entries.len(), 2);
    }
}
