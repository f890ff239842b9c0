//! Who has which nickname: one owner for each name, without regard to case, and of names that look alike one owner for all. Nobody
//! takes the server's name, nor the login name of somebody who is on the control socket.

use alloc::collections::BTreeMap;
use alloc::format;

use proto::{Charset, Nick, NickKey, Skeleton};

use crate::connection::ConnId;

/// Why a connection cannot have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Somebody else has it.
    Owner,
    /// Somebody else has one that looks like it.
    Alike,
    /// It is the server's, or looks like it: announcements come from there.
    Server,
    /// It is a login name on the control socket, or looks like one: messages to it are for that user.
    Login,
}

/// All nicknames in use.
#[derive(Debug)]
pub(crate) struct Names {
    charset: Charset,
    owners: BTreeMap<NickKey, ConnId>,
    /// What the names look like, where the charset has look-alikes.
    looks: BTreeMap<Skeleton, ConnId>,
    /// The server's name, where it could be a nickname.
    server: Option<(NickKey, Option<Skeleton>)>,
    /// The login names of the control connections, each so often.
    logins: BTreeMap<(NickKey, Option<Skeleton>), usize>,
    /// The number of the last guest.
    guests: u64,
    /// Who had each name first, for a planted error.
    #[cfg(feature = "planted")]
    first: BTreeMap<NickKey, ConnId>,
}

impl Names {
    /// None, yet, on a server of this name.
    pub(crate) fn new(charset: Charset, server: &str) -> Self {
        let mut names = Self {
            charset,
            owners: BTreeMap::new(),
            looks: BTreeMap::new(),
            server: None,
            logins: BTreeMap::new(),
            guests: 0,
            #[cfg(feature = "planted")]
            first: BTreeMap::new(),
        };
        names.reserve_for_server(server);
        names
    }

    /// The server is called so from now on; whoever has that name keeps it.
    pub(crate) fn reserve_for_server(&mut self, server: &str) {
        let server = Nick::parse_in(server.trim(), self.charset).ok();
        self.server = server.map(|server| self.forms(&server));
    }

    /// Who has a name.
    pub(crate) fn owner(&self, nick: &Nick) -> Option<ConnId> {
        self.owners.get(&nick.key()).copied()
    }

    /// Who has a name, and who has one that is taken for it.
    pub(crate) fn conflicting(&self, nick: &Nick) -> impl Iterator<Item = ConnId> {
        let owner = self.owner(nick);
        let alike = self.look(nick).and_then(|look| self.looks.get(&look).copied());
        owner.into_iter().chain(alike.filter(|alike| Some(*alike) != owner))
    }

    /// Why a connection cannot have a name, if it cannot. Who had one before a user of that login name came may keep it.
    pub(crate) fn obstacle(&self, nick: &Nick, id: ConnId) -> Option<Obstacle> {
        let (key, look) = self.forms(nick);
        let owner = self.owners.get(&key).copied();
        let alike = look.as_ref().map(|look| self.looks.get(look).copied());
        let keeps = owner == Some(id) && alike.is_none_or(|alike| alike == Some(id));
        if owner.is_some_and(|owner| owner != id) {
            Some(Obstacle::Owner)
        } else if alike.flatten().is_some_and(|alike| alike != id) {
            Some(Obstacle::Alike)
        } else if keeps {
            None
        } else {
            self.reserved(&key, look.as_ref())
        }
    }

    /// Whose a name is that nobody may take.
    fn reserved(&self, key: &NickKey, look: Option<&Skeleton>) -> Option<Obstacle> {
        let is = |(other, others_look): &(NickKey, Option<Skeleton>)| {
            other == key || look.is_some() && others_look.as_ref() == look
        };
        if self.server.as_ref().is_some_and(is) {
            return Some(Obstacle::Server);
        }
        self.logins.keys().any(is).then_some(Obstacle::Login)
    }

    /// Whether a name is the login name of somebody on the control socket.
    pub(crate) fn is_login(&self, key: &NickKey) -> bool {
        let first = self.logins.range((key.clone(), None)..).next();
        first.is_some_and(|((login, _), _)| login == key)
    }

    /// Whether nobody may take a name.
    pub(crate) fn is_reserved(&self, nick: &Nick) -> bool {
        let (key, look) = self.forms(nick);
        self.reserved(&key, look.as_ref()).is_some()
    }

    /// A user is on the control socket, over one connection more.
    pub(crate) fn login_came(&mut self, login: &Nick) {
        let forms = self.forms(login);
        let count = self.logins.entry(forms).or_insert(0);
        *count += 1;
        assert!(*count > 0, "who came is counted");
    }

    /// One of a user's control connections is gone.
    pub(crate) fn login_went(&mut self, login: &Nick) {
        let forms = self.forms(login);
        let count = self.logins.get_mut(&forms).expect("who goes came");
        assert!(*count > 0, "who is counted is there");
        *count -= 1;
        if *count == 0 {
            self.logins.remove(&forms);
        }
    }

    /// Gives a free name to a connection; false where somebody has it, or one that is taken for it.
    pub(crate) fn take(&mut self, nick: &Nick, id: ConnId) -> bool {
        if self.conflicting(nick).next().is_some() {
            return false;
        }
        let before = self.owners.insert(nick.key(), id);
        assert_eq!(before, None, "a name is taken while it is free");
        #[cfg(feature = "planted")]
        self.first.entry(nick.key()).or_insert(id);
        if let Some(look) = self.look(nick) {
            let before = self.looks.insert(look, id);
            assert_eq!(before, None, "nobody looks like whose name is free");
        }
        true
    }

    /// A name is free again.
    pub(crate) fn release(&mut self, nick: &Nick, id: ConnId) {
        let owner = self.owners.remove(&nick.key());
        assert_eq!(owner, Some(id), "a name is given back by its owner");
        if let Some(look) = self.look(nick) {
            let owner = self.looks.remove(&look);
            assert_eq!(owner, Some(id), "who has a name has its look");
        }
    }

    /// A guest name that nobody has, and that anybody may have.
    pub(crate) fn guest(&mut self, id: ConnId) -> Nick {
        loop {
            self.guests += 1;
            let nick = Nick::parse(&format!("guest-{}", self.guests)).expect("a short plain name");
            if !self.is_reserved(&nick) && self.take(&nick, id) {
                return nick;
            }
        }
    }

    /// The planted error: who had a name first, whoever has it now.
    #[cfg(feature = "planted")]
    pub(crate) fn first_owner(&self, nick: &Nick) -> Option<ConnId> {
        self.first.get(&nick.key()).copied()
    }

    /// The planted error is in no build that is shipped.
    #[cfg(not(feature = "planted"))]
    #[allow(clippy::unused_self, reason = "the shipped build plants nothing")]
    pub(crate) const fn first_owner(&self, _nick: &Nick) -> Option<ConnId> {
        None
    }

    /// How many names are in use.
    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }

    /// Each name has its look, and both have one owner. `logins` control connections have a login name.
    pub(crate) fn check_invariants(&self, logins: usize, nick: impl Fn(ConnId) -> Nick) {
        assert_eq!(self.logins.values().sum::<usize>(), logins, "each login name is counted");
        let looks = if self.charset == Charset::Unicode { self.owners.len() } else { 0 };
        assert_eq!(self.looks.len(), looks, "a look for each name, where there are look-alikes");
        for (look, id) in &self.looks {
            assert_eq!(nick(*id).skeleton(), *look, "a look is that of its owner's name");
        }
        for (key, id) in &self.owners {
            assert_eq!(nick(*id).key(), *key, "a name is filed where it is looked for");
        }
    }

    /// What a name is compared by.
    fn forms(&self, nick: &Nick) -> (NickKey, Option<Skeleton>) {
        (nick.key(), self.look(nick))
    }

    fn look(&self, nick: &Nick) -> Option<Skeleton> {
        match self.charset {
            Charset::Ascii => None,
            Charset::Unicode => Some(nick.skeleton()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada(text: &str) -> Nick {
        Nick::parse_in(text, Charset::Unicode).unwrap()
    }

    #[test]
    fn a_name_has_one_owner_without_regard_to_case() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        for charset in [Charset::Ascii, Charset::Unicode] {
            let mut names = Names::new(charset, "chatd");
            assert!(names.take(&ada("Ada"), one));
            assert!(!names.take(&ada("aDA"), two));
            assert_eq!(names.owner(&ada("ADA")), Some(one));
            names.release(&ada("ada"), one);
            assert!(names.take(&ada("ada"), two));
        }
    }

    #[test]
    fn a_guest_name_is_never_somebodys_nickname() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        for charset in [Charset::Ascii, Charset::Unicode] {
            let mut names = Names::new(charset, "chatd");
            assert!(names.take(&Nick::parse("Guest-1").unwrap(), one));
            assert_eq!(names.guest(two).as_str(), "guest-2");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_owner() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        let mut names = Names::new(Charset::Unicode, "chatd");
        // The second one has a capital i.
        let (real, false_) = (ada("PayPal"), ada("PayPaI"));
        assert!(names.take(&real, one));
        assert!(!names.take(&false_, two));
        assert_eq!(names.obstacle(&false_, two), Some(Obstacle::Alike));
        assert_eq!(names.obstacle(&false_, one), None);
        assert_eq!((names.owner(&false_), names.conflicting(&false_).next()), (None, Some(one)));
        names.release(&real, one);
        assert!(names.take(&false_, two));
        // Now this one has the case of the one and the look of nobody.
        assert_eq!(names.obstacle(&ada("paypai"), one), Some(Obstacle::Owner));
        let mut plain = Names::new(Charset::Ascii, "chatd");
        assert!(plain.take(&real, one) && plain.take(&false_, two));
    }

    #[test]
    fn nobody_takes_the_servers_name_or_one_that_looks_like_it() {
        let one = ConnId::new(1, 1);
        let names = Names::new(Charset::Unicode, " Chat-l ");
        // The second one has a capital i, the third a Cyrillic a.
        for alike in ["CHAT-L", "chat-I", "ch\u{430}t-l"] {
            assert_eq!(names.obstacle(&ada(alike), one), Some(Obstacle::Server), "{alike}");
        }
        let names = Names::new(Charset::Ascii, "Guest-1");
        assert_eq!(names.obstacle(&ada("gUEST-1"), one), Some(Obstacle::Server));
        assert_eq!(names.obstacle(&ada("guest-l"), one), None);
        let mut none = Names::new(Charset::Ascii, "A name that is no nickname: it is long.");
        assert_eq!(none.guest(one).as_str(), "guest-1");
        let mut names = names;
        assert_eq!(names.guest(one).as_str(), "guest-2");
    }

    #[test]
    fn a_login_name_is_free_when_the_last_of_its_user_is_gone() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        let mut names = Names::new(Charset::Unicode, "chatd");
        assert!(names.take(&ada("Root"), one));
        names.login_came(&ada("root"));
        names.login_came(&ada("root"));
        assert_eq!(names.obstacle(&ada("rOOT"), one), None, "it had the name before");
        names.release(&ada("Root"), one);
        names.login_went(&ada("root"));
        assert_eq!(names.obstacle(&ada("r\u{43e}ot"), two), Some(Obstacle::Login));
        names.login_went(&ada("root"));
        assert_eq!(names.obstacle(&ada("root"), two), None);
    }

    /// Its own name in another case may look like what it must not have.
    #[test]
    fn another_case_of_ones_own_name_is_no_way_to_the_servers() {
        let one = ConnId::new(1, 1);
        let mut names = Names::new(Charset::Unicode, "chat-l");
        assert!(names.take(&ada("chat-i"), one));
        assert_eq!(names.obstacle(&ada("CHAT-I"), one), Some(Obstacle::Server));
    }

    #[test]
    fn a_guest_steps_aside_for_a_look_alike() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        let mut names = Names::new(Charset::Unicode, "chatd");
        assert!(names.take(&ada("guest-l"), one));
        assert_eq!(names.guest(two).as_str(), "guest-2");
    }
}
