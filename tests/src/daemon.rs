//! A real daemon: started with a configuration, waited for, listened to, and never left behind.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::deadline::{DEADLINE, eventually};
use crate::{Control, Folder, Native, binaries};

/// How a daemon is started.
#[derive(Debug, Default)]
pub struct Setup {
    listen: Vec<String>,
    config: String,
    arguments: Vec<String>,
    descriptors_max: Option<u32>,
    control: Option<PathBuf>,
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

    /// Starts it, and waits until it serves.
    pub fn start(self) -> Daemon {
        let folder = Folder::new();
        let mut command = self.command(&folder);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Daemon::serving(child, folder)
    }

    /// Lets it run to its end, which is expected soon: its status, and what it printed.
    pub fn run(self) -> Output {
        let folder = Folder::new();
        let mut command = self.command(&folder);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        output(child)
    }

    fn command(self, folder: &Folder) -> Command {
        let mut command = match self.descriptors_max {
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
        for address in &listen {
            command.args(["--listen", address]);
        }
        command.arg("--control").arg(self.control.unwrap_or_else(|| folder.join("control")));
        command.args(&self.arguments);
        command
    }
}

/// Gives a program a home of its own, so that no test sees what the machine's user has.
pub fn at_home(command: &mut Command, folder: &Folder) {
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"] {
        command.env(name, folder.path());
    }
    command.env_remove("CHATD_SERVER").env("TZ", "UTC0").stdin(Stdio::null());
}

/// Waits for a process that is expected to end soon, and takes what it printed.
pub fn output(mut child: Child) -> Output {
    let collect = |stream: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let stdout = collect(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = collect(child.stderr.take().map(|stream| Box::new(stream) as _));
    let end = Instant::now() + DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(2_u8));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else {
        panic!(
            "a program that should have ended did not; it said:\n{}\n{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        )
    };
    Output { status, stdout, stderr }
}

/// Lines that a program has printed so far.
#[derive(Debug, Default)]
struct Lines {
    printed: Mutex<(Vec<String>, bool)>,
    news: Condvar,
}

impl Lines {
    fn follow(stream: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let ours = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                ours.printed.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
                ours.news.notify_all();
            }
            ours.printed.lock().unwrap().1 = true;
            ours.news.notify_all();
        });
        lines
    }

    /// Waits until `look` finds something in what was printed; none at the end of the stream or after the deadline.
    fn find<T>(&self, mut look: impl FnMut(&[String]) -> Option<T>) -> Option<T> {
        let end = Instant::now() + DEADLINE;
        let mut printed = self.printed.lock().unwrap();
        loop {
            if let Some(found) = look(&printed.0) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || printed.1 {
                return None;
            }
            printed = self.news.wait_timeout(printed, left).unwrap().0;
        }
    }

    fn all(&self) -> String {
        self.printed.lock().unwrap().0.join("\n")
    }
}

/// A daemon that serves. It is killed when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    printed: Arc<Lines>,
    log: Arc<Lines>,
    tcp: Vec<SocketAddr>,
    control: PathBuf,
    folder: Folder,
}

impl Daemon {
    /// One with nothing set.
    pub fn start() -> Self {
        Setup::new().start()
    }

    fn serving(mut child: Child, folder: Folder) -> Self {
        let printed = Lines::follow(child.stdout.take().unwrap());
        let log = Lines::follow(child.stderr.take().unwrap());
        let path = printed.find(|lines| {
            lines.iter().find_map(|line| line.strip_prefix("chatd: control socket ").map(PathBuf::from))
        });
        let Some(control) = path else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("chatd does not serve; it said:\n{}\n{}", printed.all(), log.all());
        };
        let tcp = |line: &String| line.strip_prefix("chatd: listening on ")?.parse().ok();
        let tcp = printed.find(|lines| Some(lines.iter().filter_map(tcp).collect())).unwrap();
        Self { child, printed, log, tcp, control, folder }
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
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `chatctl` to its end.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        output(self.chatctl(arguments).spawn().unwrap())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for its end.
    pub fn ends(&mut self) -> ExitStatus {
        eventually("the daemon ends", || self.child.try_wait().unwrap())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until a line of the log has all of these words in it.
    pub fn logs(&self, words: &[&str]) -> String {
        let found = self.log.find(|lines| {
            lines.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned()
        });
        found.unwrap_or_else(|| panic!("the log never says {words:?}:\n{}", self.log.all()))
    }

    /// All that it logged so far.
    pub fn log(&self) -> String {
        self.log.all()
    }

    /// All that it printed so far.
    pub fn printed(&self) -> String {
        self.printed.all()
    }

    /// The processor time that it took so far, in ticks of a hundredth of a second.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        // Fields 14 and 15 of proc(5): user and system time; the name and what is before it are two fields.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
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
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log.all();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("the daemon's log ends with:\n{}\n", tail.join("\n")).as_bytes(),
            );
        }
    }
}
