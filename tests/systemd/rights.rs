//! Who may do what on the control socket of the shipped units: real users, real groups, the daemon's user a dynamic one.

use crate::systemd_box::boxed;

#[test]
fn ordinary_users_talk_by_their_group_and_are_told_which_without_it() {
    let said = boxed(
        r#"install_chatd
        useradd --no-create-home --groups chat ada
        useradd --no-create-home eve
        systemctl start chatd-control.socket chatd.service
        as() { local user=$1; shift; setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"; }
        as ada chatctl send ops 'from a script'
        as ada chatctl history ops | cut -d' ' -f2-
        as ada chatctl stop 2>&1 || echo "ada: $?"
        as eve chatctl send ops hi 2>&1 || echo "eve: $?"
        as eve chatctl tail ops 2>&1 || echo "eve: $?"
        as eve chatctl ping >/dev/null && echo "eve: $?"
        has ActiveState active
        usermod -aG chatd-admin ada
        as ada chatctl stop
        logged 'ada asked the daemon to end'
        logged 'eve may not use post'"#,
    );
    let Some(said) = said else { return };
    let lines: Vec<&str> = said.lines().collect();
    let join = |group: &str| {
        format!(": join the group `{group}` (usermod -aG {group} USER), then log in anew.")
    };
    let told = |line: &str, words: &str| assert!(line.contains(words), "{line}\n{said}");
    assert_eq!(lines.len(), 8, "{said}");
    told(lines[0], "ada");
    told(lines[0], "from a script");
    told(lines[1], &join("chatd-admin"));
    assert_eq!(lines[2], "ada: 4");
    told(lines[3], &join("chat"));
    assert_eq!(lines[4], "eve: 4");
    told(lines[5], &join("chat"));
    assert_eq!((lines[6], lines[7]), ("eve: 4", "eve: 0"));
}
