//! Completion in the shells themselves: keys are typed at a terminal, and the shell says what words it has read.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tests::{DEADLINE, Daemon, Folder, Native, left_out};

/// A nickname that would leave files behind if any shell took it for more than text.
const HOSTILE: &str = r#"bo $(touch p)`touch q`;"'!x"#;

const BASH: &str = "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; \
    PS1=PROM; PS1+='PT>'; source <(chatctl completion bash)";
const ZSH: &str = "unset zle_bracketed_paste; bindkey -e; autoload -Uz compinit; compinit -D -u; \
    PS1=PROM; PS1+='PT>'; source <(chatctl completion zsh)";

/// A shell command that finds the programs under test, and nothing of the machine's user.
fn shell(daemon: &Daemon, folder: &Folder, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    tests::daemon::at_home(&mut command, daemon.folder());
    let programs = tests::binaries::chatctl();
    let programs = programs.parent().map(Path::display).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{programs}:{path}")).env("CHATD_SERVER", daemon.control_path());
    command.env("TERM", "dumb").env("LC_ALL", "C.UTF-8").env("HISTFILE", "/dev/null");
    command.args(arguments).current_dir(folder.path());
    command
}

/// Whoever is there.
fn people(daemon: &Daemon) -> [Native; 3] {
    daemon.control().posts("ops", "hello");
    [daemon.named("alice"), daemon.named("zed the 2nd"), daemon.named(HOSTILE)]
}

/// A shell at a terminal. It is killed when it is dropped.
struct Keys {
    terminal: File,
    /// What came behind what was waited for.
    kept: Vec<u8>,
    child: Child,
}

impl Keys {
    /// Starts it and lets it load the completion; none where the machine has no such shell.
    fn start(mut command: Command, setup: &str) -> Option<Self> {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let end = || Stdio::from(terminal.slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn();
        let child = match child {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            child => child.unwrap(),
        };
        let mut keys = Self { terminal: File::from(terminal.master), kept: Vec::new(), child };
        keys.terminal.write_all(format!("{setup}\n").as_bytes()).unwrap();
        keys.until("PROMPT>");
        Some(keys)
    }

    /// What the terminal shows up to this.
    fn until(&mut self, mark: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let text = String::from_utf8_lossy(&self.kept).into_owned();
            if let Some((before, rest)) = text.split_once(mark) {
                self.kept = rest.into();
                return before.to_owned();
            }
            assert!(Instant::now() < end, "it never shows {mark:?}: {text:?}");
            let mut fds = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::from(100_u8)).unwrap() > 0 {
                let mut piece = [0; 4096];
                let count = self.terminal.read(&mut piece).unwrap();
                self.kept.extend_from_slice(&piece[..count]);
            }
        }
    }

    /// The words that the shell reads when these keys are pressed: a `printf` is put before them, so that they are shown.
    fn words(&mut self, typed: &str) -> String {
        let line = format!("{typed}\u{1}printf '<%s>' \u{5}; printf 'DO%s\\n' NE\n");
        self.terminal.write_all(line.as_bytes()).unwrap();
        let shown = self.until("DONE");
        self.until("PROMPT>");
        shown.rsplit('\n').next().unwrap_or_default().to_owned()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What every shell does.
fn completes(keys: &mut Keys, daemon: &Daemon, folder: &Folder) {
    folder.write("a file", "");
    let network = format!("chatctl -s tcp://{} send @al\t", daemon.address());
    let named = format!("<chatctl><-s><tcp://{}><send><@alice>", daemon.address());
    for (typed, words) in [
        ("chatctl hist\t", "<chatctl><history>"),
        ("chatctl --json hist\t", "<chatctl><--json><history>"),
        ("chatctl tail --reco\t", "<chatctl><tail><--reconnect>"),
        ("chatctl send --wait st\t", "<chatctl><send><--wait><stored>"),
        ("chatctl send --wait=st\t", "<chatctl><send><--wait=stored>"),
        ("chatctl send -f a\\ \t", "<chatctl><send><-f><a file>"),
        ("chatctl send lo\t", "<chatctl><send><lobby>"),
        ("chatctl tail lobby o\t", "<chatctl><tail><lobby><ops>"),
        ("chatctl send @al\t", "<chatctl><send><@alice>"),
        ("chatctl send '@al\t", "<chatctl><send><@alice>"),
        ("chatctl send @ze\t", "<chatctl><send><@zed the 2nd>"),
        ("chatctl send \"@zed t\t", "<chatctl><send><@zed the 2nd>"),
        ("chatctl whois al\t", "<chatctl><whois><alice>"),
        ("chatctl kick zed\\ \t", "<chatctl><kick><zed the 2nd>"),
        (&network, &named),
        ("chatctl -s unix:/nowhere send lo\t", "<chatctl><-s><unix:/nowhere><send><lo>"),
    ] {
        assert_eq!(keys.words(typed), words, "{typed:?}");
    }
    for typed in ["chatctl whois bo\t", "chatctl ban bo\\ \t", "chatctl send @bo\t"] {
        let words = keys.words(typed);
        assert!(words.ends_with(&format!("{HOSTILE}>")), "{typed:?} {words:?}");
    }
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "a nickname was carried out");
}

#[test]
fn bash_completes_what_there_is() {
    let (daemon, folder) = (Daemon::start(), Folder::new());
    let _people = people(&daemon);
    let command = shell(&daemon, &folder, "bash", &["--norc", "--noprofile", "-i"]);
    let mut keys = Keys::start(command, BASH).expect("tests/run is a bash script, too");
    completes(&mut keys, &daemon, &folder);
    // No quotation that is open could hold this one: it is not offered.
    assert_eq!(keys.words("chatctl send '@bo\t'"), "<chatctl><send><@bo>");
    assert_eq!(keys.words("chatctl send \"@bo\t\""), "<chatctl><send><@bo>");
}

#[test]
fn zsh_completes_what_there_is() {
    let (daemon, folder) = (Daemon::start(), Folder::new());
    let _people = people(&daemon);
    match Keys::start(shell(&daemon, &folder, "zsh", &["-f", "-i"]), ZSH) {
        Some(mut keys) => completes(&mut keys, &daemon, &folder),
        // The same words as in tests/run, which has them once.
        None => left_out("completion in zsh: needs zsh (Debian package zsh)"),
    }
}

#[test]
fn fish_completes_what_there_is() {
    let (daemon, folder) = (Daemon::start(), Folder::new());
    let _people = people(&daemon);
    for (typed, first) in [
        ("chatctl hist", "history\tPrint past messages of a room and end"),
        ("chatctl send --wait=st", "--wait=stored\tFor the daemon's word that"),
        ("chatctl send lo", "lobby\t3 members"),
        ("chatctl tail lobby o", "ops\t0 members"),
        ("chatctl send @al", "@alice"),
        ("chatctl send '@al", "@alice"),
        ("chatctl kick zed\\ ", "zed the 2nd"),
        ("chatctl send @bo", &format!("@{HOSTILE}")),
        ("chatctl -s unix:/nowhere send lo", ""),
    ] {
        let script = "chatctl completion fish | source; complete -C $argv[1]";
        let mut command = shell(&daemon, &folder, "fish", &["--no-config", "-c", script, typed]);
        match command.output() {
            Ok(output) => {
                let shown = String::from_utf8(output.stdout).unwrap();
                assert!(shown.starts_with(first) && shown.lines().count() <= 1, "{typed}: {shown}");
                assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return left_out("completion in fish: needs fish (Debian package fish)");
            }
            Err(error) => panic!("fish cannot be started: {error}"),
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a nickname was carried out");
}

/// Whoever presses the key is writing a line: nothing but candidates is shown, and none where there is no daemon.
#[test]
fn a_daemon_that_is_away_is_not_spoken_of() {
    let daemon = Daemon::start();
    let ask = |arguments: &[&str]| crate::shown(&daemon.ctl(arguments));
    let empty = (Some(0), "words\n".to_owned(), String::new());
    assert_eq!(ask(&["__complete", "zsh", "--", "chatctl", "-s", "/nowhere", "send", ""]), empty);
    assert_eq!(ask(&["__complete", "zsh", "--", "chatctl", "-s", "x://", "send", ""]), empty);
    let (code, shown, said) = ask(&["__complete", "zsh", "--", "chatctl", "send", "#"]);
    assert_eq!((code, &*shown, &*said), (Some(0), "words\n#lobby\t0 members\n", ""));
}
