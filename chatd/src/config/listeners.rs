//! Where clients connect, how they come there, and what they may speak, as the sections `[[listen]]` say.

use std::net::SocketAddr;

use proto::Protocols;

use super::load::Listening;
use super::table::Value;

/// Where clients connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address and port.
    pub address: SocketAddr,
    /// How they come there, and what they may speak.
    pub clients: Clients,
}

/// How clients come to a listener, and what they may speak there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Whether a proxy says first whose connection it is.
    pub proxy: bool,
    /// What is served.
    pub protocols: Protocols,
}

impl Default for Clients {
    fn default() -> Self {
        Self { proxy: false, protocols: Protocols::ALL }
    }
}

/// A listener as a file has it; nothing where it has no address.
pub(super) fn listener(listener: &Listening) -> Option<Listen> {
    let proxy = listener.proxy.as_ref().is_some_and(|proxy| proxy.value == Value::Switch(true));
    let protocols = match listener.protocols.as_ref().map(|protocols| &protocols.value) {
        Some(Value::Protocols(protocols)) => *protocols,
        _ => Protocols::ALL,
    };
    match listener.address.value {
        Value::Address(address) => Some(Listen { address, clients: Clients { proxy, protocols } }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load::Settings;
    use super::*;

    fn read(lines: &str) -> Result<Listen, String> {
        let mut settings = Settings::new();
        let text = format!("[[listen]]\naddr = \"[::1]:2\"\n{lines}");
        settings.read(Path::new("c"), &text).map_err(|error| error.to_string())?;
        Ok(listener(&settings.listen[0]).expect("it has an address"))
    }

    #[test]
    fn a_listener_is_for_everything_that_nobody_leaves_out() {
        assert_eq!(read("").unwrap().clients, Clients::default());
        let some = read("protocols = [\"websocket\", \"http\"]\n").unwrap();
        assert_eq!(some.clients.protocols.to_string(), "http, websocket");
        assert!(!some.clients.proxy);
    }

    #[test]
    fn what_is_no_list_of_protocols_says_what_to_write() {
        for (list, why) in [
            ("[]", "it is empty; name some of native, v1, http, websocket"),
            ("[\"http\", \"irc\"]", "'irc' is none of native, v1, http, websocket"),
            ("\"all\"", "'all' is none of native, v1, http, websocket"),
        ] {
            let said = read(&format!("protocols = {list}\n")).unwrap_err();
            assert_eq!(said, format!("c:3: listen.protocols: {why}"));
        }
    }
}
