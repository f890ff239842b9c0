//! Who calls the control socket: whose connection it is, as the kernel says, and what that user may do here.
//!
//! The kernel keeps what a caller was when it connected: its user, its first group and its others. Nothing is asked of a name
//! service: groups have their numbers from the start on, login names are in [`Users`].

use std::os::fd::AsFd;

use hub::{Peer, Rights};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Uid};
use proto::Transport;

use crate::sys;
use crate::users::Users;

/// The groups whose members may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Everything.
    pub admin: Vec<Gid>,
    /// Send.
    pub send: Vec<Gid>,
    /// Watch.
    pub watch: Vec<Gid>,
}

impl Access {
    /// What somebody may do who is in these groups.
    fn rights(&self, groups: &[Gid]) -> Rights {
        let given = |wanted: &[Gid], rights| {
            let is_in = groups.iter().any(|group| wanted.contains(group));
            if is_in { rights } else { Rights::NONE }
        };
        given(&self.admin, Rights::ADMIN)
            | given(&self.send, Rights::SEND)
            | given(&self.watch, Rights::WATCH)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Callers {
    own: Uid,
    users: Users,
    access: Access,
}

impl Callers {
    /// Callers of a daemon that runs as this process's user.
    pub fn new(users: Users, access: Access) -> Self {
        Self { own: Uid::effective(), users, access }
    }

    /// Whoever is at the other end of a local socket. Root and the daemon's own user may do everything, and have no rate limits.
    pub(crate) fn peer(&self, socket: &impl AsFd) -> nix::Result<Peer> {
        let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
        let uid = Uid::from_raw(credentials.uid());
        let is_own = uid.is_root() || uid == self.own;
        let rights = if is_own {
            Rights::ADMIN
        } else {
            // Of whom the kernel does not tell more than the first group has what that gives.
            let mut groups = sys::peer_groups(socket).unwrap_or_default();
            groups.push(Gid::from_raw(credentials.gid()));
            self.access.rights(&groups)
        };
        Ok(Peer {
            transport: Transport::ControlSocket,
            address: format!("uid {uid}").into(),
            ip: None,
            login: Some(self.users.name(uid.as_raw())),
            rights,
            exempt: is_own,
            protocols: proto::Protocols::ALL,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn gids(numbers: &[u32]) -> Vec<Gid> {
        numbers.iter().copied().map(Gid::from_raw).collect()
    }

    fn access() -> Access {
        Access { admin: gids(&[10, 11]), send: gids(&[20, 21]), watch: gids(&[21, 30]) }
    }

    #[test]
    fn rights_are_those_of_all_groups_together() {
        let rights = |groups: &[u32]| access().rights(&gids(groups));
        assert_eq!(rights(&[]), Rights::NONE);
        assert_eq!(rights(&[1, 2, 3]), Rights::NONE);
        assert_eq!(rights(&[1, 20]), Rights::SEND);
        assert_eq!(rights(&[30]), Rights::WATCH);
        assert_eq!(rights(&[21]), Rights::TALK);
        assert_eq!(rights(&[30, 20]), Rights::TALK);
        assert_eq!(rights(&[11, 30]), Rights::ADMIN);
        assert_eq!(Access::default().rights(&gids(&[0, 10, 20])), Rights::NONE);
    }

    #[test]
    fn root_and_the_daemons_user_may_do_everything_without_a_group() {
        let (here, _there) = UnixStream::pair().expect("a pair");
        let peer = Callers::new(Users::default(), Access::default()).peer(&here);
        let peer = peer.expect("the kernel knows who made the pair");
        assert_eq!((peer.rights, peer.exempt), (Rights::ADMIN, true));
        assert_eq!(peer.address, format!("uid {}", Uid::effective()).into());
    }

    #[test]
    fn somebody_else_has_what_the_groups_give_and_no_exemption() {
        if Uid::effective().is_root() {
            // To be somebody else than the daemon takes another process: see the end to end tests.
            return;
        }
        let (here, _there) = UnixStream::pair().expect("a pair");
        let mut access = access();
        access.watch.push(Gid::effective());
        let other = Uid::from_raw(Uid::effective().as_raw() ^ 1);
        let peer = Callers { own: other, users: Users::default(), access }.peer(&here);
        let peer = peer.expect("the kernel knows who made the pair");
        assert_eq!((peer.rights, peer.exempt), (Rights::WATCH, false));
    }
}
