//! The command line of those who look after a daemon: looking people up, keeping them out, telling everybody.

use crate::moments;
use clap::{Args, ValueEnum};
use proto::{Level, Span};

/// `chatctl whois`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl whois alice                   since when, from where, in which rooms
  chatctl whois @alice --json | jq .rooms")]
pub struct Whois {
    /// The nickname (a `@` before it is optional)
    #[arg(value_name = "NICK")]
    pub nick: String,
}

/// `chatctl clients`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl clients                       everybody who is connected
  chatctl clients --slow                those for whom something waits, how much, how long and why
  chatctl clients --json | jq 'select(.idle_ms > 3600000)'")]
pub struct Clients {
    /// Only those for whom something waits: how many messages and bytes, for how long, and why
    #[arg(long)]
    pub slow: bool,
}

/// `chatctl check`.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  chatctl check                         one line and a status, as monitoring systems read them
  chatctl -s unix:/run/chatd/control check --timeout 3s --connections 60,80",
    after_help = "Exit status, in this command only: 0 ok, 1 warning, 2 critical (also: the daemon does not answer),
3 unknown (also: wrong use). A figure past its bound alarms, one that is on it does not."
)]
pub struct Check {
    /// Connections, in percent of `limits.connections`
    #[arg(long, value_name = "WARN,CRIT", default_value = "80,95", value_parser = percents)]
    pub connections: Bounds,
    /// What waits to be written, in percent of `limits.store`
    #[arg(long, value_name = "WARN,CRIT", default_value = "50,90", value_parser = percents)]
    pub queue: Bounds,
    /// The longest turn of the daemon's loop in the last minute, in milliseconds
    #[arg(long, value_name = "WARN,CRIT", default_value = "50,250", value_parser = bounds)]
    pub turn: Bounds,
}

/// From where on a figure alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Past it somebody should look.
    pub warning: u64,
    /// Past it somebody must act.
    pub critical: u64,
}

fn bounds(text: &str) -> Result<Bounds, String> {
    let numbers = text.split_once(',').and_then(|(warning, critical)| {
        Some(Bounds { warning: warning.parse().ok()?, critical: critical.parse().ok()? })
    });
    numbers
        .filter(|bounds| bounds.warning <= bounds.critical)
        .ok_or_else(|| "write two numbers, the smaller first, like 80,95".to_owned())
}

fn percents(text: &str) -> Result<Bounds, String> {
    let bounds = bounds(text)?;
    if bounds.critical > 100 {
        return Err("these are percents, 100 at most".to_owned());
    }
    Ok(bounds)
}

/// `chatctl kick`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl kick eve                      she can come back: see `chatctl ban`
  chatctl kick eve please be kind       the reason is told
  chatctl kick --session 42             by the number that `chatctl clients` shows")]
pub struct Kick {
    /// The nickname (a `@` before it is optional)
    #[arg(value_name = "NICK", required_unless_present = "session")]
    pub nick: Option<String>,
    /// The connection with this number instead of a nickname
    #[arg(long, value_name = "N")]
    pub session: Option<u64>,
    /// Why, in words
    #[arg(value_name = "REASON")]
    pub reason: Vec<String>,
}

/// `chatctl ban`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl ban eve                       nobody may use this nickname
  chatctl ban 192.0.2.0/24 --for 1h too many connections
  chatctl ban 2001:db8::/64             a network of IPv6")]
pub struct Ban {
    /// The nickname (`@` before it where it looks like an address), address or network
    #[arg(value_name = "NICK|NETWORK")]
    pub whom: String,
    /// How long [default: until the daemon ends]
    #[arg(long = "for", value_name = "DUR", value_parser = moments::span)]
    pub during: Option<Span>,
    /// Why, in words
    #[arg(value_name = "REASON")]
    pub reason: Vec<String>,
}

/// `chatctl unban`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl unban eve
  chatctl unban 192.0.2.0/24")]
pub struct Unban {
    /// The nickname, address or network, as `chatctl bans` shows it
    #[arg(value_name = "NICK|NETWORK")]
    pub whom: String,
}

/// `chatctl announce`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl announce back in five minutes")]
pub struct Announce {
    /// What everybody is told, one line, in the server's name
    #[arg(value_name = "TEXT", required = true)]
    pub text: Vec<String>,
}

/// `chatctl log-level`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl log-level                     what is logged now
  chatctl log-level debug               until the daemon ends, or is told otherwise")]
pub struct LogLevel {
    /// What to log from now on: this and what weighs more
    #[arg(value_name = "LEVEL")]
    pub level: Option<Weight>,
}

/// `chatctl debug-stall`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  chatctl debug-stall 20s               longer than the watchdog of chatd.service waits")]
pub struct DebugStall {
    /// How long, in whole seconds
    #[arg(value_name = "SPAN", value_parser = moments::span)]
    pub span: Span,
}

/// What the daemon can be told to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Weight {
    /// What the operator should act on.
    Error,
    /// What was a disadvantage to somebody, too.
    Warn,
    /// The course of things, too.
    Info,
    /// All there is.
    Debug,
}

impl Weight {
    /// The word of the protocol.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => Level::Error.word(),
            Self::Warn => Level::Warn.word(),
            Self::Info => Level::Info.word(),
            Self::Debug => Level::Debug.word(),
        }
    }
}
