//! Where the daemon is looked for, and how it is called: an address given, or the places where a daemon
//! puts its control socket, the user's own first.
//!
//! It makes connections and says in full why one cannot be made; it speaks no word of the protocol. How TCP is called
//! is the business of `tcp`.

use crate::chance;
use crate::client::{Client, Framing, SocketTransport, WebSocketTransport, poll};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::tcp;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use proto::{Now, Span};
use std::cell::Cell;
use std::env;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Between two tries to connect to a daemon whose queue of callers is full.
const CROWDED_PAUSE: Span = Span::from_millis(10);

/// Where the daemon of the whole system has its control socket.
const SYSTEM_SOCKET: &str = "/run/chatd/control";

/// Where a daemon listens when nobody said where.
const USUAL_PORT: u16 = 33333;

/// The addresses to try, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    places: Vec<Place>,
    /// Which of them answered last.
    reached: Cell<Option<usize>>,
    /// Whether somebody said where; otherwise these are the usual places.
    named: bool,
}

/// An address of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A control socket.
    Path(PathBuf),
    /// A host, by name or address, and a port.
    Tcp(String, u16),
    /// The same, and the path of a WebSocket there.
    WebSocket(String, u16, String),
}

impl Server {
    /// An address as `-s` and `CHATD_SERVER` take it.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let path = match text.split_once("://") {
            Some(("unix", path)) => path,
            Some(("tcp", rest)) => {
                let place = tcp::host_and_port(rest, USUAL_PORT).filter(|(_, port)| *port != 0);
                let (host, port) = place.ok_or_else(|| {
                    let help = "write tcp://HOST, tcp://HOST:PORT or tcp://[IPV6]:PORT";
                    Failure::usage(format!("`{text}` is no address; {help}"))
                })?;
                return Ok(Self::at(vec![Place::Tcp(host, port)]));
            }
            Some(("ws", rest)) => return Self::web_socket(text, rest),
            Some(("wss", rest)) => {
                let message = format!(
                    "`{text}`: chatctl speaks no TLS; use ws://{rest} where that leads to chatd itself, or to the plain end of \
                     a tunnel or proxy that ends the TLS"
                );
                return Err(Failure::new(Exit::Usage, "not_built_yet", message));
            }
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                let what = format!("`{text}`: {scheme}:// addresses (use tcp://HOST or unix:PATH)");
                return Err(Failure::not_built(&what));
            }
            _ => text.strip_prefix("unix:").unwrap_or(text),
        };
        if path.is_empty() {
            return Err(Failure::usage(format!("`{text}` names no control socket; use unix:PATH")));
        }
        let is_address =
            path == text && text.contains(':') && tcp::host_and_port(text, USUAL_PORT).is_some();
        if is_address && !Path::new(text).exists() {
            let message =
                format!("`{text}` is no control socket; for an address write tcp://{text}");
            return Err(Failure::usage(message));
        }
        Ok(Self::at(vec![Place::Path(PathBuf::from(path))]))
    }

    /// `ws://` and what follows: chatd's base path where it ends with a slash, else the WebSocket's own path.
    fn web_socket(text: &str, rest: &str) -> Result<Self, Failure> {
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
        let place =
            tcp::host_and_port(authority, USUAL_PORT).filter(|(_, port)| *port != 0 && is_path);
        let (host, port) = place.ok_or_else(|| {
            let help = "write ws://HOST, ws://HOST:PORT or ws://HOST/PATH/";
            Failure::usage(format!("`{text}` is no address; {help}"))
        })?;
        let end = if path.ends_with('/') { "ws" } else { "" };
        Ok(Self::at(vec![Place::WebSocket(host, port, format!("{path}{end}"))]))
    }

    fn at(places: Vec<Place>) -> Self {
        Self { places, reached: Cell::new(None), named: true }
    }

    /// Whether it is called over a network: then it does not know who calls, and wants to be greeted first.
    pub fn is_remote(&self) -> bool {
        self.places.iter().any(|place| !matches!(place, Place::Path(_)))
    }

    /// The control sockets among the places; the one that was reached last, where one was.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let reached = self.reached.get();
        let places = self.places.iter().enumerate();
        let tried = places.filter(move |(number, _)| reached.is_none_or(|last| *number <= last));
        tried.filter_map(|(_, place)| match place {
            Place::Path(path) => Some(path.as_path()),
            Place::Tcp(..) | Place::WebSocket(..) => None,
        })
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
        let places = paths.into_iter().map(Place::Path).collect();
        Self { named: false, ..Self::at(places) }
    }

    /// Calls the first of the addresses where somebody answers.
    pub fn connect(&self, deadline: Now) -> Result<Client, Failure> {
        let mut tried = Vec::new();
        for (number, place) in self.places.iter().enumerate() {
            let client = match place {
                Place::Tcp(host, port) => call_host(host, *port, deadline),
                Place::WebSocket(host, port, path) => call_socket((host, *port, path), deadline),
                Place::Path(path) => call_path(path, deadline),
            };
            match client {
                Ok(client) => {
                    self.reached.set(Some(number));
                    return Ok(client);
                }
                Err(NoCall::Forbidden(failure)) => return Err(failure),
                Err(NoCall::NoSocket) if self.named => {
                    let message = format!("{place} is no socket; name the control socket of chatd");
                    return Err(Failure::usage(message));
                }
                Err(NoCall::NoSocket) => tried.push(format!("{place} (it is no socket)")),
                Err(NoCall::Nobody(why)) => tried.push(format!("{place} ({why})")),
            }
        }
        let tried = tried.join(", nor at ");
        let help = if self.is_remote() {
            "is chatd running there, and does it listen on that address?"
        } else {
            "start one with `chatd`, or name another with -s unix:PATH or -s tcp://HOST"
        };
        Err(Failure::unreachable(format!("no daemon at {tried}; {help}")))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(to, "{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(to, "tcp://[{host}]:{port}"),
            Self::Tcp(host, port) => write!(to, "tcp://{host}:{port}"),
            Self::WebSocket(host, port, path) => {
                write!(to, "ws://{}{path}", authority(host, *port))
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.reached.get().and_then(|number| self.places.get(number)) {
            return write!(to, "{place}");
        }
        let places: Vec<_> = self.places.iter().map(Place::to_string).collect();
        to.write_str(&places.join(" or "))
    }
}

/// Waits for `span`.
pub fn pause(span: Span) -> Result<(), Failure> {
    poll(&mut [], Some(span)).map_err(|error| Failure::unreachable(error.to_string()))
}

/// Why a call came to nothing.
enum NoCall {
    /// Somebody may be there, but not for us.
    Forbidden(Failure),
    /// What has that name is something else, and never becomes a daemon.
    NoSocket,
    /// Nobody answers, for this reason.
    Nobody(String),
}

fn call_host(host: &str, port: u16, deadline: Now) -> Result<Client, NoCall> {
    let stream = tcp::call(host, port, deadline).map_err(NoCall::Nobody)?;
    let transport = SocketTransport::tcp(stream);
    let transport = transport.map_err(|error| NoCall::Nobody(error.to_string()))?;
    Ok(Client::new(Box::new(transport), Framing::Frames))
}

fn call_socket((host, port, path): (&str, u16, &str), deadline: Now) -> Result<Client, NoCall> {
    let stream = tcp::call(host, port, deadline).map_err(NoCall::Nobody)?;
    let transport = WebSocketTransport::tcp(stream, (&authority(host, port), path), chance::thrown);
    let transport = transport.map_err(|error| NoCall::Nobody(error.to_string()))?;
    Ok(Client::new(Box::new(transport), Framing::Messages))
}

/// A host and a port in one word.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn call_path(path: &Path, deadline: Now) -> Result<Client, NoCall> {
    let nobody = |error: io::Error| NoCall::Nobody(error.to_string());
    if path.metadata().is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(NoCall::NoSocket);
    }
    match call(path, deadline) {
        Ok(stream) => {
            let transport = SocketTransport::unix(stream).map_err(nobody)?;
            Ok(Client::new(Box::new(transport), Framing::Lines))
        }
        Err(errno @ (Errno::EACCES | Errno::EPERM)) => {
            let (path, why) = (path.display(), errno.desc());
            let message = format!(
                "may not open the control socket {path} ({why}); its mode and its folder decide who may"
            );
            Err(NoCall::Forbidden(Failure::new(Exit::NotPermitted, "forbidden", message)))
        }
        Err(errno) => Err(NoCall::Nobody(reason(errno).to_owned())),
    }
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
    fn an_address_is_a_path_or_a_host() {
        for text in ["unix:/run/x", "unix:///run/x", "/run/x"] {
            assert_eq!(Server::parse(text).expect(text).to_string(), "/run/x");
        }
        assert_eq!(Server::parse("a/b").expect("a path").to_string(), "a/b");
        for (text, shown) in [
            ("tcp://localhost", "tcp://localhost:33333"),
            ("tcp://chat.example:7/", "tcp://chat.example:7"),
            ("tcp://192.0.2.1:1", "tcp://192.0.2.1:1"),
            ("tcp://[::1]", "tcp://[::1]:33333"),
            ("tcp://[fe80::1%eth0]:9", "tcp://[fe80::1%eth0]:9"),
        ] {
            let server = Server::parse(text).expect(text);
            assert!(server.is_remote());
            assert_eq!(server.to_string(), shown);
        }
        for (text, shown) in [
            ("ws://localhost", "ws://localhost:33333/ws"),
            ("ws://chat.example:80/", "ws://chat.example:80/ws"),
            ("ws://[::1]:7/chat/", "ws://[::1]:7/chat/ws"),
            ("ws://chat.example/chat/ws", "ws://chat.example:33333/chat/ws"),
        ] {
            let server = Server::parse(text).expect(text);
            assert!(server.is_remote());
            assert_eq!(server.to_string(), shown);
        }
        for text in [
            "wss://chat.example",
            "ws://",
            "ws://host/a b",
            "ws://host/?x",
            "ws://user@host",
            "unix:",
            "",
            "tcp://",
            "tcp://:33333",
            "tcp://host:",
            "tcp://host:0",
            "tcp://host:65536",
            "tcp://::1",
            "tcp://[::1",
            "tcp://[::1]x",
            "tcp://[host]:1",
            "tcp://user@host",
            "tcp://host/room",
            "tcp://a b",
        ] {
            let failure = Server::parse(text).expect_err(text);
            assert_eq!(failure.exit, Exit::Usage, "{text}");
        }
        for text in ["127.0.0.1:33333", "localhost:33333", "[::1]:33333"] {
            let failure = Server::parse(text).expect_err(text);
            assert!(failure.message.ends_with(&format!("tcp://{text}")), "{failure}");
            assert_eq!(failure.exit, Exit::Usage);
        }
        let failure = Server::parse("wss://chat.example/x/").expect_err("no TLS");
        assert!(failure.message.contains("ws://chat.example/x/"), "{failure}");
        assert!(failure.message.contains("proxy that ends the TLS"), "{failure}");
        let failure = Server::parse("tls://localhost").expect_err("later");
        assert!(failure.message.contains("not built yet"), "{failure}");
    }

    #[test]
    fn the_systems_socket_is_the_last_to_try() {
        assert!(Server::usual().to_string().ends_with("/run/chatd/control"));
    }
}
