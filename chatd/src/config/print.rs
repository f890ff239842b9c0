//! The configuration as a file: the defaults, or what is in effect and where each value came from.

use std::fmt::Write;

use super::Config;
use super::load::{Setting, Settings};
use super::table::{KEYS, ROOM, repeats};

impl Config {
    /// Every key at its default, as comments that can be taken in.
    pub fn print_default() -> String {
        let mut page = String::from("# chatd.toml: every key at its default.\n");
        let settings = Settings::new();
        // A listener without its address is none, so that this section is a comment, too.
        each_section(&mut page, "# ", |page, at| {
            let key = &KEYS[at];
            if key.section == ROOM {
                return writeln!(page, "\n# {}\n## {} = {}", key.doc, key.name, example(key.name));
            }
            let restart = if key.at_start { " (takes a restart)" } else { "" };
            let _ = writeln!(page, "\n# {}{restart}", key.doc);
            match settings.keys[at].as_ref() {
                Some(setting) => writeln!(page, "# {} = {}", key.name, setting.written),
                None => writeln!(page, "# {}: depends on the machine", key.name),
            }
        });
        page
    }

    /// Every key with its value and where that came from.
    pub fn print_effective(&self) -> String {
        let mut page = String::from("# chatd.toml: what is in effect.\n");
        each_section(&mut page, "", |page, at| {
            let key = &KEYS[at];
            if key.section == ROOM {
                return Ok(());
            }
            if key.section == "listen" {
                if key.name == "addr" {
                    self.print_listeners(page);
                }
                return Ok(());
            }
            match self.settings.keys[at].as_ref() {
                Some(setting) => line(page, key.name, setting),
                None => {
                    let _ = writeln!(page, "# {} is taken from the descriptor limit", key.name);
                }
            }
            Ok(())
        });
        for room in &self.settings.rooms {
            let _ = writeln!(page, "\n[[room]]");
            for (key, setting) in KEYS.iter().zip(&room.keys) {
                if let Some(setting) = setting {
                    line(&mut page, key.name, setting);
                }
            }
        }
        page
    }
}

impl Config {
    fn print_listeners(&self, page: &mut String) {
        for (number, listener) in self.settings.listen.iter().enumerate() {
            if number > 0 {
                let _ = writeln!(page, "\n[[listen]]");
            }
            line(page, "addr", &listener.address);
            if let Some(proxy) = &listener.proxy {
                line(page, "proxy_protocol", proxy);
            }
            if let Some(protocols) = &listener.protocols {
                line(page, "protocols", protocols);
            }
        }
    }
}

/// What a key of a room may look like: nothing of a room has a default.
fn example(name: &str) -> &'static str {
    match name {
        "name" => "\"ops\"",
        "topic" => "\"Deployments\"",
        "max_age" => "\"90d\"",
        "max_messages" => "100000",
        _ => "\"1GiB\"",
    }
}

/// A key as its page of the manual tells of it.
#[derive(Clone, Debug)]
pub struct Documented {
    /// The section that it is in.
    pub section: &'static str,
    /// That section may be there several times, in double brackets.
    pub repeats: bool,
    /// Its name there.
    pub name: &'static str,
    /// Which values it takes, in words.
    pub values: String,
    /// As it is written in the file; none where that depends on the machine.
    pub default: Option<&'static str>,
    /// What it does.
    pub doc: &'static str,
    /// A reload does not change it.
    pub at_start: bool,
}

/// Every key, in the order of the table.
pub fn documented() -> impl Iterator<Item = Documented> {
    KEYS.iter().map(|key| Documented {
        section: key.section,
        repeats: repeats(key.section),
        name: key.name,
        values: key.kind.in_words(),
        default: Some(key.default).filter(|default| !default.is_empty()),
        doc: key.doc,
        at_start: key.at_start,
    })
}

fn line(page: &mut String, name: &str, setting: &Setting) {
    let value = format!("{name} = {}", setting.written);
    let _ = writeln!(page, "{value:<40} # {}", setting.origin);
}

fn each_section(
    page: &mut String,
    comment: &str,
    mut print: impl FnMut(&mut String, usize) -> std::fmt::Result,
) {
    let mut section = "";
    for (at, key) in KEYS.iter().enumerate() {
        if key.section != section {
            section = key.section;
            let _ = match section {
                // What is in effect has those that there are.
                ROOM if comment.is_empty() => Ok(()),
                // Nor is a room without its name, and none of these is there unless it is taken in by hand.
                ROOM => writeln!(page, "\n## [[{section}]]"),
                _ if repeats(section) => writeln!(page, "\n{comment}[[{section}]]"),
                _ => writeln!(page, "\n[{section}]"),
            };
        }
        let _ = print(page, at);
    }
}
