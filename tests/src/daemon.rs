//! A real daemon: started with a configuration, waited for, listened to, and never left behind.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::program::{self, Program};
use crate::{Control, Folder, Native, binaries};

/// How much of the log is shown when a test fails.
const LOG_LINES_SHOWN: usize = 30;

/// What the last line begins with that a daemon prints when it serves.
const SERVES: &str = "chatd: control socket ";

/// How a daemon is started.
#[derive(Debug, Default)]
pub struct Setup {
    listen: Vec<String>,
    config: String,
    arguments: Vec<String>,
    descriptors_max: Option<u32>,
    control: Option<PathBuf>,
    limits_addresses: bool,
    run_by: Option<u32>,
    listens_by_file: bool,
    under: Vec<String>,
}

impl Setup {
    /// One listener on a free port of 127.0.0.1, and a control socket in a folder of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens here instead.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.listen.push(address.to_owned());
        self
    }

    /// Appends lines to the configuration file.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// Leaves the limits by address as they are: other tests are a crowd of clients at one address.
    #[must_use]
    pub fn limits_addresses(mut self) -> Self {
        self.limits_addresses = true;
        self
    }

    /// Listens where the configuration file says, which a reload may change; no flag is above it.
    #[must_use]
    pub fn listens_by_file(mut self) -> Self {
        self.listens_by_file = true;
        self
    }

    /// Appends an argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// The process may have so many descriptors.
    #[must_use]
    pub fn descriptors_max(mut self, descriptors: u32) -> Self {
        self.descriptors_max = Some(descriptors);
        self
    }

    /// Puts the control socket here.
    #[must_use]
    pub fn control(mut self, path: &Path) -> Self {
        self.control = Some(path.to_owned());
        self
    }

    /// Another user runs it, in a group of the same number: only root can arrange that.
    #[must_use]
    pub fn run_by(mut self, uid: u32) -> Self {
        self.run_by = Some(uid);
        self
    }

    /// Another program starts it, one that becomes it: `strace -D`, say.
    #[must_use]
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it, and waits until it serves or ends; its exit code and its log where it ends.
    pub fn try_start(self) -> Result<Daemon, (i32, String)> {
        let folder = Folder::new();
        let setup = if self.limits_addresses { self } else { self.without_limits_by_address() };
        let mut program = Program::start(&mut setup.command(&folder));
        let serves =
            |lines: &[String]| lines.iter().any(|line| line.starts_with(SERVES)).then_some(());
        if program.stdout.find(serves).is_none() {
            let code = program.exit_code();
            return Err((code, program.stderr.all()));
        }
        Ok(Daemon::serving(program, folder))
    }

    /// Starts it, and waits until it serves.
    pub fn start(self) -> Daemon {
        self.start_into(Stdio::piped())
    }

    /// Starts it with its log going there, and waits until it serves.
    pub fn start_into(self, log: Stdio) -> Daemon {
        let folder = Folder::new();
        let setup = if self.limits_addresses { self } else { self.without_limits_by_address() };
        let program = Program::start_into(&mut setup.command(&folder), log);
        Daemon::serving(program, folder)
    }

    /// Starts it and does not wait until it serves; its home is gone with the folder.
    pub fn begin(self) -> (Program, Folder) {
        let folder = Folder::new();
        (Program::start(&mut self.command(&folder)), folder)
    }

    /// Lets it run to its end, which is expected soon: its status, and what it printed.
    pub fn run(self) -> Output {
        let folder = Folder::new();
        program::run(&mut self.command(&folder), &[])
    }

    /// Lifts the limits by address, unless the configuration has them.
    fn without_limits_by_address(mut self) -> Self {
        const HEAD: &str = "[limits]\n";
        if !self.config.contains(HEAD) {
            self.config.push_str(HEAD);
        }
        for key in ["clients_per_ip", "accept_rate"] {
            if !self.config.contains(key) {
                let with_key = format!("{HEAD}{key} = \"off\"\n");
                self.config = self.config.replacen(HEAD, &with_key, 1);
            }
        }
        self
    }

    fn command(self, folder: &Folder) -> Command {
        let mut command = match self.descriptors_max {
            None if !self.under.is_empty() => {
                let mut command = Command::new(&self.under[0]);
                command.args(&self.under[1..]).arg(binaries::chatd());
                command
            }
            None if self.run_by.is_some() => Command::new(folder.give("chatd", &binaries::chatd())),
            None => Command::new(binaries::chatd()),
            Some(max) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {max}; exec \"$0\" \"$@\"")]);
                shell.arg(binaries::chatd());
                shell
            }
        };
        at_home(&mut command, folder);
        if !self.config.is_empty() {
            command.arg("--config").arg(folder.write("chatd.toml", &self.config));
        }
        let listen =
            if self.listen.is_empty() { vec!["127.0.0.1:0".to_owned()] } else { self.listen };
        for address in listen.iter().filter(|_| !self.listens_by_file) {
            command.args(["--listen", address]);
        }
        command.arg("--control").arg(self.control.unwrap_or_else(|| folder.join("control")));
        command.args(&self.arguments);
        if let Some(uid) = self.run_by {
            command.uid(uid).gid(uid);
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(uid)).unwrap();
        }
        command
    }
}

/// Gives a program a home of its own, so that no test sees what the machine's user has.
pub fn at_home(command: &mut Command, folder: &Folder) {
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"] {
        command.env(name, folder.path());
    }
    // Those of a service manager, too: the tests may run under one.
    for name in ["CHATD_SERVER", "CONFIGURATION_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    // Each daemon has a history of its own.
    command.env("STATE_DIRECTORY", folder.join("state"));
    command.env("TZ", "UTC0").stdin(Stdio::null());
}

/// A daemon that serves. It is killed when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    program: Program,
    tcp: Vec<SocketAddr>,
    control: PathBuf,
    folder: Folder,
}

impl Daemon {
    /// One with nothing set.
    pub fn start() -> Self {
        Setup::new().start()
    }

    fn serving(program: Program, folder: Folder) -> Self {
        let path = |line: &String| line.strip_prefix(SERVES).map(PathBuf::from);
        let Some(control) = program.stdout.find(|lines| lines.iter().find_map(path)) else {
            panic!("chatd does not serve:\n{}\n{}", program.stdout.all(), program.stderr.all());
        };
        let tcp = |line: &str| line.strip_prefix("chatd: listening on ")?.parse().ok();
        let tcp = program.stdout.all().lines().filter_map(tcp).collect();
        Self { program, tcp, control, folder }
    }

    /// Where its first listener is.
    pub fn address(&self) -> SocketAddr {
        self.tcp[0]
    }

    /// Where its listeners are.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// Where its control socket is.
    pub fn control_path(&self) -> &Path {
        &self.control
    }

    /// The folder it calls home.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A v0.5 connection that has not said anything.
    pub fn native(&self) -> Native {
        Native::connect(self.address())
    }

    /// A v0.5 connection with a nickname: it is in the lobby.
    pub fn named(&self, nick: &str) -> Native {
        let mut native = self.native();
        native.takes_nick(nick);
        native
    }

    /// A connection to the control socket.
    pub fn control(&self) -> Control {
        Control::connect(&self.control)
    }

    /// A `chatctl` command for this daemon.
    pub fn chatctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries::chatctl());
        at_home(&mut command, &self.folder);
        command.env("CHATD_SERVER", &self.control).args(arguments);
        command
    }

    /// Runs `chatctl` to its end.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        program::run(&mut self.chatctl(arguments), &[])
    }

    /// Starts `chatctl tail` with these arguments, and waits until it follows.
    pub fn follower(&self, arguments: &[&str]) -> Program {
        let program = Program::start(self.chatctl(&["tail", "-v"]).args(arguments));
        program.stderr.line_with(&["following"]);
        program
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.program.pid()
    }

    /// Waits for its end.
    pub fn ends(&mut self) -> ExitStatus {
        self.program.ends()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.program.runs()
    }

    /// Waits until a line of the log has all of these words in it.
    pub fn logs(&self, words: &[&str]) -> String {
        self.program.stderr.line_with(words)
    }

    /// All that it logged so far.
    pub fn log(&self) -> String {
        self.program.stderr.all()
    }

    /// All that it printed so far.
    pub fn printed(&self) -> String {
        self.program.stdout.all()
    }

    /// The processor time that it took so far, of all its threads.
    pub fn cpu_time(&self) -> Duration {
        clock_gettime(clock_getcpuclockid(self.pid()).unwrap()).unwrap().into()
    }

    /// Its resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let skipped = log.lines().count().saturating_sub(LOG_LINES_SHOWN);
            let end: Vec<&str> = log.lines().skip(skipped).collect();
            let text = format!("the daemon's log ends with:\n{}\n", end.join("\n"));
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        }
    }
}
