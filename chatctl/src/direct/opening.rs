//! How two whom a server has brought together come to a connection of their own: both listen, one calls the other, and that in time.
//!
//! It asks no server: its owner says who was found and where, when to call, and takes what came of it. Who calls is the owner's
//! business; where both call at once the one whose name comes first does. The connection serves once the server has said that the
//! talk goes over it: what is said over it before is kept.

use super::{Door, End, Happening, Hello, Link, Peer};
use crate::background::Background;
use crate::client::Client;
use crate::tcp;
use nix::poll::PollFlags;
use proto::{Now, Span};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;

/// So long the way past the server is tried.
const CALL_SPAN_MAX: Span = Span::from_secs(3);

/// So long who is to be called waits for that.
const CALLED_SPAN_MAX: Span = Span::from_secs(5);

const _: () = assert!(CALL_SPAN_MAX.as_micros() < CALLED_SPAN_MAX.as_micros());

/// Where a program of this machine listens past a server: at the address from which it calls that, so that whoever reaches it there
/// may. Over a control socket that is this machine, as the server sees it.
pub fn listening_address(client: &Client, port: u16) -> SocketAddr {
    SocketAddr::new(client.local_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)
}

/// What came of a call, or of waiting for one.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// We have called, and were let in: the connection is there.
    Reached,
    /// There is none, for this reason.
    Failed(String),
}

/// How far the connection of the two is.
enum Stage {
    /// Nobody has called.
    Apart,
    /// We call, until then.
    Calling(Background<Result<TcpStream, String>>, Now),
    /// They have taken the call, and we said who we are.
    Asking(Link),
    /// They let us in.
    Reached(Link),
    /// They have called, and were let in.
    Called(Link),
}

impl Stage {
    fn link(&self) -> Option<&Link> {
        match self {
            Self::Apart | Self::Calling(..) => None,
            Self::Asking(link) | Self::Reached(link) | Self::Called(link) => Some(link),
        }
    }

    fn link_mut(&mut self) -> Option<&mut Link> {
        match self {
            Self::Apart | Self::Calling(..) => None,
            Self::Asking(link) | Self::Reached(link) | Self::Called(link) => Some(link),
        }
    }

    /// What to wait for.
    fn watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match self {
            Self::Calling(call, _) => Some((call.bell(), PollFlags::POLLIN)),
            _ => self.link().map(Link::watched),
        }
    }
}

/// Who was found, and how far we are with them.
struct Found {
    /// How we are called, and they.
    us: String,
    peer: String,
    turns: bool,
    /// Where they listen.
    address: SocketAddr,
    stage: Stage,
    /// Until when we wait to be called.
    until: Option<Now>,
}

impl Found {
    /// Whether our call is the one that counts where both call.
    fn is_first(&self) -> bool {
        self.us.to_lowercase() < self.peer.to_lowercase()
    }

    fn hello(&self) -> Hello {
        Hello { turns: self.turns, ..Hello::ours(Some(self.us.clone())) }
    }

    /// Whether a caller is the one that was found, as far as one can tell: by name, and from where it says to be.
    fn is_them(&self, link: &Link, hello: &Hello) -> bool {
        let name = hello.nick.as_ref().map(|nick| nick.to_lowercase());
        name == Some(self.peer.to_lowercase())
            && self.address.ip() == link.address().ip()
            && self.turns == hello.turns
    }
}

/// A door for one peer, and the call of one.
pub struct Opening {
    door: Door,
    /// A caller who knew of us before we knew of it.
    early: Option<(Link, Hello)>,
    found: Option<Found>,
    outcome: Option<Outcome>,
}

impl Opening {
    /// Listens there.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let door = Door::open(&[address])?;
        Ok(Self { door, early: None, found: None, outcome: None })
    }

    /// The port where we listen.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.door.address()?.port())
    }

    /// We are called so, and this one was found, who listens there.
    pub fn find(&mut self, us: &str, peer: &str, turns: bool, address: SocketAddr, now: Now) {
        let (us, peer) = (us.to_owned(), peer.to_owned());
        let (stage, until) = (Stage::Apart, None);
        self.outcome = None;
        self.found = Some(Found { us, peer, turns, address, stage, until });
        if let Some((link, hello)) = self.early.take() {
            self.answer(link, &hello, now);
        }
    }

    /// Whoever was found is not there any more, or the server relays.
    pub fn forget(&mut self) {
        self.found = None;
        self.outcome = None;
    }

    /// Either of the two is called otherwise now.
    pub fn rename(&mut self, us: &str, peer: &str) {
        if let Some(found) = &mut self.found {
            us.clone_into(&mut found.us);
            peer.clone_into(&mut found.peer);
        }
    }

    /// Calls whoever was found. Who has called us is waited for: it opens the talk.
    pub fn call(&mut self, now: Now) {
        let Some(found) = &mut self.found else { return };
        match found.stage {
            Stage::Apart => {
                let (address, until) = (found.address, now.after(CALL_SPAN_MAX));
                let call = Background::start(move || {
                    tcp::call(&address.ip().to_string(), address.port(), until)
                });
                match call {
                    Ok(call) => found.stage = Stage::Calling(call, until),
                    Err(error) => self.outcome = Some(Outcome::Failed(error.to_string())),
                }
            }
            Stage::Called(_) => found.until = Some(now.after(CALLED_SPAN_MAX)),
            Stage::Calling(..) | Stage::Asking(_) | Stage::Reached(_) => {}
        }
    }

    /// Does what one does who needs no person: the one whose name comes first calls, the other waits for that.
    pub fn call_or_wait(&mut self, now: Now) {
        let Some(found) = &mut self.found else { return };
        if found.is_first() {
            self.call(now);
        } else {
            found.until = Some(now.after(CALLED_SPAN_MAX));
        }
    }

    /// What came of it; once.
    pub fn take(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// The connection of the two, where it is there.
    pub fn link(&mut self) -> Option<Link> {
        match self.found.take()?.stage {
            Stage::Reached(link) | Stage::Called(link) => link.peer.is_talking().then_some(link),
            Stage::Apart | Stage::Calling(..) | Stage::Asking(_) => None,
        }
    }

    /// The descriptors to wait for, and what for. `step` takes what became of them in this order.
    pub fn watched(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let own = self.found.as_ref().and_then(|found| found.stage.watched());
        own.into_iter().chain(self.door.watched()).collect()
    }

    /// When to look again, whatever the descriptors say.
    pub fn next(&self) -> Option<Now> {
        let found = self.found.as_ref();
        let link = found.and_then(|found| found.stage.link());
        let link = link.and_then(|link| link.peer.next());
        [found.and_then(|found| found.until), link, self.door.next()].into_iter().flatten().min()
    }

    /// Does what can be done now.
    pub fn step(&mut self, ready: &[PollFlags], now: Now) {
        let own = self.found.as_ref().and_then(|found| found.stage.watched());
        let own = usize::from(own.is_some());
        self.door.step(ready.get(own..).unwrap_or_default(), now);
        while let Some((link, hello)) = self.door.caller() {
            self.answer(link, &hello, now);
        }
        let Some(mut found) = self.found.take() else { return };
        let outcome = self.go_on(&mut found, now);
        let late = found.until.take_if(|until| now >= *until);
        let late = late.map(|_| Outcome::Failed(format!("{} does not reach us", found.peer)));
        self.outcome = outcome.or(late).or(self.outcome.take());
        self.found = Some(found);
    }

    /// Goes on with a call, or with who is there.
    fn go_on(&self, found: &mut Found, now: Now) -> Option<Outcome> {
        if let Some(link) = found.stage.link_mut() {
            link.read(now);
            link.peer.expire(now);
            link.flush(now);
        }
        match std::mem::replace(&mut found.stage, Stage::Apart) {
            Stage::Calling(call, until) => match call.take() {
                Some(stream) => return self.answered(found, stream, until, now),
                None => found.stage = Stage::Calling(call, until),
            },
            Stage::Asking(link) => return asked(found, link, now),
            Stage::Reached(link) if !link.peer.is_over() => found.stage = Stage::Reached(link),
            Stage::Called(link) if !link.peer.is_over() => found.stage = Stage::Called(link),
            Stage::Apart | Stage::Reached(_) | Stage::Called(_) => {}
        }
        None
    }

    /// Somebody has taken our call, or nobody.
    fn answered(
        &self,
        found: &mut Found,
        stream: Result<TcpStream, String>,
        until: Now,
        now: Now,
    ) -> Option<Outcome> {
        let own = self.door.address().ok().map(|own| own.to_string());
        let hello = Hello { address: own, ..found.hello() };
        let link = stream.and_then(|stream| {
            let peer = Peer::calling(&hello, now, until);
            Link::new(stream, peer).map_err(|error| error.to_string())
        });
        match link {
            Ok(mut link) => {
                link.flush(now);
                found.stage = Stage::Asking(link);
                None
            }
            Err(why) => {
                let (peer, address) = (&found.peer, found.address);
                Some(Outcome::Failed(format!("{peer} cannot be reached at {address} ({why})")))
            }
        }
    }

    /// Lets a caller in who is the one that was found.
    fn answer(&mut self, mut link: Link, hello: &Hello, now: Now) {
        let Some(found) = &mut self.found else {
            if let Some((before, _)) = self.early.replace((link, hello.clone())) {
                self.door.turn_away(before, "busy", "nobody is waited for any more", now);
            }
            return;
        };
        let is_free = match found.stage {
            Stage::Apart => true,
            Stage::Calling(..) | Stage::Asking(_) => !found.is_first(),
            Stage::Reached(_) | Stage::Called(_) => false,
        };
        if is_free && found.is_them(&link, hello) {
            if !matches!(found.stage, Stage::Apart) {
                found.until = Some(now.after(CALLED_SPAN_MAX));
            }
            link.peer.welcome(&found.hello(), now);
            link.flush(now);
            found.stage = Stage::Called(link);
        } else {
            self.door.turn_away(link, "busy", "somebody else is waited for here", now);
        }
    }
}

/// Hears what became of our hello.
fn asked(found: &mut Found, mut link: Link, now: Now) -> Option<Outcome> {
    if link.peer.is_talking() {
        // The first that happened; what they said since is heard once the talk has started.
        let welcome = link.peer.take();
        debug_assert!(matches!(welcome, Some(Happening::Welcomed(_))), "{welcome:?}");
        found.stage = Stage::Reached(link);
        return Some(Outcome::Reached);
    }
    if !link.peer.is_over() {
        found.stage = Stage::Asking(link);
        return None;
    }
    let end = std::iter::from_fn(|| link.peer.take()).last();
    let is_busy = match end {
        Some(Happening::Ended(End::Refused(refusal))) => refusal.code == "busy",
        _ => false,
    };
    if is_busy && !found.is_first() {
        // They call us, most likely, and theirs is the call that counts.
        found.until = Some(now.after(CALLED_SPAN_MAX));
        return None;
    }
    Some(Outcome::Failed(format!("{} does not let us in", found.peer)))
}
