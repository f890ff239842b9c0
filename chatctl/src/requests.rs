//! Which command sends which request: the help of commands is made from the table of requests.
//!
//! A request that is new does not compile here before it is decided which command sends it, or that none does.

use clap::Command;
use proto::{Permission, REQUESTS, RequestKind};

/// The command that sends a request, if one does.
pub const fn command_of(kind: RequestKind) -> Option<&'static str> {
    match kind {
        RequestKind::Ping => Some("ping"),
        RequestKind::Post => Some("send"),
        RequestKind::Tail => Some("tail"),
        RequestKind::History => Some("history"),
        RequestKind::Rooms => Some("rooms"),
        RequestKind::Members => Some("who"),
        RequestKind::Whois => Some("whois"),
        RequestKind::Topic => Some("topic"),
        RequestKind::Stats => Some("status"),
        RequestKind::Connections => Some("clients"),
        RequestKind::Kick => Some("kick"),
        RequestKind::Ban => Some("ban"),
        RequestKind::Unban => Some("unban"),
        RequestKind::Bans => Some("bans"),
        RequestKind::Announce => Some("announce"),
        RequestKind::LogLevel => Some("log-level"),
        RequestKind::DebugStall => Some("debug-stall"),
        RequestKind::Reload => Some("reload"),
        RequestKind::Stop => Some("stop"),
        RequestKind::Bridge => Some("meet"),
        // How commands begin, states of a connection, and answers to what it hears: no command is for one of these alone.
        RequestKind::Hello
        | RequestKind::Nick
        | RequestKind::Join
        | RequestKind::Leave
        | RequestKind::Receipt
        | RequestKind::Unbridge
        | RequestKind::Chat
        | RequestKind::Say
        | RequestKind::Pass
        | RequestKind::Hangup
        | RequestKind::Away => None,
    }
}

/// The command that sends the request of this name.
pub fn command_called_by(request: &str) -> Option<&'static str> {
    let row = REQUESTS.iter().find(|row| row.name == request)?;
    command_of(row.kind)
}

/// Adds to the help of each command what the table says of its request.
pub fn described(command: Command) -> Command {
    command.mut_subcommands(|sub| {
        let row = REQUESTS.iter().find(|row| command_of(row.kind) == Some(sub.get_name()));
        match row {
            Some(row) => {
                let own = sub.get_after_help().map(|own| format!("{own}\n\n")).unwrap_or_default();
                sub.after_help(own + &described_by(row.kind))
            }
            None => sub,
        }
    })
}

/// A request in a line: its name, who may, what it does.
pub fn described_by(kind: RequestKind) -> String {
    let row = kind.row();
    let may = match row.permission {
        Permission::Anyone => "everybody",
        Permission::Watch => "all who may watch",
        Permission::Send => "all who may speak",
        Permission::Talk => "all who may speak and watch",
        Permission::Admin => "administrators",
    };
    format!("Request: `{}`, for {may}: {}.", row.name, row.summary)
}

#[cfg(test)]
mod tests {
    use super::{command_called_by, command_of, described, described_by};
    use crate::args::CommandLine;
    use clap::CommandFactory;
    use proto::REQUESTS;

    #[test]
    fn each_command_that_sends_a_request_is_there_and_its_help_says_so() {
        let mut command = described(CommandLine::command());
        command.build();
        for row in REQUESTS {
            let Some(name) = command_of(row.kind) else { continue };
            let sub = command.find_subcommand_mut(name).expect(name);
            let line = described_by(row.kind);
            assert!(line.contains(row.name) && line.contains(row.summary));
            for help in [sub.render_help(), sub.render_long_help()] {
                let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(words(&help.to_string()).contains(&words(&line)), "{name}: {help}");
            }
        }
        command.debug_assert();
    }

    #[test]
    fn a_request_is_known_by_its_command() {
        assert_eq!(command_called_by("connections"), Some("clients"));
        assert_eq!(command_called_by("log_level"), Some("log-level"));
        assert_eq!(command_called_by("nick"), None);
        assert_eq!(command_called_by("no_such"), None);
    }
}
