//! What could stand at the cursor, read from the table of flags: the same table that reads the command line.
//!
//! The value's name in the help (`ROOM`, `NICK`) says what completes it, so that a new flag completes by itself.

use super::Candidate;
use clap::{Arg, Command};

/// Who knows the candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// We do.
    Words(Vec<Candidate>),
    /// The daemon does.
    Live(Names),
    /// The shell does, and these are files.
    Files,
    /// The shell does, and these are programs.
    Programs,
}

/// What the daemon is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The rooms.
    Rooms,
    /// Who is there.
    Nicks,
    /// Rooms, and whoever is there with an `@`.
    Receivers,
    /// Who is kept out.
    Banned,
}

/// Where the cursor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What can stand there.
    pub(super) wanted: Wanted,
    /// What of the word is no part of the value, as `--color=`.
    pub(super) head: String,
    /// What of the value is typed.
    pub(super) part: String,
    /// The daemon that the words before name.
    pub(super) server: Option<String>,
}

/// What was understood of the words before the cursor.
struct Reader<'a> {
    command: &'a Command,
    /// The option whose values come.
    open: Option<&'a Arg>,
    /// How many values it has had.
    values: usize,
    /// How many positional arguments there were.
    positionals: usize,
    /// Behind a `--`.
    is_escaped: bool,
    server: Option<String>,
}

/// Where the cursor is behind these words, the program's name left out. The last one is under the cursor.
pub(super) fn place(command: &mut Command, words: &[String]) -> Place {
    command.build();
    let mut reader =
        Reader { command, open: None, values: 0, positionals: 0, is_escaped: false, server: None };
    let nothing = Wanted::Words(Vec::new());
    let Some((last, before)) = words.split_last() else {
        return Place { wanted: nothing, head: String::new(), part: String::new(), server: None };
    };
    let understood = before.iter().all(|word| reader.read(word));
    let (wanted, head) = if understood { reader.at(last) } else { (nothing, String::new()) };
    let part = last.get(head.len()..).unwrap_or_default().to_owned();
    Place { wanted, head, part, server: reader.server }
}

impl<'a> Reader<'a> {
    /// Takes a whole word; false where nobody can know what follows.
    fn read(&mut self, word: &str) -> bool {
        if let Some(option) = self.open {
            self.value(option, word);
            return true;
        }
        if self.is_escaped || !word.starts_with('-') || word == "-" {
            if !self.is_escaped && self.command.has_subcommands() {
                return match self.command.find_subcommand(word) {
                    Some(command) => {
                        self.command = command;
                        true
                    }
                    None => false,
                };
            }
            self.positionals += 1;
            return true;
        }
        if word == "--" {
            self.is_escaped = true;
            return true;
        }
        if let Some((option, value)) = self.option(word) {
            self.values = 0;
            self.open = Some(option);
            if let Some(value) = value {
                self.value(option, word.get(value..).unwrap_or_default());
            }
        }
        true
    }

    /// Takes a value of this option.
    fn value(&mut self, option: &Arg, word: &str) {
        if option.get_id() == "server" {
            self.server = Some(word.to_owned());
        }
        self.values += 1;
        let most = option.get_num_args().map_or(1, |range| range.max_values());
        let is_end = option.get_value_terminator().is_some_and(|end| end.as_str() == word);
        if is_end || self.values >= most {
            self.open = None;
        }
    }

    /// The option in this word that takes a value, and where in the word that begins, if it is there.
    fn option(&self, word: &str) -> Option<(&'a Arg, Option<usize>)> {
        let takes = |arg: &&Arg| arg.get_action().takes_values();
        let options: Vec<_> =
            self.command.get_arguments().filter(|arg| !arg.is_positional()).collect();
        if let Some(long) = word.strip_prefix("--") {
            let name = long.split('=').next().unwrap_or(long);
            let option =
                options.into_iter().find(|arg| arg.get_long() == Some(name)).filter(takes)?;
            return Some((option, long.contains('=').then_some(name.len() + "--=".len())));
        }
        for (at, c) in word.char_indices().skip(1) {
            let option = options.iter().copied().find(|arg| arg.get_short() == Some(c))?;
            if takes(&option) {
                let rest = word.get(at + c.len_utf8()..).unwrap_or_default();
                let value = word.len() - rest.strip_prefix('=').unwrap_or(rest).len();
                return Some((option, (!rest.is_empty()).then_some(value)));
            }
        }
        None
    }

    /// What can stand where this word begins, and what of the word is no part of it.
    fn at(&self, word: &str) -> (Wanted, String) {
        if let Some(option) = self.open {
            let wanted = self.values_of(option);
            let is_later = wanted == Wanted::Programs && self.values > 0;
            return (if is_later { Wanted::Files } else { wanted }, String::new());
        }
        if !self.is_escaped && word.starts_with('-') {
            return match self.option(word) {
                Some((option, Some(value))) => {
                    let head = word.get(..value).unwrap_or_default();
                    (self.values_of(option), head.to_owned())
                }
                _ => (Wanted::Words(self.options(word)), String::new()),
            };
        }
        if self.command.has_subcommands() {
            return (Wanted::Words(self.commands()), String::new());
        }
        let positionals: Vec<_> = self.command.get_positionals().collect();
        let argument = positionals.get(self.positionals).copied().or_else(|| {
            let many = |arg: &&Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
            positionals.last().copied().filter(many)
        });
        let wanted = argument.map(|argument| self.values_of(argument));
        (wanted.unwrap_or(Wanted::Words(Vec::new())), String::new())
    }

    /// What can be the value of this argument.
    fn values_of(&self, argument: &Arg) -> Wanted {
        let possible = argument.get_possible_values();
        if !possible.is_empty() {
            let shown = possible.iter().filter(|value| !value.is_hide_set());
            let candidate = |value: &clap::builder::PossibleValue| Candidate {
                value: value.get_name().to_owned(),
                help: one_line(value.get_help()),
            };
            return Wanted::Words(shown.map(candidate).collect());
        }
        let name = argument.get_value_names().and_then(|names| names.first());
        let name = name.map_or("", |name| name.as_str());
        match name {
            "ROOM" => Wanted::Live(Names::Rooms),
            "ROOM|@NICK" => Wanted::Live(Names::Receivers),
            "NICK|NETWORK" if self.command.get_name() == "unban" => Wanted::Live(Names::Banned),
            "NICK" | "NICK|NETWORK" => Wanted::Live(Names::Nicks),
            "FILE" | "URL|PATH" => Wanted::Files,
            "CMD" => Wanted::Programs,
            // Words to be written as they are stand between those that stand for others, as in `N|all`.
            _ => {
                let is_itself = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
                let words = name.split('|').filter(|word| !word.is_empty()).filter(is_itself);
                let candidate =
                    |word: &str| Candidate { value: word.to_owned(), help: String::new() };
                Wanted::Words(words.map(candidate).collect())
            }
        }
    }

    /// The options, each by its long name; by its short one where it has no other, or that is what is typed.
    fn options(&self, typed: &str) -> Vec<Candidate> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let named = shown.filter_map(|arg| {
            let short = arg.get_short().map(|short| format!("-{short}"));
            let long = arg.get_long().map(|long| format!("--{long}"));
            let value = match (short, long) {
                (Some(short), long) if short == typed || long.is_none() => short,
                (_, long) => long?,
            };
            Some(Candidate { value, help: one_line(arg.get_help()) })
        });
        named.collect()
    }

    fn commands(&self) -> Vec<Candidate> {
        let shown = self.command.get_subcommands().filter(|command| !command.is_hide_set());
        let candidate = |command: &Command| Candidate {
            value: command.get_name().to_owned(),
            help: one_line(command.get_about()),
        };
        shown.map(candidate).collect()
    }
}

/// The first line of a help, without colours.
fn one_line(help: Option<&clap::builder::StyledStr>) -> String {
    let help = help.map(ToString::to_string).unwrap_or_default();
    help.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Names, Place, Wanted, place};
    use crate::args::CommandLine;
    use clap::CommandFactory;

    /// The names of values that nothing can be said about before they are typed.
    const FREE: [&str; 17] = [
        "TEXT",
        "REASON",
        "WORDS",
        "SEQ",
        "[ROOM:]SEQ",
        "TIME",
        "DUR",
        "SPAN",
        "UUID",
        "N",
        "RE",
        "WARN,CRIT",
        "N|all",
        "forever|never|DUR",
        "HOST[:PORT]",
        "ADDR",
        "PORT",
    ];

    fn at(line: &str) -> Place {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        place(&mut CommandLine::command(), &words)
    }

    fn words(line: &str) -> Vec<String> {
        let Wanted::Words(candidates) = at(line).wanted else { panic!("{line}: no words") };
        candidates.into_iter().map(|candidate| candidate.value).collect()
    }

    #[test]
    fn the_table_of_flags_says_what_can_stand_there() {
        let commands = words("");
        assert!(commands.contains(&"send".to_owned()) && commands.contains(&"help".to_owned()));
        assert!(!commands.contains(&"__complete".to_owned()), "{commands:?}");
        assert!(words("--json sen").contains(&"send".to_owned()));
        assert!(words("tail -").contains(&"--reconnect".to_owned()));
        assert!(words("tail --").contains(&"--server".to_owned()), "options of every command");
        assert_eq!(words("send --wait "), ["none", "stored", "delivered"]);
        assert_eq!(words("tail -n "), ["all"]);
        assert_eq!(words("tail --reconnect "), ["forever", "never"]);
        assert_eq!(words("log-level "), ["error", "warn", "info", "debug"]);
        assert_eq!(words("completion "), ["bash", "zsh", "fish"]);
        for nothing in ["no-such x", "send lobby ", "send -- lobby -", "rooms ", "tail --count "] {
            assert_eq!(words(nothing), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn the_daemon_knows_names() {
        for (line, names) in [
            ("send ", Names::Receivers),
            ("send -l --id x ", Names::Receivers),
            ("send -- ", Names::Receivers),
            ("send --wait=none ", Names::Receivers),
            ("tail lobby ops ", Names::Rooms),
            ("tail --exec logger ; ", Names::Rooms),
            ("history -n 5 ", Names::Rooms),
            ("who ", Names::Rooms),
            ("topic ", Names::Rooms),
            ("whois ", Names::Nicks),
            ("kick ", Names::Nicks),
            ("ban ", Names::Nicks),
            ("unban ", Names::Banned),
            ("tail --from ", Names::Nicks),
            ("rooms --as ", Names::Nicks),
        ] {
            assert_eq!(at(line).wanted, Wanted::Live(names), "{line}");
        }
    }

    #[test]
    fn the_shell_knows_files_and_programs() {
        assert_eq!(at("-s ").wanted, Wanted::Files);
        assert_eq!(at("send lobby -f ").wanted, Wanted::Files);
        assert_eq!(at("tail --exec ").wanted, Wanted::Programs);
        assert_eq!(at("tail --exec logger -").wanted, Wanted::Files);
    }

    #[test]
    fn a_value_may_be_one_word_with_its_option() {
        for (line, head, part) in [
            ("send --wait=st", "--wait=", "st"),
            ("send -l --color=", "--color=", ""),
            ("tail -nal", "-n", "al"),
            ("tail -vn=al", "-vn=", "al"),
        ] {
            let place = at(line);
            assert_eq!((place.head.as_str(), place.part.as_str()), (head, part), "{line}");
        }
    }

    #[test]
    fn the_daemon_is_the_one_that_the_line_names() {
        for line in ["-s x tail ", "tail -sx ", "tail --server=x ", "--server x tail lobby "] {
            assert_eq!(at(line).server.as_deref(), Some("x"), "{line}");
        }
        assert_eq!(at("tail ").server, None);
    }

    #[test]
    fn what_completes_a_value_is_decided_for_each() {
        let mut command = CommandLine::command();
        command.build();
        let live = ["ROOM", "NICK", "ROOM|@NICK", "NICK|NETWORK", "FILE", "URL|PATH", "CMD"];
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            for argument in sub.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let name = argument.get_value_names().and_then(|names| names.first());
                let name = name.map_or("", |name| name.as_str());
                let is_decided = live.contains(&name)
                    || FREE.contains(&name)
                    || !argument.get_possible_values().is_empty();
                assert!(is_decided, "what completes {name} of `{}`?", sub.get_name());
            }
        }
    }
}
