//! Requests about people: their nicknames, who they are, whether they are there.

use alloc::format;
use alloc::vec::Vec;

use proto::reply::{Reply, Whois};
use proto::vocabulary::Error;
use proto::{Dialect, ErrorCode, Nick, Permission, RequestId};

use crate::Hub;
use crate::connection::ConnId;
use crate::names::Obstacle;
use crate::outbox::Outbox;
use crate::quotas::too_many_names;
use crate::rooms::Pending;

use super::connections::protocol;

impl Hub {
    /// Whether a connection may take a nickname.
    pub(super) fn may_be_called(&mut self, id: ConnId, nick: &Nick) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        if connection.dialect == Dialect::Control {
            let text =
                "A control connection takes no nickname: it speaks as its user's login name.";
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        // First the quota: what the others look at is long to compute.
        if let Some(waits) = self.nick_change_waits(id, nick) {
            return Err(too_many_names(waits));
        }
        self.nick_is_not_banned(nick)?;
        let text = match self.names.obstacle(nick, id) {
            None => return Ok(()),
            Some(Obstacle::Owner) => {
                format!("Somebody else is called `{nick}`; choose another nickname.")
            }
            Some(Obstacle::Alike) => {
                format!("`{nick}` looks like the nickname of somebody else; choose another.")
            }
            Some(Obstacle::Server) => {
                format!("`{nick}` is the server's own name, or looks like it; choose another.")
            }
            Some(Obstacle::Login) => format!(
                "`{nick}` is, or looks like, the login name of somebody on the control socket; choose another."
            ),
        };
        Err(Error::new(ErrorCode::NicknameInUse, text))
    }

    pub(super) fn nick(
        &mut self,
        id: ConnId,
        request: &RequestId,
        nick: &Nick,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.may_be_called(id, nick)?;
        let renamed = self.rename(id, nick, out);
        assert!(renamed, "a name that may be taken is taken");
        let connection = self.connections.get(id).expect("who asks is there");
        let (address, since) = (connection.address.to_box(), self.wall_at(connection.named));
        let reply = Reply::Nick { nick: nick.as_str(), address: &address, since };
        self.reply(id, request, &reply, out);
        Ok(())
    }

    pub(super) fn whois(
        &mut self,
        id: ConnId,
        request: &RequestId,
        nick: &Nick,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let found = self.who_else_is_called(id, nick)?;
        let found = found.iter().filter_map(|who| self.connections.get(*who));
        let who = found.max_by_key(|who| who.last_said).expect("whoever is found is there");
        let sees_addresses =
            self.connections.get(id).is_some_and(|asker| asker.rights.allow(Permission::Admin));
        let shown =
            who.rooms.iter().map(|no| self.rooms.known(*no)).filter(|room| {
                room.member(who.id).is_some_and(|member| member.standing.is_shown())
            });
        let mut rooms: Vec<&str> = shown.map(|room| room.name.as_str()).collect();
        rooms.sort_unstable();
        let client = who.client.as_ref();
        let reply = Reply::Whois(Whois {
            nick: who.nick.as_ref().map_or(nick.as_str(), Nick::as_str),
            since: self.wall_at(who.named),
            // One that leaves counts its time anew, and had its name before.
            connected: self.wall_at(who.since.min(who.named)),
            idle_ms: self.now.since(who.last_said).as_millis(),
            rooms,
            away: client.and_then(|client| client.away.as_deref()),
            agent: client.and_then(|client| client.agent.as_deref()),
            protocol: protocol(who),
            address: sees_addresses.then(|| who.address.text()),
        });
        let bytes = self.encoded_reply(id, request, &reply)?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    /// Sets what one left word of where a text is given; the rooms hear of it where it is another than before.
    pub(super) fn away(
        &mut self,
        id: ConnId,
        request: &RequestId,
        text: Option<&str>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if self.connections.known(id).dialect == Dialect::Control {
            let text = "A control connection occupies no nickname: nobody misses it.";
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        let before = self.client(id).away.clone().unwrap_or_default();
        let away = text.unwrap_or(&before);
        self.reply(id, request, &Reply::Away { away }, out);
        if *away == *before {
            return Ok(());
        }
        self.client(id).away = (!away.is_empty()).then(|| away.into());
        let connection = self.connections.get(id).expect("who asks is there");
        let nick = connection.nick.clone().expect("who speaks v1 has a name");
        let mut told = 0;
        for no in connection.rooms.clone() {
            let member = self.rooms.known(no).member(id);
            if member.is_some_and(|member| member.standing.is_shown()) {
                let (nick, away) = (nick.clone(), away.into());
                self.announce(no, Pending::Away { conn: id, nick, away }, out);
                told += 1;
            }
        }
        self.charge_messages(id, told);
        assert!(
            self.client(id).away.as_ref().is_none_or(|away| !away.is_empty()),
            "who is back left word of nothing"
        );
        Ok(())
    }
}
