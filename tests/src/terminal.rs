//! Terminals for programs under test: panes of a tmux of the test's own, with keys typed into them and what they show read from
//! them.
//!
//! The tmux server has a socket in a folder of its own and ends with the test. Nothing announces what a pane shows: it is looked at
//! until it shows what is waited for.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollTimeout, poll};
use nix::unistd::Pid;

use crate::{Folder, left_out};

/// A look costs a process of its own, on a machine that may have a lot to do: fewer looks, and more patience, than elsewhere.
const LOOK_MS: u8 = 40;
const PATIENCE: Duration = Duration::from_mins(1);

/// What the server is told before its first pane: no line of its own below it, no waiting for what may follow an escape byte, and
/// the user's own settings are not read.
const SETTINGS: &str = "set -g status off
set -s escape-time 0
set -g default-terminal screen-256color
";

/// Runs a program, then says how it ended and what it left of the terminal's modes; the shell outlives Ctrl-C.
const RUN: &str = r#"trap : INT; "$@"; echo "ended with $?, $(stty -a | grep -ow -e '-*icanon' -e '-*echo' -e '-*isig' | paste -sd ' ')"; exec cat"#;

/// What `RUN` says of the modes of a terminal that is as it was.
pub const AS_IT_WAS: &str = "isig icanon echo";

/// A tmux server. It ends, with all in its panes, when this is dropped.
#[derive(Debug)]
pub struct Tmux {
    folder: Folder,
    panes: AtomicU32,
}

impl Tmux {
    /// One without panes yet; none, and that is said, where the machine has no tmux.
    pub fn new(test: &str) -> Option<Self> {
        match Command::new("tmux").arg("-V").stdin(Stdio::null()).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                left_out(&format!("{test}: needs tmux (Debian package tmux)"));
                return None;
            }
            version => assert!(version.unwrap().status.success(), "tmux does not work"),
        }
        let folder = Folder::new();
        folder.write("tmux.conf", SETTINGS);
        Some(Self { folder, panes: AtomicU32::new(0) })
    }

    /// A pane of this size, columns and rows, in which a program runs.
    pub fn pane(&self, (columns, rows): (u16, u16), program: &Command) -> Pane<'_> {
        let name = format!("pane{}", self.panes.fetch_add(1, Ordering::Relaxed));
        let mut new = self.command(&["new-session", "-d", "-s", &name]);
        new.args(["-x", &columns.to_string(), "-y", &rows.to_string()]);
        new.args(["sh", "-c", RUN, "sh", "env"]);
        let variables = || program.get_envs();
        for (variable, _) in variables().filter(|(_, value)| value.is_none()) {
            new.args([OsStr::new("-u"), variable]);
        }
        for (variable, value) in variables() {
            new.args(value.map(|value| [variable, value].join(OsStr::new("="))));
        }
        succeeds(new.arg(program.get_program()).args(program.get_args()));
        Pane { tmux: self, name }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.folder.join("tmux"));
        command.arg("-f").arg(self.folder.join("tmux.conf"));
        command.args(arguments).stdin(Stdio::null());
        // The tests may run in somebody's tmux; this one takes UTF-8 whatever that does.
        command
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm");
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).output();
    }
}

/// A pane.
#[derive(Debug)]
pub struct Pane<'a> {
    tmux: &'a Tmux,
    name: String,
}

impl Pane<'_> {
    /// Presses keys, as tmux calls them: `C-c`, `Enter`, `M-a`.
    pub fn presses(&self, keys: &[&str]) {
        self.tells(&["send-keys", "-t", &self.name], keys);
    }

    /// Types a text.
    pub fn types(&self, text: &str) {
        self.tells(&["send-keys", "-t", &self.name, "-l", "--"], &[text]);
    }

    /// Types a line.
    pub fn enters(&self, line: &str) {
        self.types(line);
        self.presses(&["Enter"]);
    }

    /// Pastes a text, marked as pasted where the program wants it so.
    pub fn pastes(&self, text: &str) {
        self.tells(&["set-buffer", "-b", &self.name, "--"], &[text]);
        self.tells(&["paste-buffer", "-p", "-d", "-b", &self.name, "-t"], &[&self.name]);
    }

    /// Gives it another size.
    pub fn resize(&self, (columns, rows): (u16, u16)) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tells(&["resize-window", "-t", &self.name, "-x", &columns, "-y", &rows], &[]);
    }

    /// Its rows as they are now, without the spaces behind them.
    pub fn rows(&self) -> Vec<String> {
        let shown = self.asks(&["capture-pane", "-p", "-t", &self.name]);
        shown.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    /// Waits until its bell has rung.
    pub fn rings(&self) {
        let rung = |_: &[String]| self.fact("window_bell_flag") == "1";
        self.until("its bell never rings", rung);
    }

    /// What tmux knows of it: `pane_title`, `pane_tty`.
    pub fn fact(&self, name: &str) -> String {
        let fact = self.asks(&["display-message", "-p", "-t", &self.name, &format!("#{{{name}}}")]);
        fact.trim_end().to_owned()
    }

    /// The program that runs in it.
    pub fn program(&self) -> Pid {
        let shell = self.fact("pane_pid");
        let children = format!("/proc/{shell}/task/{shell}/children");
        let child = std::fs::read_to_string(children).unwrap();
        Pid::from_raw(child.trim().parse().unwrap())
    }

    /// Waits until it shows these words; where they are broken between rows, too.
    pub fn sees(&self, words: &str) {
        self.until(&format!("it never shows {words:?}"), |rows| shows(rows, words));
    }

    /// Waits until it does not show these words any more.
    pub fn loses(&self, words: &str) {
        self.until(&format!("it goes on showing {words:?}"), |rows| !shows(rows, words));
    }

    /// Waits until its rows are so.
    ///
    /// # Panics
    /// Where they never are; what it shows instead is said.
    pub fn until(&self, complaint: &str, mut are_so: impl FnMut(&[String]) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let rows = self.rows();
            if are_so(&rows) {
                return;
            }
            assert!(Instant::now() < end, "{complaint}:\n{}", rows.join("\n").trim_end());
            let nobody: &mut [PollFd<'_>] = &mut [];
            let _ = poll(nobody, PollTimeout::from(LOOK_MS));
        }
    }

    fn tells(&self, command: &[&str], arguments: &[&str]) {
        succeeds(self.tmux.command(command).args(arguments));
    }

    fn asks(&self, command: &[&str]) -> String {
        let output = succeeds(&mut self.tmux.command(command));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Whether these rows have such words; beside a list to their left, and broken between rows, too.
fn shows(rows: &[String], words: &str) -> bool {
    let beside = rows.iter().map(|row| row.rsplit('\u{2502}').next().unwrap_or(row).trim());
    let flowing = beside.collect::<Vec<_>>().join(" ");
    rows.iter().any(|row| row.contains(words)) || flowing.contains(words)
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    output
}
