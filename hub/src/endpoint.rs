//! Where a connection comes from, as it is shown, in as few bytes as that takes: an address and a port are kept as numbers.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use core::net::{IpAddr, SocketAddr};

/// What is shown as a connection's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An address and a port.
    Socket { ip: IpAddr, port: u16 },
    /// Anything else: a user of this machine, an address without a port, a scope.
    Words(Box<str>),
}

const _: () = assert!(size_of::<Endpoint>() <= 24, "it costs less than its text");

impl Endpoint {
    /// What it is shown as.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Socket { ip, port } => Cow::Owned(SocketAddr::new(*ip, *port).to_string()),
            Self::Words(words) => Cow::Borrowed(words),
        }
    }

    /// The same, to be handed on.
    pub(crate) fn to_box(&self) -> Box<str> {
        String::from(self.text()).into()
    }
}

impl From<Box<str>> for Endpoint {
    fn from(text: Box<str>) -> Self {
        match text.parse::<SocketAddr>().map(|socket| (socket.ip(), socket.port())) {
            // It is shown as it was given, to the letter.
            Ok((ip, port)) if SocketAddr::new(ip, port).to_string() == *text => {
                Self::Socket { ip, port }
            }
            Ok(_) | Err(_) => Self::Words(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Box, Endpoint};

    #[test]
    fn it_is_shown_as_it_was_given() {
        for (text, is_numbers) in [
            ("127.0.0.1:33333", true),
            ("[2001:db8::1]:1", true),
            ("[2001:DB8::1]:1", false),
            ("[fe80::1%2]:1", false),
            ("192.0.2.1", false),
            ("127.0.0.1:033", false),
            ("uid 0", false),
            ("", false),
        ] {
            let endpoint = Endpoint::from(Box::from(text));
            assert_eq!(endpoint.text(), text);
            assert_eq!(*endpoint.to_box(), *text);
            assert_eq!(matches!(endpoint, Endpoint::Socket { .. }), is_numbers, "{text}");
        }
    }
}
