//! The command line of chatd.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use nix::unistd::Uid;

use crate::config::{LOG_LEVELS, address, log_format};

/// A chat daemon: rooms for terminals, scripts and any TcpChat v0.5 client.
///
/// Without arguments chatd listens on 127.0.0.1:33333, makes its control socket where you may write, and serves. Open
/// <http://127.0.0.1:33333/> in a browser, follow with 'chatctl tail', send with 'chatctl send ROOM TEXT'. TERM and INT end it: it says bye and empties its queues first; a second one
/// ends it at once. The usual configuration is chatd.toml in `$CONFIGURATION_DIRECTORY`, /etc/chatd/chatd.toml for root, chatd/chatd.toml in
/// `$XDG_CONFIG_HOME` for others; none is needed.
///
/// With --daemon it serves in the background, on systems without systemd: chatd binds everything, leaves a child behind and ends
/// when that one serves, with 0; or with the child's own status and words where it could not. The child goes to /. Its log goes to the
/// journal where there is one, else where standard error was sent: chatd --daemon 2>>/var/log/chatd.log.
#[allow(clippy::struct_excessive_bools, reason = "flags, each given or not by itself")]
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "chatd", version, about, long_about, max_term_width = 100)]
pub struct Args {
    /// Read this file instead of the usual ones
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only check the configuration: exit 0 if it is good, 78 if not
    #[arg(long)]
    pub check_config: bool,
    /// Only print the configuration: every key at its default, or what is in effect and where it came from
    #[arg(long, value_name = "WHICH")]
    pub print_config: Option<Print>,
    /// Listen here instead of where the configuration says; may be repeated
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub listen: Vec<SocketAddr>,
    /// Make the control socket here, in a folder that is there
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Keep the history in this folder, which is made below one that is there
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Only save what can be read of a damaged history into a new one, and keep the damaged files beside it; no daemon may have it
    #[arg(long)]
    pub recover: bool,
    /// Say everything again that comes over a WebSocket at this path, for conformance suites
    #[arg(long, value_name = "PATH")]
    pub ws_echo: Option<String>,
    /// What is logged
    #[arg(long, value_name = "LEVEL", value_parser = LOG_LEVELS)]
    pub log_level: Option<String>,
    /// How it is logged: auto, text, json or journal
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    pub log_format: Option<String>,
    /// Serve in the background; under systemd leave it out
    #[arg(long)]
    pub daemon: bool,
    /// Write the daemon's process number here, locked; else into chatd.pid beside the control socket
    #[arg(long, value_name = "PATH", requires = "daemon")]
    pub pid_file: Option<PathBuf>,
    /// Run as this user once root has bound the ports; the control socket and the pid file are the user's
    #[arg(long, value_name = "NAME", requires = "daemon")]
    pub user: Option<String>,
    /// Run in this group instead of the user's own
    #[arg(long, value_name = "NAME", requires = "user")]
    pub group: Option<String>,
    /// Whether root started it. A reload looks for the same files, whoever runs it then.
    #[arg(skip)]
    pub started_by_root: bool,
}

impl Args {
    /// The command line of this process, and who started it. A daemon goes to `/`: its paths are made such that they hold there.
    ///
    /// # Errors
    /// The folder that chatd was started in is gone.
    pub fn take() -> io::Result<Self> {
        let mut args = Self::parse();
        args.started_by_root = Uid::effective().is_root();
        if args.daemon {
            for path in
                [&mut args.config, &mut args.control, &mut args.state_dir, &mut args.pid_file]
            {
                *path = path.take().map(std::path::absolute).transpose()?;
            }
        }
        Ok(args)
    }
}

/// Which configuration to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Print {
    /// Every key at its default.
    Default,
    /// What is in effect, and where each value came from.
    Effective,
}
