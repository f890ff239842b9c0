//! Reload: what the operator decided anew takes the place of what was decided before, for those who are connected, too.
//!
//! The hub does not read a configuration: it asks for that by [`Effect::Reload`], one reload after the other, and
//! [`Hub::reloaded`] tells what became of it. Whoever asked is answered then, and with what really happened.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;

use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{ErrorCode, Now, RequestId};

use crate::Hub;
use crate::bucket::Rates;
use crate::connection::ConnId;
use crate::leave::Course;
use crate::outbox::{Effect, Outbox};
use crate::settings::Settings;

/// Reloads that wait for the one before: more than any operator asks for at once.
const RELOADS_WAITING_MAX: usize = 16;
/// Connections that are armed anew for as much work as one frame is.
const ARMED_BY_FRAME: usize = 64;

/// For whom the configuration is read, the first of them now; none where nobody waits for a reply.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    waiting: VecDeque<Option<(ConnId, RequestId)>>,
}

impl Hub {
    /// The operator's wish by signal: the configuration is read anew. One that waits is as good as another.
    pub fn reload(&mut self, now: Now, out: &mut Outbox) {
        self.tick(now);
        if self.may_reload().is_ok() {
            self.await_reload(None, out);
        }
    }

    /// The request: its reply comes when the reload has ended.
    pub(crate) fn reload_request(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.may_reload()?;
        self.connections.known(id).owed += 1;
        self.await_reload(Some((id, request.clone())), out);
        Ok(())
    }

    fn may_reload(&self) -> Result<(), Error> {
        if self.course != Course::Serving {
            return Err(Error::new(ErrorCode::ShuttingDown, "The daemon is ending."));
        }
        if self.reloads.waiting.len() >= RELOADS_WAITING_MAX {
            let text =
                format!("{RELOADS_WAITING_MAX} reloads wait already; ask when they are done.");
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        Ok(())
    }

    fn await_reload(&mut self, asker: Option<(ConnId, RequestId)>, out: &mut Outbox) {
        self.reloads.waiting.push_back(asker);
        assert!(
            self.reloads.waiting.len() <= RELOADS_WAITING_MAX,
            "reloads that wait have a limit"
        );
        if self.reloads.waiting.len() == 1 {
            out.effect(Effect::Reload);
        }
    }

    /// What became of an [`Effect::Reload`]: new settings, or why everything stays as it was. The default room and the
    /// characters of nicknames are those of a daemon's whole life.
    pub fn reloaded(&mut self, outcome: Result<Settings, String>, now: Now, out: &mut Outbox) {
        self.tick(now);
        let asker = self.reloads.waiting.pop_front().expect("a reload that ended was asked for");
        let outcome = outcome.map(|settings| self.decide_anew(settings, out));
        if let Some((id, request)) = asker {
            let bytes = match outcome {
                Ok(()) => self.encode_reply(id, &request, &Reply::Done {}),
                Err(why) => {
                    let error = Error::new(ErrorCode::BadConfiguration, why);
                    self.encode_refusal(id, Some(&request), &error)
                }
            };
            self.answer_owed(id, bytes, out);
        }
        if !self.reloads.waiting.is_empty() {
            out.effect(Effect::Reload);
        }
    }

    /// Limits, deadlines and names are as they are set from now on. Who was let in by other limits stays.
    fn decide_anew(&mut self, settings: Settings, out: &mut Outbox) {
        assert_eq!(settings.default_room, self.settings.default_room, "it has members");
        assert_eq!(settings.wire.charset, self.settings.wire.charset, "names were compared by it");
        if settings.log_level != self.settings.log_level {
            out.effect(Effect::LogLevel(settings.log_level));
        }
        self.rates = Rates::new(&settings);
        self.names.reserve_for_server(&settings.server_name);
        let before = core::mem::replace(&mut self.settings, settings);
        self.change_lasting_rooms(&before.lasting_rooms, out);
        for id in self.connections.ids() {
            self.rearm(id);
        }
        let armed = self.connections.len() + self.rearm_talks();
        self.has_done(armed / ARMED_BY_FRAME);
    }
}
