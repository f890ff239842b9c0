//! Quotas: whether a newcomer is let in, and what a connection's doings cost its share.
//!
//! Nothing is ever dropped for a quota: a newcomer is turned away before it has done anything (`web::turned_away` says so to who asks
//! over HTTP), a request is refused with the time to try again, and a speaker is not read for a while. Peers that are exempt have no share and no quota.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proto::vocabulary::Error;
use proto::{Command, ErrorCode, Nick, Request, Span, Transport};

use crate::Hub;
use crate::addresses::{Prefix, TooMany};
use crate::connection::{ConnId, Connection, Peer};
use crate::hits::Limit;
use crate::outbox::RefusalReason;
use crate::settings::{
    CONTROL_CONNECTIONS_BY_USER_MAX, CONTROL_CONNECTIONS_KEPT, CONTROL_CONNECTIONS_MAX,
    REPLAY_COST_MESSAGES,
};
use crate::web::share_of;

/// The most idle addresses that are forgotten in a turn.
const FORGETS_MAX: usize = 64;

/// Control connections, in all and by user.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    all: usize,
    by_user: BTreeMap<Nick, usize>,
    /// Each of them, so that nobody is looked for among all connections.
    here: Vec<ConnId>,
}

impl Controls {
    fn refusal(&self, peer: &Peer) -> Option<RefusalReason> {
        let kept = if peer.exempt { 0 } else { CONTROL_CONNECTIONS_KEPT };
        if self.all >= CONTROL_CONNECTIONS_MAX - kept {
            return Some(RefusalReason::ControlLimit);
        }
        let of_user = peer.login.as_ref().and_then(|login| self.by_user.get(login));
        let full = of_user.is_some_and(|count| *count >= CONTROL_CONNECTIONS_BY_USER_MAX);
        (full && !peer.exempt).then_some(RefusalReason::ControlByUser)
    }

    fn enter(&mut self, login: Option<&Nick>) {
        self.all += 1;
        if let Some(login) = login {
            *self.by_user.entry(login.clone()).or_insert(0) += 1;
        }
        assert!(self.all <= CONTROL_CONNECTIONS_MAX, "control connections have a limit");
        assert!(self.by_user.len() <= self.all, "each user has a connection");
    }

    /// One that was counted has its id now.
    pub(crate) fn is_here(&mut self, id: ConnId) {
        self.here.push(id);
        assert!(self.here.len() <= self.all, "who is here was counted");
    }

    /// Each of them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnId> {
        self.here.iter().copied()
    }

    fn leave(&mut self, id: ConnId, login: Option<&Nick>) {
        self.all = self.all.checked_sub(1).expect("who leaves came");
        self.here.retain(|other| *other != id);
        assert_eq!(self.here.len(), self.all, "who is here was counted");
        let Some(login) = login else { return };
        let count = self.by_user.get_mut(login).expect("a user who leaves came");
        *count -= 1;
        if *count == 0 {
            self.by_user.remove(login);
        }
    }
}

impl Hub {
    /// Whether a newcomer may come in, as far as numbers go; where it may, it is counted.
    pub(crate) fn let_in(&mut self, peer: &Peer) -> Result<(), RefusalReason> {
        match peer.transport {
            Transport::ControlSocket => {
                if let Some(reason) = self.controls.refusal(peer) {
                    return Err(reason);
                }
                self.controls.enter(peer.login.as_ref());
            }
            Transport::Stream | Transport::Proxied => {
                // The control socket has places of its own: strangers never keep an operator out.
                let there = self.clients() - self.controls.all;
                if self.settings.connections.is_some_and(|most| there >= most) {
                    return Err(RefusalReason::ConnectionsLimit);
                }
                let counted = peer.ip.filter(|_| !peer.exempt);
                if let Some(prefix) = counted.map(Prefix::of) {
                    let (most, rate) = (self.settings.clients_per_ip, self.rates.accepts);
                    let entered = self.addresses.enter(prefix, most, rate, self.now);
                    entered.map_err(|too_many| match too_many {
                        TooMany::AtOnce => RefusalReason::ClientsPerIp,
                        TooMany::TooOften => RefusalReason::AcceptRate,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// A newcomer is turned away: it is counted where a limit did it.
    pub(crate) fn note_refusal(&mut self, peer: &Peer, reason: RefusalReason) {
        let limit = match reason {
            RefusalReason::ConnectionsLimit => Limit::Connections,
            RefusalReason::ClientsPerIp => Limit::ClientsPerIp,
            RefusalReason::AcceptRate => Limit::AcceptRate,
            RefusalReason::ControlLimit => Limit::Control,
            RefusalReason::ControlByUser => Limit::ControlByUser,
            RefusalReason::Banned | RefusalReason::Draining => return,
        };
        match (peer.ip, &peer.login) {
            (Some(ip), _) => self.hits.note(limit, &Prefix::of(ip).to_string(), self.now),
            (None, Some(login)) => self.hits.note(limit, login.as_str(), self.now),
            (None, None) => self.hits.note(limit, &peer.address, self.now),
        }
    }

    /// A control connection that was counted has its id now, and its user's name is nobody's nickname from here on.
    pub(crate) fn control_is_here(&mut self, id: ConnId) {
        self.controls.is_here(id);
        if let Some(login) = self.connections.known(id).login() {
            self.names.login_came(login);
        }
    }

    /// A connection is gone: whoever it was counted for may have another.
    pub(crate) fn let_out(&mut self, connection: &Connection) {
        match connection.dialect {
            proto::Dialect::Control => {
                self.controls.leave(connection.id, connection.nick.as_ref());
                if let Some(login) = connection.login() {
                    self.names.login_went(login);
                    let login = login.clone();
                    self.login_is_free(&login);
                }
            }
            proto::Dialect::Native05
            | proto::Dialect::NativeV1
            | proto::Dialect::WebSocket
            | proto::Dialect::Events
            | proto::Dialect::Http
            | proto::Dialect::Content => {
                if let Some(prefix) = counted_at(connection) {
                    self.addresses.leave(prefix, self.now);
                }
            }
        }
    }

    /// So many bytes of a connection are read.
    pub(crate) fn charge_bytes(&mut self, id: ConnId, count: usize) {
        let connection = self.connections.known(id);
        if let Some(share) = share_of(connection, &self.proxies, &mut self.addresses) {
            share.take_bytes(&self.rates, count, self.now);
        }
    }

    /// A command costs its connection one message, unless it says nothing; one that asks for past messages costs more.
    pub(crate) fn charge(&mut self, id: ConnId, command: &Command<'_>) {
        let (now, rates) = (self.now, &self.rates);
        let connection = self.connections.known(id);
        let share = share_of(connection, &self.proxies, &mut self.addresses);
        let Some(share) = share else { return };
        share.take_bytes(rates, growth(command), now);
        match command {
            Command::Request { request, .. } => {
                share.take_messages(rates, cost(request), now);
            }
            Command::Chat { .. } | Command::SetNickname { .. } | Command::BadRequest { .. } => {
                share.take_messages(rates, 1, now);
            }
            Command::Keepalive | Command::Ignored => {}
        }
    }

    /// What a command did costs its connection so many messages more.
    pub(crate) fn charge_messages(&mut self, id: ConnId, count: u32) {
        let (now, rates) = (self.now, &self.rates);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Some(share) = share_of(connection, &self.proxies, &mut self.addresses) {
            share.take_messages(rates, u64::from(count), now);
        }
    }

    /// What a connection does makes so many bytes go to each of so many receivers. It is let through, and what is beyond
    /// its share is waited off before the connection is read again: nobody makes the server an amplifier.
    pub(crate) fn charge_fanout(&mut self, id: ConnId, bytes: usize, receivers: u32) {
        let (now, rates) = (self.now, &self.rates);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Some(share) = share_of(connection, &self.proxies, &mut self.addresses) {
            let cost = (bytes as u64).saturating_mul(u64::from(receivers));
            share.take_fanout(rates, cost, now);
        }
    }

    /// How long a connection has to wait before it may take this name; nothing where it may now.
    pub(crate) fn nick_change_waits(&mut self, id: ConnId, nick: &Nick) -> Option<Span> {
        let now = self.now;
        let connection = self.connections.known(id);
        if connection.nick.as_ref() == Some(nick) {
            return None;
        }
        let waits = connection.share?.nick_change_waits(&self.rates, now)?;
        self.hit(Limit::NickChanges, id);
        Some(waits)
    }

    /// A connection took another name.
    pub(crate) fn charge_nick_change(&mut self, id: ConnId) {
        let (now, rates) = (self.now, &self.rates);
        if let Some(share) = &mut self.connections.known(id).share {
            share.take_nick_change(rates, now);
        }
    }

    /// A connection ran into a limit: it is named for the operator by its name, or where it has none by its address.
    pub(crate) fn hit(&mut self, limit: Limit, id: ConnId) {
        let connection = self.connections.get(id).expect("who hits a limit is there");
        let address = connection.address.text();
        let who = connection.nick.as_ref().map_or(&*address, Nick::as_str);
        self.hits.note(limit, who, self.now);
    }

    /// What is remembered of those who are gone is forgotten, a little in each turn.
    pub(crate) fn forget_idle(&mut self) {
        self.addresses.forget(self.now, FORGETS_MAX);
        self.hits.forget(self.now);
    }

    /// Sweeps the counts, in tests.
    pub(crate) fn check_quotas(&self) {
        let mut places: BTreeMap<Prefix, u32> = BTreeMap::new();
        let mut controls = Controls::default();
        for connection in self.connections.iter() {
            if connection.dialect == proto::Dialect::Control {
                controls.enter(connection.nick.as_ref());
                assert!(self.controls.here.contains(&connection.id), "who came is here");
            } else if let Some(prefix) = counted_at(connection) {
                *places.entry(prefix).or_insert(0) += 1;
            }
        }
        assert_eq!(controls.all, self.controls.all, "control connections are counted");
        assert_eq!(controls.all, self.controls.here.len(), "each is here once");
        assert_eq!(controls.by_user, self.controls.by_user, "and so are each user's");
        for (prefix, count) in &places {
            assert_eq!(self.addresses.connections(*prefix), *count, "and each address's");
        }
        self.addresses.check(places.values().map(|count| *count as usize).sum());
    }
}

/// Where a connection is counted: nowhere if it is exempt or did not come over a network.
pub(crate) fn counted_at(connection: &Connection) -> Option<Prefix> {
    connection.share.and(connection.ip).map(Prefix::of)
}

/// By how many bytes a message grows on its way to v0.5 receivers: each malformed octet comes out as the three of U+FFFD.
fn growth(command: &Command<'_>) -> usize {
    let content: &[u8] = match command {
        Command::Chat { text } => text,
        Command::Request { request: Request::Post { content, .. }, .. } => content,
        Command::Request { .. }
        | Command::BadRequest { .. }
        | Command::SetNickname { .. }
        | Command::Keepalive
        | Command::Ignored => return 0,
    };
    if core::str::from_utf8(content).is_ok() {
        return 0;
    }
    String::from_utf8_lossy(content).len().saturating_sub(content.len())
}

/// What a request costs, in messages: one that asks for past messages more, and one about many rooms one for each.
fn cost(request: &Request<'_>) -> u64 {
    match request {
        Request::Tail { rooms, last, since, after } => {
            let names = rooms.as_ref().map_or(0, Vec::len) as u64;
            let replays = last.is_some() || since.is_some() || after.is_some();
            if replays || names == 0 { names.max(REPLAY_COST_MESSAGES) } else { names }
        }
        Request::History { .. } | Request::Join { after: Some(_), .. } => REPLAY_COST_MESSAGES,
        Request::Hello { .. }
        | Request::Ping {}
        | Request::Nick { .. }
        | Request::Join { after: None, .. }
        | Request::Leave { .. }
        | Request::Post { .. }
        | Request::Receipt { .. }
        | Request::Rooms { .. }
        | Request::Members { .. }
        | Request::Whois { .. }
        | Request::Topic { .. }
        | Request::Away { .. }
        | Request::Bridge { .. }
        | Request::Unbridge {}
        | Request::Chat { .. }
        | Request::Say { .. }
        | Request::Pass { .. }
        | Request::Hangup {}
        | Request::Stats {}
        | Request::Connections { .. }
        | Request::Kick { .. }
        | Request::Ban { .. }
        | Request::Unban { .. }
        | Request::Bans {}
        | Request::Announce { .. }
        | Request::LogLevel { .. }
        | Request::DebugStall { .. }
        | Request::Reload {}
        | Request::Stop {} => 1,
    }
}

/// What somebody is told who takes another name too often.
pub(crate) fn too_many_names(waits: Span) -> Error {
    let seconds = waits.as_millis().div_ceil(1_000);
    let text = format!("Too many changes of nickname; try again in {seconds} s.");
    Error { retry_after: Some(waits), ..Error::new(ErrorCode::RateLimited, text) }
}
