//! One connection to a daemon: requests go out, replies and events come in, each exactly once.
//!
//! It joins a `Transport` (bytes), a `Framing` (objects) and `Outstanding` (who waits for which reply), and
//! is driven by its owner, who calls `step` with the present moment and then takes what happened. It
//! opens no connection, reads no clock and prints nothing; nothing in it knows what carries the bytes.

mod alive;
mod framing;
mod outstanding;
mod transport;
mod websocket;

pub use framing::{Event, Fields, Framing, Incoming, Nonsense, OBJECT_BYTES_MAX, Refusal};
pub use outstanding::Outstanding;
pub use transport::{SocketTransport, Transport};
pub use websocket::{Thrown, WebSocketTransport};

use alive::{Alive, Sign};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use proto::{Now, Span};
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// How much is read at once.
const READ_BYTES_MAX: usize = 64 << 10;

/// How much is taken in before what happened is looked at, so that a fast server cannot fill the memory.
const STEP_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(READ_BYTES_MAX <= STEP_BYTES_MAX);

/// The code of whoever answers and is no daemon.
pub const NO_DAEMON: &str = "no_daemon";

/// What a request was.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Hello,
    Other,
}

impl Asked {
    /// A reply, if it is one that a daemon gives: who waits for a one-to-one call answers a `hello`, too.
    fn checked(self, reply: Fields) -> Result<Fields, Refusal> {
        match self {
            Self::Hello if !reply.contains_key("server") => Err(Refusal {
                code: NO_DAEMON.to_owned(),
                message: "no daemon answers there, but somebody who waits for a call: 'chatctl talk HOST:PORT' talks with them".to_owned(),
                retry_after: None,
            }),
            Self::Hello | Self::Other => Ok(reply),
        }
    }
}

/// What a step brought.
#[derive(Debug, PartialEq)]
pub enum Happening {
    /// The one answer to the request with this id.
    Replied(String, Result<Fields, Refusal>),
    /// No answer came in time; one that comes later is ignored.
    TimedOut(String),
    /// Something happened on the server.
    Event(Event),
    /// The server refused something that it gave no id: the connection as a whole, most likely.
    Complaint(Refusal),
    /// The connection is gone; these requests have no answer and it is not known whether they took effect.
    Lost {
        /// Why, in words.
        reason: String,
        /// Their ids, in the order of asking.
        unanswered: Vec<String>,
    },
}

/// A connection and its requests.
pub struct Client {
    transport: Box<dyn Transport>,
    framing: Framing,
    inbox: Vec<u8>,
    scanned: usize,
    outbox: Vec<u8>,
    outstanding: Outstanding<Asked>,
    happened: VecDeque<Happening>,
    ids: u64,
    lost: bool,
    /// Whether the server has said anything.
    heard: bool,
    /// Where the framing has signs of life, and since the first step.
    alive: Option<Alive>,
    /// Whether bytes went and came since the last look at the time.
    moved: Moved,
}

/// What moved during a step, whose moment is known at the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    out: bool,
    into: bool,
}

impl Client {
    /// A client over a connected transport.
    pub fn new(transport: Box<dyn Transport>, framing: Framing) -> Self {
        Self {
            transport,
            framing,
            inbox: Vec::new(),
            scanned: 0,
            outbox: Vec::new(),
            outstanding: Outstanding::default(),
            happened: VecDeque::new(),
            ids: 0,
            lost: false,
            heard: false,
            alive: None,
            moved: Moved::default(),
        }
    }

    /// Asks under an id of the client's own making, and says which.
    pub fn ask(&mut self, request: &str, fields: Fields, deadline: Now) -> String {
        self.ids += 1;
        let id = format!("r{}", self.ids);
        self.ask_as(&id, request, fields, deadline);
        id
    }

    /// Asks under this id. An id that still waits for its reply is our own bug.
    pub fn ask_as(&mut self, id: &str, request: &str, mut fields: Fields, deadline: Now) {
        let what = if request == "hello" { Asked::Hello } else { Asked::Other };
        let fresh = self.outstanding.asked(id, what, deadline);
        assert!(fresh.is_ok(), "a request id is used once at a time");
        fields.insert("request".to_owned(), Value::from(request));
        fields.insert("id".to_owned(), Value::from(id));
        self.framing.put(&fields, &mut self.outbox);
    }

    /// How many requests wait for their replies.
    pub fn waiting(&self) -> usize {
        self.outstanding.len()
    }

    /// Whether a service manager listens for the daemon: then the socket is there without it, and who connects starts it.
    pub fn is_managed(&self) -> bool {
        // Over a Unix socket the kernel tells who listens; over TCP nobody can.
        let Ok(listener) = getsockopt(&self.transport.descriptor(), PeerCredentials) else {
            return false;
        };
        let name = std::fs::read_to_string(format!("/proc/{}/comm", listener.pid()));
        name.is_ok_and(|name| name.trim_end() == "systemd")
    }

    /// From which address of this machine the daemon is called, over a network.
    pub fn local_address(&self) -> Option<std::net::IpAddr> {
        let fd = self.transport.descriptor().as_raw_fd();
        let name = nix::sys::socket::getsockname::<nix::sys::socket::SockaddrStorage>(fd).ok()?;
        let v4 = name.as_sockaddr_in().map(|name| std::net::IpAddr::V4(name.ip()));
        v4.or_else(|| name.as_sockaddr_in6().map(|name| std::net::IpAddr::V6(name.ip())))
    }

    /// Whether everything asked has been handed to the transport.
    pub fn is_written(&self) -> bool {
        self.outbox.is_empty() && !self.transport.wants_write()
    }

    /// Whether all that happened has been taken.
    pub fn is_idle(&self) -> bool {
        self.happened.is_empty()
    }

    /// Whether the connection is gone. Nothing asked from now on has an answer.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the server has said anything, be it no more than that it is there.
    pub fn has_heard(&self) -> bool {
        self.heard
    }

    /// Says that nothing more will be asked.
    pub fn finish(&mut self) -> io::Result<()> {
        self.transport.finish()
    }

    /// The next thing that happened, in order.
    pub fn take(&mut self) -> Option<Happening> {
        self.happened.pop_front()
    }

    /// Waits until something can be done or `until` has come, and does it. `others` are descriptors that end
    /// the wait too; what became of them is returned in their order.
    pub fn step(
        &mut self,
        now: Now,
        until: Option<Now>,
        others: &[(BorrowedFd<'_>, PollFlags)],
    ) -> io::Result<Vec<PollFlags>> {
        self.look_alive(now, true);
        let ready = self.wait(now, until, others)?;
        if !self.lost {
            let outcome = self.write_all().and_then(|()| self.read_all());
            if let Err(reason) = outcome {
                self.lose(reason);
            }
        }
        Ok(ready)
    }

    /// As `step`, but takes nothing from the server: for while what came cannot be handed on. Signs of life are given.
    pub fn rest(
        &mut self,
        now: Now,
        until: Option<Now>,
        others: &[(BorrowedFd<'_>, PollFlags)],
    ) -> io::Result<Vec<PollFlags>> {
        self.look_alive(now, false);
        if !self.lost && self.write_all().is_err() {
            // What else it said is read, and the loss noticed, with the next step.
            self.outbox.clear();
        }
        let next = self.alive.filter(|_| !self.lost).map(|alive| alive.next());
        let first = [until, next].into_iter().flatten().min();
        let mut fds: Vec<_> = others.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
        poll(&mut fds, first.map(|at| at.since(now)))?;
        Ok(fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect())
    }

    /// Ends the waiting of every request whose deadline has passed.
    pub fn expire(&mut self, now: Now) {
        while let Some((id, _)) = self.outstanding.expired(now) {
            self.happened.push_back(Happening::TimedOut(id));
        }
    }

    fn wait(
        &self,
        now: Now,
        until: Option<Now>,
        others: &[(BorrowedFd<'_>, PollFlags)],
    ) -> io::Result<Vec<PollFlags>> {
        let mut fds: Vec<_> = others.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
        if !self.lost {
            let mut wanted = PollFlags::POLLIN;
            wanted.set(PollFlags::POLLOUT, !self.is_written());
            fds.push(PollFd::new(self.transport.descriptor(), wanted));
        }
        let next = self.alive.filter(|_| !self.lost).map(|alive| alive.next());
        let first = [until, self.outstanding.deadline(), next].into_iter().flatten().min();
        let idle = self.happened.is_empty();
        let timeout = if idle { first.map(|at| at.since(now)) } else { Some(Span::from_micros(0)) };
        poll(&mut fds, timeout)?;
        let ready = fds.iter().take(others.len());
        Ok(ready.map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect())
    }

    /// Gives the signs of life that are due. Nothing that is not listened for is silence.
    fn look_alive(&mut self, now: Now, listening: bool) {
        if self.lost || self.framing == Framing::Lines {
            return;
        }
        let alive = self.alive.get_or_insert_with(|| Alive::new(now));
        let moved = std::mem::take(&mut self.moved);
        if moved.out {
            alive.said(now);
        }
        if moved.into || !listening {
            alive.heard(now);
        }
        match alive.due(now) {
            Sign::None => {}
            Sign::Give => {
                alive.said(now);
                // Where something still waits to be written, that is the sign.
                if self.outbox.is_empty() {
                    self.framing.put_keepalive(&mut self.outbox);
                }
            }
            Sign::Ask => {
                alive.said(now);
                let ping = [("request", "ping"), ("id", "alive")];
                let fields = ping.map(|(name, value)| (name.to_owned(), Value::from(value)));
                // Any answer will do, and nobody waits for this one.
                self.framing.put(&fields.into_iter().collect(), &mut self.outbox);
            }
            Sign::Gone => self.lose("it has fallen silent".to_owned()),
        }
    }

    fn write_all(&mut self) -> Result<(), String> {
        let mut written = 0;
        while let Some(rest) = self.outbox.get(written..).filter(|rest| !rest.is_empty()) {
            match self.transport.write(rest) {
                Ok(0) => break,
                Ok(count) => {
                    written += count;
                    self.moved.out = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What the server said before it closed may explain why: it is read first.
                Err(_) if self.read_all().is_err() => {
                    return Err("it closed the connection".to_owned());
                }
                Err(error) => return Err(reason(&error)),
            }
        }
        self.outbox.drain(..written);
        Ok(())
    }

    fn read_all(&mut self) -> Result<(), String> {
        let mut taken = 0;
        while taken < STEP_BYTES_MAX {
            let before = self.inbox.len();
            self.inbox.resize(before + READ_BYTES_MAX, 0);
            let room = self.inbox.get_mut(before..).unwrap_or_default();
            let outcome = self.transport.read(room);
            self.inbox.truncate(before + outcome.as_ref().map_or(0, |count| *count));
            match outcome {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(count) => {
                    taken += count;
                    self.moved.into = true;
                    self.heard = true;
                    self.understand().map_err(|nonsense| nonsense.to_string())?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    // Whoever says what makes no sense has said something.
                    self.heard |= error.kind() == io::ErrorKind::InvalidData;
                    return Err(reason(&error));
                }
            }
        }
        Ok(())
    }

    fn understand(&mut self) -> Result<(), Nonsense> {
        let mut from = 0;
        loop {
            let rest = self.inbox.get(from..).unwrap_or_default();
            let Some((count, incoming)) = self.framing.take(rest, self.scanned)? else {
                self.scanned = rest.len();
                self.inbox.drain(..from);
                return Ok(());
            };
            from += count;
            self.scanned = 0;
            match incoming {
                Incoming::Event(event) => self.happened.push_back(Happening::Event(event)),
                Incoming::Reply { id: None, outcome: Err(refusal) } => {
                    self.happened.push_back(Happening::Complaint(refusal));
                }
                Incoming::Reply { id: None, outcome: Ok(_) } | Incoming::Nothing => {}
                Incoming::Reply { id: Some(id), outcome } => {
                    if let Some(asked) = self.outstanding.answered(&id) {
                        let outcome = outcome.and_then(|reply| asked.checked(reply));
                        self.happened.push_back(Happening::Replied(id, outcome));
                    }
                }
            }
        }
    }

    fn lose(&mut self, reason: String) {
        assert!(!self.lost, "a connection is lost once");
        self.lost = true;
        self.outbox.clear();
        let unanswered = self.outstanding.abandon().into_iter().map(|(id, _)| id).collect();
        self.happened.push_back(Happening::Lost { reason, unanswered });
        assert!(self.outstanding.is_empty(), "nothing waits on a lost connection");
    }
}

/// Why a connection is gone, in words.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "it cut the connection".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Waits for any of the descriptors, at most for `timeout`, rounded up to the next millisecond. A signal
/// ends the wait early.
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Span>) -> io::Result<()> {
    let timeout = timeout.map_or(PollTimeout::NONE, |span| {
        let millis = span.as_micros().div_ceil(1_000);
        PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    });
    match nix::poll::poll(fds, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Fields, Framing, Happening, SocketTransport};
    use proptest::prelude::*;
    use proto::Now;
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let transport = SocketTransport::unix(ours).expect("a transport");
        (Client::new(Box::new(transport), Framing::Lines), theirs)
    }

    fn at(micros: u64) -> Now {
        Now::from_micros(micros)
    }

    /// Takes all that is there without waiting for more.
    fn drain(client: &mut Client, now: u64) -> Vec<Happening> {
        if !client.is_lost() {
            client.step(at(now), Some(at(now)), &[]).expect("a step");
        }
        client.expire(at(now));
        std::iter::from_fn(|| client.take()).collect()
    }

    #[test]
    fn what_was_asked_and_not_answered_is_named_when_the_connection_is_lost() {
        let (mut client, mut server) = pair();
        let ids: Vec<_> = (0..12).map(|_| client.ask("ping", Fields::new(), at(50))).collect();
        assert_eq!(drain(&mut client, 0), []);
        let early = ids.get(3).expect("the fourth");
        writeln!(server, "{{\"reply\":\"{early}\",\"ok\":true}}").expect("said");
        drop(server);
        let mut happened = drain(&mut client, 1);
        assert!(matches!(&happened[0], Happening::Replied(id, Ok(_)) if id == early));
        let Some(Happening::Lost { unanswered, .. }) = happened.pop() else { panic!("lost") };
        let left: Vec<_> = ids.iter().filter(|id| *id != early).cloned().collect();
        assert_eq!(unanswered, left);
        assert!(client.is_lost() && client.waiting() == 0);
    }

    #[test]
    fn nonsense_ends_the_connection() {
        let (mut client, mut server) = pair();
        server.write_all(b"HTTP/1.1 400 Bad Request\r\n").expect("said");
        let happened = drain(&mut client, 0);
        assert!(matches!(happened[..], [Happening::Lost { .. }]), "{happened:?}");
    }

    proptest! {
        #[test]
        fn every_request_ends_once_whatever_the_order_and_the_chunks(
            order in Just((1_u64..=12).collect::<Vec<_>>()).prop_shuffle(),
            answered in 0_usize..=12,
            repeats in 1_usize..3,
            chunk in 1_usize..40,
        ) {
            let (mut client, mut server) = pair();
            for number in 1..=12 {
                client.ask("ping", Fields::new(), at(1_000 + number));
            }
            let mut said = String::from("{\"reply\":\"stranger\",\"ok\":true}\n");
            for number in order.iter().take(answered) {
                for _ in 0..repeats {
                    said += &serde_json::json!({"reply": format!("r{number}"), "ok": true}).to_string();
                    said.push('\n');
                }
                said.push_str("{\"event\":\"notice\",\"text\":\"x\"}\n");
            }
            let mut happened = Vec::new();
            for bytes in said.as_bytes().chunks(chunk) {
                server.write_all(bytes).expect("said");
                happened.extend(drain(&mut client, 1));
            }
            happened.extend(drain(&mut client, 10_000));
            let mut ends: BTreeMap<String, usize> = BTreeMap::new();
            let mut events = 0;
            let mut replies = 0;
            for happening in happened {
                match happening {
                    Happening::Replied(id, _) => {
                        replies += 1;
                        *ends.entry(id).or_default() += 1;
                    }
                    Happening::TimedOut(id) => *ends.entry(id).or_default() += 1,
                    Happening::Event(_) => events += 1,
                    other => panic!("{other:?}"),
                }
            }
            prop_assert_eq!((events, replies), (answered, answered));
            prop_assert_eq!(ends.len(), 12);
            prop_assert!(ends.values().all(|count| *count == 1));
            prop_assert_eq!(client.waiting(), 0);
        }
    }
}
