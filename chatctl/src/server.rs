//! Where the daemon is looked for, and how it is called: an address given, or the places where a daemon
//! puts its control socket, the user's own first.
//!
//! It makes connections and says in full why one cannot be made; it speaks no word of the protocol.

use crate::client::{Client, Framing, UnixTransport, poll};
use crate::clock;
use crate::failure::{Exit, Failure};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use proto::{Now, Span};
use std::cell::Cell;
use std::env;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Between two tries to connect to a daemon whose queue of callers is full.
const CROWDED_PAUSE: Span = Span::from_millis(10);

/// Where the daemon of the whole system has its control socket.
const SYSTEM_SOCKET: &str = "/run/chatd/control";

/// The addresses to try, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    paths: Vec<PathBuf>,
    /// Which of them answered last.
    reached: Cell<Option<usize>>,
}

impl Server {
    /// An address as `-s` and `CHATD_SERVER` take it.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let path = match text.split_once("://") {
            Some(("unix", path)) => path,
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                let what = format!("`{text}`: {scheme}:// addresses (use unix:PATH or a path)");
                return Err(Failure::not_built(&what));
            }
            _ => text.strip_prefix("unix:").unwrap_or(text),
        };
        if path.is_empty() {
            return Err(Failure::usage(format!("`{text}` names no control socket; use unix:PATH")));
        }
        Ok(Self { paths: vec![PathBuf::from(path)], reached: Cell::new(None) })
    }

    /// The places where a daemon's control socket is when nobody said where.
    pub fn usual() -> Self {
        let mut paths = Vec::new();
        let uid = nix::unistd::getuid();
        match env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
            Some(folder) => paths.push(Path::new(&folder).join("chatd/control")),
            None if uid.is_root() => {}
            None => {
                let folder = PathBuf::from(format!("/tmp/chatd-{uid}"));
                // Everyone may write to /tmp: a folder of somebody else's there is a trap.
                let own = folder.symlink_metadata().is_ok_and(|meta| {
                    meta.is_dir() && meta.uid() == uid.as_raw() && meta.mode() & 0o022 == 0
                });
                if own || !folder.exists() {
                    paths.push(folder.join("control"));
                }
            }
        }
        let system = PathBuf::from(SYSTEM_SOCKET);
        if !paths.contains(&system) {
            paths.push(system);
        }
        Self { paths, reached: Cell::new(None) }
    }

    /// Calls the first of the addresses where somebody answers.
    pub fn connect(&self, deadline: Now) -> Result<Client, Failure> {
        let mut tried = Vec::new();
        for (place, path) in self.paths.iter().enumerate() {
            match call(path, deadline) {
                Ok(stream) => {
                    self.reached.set(Some(place));
                    let transport = UnixTransport::new(stream)
                        .map_err(|error| Failure::unreachable(error.to_string()))?;
                    return Ok(Client::new(Box::new(transport), Framing::Lines));
                }
                Err(errno @ (Errno::EACCES | Errno::EPERM)) => {
                    let (path, why) = (path.display(), errno.desc());
                    let message = format!(
                        "may not open the control socket {path} ({why}); root and the user that chatd runs as may"
                    );
                    return Err(Failure::new(Exit::NotPermitted, "forbidden", message));
                }
                Err(errno) => tried.push(format!("{} ({})", path.display(), reason(errno))),
            }
        }
        Err(Failure::unreachable(format!(
            "no daemon at {}; start one with `chatd`, or name another with -s unix:PATH",
            tried.join(", nor at ")
        )))
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(path) = self.reached.get().and_then(|place| self.paths.get(place)) {
            return write!(to, "{}", path.display());
        }
        let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        to.write_str(&paths.join(" or "))
    }
}

/// Waits for `span`, or until somebody hangs up on `others`.
pub fn pause(span: Span) -> Result<(), Failure> {
    poll(&mut [], Some(span)).map_err(|error| Failure::unreachable(error.to_string()))
}

fn reason(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "no such socket",
        Errno::ECONNREFUSED => "the socket is there, but nobody listens",
        Errno::EAGAIN => "too many callers wait there",
        Errno::ENAMETOOLONG => "the path is too long for a socket",
        errno => errno.desc(),
    }
}

fn call(path: &Path, deadline: Now) -> Result<UnixStream, Errno> {
    let address = UnixAddr::new(path)?;
    loop {
        // Made never to wait from its birth: a daemon that hangs with a full queue must not hang its callers.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => return Ok(UnixStream::from(socket)),
            Err(Errno::EAGAIN) if clock::now() < deadline => {
                let _ = pause(CROWDED_PAUSE);
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Server;
    use crate::failure::Exit;

    #[test]
    fn addresses_are_paths_until_others_are_built() {
        for text in ["unix:/run/x", "unix:///run/x", "/run/x"] {
            assert_eq!(Server::parse(text).expect(text).to_string(), "/run/x");
        }
        assert_eq!(Server::parse("a/b").expect("a path").to_string(), "a/b");
        for text in ["tcp://localhost:33333", "wss://chat.example", "unix:", ""] {
            let failure = Server::parse(text).expect_err(text);
            assert_eq!(failure.exit, Exit::Usage, "{text}");
        }
        let failure = Server::parse("tcp://localhost").expect_err("later");
        assert!(failure.message.contains("not built yet"), "{failure}");
    }

    #[test]
    fn the_systems_socket_is_the_last_to_try() {
        assert!(Server::usual().to_string().ends_with("/run/chatd/control"));
    }
}
