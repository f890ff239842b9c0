//! From a configuration to a running daemon: everything is bound, said, and then served until it is stopped.
//!
//! Binding is apart, since a daemon forks behind it: it makes no thread, and logs nothing yet.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hub::{Durability, Hub, Level, Outbox, Process, Settings};
use nix::errno::Errno;
use nix::unistd::Uid;
use proto::{MessageId, Now, Protocol, Span, Transport};

use crate::args::Args;
use crate::callers::Callers;
use crate::clock::Clock;
use crate::config::{Config, Listen};
use crate::control::Control;
use crate::driver::MioDriver;
use crate::history::{
    self, ConfiguredStore, Found, LockError, MemoryStore, Opening, Options, StartError,
    StateFolder, Wake,
};
use crate::identity::{Identity, IdentityError};
use crate::listen::{Listener, exempt};
use crate::log::Kind;
use crate::reload::Reader;
use crate::rlimit;
use crate::signals::Signals;
use crate::systemd::{Given, Notify, Systemd, recovering};
use crate::turn::{Driver, Log, Server, Supervised, Tuning, Turn};
use crate::users::Users;

/// Why something of the configuration is not bound.
const INSTEAD: &str = "the service manager gave sockets, and these are served instead";

/// How often the service manager hears that the history is still being opened.
const OPENING_TOLD_EVERY: Span = Span::from_secs(2);
/// How soon a daemon ends that is told to meanwhile.
const OPENING_LOOKS_EVERY: Duration = Duration::from_millis(100);
/// How much longer it is to wait then.
const OPENING_MORE: Span = Span::from_secs(15);

/// Why the daemon does not start, or ends.
#[derive(Debug)]
pub enum RunError {
    /// A TCP address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The control socket cannot be made.
    Control(PathBuf, io::Error),
    /// Nobody else can run it.
    Identity(IdentityError),
    /// There is no folder for the history.
    Stateless,
    /// The folder of the history is not ours.
    State(LockError),
    /// The history cannot be opened.
    History(StartError),
    /// The history broke, and what is on disk is not known.
    Broken(String),
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
            Self::Listen(address, error) if is_sandboxed(error) => {
                write!(
                    f,
                    "cannot listen on {address}: this process may open no network sockets; under systemd let chatd.socket give them (is \
                     it running?), or see listeners.conf"
                )
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Control(path, error) => {
                write!(f, "cannot make the control socket {}: {error}", path.display())
            }
            Self::Identity(error) => error.fmt(f),
            Self::Stateless => f.write_str(
                "this user has no home for the history; choose a --state-dir, or set history.durability to \"none\"",
            ),
            Self::State(error) => error.fmt(f),
            Self::History(error) => error.fmt(f),
            Self::Broken(why) => f.write_str(why),
            Self::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

impl RunError {
    /// Whether it is so each time until somebody changes what was configured.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Listen(_, error) if is_sandboxed(error))
    }
}

/// Whether the service manager forbids us this kind of socket.
fn is_sandboxed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
}

/// Everything that the daemon listens on, and what else it has from before it serves.
pub struct Bound {
    listeners: Vec<Listener>,
    notify: Option<Notify>,
    /// The service manager gave the sockets for clients.
    is_given: bool,
    descriptors: usize,
    /// Below which path the web client is, where it is served.
    web_path: Option<String>,
    /// What there was to log.
    remarks: Vec<(Level, Kind, String)>,
}

impl Bound {
    /// Binds what is configured and takes what was given. Ports are bound by whoever starts the daemon, the control socket by
    /// `identity`, if there is one: from there on the process acts as that user.
    ///
    /// # Errors
    /// The first thing that cannot be bound; or the process cannot be that user.
    pub fn take(
        config: &Config,
        systemd: Systemd,
        identity: Option<&Identity>,
    ) -> Result<Self, RunError> {
        let descriptors = rlimit::raise()
            .map_err(|error| RunError::System("cannot read RLIMIT_NOFILE", error.into()))?;
        let Systemd { mut given, notify } = systemd;
        let Settings { stall, web, .. } = config.settings(rlimit::connections(descriptors));
        let web_path = Some(web.base_path).filter(|_| !web.assets.is_empty());
        let is_given = !given.chat.is_empty();
        let mut remarks = Vec::new();
        let mut listeners = tcp_listeners(config, &mut given, stall, &mut remarks)?;
        listeners.push(control_listener(config, given.control, identity, &mut remarks)?);
        Ok(Self { listeners, notify, is_given, descriptors, web_path, remarks })
    }

    /// One line for each address, and for the web client: what a person or a script that started the daemon needs to know.
    pub fn places(&self) -> String {
        let mut lines = Vec::new();
        for address in self.listeners.iter().filter_map(Listener::address) {
            lines.push(format!("chatd: listening on {address}\n"));
        }
        if let Some(page) = self.page() {
            lines.push(format!("chatd: web client at {page}\n"));
        }
        for listener in &self.listeners {
            if let Listener::Control(control) = listener {
                let path = control.path().unwrap_or_default();
                lines.push(format!("chatd: control socket {}\n", path.display()));
            }
        }
        lines.concat()
    }

    /// Where a browser of this machine finds the web client: at the first listener that browsers can speak to.
    fn page(&self) -> Option<String> {
        let path = self.web_path.as_ref()?;
        let address = self.listeners.iter().find_map(|listener| match listener {
            Listener::Tcp { transport: Transport::Stream, protocols, .. }
                if protocols.has(Protocol::Http) =>
            {
                listener.address()
            }
            Listener::Tcp { .. } | Listener::Control(_) => None,
        })?;
        let host = if address.ip().is_unspecified() {
            format!("localhost:{}", address.port())
        } else {
            address.to_string()
        };
        Some(format!("http://{host}{path}"))
    }

    /// Forgets everything, since a child of this process serves it: what would be removed and unlocked at the end is the child's.
    pub fn leave_to_child(self) {
        std::mem::forget(self);
    }
}

/// Serves until the daemon is told to end. `signals` were blocked before any thread was started; `ready` is called when nothing can
/// hinder it any more.
///
/// # Errors
/// Why it could not start. What goes wrong later with one peer is that peer's affair.
pub fn run<L: Log>(
    (args, config): (&Args, &Config),
    bound: Bound,
    signals: Signals,
    mut log: L,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    let Bound { listeners, notify, is_given, descriptors, remarks, web_path: _ } = bound;
    let clock = Clock::start();
    // Where it fails, the loop waits a little each time that the table grows.
    let _ = rlimit::reserve(descriptors);
    let capacity = rlimit::connections(descriptors);
    let settings = config.settings(capacity);
    for (level, kind, text) in remarks {
        log.line(level, kind, text);
    }
    if let Some(wished) = config.connections().filter(|wished| *wished > capacity) {
        let text = format!(
            "limits.connections is {wished}, but {descriptors} descriptors allow {capacity}: raise RLIMIT_NOFILE (LimitNOFILE=) for more"
        );
        log.line(Level::Warn, Kind::Capacity, text);
    }
    log.line(Level::Info, Kind::Capacity, room_for(settings.connections, descriptors));
    tell_missing(config, &mut log);
    let supervised = notify.as_ref().map(|notify| Supervised { watchdog: notify.watchdog() });
    let process = this_process(&listeners, descriptors);
    let mut driver = MioDriver::new(listeners, signals, clock)
        .map_err(|error| RunError::System("cannot set up epoll", error))?
        .telling(notify)
        .reading(Reader::new(args.clone(), config.clone(), capacity, is_given));
    let (seed, fresh) = chance(clock);
    let Some((store, found)) = open_history((config, clock), fresh, &mut driver, &mut log)? else {
        return Ok(());
    };
    let mut hub = Hub::new(settings, seed, found.history, clock.now());
    hub.restore(&found.rooms, found.floor, found.unknown);
    // Nobody is there to be told anything.
    hub.open_lasting_rooms(Clock::wall(), &mut Outbox::default());
    hub.served_by(process);
    let tuning =
        Tuning { paced: config.pace, shutdown_timeout: config.shutdown_timeout, supervised };
    let mut server = Server::new(hub, driver, store, log, tuning);
    ready();
    loop {
        match server.turn() {
            Ok(Turn::Running) => {}
            Ok(Turn::Stopped) => break,
            Err(error) => return Err(RunError::System("epoll failed", error)),
        }
        if let Some(why) = server.store_mut().failure() {
            let (_, mut log) = server.into_store_and_log();
            log.line(Level::Error, Kind::HistoryBroken, why.clone());
            return Err(RunError::Broken(why));
        }
    }
    let (store, mut log) = server.into_store_and_log();
    for (level, kind, text) in store.close().map_err(RunError::Broken)? {
        log.line(level, kind, text);
    }
    Ok(())
}

/// Saves what can be read of a damaged history into a new one: what is to be told of it.
///
/// # Errors
/// The history is not ours, or cannot be read or made at all; then it is as it was.
pub fn recover(config: &Config) -> Result<String, RunError> {
    let path = config.state.as_ref().ok_or(RunError::Stateless)?;
    let folder = StateFolder::take(path, config.state_is_usual).map_err(RunError::State)?;
    let (database, fresh) = (folder.database(), chance(Clock::start()).1);
    let recovered = history::recover(&database, fresh)
        .map_err(|error| RunError::History(StartError::Open(error)))?;
    folder.give_back().map_err(|error| {
        RunError::System("cannot give the history to its folder's owner", error)
    })?;
    let history::Recovered { saved, lost, holes, aside } = recovered;
    Ok(format!(
        "chatd: {}: {saved} messages saved, {lost} found damaged, {holes} places that cannot be read; what was there is {}\n",
        database.display(),
        aside.display()
    ))
}

/// Opens the history, where there is to be one. The service manager hears that it takes long; none where the process is to end meanwhile.
fn open_history<L: Log>(
    (config, clock): (&Config, Clock),
    fresh: MessageId,
    driver: &mut MioDriver,
    log: &mut L,
) -> Result<Option<(ConfiguredStore, Found)>, RunError> {
    if config.durability == Durability::None {
        let memory = ConfiguredStore::Memory(MemoryStore::default());
        return Ok(Some((memory, Found::nothing(fresh))));
    }
    let path = config.state.as_ref().ok_or(RunError::Stateless)?;
    let folder = StateFolder::take(path, config.state_is_usual).map_err(RunError::State)?;
    let database = folder.database();
    let waker = driver.waker();
    let wake: Wake = Arc::new(move || {
        // A loop that cannot be woken is one that is gone.
        let _ = waker.wake();
    });
    let options = Options { durability: config.durability, search: config.search };
    let begun = clock.now();
    let mut opening =
        Opening::begin(folder, (options, config.retention.clone(), config.deliver), fresh, wake)
            .map_err(RunError::History)?;
    let mut told = begun;
    let (store, found) = loop {
        match opening.wait(OPENING_LOOKS_EVERY).map_err(RunError::History)? {
            Ok(opened) => break opened,
            Err(more) => opening = more,
        }
        if driver.is_told_to_stop() {
            let text = format!("{}: told to end while it was opened", database.display());
            log.line(Level::Info, Kind::History, text);
            // What was begun is done again by the next start. Until this process is gone, nobody else may use the folder.
            std::mem::forget(opening);
            return Ok(None);
        }
        if clock.now().since(told) >= OPENING_TOLD_EVERY {
            told = clock.now();
            let _ = driver.tell_manager(&recovering(OPENING_MORE));
        }
    };
    let text = format!(
        "{}: {} messages in {} rooms, opened in {} ms",
        database.display(),
        found.messages,
        found.rooms.len(),
        clock.now().since(begun).as_millis()
    );
    log.line(Level::Info, Kind::History, text);
    Ok(Some((ConfiguredStore::Durable(Box::new(store)), found)))
}

/// Where clients connect. What was given comes first: then nothing else of its kind is bound.
fn tcp_listeners(
    config: &Config,
    given: &mut Given,
    stall: Option<Span>,
    remarks: &mut Vec<(Level, Kind, String)>,
) -> Result<Vec<Listener>, RunError> {
    let exempt = || exempt(&config.exempt);
    let mut listeners = Vec::new();
    let own = if given.chat.is_empty() { &config.listen[..] } else { &[] };
    for Listen { address, clients } in own.iter().copied() {
        let listener = Listener::tcp(address, stall, exempt());
        let listener = listener.map_err(|error| RunError::Listen(address, error));
        if listener.as_ref().is_err_and(RunError::is_configuration) {
            given.turn_away();
        }
        listeners.push(listener?.for_clients(clients));
    }
    let are_given = !given.chat.is_empty();
    for socket in std::mem::take(&mut given.chat) {
        let listener = Listener::given(socket, stall, exempt());
        let listener = listener.map_err(|error| RunError::System("a socket is given", error))?;
        // What the configuration says of its address holds for it, too.
        let clients = config.clients_at(listener.address());
        listeners.push(listener.for_clients(clients));
    }
    let bound: Vec<SocketAddr> = listeners.iter().filter_map(Listener::address).collect();
    let unbound = config.listen.iter().filter(|listen| !bound.contains(&listen.address));
    let unbound: Vec<String> = unbound.map(|listen| listen.address.to_string()).collect();
    if are_given && !config.listen_is_usual && !unbound.is_empty() {
        let text = format!("{}: not listened on; {INSTEAD}", unbound.join(", "));
        remarks.push((Level::Warn, Kind::NotBound, text));
    }
    Ok(listeners)
}

/// The control socket, given or made by who runs the daemon.
fn control_listener(
    config: &Config,
    given: Option<UnixListener>,
    identity: Option<&Identity>,
    remarks: &mut Vec<(Level, Kind, String)>,
) -> Result<Listener, RunError> {
    if let Some(identity) = identity {
        if config.control_is_usual && given.is_none() {
            identity.own(&config.control, config.control_mode).map_err(RunError::Identity)?;
        }
        if let Some(state) = config
            .state
            .as_ref()
            .filter(|_| config.state_is_usual && config.durability != Durability::None)
        {
            identity.own_state(state).map_err(RunError::Identity)?;
        }
        identity.assume().map_err(RunError::Identity)?;
    }
    let callers = Callers::new(Users::of_this_machine(), config.access.clone());
    let control = if let Some(socket) = given {
        if !config.control_is_usual {
            let path = config.control.display();
            remarks.push((Level::Warn, Kind::NotBound, format!("{path}: not made; {INSTEAD}")));
        }
        Control::given(socket, callers)
    } else {
        Control::bind(&config.control, config.control_is_usual, config.control_mode, callers)
            .map_err(|error| RunError::Control(config.control.clone(), blamed(error, identity)))?
    };
    Ok(Listener::Control(control))
}

/// Says whose permission it is that lacks, where that is not who started the daemon.
fn blamed(error: io::Error, identity: Option<&Identity>) -> io::Error {
    let Some(identity) = identity.filter(|_| error.raw_os_error() == Some(Errno::EACCES as i32))
    else {
        return error;
    };
    let name = identity.name();
    io::Error::other(format!("{error}: its folder is to be one where {name} may write, see --user"))
}

/// Says which of the usual groups this machine lacks: a warning where others than the daemon's user may be expected to call.
fn tell_missing<L: Log>(config: &Config, log: &mut L) {
    if config.missing_groups.is_empty() {
        return;
    }
    let level = if Uid::effective().is_root() { Level::Warn } else { Level::Info };
    let missing = config.missing_groups.join(", ");
    let text = format!(
        "no such group on this machine: {missing}; nobody gets rights on the control socket by it (make it with groupadd and start \
         again, or name others in [control])"
    );
    log.line(level, Kind::NoGroup, text);
}

/// What `stats` tells administrators of the process.
fn this_process(listeners: &[Listener], descriptors: usize) -> Process {
    let addresses = listeners.iter().filter_map(Listener::address);
    Process {
        pid: std::process::id(),
        descriptors_max: descriptors,
        listeners: addresses.map(|address| address.to_string()).collect(),
    }
}

/// What the log says of how many may be connected.
fn room_for(connections: Option<usize>, descriptors: usize) -> String {
    match connections {
        Some(most) => format!("up to {most} connections, by {descriptors} descriptors"),
        None => format!("no limit of connections but that of {descriptors} descriptors"),
    }
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
