//! Who has which nickname: one owner for each name, without regard to case, and of names that look alike one owner for all.

use alloc::collections::BTreeMap;
use alloc::format;

use proto::{Charset, Nick, NickKey, Skeleton};

use crate::connection::ConnId;

/// All nicknames in use.
#[derive(Debug)]
pub(crate) struct Names {
    charset: Charset,
    owners: BTreeMap<NickKey, ConnId>,
    /// What the names look like, where the charset has look-alikes.
    looks: BTreeMap<Skeleton, ConnId>,
    /// The number of the last guest.
    guests: u64,
    /// Who had each name first, for a planted error.
    #[cfg(feature = "planted")]
    first: BTreeMap<NickKey, ConnId>,
}

impl Names {
    /// None, yet.
    pub(crate) fn new(charset: Charset) -> Self {
        Self {
            charset,
            owners: BTreeMap::new(),
            looks: BTreeMap::new(),
            guests: 0,
            #[cfg(feature = "planted")]
            first: BTreeMap::new(),
        }
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

    /// Whether a connection cannot have a name for somebody else's sake.
    pub(crate) fn is_anothers(&self, nick: &Nick, id: ConnId) -> bool {
        self.conflicting(nick).any(|owner| owner != id)
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

    /// A guest name that nobody has.
    pub(crate) fn guest(&mut self, id: ConnId) -> Nick {
        loop {
            self.guests += 1;
            let nick = Nick::parse(&format!("guest-{}", self.guests)).expect("a short plain name");
            if self.take(&nick, id) {
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

    /// Each name has its look, and both have one owner.
    pub(crate) fn check_invariants(&self, nick: impl Fn(ConnId) -> Nick) {
        let looks = if self.charset == Charset::Unicode { self.owners.len() } else { 0 };
        assert_eq!(self.looks.len(), looks, "a look for each name, where there are look-alikes");
        for (look, id) in &self.looks {
            assert_eq!(nick(*id).skeleton(), *look, "a look is that of its owner's name");
        }
        for (key, id) in &self.owners {
            assert_eq!(nick(*id).key(), *key, "a name is filed where it is looked for");
        }
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
            let mut names = Names::new(charset);
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
            let mut names = Names::new(charset);
            assert!(names.take(&Nick::parse("Guest-1").unwrap(), one));
            assert_eq!(names.guest(two).as_str(), "guest-2");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_owner() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        let mut names = Names::new(Charset::Unicode);
        // The second one has a capital i.
        let (real, false_) = (ada("PayPal"), ada("PayPaI"));
        assert!(names.take(&real, one));
        assert!(!names.take(&false_, two));
        assert!(names.is_anothers(&false_, two) && !names.is_anothers(&false_, one));
        assert_eq!((names.owner(&false_), names.conflicting(&false_).next()), (None, Some(one)));
        names.release(&real, one);
        assert!(names.take(&false_, two));
        // Now this one has the case of the one and the look of nobody.
        assert!(names.is_anothers(&ada("paypai"), one));
        let mut plain = Names::new(Charset::Ascii);
        assert!(plain.take(&real, one) && plain.take(&false_, two));
    }

    #[test]
    fn a_guest_steps_aside_for_a_look_alike() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        let mut names = Names::new(Charset::Unicode);
        assert!(names.take(&ada("guest-l"), one));
        assert_eq!(names.guest(two).as_str(), "guest-2");
    }
}
