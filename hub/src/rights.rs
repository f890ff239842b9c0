//! Who may do what: one function decides, over the table of requests, for whatever a connection was given when it came.
//!
//! What somebody is given is decided by the caller, who knows the kernel's word for who they are.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::BitOr;

use proto::vocabulary::Error;
use proto::{Dialect, ErrorCode, Lacking, Nick, Permission, Request};

use crate::Hub;
use crate::connection::{ConnId, Phase};

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Nothing but what anyone may.
    pub const NONE: Self = Self(0);
    /// To read: follow rooms, look things up, hear what is said to them.
    pub const WATCH: Self = Self(1);
    /// To speak.
    pub const SEND: Self = Self(2);
    /// Both, and so to be in rooms.
    pub const TALK: Self = Self(Self::WATCH.0 | Self::SEND.0);
    /// Everything.
    pub const ADMIN: Self = Self(4 | Self::TALK.0);

    /// Whether they are enough.
    pub const fn allow(self, needed: Permission) -> bool {
        let enough = match needed {
            Permission::Anyone => Self::NONE,
            Permission::Watch => Self::WATCH,
            Permission::Send => Self::SEND,
            Permission::Talk => Self::TALK,
            Permission::Admin => Self::ADMIN,
        };
        self.0 & enough.0 == enough.0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The groups whose members may do what, for the words of a refusal: there are such groups, and one may join them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Everything.
    pub admin: Vec<String>,
    /// Send.
    pub send: Vec<String>,
    /// Watch.
    pub watch: Vec<String>,
}

impl Groups {
    /// What gives somebody a permission, the least that does: one of each list.
    fn giving(&self, needed: Permission, rights: Rights) -> Vec<Vec<&String>> {
        let or_admins = |groups| if Vec::is_empty(groups) { &self.admin } else { groups };
        let (send, watch) = (or_admins(&self.send), or_admins(&self.watch));
        let both = || send.iter().filter(|group| watch.contains(group)).collect::<Vec<_>>();
        match needed {
            Permission::Anyone => Vec::new(),
            Permission::Watch => vec![watch.iter().collect()],
            Permission::Send => vec![send.iter().collect()],
            Permission::Talk if rights.allow(Permission::Send) => vec![watch.iter().collect()],
            Permission::Talk if rights.allow(Permission::Watch) => vec![send.iter().collect()],
            Permission::Talk if !both().is_empty() => vec![both()],
            Permission::Talk => vec![send.iter().collect(), watch.iter().collect()],
            Permission::Admin => vec![self.admin.iter().collect()],
        }
    }

    /// What to do about it, as a sentence's end.
    fn advice(&self, needed: Permission, rights: Rights) -> String {
        let giving = self.giving(needed, rights);
        if giving.iter().any(Vec::is_empty) {
            return String::from("only root and the user that chatd runs as may.");
        }
        let named: Vec<String> = giving.iter().map(|groups| one_of(groups)).collect();
        let first: Vec<&str> = giving.iter().map(|groups| groups[0].as_str()).collect();
        format!(
            "join {} (usermod -aG {} USER), then log in anew.",
            named.join(" and "),
            first.join(",")
        )
    }
}

fn one_of(groups: &[&String]) -> String {
    let named: Vec<String> = groups.iter().map(|group| format!("`{group}`")).collect();
    let which = if groups.len() == 1 { "the group" } else { "one of the groups" };
    format!("{which} {}", named.join(", "))
}

impl Hub {
    /// The one place that decides who may do what: the table of requests says what is needed for it.
    pub(crate) fn permit(&self, id: ConnId, what: &Request<'_>) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        if connection.phase == Phase::Native && !matches!(what, Request::Hello { .. }) {
            let text = "Say `hello` first: then the connection speaks v1.";
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        let rights = connection.rights;
        let Some(lacking) = what.lacks(|needed| rights.allow(needed)) else { return Ok(()) };
        assert!(lacking.permission != Permission::Anyone, "anyone has what anyone needs");
        let name = what.kind().row().name;
        let what = match lacking.field {
            Some(field) => format!("`{field}` of `{name}`"),
            None => format!("`{name}`"),
        };
        let is_local = connection.dialect == Dialect::Control;
        Err(Error::new(ErrorCode::Forbidden, self.refusal(&what, lacking, is_local, rights)))
    }

    /// Which user of this machine a connection is of, where it came over the control socket.
    pub(crate) fn caller(&self, id: ConnId) -> Option<Nick> {
        let connection = self.connections.get(id)?;
        connection.nick.clone().filter(|_| connection.dialect == Dialect::Control)
    }

    /// What somebody is told who lacks a permission: on the control socket, how to get it.
    fn refusal(&self, what: &str, lacking: Lacking, is_local: bool, rights: Rights) -> String {
        let needed = lacking.permission;
        let head = match needed {
            Permission::Admin => format!("Only administrators may use {what}"),
            Permission::Anyone | Permission::Watch | Permission::Send | Permission::Talk => {
                format!("You may not use {what}")
            }
        };
        if !is_local {
            return format!("{head}; they do it over the control socket.");
        }
        format!("{head}: {}", self.settings.groups.advice(needed, rights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(admin: &[&str], send: &[&str], watch: &[&str]) -> Groups {
        let owned = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
        Groups { admin: owned(admin), send: owned(send), watch: owned(watch) }
    }

    #[test]
    fn more_rights_allow_no_less() {
        let all = [Rights::NONE, Rights::WATCH, Rights::SEND, Rights::TALK, Rights::ADMIN];
        for (one, other) in all.iter().flat_map(|one| all.map(|other| (*one, other))) {
            for needed in Permission::ALL {
                assert!(!one.allow(needed) || (one | other).allow(needed), "{one:?} {other:?}");
            }
        }
        assert_eq!(Rights::WATCH | Rights::SEND, Rights::TALK);
        let may = |rights: Rights| Permission::ALL.map(|needed| rights.allow(needed));
        assert_eq!(may(Rights::NONE), [true, false, false, false, false]);
        assert_eq!(may(Rights::WATCH), [true, true, false, false, false]);
        assert_eq!(may(Rights::SEND), [true, false, true, false, false]);
        assert_eq!(may(Rights::TALK), [true, true, true, true, false]);
        assert_eq!(may(Rights::ADMIN), [true; 5]);
    }

    #[test]
    fn advice_names_the_groups_that_give_the_least_that_is_enough() {
        let one = groups(&["chatd-admin"], &["chat"], &["chat"]);
        let chat = "join the group `chat` (usermod -aG chat USER), then log in anew.";
        for needed in [Permission::Send, Permission::Watch, Permission::Talk] {
            assert_eq!(one.advice(needed, Rights::NONE), chat);
        }
        assert_eq!(
            one.advice(Permission::Admin, Rights::TALK),
            "join the group `chatd-admin` (usermod -aG chatd-admin USER), then log in anew."
        );
        let two = groups(&["a"], &["b", "c"], &["d"]);
        assert_eq!(
            two.advice(Permission::Talk, Rights::NONE),
            "join one of the groups `b`, `c` and the group `d` (usermod -aG b,d USER), then log in anew."
        );
        assert_eq!(
            two.advice(Permission::Talk, Rights::SEND),
            "join the group `d` (usermod -aG d USER), then log in anew."
        );
        let shared = groups(&["a"], &["b", "c"], &["c", "d"]);
        assert_eq!(
            shared.advice(Permission::Talk, Rights::NONE),
            "join the group `c` (usermod -aG c USER), then log in anew."
        );
        let admins = groups(&["a"], &[], &[]);
        assert_eq!(
            admins.advice(Permission::Send, Rights::NONE),
            "join the group `a` (usermod -aG a USER), then log in anew."
        );
        let none = groups(&[], &[], &["d"]);
        for needed in [Permission::Send, Permission::Talk, Permission::Admin] {
            let said = none.advice(needed, Rights::NONE);
            assert_eq!(said, "only root and the user that chatd runs as may.");
        }
    }
}
