//! The control socket: made without a race, a stale file replaced, a live daemon's never taken; and who a caller is.
//!
//! A lock file beside the socket is held as long as the daemon lives, so two that start at once cannot both think the other's
//! socket stale. The socket is bound under another name and renamed, so that it is there whole or not at all. It has its mode before it
//! listens: until then nobody can connect. The umask stays as it is: it is that of all threads.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use hub::Peer;
use mio::event::Source;
use mio::net::UnixListener;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, setsockopt, socket, sockopt,
};
use nix::unistd::Uid;

use crate::callers::Callers;
use crate::driver::Stream;
use crate::listen::SEND_BUFFER_BYTES;

/// What the name of the socket has behind it while it is made.
const FRESH: &str = "new";
/// The longest path of a socket is 107 bytes, and it is made under a longer name.
pub(crate) const PATH_BYTES_MAX: usize = 107 - (FRESH.len() + 1);

/// See the module.
pub struct Control {
    socket: UnixListener,
    /// The file that goes with the daemon; none where the socket was given.
    path: Option<PathBuf>,
    callers: Callers,
    /// Held as long as the socket is ours.
    _lock: Option<Flock<File>>,
}

impl Control {
    /// Makes the socket at `path`, which those may open whom `mode` lets; what they may do there `callers` says. Its folder is made only where the place is the usual one: who names a place of their own may
    /// have mistyped it, and root can make folders anywhere.
    ///
    /// # Errors
    /// Another daemon has it, the path cannot be written, or is something else than a socket.
    pub fn bind(path: &Path, is_usual: bool, mode: u32, callers: Callers) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            if is_usual {
                make(folder, mode)?;
            }
            refuse_missing(folder)?;
            refuse_foreign(folder)?;
        }
        let lock = lock(path)?;
        refuse_live(path)?;
        let socket = bind_and_rename(path, mode)?;
        Ok(Self { socket, path: Some(path.to_owned()), callers, _lock: Some(lock) })
    }

    /// Takes over a socket that listens already and never blocks. Its file is whose who made it.
    pub fn given(socket: std::os::unix::net::UnixListener, callers: Callers) -> Self {
        let socket = UnixListener::from_std(socket);
        Self { socket, path: None, callers, _lock: None }
    }

    /// Who comes from now on is called so and may do that; who is here may do what it could.
    pub(crate) fn decide_anew(&mut self, callers: Callers) {
        self.callers = callers;
    }

    /// Where it is.
    pub fn path(&self) -> Option<PathBuf> {
        let given = || self.socket.local_addr().ok()?.as_pathname().map(Path::to_owned);
        self.path.clone().or_else(given)
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        &mut self.socket
    }

    /// Takes one waiting connection, and asks the kernel whose it is.
    pub(crate) fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let (stream, _) = self.socket.accept()?;
        // With the kernel's own size a slow reader is seen to take something only each 150 KiB.
        setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER_BYTES)?;
        let peer = self.callers.peer(&stream)?;
        Ok((Stream::Unix(stream), peer))
    }

    pub(crate) fn accept_and_close(&mut self) -> io::Result<()> {
        self.socket.accept().map(drop)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A file that is gone already, or a folder that is, is what is wished.
        let _ = self.path.as_ref().map(fs::remove_file);
    }
}

/// Makes a folder below one that is there. Where the daemon is the whole system's, others come to the socket in it as far as
/// `mode` lets them; a user's own daemon is theirs alone.
pub(crate) fn make(folder: &Path, mode: u32) -> io::Result<()> {
    let is_for_all = mode & 0o077 != 0 && Uid::effective().is_root();
    let folder_mode = if is_for_all { 0o755 } else { 0o700 };
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(folder_mode)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // What lacks is named by the next look.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn refuse_missing(folder: &Path) -> io::Result<()> {
    match folder.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = format!(
                "there is no folder {}; make it, or choose another --control",
                folder.display()
            );
            Err(io::Error::new(ErrorKind::NotFound, text))
        }
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// Refuses a folder in which somebody else could put a socket of their own in our place: somebody who made it before us in a
/// folder where all may write, say.
fn refuse_foreign(folder: &Path) -> io::Result<()> {
    let ours = |found: &fs::Metadata| found.uid() == Uid::effective().as_raw() || found.uid() == 0;
    let (entry, target) = (fs::symlink_metadata(folder)?, fs::metadata(folder)?);
    let everybodys = target.mode() & 0o002 != 0 && target.mode() & 0o1000 == 0;
    if ours(&entry) && ours(&target) && !everybodys {
        return Ok(());
    }
    let text = format!(
        "others may put files into {}; choose a --control in a folder of your own",
        folder.display()
    );
    Err(io::Error::new(ErrorKind::PermissionDenied, text))
}

/// Takes the lock beside the socket. The file stays: removing it would let two daemons hold two locks of one name.
fn lock(path: &Path) -> io::Result<Flock<File>> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(lock_of(path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
        let live = nix::errno::Errno::EWOULDBLOCK;
        if error == live { in_use(path) } else { io::Error::from(error) }
    })
}

/// Refuses a path where somebody answers, or that is no socket.
fn refuse_live(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let text = format!(
                "{} exists and is no socket; move it away or choose another path",
                path.display()
            );
            Err(io::Error::new(ErrorKind::AlreadyExists, text))
        }
        Ok(_) if StdUnixStream::connect(path).is_ok() => Err(in_use(path)),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn in_use(path: &Path) -> io::Error {
    let text = format!(
        "another chatd serves {}; stop it with 'chatctl stop', or choose another --control",
        path.display()
    );
    io::Error::new(ErrorKind::AddrInUse, text)
}

fn bind_and_rename(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let fresh = beside(path, FRESH);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let unheard = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    bind(unheard.as_raw_fd(), &UnixAddr::new(&fresh)?)?;
    fs::set_permissions(&fresh, Permissions::from_mode(mode))?;
    listen(&unheard, Backlog::MAXALLOWABLE)?;
    fs::rename(&fresh, path)?;
    Ok(UnixListener::from_std(unheard.into()))
}

/// The lock that goes with a socket.
pub(crate) fn lock_of(path: &Path) -> PathBuf {
    beside(path, "lock")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as StdUnixListener;

    use super::*;
    use crate::callers::Access;
    use crate::users::Users;

    /// A folder of its own for each test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("chatd-control-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder for the test");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bind(path: &Path, is_usual: bool, mode: u32) -> io::Result<Control> {
        Control::bind(path, is_usual, mode, Callers::new(Users::default(), Access::default()))
    }

    fn refusal(path: &Path) -> io::Error {
        match bind(path, false, 0o666) {
            Ok(_) => panic!("it was bound"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_stale_file_is_replaced() {
        let folder = Folder::new("stale");
        let path = folder.0.join("control");
        drop(StdUnixListener::bind(&path).expect("a socket that nobody serves"));
        let control = bind(&path, false, 0o600).expect("stale files are replaced");
        drop(control);
        assert!(!path.exists(), "it is gone with its daemon");
    }

    #[test]
    fn the_mode_is_the_one_asked_for_whatever_the_umask() {
        let folder = Folder::new("mode");
        let path = folder.0.join("new/control");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
        for wished in [0o600, 0o660, 0o666] {
            let control = bind(&path, true, wished).expect("a fresh path");
            assert_eq!(mode(&path), wished);
            let is_for_all = wished != 0o600 && Uid::effective().is_root();
            let folder = path.parent().expect("it has one");
            assert_eq!(mode(folder), if is_for_all { 0o755 } else { 0o700 });
            drop(control);
            fs::remove_file(beside(&path, "lock")).expect("it was left");
            fs::remove_dir(folder).expect("nothing else is in it");
        }
    }

    #[test]
    fn a_live_daemons_socket_is_never_taken() {
        let folder = Folder::new("live");
        let path = folder.0.join("control");
        let control = bind(&path, false, 0o666).expect("a fresh path");
        assert_eq!(refusal(&path).kind(), ErrorKind::AddrInUse);
        drop(control);
        let _other = StdUnixListener::bind(&path).expect("somebody without our lock");
        assert_eq!(refusal(&path).kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn a_folder_is_made_only_where_nobody_chose_the_place() {
        let folder = Folder::new("missing");
        let path = folder.0.join("new/control");
        let said = refusal(&path).to_string();
        assert!(said.starts_with("there is no folder") && said.contains("/new;"), "{said}");
        assert!(!folder.0.join("new").exists(), "it was not made");
        drop(bind(&path, true, 0o666).expect("the usual place is made"));
        // One folder and no more, there too.
        let deep = folder.0.join("a/b/control");
        assert!(bind(&deep, true, 0o666).is_err());
        assert!(!folder.0.join("a").exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = Folder::new("file");
        let path = folder.0.join("control");
        fs::write(&path, "precious").expect("a file");
        assert_eq!(refusal(&path).kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
    }
    #[test]
    fn a_folder_that_everybody_may_write_is_refused_unless_it_is_sticky() {
        let folder = Folder::new("foreign");
        let path = folder.0.join("control");
        let all = |mode| fs::set_permissions(&folder.0, fs::Permissions::from_mode(mode));
        all(0o777).expect("it is ours");
        assert_eq!(refusal(&path).kind(), ErrorKind::PermissionDenied);
        all(0o1777).expect("it is ours");
        assert!(bind(&path, false, 0o666).is_ok());
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        if !Uid::effective().is_root() {
            return;
        }
        let folder = Folder::new("else");
        let theirs = folder.0.join("theirs");
        fs::create_dir(&theirs).expect("a folder in the test's");
        std::os::unix::fs::chown(&theirs, Some(1), None).expect("root may give it away");
        assert_eq!(refusal(&theirs.join("control")).kind(), ErrorKind::PermissionDenied);
    }
}
