//! Networks of a test's own: the same test again in a process that has one, a machine at the other end of a cable, and connections
//! from one of several addresses.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use nix::unistd::gettid;

use crate::apart::{Own, is_apart};
use crate::deadline::DEADLINE;
use crate::program;

/// Runs the test of this name again in a process with a network of its own, unless this is that process: whether it is.
///
/// # Panics
/// Where the test fails there.
pub fn is_own(test: &str) -> bool {
    is_own_for(test, DEADLINE)
}

/// The same for a test that may take so long.
///
/// # Panics
/// Where the test fails there.
pub fn is_own_for(test: &str, deadline: Duration) -> bool {
    is_apart(test, Own::Network, deadline)
}

/// Runs `ip` with these arguments, in the network of the thread that calls.
///
/// # Panics
/// Where it refuses.
pub fn ip(arguments: &str) {
    runs("ip", arguments);
}

/// Runs `tc`, as `ip`.
fn tc(arguments: &str) {
    runs("tc", arguments);
}

fn runs(program: &str, arguments: &str) {
    let done = program::run(Command::new(program).args(arguments.split(' ')), &[]);
    assert!(done.status.success(), "{program} {arguments}: {done:?}");
}

/// A connection from one of this machine's addresses.
pub fn connect_from(address: &str, to: SocketAddr) -> TcpStream {
    let source: IpAddr = address.parse().unwrap();
    let family = if source.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0))).unwrap();
    connect(fd.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
    TcpStream::from(fd)
}

type Work = Box<dyn FnOnce() + Send>;

/// A machine at the other end of a cable: a thread in another network. Its sockets stay there, whoever holds them.
#[derive(Debug)]
pub struct Elsewhere {
    work: Sender<Work>,
    done: Receiver<()>,
    /// What the addresses of both ends begin with.
    network: &'static str,
    /// The name of our end of the cable.
    near: String,
}

/// Whose address this is nobody knows: a frame to it is taken by no machine, and nobody is told.
const NOBODY: &str = "02:00:00:00:00:01";

impl Elsewhere {
    /// Lays the cable, in a network of one's own: 192.0.2.1 is here, 192.0.2.2 there.
    ///
    /// # Panics
    /// Where the network is not one's own.
    pub fn new() -> Self {
        Self::of("192.0.2")
    }

    /// Lays another cable to another machine: 198.51.100.1 is here, 198.51.100.2 there.
    ///
    /// # Panics
    /// Where the network is not one's own.
    pub fn another() -> Self {
        Self::of("198.51.100")
    }

    fn of(network: &'static str) -> Self {
        let (work, works) = channel::<Work>();
        let (does, done) = channel();
        let (says, thread) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            says.send(gettid()).unwrap();
            for work in works {
                work();
                does.send(()).unwrap();
            }
        });
        let there = thread.recv().unwrap();
        let near = format!("near-{network}");
        ip("link set lo up");
        ip(&format!("link add {near} type veth peer name far netns {there}"));
        ip(&format!("addr add {network}.1/24 dev {near}"));
        ip(&format!("link set {near} up"));
        let elsewhere = Self { work, done, network, near };
        elsewhere.runs(move || {
            ip(&format!("addr add {network}.2/24 dev far"));
            ip("link set far up");
        });
        elsewhere
    }

    /// Does something there, and waits for its end.
    ///
    /// # Panics
    /// Where it panics there.
    pub fn runs<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (result, taken) = channel();
        let work = move || result.send(work()).expect("somebody waits for it");
        self.work.send(Box::new(work)).expect("the thread is there");
        self.done.recv().expect("the work ends well");
        taken.recv().expect("it gave what it was to give")
    }

    /// Pulls the plug there: from now on nothing arrives, in either direction. Who calls from there sees that there is no network.
    pub fn is_cut_off(&self) {
        self.runs(|| ip("link set far down"));
    }

    /// Puts the plug in again.
    pub fn is_plugged_in(&self) {
        self.runs(|| ip("link set far up"));
    }

    /// Everything falls into a hole from now on, in either direction, and nobody is told: the cable is there, who calls waits.
    pub fn falls_silent(&self) {
        let network = self.network;
        let hole = move |to: &str, end: &str| {
            ip(&format!("neigh replace {network}.{to} lladdr {NOBODY} nud permanent dev {end}"));
        };
        hole("2", &self.near);
        self.runs(move || hole("1", "far"));
    }

    /// The hole is closed.
    pub fn is_heard_again(&self) {
        let network = self.network;
        ip(&format!("neigh del {network}.2 dev {}", self.near));
        self.runs(move || ip(&format!("neigh del {network}.1 dev far")));
    }

    /// The cable carries no more than this in either direction from now on, as `tc-tbf(8)` takes it.
    pub fn is_slow(&self, rate: &str) {
        tc(&format!("qdisc replace dev {} root tbf {rate}", self.near));
        let there = format!("qdisc replace dev far root tbf {rate}");
        self.runs(move || tc(&there));
    }
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self::new()
    }
}
