//! From a request's head to what is to be done. Nothing is done here.

use alloc::boxed::Box;
use alloc::format;

use proto::http::etag;
use proto::http::events::{self, LastEvent};
use proto::http::origin::{self, PREFLIGHT, Passed};
use proto::http::{self, Head, Refusal, Route, Status};
use proto::{Protocol, Protocols, Request, Seq, ws};

use super::answer::Answer;
use super::metrics::METRICS;
use super::{Deed, Hub};
use crate::served::not_served;
use crate::stats::StoreState;

impl Hub {
    /// What a request asks for where these protocols are served, and which foreign page may read the answer.
    pub(super) fn asked(&self, head: &Head<'_>, protocols: Protocols) -> (Deed, Option<Box<str>>) {
        let site = self.settings.web.site();
        let route = http::route(head, &site);
        let is_guarded = route.as_ref().map_or(true, Route::is_guarded);
        let passed = match origin::check(head, is_guarded, &self.settings.web.allowed()) {
            Ok(passed) => passed,
            Err(refusal) => return (Deed::Answer(refusal.into()), None),
        };
        let listed = match passed {
            Passed::Own => None,
            Passed::Listed(page) => Some(page.into()),
        };
        let is_socket = matches!(route, Ok(Route::Socket | Route::Echo));
        let (protocol, called) =
            if is_socket { (Protocol::WebSocket, "WebSockets") } else { (Protocol::Http, "HTTP") };
        if !protocols.has(protocol) {
            let answer = Answer::error(&not_served(protocols, called));
            return (Deed::Answer(answer), listed);
        }
        let deed = route.and_then(|route| self.deed(head, route, listed.is_some()));
        (deed.unwrap_or_else(|refusal| Deed::Answer(refusal.into())), listed)
    }

    fn deed(&self, head: &Head<'_>, route: Route, is_listed: bool) -> Result<Deed, Refusal> {
        Ok(match route {
            Route::Health => Deed::Answer(self.health()),
            Route::Options { allow } => Deed::Answer(options(allow, is_listed)),
            Route::ToBase => Deed::Answer(self.to_base()),
            Route::Rooms => Deed::Ask(Request::Rooms { room: None, limit: None }),
            Route::Stats => Deed::Ask(Request::Stats {}),
            Route::History(past) => Deed::Ask(Request::History {
                room: past.room,
                before: past.before,
                after: past.after,
                since: past.since,
                until: past.until,
                search: None,
                limit: past.limit,
            }),
            Route::Post { room } => {
                let content_type = http::media_type(&head.fields)?.map(Box::from);
                let own_id = http::message_id(&head.fields, &room)?;
                Deed::Post { room, own_id, content_type }
            }
            Route::Socket => Deed::Upgrade(ws::handshake(head, Some(ws::SUBPROTOCOL))?, false),
            Route::Echo => Deed::Upgrade(ws::handshake(head, None)?, true),
            Route::Metrics => Deed::Answer(Answer::text(METRICS, self.metrics())),
            Route::Message { room, seq } => Deed::Message { room, seq },
            Route::Events { room, after } => {
                let last = events::last_event(&head.fields)?;
                Deed::Events { room, after: self.goes_on(last, after) }
            }
            Route::Asset(asset) if etag::is_known(&head.fields, &asset.etag) => {
                Deed::Answer(Answer::unchanged(asset))
            }
            Route::Asset(asset) => Deed::File(asset),
        })
    }

    /// Behind which message a reader goes on: where it had come, else where it asks. In another history no place is known.
    fn goes_on(&self, last: Option<LastEvent>, after: Option<Seq>) -> Option<Seq> {
        match last {
            None => after,
            Some(LastEvent { history, seq }) => {
                Some(seq).filter(|_| history.is_none_or(|history| history == self.history.0))
            }
        }
    }

    /// Whether the server is there and takes what people say.
    fn health(&self) -> Answer {
        let state = self.condition.state;
        match state {
            StoreState::None | StoreState::Well => {
                Answer::json(format!("{{\"ok\":true,\"store\":\"{}\"}}\n", state.word()))
            }
            StoreState::Full => Answer::unhealthy("The disk is full: nothing can be posted."),
            StoreState::Broken => {
                Answer::unhealthy("The history cannot be written: nothing can be posted.")
            }
        }
    }

    /// The page is at the path with a slash behind it.
    fn to_base(&self) -> Answer {
        let answer = Answer::refused(Status::PermanentRedirect, "The page is one slash further.");
        answer.with("Location", self.settings.web.base_path.clone())
    }
}

/// Which methods there are; a listed page is told what else it may send.
fn options(allow: &'static str, is_listed: bool) -> Answer {
    let answer = Answer::bodiless(Status::NoContent).with("Allow", allow);
    if !is_listed {
        return answer;
    }
    PREFLIGHT.iter().fold(answer, |answer, (name, value)| answer.with(name, *value))
}
