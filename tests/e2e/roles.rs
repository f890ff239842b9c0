//! Every request and every role over real sockets, with the kernel's word for who calls: users and groups are real ones.
//!
//! A socket is made here and connected by a child that has become somebody else: the kernel keeps who connected.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::geteuid;
use proto::RequestKind;
use serde_json::{Value, json};
use tests::roles::{Cell, Role, cells};
use tests::{Control, Daemon, Folder, Setup, V1Client, binaries, left_out, program};

/// Who the daemon is where it is not root, who others are, and groups that no machine has.
const OWN: u32 = 64_100;
const SOMEBODY: u32 = 64_200;
const PRIMARY: u32 = 64_300;
const ADMIN: u32 = 64_301;
const SEND: u32 = 64_302;
const WATCH: u32 = 64_303;

/// Tells the child, which is this test program, which path to connect to.
const CONNECT_TO: &str = "CHATD_TEST_CONNECT_TO";

/// The configuration that gives these groups their rights. Tests are quicker than people.
fn groups() -> String {
    format!(
        "[control]\nadmin_groups = [{ADMIN}]\nsend_groups = [{SEND}]\nwatch_groups = [{WATCH}, 64999]\n\
         [limits]\nmessages = \"off\"\n"
    )
}

/// A user: a uid, a first group and others.
#[derive(Clone, Copy)]
struct User(u32, u32, &'static [u32]);

impl User {
    fn of(role: Role) -> Self {
        match role {
            Role::Root | Role::Tcp => Self(0, 0, &[]),
            Role::Own => Self(OWN, OWN, &[]),
            Role::Admin => Self(SOMEBODY, PRIMARY, &[7, ADMIN]),
            // As the first group, and as one of many others.
            Role::Send => Self(SOMEBODY, SEND, &[]),
            Role::Watch => Self(SOMEBODY, PRIMARY, &[1, 2, 3, WATCH, 64_998]),
            Role::SendAndWatch => Self(SOMEBODY, SEND, &[WATCH]),
            Role::Nobody => Self(SOMEBODY, PRIMARY, &[64_997]),
        }
    }

    /// A command that this user runs.
    fn runs(self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={}", self.0)).arg(format!("--regid={}", self.1));
        if self.2.is_empty() {
            command.arg("--clear-groups");
        } else {
            let numbers: Vec<String> = self.2.iter().map(u32::to_string).collect();
            command.arg(format!("--groups={}", numbers.join(",")));
        }
        command.arg("--").arg(program);
        command
    }
}

/// Programs where everybody may run them.
struct Tools {
    folder: Folder,
}

impl Tools {
    /// None where nobody can become somebody else.
    fn new() -> Option<Self> {
        if !geteuid().is_root() {
            left_out("other users at the control socket: only root can become another user");
            return None;
        }
        let tools = Self { folder: Folder::new() };
        fs::set_permissions(tools.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        tools.folder.give("connector", &env::current_exe().unwrap());
        tools.folder.give("chatctl", &binaries::chatctl());
        Some(tools)
    }

    fn connector(&self) -> PathBuf {
        self.folder.join("connector")
    }

    fn chatctl(&self) -> PathBuf {
        self.folder.join("chatctl")
    }

    /// A connection to the daemon's control socket that this user made.
    fn connected(&self, user: User, path: &Path) -> Control {
        let flags = SockFlag::SOCK_CLOEXEC;
        let ours = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        let theirs: OwnedFd = ours.try_clone().unwrap();
        let mut child = user.runs(&self.connector());
        child.args(["roles::connects_for_another_test", "--exact", "--test-threads=1"]);
        child.env(CONNECT_TO, path).stdin(Stdio::from(theirs));
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Control::over(UnixStream::from(ours))
    }

    /// What `chatctl` says to this user: its status and what it wrote to stderr.
    fn ctl(&self, user: User, daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = user.runs(&self.chatctl());
        tests::daemon::at_home(&mut command, &self.folder);
        command.env("CHATD_SERVER", daemon.control_path()).args(arguments);
        let output = program::run(&mut command, &[]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A daemon, run by root or by a user of its own, whose socket everybody can get to.
fn daemon(by: Option<u32>) -> Daemon {
    let setup = Setup::new().config(&groups());
    let daemon = match by {
        Some(uid) => setup.run_by(uid).start(),
        None => setup.start(),
    };
    fs::set_permissions(daemon.folder().path(), fs::Permissions::from_mode(0o755)).unwrap();
    daemon
}

/// No test by itself: connects what it has as standard input, where another test runs this program for that.
#[test]
fn connects_for_another_test() {
    if let Some(path) = env::var_os(CONNECT_TO) {
        let address = UnixAddr::new(Path::new(&path)).unwrap();
        connect(std::io::stdin().as_raw_fd(), &address).unwrap();
    }
}

/// The reply to one use of a request.
fn reply(ops: &mut Control, cell: &Cell, number: usize) -> Value {
    match cell.fields["id"].as_str() {
        // A message id of its own for each.
        Some(_) => {
            let id = format!("00000000-0000-4000-8000-{number:012}");
            let mut fields = cell.fields.clone();
            fields["id"] = json!(id);
            ops.asks_as(&id, cell.request, fields)
        }
        None => ops.asks(cell.request, cell.fields.clone()),
    }
}

fn checks(role: Role, cell: &Cell, reply: &Value) {
    let forbidden = reply["error"] == "forbidden";
    assert_eq!(!forbidden, cell.is_for(role), "{role:?} {} {}: {reply}", cell.request, cell.fields);
}

#[test]
fn every_request_is_for_whom_the_document_says() {
    let Some(tools) = Tools::new() else { return };
    for role in Role::ALL {
        // As another user than root, or root would be its own user.
        let daemon = daemon(Some(OWN));
        let mut witness = V1Client::connect(daemon.address(), "Witness");
        assert_eq!(witness.asks("join", json!({"room": "ops"}))["ok"], true);
        // `stop` comes last, since for some it ends the daemon.
        let (stops, others): (Vec<Cell>, Vec<Cell>) =
            cells().into_iter().partition(|cell| cell.kind == RequestKind::Stop);
        if role == Role::Tcp {
            let mut client = V1Client::connect(daemon.address(), "Asker");
            for cell in others.iter().chain(&stops) {
                checks(role, cell, &client.asks(cell.request, cell.fields.clone()));
            }
            continue;
        }
        let mut ops = tools.connected(User::of(role), daemon.control_path());
        for (number, cell) in others.iter().chain(&stops).enumerate() {
            checks(role, cell, &reply(&mut ops, cell, number));
        }
        if role == Role::Nobody {
            daemon.logs(&["uid-64200 may not use post"]);
        }
    }
}

#[test]
fn the_tool_says_which_group_to_join() {
    let Some(tools) = Tools::new() else { return };
    let daemon = daemon(None);
    let nobody = User::of(Role::Nobody);
    assert_eq!(tools.ctl(nobody, &daemon, &["ping"]).0, Some(0), "anybody is answered");
    for (command, group) in [
        (&["send", "ops", "hi"][..], SEND),
        (&["history", "ops"], WATCH),
        (&["status"], WATCH),
        (&["clients"], ADMIN),
        (&["stop"], ADMIN),
    ] {
        let (status, said) = tools.ctl(nobody, &daemon, command);
        assert_eq!(status, Some(4), "{command:?}: {said}");
        assert!(said.contains(&format!("`{group}`")), "{command:?}: {said}");
        assert!(said.contains(&format!("usermod -aG {group}")), "{command:?}: {said}");
    }
    let sender = User::of(Role::SendAndWatch);
    assert_eq!(tools.ctl(sender, &daemon, &["send", "ops", "hi"]).0, Some(0));
    assert_eq!(tools.ctl(sender, &daemon, &["history", "ops"]).0, Some(0));
    assert_eq!(tools.ctl(sender, &daemon, &["kick", "eve"]).0, Some(4));
    assert_eq!(tools.ctl(User::of(Role::Admin), &daemon, &["stop"]).0, Some(0));
}

#[test]
fn one_user_has_sixteen_connections_and_root_always_gets_in() {
    let Some(tools) = Tools::new() else { return };
    let daemon = daemon(None);
    // An administrator by group is a user like others here.
    let admin = User::of(Role::Admin);
    let mut held: Vec<Control> =
        (0..16).map(|_| tools.connected(admin, daemon.control_path())).collect();
    for ops in &mut held {
        assert_eq!(ops.asks("ping", json!({}))["ok"], true);
    }
    let mut late = tools.connected(admin, daemon.control_path());
    let refused = late.line().expect("it is told why");
    assert_eq!(refused["error"], "limit_reached", "{refused}");
    assert_eq!(late.line(), None);
    let mut other = tools.connected(User(SOMEBODY + 1, SEND, &[]), daemon.control_path());
    assert_eq!(other.asks("ping", json!({}))["ok"], true);
    assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
}

#[test]
fn who_is_in_many_groups_is_known_by_each() {
    let Some(tools) = Tools::new() else { return };
    let daemon = daemon(None);
    let many: Vec<u32> = (10_000..10_200).chain([WATCH]).chain(20_000..20_200).collect();
    let user = User(SOMEBODY, PRIMARY, Vec::leak(many));
    let mut ops = tools.connected(user, daemon.control_path());
    assert_eq!(ops.asks("stats", json!({}))["ok"], true);
    assert_eq!(ops.asks("announce", json!({"text": "x"}))["error"], "forbidden");
}

#[test]
fn groups_count_as_they_were_when_somebody_connected() {
    let Some(tools) = Tools::new() else { return };
    let daemon = daemon(None);
    let mut before = tools.connected(User::of(Role::Nobody), daemon.control_path());
    let mut after = tools.connected(User::of(Role::SendAndWatch), daemon.control_path());
    assert_eq!(before.asks("stats", json!({}))["error"], "forbidden");
    assert_eq!(after.asks("stats", json!({}))["ok"], true);
    assert_eq!(before.asks("stats", json!({}))["error"], "forbidden", "each connection by itself");
}
