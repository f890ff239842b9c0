//! Who is behind a proxy: bans and limits by address are about that one.
//!
//! A connection from a proxy is counted for no address until it is told whose it is: once, by what a PROXY header says before the first
//! byte; or by each HTTP request that a trusted proxy hands on, perhaps of many clients over one connection, which then is that one's
//! whose request came last.

use core::net::{IpAddr, SocketAddr};

use alloc::boxed::Box;
use alloc::string::ToString;

use proto::http::{Fields, forwarded};
use proto::vocabulary::Error;
use proto::{ErrorCode, Transport};

use super::Hub;
use super::answer::Answer;
use crate::addresses::{Prefix, TooMany};
use crate::bucket::Rate;
use crate::close::CloseReason;
use crate::connection::{ConnId, Peer};
use crate::hits::Limit;
use crate::outbox::{Notice, Outbox, RefusalReason};
use crate::quotas::counted_at;

impl Hub {
    /// A newcomer that is a proxy is not counted itself; its address, where it is one.
    pub(crate) fn take_proxy(&self, peer: &mut Peer) -> Option<IpAddr> {
        let is_proxy = |ip: &IpAddr| peer.transport == Transport::Proxied || self.is_trusted(*ip);
        let ip = peer.ip.filter(is_proxy)?;
        peer.ip = None;
        Some(ip)
    }

    fn is_trusted(&self, ip: IpAddr) -> bool {
        self.settings.web.trusted_proxies.iter().any(|network| network.contains(ip))
    }

    /// A PROXY header says whose a connection is; where it says nothing, it is the proxy's own.
    pub(crate) fn comes_from(&mut self, id: ConnId, source: Option<SocketAddr>, out: &mut Outbox) {
        let proxy = self.proxies.remove(&id).expect("who came through a proxy is known for it");
        let ip = source.map_or(proxy, |source| source.ip());
        let connection = self.connections.known(id);
        assert!(connection.ip.is_none(), "it was nobody's until now");
        if let Some(source) = source {
            connection.address = source.to_string().into();
        }
        if self.is_trusted(ip) {
            // Another proxy: its requests say whose they are.
            self.proxies.insert(id, ip);
            return;
        }
        let address = self.connections.known(id).address.clone();
        let Err(reason) = self.becomes(id, ip, (address.clone(), self.rates.accepts)) else {
            return;
        };
        out.notice(Notice::Refused { address, reason });
        let is_banned = reason == RefusalReason::Banned;
        let reason = if is_banned { CloseReason::Banned } else { CloseReason::TooMany };
        self.close(id, reason, out);
    }

    /// A request came over a connection: it is whose the proxies say it is.
    ///
    /// # Errors
    /// They are kept out, or have as many connections as they may.
    pub(super) fn is_whose(&mut self, id: ConnId, fields: &Fields<'_>) -> Result<(), Answer> {
        let Some(proxy) = self.proxies.get(&id).copied() else { return Ok(()) };
        let web = &self.settings.web;
        let client = forwarded::client(proxy, &web.trusted_proxies, web.forwarded, fields);
        if self.connections.known(id).ip == Some(client) {
            return Ok(());
        }
        // How often somebody comes is the proxy's affair: it may have a connection for each request.
        self.becomes(id, client, (client.to_string().into(), None)).map_err(|reason| {
            let (code, text) = if reason == RefusalReason::Banned {
                (ErrorCode::Forbidden, "The address is banned.")
            } else {
                (ErrorCode::LimitReached, "The address has as many connections as one may have.")
            };
            Answer::error(&Error::new(code, text))
        })
    }

    /// A connection is somebody's at another address than it seemed.
    fn becomes(
        &mut self,
        id: ConnId,
        client: IpAddr,
        (address, rate): (Box<str>, Option<Rate>),
    ) -> Result<(), RefusalReason> {
        if self.is_address_banned(Some(client)) {
            return Err(RefusalReason::Banned);
        }
        let exempt = self.settings.exempt.iter().any(|network| network.contains(client));
        if !exempt {
            let (prefix, most) = (Prefix::of(client), self.settings.clients_per_ip);
            let entered = self.addresses.enter(prefix, most, rate, self.now);
            if let Err(too_many) = entered {
                let (limit, reason) = match too_many {
                    TooMany::AtOnce => (Limit::ClientsPerIp, RefusalReason::ClientsPerIp),
                    TooMany::TooOften => (Limit::AcceptRate, RefusalReason::AcceptRate),
                };
                self.hits.note(limit, &prefix.to_string(), self.now);
                return Err(reason);
            }
        }
        let now = self.now;
        if let Some(before) = counted_at(self.connections.known(id)) {
            self.addresses.leave(before, now);
        }
        let connection = self.connections.known(id);
        connection.ip = Some(client);
        connection.address = address;
        connection.share = (!exempt).then(|| connection.share.unwrap_or_default());
        Ok(())
    }
}
