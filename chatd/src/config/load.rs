//! From files to checked values, each with where it came from.

use std::fmt;
use std::path::{Path, PathBuf};

use proto::RoomName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{self, KEYS, Kind, Value};

/// Rooms that always exist: a reload makes all of them in one turn of the loop.
const ROOMS_MAX: usize = 1_000;

/// What is wrong with the configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// File and line, or the flag.
    pub place: String,
    /// What was wrong, what the limit is, what to do.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ConfigError {}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The table, or this machine.
    Default,
    /// A line of a file.
    File(PathBuf, usize),
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Environment(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(name) => write!(f, "${name}"),
        }
    }
}

/// A value with its text and origin.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// As it would be written in the file.
    pub(crate) written: String,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// The values so far, one place for each key of the table; listeners and rooms apart, since they repeat.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) keys: Vec<Option<Setting>>,
    pub(crate) listen: Vec<Listening>,
    /// Rooms that always exist, in the order of the files.
    pub(crate) rooms: Vec<RoomSettings>,
}

/// One listener.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) address: Setting,
    /// Whether a proxy says first whose connection it is.
    pub(crate) proxy: Option<Setting>,
    /// What may be spoken there; everything where nobody says.
    pub(crate) protocols: Option<Setting>,
}

/// What a file says of one room.
#[derive(Clone, Debug)]
pub(crate) struct RoomSettings {
    pub(crate) name: RoomName,
    /// Where its section begins.
    pub(crate) origin: Origin,
    /// One place for each key of the table.
    pub(crate) keys: Vec<Option<Setting>>,
}

impl RoomSettings {
    /// The value of a key; none where the file says nothing about it.
    pub(crate) fn get(&self, name: &str) -> Option<&Setting> {
        let at = table::find(table::ROOM, name).expect("the code asks for keys of the table");
        self.keys[at].as_ref()
    }
}

impl Settings {
    /// The defaults of the table.
    pub(crate) fn new() -> Self {
        let keys = KEYS
            .iter()
            .map(|key| {
                let text = plain(key.default);
                (!text.is_empty() || is_list(key.kind)).then(|| Setting {
                    written: key.default.to_owned(),
                    value: key.kind.parse(&text).expect("the table's defaults are good values"),
                    origin: Origin::Default,
                })
            })
            .collect();
        Self { keys, listen: Vec::new(), rooms: Vec::new() }
    }

    /// The value of a key.
    pub(crate) fn get(&self, section: &str, name: &str) -> Option<&Setting> {
        let at = table::find(section, name).expect("the code asks for keys of the table");
        self.keys[at].as_ref()
    }

    /// Sets a key from plain text.
    ///
    /// # Errors
    /// What is wrong with the value, as a sentence's end.
    pub(crate) fn set(
        &mut self,
        section: &str,
        name: &str,
        text: &str,
        origin: Origin,
    ) -> Result<(), String> {
        let at = table::find(section, name)?;
        let kind = KEYS[at].kind;
        let value = kind.parse(text)?;
        let written = match kind {
            Kind::Switch | Kind::Burst => text.to_owned(),
            Kind::Networks | Kind::Hosts | Kind::Origins => list_written(text.split_whitespace()),
            Kind::Groups | Kind::Protocols => list_written(text.split_terminator('\n')),
            _ => format!("{text:?}"),
        };
        let setting = Setting { written, value, origin };
        match (section, name) {
            ("listen", "addr") => {
                self.listen.push(Listening { address: setting, proxy: None, protocols: None });
            }
            ("listen", _) => {
                let listener = self.listen.last_mut().ok_or("a listener has its address first")?;
                let place = match setting.value {
                    Value::Protocols(_) => &mut listener.protocols,
                    _ => &mut listener.proxy,
                };
                *place = Some(setting);
            }
            _ => self.keys[at] = Some(setting),
        }
        Ok(())
    }

    /// Reads the bytes of a file, which are to be UTF-8.
    ///
    /// # Errors
    /// The first thing that is wrong in it, with its line.
    pub(crate) fn read_bytes(&mut self, path: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.read(path, text),
            Err(error) => {
                let line = line_of(bytes, error.valid_up_to());
                Err(fault(path, line, "this line is no UTF-8; write the file in that encoding"))
            }
        }
    }

    /// Reads a file over what is there. Its listeners replace those of earlier files.
    ///
    /// # Errors
    /// The first thing that is wrong in it, with its line.
    pub(crate) fn read(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let document = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            fault(path, line, error.message())
        })?;
        if document.get_ref().contains_key("listen") {
            self.listen.clear();
        }
        for (section, content) in document.get_ref() {
            let at = section.span().start;
            let fail = |message: String| Err(fault(path, line_of(text, at), message));
            if let Err(message) = table::find_section(section.get_ref()) {
                return fail(message);
            }
            let name: &str = section.get_ref();
            let repeats = table::repeats(name);
            match content.get_ref() {
                DeValue::Table(table) if !repeats => self.read_section(path, text, name, table)?,
                DeValue::Array(items) if name == table::ROOM => {
                    self.read_rooms(path, text, at, items)?;
                }
                DeValue::Array(items) if repeats => self.read_listeners(path, text, at, items)?,
                DeValue::Table(_) | DeValue::Array(_) => {
                    let right = if repeats { format!("[[{name}]]") } else { format!("[{name}]") };
                    return fail(format!("write this section as {right}"));
                }
                _ => {
                    return fail(format!("write '{0}' as a section: [{0}]", section.get_ref()));
                }
            }
        }
        Ok(())
    }

    /// Reads `[[listen]]`, which may be repeated; `at` is where the first stands.
    fn read_listeners(
        &mut self,
        path: &Path,
        text: &str,
        at: usize,
        items: &[Spanned<DeValue<'_>>],
    ) -> Result<(), ConfigError> {
        let wrong = "write each listener as [[listen]] and, below it, addr = \"ADDRESS:PORT\"";
        for item in items {
            // A listener that lacks its address may still say something that is to be known first.
            for name in item.get_ref().as_table().into_iter().flat_map(|table| table.keys()) {
                let line = line_of(text, name.span().start);
                table::find("listen", name.get_ref())
                    .map_err(|message| fault(path, line, message))?;
            }
            let table = item.get_ref().as_table().filter(|table| table.contains_key("addr"));
            let at = if item.get_ref().is_table() { item.span().start } else { at };
            let table = table.ok_or_else(|| fault(path, line_of(text, at), wrong))?;
            self.read_section(path, text, "listen", table)?;
        }
        Ok(())
    }

    /// Reads `[[room]]`, which may be repeated; `at` is where the first stands.
    fn read_rooms(
        &mut self,
        path: &Path,
        text: &str,
        at: usize,
        items: &[Spanned<DeValue<'_>>],
    ) -> Result<(), ConfigError> {
        for item in items {
            let at = if item.get_ref().is_table() { item.span().start } else { at };
            let fail = |message: String| Err(fault(path, line_of(text, at), message));
            let mut section = Self { keys: vec![None; KEYS.len()], ..Self::new() };
            if let Some(table) = item.get_ref().as_table() {
                section.read_section(path, text, table::ROOM, table)?;
            }
            let name =
                table::find(table::ROOM, "name").expect("the code asks for keys of the table");
            let Some(Value::Room(name)) = section.keys[name].as_ref().map(|name| &name.value)
            else {
                let right = "write each room as [[room]] and, below it, name = \"NAME\"";
                return fail(right.to_owned());
            };
            let origin = Origin::File(path.to_owned(), line_of(text, at));
            let room = RoomSettings { name: name.clone(), origin, keys: section.keys };
            if let Some(other) = self.rooms.iter().find(|other| other.name == room.name) {
                return fail(format!("room '{}' has its [[room]] at {}", room.name, other.origin));
            }
            if self.rooms.len() >= ROOMS_MAX {
                return fail(format!("there are {ROOMS_MAX} [[room]]s already, as many as may be"));
            }
            self.rooms.push(room);
        }
        Ok(())
    }

    fn read_section(
        &mut self,
        path: &Path,
        text: &str,
        section: &str,
        table: &DeTable<'_>,
    ) -> Result<(), ConfigError> {
        // A listener is there once its address is.
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(name, _)| (section, &**name.get_ref()) != ("listen", "addr"));
        for (name, value) in keys {
            let line = line_of(text, name.span().start);
            let key = name.get_ref();
            let origin = Origin::File(path.to_owned(), line);
            table::find(section, key).map_err(|message| fault(path, line, message))?;
            let plain = plain_value(value).map_err(|message| fault(path, line, message))?;
            self.set(section, key, &plain, origin)
                .map_err(|message| fault(path, line, format!("{section}.{key}: {message}")))?;
        }
        Ok(())
    }
}

fn fault(path: &Path, line: usize, message: impl Into<String>) -> ConfigError {
    ConfigError { place: format!("{}:{line}", path.display()), message: message.into() }
}

fn line_of(text: impl AsRef<[u8]>, at: usize) -> usize {
    text.as_ref().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// A TOML value as the text that [`Kind::parse`] takes.
fn plain_value(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Boolean(switch) => Ok(switch.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(item_text).collect();
            texts
                .map(|texts| texts.join("\n"))
                .ok_or_else(|| "a list here holds texts and whole numbers only".to_owned())
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            Err("a value here is a text, a whole number, true, false or a list of texts".to_owned())
        }
    }
}

/// An item of a list, on a line of its own.
fn item_text(item: &Spanned<DeValue<'_>>) -> Option<String> {
    match item.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

fn list_written<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = items.map(|item| format!("{item:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Whether an empty list is a value of its own.
const fn is_list(kind: Kind) -> bool {
    matches!(kind, Kind::Networks | Kind::Hosts | Kind::Origins)
}

/// A default of the table without its quotes, what a list has on a line each.
fn plain(written: &str) -> String {
    written.trim_matches(['"', '[', ']']).replace("\", \"", "\n")
}
