//! Who is behind a proxy: bans and limits by address are about that one.
//!
//! A connection from a proxy is counted for no address until it is told whose it is: once, by what a PROXY header says before the first
//! byte; or by each HTTP request that a trusted proxy hands on, perhaps of many clients over one connection, which then is that one's
//! whose request came last. Since the requests of one client may come over a connection each, all for whom such proxies ask from one
//! address have one share of the limits. A WebSocket is one client's for good, and has its own, as whoever comes directly.

use core::net::{IpAddr, SocketAddr};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;

use proto::http::{Fields, forwarded};
use proto::vocabulary::Error;
use proto::{ErrorCode, Transport};

use super::Hub;
use super::answer::Answer;
use crate::addresses::{Addresses, Prefix, TooMany};
use crate::bucket::{Rate, Share};
use crate::close::CloseReason;
use crate::connection::{ConnId, Connection, Peer, Phase};
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
            connection.address = source.to_string().into_boxed_str().into();
        }
        if self.is_trusted(ip) {
            // Another proxy: its requests say whose they are.
            self.proxies.insert(id, ip);
            return;
        }
        self.is_let_in_as(id, ip, out);
    }

    /// Who speaks no HTTP asks for nobody else: what comes so from a trusted proxy's address is the proxy's own. False where that may
    /// have no more connections, and this one is closed.
    pub(crate) fn may_speak_for_itself(&mut self, id: ConnId, out: &mut Outbox) -> bool {
        let is_nobodys = self.connections.known(id).ip.is_none();
        let proxy = self.proxies.get(&id).copied().filter(|_| is_nobodys);
        proxy.is_none_or(|proxy| self.is_let_in_as(id, proxy, out))
    }

    /// A connection is this one's, as if it had come from there; false where it may not, and is closed.
    fn is_let_in_as(&mut self, id: ConnId, ip: IpAddr, out: &mut Outbox) -> bool {
        let address = self.connections.known(id).address.to_box();
        let Err(reason) = self.becomes(id, ip, (address.clone(), self.rates.accepts)) else {
            return true;
        };
        out.notice(Notice::Refused { address, reason });
        let is_banned = reason == RefusalReason::Banned;
        let reason = if is_banned { CloseReason::Banned } else { CloseReason::TooMany };
        self.close(id, reason, out);
        false
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

    /// Whether requests of many may come over a connection.
    pub(super) fn is_handed_on(&self, id: ConnId) -> bool {
        self.proxies.contains_key(&id)
    }

    /// Whether a connection is one on which the next request may be anybody's.
    pub(crate) fn is_between_clients(&self, id: ConnId) -> bool {
        let connection = self.connections.get(id);
        let is_between = |it: &Connection| it.phase == Phase::Http && it.exchange.is_none();
        connection.is_some_and(is_between) && self.is_handed_on(id)
    }

    /// A connection is one client's from here on, and has a share of its own. It counts as one that came just now: else whoever
    /// asks again and again would always have a fresh one.
    ///
    /// # Errors
    /// Their address connects too often.
    pub(super) fn is_for_one(&mut self, id: ConnId) -> Result<(), Answer> {
        let counted = counted_at(self.connections.known(id)).filter(|_| self.is_handed_on(id));
        if let Some((prefix, rate)) = counted.zip(self.rates.accepts)
            && let Err(until) = self.addresses.enter_again(prefix, rate, self.now)
        {
            self.hits.note(Limit::AcceptRate, &prefix.to_string(), self.now);
            let retry_after = Some(until.since(self.now));
            let error = Error::new(ErrorCode::RateLimited, "The address connects too often.");
            return Err(Answer::error(&Error { retry_after, ..error }));
        }
        self.proxies.remove(&id);
        Ok(())
    }

    /// A connection is somebody's at another address than it seemed; nobody's where they may not have it.
    fn becomes(
        &mut self,
        id: ConnId,
        client: IpAddr,
        (address, rate): (Box<str>, Option<Rate>),
    ) -> Result<(), RefusalReason> {
        self.becomes_nobodys(id);
        self.connections.known(id).address = address.into();
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
        let connection = self.connections.known(id);
        connection.ip = Some(client);
        connection.share = (!exempt).then(|| connection.share.unwrap_or_default());
        Ok(())
    }

    /// Whoever a connection was for has its place back, and so has the name that it had there.
    fn becomes_nobodys(&mut self, id: ConnId) {
        let now = self.now;
        let connection = self.connections.known(id);
        assert!(!connection.named_itself, "who has a name of its own came by itself");
        assert!(connection.exchange.is_none(), "a request is one client's to its end");
        let counted = counted_at(connection);
        connection.ip = None;
        if let Some(nick) = connection.nick.take() {
            self.names.release(&nick, id);
        }
        if let Some(prefix) = counted {
            self.addresses.leave(prefix, now);
        }
    }
}

/// What a connection's doings are taken from; nothing where it is exempt.
pub(crate) fn share_of<'a>(
    connection: &'a mut Connection,
    proxies: &BTreeMap<ConnId, IpAddr>,
    addresses: &'a mut Addresses,
) -> Option<&'a mut Share> {
    let is_handed_on = connection.dialect.is_web() && proxies.contains_key(&connection.id);
    if is_handed_on && let Some(prefix) = counted_at(connection) {
        Some(addresses.share(prefix))
    } else {
        connection.share.as_mut()
    }
}
