//! What is served over HTTP, and to whom.

use alloc::string::String;
use alloc::vec::Vec;

use proto::Network;
use proto::http::forwarded::ForwardedField;
use proto::http::origin::Allowed;
use proto::http::{Asset, Site};

/// What the operator decided about HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Website {
    /// The names by which the server is called, without ports. Addresses and `localhost` always pass.
    pub hosts: Vec<String>,
    /// Foreign pages that may ask all the same, as browsers write them.
    pub origins: Vec<String>,
    /// The path that all others are under; it begins and ends with a slash.
    pub base_path: String,
    /// Proxies that are believed about who is behind them.
    pub trusted_proxies: Vec<Network>,
    /// Where they say it.
    pub forwarded: ForwardedField,
    /// The web client's files; none where it is not served.
    pub assets: &'static [Asset],
    /// The whole path of the WebSocket echo, where it is offered.
    pub echo: Option<String>,
}

impl Default for Website {
    fn default() -> Self {
        let (hosts, origins) = (Vec::new(), Vec::new());
        let (trusted_proxies, forwarded) = (Vec::new(), ForwardedField::XForwardedFor);
        let base_path = String::from("/");
        let assets = &[];
        Self { hosts, origins, base_path, trusted_proxies, forwarded, assets, echo: None }
    }
}

impl Website {
    /// Where the pages are.
    pub(crate) fn site(&self) -> Site<'_> {
        Site { base_path: &self.base_path, assets: self.assets, echo: self.echo.as_deref() }
    }

    /// Which names and pages are ours.
    pub(crate) fn allowed(&self) -> Allowed<'_> {
        Allowed { hosts: &self.hosts, origins: &self.origins }
    }
}
