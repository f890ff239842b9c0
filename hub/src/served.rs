//! Listeners that serve some of the protocols: what becomes of a connection that speaks another.
//!
//! It is told so in its own protocol where that has a word for it, and closed. Which protocol it speaks is decided by its first bytes;
//! whether a request is one for a WebSocket, by its path.

use alloc::format;
use alloc::vec::Vec;

use proto::vocabulary::Error;
use proto::{Command, Dialect, ErrorCode, Event, Protocol, Protocols, encode};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Phase};
use crate::decide::is_v1;
use crate::outbox::Outbox;

impl Hub {
    /// Whether a native connection may do this where it came in; else it is told why not, if it speaks v1, and leaves.
    pub(crate) fn is_served(
        &mut self,
        id: ConnId,
        command: &Command<'_>,
        out: &mut Outbox,
    ) -> bool {
        let connection = self.connections.known(id);
        if connection.phase != Phase::Native {
            return true;
        }
        let (protocols, is_v1) = (connection.protocols, is_v1(command));
        // Who asked for something of v1 and was refused it may ask again, and gives signs of life until then.
        let waits = *command == Command::Keepalive && connection.client.is_some();
        if is_v1 || waits {
            if protocols.has(Protocol::V1) {
                return true;
            }
            let error = not_served(protocols, "v1");
            let request = match command {
                Command::Request { id, .. } => Some(id),
                Command::BadRequest { id, .. } => id.as_ref(),
                Command::Chat { .. }
                | Command::SetNickname { .. }
                | Command::Keepalive
                | Command::Ignored => None,
            };
            let mut words = self.encode_refusal(id, request, &error);
            let bye = Event::Bye { reason: &error.message };
            encode::event(Dialect::NativeV1, &bye, &mut words);
            self.leave(id, CloseReason::NotServed, words, out);
        } else {
            if protocols.has(Protocol::Native) {
                return true;
            }
            self.leave(id, CloseReason::NotServed, Vec::new(), out);
        }
        assert!(!self.connections.known(id).phase.is_live(), "who is not served goes");
        false
    }
}

/// What somebody is told who speaks something that is not served.
pub(crate) fn not_served(protocols: Protocols, what: &str) -> Error {
    let text =
        format!("This port does not serve {what}, but {protocols} (`[[listen]] protocols`).");
    Error::new(ErrorCode::Forbidden, text)
}
