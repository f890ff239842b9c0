//! `chatctl chat --plain` that is to end while something waits to be sent: it is waited for, and named where it is given up.

use std::process::ExitStatus;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{Daemon, Folder, Setup, eventually};

use crate::keyboard::Typist;
use crate::{interruptible, ways};

/// Somebody at a terminal whose daemon has been killed, and the folder of that one's state.
struct Alone {
    home: Folder,
    daemon: Daemon,
    ada: Typist,
}

impl Alone {
    fn with(arguments: &[&str]) -> Self {
        let home = Folder::new();
        let mut daemon = Self::setup(&home).start();
        let [_, tcp] = ways(&daemon);
        let words = ["chat", "--plain", &tcp, "--as", "Ada", "--color", "never"];
        let mut command = interruptible(daemon.chatctl(&words).args(arguments));
        let mut ada = Typist::start(&mut command);
        ada.sees("connected; you are Ada\r\n[#lobby, registered] ");
        daemon.signal(Signal::SIGKILL);
        daemon.ends();
        ada.sees("lost the daemon");
        ada.sees("[not connected, #lobby] ");
        Self { home, daemon, ada }
    }

    fn setup(home: &Folder) -> Setup {
        let setup = Setup::new().control(&home.join("control")).argument("--state-dir");
        setup.argument(home.join("state").to_str().unwrap())
    }

    /// The terminal is not its controlling one: what Ctrl-C would send is sent.
    fn interrupts(&self) {
        kill(Pid::from_raw(i32::try_from(self.ada.program.id()).unwrap()), Signal::SIGINT).unwrap();
    }

    fn ends(&mut self) -> ExitStatus {
        eventually("it ends", || self.ada.program.try_wait().unwrap())
    }
}

fn ended_by_int(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(Signal::SIGINT as i32)
}

#[test]
fn the_first_ctrl_c_waits_for_what_is_not_sent_and_the_second_gives_it_up_by_name() {
    let mut alone = Alone::with(&["--timeout", "1h"]);
    alone.ada.types(b"one\n");
    alone.ada.sees("[not connected, #lobby] ");
    alone.ada.types(b"t\x1bwo\n");
    alone.ada.sees("[not connected, #lobby] ");
    alone.interrupts();
    alone.ada.sees("2 not sent yet: waiting up to 1h 0m for the daemon; Ctrl-C gives it up\r\n");
    assert!(alone.ada.program.try_wait().unwrap().is_none(), "it waits");
    alone.interrupts();
    alone.ada.sees("2 not sent\r\n");
    alone.ada.sees("it was: one\r\n");
    alone.ada.sees("it was: t\\ewo\r\n");
    assert!(ended_by_int(alone.ends()));
}

#[test]
fn what_ctrl_c_waits_for_is_sent_when_the_daemon_is_back_and_ends_it() {
    let mut alone = Alone::with(&["--timeout", "1h"]);
    alone.ada.types(b"this waits\n");
    alone.ada.sees("[not connected, #lobby] ");
    alone.interrupts();
    alone.ada.sees("1 not sent yet: ");
    let address = alone.daemon.address().to_string();
    let daemon = Alone::setup(&alone.home).listen(&address).start();
    assert!(ended_by_int(alone.ends()));
    let history = daemon.ctl(&["history", "lobby"]);
    let history = String::from_utf8_lossy(&history.stdout).into_owned();
    assert_eq!(history.matches("this waits").count(), 1, "{history}");
}

#[test]
fn ctrl_d_says_at_once_what_it_waits_for_and_at_the_end_what_it_gave_up() {
    let mut alone = Alone::with(&["--timeout", "300ms"]);
    alone.ada.types(b"hello\n");
    alone.ada.sees("[not connected, #lobby] ");
    alone.ada.types(b"\x04");
    alone.ada.sees("1 not sent yet: waiting up to 300 ms for the daemon; Ctrl-C gives it up\r\n");
    alone.ada.sees("1 not sent\r\n");
    alone.ada.sees("it was: hello\r\n");
    alone.ada.sees(" Not all was sent.\r\n");
    assert_eq!(alone.ends().code(), Some(3));
}

#[test]
fn who_has_nothing_to_be_sent_waits_for_no_daemon() {
    let mut alone = Alone::with(&["--timeout", "1h"]);
    alone.ada.types(b"\x04");
    assert_eq!(alone.ends().code(), Some(0));
    let mut alone = Alone::with(&["--timeout", "1h"]);
    alone.interrupts();
    assert!(ended_by_int(alone.ends()));
}

/// Lines that come faster than they are done stand on the terminal before any prompt; it comes behind the last of them.
#[test]
fn what_is_pasted_has_one_prompt_behind_it() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let words = ["chat", "--plain", &tcp, "--as", "Ada", "--color", "never"];
    let mut ada = Typist::start(&mut daemon.chatctl(&words));
    ada.sees("[#lobby, registered] ");
    ada.types(b"/ignore a\n/topic\n/who\n/ignore b\n/whois Ada\n");
    ada.sees("Ada took this name ");
    ada.sees("[#lobby, registered] ");
    assert_eq!(ada.all().matches("[#lobby, registered] ").count(), 2, "{:?}", ada.all());
}
