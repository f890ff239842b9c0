//! The units themselves: systemd reads them without a complaint, and what they leave open is counted.

use crate::systemd_box::boxed;

/// The exposure that `systemd-analyze security` finds.
fn exposure(analysis: &str) -> f32 {
    let line = analysis.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
}

#[test]
fn systemd_takes_every_unit_without_a_complaint() {
    let said = boxed(
        "install_chatd
        for unit in chatd.service chatd.socket chatd-control.socket; do
            systemd-analyze verify /usr/lib/systemd/system/$unit 2>&1
        done
        drop_in /src/systemd/listeners.conf
        drop_in /src/systemd/io_uring.conf
        systemd-analyze verify /usr/lib/systemd/system/chatd.service 2>&1
        install -D -m 644 /src/systemd/user/chatd.service /usr/lib/systemd/user/chatd.service
        XDG_RUNTIME_DIR=/run systemd-analyze --user verify /usr/lib/systemd/user/chatd.service 2>&1",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "");
}

#[test]
fn the_shipped_service_is_exposed_by_at_most_0_5() {
    let said = boxed("install_chatd; systemd-analyze security --no-pager chatd.service");
    let Some(said) = said else { return };
    assert!(exposure(&said) <= 0.5, "{said}");
}

#[test]
fn a_service_that_binds_by_itself_is_exposed_by_at_most_1_1() {
    let said = boxed(
        "install_chatd
        drop_in /src/systemd/listeners.conf
        systemd-analyze security --no-pager chatd.service",
    );
    let Some(said) = said else { return };
    assert!(exposure(&said) <= 1.1, "{said}");
}

#[test]
fn the_groups_and_folders_are_made() {
    let said = boxed(
        "install_chatd
        getent group chatd-admin chat | cut -d: -f1
        if getent group chatd; then exit 1; fi
        stat -c '%a %U %n' /run/chatd /etc/chatd /etc/chatd/conf.d",
    );
    let Some(said) = said else { return };
    assert_eq!(
        said,
        "chatd-admin\nchat\n755 root /run/chatd\n755 root /etc/chatd\n755 root /etc/chatd/conf.d\n"
    );
}
