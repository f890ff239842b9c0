//! Login names by uid, from /etc/passwd, read once at the start: the loop asks no name service.

use std::collections::BTreeMap;

use proto::Nick;

/// Who has which uid.
#[derive(Clone, Debug, Default)]
pub struct Users {
    names: BTreeMap<u32, Nick>,
}

impl Users {
    /// The users of this machine. Where the file cannot be read, everybody is called by their uid.
    pub fn of_this_machine() -> Self {
        std::fs::read_to_string("/etc/passwd").map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Takes lines as passwd(5) has them; others, and names that are no nicknames, are passed over. The first of a uid counts.
    fn parse(text: &str) -> Self {
        let mut names = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(_), Some(uid)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if let (Ok(name), Ok(uid)) = (Nick::parse(name), uid.parse()) {
                names.entry(uid).or_insert(name);
            }
        }
        Self { names }
    }

    /// The login name of a uid, or `uid-N`.
    pub fn name(&self, uid: u32) -> Nick {
        let known = self.names.get(&uid).cloned();
        known.unwrap_or_else(|| Nick::parse(&format!("uid-{uid}")).expect("a uid has few digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_uid_counts_and_unknown_uids_have_their_number() {
        let users = Users::parse(
            "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nbroken\nada:x:1000:1000::/:\n",
        );
        assert_eq!(users.name(0).as_str(), "root");
        assert_eq!(users.name(1000).as_str(), "ada");
        assert_eq!(users.name(4_000_000_000).as_str(), "uid-4000000000");
    }
}
