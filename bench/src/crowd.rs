//! Many connections held by one thread, v0.5 ones unless they are told what they speak: it reads in big pieces, parses in place, hands each frame to a `Sink`,
//! and sends a keepalive on each connection that was quiet for five seconds. What the frames mean is the sink's business.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::clock::{Clock, seconds};
use crate::socket::{self, Manner};
use crate::web;
use crate::wire::{self, Frame, Split};

/// A peer writes something at least this often.
const KEEPALIVE_MICROS: u64 = seconds(5);
/// Nothing came for so long: a run is given up.
pub(crate) const PATIENCE_MICROS: u64 = seconds(20);
/// One read takes at most this much: far more than a server writes at once to one connection.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

/// Who is told what the connections say.
pub(crate) trait Sink {
    /// A whole frame came on a connection.
    fn frame(&mut self, link: usize, frame: Frame<'_>, now: u64);
    /// A connection is over; nothing comes from it any more.
    fn closed(&mut self, link: usize, why: &str);
}

/// A sink that says how it stands.
pub(crate) trait Tally: Sink {
    /// What the server refused, where it refused anything.
    fn refusal(&self) -> Option<&str>;
    /// The first connection that is over, and why.
    fn lost(&self) -> Option<&str>;
    /// How much came so far.
    fn came(&self) -> u64;
}

/// What a connection hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// Native frames.
    Frames,
    /// Text messages of a WebSocket, or first the answer that it is one.
    Socket { begun: bool },
    /// Server-sent events, or first the answer that they follow.
    Events { begun: bool },
}

impl Speaks {
    /// The first of what came. The head of an answer is as good as an Ack.
    fn split(self, bytes: &[u8]) -> (Self, Split<'_>) {
        let begins = |then| match web::head(bytes) {
            Some(taken) => (then, Split::Frame(Frame::Ack, taken)),
            None => (self, Split::More),
        };
        match self {
            Self::Frames => (self, wire::split(bytes)),
            Self::Socket { begun: false } => begins(Self::Socket { begun: true }),
            Self::Events { begun: false } => begins(Self::Events { begun: true }),
            Self::Socket { begun: true } => (self, web::split_socket(bytes)),
            Self::Events { begun: true } => (self, web::split_events(bytes)),
        }
    }

    /// What shows that somebody is there; nobody looks for it where nothing is heard.
    fn keepalive(self, out: &mut Vec<u8>) {
        match self {
            Self::Frames => wire::keepalive(out),
            Self::Socket { .. } => web::pong(out),
            Self::Events { .. } => {}
        }
    }
}

/// All connections of this process, by number from 0 on.
pub(crate) struct Crowd {
    epoll: Epoll,
    clock: Clock,
    links: Vec<Link>,
    events: Vec<EpollEvent>,
    scratch: Vec<u8>,
    quiet: BinaryHeap<Reverse<(u64, usize)>>,
}

struct Link {
    stream: TcpStream,
    speaks: Speaks,
    /// Not taken by the kernel yet.
    out: Vec<u8>,
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
    written_at: u64,
    reads: bool,
    /// The kernel took less than there was.
    is_blocked: bool,
    over: bool,
}

impl Crowd {
    pub(crate) fn new(clock: Clock) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let events = vec![EpollEvent::empty(); EVENTS_MAX];
        let scratch = vec![0; READ_BYTES_MAX];
        Ok(Self { epoll, clock, links: Vec::new(), events, scratch, quiet: BinaryHeap::new() })
    }

    /// Makes one more connection and gives its number.
    pub(crate) fn connect(&mut self, to: SocketAddr, manner: Manner) -> io::Result<usize> {
        let stream = socket::dial(to, manner)?;
        let number = self.links.len();
        self.epoll.add(&stream, EpollEvent::new(reading(), number as u64))?;
        let written_at = self.clock.micros();
        let (out, partial) = (Vec::new(), Vec::new());
        let (reads, is_blocked, over) = (true, false, false);
        let speaks = Speaks::Frames;
        self.links.push(Link { stream, speaks, out, partial, written_at, reads, is_blocked, over });
        self.quiet.push(Reverse((written_at + KEEPALIVE_MICROS, number)));
        Ok(number)
    }

    /// What a connection hears from now on is something else than native frames.
    pub(crate) fn speaks(&mut self, link: usize, speaks: Speaks) {
        self.links[link].speaks = speaks;
    }

    /// Where to append what a connection is to say; `flush` sends it.
    pub(crate) fn out(&mut self, link: usize) -> &mut Vec<u8> {
        &mut self.links[link].out
    }

    /// Writes what a connection has to say, as far as the kernel takes it now.
    pub(crate) fn flush(&mut self, link: usize) -> io::Result<()> {
        let this = &mut self.links[link];
        if this.out.is_empty() || this.over {
            this.out.clear();
            return Ok(());
        }
        match (&this.stream).write(&this.out) {
            Ok(taken) => {
                this.out.drain(..taken);
                this.written_at = self.clock.micros();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A connection that is gone says so by its next event.
            Err(_) => this.out.clear(),
        }
        let is_blocked = !this.out.is_empty();
        if is_blocked != this.is_blocked {
            this.is_blocked = is_blocked;
            return self.register(link);
        }
        Ok(())
    }

    /// From now on nothing is read from a connection; it goes on sending its keepalives.
    pub(crate) fn stop_reading(&mut self, link: usize) -> io::Result<()> {
        self.links[link].reads = false;
        self.register(link)
    }

    /// Tells the kernel what is waited for; error and hang-up are always reported.
    fn register(&mut self, link: usize) -> io::Result<()> {
        let this = &self.links[link];
        let mut interest = if this.reads { reading() } else { EpollFlags::empty() };
        interest.set(EpollFlags::EPOLLOUT, this.is_blocked);
        Ok(self.epoll.modify(&this.stream, &mut EpollEvent::new(interest, link as u64))?)
    }

    /// Takes a connection out of the crowd's hands, to read the rest of it.
    pub(crate) fn take(&mut self, link: usize) -> io::Result<TcpStream> {
        let this = &mut self.links[link];
        if !this.over {
            self.epoll.delete(&this.stream)?;
            this.over = true;
        }
        this.stream.try_clone()
    }

    /// Waits for something to come, but not beyond the time `until`, and hands it to the sink.
    pub(crate) fn turn(&mut self, until: u64, sink: &mut impl Sink) -> io::Result<()> {
        let now = self.clock.micros();
        let keepalive = self.quiet.peek().map_or(u64::MAX, |Reverse((due, _))| *due);
        let wait = until.min(keepalive).saturating_sub(now).div_ceil(1000);
        let wait = EpollTimeout::try_from(u32::try_from(wait).unwrap_or(1000).min(1000));
        let wait = wait.map_err(|_| io::ErrorKind::InvalidInput)?;
        let count = match self.epoll.wait(&mut self.events, wait) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for index in 0..count {
            let (event, link) = (self.events[index].events(), self.events[index].data());
            let link = usize::try_from(link).map_err(|_| io::ErrorKind::InvalidData)?;
            if event.contains(EpollFlags::EPOLLOUT) {
                self.flush(link)?;
            }
            if event.intersects(!EpollFlags::EPOLLOUT) {
                self.read(link, sink)?;
            }
        }
        self.send_keepalives()
    }

    /// The same, where nothing may be refused.
    pub(crate) fn peaceful_turn(&mut self, until: u64, tally: &mut impl Tally) -> io::Result<()> {
        self.turn(until, tally)?;
        match tally.refusal() {
            Some(refusal) => Err(io::Error::other(format!("the server says: {refusal}"))),
            None => Ok(()),
        }
    }

    /// Turns until something is so, as long as anything still comes.
    pub(crate) fn turn_until<T: Tally>(
        &mut self,
        tally: &mut T,
        until: impl Fn(&T) -> bool,
    ) -> io::Result<()> {
        let (mut came, mut at) = (tally.came(), self.clock.micros());
        while !until(tally) {
            let now = self.clock.micros();
            if came != tally.came() {
                (came, at) = (tally.came(), now);
            }
            if now > at + PATIENCE_MICROS {
                let lost = tally.lost().unwrap_or("no connection was lost");
                return Err(io::Error::other(format!("nothing comes any more; {lost}")));
            }
            self.peaceful_turn(now + 100_000, tally)?;
        }
        Ok(())
    }

    fn read(&mut self, link: usize, sink: &mut impl Sink) -> io::Result<()> {
        let this = &mut self.links[link];
        if !this.reads || this.over {
            return self.end(link, "hung up", sink);
        }
        let kept = this.partial.len();
        self.scratch[..kept].copy_from_slice(&this.partial);
        let end = match (&this.stream).read(&mut self.scratch[kept..]) {
            Ok(0) => return self.end(link, "closed by the server", sink),
            Ok(count) => kept + count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return self.end(link, &error.to_string(), sink),
        };
        let now = self.clock.micros();
        let mut start = 0;
        loop {
            let (speaks, split) = self.links[link].speaks.split(&self.scratch[start..end]);
            self.links[link].speaks = speaks;
            match split {
                Split::Frame(frame, taken) => {
                    sink.frame(link, frame, now);
                    start += taken;
                }
                Split::More => break,
                Split::Malformed => return self.end(link, "the server sent no frame", sink),
            }
        }
        let partial = &mut self.links[link].partial;
        partial.clear();
        if start < end {
            partial.extend_from_slice(&self.scratch[start..end]);
        }
        Ok(())
    }

    fn end(&mut self, link: usize, why: &str, sink: &mut impl Sink) -> io::Result<()> {
        let this = &mut self.links[link];
        if !this.over {
            this.over = true;
            self.epoll.delete(&this.stream)?;
            sink.closed(link, why);
        }
        Ok(())
    }

    fn send_keepalives(&mut self) -> io::Result<()> {
        let now = self.clock.micros();
        while let Some(&Reverse((due, link))) = self.quiet.peek() {
            if due > now {
                break;
            }
            self.quiet.pop();
            let this = &mut self.links[link];
            if this.over {
                continue;
            }
            if this.written_at + KEEPALIVE_MICROS <= now && this.out.is_empty() {
                this.speaks.keepalive(&mut this.out);
                if this.out.is_empty() {
                    // Who has nothing to say is not asked again at once.
                    this.written_at = now;
                }
                self.flush(link)?;
            }
            // Where the kernel takes nothing, it is not asked again at once.
            let due = (self.links[link].written_at + KEEPALIVE_MICROS).max(now + 1_000);
            self.quiet.push(Reverse((due, link)));
        }
        Ok(())
    }
}

fn reading() -> EpollFlags {
    EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP
}
