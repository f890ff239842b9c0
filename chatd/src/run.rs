//! From a configuration to a running daemon: everything is bound, said, and then served until it is stopped.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::parent_id;
use std::path::PathBuf;

use hub::{Hub, Level};
use proto::{MessageId, Now};

use crate::clock::Clock;
use crate::config::Config;
use crate::control::Control;
use crate::driver::MioDriver;
use crate::history::MemoryStore;
use crate::listen::{Exempt, Listener};
use crate::rlimit;
use crate::signals::Signals;
use crate::turn::{Log, Server, Tuning, Turn};
use crate::users::Users;

/// Why the daemon does not start, or ends.
#[derive(Debug)]
pub enum RunError {
    /// A TCP address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The control socket cannot be made.
    Control(PathBuf, io::Error),
    /// A system call failed without which nothing works.
    System(&'static str, io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "cannot listen on {address}: it is in use; stop who has it, or choose another --listen"
                )
            }
            Self::Listen(address, error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                write!(
                    f,
                    "cannot listen on {address}: this machine does not have that address; choose another --listen"
                )
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Control(path, error) => {
                write!(f, "cannot make the control socket {}: {error}", path.display())
            }
            Self::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

/// Serves until the daemon is told to end. `signals` were blocked before any thread was started.
///
/// # Errors
/// Why it could not start. What goes wrong later with one peer is that peer's affair.
pub fn run<L: Log>(config: &Config, signals: Signals, mut log: L) -> Result<(), RunError> {
    let clock = Clock::start();
    let descriptors = rlimit::raise()
        .map_err(|error| RunError::System("cannot read RLIMIT_NOFILE", error.into()))?;
    // Where it fails, the loop waits a little each time that the table grows.
    let _ = rlimit::reserve(descriptors);
    let settings = config.settings(rlimit::connections(descriptors));
    let mut listeners = Vec::new();
    for address in &config.listen {
        let networks = config.exempt.clone();
        let exempt: Exempt =
            Box::new(move |ip| networks.iter().any(|network| network.contains(ip)));
        let listener = Listener::tcp(*address, settings.stall, exempt)
            .map_err(|error| RunError::Listen(*address, error))?;
        listeners.push(listener);
    }
    let control = Control::bind(&config.control, config.control_is_usual, Users::of_this_machine())
        .map_err(|error| RunError::Control(config.control.clone(), error))?;
    say_where(&listeners, config);
    listeners.push(Listener::Control(control));
    let capacity = rlimit::connections(descriptors);
    if let Some(wished) = config.connections().filter(|wished| *wished > capacity) {
        let text = format!(
            "limits.connections is {wished}, but {descriptors} descriptors allow {capacity}: raise RLIMIT_NOFILE (LimitNOFILE=) for more"
        );
        log.line(Level::Warn, "capacity", text);
    }
    log.line(Level::Info, "capacity", room_for(settings.connections, descriptors));
    let driver = MioDriver::new(listeners, signals, clock)
        .map_err(|error| RunError::System("cannot set up epoll", error))?;
    let (seed, history) = chance(clock);
    let hub = Hub::new(settings, seed, history, clock.now());
    let tuning = Tuning { paced: config.pace, shutdown_timeout: config.shutdown_timeout };
    let mut server = Server::new(hub, driver, MemoryStore::default(), log, tuning);
    loop {
        match server.turn() {
            Ok(Turn::Running) => {}
            Ok(Turn::Stopped) => return Ok(()),
            Err(error) => return Err(RunError::System("epoll failed", error)),
        }
    }
}

/// What the log says of how many may be connected.
fn room_for(connections: Option<usize>, descriptors: usize) -> String {
    match connections {
        Some(most) => format!("up to {most} connections, by {descriptors} descriptors"),
        None => format!("no limit of connections but that of {descriptors} descriptors"),
    }
}

/// One line for each address, on standard output: what a person or a script that started the daemon needs to know.
fn say_where(listeners: &[Listener], config: &Config) {
    let mut out = io::stdout().lock();
    for address in listeners.iter().filter_map(Listener::address) {
        // Nobody may be there to read it; the daemon serves all the same.
        let _ = writeln!(out, "chatd: listening on {address}");
    }
    let _ = writeln!(out, "chatd: control socket {}", config.control.display());
    let _ = out.flush();
}

/// The hub's seed, and a name for the history, from the kernel's random numbers; from the clock where there are none.
fn chance(clock: Clock) -> (u64, MessageId) {
    let mut bytes = [0; 24];
    let read = std::fs::File::open("/dev/urandom")
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes));
    if read.is_err() {
        let wall = Clock::wall().as_micros().unsigned_abs();
        let here = u64::from(std::process::id()) << 32 | u64::from(parent_id());
        bytes[..8].copy_from_slice(&wall.to_be_bytes());
        bytes[8..16].copy_from_slice(&here.to_be_bytes());
        bytes[16..].copy_from_slice(&clock.now().since(Now::default()).as_micros().to_be_bytes());
    }
    let (seed, history) = bytes.split_first_chunk::<8>().expect("24 bytes are 8 and 16");
    let history = history.try_into().expect("24 bytes are 8 and 16");
    (u64::from_be_bytes(*seed), MessageId::from_random(history))
}
