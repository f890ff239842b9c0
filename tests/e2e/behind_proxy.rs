//! chatd behind proxies: whose connection it is, as a PROXY header says, or a field of each request.

use serde_json::{Value, json};
use tests::{Daemon, Http, Native, Setup};

fn addresses(daemon: &Daemon, protocol: &str) -> Vec<String> {
    let listed = daemon.control().asks("connections", json!({}));
    let all = listed["connections"].as_array().unwrap().iter();
    let of = |one: &&Value| one["protocol"] == protocol;
    all.filter(of).map(|one| one["address"].as_str().unwrap().to_owned()).collect()
}

/// A daemon whose one listener is behind a proxy.
fn behind_proxy(config: &str) -> Daemon {
    let listener = "[[listen]]\naddr = \"127.0.0.1:0\"\nproxy_protocol = true\n";
    Setup::new().config(&format!("{config}\n{listener}")).listens_by_file().start()
}

#[test]
fn a_proxy_header_says_whose_connection_it_is_whatever_protocol_follows() {
    let daemon = behind_proxy("");
    let mut ada = Native::connect(daemon.address());
    ada.sends(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 33333\r\n");
    ada.takes_nick("Ada");
    assert_eq!(addresses(&daemon, "native"), ["203.0.113.9:4711"]);
    // Version 2, and a request in the same bytes.
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    v2.extend("2001:db8::9".parse::<std::net::Ipv6Addr>().unwrap().octets());
    v2.extend([0; 16]);
    v2.extend([0x12, 0x34, 0x82, 0x35]);
    let mut script = Http::connect(daemon.address());
    v2.extend(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    script.sends(v2);
    assert_eq!(script.hears(false).status, 200);
    assert_eq!(addresses(&daemon, "http"), ["[2001:db8::9]:4660"]);
    // The proxy's own connection, a check of its own.
    let mut own = Native::connect(daemon.address());
    own.sends(b"PROXY UNKNOWN\r\n");
    own.takes_nick("Own");
    assert!(addresses(&daemon, "native").iter().any(|address| address.starts_with("127.0.0.1:")));
}

#[test]
fn who_says_nothing_of_a_proxy_is_refused_there_and_who_does_elsewhere() {
    let daemon = behind_proxy("[limits]\ndetect = \"200ms\"");
    let mut ada = Native::connect(daemon.address());
    ada.sends(&tests::native::chat(b"hello"));
    assert_eq!(ada.until_closed(), []);
    daemon.logs(&["PROXY header"]);
    let mut silent = Native::connect(daemon.address());
    assert_eq!(silent.until_closed(), []);
    let plain = Daemon::start();
    let mut forger = Http::connect(plain.address());
    forger.sends("PROXY TCP4 203.0.113.9 192.0.2.1 4711 33333\r\n");
    let heard = String::from_utf8_lossy(&forger.until_closed()).into_owned();
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
}

#[test]
fn limits_and_bans_are_about_who_is_behind_the_proxy() {
    let listener = "[[listen]]\naddr = \"127.0.0.1:0\"\nproxy_protocol = true\n";
    let limits = "[limits]\nclients_per_ip = 2\naccept_rate = \"off\"\nexempt = []\n";
    let daemon = Setup::new()
        .config(&format!("{limits}{listener}"))
        .listens_by_file()
        .limits_addresses()
        .start();
    let from = |address: &str| {
        let mut native = Native::connect(daemon.address());
        native.sends(format!("PROXY TCP4 {address} 192.0.2.1 4711 33333\r\n").as_bytes());
        native
    };
    let (mut one, mut two) = (from("203.0.113.9"), from("203.0.113.9"));
    one.takes_nick("One");
    two.takes_nick("Two");
    assert_eq!(from("203.0.113.9").until_closed(), []);
    daemon.logs(&["203.0.113.9:4711", "clients_per_ip"]);
    let mut other = from("203.0.113.10");
    other.takes_nick("Other");
    let reply = daemon.control().asks("ban", json!({"network": "203.0.113.0/24"}));
    assert_eq!(reply["ok"], true, "{reply}");
    other.until_closed();
    assert_eq!(from("203.0.113.77").until_closed(), []);
    from("198.51.100.1").takes_nick("Elsewhere");
}

#[test]
fn a_trusted_proxy_says_of_each_request_whose_it_is_and_nobody_else_does() {
    let daemon = Setup::new().config("[http]\ntrusted_proxies = [\"127.0.0.0/8\"]").start();
    let mut proxy = Http::connect(daemon.address());
    for client in ["203.0.113.9", "2001:db8::9"] {
        assert_eq!(
            proxy.asks("GET /healthz", &format!("X-Forwarded-For: 10.1.1.1, {client}\r\n")).status,
            200
        );
        assert_eq!(addresses(&daemon, "http"), [client]);
    }
    let ban = daemon.control().asks("ban", json!({"network": "203.0.113.9/32"}));
    assert_eq!(ban["ok"], true, "{ban}");
    let banned = proxy.asks("GET /healthz", "X-Forwarded-For: 203.0.113.9\r\n");
    assert_eq!((banned.status, &banned.json()["error"]), (403, &json!("forbidden")));
    assert_eq!(proxy.asks("GET /healthz", "X-Forwarded-For: 203.0.113.10\r\n").status, 200);

    let daemon = Daemon::start();
    let mut stranger = Http::connect(daemon.address());
    stranger.asks("GET /healthz", "X-Forwarded-For: 203.0.113.9\r\n");
    assert!(addresses(&daemon, "http")[0].starts_with("127.0.0.1:"));
}
