//! What an operator decided: files, flags and environment, checked, each value with its origin.
//!
//! Nothing is bound or opened here but the files themselves. The keys are in one table; see [`table`].

mod groups;
mod http;
mod listeners;
mod load;
mod print;
mod rooms;
mod table;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hub::{Anonymous, Durability, Level, Quota};
use nix::unistd::{Uid, User};
use proto::native::V05_CONTENT_BYTES_MAX;
use proto::{Charset, Network, RoomName, Span, WireLimits};

use self::load::{Origin, Setting, Settings};
use self::table::Value;
use crate::args::Args;
use crate::callers::Access;
use crate::control::PATH_BYTES_MAX;
use crate::history::{Deliver, Limits, Retention};

pub use self::listeners::{Clients, Listen};
pub use self::load::ConfigError;
pub use self::print::{Documented, documented};
pub use self::table::{LOG_FORMATS, LOG_LEVELS, log_format};
pub use self::value::address;

/// What a queue needs besides one message as JSON, where a byte takes up to six: the rest of the event, and what waits before it.
const OUTBOX_BESIDES_BYTES: usize = 68 * 1024;
/// Characters of the server's name.
const SERVER_NAME_CHARS_MAX: usize = 64;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal where standard error is the journal's, as text where it is not. Behind `--daemon`: to the journal where there
    /// is one.
    Auto,
    /// Lines for people.
    Text,
    /// One object a line.
    Json,
    /// To the journal, with fields.
    Journal,
}

/// Everything that was decided.
#[allow(clippy::struct_excessive_bools, reason = "switches, each decided by itself")]
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect.
    pub listen: Vec<Listen>,
    /// Whether nobody chose where.
    pub listen_is_usual: bool,
    /// The control socket.
    pub control: PathBuf,
    /// Whether nobody chose where it is.
    pub control_is_usual: bool,
    /// Who may open it.
    pub control_mode: u32,
    /// Whose members may do what there.
    pub access: Access,
    /// Groups of the defaults that there are not on this machine.
    pub missing_groups: Vec<String>,
    /// How long TERM waits.
    pub shutdown_timeout: Span,
    /// Whether the flush paces itself.
    pub pace: bool,
    /// Networks without rate limits.
    pub exempt: Vec<Network>,
    /// How durable an acknowledged message is.
    pub durability: Durability,
    /// When a message is delivered.
    pub deliver: Deliver,
    /// Whether messages can be searched.
    pub search: bool,
    /// How long messages are kept, and how many.
    pub retention: Retention,
    /// Where the state is; none where this user has no home.
    pub state: Option<PathBuf>,
    /// Whether nobody chose where it is.
    pub state_is_usual: bool,
    /// What is logged.
    pub log_level: Level,
    /// How.
    pub log_format: LogFormat,
    groups: hub::Groups,
    settings: Settings,
}

impl Config {
    /// Reads the files that `args` or the usual places name, and puts the flags over them.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn load(args: &Args) -> Result<Self, ConfigError> {
        let mut settings = Settings::new();
        for (path, required) in files(args) {
            match std::fs::read(&path) {
                Ok(bytes) => settings.read_bytes(&path, &bytes)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
                Err(error) => {
                    let message = format!("cannot be read: {error}");
                    return Err(ConfigError { place: path.display().to_string(), message });
                }
            }
        }
        put_flags(&mut settings, args)?;
        put_machine(&mut settings, args)?;
        let mut config = Self::from_settings(settings)?;
        config.state_is_usual = args.state_dir.is_none();
        config.state = args.state_dir.clone().or_else(|| default_state(args));
        Ok(config)
    }

    fn from_settings(settings: Settings) -> Result<Self, ConfigError> {
        check(&settings)?;
        let groups = groups::find(&settings, groups::of_this_machine)?;
        let config = Self {
            listen: settings.listen.iter().filter_map(listeners::listener).collect(),
            listen_is_usual: settings
                .listen
                .iter()
                .all(|listener| listener.address.origin == Origin::Default),
            control: PathBuf::from(text(&settings, "control", "path")),
            control_is_usual: settings.get("control", "path").is_none_or(|setting| {
                matches!(setting.origin, Origin::Default | Origin::Environment(_))
            }),
            control_mode: match settings.get("control", "mode").map(|setting| &setting.value) {
                Some(Value::Mode(mode)) => *mode,
                _ => 0o600,
            },
            access: groups.access,
            missing_groups: groups.missing,
            groups: groups.named,
            shutdown_timeout: span(&settings, "server", "shutdown_timeout").unwrap_or_default(),
            pace: settings
                .get("reactor", "pace")
                .is_none_or(|setting| setting.value == Value::Switch(true)),
            exempt: match settings.get("limits", "exempt").map(|setting| &setting.value) {
                Some(Value::Networks(networks)) => networks.clone(),
                _ => Vec::new(),
            },
            durability: match &*text(&settings, "history", "durability") {
                "sync" => Durability::Sync,
                "write" => Durability::Write,
                _ => Durability::None,
            },
            deliver: match &*text(&settings, "history", "deliver") {
                "at_once" => Deliver::AtOnce,
                _ => Deliver::Stored,
            },
            search: settings
                .get("history", "search")
                .is_none_or(|setting| setting.value == Value::Switch(true)),
            retention: Retention {
                max_bytes: size(&settings, "history", "max_bytes").map(|bytes| bytes as u64),
                usual: usual_limits(&settings),
                rooms: rooms::limits(&settings, usual_limits(&settings)),
            },
            state: None,
            state_is_usual: true,
            log_level: match &*text(&settings, "log", "level") {
                "error" => Level::Error,
                "warn" => Level::Warn,
                "debug" => Level::Debug,
                _ => Level::Info,
            },
            log_format: match &*text(&settings, "log", "format") {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                "journal" => LogFormat::Journal,
                _ => LogFormat::Auto,
            },
            settings,
        };
        assert!(!config.listen.is_empty(), "there is a default listener");
        Ok(config)
    }

    /// Whether another configuration may take the place of this one while the daemon runs.
    ///
    /// # Errors
    /// A key is another that holds for a daemon's whole life; or who listens is another, and that is the service manager's.
    pub fn may_become(&self, other: &Self, is_given: bool) -> Result<(), String> {
        let keys = table::KEYS.iter().zip(self.settings.keys.iter().zip(&other.settings.keys));
        for (key, (now, then)) in keys.filter(|(key, _)| key.at_start) {
            let value = |setting: &Option<Setting>| setting.as_ref().map(|is| is.value.clone());
            if let Some(new) = then.as_ref().filter(|_| value(now) != value(then)) {
                let was = now.as_ref().map_or("", |setting| &setting.written);
                return Err(format!(
                    "{}: {}.{} is {} and was {was}; that takes a restart",
                    new.origin, key.section, key.name, new.written
                ));
            }
        }
        if is_given && self.listen != other.listen {
            let origin = other.settings.listen.first();
            let origin = origin.map(|listener| listener.address.origin.to_string());
            return Err(format!(
                "{}: [[listen]] is another, but chatd.socket listens for clients; use 'systemctl edit chatd.socket'",
                origin.unwrap_or_default()
            ));
        }
        Ok(())
    }

    /// How clients come to this address, and what they may speak there.
    pub fn clients_at(&self, address: Option<SocketAddr>) -> Clients {
        let named = self.listen.iter().find(|listen| Some(listen.address) == address);
        named.map_or_else(Clients::default, |listen| listen.clients)
    }

    /// How many connections somebody asked for, where that is a number.
    pub fn connections(&self) -> Option<usize> {
        size(&self.settings, "limits", "connections")
    }

    /// What the hub is told. `capacity` is how many connections the descriptors allow: a larger number would not hold.
    #[allow(clippy::needless_update, reason = "a test build has one field more")]
    pub fn settings(&self, capacity: usize) -> hub::Settings {
        let from = &self.settings;
        let connections = match from.get("limits", "connections") {
            Some(_) => self.connections().map(|most| most.min(capacity)),
            None => Some(capacity),
        };
        hub::Settings {
            server_name: text(from, "server", "name"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            default_room: RoomName::parse(&text(from, "server", "default_room"))
                .expect("it was checked"),
            lasting_rooms: rooms::lasting(from),
            anonymous: match &*text(from, "names", "anonymous") {
                "endpoint" => Anonymous::Endpoint,
                _ => Anonymous::Guest,
            },
            wire: WireLimits {
                message: size(from, "limits", "message").unwrap_or(V05_CONTENT_BYTES_MAX),
                charset: match &*text(from, "names", "charset") {
                    "unicode" => Charset::Unicode,
                    _ => Charset::Ascii,
                },
            },
            connections,
            clients_per_ip: size(from, "limits", "clients_per_ip")
                .map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            accept_rate: quota(from, "accept_rate"),
            accept_burst: burst(from, "accept_burst"),
            messages_per_s: rate(from, "messages"),
            message_burst: burst(from, "message_burst"),
            bytes_per_s: rate(from, "bytes"),
            byte_burst: burst(from, "byte_burst"),
            fanout_per_s: rate(from, "fanout"),
            fanout_burst: burst(from, "fanout_burst"),
            nick_changes: quota(from, "nick_changes"),
            outbox: size(from, "limits", "outbox"),
            store: size(from, "limits", "store"),
            detect: span(from, "limits", "detect"),
            frame_timeout: span(from, "limits", "frame_timeout"),
            idle: span(from, "keepalive", "idle"),
            keepalive: span(from, "keepalive", "interval"),
            stall: span(from, "limits", "stall"),
            wait_timeout: span(from, "rendezvous", "wait_timeout"),
            turn_timeout: span(from, "rendezvous", "turn_timeout"),
            // Nobody who writes "off" wants every message ever said in memory.
            durability: self.durability,
            recent: Some(size(from, "history", "recent").unwrap_or(0)),
            rooms: size(from, "limits", "rooms"),
            rooms_joined: size(from, "limits", "rooms_joined"),
            rooms_made: size(from, "limits", "rooms_made"),
            exempt: self.exempt.clone(),
            web: http::website(from),
            groups: self.groups.clone(),
            log_level: self.log_level,
            ..hub::Settings::default()
        }
    }
}

/// How much of each room is kept that has no limits of its own.
fn usual_limits(settings: &Settings) -> Limits {
    Limits {
        max_age: span(settings, "history", "max_age"),
        max_messages: size(settings, "history", "max_messages").map(|count| count as u64),
        max_bytes: None,
    }
}

fn text(settings: &Settings, section: &str, name: &str) -> String {
    match settings.get(section, name).map(|setting| &setting.value) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

fn span(settings: &Settings, section: &str, name: &str) -> Option<Span> {
    match settings.get(section, name)?.value {
        Value::Span(span) => span,
        _ => None,
    }
}

fn size(settings: &Settings, section: &str, name: &str) -> Option<usize> {
    match settings.get(section, name)?.value {
        Value::Size(size) => size,
        _ => None,
    }
}

fn rate(settings: &Settings, name: &str) -> Option<u32> {
    match settings.get("limits", name)?.value {
        Value::Rate(rate) => rate,
        _ => None,
    }
}

fn quota(settings: &Settings, name: &str) -> Option<Quota> {
    match settings.get("limits", name)?.value {
        Value::Quota(quota) => quota,
        _ => None,
    }
}

fn burst(settings: &Settings, name: &str) -> u32 {
    let burst = size(settings, "limits", name).unwrap_or(usize::MAX);
    u32::try_from(burst).unwrap_or(u32::MAX).max(1)
}

/// The files to read, in order, and whether each must be there.
fn files(args: &Args) -> Vec<(PathBuf, bool)> {
    if let Some(path) = &args.config {
        return vec![(path.clone(), true)];
    }
    if let Some(folder) = given_folder("CONFIGURATION_DIRECTORY") {
        return folder_files(&folder);
    }
    if !is_systems(args) {
        return user_folder()
            .map(|folder| (folder.join("chatd/chatd.toml"), false))
            .into_iter()
            .collect();
    }
    folder_files(Path::new("/etc/chatd"))
}

/// Whether it is the whole system's daemon and not a user's own. Root may have handed it to somebody since it was started.
fn is_systems(args: &Args) -> bool {
    args.started_by_root || Uid::effective().is_root()
}

/// `chatd.toml` in a folder, and the parts beside it by name.
fn folder_files(folder: &Path) -> Vec<(PathBuf, bool)> {
    let mut files = vec![(folder.join("chatd.toml"), false)];
    let mut parts: Vec<PathBuf> = std::fs::read_dir(folder.join("conf.d"))
        .map(|entries| entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
        .unwrap_or_default();
    parts.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    parts.sort();
    files.extend(parts.into_iter().map(|path| (path, true)));
    files
}

/// A folder that the service manager names in a variable; the first where there are several.
fn given_folder(variable: &str) -> Option<PathBuf> {
    let folders = std::env::var_os(variable)?;
    std::env::split_paths(&folders).next().filter(|folder| folder.is_absolute())
}

fn user_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))
}

/// Puts the command line over the files.
fn put_flags(settings: &mut Settings, args: &Args) -> Result<(), ConfigError> {
    if !args.listen.is_empty() {
        settings.listen.clear();
    }
    for address in &args.listen {
        put(settings, ("listen", "addr"), &address.to_string(), "--listen")?;
    }
    if let Some(path) = &args.control {
        put(settings, ("control", "path"), &path.to_string_lossy(), "--control")?;
    }
    if let Some(path) = &args.ws_echo {
        put(settings, ("http", "ws_echo"), path, "--ws-echo")?;
    }
    if let Some(level) = &args.log_level {
        put(settings, ("log", "level"), level, "--log-level")?;
    }
    if let Some(format) = &args.log_format {
        put(settings, ("log", "format"), format, "--log-format")?;
    }
    Ok(())
}

fn put(
    settings: &mut Settings,
    key: (&str, &str),
    text: &str,
    flag: &'static str,
) -> Result<(), ConfigError> {
    let set = settings.set(key.0, key.1, text, Origin::Flag(flag));
    set.map_err(|message| ConfigError { place: flag.to_owned(), message })
}

/// Fills in what depends on the machine and the user.
fn put_machine(settings: &mut Settings, args: &Args) -> Result<(), ConfigError> {
    let whole = |message| ConfigError { place: "this machine".to_owned(), message };
    if settings.listen.is_empty() {
        settings.set("listen", "addr", "127.0.0.1:33333", Origin::Default).map_err(whole)?;
    }
    if settings.get("server", "name").is_none() {
        let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "chatd".to_owned());
        settings.set("server", "name", &name, Origin::Default).map_err(whole)?;
    }
    if settings.get("control", "path").is_none() {
        let (path, origin) = default_control(args);
        settings.set("control", "path", &path.to_string_lossy(), origin).map_err(whole)?;
    }
    Ok(())
}

/// Where the control socket is when nobody says: chatctl looks there, too.
fn default_control(args: &Args) -> (PathBuf, Origin) {
    if let Some(folder) = given_folder("RUNTIME_DIRECTORY") {
        return (folder.join("control"), Origin::Environment("RUNTIME_DIRECTORY"));
    }
    // That folder is closed to whom root hands the daemon to.
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| args.user.is_none());
    if let Some(folder) = own.filter(|value| !value.is_empty()) {
        return (Path::new(&folder).join("chatd/control"), Origin::Environment("XDG_RUNTIME_DIR"));
    }
    let is_systems = is_systems(args);
    let folder = if is_systems {
        "/run/chatd".to_owned()
    } else {
        format!("/tmp/chatd-{}", Uid::effective())
    };
    (Path::new(&folder).join("control"), Origin::Default)
}

/// Where the state is when nobody says.
fn default_state(args: &Args) -> Option<PathBuf> {
    if let Some(folder) = given_folder("STATE_DIRECTORY") {
        return Some(folder);
    }
    if is_systems(args) {
        return Some(PathBuf::from("/var/lib/chatd"));
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home =
        || set("HOME").or_else(|| User::from_uid(Uid::effective()).ok()?.map(|user| user.dir));
    let folder = set("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
    Some(folder.or_else(|| home().map(|home| home.join(".local/state")))?.join("chatd"))
}

/// Limits that only make sense together.
fn check(settings: &Settings) -> Result<(), ConfigError> {
    check_names(settings)?;
    let fail = |section, name, message: String| Err(wrong(settings, section, name, &message));
    let message = size(settings, "limits", "message").unwrap_or(V05_CONTENT_BYTES_MAX);
    if message == 0 || message > V05_CONTENT_BYTES_MAX {
        let text = format!(
            "{message} is not within 1 and {V05_CONTENT_BYTES_MAX}, what a v0.5 frame carries"
        );
        return fail("limits", "message", text);
    }
    let byte_burst = size(settings, "limits", "byte_burst").unwrap_or(usize::MAX);
    if byte_burst < message {
        return fail(
            "limits",
            "byte_burst",
            format!("{byte_burst} is below limits.message ({message}); raise it"),
        );
    }
    for burst in ["byte_burst", "fanout_burst"] {
        if size(settings, "limits", burst).is_some_and(|size| u32::try_from(size).is_err()) {
            return fail("limits", burst, format!("write at most {}", u32::MAX));
        }
    }
    let outbox = size(settings, "limits", "outbox");
    let needed = 6 * message + OUTBOX_BESIDES_BYTES;
    if let Some(outbox) = outbox
        && outbox < needed
    {
        let text = format!(
            "{outbox} is too little for a message of {message} bytes (limits.message); write at least {needed}"
        );
        return fail("limits", "outbox", text);
    }
    if let (Some(store), Some(outbox)) = (size(settings, "limits", "store"), outbox)
        && store < outbox
    {
        return fail(
            "limits",
            "store",
            format!("{store} is below limits.outbox ({outbox}); raise it"),
        );
    }
    rooms::check(settings)?;
    if let (Some(idle), Some(interval)) =
        (span(settings, "keepalive", "idle"), span(settings, "keepalive", "interval"))
        && idle <= interval
    {
        return fail(
            "keepalive",
            "idle",
            "it must be longer than keepalive.interval, or live peers are cut".to_owned(),
        );
    }
    Ok(())
}

/// What the server and its room are called.
fn check_names(settings: &Settings) -> Result<(), ConfigError> {
    let fail = |section, name, message: String| Err(wrong(settings, section, name, &message));
    let name = text(settings, "server", "name");
    if name.chars().count() > SERVER_NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let text = format!(
            "write 1 to {SERVER_NAME_CHARS_MAX} characters, none of them a control character"
        );
        return fail("server", "name", text);
    }
    let bytes = text(settings, "control", "path").len();
    if bytes > PATH_BYTES_MAX {
        let text = format!(
            "the path of a socket has at most {PATH_BYTES_MAX} bytes; this one has {bytes}"
        );
        return fail("control", "path", text);
    }
    if let Err(error) = RoomName::parse(&text(settings, "server", "default_room")) {
        return fail("server", "default_room", error.to_string());
    }
    Ok(())
}

/// A key's value that is wrong, and where it came from.
fn wrong(settings: &Settings, section: &str, name: &str, message: &str) -> ConfigError {
    let setting = settings.get(section, name);
    let place = setting.map_or_else(|| "default".to_owned(), |setting| setting.origin.to_string());
    ConfigError { place, message: format!("{section}.{name}: {message}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::table::KEYS;
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let mut settings = Settings::new();
        settings.read(Path::new("chatd.toml"), text)?;
        put_machine(&mut settings, &Args::default())?;
        Config::from_settings(settings)
    }

    fn refusal(text: &str) -> String {
        load(text).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_hub() {
        let settings = load("").unwrap().settings(100);
        let mut plain = hub::Settings::default();
        plain.server_name.clone_from(&settings.server_name);
        plain.connections = Some(100);
        // A hub by itself has nothing to store on.
        assert_eq!((settings.durability, plain.durability), (Durability::Sync, Durability::None));
        plain.durability = settings.durability;
        // Whether there are the usual groups is the machine's affair.
        plain.groups.clone_from(&settings.groups);
        // And so is its name.
        plain.web.hosts.clone_from(&settings.web.hosts);
        // The page is chatd's.
        plain.web.assets = settings.web.assets;
        assert_eq!(format!("{settings:?}"), format!("{plain:?}"));
    }

    #[test]
    fn the_printed_defaults_are_a_good_configuration() {
        let printed = Config::print_default();
        let uncommented: String = printed
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = ") || rest.starts_with('['))
                    .unwrap_or(line)
            })
            .fold(String::new(), |text, line| text + line + "\n");
        let config = load(&uncommented).unwrap();
        assert_eq!(
            format!("{:?}", config.settings(7)),
            format!("{:?}", load("").unwrap().settings(7))
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest_and_the_line() {
        assert_eq!(
            refusal("[limits]\nmesage = 100\n"),
            "chatd.toml:2: unknown key 'limits.mesage'; did you mean 'limits.message'?"
        );
        // A letter from one, two from the other that it begins like.
        assert_eq!(
            refusal("[limits]\nmesages = 100\n"),
            "chatd.toml:2: unknown key 'limits.mesages'; did you mean 'limits.messages'?"
        );
        assert_eq!(
            refusal("[server]\nmotd = \"hi\"\n"),
            "chatd.toml:2: 'server.motd' is not built yet in this version; take it out"
        );
        assert_eq!(refusal("limits = 5"), "chatd.toml:1: write 'limits' as a section: [limits]");
    }

    #[test]
    fn a_key_in_another_section_is_named_first() {
        assert_eq!(
            refusal("[limits]\nidle = \"15s\"\n"),
            "chatd.toml:2: unknown key 'limits.idle'; did you mean 'keepalive.idle'?"
        );
    }

    #[test]
    fn a_listener_with_nothing_but_tls_is_told_about_tls() {
        assert_eq!(
            refusal("[[listen]]\ntls = \"auto\"\n"),
            "chatd.toml:2: 'listen.tls' is not built yet in this version; take it out"
        );
    }

    #[test]
    fn a_file_that_is_no_text_names_the_line() {
        let mut settings = Settings::new();
        let wrong = settings.read_bytes(Path::new("chatd.toml"), b"[server]\n# caf\xe9\n");
        let said = wrong.unwrap_err().to_string();
        assert_eq!(said, "chatd.toml:2: this line is no UTF-8; write the file in that encoding");
    }

    /// Text as people mistype configurations: pieces of good ones in any order, and anything between them.
    fn anything() -> impl Strategy<Value = String> {
        let names = || {
            let all = KEYS.iter().flat_map(|key| [key.section, key.name]);
            prop::sample::select(all.chain(["addr", "tls", "x"]).collect::<Vec<_>>())
        };
        let values = [
            "1",
            "0",
            "-1",
            "\"off\"",
            "\"10s\"",
            "\"64KiB\"",
            "\"1/s\"",
            "\"5/min\"",
            "\"256KiB/s\"",
            "true",
            "[]",
            "[\"::1\"]",
            "[1]",
            "{}",
            "1.5",
            "\"127.0.0.1:1\"",
            "\"99999999999999999999d\"",
            "9223372036854775807",
            "\"\\u0000\"",
            "1979-05-27",
        ];
        let line = prop_oneof![
            4 => (names(), prop::sample::select(values.to_vec())).prop_map(|(name, value)| format!("{name} = {value}")),
            2 => names().prop_map(|name| format!("[{name}]")),
            1 => names().prop_map(|name| format!("[[{name}]]")),
            1 => ".{0,20}",
        ];
        prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #[test]
        fn any_text_is_a_configuration_or_an_error(text in anything(), capacity in 1_usize..100_000) {
            if let Ok(config) = load(&text) {
                let settings = config.settings(capacity);
                prop_assert!(settings.connections.is_none_or(|most| most <= capacity));
                prop_assert!(config.print_effective().contains("[limits]"));
            }
        }

        #[test]
        fn any_bytes_are_a_configuration_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Settings::new().read_bytes(Path::new("chatd.toml"), &bytes);
        }
    }

    #[test]
    fn a_charset_is_told_to_the_hub() {
        assert_eq!(load("").unwrap().settings(7).wire.charset, Charset::Ascii);
        let config = load("[names]\ncharset = \"unicode\"\n").unwrap();
        assert_eq!(config.settings(7).wire.charset, Charset::Unicode);
        assert!(refusal("[names]\ncharset = \"utf8\"\n").contains("unicode"));
    }

    #[test]
    fn a_section_that_would_do_nothing_is_refused() {
        assert_eq!(
            refusal("[limit]\n"),
            "chatd.toml:1: unknown section 'limit'; did you mean 'limits'?"
        );
        let wrong = "write each listener as [[listen]] and, below it, addr = \"ADDRESS:PORT\"";
        assert_eq!(refusal("\nlisten = [\"127.0.0.1:1\"]\n"), format!("chatd.toml:2: {wrong}"));
        assert_eq!(
            refusal("[[listen]]\naddr = \"[::1]:1\"\n[[listen]]\n"),
            format!("chatd.toml:3: {wrong}")
        );
    }

    #[test]
    fn a_wrong_value_says_what_to_write() {
        assert_eq!(
            refusal("\n[keepalive]\nidle = \"5 parsecs\"\n"),
            "chatd.toml:3: keepalive.idle: '5 parsecs' is no duration; write a number and ms, s, m, h or d, such as 10s"
        );
        assert_eq!(
            refusal("[limits]\nmessage = \"off\"\n"),
            "chatd.toml:2: limits.message: this limit cannot be off: buffers are sized by it"
        );
        assert_eq!(
            refusal("[reactor]\nflush = \"io_uring\"\n"),
            "chatd.toml:2: reactor.flush: 'io_uring' is not built yet in this version; there is epoll"
        );
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        assert_eq!(
            refusal("[limits]\nbyte_burst = 100\n"),
            "chatd.toml:2: limits.byte_burst: 100 is below limits.message (65530); raise it"
        );
        assert_eq!(
            refusal("[limits]\noutbox = \"64KiB\"\nmessage = 1000\n"),
            "chatd.toml:2: limits.outbox: 65536 is too little for a message of 1000 bytes (limits.message); write at least 75632"
        );
        assert_eq!(
            refusal("[keepalive]\nidle = \"5s\"\n"),
            "chatd.toml:2: keepalive.idle: it must be longer than keepalive.interval, or live peers are cut"
        );
    }

    #[test]
    fn a_path_that_no_socket_has_names_its_length() {
        let path = |bytes: usize| format!("[control]\npath = \"/{}\"\n", "x".repeat(bytes - 1));
        assert!(load(&path(103)).is_ok());
        assert_eq!(
            refusal(&path(104)),
            "chatd.toml:2: control.path: the path of a socket has at most 103 bytes; this one has 104"
        );
    }

    #[test]
    fn the_servers_name_is_one_line() {
        let wrong = "write 1 to 64 characters, none of them a control character";
        assert_eq!(
            refusal("[server]\nname = \"a\\nb\"\n"),
            format!("chatd.toml:2: server.name: {wrong}")
        );
        assert!(refusal(&format!("[server]\nname = \"{}\"\n", "x".repeat(65))).ends_with(wrong));
    }

    #[test]
    fn how_long_messages_are_kept_is_told_to_the_store() {
        let config = load("").unwrap();
        assert_eq!(config.retention.max_bytes, Some(10 << 30));
        assert_eq!(config.retention.usual.max_age, Some(Span::from_secs(30 * 86_400)));
        let off = "[history]\nmax_age = \"off\"\nmax_bytes = \"off\"\nsearch = false\ndurability = \"write\"\n";
        let config = load(off).unwrap();
        assert_eq!(config.retention, Retention::default());
        let counted = load("[history]\nmax_messages = 500\n").unwrap();
        assert_eq!(counted.retention.usual.max_messages, Some(500));
        assert_eq!((config.search, config.durability), (false, Durability::Write));
    }

    #[test]
    fn no_recent_messages_are_none() {
        let config = load("[history]\nrecent = \"off\"\n").unwrap();
        assert_eq!(config.settings(5).recent, Some(0));
    }

    #[test]
    fn connections_are_no_more_than_descriptors_allow() {
        let config = load("[limits]\nconnections = 99999999\n").unwrap();
        assert_eq!(config.connections(), Some(99_999_999));
        assert_eq!(config.settings(5).connections, Some(5));
        let config = load("[limits]\nconnections = 4\n").unwrap();
        assert_eq!(config.settings(5).connections, Some(4));
    }

    #[test]
    fn every_limit_takes_off_where_it_is_one() {
        let config = load(
            "[limits]\nconnections = \"off\"\noutbox = \"off\"\nmessages = \"off\"\nstall = \"off\"\n",
        );
        let settings = config.unwrap().settings(5);
        assert_eq!(settings.connections, None);
        assert_eq!(settings.outbox, None);
        assert_eq!(settings.messages_per_s, None);
        assert_eq!(settings.stall, None);
    }

    #[test]
    fn rates_are_by_the_second_or_the_minute() {
        let config = load(
            "[limits]\naccept_rate = \"30/min\"\nnick_changes = \"off\"\nclients_per_ip = \"off\"\nfanout = \"1MiB/s\"\n",
        );
        let settings = config.unwrap().settings(5);
        let rate = Quota { count: 30, span: Span::from_secs(60) };
        assert_eq!(settings.accept_rate, Some(rate));
        assert_eq!((settings.nick_changes, settings.clients_per_ip), (None, None));
        assert_eq!(settings.fanout_per_s, Some(1 << 20));
        assert_eq!(
            refusal("[limits]\nfanout_burst = \"8GiB\"\n"),
            "chatd.toml:2: limits.fanout_burst: write at most 4294967295"
        );
        assert_eq!(
            refusal("[limits]\naccept_rate = \"1/h\"\n"),
            "chatd.toml:2: limits.accept_rate: '1/h' is no rate; write a number of 1 or more a second or minute, such as 1/s or 5/min"
        );
    }

    #[test]
    fn listeners_repeat() {
        let config =
            load("[[listen]]\naddr = \"127.0.0.1:1\"\n[[listen]]\naddr = \"[::1]:2\"\n").unwrap();
        assert_eq!(config.listen.len(), 2);
        assert!(config.listen.iter().all(|listener| listener.clients == Clients::default()));
        let behind = "[[listen]]\nproxy_protocol = true\naddr = \"127.0.0.1:1\"\n[[listen]]\naddr = \"[::1]:2\"\n";
        let config = load(behind).unwrap();
        let proxied: Vec<bool> =
            config.listen.iter().map(|listener| listener.clients.proxy).collect();
        assert_eq!(proxied, [true, false]);
        let some = "protocols = [\"http\"]\n";
        let printed = load(&format!("{behind}{some}")).unwrap().print_effective();
        assert!(printed.contains("proxy_protocol = true ") && printed.contains(&some[..20]));
        assert_eq!(
            refusal("[[listen]]\naddr = \"[::1]:2\"\nproxy_protocol = \"yes\"\n"),
            "chatd.toml:3: listen.proxy_protocol: 'yes' is neither true nor false"
        );
        assert_eq!(
            refusal("[listen]\naddr = \"x\"\n"),
            "chatd.toml:1: write this section as [[listen]]"
        );
    }
}
