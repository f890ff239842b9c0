//! Messages to one nickname, and receipts.

use alloc::borrow::Cow;

use proto::vocabulary::Error;
use proto::{MessageId, Nick, RequestId};

use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::Outbox;

impl Hub {
    pub(super) fn post_direct(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _to: &Nick,
        (_message_id, _content, _receipt): (MessageId, Cow<'_, [u8]>, bool),
        _from: Nick,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn receipt(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _message_id: MessageId,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }
}
