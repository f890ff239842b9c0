//! The service's life: started when it serves, kept, ended with a `bye`, and not started again for nothing.

use crate::systemd_box::boxed;

#[test]
fn started_means_that_it_listens_and_its_state_is_shown() {
    let said = boxed(
        "install_chatd
        systemctl start chatd.service
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        chatctl -s tcp://[::1]:33333 ping >/dev/null
        chatctl send lobby hello
        await 'the counts are shown' has StatusText 'Serving; connections: 0, rooms: 1, messages: 1'
        is ActiveState; is SubState; is Result; is NRestarts
        pid=$(is MainPID)
        ps -o user= -p $pid
        ls -ld /var/lib/private/chatd | cut -c1-10
        logged 'chatd: control socket'
        journalctl --quiet --output cat --unit chatd.service | grep 'chatd: '",
    );
    let Some(said) = said else { return };
    let expected = "active\nrunning\nsuccess\n0\nchatd\ndrwx------\n\
                    chatd: listening on 127.0.0.1:33333\nchatd: listening on [::1]:33333\n\
                    chatd: web client at http://127.0.0.1:33333/\nchatd: control socket /run/chatd/control\n";
    assert_eq!(said, expected);
}

#[test]
fn connections_made_before_the_start_are_served() {
    let said = boxed(
        "install_chatd
        # The service waits to be allowed to start, so that whoever connects is there long before it.
        mkdir -p /etc/systemd/system/chatd.service.d
        printf '[Service]\\nExecStartPre=+/bin/sh -c \"until [ -e /run/go ]; do sleep 0.02; done\"\\n' \\
            >/etc/systemd/system/chatd.service.d/wait.conf
        systemctl daemon-reload
        systemctl start chatd.socket chatd-control.socket
        has ActiveState inactive
        for number in 1 2 3 4 5 6 7 8; do
            chatctl -s tcp://127.0.0.1:33333 send lobby early-$number &
        done
        chatctl stats >/dev/null 2>&1 || chatctl status >/dev/null &
        await 'the connections bring the service' has ActiveState activating
        connected() { [ \"$(ss -Htn state established '( dport = :33333 )' | wc -l)\" -eq 8 ]; }
        await 'all are there' connected
        touch /run/go
        for job in $(jobs -p); do wait $job; done
        chatctl history lobby | wc -l
        is ActiveState",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "8\nactive\n");
}

#[test]
fn a_stop_says_bye_and_leaves_nothing_behind() {
    let said = boxed(
        "install_chatd
        systemctl start chatd.service
        chatctl tail -v --reconnect never lobby >/tmp/tail 2>/tmp/tail.err &
        tail=$!
        await 'it follows' grep -q following /tmp/tail.err
        chatctl send lobby last words
        systemctl stop chatd.service chatd.socket chatd-control.socket
        wait $tail || true
        sed 's/.*root: //' /tmp/tail; tail -n 1 /tmp/tail.err
        is Result; is ExecMainStatus
        [ ! -e /run/chatd/control ]",
    );
    let Some(said) = said else { return };
    let bye = "chatctl: lost the daemon at /run/chatd/control: The daemon is ending.";
    assert_eq!(said, format!("last words\n{bye}\nsuccess\n0\n"));
}

#[test]
fn a_stop_by_chatctl_is_not_undone_by_its_own_look() {
    let said = boxed(
        "install_chatd
        systemctl start chatd.service
        before=$(is MainPID)
        chatctl stop 2>&1
        await 'it has ended' has ActiveState inactive
        is Result
        chatctl send lobby and it is back
        [ \"$(is MainPID)\" != $before ]
        is ActiveState; is NRestarts",
    );
    let Some(said) = said else { return };
    let (stopped, after) = said.split_once('\n').unwrap();
    assert!(stopped.contains("the daemon has ended; systemd starts it again"), "{stopped}");
    assert_eq!(after, "success\nactive\n0\n");
}

#[test]
fn a_bad_configuration_is_not_tried_again() {
    let said = boxed(
        "install_chatd
        printf '[limits]\\noutbix = \"1MiB\"\\n' >/etc/chatd/chatd.toml
        systemctl start chatd.service && exit 1
        is Result; is ExecMainStatus; is NRestarts
        systemctl is-active chatd.socket chatd-control.socket
        logged '/etc/chatd/chatd.toml:2'
        echo >/etc/chatd/chatd.toml
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        is ActiveState",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "exit-code\n78\n0\nactive\nactive\nactive\n");
}

/// Whoever waits had it started until its sockets were closed, and then nothing but `systemctl reset-failed` started it.
#[test]
fn who_connects_to_a_bad_configuration_does_not_close_the_ports() {
    let said = boxed(
        "install_chatd
        printf '[limits]\\noutbix = \"1MiB\"\\n' >/etc/chatd/chatd.toml
        systemctl start chatd.service && exit 1
        chatctl ping 2>&1 && exit 1
        chatctl -s tcp://127.0.0.1:33333 ping 2>/dev/null && exit 1
        settled() { has ActiveState failed && has NRestarts 0; }
        await 'it has failed' settled
        systemctl is-active chatd.socket chatd-control.socket
        echo >/etc/chatd/chatd.toml
        systemctl start chatd.service
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        is ActiveState",
    );
    let Some(said) = said else { return };
    let (told, rest) = said.split_once('\n').unwrap();
    assert!(told.contains("see the daemon's log"), "{said}");
    assert_eq!(rest, "active\nactive\nactive\n");
}

#[test]
fn whatever_else_ends_it_it_is_back() {
    let said = boxed(
        "install_chatd
        systemctl start chatd.service
        before=$(is MainPID)
        kill -KILL $before
        # Who connects meanwhile waits.
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        [ $(is MainPID) != $before ]
        is NRestarts; is ActiveState",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "1\nactive\n");
}

/// The loop feeds the watchdog: one that is stuck is ended, and started again for those who wait.
#[test]
fn a_stuck_loop_is_ended_by_the_watchdog_and_is_back() {
    let said = boxed(
        "install_chatd
        sed -i 's/^WatchdogSec=.*/WatchdogSec=1/' /usr/lib/systemd/system/chatd.service
        mkdir -p /etc/systemd/system/chatd.service.d
        printf '[Service]\\nExecStopPost=+/bin/sh -c \"echo $$SERVICE_RESULT $$EXIT_STATUS >/run/ended\"\\n' \\
            >/etc/systemd/system/chatd.service.d/ended.conf
        systemctl daemon-reload
        systemctl start chatd.service
        before=$(is MainPID)
        chatctl debug-stall 30s >/dev/null 2>&1 && exit 1
        await 'it is back' has NRestarts 1
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        [ $(is MainPID) != $before ]
        is ActiveState
        cat /run/ended
        logged 'lets the daemon do nothing for'",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "active\nwatchdog ABRT\n");
}
