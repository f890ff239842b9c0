//! A relay between real processes that does what networks do: it delays, chops, cuts in the middle, resets, and goes away.
//!
//! Each direction of each connection has a thread. What it does to the bytes is one [`Fault`], the same for every connection until it is
//! changed; chances come from a seed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

/// What is done to the bytes of a connection, in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// They come one by one.
    OneByOne,
    /// Each piece comes so much later.
    Delay(Duration),
    /// Both directions end in good order after so many bytes, wherever that is in a frame.
    Cut(usize),
    /// The connection is reset after so many bytes, and what was under way is lost.
    Reset(usize),
    /// New connections are closed at once.
    Refuse,
}

/// The relay. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    fault: Mutex<Fault>,
    over: AtomicBool,
    /// Connections so far.
    accepted: AtomicUsize,
    /// Those that go on, to be broken.
    links: Mutex<Vec<Weak<Link>>>,
}

/// Both sides of a connection. They are closed when both directions have ended.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// Bytes of both directions.
    passed: AtomicUsize,
    is_reset: AtomicBool,
}

impl Link {
    /// Ends it without order: both sides are closed with a reset, and what was under way is lost.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::SeqCst);
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        for stream in [&self.client, &self.server] {
            let _ = setsockopt(stream, sockopt::Linger, &linger);
            // This side's readers wake up; nothing is sent.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }
}

impl Proxy {
    /// Relays to `target` from a free port of 127.0.0.1.
    pub fn start(target: SocketAddr, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            fault: Mutex::new(fault),
            over: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            links: Mutex::new(Vec::new()),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if ours.over.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    // A server that is not there is a connection that ends.
                    let _ = relay(&ours, client);
                }
            }
        });
        Self { address, shared }
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, for bytes that come.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// Resets every connection that goes on.
    pub fn break_all(&self) {
        for link in self.shared.links.lock().unwrap().drain(..) {
            if let Some(link) = link.upgrade() {
                link.reset();
            }
        }
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.break_all();
        // The listener wakes up for one more connection, and ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn relay(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    shared.accepted.fetch_add(1, Ordering::SeqCst);
    if *shared.fault.lock().unwrap() == Fault::Refuse {
        return Ok(());
    }
    let server = TcpStream::connect(shared.target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (passed, is_reset) = (AtomicUsize::new(0), AtomicBool::new(false));
    let link = Arc::new(Link { client, server, passed, is_reset });
    shared.links.lock().unwrap().push(Arc::downgrade(&link));
    for outwards in [true, false] {
        let (shared, link) = (Arc::clone(shared), Arc::clone(&link));
        thread::spawn(move || {
            let (from, to) =
                if outwards { (&link.client, &link.server) } else { (&link.server, &link.client) };
            // However a direction ends, the other side hears of it.
            let _ = pass(&shared, &link, from, to);
            if !link.is_reset.load(Ordering::SeqCst) {
                let _ = to.shutdown(Shutdown::Write);
                let _ = from.shutdown(Shutdown::Read);
            }
        });
    }
    Ok(())
}

/// Passes bytes on until the end of the stream or of patience.
fn pass(shared: &Shared, link: &Link, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let count = from.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        let fault = *shared.fault.lock().unwrap();
        let before = link.passed.fetch_add(count, Ordering::SeqCst);
        match fault {
            Fault::None | Fault::Refuse => to.write_all(&bytes[..count])?,
            Fault::OneByOne => {
                for byte in &bytes[..count] {
                    to.write_all(&[*byte])?;
                }
            }
            Fault::Delay(delay) => {
                wait(from, delay);
                to.write_all(&bytes[..count])?;
            }
            Fault::Cut(most) | Fault::Reset(most) => {
                to.write_all(&bytes[..count.min(most.saturating_sub(before))])?;
                if before + count >= most {
                    if matches!(fault, Fault::Reset(_)) {
                        link.reset();
                    } else {
                        let _ = from.shutdown(Shutdown::Both);
                        let _ = to.shutdown(Shutdown::Both);
                    }
                    return Ok(());
                }
            }
        }
    }
}

/// Lets time pass, unless the connection is gone before.
fn wait(stream: &TcpStream, span: Duration) {
    let millis = u16::try_from(span.as_millis()).unwrap_or(u16::MAX);
    let fd = std::os::fd::AsFd::as_fd(stream);
    let mut gone = [PollFd::new(fd, PollFlags::empty())];
    let _ = poll(&mut gone, PollTimeout::from(millis));
}
