//! `systemctl reload`: it ends as the daemon answered, and a configuration that does not hold changes nothing.

use crate::systemd_box::boxed;

/// The service, somebody who follows a room, and `reload`: what became of one, as the same process.
const RELOAD: &str = r#"
install_chatd
systemctl start chatd.service
pid=$(is MainPID)
chatctl tail -v --reconnect never lobby >/tmp/tail 2>/tmp/tail.err &
await 'it follows' grep -q following /tmp/tail.err
reload() {
    local status=0
    systemctl reload chatd.service 2>/dev/null || status=$?
    echo "$status $(is ActiveState) $(is SubState) $(is Result)"
    [ "$(is MainPID)" = "$pid" ]
}
# Whether a message of so many bytes is taken.
fits() { head -c "$1" /dev/zero | chatctl send big >/dev/null 2>&1; }
"#;

#[test]
fn a_reload_ends_as_the_daemon_answered_and_a_bad_configuration_changes_nothing() {
    let said = boxed(&format!(
        r#"{RELOAD}
        fits 200
        printf '[limits]\nmessage = 100\n' >/etc/chatd/chatd.toml
        reload
        fits 101 && exit 1
        fits 100
        logged 'the configuration was read anew and holds'
        entered CHATD_KIND=administered CHATD_NICK=root --grep 'read anew'
        printf '[limits]\nmessage = 50\noutbix = "1MiB"\n' >/etc/chatd/chatd.toml
        reload
        fits 100
        # Said twice: by the daemon with its kind, and by the command that asked for it.
        entered --unit chatd.service CHATD_KIND=reload_failed
        journalctl --quiet --output cat --unit chatd.service CHATD_KIND=reload_failed | grep -c chatd.toml:3
        logged 'chatctl: '
        logged "did you mean 'limits.outbox'?"
        await 'the counts are shown' has StatusText 'Serving; connections: 1, rooms: 2, messages: 3'
        printf '[limits]\nmessage = 50\n' >/etc/chatd/chatd.toml
        reload
        fits 51 && exit 1
        # Who was connected is.
        kill %1"#
    ));
    let Some(said) = said else { return };
    let held = "0 active running success\n";
    assert_eq!(said, format!("{held}1 active running success\n1\n{held}"));
}

#[test]
fn where_systemd_gave_the_sockets_a_reload_with_other_listeners_names_the_unit_to_edit() {
    let said = boxed(&format!(
        r#"{RELOAD}
        printf '[[listen]]\naddr = "127.0.0.1:4444"\n' >/etc/chatd/chatd.toml
        reload
        logged "systemctl edit chatd.socket"
        chatctl -s tcp://127.0.0.1:33333 ping >/dev/null
        ss -Htln | awk '{{ print $4 }}' | sort"#
    ));
    let Some(said) = said else { return };
    assert_eq!(said, "1 active running success\n127.0.0.1:33333\n[::1]:33333\n");
}

#[test]
fn a_reload_under_the_drop_in_opens_and_closes_ports() {
    let said = boxed(
        r#"install_chatd
        drop_in /src/systemd/listeners.conf
        systemctl mask --now chatd.socket 2>/dev/null
        systemctl start chatd.service
        printf '[[listen]]\naddr = "127.0.0.1:4444"\n' >/etc/chatd/chatd.toml
        systemctl reload chatd.service
        chatctl -s tcp://127.0.0.1:4444 ping >/dev/null
        ss -Htln | awk '{ print $4 }'"#,
    );
    let Some(said) = said else { return };
    assert_eq!(said, "127.0.0.1:4444\n");
}

/// Here nobody is root: the daemon's own user asks.
#[test]
fn a_users_own_daemon_is_reloaded_by_its_unit() {
    let said = boxed(
        r#"install_chatd
        install -D -m 644 /src/systemd/user/chatd.service /usr/lib/systemd/user/chatd.service
        useradd --create-home eve
        folder=/run/user/$(id -u eve)
        systemctl start "user@$(id -u eve).service"
        as_eve() { runuser -u eve -- env HOME=/home/eve XDG_RUNTIME_DIR="$folder" "$@"; }
        as_eve systemctl --user enable --now chatd.service 2>/dev/null
        as_eve mkdir -p /home/eve/.config/chatd
        configure() { printf '[limits]\n%s\n' "$1" >/home/eve/.config/chatd/chatd.toml; }
        configure 'message = 2'
        as_eve systemctl --user reload chatd.service
        as_eve chatctl send lobby hey 2>/dev/null && exit 1
        configure 'mesage = 3'
        as_eve systemctl --user reload chatd.service 2>/dev/null && exit 1
        as_eve systemctl --user is-active chatd.service
        as_eve chatctl send lobby hi"#,
    );
    let Some(said) = said else { return };
    assert_eq!(said, "active\n");
}
