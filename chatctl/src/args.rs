//! The command line: commands, flags and the words of the help. Nothing is carried out here. The commands of those who
//! look after a daemon are next door.

mod operate;
mod shell;
mod talk;

pub use operate::{
    Announce, Ban, Bounds, Check, Clients, DebugStall, Kick, LogLevel, Unban, Weight, Whois,
};

pub use shell::{Complete, Completion, Shell};
pub use talk::{Meet, Talk};

use crate::{failure, man, moments};
use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::Span;
use std::ffi::OsString;
use std::path::PathBuf;
use uuid::Uuid;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "chatctl",
    version,
    about = "Sends, follows and administers chatd",
    before_help = "Examples:
  chatctl send lobby backup done       say something in the room `lobby`
  make 2>&1 | chatctl send -l builds   every line is a message
  chatctl tail lobby                   follow a room
  chatctl tail ops --grep ERROR --count 1 --for 10m && page-me
  chatctl history lobby -n 20          the last 20 messages
  chatctl send @alice lunch            to one person
  chatctl -s tcp://chat.example tail   over the network
  chatctl clients --slow               who is behind, by how much, and why
  chatctl status                       how the daemon is doing",
    after_help = failure::exit_statuses(),
    subcommand_required = true,
    arg_required_else_help = true,
    infer_subcommands = false
)]
pub struct CommandLine {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The daemon: `tcp://HOST[:PORT]`, `ws://HOST[:PORT][/PATH/]`, `unix:PATH` or a path [default: the user's control socket, then the system's]
    #[arg(
        short,
        long,
        global = true,
        value_name = "URL|PATH",
        env = "CHATD_SERVER",
        hide_env_values = true
    )]
    pub server: Option<String>,
    /// Speak under this name (over a control socket that needs admin)
    #[arg(long = "as", global = true, value_name = "NICK")]
    pub as_nick: Option<String>,
    /// One JSON object a line, as in the protocol
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Colours: auto is on a terminal, and honours `NO_COLOR`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// How long to wait for the daemon, as in 500ms, 10s, 1m
    #[arg(long, global = true, value_name = "DUR", default_value = "10s", value_parser = moments::span)]
    pub timeout: Span,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Also into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send messages to a room or to one person
    Send(Send),
    /// Talk with people: rooms, direct messages and one-to-one talks
    Chat(Chat),
    /// Follow rooms as messages come
    Tail(Tail),
    /// Print past messages of a room and end
    History(History),
    /// Print the messages of rooms as JSON lines, for import
    Export(Export),
    /// Post messages that are JSON lines, as export prints them
    Import(Import),
    /// Talk one to one with whoever waits for that, or with one named: stdin and stdout are the talk
    Meet(Meet),
    /// Talk with one person directly, without any daemon
    Talk(Talk),
    /// Who is in a room, or in any
    Who(Who),
    /// The rooms there are
    Rooms,
    /// What a room is about; changes it where a text is given
    Topic(Topic),
    /// How the daemon is doing
    Status,
    /// How the daemon is doing in one line and a status, for monitoring systems
    Check(Check),
    /// What could be wrong with the daemon and its machine, and what to do about it
    #[command(
        after_help = "Each line is `ok`, `warn` or `bad`. Exit status: 0 nothing is bad, 1 something is. It changes nothing, and needs no network."
    )]
    Doctor,
    /// Ask the daemon for a sign of life, and measure how long it takes
    Ping,
    /// Who has a nickname
    Whois(Whois),
    /// Who is connected, and who is behind
    Clients(Clients),
    /// Close somebody's connection
    Kick(Kick),
    /// Keep a nickname or a network out
    Ban(Ban),
    /// Let a nickname or a network in again
    Unban(Unban),
    /// Who is kept out
    Bans,
    /// Tell everybody something in the server's name
    Announce(Announce),
    /// What the daemon logs; changes it where a level is given
    LogLevel(LogLevel),
    /// Let the daemon do nothing at all, 60 s at most: to see what watches it at work
    #[command(hide = true)]
    DebugStall(DebugStall),
    /// Let the daemon read its configuration anew, and say what became of it
    Reload,
    /// Let the daemon flush its queues and end, and wait until it has
    Stop,
    /// Print what a shell needs to complete command lines, with the rooms and nicks there are
    Completion(Completion),
    /// What could stand where the cursor is: what the scripts of `completion` ask
    #[command(name = "__complete", hide = true)]
    Complete(Complete),
    /// Read the manual; into a pipe or a file goes the page's source
    Man(Man),
}

/// `chatctl send`.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl send lobby hello everyone
  chatctl send @alice lunch?           to one person; nobody keeps it
  chatctl send @alice --wait delivered lunch?   and wait until her client has it
  chatctl send ops < report.txt        a whole file is one message
  tail -F app.log | chatctl send -l ops
  find . -print0 | chatctl send -0 files
  chatctl send lobby --id \"$ID\" hello  run again with the same ID: still one message")]
pub struct Send {
    /// The room (a `#` before it is optional), or `@` and a nickname
    #[arg(value_name = "ROOM|@NICK")]
    pub to: String,
    /// The message, words joined by a space; without it stdin is read (`--` before text that begins with a dash)
    #[arg(value_name = "TEXT", conflicts_with_all = ["lines", "nul", "file", "raw"])]
    pub text: Vec<OsString>,
    /// One message a line, sent as lines come
    #[arg(short, long, conflicts_with = "nul")]
    pub lines: bool,
    /// One message up to each NUL byte
    #[arg(short = '0', long = "null")]
    pub nul: bool,
    /// Read this file instead of stdin (`-` is stdin)
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Keep the last newline of the input, which is otherwise removed
    #[arg(long)]
    pub raw: bool,
    /// Send empty messages too; otherwise empty input is refused, and empty lines are left out
    #[arg(long)]
    pub allow_empty: bool,
    /// What to wait for
    #[arg(long, value_name = "WHAT", default_value = "stored")]
    pub wait: Wait,
    /// The message's id, a UUID: sending again with it makes no second message
    #[arg(long, value_name = "UUID", conflicts_with_all = ["lines", "nul"])]
    pub id: Option<Uuid>,
}

/// What `send` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// For nothing: the message is on its way.
    None,
    /// For the daemon's word that the message is as durable as it makes messages.
    Stored,
    /// For the receipt of that nick, or of the first in the room to give one.
    Delivered,
}

/// `chatctl chat`.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  chatctl chat                          talk with whom this machine's daemon serves
  chatctl chat tcp://chat.example       over the network, under the name that you gave the first time
  chatctl chat tcp://chat.example --as Ada --room ops --room lobby
  echo 'the build is done' | chatctl chat --plain --room builds",
    after_help = "/help (or F1) lists all keys and commands. Tab completes, PageUp and the wheel go back and ask for older messages, Alt-A goes to what is \
unread, Alt-1 to Alt-9 to a view by its number. Ctrl-C ends a talk; without one it forgets the line that is typed, or ends the program, \
as /quit does. Ctrl-R calls a daemon that is away at once. Without a terminal, and where TERM is `dumb`, it is as with --plain."
)]
pub struct Chat {
    /// The daemon, as in -s
    #[arg(value_name = "URL|PATH")]
    pub url: Option<String>,
    /// Line by line: for pipes, screen readers and plain terminals
    #[arg(long)]
    pub plain: bool,
    /// A room to be in; may be given more than once [default: lobby]
    #[arg(short, long = "room", value_name = "ROOM")]
    pub rooms: Vec<String>,
}

/// A number of messages, or all there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// This many.
    Some(u32),
    /// As many as there are.
    All,
}

/// How long to look for a daemon that went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// As long as it takes.
    Forever,
    /// Not at all.
    Never,
    /// This long.
    Within(Span),
}

/// `chatctl tail`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl tail lobby                    follow a room
  chatctl tail                          follow all rooms
  chatctl tail ops -n 20 --from alice   her messages, of the last 20 and from now on
  chatctl tail ops --grep 'done$' --count 1 --for 10m   wait for a message: 0 it came, 5 it did not
  chatctl tail ops --cursor-file ops.cursor   go on where it ended the last time
  chatctl tail ops --exec notify-send Chat    run a program by message, its content on stdin
  chatctl tail --json | jq -r .text")]
pub struct Tail {
    /// The rooms; all of them, also later ones, where none is named
    #[arg(value_name = "ROOM")]
    pub rooms: Vec<String>,
    /// Begin with the last N messages of each room, or with all of them
    #[arg(short, long = "lines", value_name = "N|all", default_value = "0", value_parser = count, conflicts_with_all = ["since", "after"])]
    pub number: Count,
    /// Begin with what was said since then: 10m (ago), 14:30, 2026-01-31 or RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "after")]
    pub since: Option<String>,
    /// Begin behind this sequence number of the one room
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Keep in this file what was printed, and go on from there the next time; then -n, --since and --after count the first time only
    #[arg(long, value_name = "FILE")]
    pub cursor_file: Option<PathBuf>,
    /// End after N messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time (status 5 where --count messages did not come)
    #[arg(long = "for", value_name = "DUR", value_parser = moments::span)]
    pub during: Option<Span>,
    /// Whose messages; may be given more than once
    #[arg(long, value_name = "NICK")]
    pub from: Vec<String>,
    /// Only messages that match this regular expression
    #[arg(long, value_name = "RE")]
    pub grep: Option<regex::bytes::Regex>,
    /// Who joined, left and was renamed, and all else that happens, too
    #[arg(long)]
    pub events: bool,
    /// How long to look for a daemon that went away [default: forever]; one that is not there at the start is status 3, unless `forever` or a time is given here: then it is looked for, too
    #[arg(long, value_name = "forever|never|DUR", value_parser = reconnect)]
    pub reconnect: Option<Reconnect>,
    /// Print the contents only, byte for byte, each with a newline
    #[arg(long, conflicts_with_all = ["json", "events"])]
    pub raw: bool,
    /// Print nothing; run this program with these arguments by message, one after another: content on stdin, the other fields in `CHAT_ROOM`, `CHAT_FROM`, ... (all that follows is the program's, up to a `;`)
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true, value_terminator = ";", conflicts_with_all = ["raw", "json"])]
    pub exec: Vec<OsString>,
}

/// `chatctl history`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl history lobby                 the last 50 messages
  chatctl history lobby -n all          all there are
  chatctl history ops --since 14:30 --until 15:00
  chatctl history ops --after 1200 --limit 100 --json   the next 100
  chatctl history ops --grep 'exit code [1-9]'
  chatctl history ops --search 'deploy \"rolled back\"' --since 7d")]
pub struct History {
    /// The room
    #[arg(value_name = "ROOM")]
    pub room: String,
    /// The last N of those that fit, or all [default: 50, or all where a beginning or something to look for is given]
    #[arg(short, long = "lines", value_name = "N|all", value_parser = count, conflicts_with = "limit")]
    pub number: Option<Count>,
    /// At most N of those that fit: with --after the first, otherwise the last
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Only what has a smaller sequence number
    #[arg(long, value_name = "SEQ")]
    pub before: Option<u64>,
    /// Only what has a greater sequence number
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Only what was said since then: 10m (ago), 14:30, 2026-01-31 or RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only what was said until then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only what matches this regular expression
    #[arg(long, value_name = "RE")]
    pub grep: Option<regex::bytes::Regex>,
    /// Only what has all of these words, looked up by a daemon whose history is on disk: `"two words"` stand side by side, `wor*` is a beginning
    #[arg(long, value_name = "WORDS")]
    pub search: Option<String>,
    /// Print the contents only, byte for byte, each with a newline
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
}

/// `chatctl export`.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  chatctl export > all.jsonl            every message of every room
  chatctl export ops lobby > two.jsonl
  chatctl export ops --after 1200 >> ops.jsonl   what has come behind message 1200
  chatctl export | gzip > all.jsonl.gz",
    after_help = "A line is one message: `room`, `seq`, `time`, `message_id`, `from`, and `text`, or `data` in base64 where the content is no text. \
Rooms come by name, the messages of each from the oldest to the last there was when the export began. Direct messages are kept \
nowhere, and are in no export. Exit status 6: something behind the place that --after named, or in the midst, is not kept any more."
)]
pub struct Export {
    /// The rooms; all of them where none is named
    #[arg(value_name = "ROOM")]
    pub rooms: Vec<String>,
    /// Go on behind this message: SEQ of the one room, or ROOM:SEQ, which leaves out the rooms before that one
    #[arg(long, value_name = "[ROOM:]SEQ")]
    pub after: Option<String>,
}

/// `chatctl import`.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  chatctl import all.jsonl
  zcat all.jsonl.gz | chatctl import
  chatctl -s tcp://old export ops | chatctl -s tcp://new import   move a room's messages",
    after_help = "Each line is posted to its `room`, with its `text` or `data`, under its `message_id`: doing it again adds nothing. The messages get \
new numbers and the present time, and you are their author (or the name of --as): `seq`, `time` and `from` of the lines are \
not used. The order within each room is kept. A line that is refused is told, and the others go on; exit status 1."
)]
pub struct Import {
    /// The file; stdin where none is named, or `-`
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `chatctl who`.
#[derive(Args, Debug)]
pub struct Who {
    /// The room; all of them where none is named
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
}

/// `chatctl topic`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl topic lobby                   what it is about
  chatctl topic ops all is well         say so; over a network this joins the room for that moment
  chatctl topic ops ''                  take it away")]
pub struct Topic {
    /// The room
    #[arg(value_name = "ROOM")]
    pub room: String,
    /// What it is about from now on, one line; an empty text takes it away
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
}

/// `chatctl man`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl man                           this program, with every command
  chatctl man chatd.toml                every key of the configuration
  chatctl man chatd > chatd.8           to install the page")]
pub struct Man {
    /// Which page
    #[arg(value_name = "PAGE", default_value = "chatctl", value_parser = man::NAMES)]
    pub page: String,
}

fn count(text: &str) -> Result<Count, String> {
    match text {
        "all" => Ok(Count::All),
        number => number.parse().map(Count::Some).map_err(|_| "write a number, or all".to_owned()),
    }
}

fn reconnect(text: &str) -> Result<Reconnect, String> {
    match text {
        "forever" => Ok(Reconnect::Forever),
        "never" => Ok(Reconnect::Never),
        span => moments::span(span)
            .map(Reconnect::Within)
            .map_err(|_| "write forever, never, or a duration like 30s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, CommandLine, Count, Reconnect};
    use clap::{CommandFactory, Parser};

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_table_of_flags_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn help_starts_with_examples() {
        let mut command = CommandLine::command();
        command.build();
        assert!(command.render_help().to_string().starts_with("Examples:"));
        for name in [
            "send",
            "chat",
            "tail",
            "history",
            "export",
            "import",
            "meet",
            "talk",
            "topic",
            "whois",
            "clients",
            "check",
            "kick",
            "ban",
            "unban",
            "announce",
            "log-level",
            "completion",
            "man",
        ] {
            let command = command.find_subcommand_mut(name).expect(name);
            assert!(command.render_help().to_string().starts_with("Examples:"), "{name}");
        }
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        let error = parse("chatctl tial lobby").expect_err("no such command");
        assert!(error.to_string().contains("tail"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn flags_mean_what_they_say() {
        let line = parse("chatctl tail lobby -n all --reconnect 30s -s /x --json").expect("sound");
        assert!(line.global.json);
        let Command::Tail(tail) = line.command else { panic!("tail") };
        assert_eq!(tail.number, Count::All);
        assert!(matches!(tail.reconnect, Some(Reconnect::Within(_))));
        let line = parse("chatctl tail ops --count 1 --exec logger -t chat --").expect("sound");
        let Command::Tail(tail) = line.command else { panic!("tail") };
        assert_eq!(tail.exec, ["logger", "-t", "chat", "--"]);
        for wrong in [
            "chatctl tail ops --exec",
            "chatctl tail ops --since 1h --after 3",
            "chatctl tail ops -n 3 --since 1h",
            "chatctl kick",
            "chatctl check --connections 80",
            "chatctl check --connections 95,80",
            "chatctl check --queue 80,101",
            "chatctl check --turn 5ms,10ms",
            "chatctl announce",
            "chatctl log-level loud",
            "chatctl send lobby hello -l",
            "chatctl send lobby -l -0",
            "chatctl send lobby --id nonsense hello",
            "chatctl send",
            "chatctl tail --count 0",
            "chatctl tail --grep (",
            "chatctl tail --reconnect sometimes",
            "chatctl tail --for soon",
            "chatctl history",
            "chatctl history ops -n 5 --limit 5",
            "chatctl history ops --limit 0",
            "chatctl history ops --grep (",
            "chatctl import a b",
            "chatctl status -q -v",
            "chatctl tail --raw --json",
            "chatctl tail -n some",
            "chatctl man chat",
            "chatctl meet a b",
            "chatctl meet --direct=x",
            "chatctl talk",
            "chatctl talk host --listen 127.0.0.1",
            "chatctl talk host --raw --json",
        ] {
            assert_eq!(parse(wrong).expect_err(wrong).exit_code(), 2, "{wrong}");
        }
    }
}
