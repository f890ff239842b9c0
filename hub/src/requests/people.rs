//! Requests about people: their nicknames, who they are, what they talk about, whether they are there.

use alloc::format;

use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{Dialect, ErrorCode, Nick, RequestId, RoomName};

use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::Outbox;
use crate::quotas::too_many_names;

impl Hub {
    /// Whether a connection may take a nickname.
    pub(super) fn may_be_called(&mut self, id: ConnId, nick: &Nick) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        if connection.dialect == Dialect::Control {
            let text =
                "A control connection takes no nickname: it speaks as its user's login name.";
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        if self.names.owner(nick).is_some_and(|owner| owner != id) {
            let text = format!("Somebody else is called `{nick}`; choose another nickname.");
            return Err(Error::new(ErrorCode::NicknameInUse, text));
        }
        self.nick_change_waits(id, nick).map_or(Ok(()), |waits| Err(too_many_names(waits)))
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
        let (address, since) = (connection.address.clone(), self.wall_at(connection.named));
        let reply = Reply::Nick { nick: nick.as_str(), address: &address, since };
        self.reply(id, request, &reply, out);
        Ok(())
    }

    pub(super) fn whois(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _nick: &Nick,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn topic(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _room: &RoomName,
        _topic: Option<&str>,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn away(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _text: Option<&str>,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }
}
