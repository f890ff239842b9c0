//! The daemon in the background, without a service manager: `--daemon`.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, Flock, FlockArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User, getsid};
use serde_json::json;
use tests::daemon::at_home;
use tests::deadline::eventually;
use tests::program::Program;
use tests::{Control, Folder, Native, binaries, left_out};

/// Who runs the daemon where root hands it to somebody, and in which group that is not the user's own.
const USER: &str = "daemon";
const GROUP: &str = "sys";

/// A start with its folder. The daemon behind it is killed when this is dropped: it does not end with the test by itself.
struct Start {
    folder: Folder,
    command: Command,
    control: PathBuf,
    pid_file: PathBuf,
}

/// What a start left behind.
struct Away {
    start: Start,
    listener: SocketAddr,
    pid: Pid,
}

impl Start {
    /// On a free port, everything in a folder of its own.
    fn new() -> Self {
        let folder = Folder::new();
        let (control, pid_file) = (folder.join("control"), folder.join("chatd.pid"));
        let start = Self::bare(folder, control, pid_file);
        let control = start.control.clone();
        start.with("--control").with(control).with("--listen").with("127.0.0.1:0")
    }

    fn bare(folder: Folder, control: PathBuf, pid_file: PathBuf) -> Self {
        let mut command = Command::new(binaries::chatd());
        at_home(&mut command, &folder);
        command.args(["--daemon", "--log-format", "text"]);
        Self { folder, command, control, pid_file }
    }

    fn with(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    fn logs(&self, words: &str) {
        eventually(words, || self.log().contains(words).then_some(()));
    }

    /// The exit status of the start, and what it printed.
    fn ends(&mut self) -> (i32, Program) {
        let log = File::create(self.folder.join("log")).unwrap();
        let mut program = Program::start_into(&mut self.command, log.into());
        (program.exit_code(), program)
    }

    /// It serves in the background.
    fn away(mut self) -> Away {
        let (status, program) = self.ends();
        assert_eq!(status, 0, "{}", self.log());
        let line = program.stdout.line_with(&["listening on "]);
        let listener = line.strip_prefix("chatd: listening on ").unwrap().parse().unwrap();
        let pid = held(&self.pid_file).expect("the pid file is there, and locked");
        assert_ne!(pid, program.pid());
        Away { start: self, listener, pid }
    }

    /// It ends like this, and what it says has all of these words.
    fn refuses(mut self, status: i32, words: &[&str]) {
        let (ended, _) = self.ends();
        let said = self.log();
        assert_eq!(ended, status, "{said}");
        assert!(said.starts_with("chatd: "), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said} lacks {words:?}");
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        if let Some(pid) = held(&self.pid_file) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

impl Away {
    fn control(&self) -> Control {
        Control::connect(&self.start.control)
    }

    /// A line of `/proc/PID/status`.
    fn status(&self, name: &str) -> Vec<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn link(&self, name: &str) -> PathBuf {
        fs::read_link(format!("/proc/{}/{name}", self.pid)).unwrap()
    }

    /// TERM ends it, and nothing stays.
    fn ends_by_term(self) {
        kill(self.pid, Signal::SIGTERM).unwrap();
        let Start { control, pid_file, .. } = &self.start;
        let is_gone = || !control.exists() && !pid_file.exists();
        eventually("its files are gone", || is_gone().then_some(()));
    }

    /// HUP makes it read the file again, and another limit holds.
    fn reads_anew(&self) {
        self.start.folder.write("chatd.toml", "[limits]\nmessage = 50\n");
        kill(self.pid, Signal::SIGHUP).unwrap();
        self.start.logs("the configuration was read anew and holds");
        assert_eq!(self.control().asks("hello", json!({}))["limits"]["message"], 50);
    }
}

/// Who holds a pid file; nobody, where it is not there or not locked.
fn held(path: &Path) -> Option<Pid> {
    let file = File::open(path).ok()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).err()?;
    let written = fs::read_to_string(path).unwrap();
    let number = written.strip_suffix('\n').expect("a line");
    Some(Pid::from_raw(number.parse().unwrap()))
}

fn is_root(what: &str) -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        left_out(&format!("{what}: only root can hand a daemon to another user"));
    }
    is_root
}

#[test]
fn the_start_ends_when_it_serves_and_term_ends_what_it_left() {
    let away = Start::new().away();
    let mut ada = Native::connect(away.listener);
    ada.takes_nick("Ada");
    let stats = away.control().asks("stats", json!({}));
    assert_eq!(
        stats["stats"]["process"]["pid"].as_i64(),
        Some(away.pid.as_raw().into()),
        "{stats}"
    );
    assert_eq!(away.link("cwd"), Path::new("/"));
    assert_eq!([away.link("fd/0"), away.link("fd/1")], ["/dev/null"; 2].map(PathBuf::from));
    assert_eq!(away.link("fd/2"), away.start.folder.join("log"));
    let session = getsid(Some(away.pid)).unwrap();
    assert!(session != getsid(None).unwrap() && session != away.pid, "no terminal can be its own");
    ada.chats("still here");
    away.ends_by_term();
}

#[test]
fn a_terminal_is_left_behind_and_the_start_says_that_the_log_is_lost() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut start = Start::new();
    let mut program = Program::start_into(&mut start.command, terminal.slave.into());
    let status = program.exit_code();
    assert_eq!(status, 0, "it serves without a terminal");
    // Others of this process may have the terminal, too, so that it has no end.
    fcntl(&terminal.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut shown = Vec::new();
    eventually("the words", || {
        let mut piece = [0; 256];
        let count = nix::unistd::read(&terminal.master, &mut piece).unwrap_or(0);
        shown.extend_from_slice(&piece[..count]);
        shown.ends_with(b"\n").then_some(())
    });
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.starts_with("chatd: the log goes nowhere") && shown.contains("2>>"), "{shown}");
    let pid = held(&start.pid_file).expect("it serves");
    let stderr = fs::read_link(format!("/proc/{pid}/fd/2")).unwrap();
    assert_eq!(stderr, Path::new("/dev/null"));
}

#[test]
fn a_pid_file_that_another_holds_is_left_alone() {
    let first = Start::new().away();
    let path = first.start.pid_file.clone();
    let mut second = Start::new().with("--pid-file").with(&path);
    let control = second.control.clone();
    let (status, _) = second.ends();
    let said = second.log();
    assert_eq!(status, 1, "{said}");
    let pid = format!("(process {})", first.pid);
    assert!(said.contains("another chatd holds the pid file") && said.contains(&pid), "{said}");
    assert!(!control.exists(), "nothing of it stays");
    assert_eq!(held(&path), Some(first.pid));
    assert_eq!(first.control().asks("ping", json!({}))["ok"], true);
    first.ends_by_term();
}

#[test]
fn a_start_that_fails_has_the_childs_status_and_words() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    Start::new().with("--listen").with(&taken).refuses(1, &["cannot listen on", &taken, "in use"]);
    let first = Start::new().away();
    let folder = Folder::new();
    let pid_file = folder.join("chatd.pid");
    Start::bare(folder, first.start.control.clone(), pid_file)
        .with("--listen")
        .with("127.0.0.1:0")
        .with("--control")
        .with(&first.start.control)
        .refuses(1, &["another chatd serves"]);
    let start = Start::new();
    let file = start.folder.write("chatd.toml", "[limits]\noutbux = 1\n");
    start.with("--config").with(file).refuses(78, &["chatd.toml:2", "limits.outbox"]);
    // The first that only the child can know.
    let start = Start::new();
    let nowhere = start.folder.join("nowhere/chatd.pid");
    start.with("--pid-file").with(nowhere).refuses(1, &["nowhere/chatd.pid", "No such file"]);
    first.ends_by_term();
}

#[test]
fn a_start_without_descriptors_says_so_wherever_they_end() {
    let (mut served, mut refused) = (false, false);
    for descriptors in 5..40 {
        let mut start = Start::new();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
        shell.arg(binaries::chatd()).args(start.command.get_args());
        at_home(&mut shell, &start.folder);
        start.command = shell;
        let (status, _) = start.ends();
        let said = start.log();
        served |= status == 0;
        refused |= status == 1 && said.contains("chatd: ");
        assert!(status == 0 || status == 1, "{descriptors}: {status}\n{said}");
        assert!(status == 0 || said.contains("chatd: "), "{descriptors}: {status}\n{said}");
        assert_eq!(status == 0, start.control.exists(), "{descriptors}");
        assert_eq!(status == 0, held(&start.pid_file).is_some(), "{descriptors}");
    }
    assert!(served && refused);
}

#[test]
fn paths_are_those_of_where_it_was_started() {
    let mut start = Start::bare(Folder::new(), PathBuf::new(), PathBuf::new());
    (start.control, start.pid_file) = (start.folder.join("control"), start.folder.join("my.pid"));
    start.folder.write("chatd.toml", "[limits]\nmessage = 100\n");
    start.command.current_dir(start.folder.path()).args(["--listen", "127.0.0.1:0"]);
    start.command.args(["--config", "chatd.toml", "--control", "control", "--pid-file", "my.pid"]);
    let away = start.away();
    away.reads_anew();
    away.ends_by_term();
    // One that the file names is no other.
    let mut start = Start::bare(Folder::new(), PathBuf::new(), PathBuf::new());
    (start.control, start.pid_file) = (start.folder.join("here"), start.folder.join("chatd.pid"));
    start.folder.write("chatd.toml", "[control]\npath = \"here\"\n");
    start.command.current_dir(start.folder.path()).args(["--listen", "127.0.0.1:0"]);
    start.with("--config").with("chatd.toml").away().ends_by_term();
}

#[test]
fn root_hands_it_to_a_user() {
    if !is_root("--user") {
        return;
    }
    let user = User::from_name(USER).unwrap().unwrap();
    let group = nix::unistd::Group::from_name(GROUP).unwrap().unwrap().gid;
    let start = Start::new().with("--user").with(USER).with("--group").with(GROUP);
    let file = start.folder.write("chatd.toml", "[limits]\nmessage = 100\n");
    chown(start.folder.path(), Some(user.uid.as_raw()), None).unwrap();
    let away = start.with("--config").with(file).away();
    assert_eq!(away.status("Uid:"), vec![user.uid.to_string(); 4]);
    assert_eq!(away.status("Gid:"), vec![group.to_string(); 4]);
    let groups = away.status("Groups:");
    assert!(groups.contains(&group.to_string()), "{groups:?}");
    assert!(!groups.contains(&Gid::from_raw(0).to_string()), "root's stay behind: {groups:?}");
    assert_eq!(away.status("CapEff:"), ["0000000000000000"]);
    for path in [&away.start.control, &away.start.pid_file] {
        let owner = fs::symlink_metadata(path).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (user.uid.as_raw(), group.as_raw()));
    }
    Native::connect(away.listener).takes_nick("Ada");
    away.reads_anew();
    away.ends_by_term();
}

#[test]
fn the_usual_folder_is_given_to_the_user_also_after_root_used_it() {
    if !is_root("the folder of --user") {
        return;
    }
    let home = Folder::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
    let (run, state) = (home.join("run"), home.join("state"));
    let start = || {
        let mut start = Start::bare(Folder::new(), run.join("control"), run.join("chatd.pid"));
        start.command.env("RUNTIME_DIRECTORY", &run).args(["--listen", "127.0.0.1:0"]);
        start.command.env("STATE_DIRECTORY", &state);
        start
    };
    start().away().ends_by_term();
    assert_eq!(fs::metadata(&run).unwrap().uid(), 0);
    let away = start().with("--user").with(USER).away();
    let user = User::from_name(USER).unwrap().unwrap();
    let folder = fs::metadata(&run).unwrap();
    assert_eq!((folder.uid(), folder.mode() & 0o777), (user.uid.as_raw(), 0o755));
    let folder = fs::metadata(&state).unwrap();
    assert_eq!((folder.uid(), folder.mode() & 0o777), (user.uid.as_raw(), 0o700));
    assert_eq!(fs::metadata(state.join("history.db")).unwrap().uid(), user.uid.as_raw());
    away.ends_by_term();
    start().with("--user").with(USER).away().ends_by_term();
}

#[test]
fn a_user_that_cannot_be_says_what_to_do() {
    if !is_root("a wrong --user") {
        return;
    }
    let none = "no-such-user";
    Start::new().with("--user").with(none).refuses(1, &[none, "useradd"]);
    let start = Start::new().with("--user").with(USER).with("--group").with("no-such-group");
    start.refuses(1, &["no-such-group", "groupadd"]);
    // The folder is root's own.
    let start = Start::new().with("--user").with(USER);
    fs::set_permissions(start.folder.path(), Permissions::from_mode(0o711)).unwrap();
    start.refuses(1, &["control", "Permission denied", USER, "--user"]);
    let mut start = Start::new().with("--user").with(USER);
    let program = start.folder.give("program", &binaries::chatd());
    let mut command = Command::new(program);
    at_home(&mut command, &start.folder);
    command.args(start.command.get_args()).uid(1).gid(1);
    start.command = command;
    chown(start.folder.path(), Some(1), None).unwrap();
    start.refuses(1, &["only root", "without --user"]);
}

#[test]
fn flags_of_the_background_are_for_it_alone() {
    for wrong in [&["--pid-file", "x"][..], &["--user", "x"], &["--daemon", "--group", "x"]] {
        let folder = Folder::new();
        let mut command = Command::new(binaries::chatd());
        at_home(&mut command, &folder);
        let output = tests::program::run(command.args(wrong), &[]);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
