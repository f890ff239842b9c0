//! A machine of a test's own with a real systemd on it, as shell steps see it.
//!
//! The variable `SYSTEMD_BOX` names the program that boots it: `$SYSTEMD_BOX run [OPTIONS] -- COMMAND` runs COMMAND as root on a fresh
//! machine with the checkout at /src, and gives its output and exit status; 77 says that this machine cannot do that. Without the
//! variable the tests are left out, loudly. A boot takes half a second, so that each test has its own.

use std::env;
use std::process::{Command, Output};
use std::time::Duration;

use tests::{binaries, left_out, program};

/// What is left out, in the words that `tests/run` knows.
const LEFT_OUT: &str = "the units under systemd: SYSTEMD_BOX names no program that boots one";
/// What the box says where the machine cannot boot one.
const CANNOT: i32 = 77;

/// How long a script may take, its machine's boot included; the box itself ends it sooner.
const DEADLINE: Duration = Duration::from_mins(2);

/// What every script may use.
const PRELUDE: &str = r#"
set -eu
# The box shows the files of the machine it is on: the state of a chatd that root ran there is none of a test's, and stays there.
rm -rf /var/lib/chatd
# Waits until a command succeeds: await WHAT COMMAND...
await() {
    local what=$1 end=$((SECONDS + 20))
    shift
    until "$@"; do
        if [ $SECONDS -ge $end ]; then
            echo "waited in vain: $what" >&2
            return 1
        fi
        sleep 0.02
    done
}
# The programs and the units, as a package puts them in place. Nothing is started.
install_chatd() {
    install -m 755 /shipped/chatd /shipped/chatctl /usr/bin/
    install -m 644 /src/systemd/chatd.service /src/systemd/*.socket /usr/lib/systemd/system/
    install -D -m 644 /src/systemd/sysusers.conf /usr/lib/sysusers.d/chatd.conf
    install -D -m 644 /src/systemd/tmpfiles.conf /usr/lib/tmpfiles.d/chatd.conf
    install -D -m 644 /src/systemd/chatd.toml /etc/chatd/chatd.toml
    systemd-sysusers chatd.conf
    systemd-tmpfiles --create chatd.conf
    systemctl daemon-reload
}
# A drop-in of chatd.service: drop_in FILE
drop_in() {
    install -D -m 644 "$1" "/etc/systemd/system/chatd.service.d/${1##*/}"
    systemctl daemon-reload
}
# One property of chatd.service: is PROPERTY
is() {
    systemctl show --property "$1" --value chatd.service
}
# Whether a property of chatd.service has this value: has PROPERTY VALUE
has() {
    [ "$(is "$1")" = "$2" ]
}
# Waits for an entry, since neither the daemon's log nor the journal holds anybody up: entered MATCH...
entered() {
    await "the entry $*" found "$@"
}
# Whether the journal has an entry: found MATCH...
found() {
    journalctl --sync >/dev/null 2>&1 || true
    [ -n "$(journalctl --quiet --lines 1 "$@")" ]
}
# Waits until chatd.service has logged this: logged WORDS
logged() {
    await "the words '$1'" said "$1"
}
# Whether chatd.service has logged this: said WORDS
said() {
    journalctl --sync >/dev/null 2>&1 || true
    command journalctl --quiet --output cat --unit chatd.service | grep -F -- "$1" >/dev/null
}
"#;

/// Runs a script on a fresh machine, the programs that ship at /shipped; what it printed. None where there is no box.
///
/// # Panics
/// Where the script fails; its errors and the end of the machine's journal are shown.
pub(crate) fn boxed(script: &str) -> Option<String> {
    let output = run(script)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}:\n{stdout}\n{stderr}", output.status);
    Some(stdout)
}

fn run(script: &str) -> Option<Output> {
    let Some(program) = env::var_os("SYSTEMD_BOX").filter(|program| !program.is_empty()) else {
        left_out(LEFT_OUT);
        return None;
    };
    let shipped = binaries::chatd().parent().unwrap().canonicalize().unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--journal-on-fail", "--timeout", "60", "--src"]);
    command.arg(binaries::checkout());
    command.arg("--bind-ro").arg(format!("{}:/shipped", shipped.display()));
    command.args(["--", "bash", "-c"]).arg(format!("{PRELUDE}{script}"));
    let output = program::run_within(&mut command, &[], DEADLINE);
    if output.status.code() == Some(CANNOT) {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        left_out(&format!("the units under systemd: {}", why.trim()));
        return None;
    }
    Some(output)
}
