//! Requests of administrators: who is closed and kept out, what everybody is told, what is logged. Who is connected is in
//! `connections`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proto::encode::DIALECTS;
use proto::reply::{Ban as BanRow, Reply};
use proto::vocabulary::Error;
use proto::{
    Banned, Dialect, ErrorCode, Event, Level, Nick, Permission, RequestId, Span, Whom, encode,
};

use crate::Hub;
use crate::bans::{BANS_MAX, Ban, End};
use crate::close::CloseReason;
use crate::connection::{ConnId, Phase};
use crate::farewell::Farewell;
use crate::outbox::{Effect, Notice, Outbox};
use crate::planted::Planted;

/// The longest that the daemon can be told to do nothing: watchdogs have less patience.
const STALL_MAX: Span = Span::from_secs(60);

impl Hub {
    pub(super) fn kick(
        &mut self,
        id: ConnId,
        request: &RequestId,
        whom: &Whom,
        reason: Option<&str>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let who = match whom {
            Whom::Nick(nick) => match self.names.owner(nick) {
                Some(owner) => vec![owner],
                None => self.who_is_called(nick)?,
            },
            Whom::Session(session) => vec![self.session(*session)?],
        };
        assert!(!who.is_empty(), "whoever is found is somebody");
        let name = match whom {
            Whom::Nick(nick) => nick.to_string(),
            Whom::Session(session) => format!("session {session}"),
        };
        self.administered(id, format!("kicks {name}{}", because(reason)), out);
        // Before anybody goes, since an administrator may close itself.
        self.reply(id, request, &Reply::Kick { closed: who.len() }, out);
        let words = words("Kicked", reason);
        for who in who {
            self.expel(who, &words, out);
        }
        Ok(())
    }

    pub(super) fn ban(
        &mut self,
        id: ConnId,
        request: &RequestId,
        (banned, duration, reason): (Banned, Option<Span>, Option<&str>),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if duration == Some(Span::default()) {
            let text = "`seconds` is 0; leave it out for a ban that does not end by itself.";
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        let until =
            duration.map(|span| End { at: self.now.after(span), shown: later(self.wall, span) });
        let by = self.administrator(id);
        let ban =
            Ban { banned: banned.clone(), until, reason: reason.unwrap_or_default().into(), by };
        if !self.bans.put(ban, self.now) {
            let text = format!("There are {BANS_MAX} bans, as many as there may be; lift one.");
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        let for_how_long = duration
            .map_or_else(String::new, |span| format!(" for {} s", span.as_millis() / 1_000));
        let text = format!("bans {}{for_how_long}{}", name_of(&banned), because(reason));
        self.administered(id, text, out);
        let who = self.concerned(&banned);
        let until = until.map(|end| end.shown);
        self.reply(id, request, &Reply::Ban { closed: who.len(), until }, out);
        self.has_done(self.connections.len() / 64);
        self.send_off(Farewell::Banned(words("Banned", reason).into()), who, out);
        Ok(())
    }

    pub(super) fn unban(
        &mut self,
        id: ConnId,
        request: &RequestId,
        banned: &Banned,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if !self.bans.lift(banned, self.now) {
            let text = format!("{} is not banned.", name_of(banned));
            return Err(Error::new(ErrorCode::NoSuchBan, text));
        }
        self.administered(id, format!("lifts the ban of {}", name_of(banned)), out);
        self.reply_done(id, request, out)
    }

    pub(super) fn list_bans(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let rows = self.bans.iter(self.now).map(|ban| {
            let (nick, network) = match &ban.banned {
                Banned::Nick(nick) => (Some(nick.as_str()), None),
                Banned::Network(network) => (None, Some(network.to_string())),
            };
            let until = ban.until.map(|end| end.shown);
            BanRow { nick, network, until, reason: &ban.reason, by: ban.by.as_str() }
        });
        let bytes = self.encoded_reply(id, request, &Reply::Bans { bans: rows.collect() })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    /// Everybody else is told; who has not chosen a protocol yet has heard nothing of here, and hears nothing of this.
    pub(super) fn announce_all(
        &mut self,
        id: ConnId,
        request: &RequestId,
        text: &str,
        out: &mut Outbox,
    ) {
        let event = Event::Notice { from: &self.settings.server_name, text };
        let mut frames: [Vec<u8>; DIALECTS] = [const { Vec::new() }; DIALECTS];
        for dialect in Dialect::ALL {
            encode::event(dialect, &event, &mut frames[dialect.index()]);
        }
        let (mut told, mut bytes) = (0, 0);
        for other in self.connections.ids() {
            let connection = self.connections.known(other);
            let hears = match connection.phase {
                Phase::Listening | Phase::Native | Phase::V1 | Phase::Control | Phase::Events => {
                    other != id
                }
                Phase::Undecided
                | Phase::TurnedAway
                | Phase::Http
                | Phase::Echo
                | Phase::Leaving(_)
                | Phase::Lingering { .. }
                | Phase::Closing => false,
            };
            if hears {
                let frame = frames[connection.dialect.index()].clone();
                bytes += frame.len();
                self.push_private(other, frame, out);
                told += 1;
            }
        }
        assert!(told < self.connections.len(), "whoever announces something knows it");
        self.has_done(told / 8);
        self.charge_fanout(id, bytes, 1);
        self.administered(id, format!("announces to {told} connections: {text}"), out);
        self.reply(id, request, &Reply::Announce { connections: told }, out);
    }

    pub(super) fn log_level(
        &mut self,
        id: ConnId,
        request: &RequestId,
        level: Option<Level>,
        out: &mut Outbox,
    ) {
        if let Some(level) = level {
            let before = core::mem::replace(&mut self.settings.log_level, level);
            let text = format!("sets the log from {} to {}", before.word(), level.word());
            // The log has it under the more talkative of both.
            if level < before {
                out.effect(Effect::LogLevel(level));
                self.administered(id, text, out);
            } else {
                self.administered(id, text, out);
                out.effect(Effect::LogLevel(level));
            }
        }
        let level = self.settings.log_level.word();
        self.reply(id, request, &Reply::LogLevel { level }, out);
    }

    /// What a stuck loop looks like from outside can only be seen by one that is stuck.
    pub(super) fn debug_stall(
        &mut self,
        id: ConnId,
        request: &RequestId,
        span: Span,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if span == Span::default() || span > STALL_MAX {
            let most = STALL_MAX.as_millis() / 1_000;
            let text = format!("`seconds` is not within 1 and {most}.");
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        let connection = self.connections.known(id);
        if connection.dialect != Dialect::Control {
            let text = "`debug_stall` is for the control socket only.";
            return Err(Error::new(ErrorCode::Forbidden, text));
        }
        assert!(connection.rights.allow(Permission::Admin), "the table lets nobody else come here");
        assert!(span <= STALL_MAX, "it ends");
        let seconds = span.as_millis() / 1_000;
        self.administered(id, format!("lets the daemon do nothing for {seconds} s"), out);
        out.effect(Effect::Stall(span));
        self.reply_done(id, request, out)
    }

    /// Who is meant by `nick`: whoever has it as a login name on the control socket, as the kernel says; where nobody does, its
    /// owner, who may be anybody.
    pub(super) fn who_is_called(&self, nick: &Nick) -> Result<Vec<ConnId>, Error> {
        let key = nick.key();
        let controls = self.controls.ids().filter_map(|id| self.connections.get(id));
        let logins = controls.filter(|connection| {
            connection.phase != Phase::Closing
                && connection.login().is_some_and(|login| login.key() == key)
        });
        let mut found: Vec<ConnId> = logins.map(|connection| connection.id).collect();
        if found.is_empty() {
            found.extend(self.names.owner(nick));
        }
        if found.is_empty() {
            let text = format!("Nobody is called `{nick}`.");
            return Err(Error::new(ErrorCode::NoSuchNick, text));
        }
        Ok(found)
    }

    /// As `who_is_called`, asked for by somebody of that name perhaps: a control connection that asks or sends is nobody to be
    /// found by itself, since it may be gone with the answer.
    pub(super) fn who_else_is_called(&self, id: ConnId, nick: &Nick) -> Result<Vec<ConnId>, Error> {
        let mut found = self.who_is_called(nick)?;
        // A guest who posts over HTTP hears nothing and is nobody to be asked about.
        found.retain(|who| {
            let hears = |dialect| !matches!(dialect, Dialect::Http | Dialect::Events);
            self.connections.get(*who).is_some_and(|who| hears(who.dialect))
        });
        if found.is_empty() {
            let text = format!("Nobody is called `{nick}`.");
            return Err(Error::new(ErrorCode::NoSuchNick, text));
        }
        let dialect = self.connections.get(id).map(|asker| asker.dialect);
        if *found == [id] && dialect == Some(Dialect::Control) {
            let text = format!("Nobody else is called `{nick}`.");
            return Err(Error::new(ErrorCode::NoSuchNick, text));
        }
        Ok(found)
    }

    fn session(&self, session: u64) -> Result<ConnId, Error> {
        let connection = self.connections.get(ConnId::from_u64(session));
        let connection = connection.filter(|connection| connection.phase != Phase::Closing);
        let missing = || {
            let text = format!("There is no connection with the session {session}.");
            Error::new(ErrorCode::NoSuchNick, text)
        };
        connection.map(|connection| connection.id).ok_or_else(missing)
    }

    /// Whoever is here and is kept out from now on. The kernel let in who is on the control socket, and no ban concerns it.
    fn concerned(&self, banned: &Banned) -> Vec<ConnId> {
        let is_here = |id: &ConnId| {
            self.connections.get(*id).is_some_and(|connection| connection.phase != Phase::Closing)
        };
        match banned {
            Banned::Nick(nick) => self.names.conflicting(nick).filter(is_here).collect(),
            Banned::Network(network) => {
                let inside = self.connections.iter().filter(|connection| {
                    connection.dialect != Dialect::Control
                        && connection.ip.is_some_and(|ip| network.contains(ip))
                });
                inside.map(|connection| connection.id).filter(is_here).collect()
            }
        }
    }

    /// The reply comes when the configuration was read; who wants it is in the log at once.
    pub(super) fn reload_for(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.reload_request(id, request, out)?;
        self.administered(id, String::from("has the configuration read anew"), out);
        Ok(())
    }

    /// Closes somebody for an administrator. Who was leaving anyway is not waited for any longer.
    fn expel(&mut self, who: ConnId, words: &str, out: &mut Outbox) {
        if self.settings.plants(Planted::KickStays) {
            return;
        }
        if matches!(self.connections.known(who).phase, Phase::Leaving(_) | Phase::Lingering { .. })
        {
            self.close(who, CloseReason::Kicked, out);
        } else {
            self.dismiss(who, CloseReason::Kicked, words, out);
        }
        assert!(!self.connections.known(who).phase.is_live(), "it is not heard any more");
    }

    fn administrator(&self, id: ConnId) -> Nick {
        let connection = self.connections.get(id).expect("who asks is there");
        assert!(connection.rights.allow(Permission::Admin), "only administrators come here");
        connection.nick.clone().expect("administrators have a login name")
    }

    /// What an administrator did is in the log, whoever is concerned.
    fn administered(&mut self, id: ConnId, what: String, out: &mut Outbox) {
        let by = self.administrator(id);
        out.notice(Notice::Administered { id, by, what: what.into() });
    }
}

fn name_of(banned: &Banned) -> String {
    match banned {
        Banned::Nick(nick) => nick.to_string(),
        Banned::Network(network) => network.to_string(),
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

/// The last words to whom an administrator closes.
fn words(what: &str, reason: Option<&str>) -> String {
    match reason {
        None | Some("") => format!("{what} by an administrator."),
        Some(reason) => format!("{what}: {reason}"),
    }
}

fn later(wall: proto::WallTime, span: Span) -> proto::WallTime {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    proto::WallTime::from_micros(wall.as_micros().saturating_add(micros))
}
