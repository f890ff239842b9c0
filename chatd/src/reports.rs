//! What the service manager is told, and when: that the daemon serves, how many there are, that it lives, that it ends.
//!
//! The loop feeds the watchdog itself, a third of its patience apart: a loop that is stuck says nothing. Words that the manager has no
//! room for are made anew a little later, so that nothing is lost and nothing old is said. This decides only; the driver sends.

use hub::Census;
use proto::{Now, Span};

/// How often the counts are told, if they changed.
const STATUS_EVERY: Span = Span::from_secs(5);
/// How long a manager without room is left alone.
const AGAIN: Span = Span::from_millis(250);
/// How much longer than the drain its end may take.
const END_GRACE: Span = Span::from_secs(5);

/// What the manager wishes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Supervised {
    /// How long it may hear nothing.
    pub watchdog: Option<Span>,
}

/// What it was told of the daemon's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Ready,
    Stopping,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    supervised: Option<Supervised>,
    /// How long the drain may take.
    drain: Span,
    told: Told,
    fed: Now,
    counted: Option<(Census, Now)>,
    /// Nothing is tried before then.
    rest: Now,
}

impl Reports {
    pub(crate) fn new(supervised: Option<Supervised>, drain: Span, now: Now) -> Self {
        Self { supervised, drain, told: Told::Nothing, fed: now, counted: None, rest: now }
    }

    /// What is to be said now.
    pub(crate) fn due(&self, ends: bool, census: Census, now: Now) -> Option<String> {
        if self.next(ends, census).is_none_or(|due| now < due) {
            return None;
        }
        let mut words = Vec::new();
        if self.told == Told::Nothing {
            words.push("READY=1".to_owned());
        }
        if ends && self.told != Told::Stopping {
            let most = self.drain.as_micros().saturating_add(END_GRACE.as_micros());
            words.push(format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={most}"));
        }
        if self.feed_due().is_some_and(|due| now >= due) {
            words.push("WATCHDOG=1".to_owned());
        }
        if self.status_due(ends, census).is_some_and(|due| now >= due) {
            let Census { connections, rooms, messages } = census;
            let life = if ends { "Ending" } else { "Serving" };
            words.push(format!(
                "STATUS={life}; connections: {connections}, rooms: {rooms}, messages: {messages}"
            ));
        }
        assert!(!words.is_empty(), "what is due is something");
        Some(words.join("\n"))
    }

    /// What was due has been said.
    pub(crate) fn said(&mut self, ends: bool, census: Census, now: Now) {
        let told = if ends { Told::Stopping } else { Told::Ready };
        assert!(told >= self.told, "the end has no way back");
        assert!(self.supervised.is_some(), "nobody else is told anything");
        if self.feed_due().is_some_and(|due| now >= due) {
            self.fed = now;
        }
        if self.status_due(ends, census).is_some_and(|due| now >= due) {
            self.counted = Some((census, now));
        }
        self.told = told;
    }

    /// A reload was begun and has ended: the manager is told that the daemon is ready, again.
    pub(crate) fn reloaded(&mut self) {
        if self.told == Told::Ready {
            self.told = Told::Nothing;
        }
    }

    /// There was no room for it.
    pub(crate) fn unsaid(&mut self, now: Now) {
        assert!(self.supervised.is_some(), "nobody else is told anything");
        self.rest = now.after(AGAIN);
    }

    /// When something will be due, if nothing happens.
    pub(crate) fn next(&self, ends: bool, census: Census) -> Option<Now> {
        self.supervised?;
        let status = self.status_due(ends, census);
        let next = status.into_iter().chain(self.feed_due()).min()?;
        Some(next.max(self.rest))
    }

    /// A turn of the daemon's life is told at once; counts that changed, after a while.
    fn status_due(&self, ends: bool, census: Census) -> Option<Now> {
        let told = if ends { Told::Stopping } else { Told::Ready };
        match self.counted {
            Some((counted, _)) if self.told >= told && counted == census => None,
            Some((_, at)) if self.told >= told => Some(at.after(STATUS_EVERY)),
            Some(_) | None => Some(self.rest),
        }
    }

    fn feed_due(&self) -> Option<Now> {
        let watchdog = self.supervised?.watchdog?;
        Some(self.fed.after(Span::from_micros(watchdog.as_micros() / 3)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Span = Span::from_secs(5);

    fn at(millis: u64) -> Now {
        Now::from_micros(millis * 1_000)
    }

    fn census(messages: u64) -> Census {
        Census { connections: 2, rooms: 1, messages }
    }

    /// Says what is due at a time; nothing where nothing is.
    fn says(reports: &mut Reports, ends: bool, messages: u64, millis: u64) -> Option<String> {
        let words = reports.due(ends, census(messages), at(millis))?;
        reports.said(ends, census(messages), at(millis));
        Some(words)
    }

    #[test]
    fn nobody_is_told_anything_without_a_manager() {
        let reports = Reports::new(None, DRAIN, at(0));
        assert_eq!(reports.due(false, census(0), at(0)), None);
        assert_eq!(reports.due(true, census(9), at(60_000)), None);
        assert_eq!(reports.next(true, census(9)), None);
    }

    #[test]
    fn ready_is_said_once_and_the_counts_only_when_they_changed_and_not_often() {
        let mut reports = Reports::new(Some(Supervised::default()), DRAIN, at(0));
        assert_eq!(reports.next(false, census(0)), Some(at(0)));
        let ready = says(&mut reports, false, 0, 0).unwrap();
        assert_eq!(ready, "READY=1\nSTATUS=Serving; connections: 2, rooms: 1, messages: 0");
        assert_eq!(reports.next(false, census(0)), None, "an idle daemon sleeps");
        assert_eq!(says(&mut reports, false, 1, 10), None);
        assert_eq!(reports.next(false, census(1)), Some(at(5_000)));
        let status = says(&mut reports, false, 7, 5_000).unwrap();
        assert_eq!(status, "STATUS=Serving; connections: 2, rooms: 1, messages: 7");
    }

    #[test]
    fn the_watchdog_is_fed_each_third_of_its_patience() {
        let supervised = Supervised { watchdog: Some(Span::from_secs(3)) };
        let mut reports = Reports::new(Some(supervised), DRAIN, at(0));
        says(&mut reports, false, 0, 0).unwrap();
        assert_eq!(reports.next(false, census(0)), Some(at(1_000)));
        assert_eq!(says(&mut reports, false, 0, 999), None);
        assert_eq!(says(&mut reports, false, 0, 1_200).unwrap(), "WATCHDOG=1");
        assert_eq!(reports.next(false, census(0)), Some(at(2_200)));
        assert_eq!(says(&mut reports, true, 0, 1_300).unwrap().lines().next(), Some("STOPPING=1"));
        assert_eq!(
            says(&mut reports, true, 0, 2_200).unwrap(),
            "WATCHDOG=1",
            "a drain may be long"
        );
    }

    #[test]
    fn what_did_not_fit_is_said_later() {
        let mut reports = Reports::new(Some(Supervised::default()), DRAIN, at(0));
        assert!(reports.due(false, census(0), at(0)).is_some());
        reports.unsaid(at(0));
        assert_eq!(reports.due(false, census(0), at(249)), None);
        assert_eq!(reports.next(false, census(0)), Some(at(250)));
        assert!(says(&mut reports, false, 0, 250).unwrap().starts_with("READY=1\n"));
    }

    #[test]
    fn the_end_is_told_with_the_time_that_it_may_take() {
        let mut reports = Reports::new(Some(Supervised::default()), DRAIN, at(0));
        says(&mut reports, false, 0, 0).unwrap();
        assert_eq!(reports.next(true, census(0)), Some(at(0)), "at once");
        let words = says(&mut reports, true, 0, 10).unwrap();
        let expected = "STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000\n\
                        STATUS=Ending; connections: 2, rooms: 1, messages: 0";
        assert_eq!(words, expected);
        assert_eq!(says(&mut reports, true, 0, 20), None, "once");
    }
}
