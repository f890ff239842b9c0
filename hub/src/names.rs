//! Who has which nickname: one owner for each name, without regard to case.

use alloc::collections::BTreeMap;
use alloc::format;

use proto::{Nick, NickKey};

use crate::connection::ConnId;

/// All nicknames in use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    owners: BTreeMap<NickKey, ConnId>,
    /// The number of the last guest.
    guests: u64,
}

impl Names {
    /// Who has a name.
    pub(crate) fn owner(&self, nick: &Nick) -> Option<ConnId> {
        self.owners.get(&nick.key()).copied()
    }

    /// Gives a free name to a connection; false where somebody has it.
    pub(crate) fn take(&mut self, nick: &Nick, id: ConnId) -> bool {
        let key = nick.key();
        if self.owners.contains_key(&key) {
            return false;
        }
        self.owners.insert(key, id);
        true
    }

    /// A name is free again.
    pub(crate) fn release(&mut self, nick: &Nick, id: ConnId) {
        let owner = self.owners.remove(&nick.key());
        assert_eq!(owner, Some(id), "a name is given back by its owner");
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

    /// All names with their owners.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NickKey, ConnId)> {
        self.owners.iter().map(|(key, id)| (key, *id))
    }

    /// How many names are in use.
    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_owner_without_regard_to_case() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        let ada = |text| Nick::parse(text).unwrap();
        let mut names = Names::default();
        assert!(names.take(&ada("Ada"), one));
        assert!(!names.take(&ada("aDA"), two));
        assert_eq!(names.owner(&ada("ADA")), Some(one));
        names.release(&ada("ada"), one);
        assert!(names.take(&ada("ada"), two));
    }

    #[test]
    fn a_guest_name_is_never_somebodys_nickname() {
        let (one, two) = (ConnId::new(1, 1), ConnId::new(2, 1));
        let mut names = Names::default();
        assert!(names.take(&Nick::parse("Guest-1").unwrap(), one));
        assert_eq!(names.guest(two).as_str(), "guest-2");
    }
}
