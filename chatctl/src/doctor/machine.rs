//! What of a machine matters to a daemon on it: the kernel's settings, the clock, the disk, the service manager.
//!
//! All of it is read from files below a root, which tests make themselves. What a machine does not tell is left out.

use super::Finding;
use crate::look::bytes_shown;
use jiff::Zoned;
use nix::sys::statvfs::statvfs;
use std::fs;
use std::path::{Path, PathBuf};

/// Connections that chatd lets wait to be accepted: what the kernel is to allow.
const BACKLOG: u64 = 4096;
/// What chatd asks the kernel to buffer for each connection and direction.
const BUFFER_BYTES: u64 = 64 * 1024;
/// Half-open connections that the kernel should bear where it has no cookies for more.
const HALF_OPEN: u64 = 1024;
/// A disk with less than this is full soon.
const FREE_BYTES: u64 = 64 * 1024 * 1024;
/// A folder of the running system (a socket, a lock) needs no more than this.
const FREE_RUNTIME_BYTES: u64 = 64 * 1024;
/// No clock that is right shows an earlier year: this version is of it. Nor one that is so late.
const YEARS: std::ops::Range<i16> = 2026..2100;

/// Who keeps a clock right, and the file that shows that it runs.
const TIME_KEEPERS: [(&str, &str); 5] = [
    ("systemd-timesyncd", "run/systemd/timesync/synchronized"),
    ("chronyd", "run/chrony/chronyd.pid"),
    ("chronyd", "run/chronyd.pid"),
    ("ntpd", "run/ntpd.pid"),
    ("openntpd", "run/ntpd.sock"),
];

/// Where units are, the operator's own first.
const UNIT_FOLDERS: [&str; 4] =
    ["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// See the module.
pub(super) struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The one that this program runs on.
    pub(super) fn this() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// All that is to be said of it. `runtime` is the folder of the control socket.
    pub(super) fn findings(
        &self,
        now: &Zoned,
        runtime: Option<&Path>,
        is_running: bool,
    ) -> Vec<Finding> {
        let mut findings = self.kernel();
        findings.extend([self.clock(now)]);
        findings.extend(runtime.and_then(|folder| disk(folder, FREE_RUNTIME_BYTES)));
        findings.extend(disk(&self.root.join("var/lib/chatd"), FREE_BYTES));
        findings.push(self.systemd(is_running));
        findings
    }

    fn number(&self, path: &str) -> Option<u64> {
        fs::read_to_string(self.root.join(path)).ok()?.trim().parse().ok()
    }

    fn kernel(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(found) = self.number("proc/sys/net/core/somaxconn") {
            findings.push(at_least(
                "net.core.somaxconn",
                found,
                BACKLOG,
                "callers that may wait to be accepted are turned away sooner",
            ));
        }
        let cookies = self.number("proc/sys/net/ipv4/tcp_syncookies");
        match self.number("proc/sys/net/ipv4/tcp_max_syn_backlog") {
            Some(found) if cookies.is_none_or(|cookies| cookies == 0) => {
                findings.push(at_least("net.ipv4.tcp_max_syn_backlog", found, HALF_OPEN, "without net.ipv4.tcp_syncookies a crowd that connects at once waits for seconds"));
            }
            Some(found) => findings.push(Finding::ok(
                "kernel",
                format!("net.ipv4.tcp_max_syn_backlog is {found}, with cookies for more"),
            )),
            None => {}
        }
        for name in ["rmem_max", "wmem_max"] {
            if let Some(found) = self.number(&format!("proc/sys/net/core/{name}")) {
                findings.push(at_least(
                    &format!("net.core.{name}"),
                    found,
                    BUFFER_BYTES,
                    "connections get smaller buffers than chatd asks for",
                ));
            }
        }
        findings
    }

    fn clock(&self, now: &Zoned) -> Finding {
        let shown = now.strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
        if !YEARS.contains(&now.year()) {
            return Finding::bad(
                "clock",
                format!("it shows {shown}"),
                "set it: messages bear its time",
            );
        }
        let keeper = TIME_KEEPERS.iter().find(|(_, file)| self.root.join(file).exists());
        match keeper {
            Some((name, _)) => Finding::ok("clock", format!("{shown}, kept right by {name}")),
            None => Finding::warn(
                "clock",
                format!("{shown}, and nothing is seen to keep it right"),
                "run systemd-timesyncd or chronyd, unless this is a container, whose host does",
            ),
        }
    }

    fn systemd(&self, is_running: bool) -> Finding {
        const WHAT: &str = "systemd";
        if !self.root.join("run/systemd/system").is_dir() {
            return Finding::ok(WHAT, "does not run here");
        }
        let unit = UNIT_FOLDERS.iter().map(|folder| self.root.join(folder).join("chatd.service"));
        let Some(unit) = unit.into_iter().find(|unit| unit.is_file()) else {
            let advice = "install the files of the folder systemd/, so that it starts with the machine and again after a fault";
            return Finding::warn(WHAT, "there is no chatd.service", advice);
        };
        // The link leads nowhere: what it says is in its name and its target.
        let invocation = self.root.join("run/systemd/units/invocation:chatd.service");
        let unit = unit.display();
        match (fs::symlink_metadata(invocation).is_ok(), is_running) {
            (true, _) => Finding::ok(WHAT, format!("{unit} is started")),
            (false, true) => Finding::warn(
                WHAT,
                format!("{unit} is not started; the daemon that answers is another"),
                "stop that one, then `systemctl start chatd.socket chatd`",
            ),
            (false, false) => Finding::bad(
                WHAT,
                format!("{unit} is not started"),
                "`systemctl start chatd.socket chatd`; if that fails, `journalctl -u chatd` says why",
            ),
        }
    }
}

/// A setting of the kernel that should be no less.
fn at_least(name: &str, found: u64, wanted: u64, why: &str) -> Finding {
    if found >= wanted {
        return Finding::ok("kernel", format!("{name} is {found}"));
    }
    let advice =
        format!("`sysctl -w {name}={wanted}`, and a file in /etc/sysctl.d for the next start");
    Finding::warn("kernel", format!("{name} is {found}, and {why}"), advice)
}

/// Whether there is space left where a folder is; nothing where there is no such folder.
fn disk(folder: &Path, wanted: u64) -> Option<Finding> {
    let found = statvfs(folder).ok()?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let shown = format!("{} has {} free", folder.display(), bytes_shown(free));
    let advice = "make room: chatd cannot write there";
    // Some file systems do not count files, and say 0 of 0.
    let is_out_of_files = found.files() > 0 && found.files_available() == 0;
    Some(if free < wanted || is_out_of_files {
        let shown =
            if is_out_of_files { format!("{shown}, but no file can be made") } else { shown };
        Finding::bad("disk", shown, advice)
    } else {
        Finding::ok("disk", shown)
    })
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::{Machine, disk};
    use std::fs;
    use std::path::Path;

    /// A machine made of files, removed at the end.
    struct Made(Machine);

    impl Made {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let folder = format!("chatctl-doctor-{}-{name}", std::process::id());
            let root = std::env::temp_dir().join(folder);
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                fs::write(path, text).expect("written");
            }
            Self(Machine { root })
        }
    }

    impl Drop for Made {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.root);
        }
    }

    fn at(time: &str) -> jiff::Zoned {
        time.parse().expect("a moment")
    }

    #[test]
    fn the_kernels_settings_are_held_against_what_chatd_asks_for() {
        let made = Made::new(
            "kernel",
            &[
                ("proc/sys/net/core/somaxconn", "128\n"),
                ("proc/sys/net/core/wmem_max", "212992\n"),
                ("proc/sys/net/ipv4/tcp_max_syn_backlog", "512\n"),
                ("proc/sys/net/ipv4/tcp_syncookies", "1\n"),
            ],
        );
        let said = made.0.kernel();
        let states: Vec<_> = said.iter().map(|finding| finding.state).collect();
        assert_eq!(states, [State::Warn, State::Ok, State::Ok], "{said:?}");
        let advice = said[0].advice.as_deref().expect("what to do");
        assert!(advice.contains("sysctl -w net.core.somaxconn=4096"), "{advice}");
        fs::write(made.0.root.join("proc/sys/net/ipv4/tcp_syncookies"), "0").expect("written");
        assert_eq!(made.0.kernel()[1].state, State::Warn);
        assert!(Made::new("untold", &[]).0.kernel().is_empty());
    }

    #[test]
    fn a_clock_is_right_when_somebody_keeps_it_so() {
        let made = Made::new("clock", &[("run/chrony/chronyd.pid", "1")]);
        assert_eq!(made.0.clock(&at("2026-03-01T12:00:00+00:00[UTC]")).state, State::Ok);
        assert_eq!(made.0.clock(&at("1970-01-01T00:00:07+00:00[UTC]")).state, State::Bad);
        let alone = Made::new("alone", &[]);
        assert_eq!(alone.0.clock(&at("2026-03-01T12:00:00+00:00[UTC]")).state, State::Warn);
    }

    #[test]
    fn a_unit_that_is_not_started_is_said() {
        let made = Made::new("systemd", &[("run/systemd/system/x", "")]);
        assert!(made.0.systemd(true).found.contains("no chatd.service"));
        let unit = made.0.root.join("usr/lib/systemd/system/chatd.service");
        fs::create_dir_all(unit.parent().expect("a folder")).expect("made");
        fs::write(unit, "").expect("written");
        assert_eq!(made.0.systemd(false).state, State::Bad);
        assert_eq!(made.0.systemd(true).state, State::Warn);
        let units = made.0.root.join("run/systemd/units");
        fs::create_dir_all(&units).expect("made");
        std::os::unix::fs::symlink("0123", units.join("invocation:chatd.service")).expect("a link");
        assert_eq!(made.0.systemd(true).state, State::Ok);
        assert_eq!(Made::new("without", &[]).0.systemd(false).state, State::Ok);
    }

    #[test]
    fn a_full_disk_is_bad_and_no_folder_is_nothing() {
        let folder = std::env::temp_dir();
        assert_eq!(disk(&folder, 1).expect("it is there").state, State::Ok);
        assert_eq!(disk(&folder, u64::MAX).expect("it is there").state, State::Bad);
        assert_eq!(disk(Path::new("/no such folder"), 1), None);
    }
}
