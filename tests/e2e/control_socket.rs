//! The control socket: who may use it, and whose file it is.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;
use tests::{Control, Daemon, Folder, Setup, binaries, left_out, program};

#[test]
fn a_stale_file_is_replaced() {
    let folder = Folder::new();
    let path = folder.join("control");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "nobody serves it, and it is there");
    let daemon = Setup::new().control(&path).start();
    assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
}

#[test]
fn the_socket_of_a_killed_daemon_is_taken_over() {
    let folder = Folder::new();
    let path = folder.join("control");
    let mut first = Setup::new().control(&path).start();
    first.signal(Signal::SIGKILL);
    first.ends();
    assert!(path.exists(), "a killed daemon cleans nothing up");
    let second = Setup::new().control(&path).start();
    assert_eq!(second.control().asks("ping", json!({}))["ok"], true);
}

#[test]
fn a_live_daemons_socket_is_never_stolen() {
    let first = Daemon::start();
    let second = Setup::new().control(first.control_path()).run();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another chatd"), "{said}");
    assert_eq!(first.control().asks("ping", json!({}))["ok"], true);
}

#[test]
fn of_many_that_start_at_once_one_gets_it() {
    let folder = Folder::new();
    let path = folder.join("control");
    let start = || {
        let mut command = Command::new(binaries::chatd());
        tests::daemon::at_home(&mut command, &folder);
        command.args(["--listen", "127.0.0.1:0", "--control"]).arg(&path);
        tests::Program::start(&mut command)
    };
    let mut daemons: Vec<_> = (0..6).map(|_| start()).collect();
    tests::eventually("all but one give up", || {
        let running = daemons.iter_mut().filter_map(|daemon| daemon.runs().then_some(())).count();
        (running == 1).then_some(())
    });
    assert_eq!(Control::connect(&path).asks("ping", json!({}))["ok"], true);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = Folder::new();
    let path = folder.write("control", "precious");
    let refused = Setup::new().control(&path).run();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn its_mode_is_the_one_asked_for_and_it_goes_with_the_daemon() {
    for (config, mode) in [("", 0o666), ("[control]\nmode = \"0600\"\n", 0o600)] {
        let mut daemon = Setup::new().config(config).start();
        let path = daemon.control_path().to_owned();
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, mode);
        daemon.signal(Signal::SIGTERM);
        assert!(daemon.ends().success());
        assert!(!path.exists());
    }
}

#[test]
fn whom_the_mode_keeps_out_is_told_so() {
    if !nix::unistd::geteuid().is_root() {
        left_out("other users at the control socket: only root can become another user");
        return;
    }
    let daemon = Setup::new().config("[control]\nmode = \"0600\"\n").start();
    fs::set_permissions(daemon.folder().path(), fs::Permissions::from_mode(0o755)).unwrap();
    let tool = daemon.folder().give("chatctl", &binaries::chatctl());
    let mut command = Command::new(&tool);
    tests::daemon::at_home(&mut command, daemon.folder());
    command.arg("-s").arg(daemon.control_path()).arg("ping").uid(65_534).gid(65_534);
    let refused = program::run(&mut command, &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("may not open the control socket"), "{said}");
    assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
}

#[test]
fn a_group_that_is_not_there_is_a_warning_by_default_and_an_error_where_it_was_chosen() {
    let refused = Setup::new().config("[control]\nsend_groups = [\"no-such-group\"]\n").run();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("chatd.toml:2") && said.contains("'no-such-group'"), "{said}");
    if nix::unistd::Group::from_name("chatd-admin").unwrap().is_none() {
        Daemon::start().logs(&["no such group", "chatd-admin"]);
    }
}

#[test]
fn posts_are_from_the_users_login_name() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    daemon.control().posts("lobby", "who am I?");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap();
    let name = user.map_or_else(|| format!("uid-{}", nix::unistd::geteuid()), |user| user.name);
    ada.hears_that(&name, "who am I?");
}
