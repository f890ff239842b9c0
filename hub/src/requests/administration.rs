//! Requests of administrators: who is connected, who is closed and kept out, what everybody is told, what is logged.

use proto::vocabulary::Error;
use proto::{Banned, Level, RequestId, Span, Whom};

use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::Outbox;

impl Hub {
    pub(super) fn list_connections(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        (_slow, _beyond, _limit): (bool, Option<u64>, Option<u32>),
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn kick(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _whom: &Whom,
        _reason: Option<&str>,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn ban(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        (_banned, _duration, _reason): (Banned, Option<Span>, Option<&str>),
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn unban(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _banned: &Banned,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn list_bans(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn announce_all(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _text: &str,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }

    pub(super) fn log_level(
        &mut self,
        _id: ConnId,
        _request: &RequestId,
        _level: Option<Level>,
        _out: &mut Outbox,
    ) -> Result<(), Error> {
        Err(super::not_built())
    }
}
