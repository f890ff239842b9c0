//! Which protocols a listener serves: a set of those that a client of the network may speak, by the names that figures and the list of
//! connections have for them.
//!
//! Which bytes are which protocol is not its business: see `detect`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::session::Protocol;

/// A set of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols(u8);

impl Protocols {
    /// Each that a listener can serve, and its name.
    pub const NAMES: [(Protocol, &str); 4] = [
        (Protocol::Native, "native"),
        (Protocol::V1, "v1"),
        (Protocol::Http, "http"),
        (Protocol::WebSocket, "websocket"),
    ];
    /// None.
    const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self::NONE
        .and(Protocol::Native)
        .and(Protocol::V1)
        .and(Protocol::Http)
        .and(Protocol::WebSocket);

    /// Those with these names.
    ///
    /// # Errors
    /// There is none, or one is no protocol's; what to write instead.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut these = Self::NONE;
        for name in names {
            let known = Self::NAMES.iter().find(|(_, known)| *known == name);
            let Some((protocol, _)) = known else {
                return Err(format!("'{name}' is none of {}", Self::ALL));
            };
            these = these.and(*protocol);
        }
        if these == Self::NONE {
            return Err(format!("it is empty; name some of {}", Self::ALL));
        }
        Ok(these)
    }

    /// Whether this is one of them.
    pub const fn has(self, protocol: Protocol) -> bool {
        self.0 & Self::bit(protocol) != 0
    }

    const fn and(self, protocol: Protocol) -> Self {
        Self(self.0 | Self::bit(protocol))
    }

    /// The echo is a WebSocket. The control socket is no listener of the network, and serves what it serves.
    const fn bit(protocol: Protocol) -> u8 {
        match protocol {
            Protocol::Native => 1,
            Protocol::V1 => 2,
            Protocol::Http => 4,
            Protocol::WebSocket | Protocol::Echo => 8,
            Protocol::Control => 0,
        }
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mine = Self::NAMES.iter().filter(|(protocol, _)| self.has(*protocol));
        let names: Vec<&str> = mine.map(|(_, name)| *name).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_set_has_what_it_names() {
        let some = Protocols::named(["websocket", "v1", "v1"]).unwrap();
        assert!(some.has(Protocol::V1) && some.has(Protocol::WebSocket));
        assert!(some.has(Protocol::Echo), "the echo is a WebSocket");
        assert!(!some.has(Protocol::Native) && !some.has(Protocol::Http));
        assert_eq!(some.to_string(), "v1, websocket");
        let all = Protocols::NAMES.map(|(_, name)| name);
        assert_eq!(Protocols::named(all), Ok(Protocols::ALL));
        assert_eq!(Protocols::ALL.to_string(), "native, v1, http, websocket");
    }

    #[test]
    fn what_is_no_set_says_what_to_write() {
        let wrong = |names: &[&str]| Protocols::named(names.iter().copied()).unwrap_err();
        assert_eq!(wrong(&[]), "it is empty; name some of native, v1, http, websocket");
        assert_eq!(wrong(&["v1", "irc"]), "'irc' is none of native, v1, http, websocket");
    }
}
