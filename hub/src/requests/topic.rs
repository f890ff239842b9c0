//! What a room is about.

use alloc::boxed::Box;
use alloc::format;

use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{ErrorCode, Nick, Permission, RequestId, RoomName};

use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::Outbox;
use crate::rooms::{Pending, RoomNo, Topic};

impl Hub {
    /// Tells a room's topic. Where one is given it is set before, by members and administrators, and the room hears of it where
    /// it is another than before.
    pub(super) fn topic(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        text: Option<&str>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let no = self.existing_room(name)?;
        let nick = text.map(|_| self.may_set_topic(id, no)).transpose()?;
        let room = self.rooms.known_mut(no);
        let before = room.topic.as_ref().map_or("", |topic| &*topic.text);
        let changed = text.filter(|text| *text != before).zip(nick);
        if let Some((text, nick)) = &changed {
            let (text, by) = (Box::from(*text), Some(nick.clone()));
            room.topic = Some(Box::new(Topic { text, by, time: self.wall }));
        }
        let topic = self.rooms.known(no).topic.as_deref();
        let reply = Reply::Topic {
            room: name.as_str(),
            topic: topic.map_or("", |topic| &topic.text),
            by: topic.map(|topic| self.name_or_server(topic.by.as_ref())),
            time: topic.map(|topic| topic.time),
        };
        let bytes = self.encoded_reply(id, request, &reply)?;
        self.push_private(id, bytes, out);
        if let Some((text, nick)) = changed {
            let by = Some((id, nick));
            self.announce(no, Pending::Topic { by, topic: text.into() }, out);
        }
        Ok(())
    }

    /// What somebody is called; the operator speaks in the server's name.
    fn name_or_server<'a>(&'a self, nick: Option<&'a Nick>) -> &'a str {
        nick.map_or(&self.settings.server_name, Nick::as_str)
    }

    /// Who sets a room's topic, by name.
    fn may_set_topic(&self, id: ConnId, no: RoomNo) -> Result<Nick, Error> {
        let room = self.rooms.known(no);
        let connection = self.connections.get(id).expect("who asks is there");
        let is_in = room.member(id).is_some_and(|member| member.standing.is_shown());
        if !is_in && !connection.rights.allow(Permission::Admin) {
            let text = format!(
                "Only members set the topic of room `{}`; join it first.",
                room.name.as_str()
            );
            return Err(Error::new(ErrorCode::NotInRoom, text));
        }
        let text = "Take a nickname first.";
        connection.nick.clone().ok_or_else(|| Error::new(ErrorCode::NoNickname, text))
    }
}
