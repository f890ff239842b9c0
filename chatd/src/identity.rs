//! Who the daemon is when root starts it and somebody else is to run it: `--user` and `--group`.
//!
//! Ports are bound as root. Then [`Identity::assume`] makes the process act as the user while it may still go back, so that the control
//! socket, its lock and the pid file are made by that user and are theirs: root never follows a name in a folder that is not root's.
//! Going back for a moment and giving root up for good is [`crate::daemonized`]'s, which asks [`Identity::check_assumed`] afterwards.

use std::ffi::CString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getresgid, getresuid, initgroups, setegid, seteuid};

use crate::args::Args;
use crate::control;
use crate::history::StateFolder;

/// Root's number.
const ROOT: Uid = Uid::from_raw(0);

/// Why nobody else can run the daemon.
#[derive(Debug)]
pub enum IdentityError {
    /// Whoever starts it is not root.
    NotRoot,
    /// This machine has no such user.
    NoUser(String),
    /// This machine has no such group.
    NoGroup(String),
    /// A system call failed.
    System(&'static str, Errno),
    /// The folder of the control socket cannot be given to the user.
    Folder(String, io::Error),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => f.write_str(
                "only root can hand the daemon to another user; start it as root, or as that user and without --user",
            ),
            Self::NoUser(name) => write!(
                f,
                "no such user on this machine: {name}; make it (useradd --system {name}), or choose another --user"
            ),
            Self::NoGroup(name) => write!(
                f,
                "no such group on this machine: {name}; make it (groupadd --system {name}), or choose another --group"
            ),
            Self::System(what, error) => write!(f, "{what}: {}", error.desc()),
            Self::Folder(folder, error) => write!(f, "cannot give {folder} to --user: {error}"),
        }
    }
}

impl std::error::Error for IdentityError {}

/// The user that runs the daemon, and its group.
#[derive(Clone, Debug)]
pub struct Identity {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Identity {
    /// Whom the arguments name; none where whoever starts the daemon runs it.
    ///
    /// # Errors
    /// The user or group is not there, or it is not root who asks.
    pub fn named(args: &Args) -> Result<Option<Self>, IdentityError> {
        let Some(name) = &args.user else { return Ok(None) };
        if !Uid::effective().is_root() {
            return Err(IdentityError::NotRoot);
        }
        let user = User::from_name(name)
            .map_err(|error| IdentityError::System("cannot look up --user", error))?
            .ok_or_else(|| IdentityError::NoUser(name.clone()))?;
        let gid = match &args.group {
            None => user.gid,
            Some(name) => Group::from_name(name)
                .map_err(|error| IdentityError::System("cannot look up --group", error))?
                .map(|group| group.gid)
                .ok_or_else(|| IdentityError::NoGroup(name.clone()))?,
        };
        Ok(Some(Self { name: name.clone(), uid: user.uid, gid }))
    }

    /// The user's login name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's number.
    pub(crate) const fn uid(&self) -> Uid {
        self.uid
    }

    /// The group's number.
    pub(crate) const fn gid(&self) -> Gid {
        self.gid
    }

    /// Makes the usual folder of the control socket, if need be, and gives it to the user. It is root's own, in a folder of root's:
    /// nobody else can have put something in its place.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn own(&self, socket: &Path, mode: u32) -> Result<(), IdentityError> {
        let Some(folder) = socket.parent() else { return Ok(()) };
        let fault = |error| IdentityError::Folder(folder.display().to_string(), error);
        control::make(folder, mode).map_err(fault)?;
        let Ok(found) = fs::symlink_metadata(folder) else {
            // Who makes the socket says that there is no folder.
            return Ok(());
        };
        if !found.is_dir() || found.uid() != ROOT.as_raw() {
            return Ok(());
        }
        let (uid, gid) = (Some(self.uid.as_raw()), Some(self.gid.as_raw()));
        // A daemon that root ran has left its lock there.
        match lchown(control::lock_of(socket), uid, gid) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            Ok(()) | Err(_) => {}
        }
        lchown(folder, uid, gid).map_err(fault)
    }

    /// Makes the usual folder of the daemon's state, if need be, and gives it to the user, as [`Self::own`] does; with what a daemon
    /// that root ran has left there.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn own_state(&self, folder: &Path) -> Result<(), IdentityError> {
        let fault = |error| IdentityError::Folder(folder.display().to_string(), error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
        let found = fs::symlink_metadata(folder).map_err(fault)?;
        if !found.is_dir() || found.uid() != ROOT.as_raw() {
            return Ok(());
        }
        let (uid, gid) = (Some(self.uid.as_raw()), Some(self.gid.as_raw()));
        for file in StateFolder::files(folder) {
            match lchown(file, uid, gid) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
                Ok(()) | Err(_) => {}
            }
        }
        lchown(folder, uid, gid).map_err(fault)
    }

    /// Acts as the user from now on, in its groups and no others. The way back is still open.
    ///
    /// # Errors
    /// Those of the system calls.
    pub(crate) fn assume(&self) -> Result<(), IdentityError> {
        let name = CString::new(&*self.name).expect("a user with this name was found");
        initgroups(&name, self.gid)
            .map_err(|error| IdentityError::System("cannot take the user's groups", error))?;
        setegid(self.gid).map_err(|error| IdentityError::System("cannot take --group", error))?;
        seteuid(self.uid).map_err(|error| IdentityError::System("cannot take --user", error))?;
        assert_eq!(Uid::effective(), self.uid);
        assert_eq!(Gid::effective(), self.gid);
        Ok(())
    }

    /// Panics unless the process is the user and nobody else, with no way back.
    pub(crate) fn check_assumed(&self) {
        let (uids, gids) = (getresuid(), getresgid());
        let uids = uids.expect("the kernel knows who we are");
        let gids = gids.expect("the kernel knows who we are");
        assert_eq!([uids.real, uids.effective, uids.saved], [self.uid; 3]);
        assert_eq!([gids.real, gids.effective, gids.saved], [self.gid; 3]);
        assert!(self.uid.is_root() || seteuid(ROOT).is_err(), "root was not given up");
    }
}

/// Goes back to root, who alone may give root up for good.
pub(crate) fn resume_root() -> nix::Result<()> {
    seteuid(ROOT)
}
