//! Who opens the sockets: systemd, or with a drop-in chatd itself.

use crate::systemd_box::boxed;

#[test]
fn what_systemd_gives_comes_first_and_a_warning_says_so() {
    let said = boxed(
        "install_chatd
        printf '[[listen]]\\naddr = \"127.0.0.1:4444\"\\n[control]\\npath = \"/run/chatd/other\"\\n' >/etc/chatd/chatd.toml
        systemctl start chatd.service
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        chatctl -s /run/chatd/control ping >/dev/null
        logged '127.0.0.1:4444: not listened on'
        logged '/run/chatd/other: not made'
        ss -Htln | awk '{ print $4 }' | sort",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "127.0.0.1:33333\n[::1]:33333\n");
}

#[test]
fn with_the_drop_in_it_opens_the_network_itself() {
    let said = boxed(
        "install_chatd
        drop_in /src/systemd/listeners.conf
        systemctl mask --now chatd.socket 2>/dev/null
        printf '[[listen]]\\naddr = \"127.0.0.1:4444\"\\n' >/etc/chatd/chatd.toml
        systemctl start chatd.service
        chatctl -s tcp://127.0.0.1:4444 ping >/dev/null
        chatctl -s /run/chatd/control ping >/dev/null
        ss -Htln | awk '{ print $4 }'",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "127.0.0.1:4444\n");
}

#[test]
fn with_other_networks_allowed_they_come_in() {
    let said = boxed(
        "install_chatd
        ip netns add far
        ip link add here type veth peer name there netns far
        ip addr add 10.9.0.1/24 dev here && ip link set here up
        ip -n far addr add 10.9.0.2/24 dev there && ip -n far link set there up
        drop_in /src/systemd/listeners.conf
        systemctl mask --now chatd.socket 2>/dev/null
        printf '[[listen]]\\naddr = \"0.0.0.0:33333\"\\n' >/etc/chatd/chatd.toml
        far() { ip netns exec far chatctl -s tcp://10.9.0.1:33333 --timeout 1s ping >/dev/null 2>&1; }
        systemctl start chatd.service
        far && exit 1
        sed -i 's/^#\\(IPAddressAllow=any\\)/\\1/' /etc/systemd/system/chatd.service.d/listeners.conf
        systemctl daemon-reload
        systemctl restart chatd.service
        far",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "");
}

/// In its sandbox it has no network: nothing would come of trying again.
#[test]
fn without_its_socket_it_says_what_to_do_and_is_not_tried_again() {
    let said = boxed(
        "install_chatd
        systemctl mask --now chatd.socket 2>/dev/null
        systemctl start chatd.service && exit 1
        is ExecMainStatus; is NRestarts
        logged 'let chatd.socket give them'",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "78\n0\n");
}

#[test]
fn a_socket_of_another_kind_is_refused_by_name() {
    let said = boxed(
        "install_chatd
        sed -i 's/^ListenStream=127.*/ListenDatagram=127.0.0.1:33333/' /usr/lib/systemd/system/chatd.socket
        systemctl daemon-reload
        systemctl start chatd.service && exit 1
        is ExecMainStatus; is NRestarts
        logged \"'chat', is no stream socket\"",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "78\n0\n");
}

/// Whoever asked over the control socket meanwhile had the service started until its sockets were closed.
///
/// What systemd itself says of the port may be missing from the journal: it comes from a child of PID 1 that is gone by then.
#[test]
fn a_port_that_another_has_is_named_and_a_start_mends_it_when_it_is_free() {
    let said = boxed(
        "install_chatd
        systemd-run --quiet --unit holder --property RuntimeDirectory=holder \\
            /usr/bin/chatd --config /dev/null --control /run/holder/control
        await 'the port is held' chatctl -s /run/holder/control --quiet ping >/dev/null 2>&1
        systemctl start chatd.service && exit 1
        logged 'cannot listen on 127.0.0.1:33333'
        logged 'let chatd.socket give them'
        systemctl show --property Result --value chatd.socket
        ss -Hltnp 'sport = :33333' | grep -oF 'users:((\"chatd\",' | sort -u
        chatctl ping 2>/dev/null && exit 1
        await 'it has failed' has ActiveState failed
        systemctl is-active chatd-control.socket
        systemctl stop holder.service
        systemctl start chatd.service
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        is ActiveState",
    );
    let Some(said) = said else { return };
    assert_eq!(said, "resources\nusers:((\"chatd\",\nactive\nactive\n");
}
