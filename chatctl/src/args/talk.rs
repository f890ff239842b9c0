//! The command line of those who talk one to one.

use crate::chat::command::Turns;
use clap::Args;

/// `chatctl talk`.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  chatctl talk --listen 0.0.0.0          wait for one caller after another
  chatctl talk alice.example             call her: each line is a message
  chatctl talk alice.example --message-at-eof   several lines, ended by Ctrl-D, are one
  make 2>&1 | chatctl talk alice.example        and hang up at the end
  chatctl talk --listen 127.0.0.1:0 --json      on a port of the system's choice",
    after_help = "Messages of the other side go to stdout, words about the talk to stderr. The other program acknowledges each message when it has \
it, and the round-trip time is shown. On a terminal /quit or Ctrl-C ends the talk (a listener waits for the next caller then, and \
ends by another Ctrl-C), /rtt shows round-trip times, /help all of it. From a pipe every line is a message and the end hangs \
up when all is acknowledged; a listener goes on listening. Nothing is encrypted, and names are what callers say they are.",
    group = clap::ArgGroup::new("way").required(true).args(["host", "listen"])
)]
pub struct Talk {
    /// Whom to call; the port is 33334 where none is named
    #[arg(value_name = "HOST[:PORT]")]
    pub host: Option<String>,
    /// Wait here for one caller after another, as in 127.0.0.1, 0.0.0.0:4000 or [::]; port 0 is any that is free
    #[arg(long, value_name = "ADDR", conflicts_with = "host")]
    pub listen: Option<String>,
    /// What is typed until Ctrl-D on a line of its own is one message; one without a word ends the talk. From a pipe all of it is one
    #[arg(long)]
    pub message_at_eof: bool,
    /// Print the contents only, byte for byte, each with a newline
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
}

/// `chatctl meet`.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  chatctl meet < report.pdf              give a file to whoever waits, or comes next
  chatctl meet alice > report.pdf        take what alice gives
  chatctl -s tcp://chat.example meet --as alice --direct bob < a > b   exchange files, past the server
  chatctl meet --turns                   one writes, then the other",
    after_help = "Two who meet are in a talk: what comes on stdin goes to the other's stdout, byte for byte, until both have come to their ends \
and all is acknowledged; then both end with 0. A talk that ends before is status 1. Nothing is stored, and nobody else hears it. \
Over a network you take a name: --as, or your login name."
)]
pub struct Meet {
    /// With this one only; with whoever waits, or comes next, where nobody is named
    #[arg(value_name = "NICK")]
    pub peer: Option<String>,
    /// By turns: a message gives the turn. Without this, and with `any`, as the other side wants it; with `no`, never
    #[arg(long, value_name = "yes|no|any", num_args = 0..=1, require_equals = true, default_missing_value = "yes", hide_possible_values = true, value_enum)]
    pub turns: Option<Turns>,
    /// Over a connection of your own, if the other side wants that, too: listen on this port, or on any. If it cannot be made in 3 s the server relays
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub direct: Option<u16>,
}
