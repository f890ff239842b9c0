//! What the oracle holds of administrators who close people and keep names out: whoever is kicked or banned goes, as many as the
//! reply says; a banned name is nobody's and nobody comes from a banned network until the ban ends or is lifted, and nobody is refused
//! for a ban that is not.

use hub::CloseReason;

use crate::clock::SECOND;
use crate::naming::same;
use crate::oracle::Oracle;

/// Whoever has to go has so long for what waits for it, and the daemon for closing it.
const LEAVING_MAX: u64 = 6 * SECOND;

/// Who is meant.
#[derive(Clone, Debug)]
pub enum Whom {
    /// Whoever has this name.
    Nick(String),
    /// This connection, by its session.
    Session(usize),
    /// Whoever comes from this network.
    Place(u64),
}

impl Whom {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nick(one), Self::Nick(other)) => same(one, other),
            (Self::Session(one), Self::Session(other)) => one == other,
            (Self::Place(one), Self::Place(other)) => one == other,
            _ => false,
        }
    }
}

/// What was answered to an administrator.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at: u64,
    /// How many the daemon says that it closes; nothing where it refused.
    closed: Option<u64>,
}

/// An administrator's wish that somebody goes.
#[derive(Debug)]
pub struct Expulsion {
    whom: Whom,
    /// For how long the name is kept out, if it is.
    ban: Option<u64>,
    sent: u64,
    answer: Option<Answer>,
    /// Who was meant for certain, and how many names they had asked for.
    holders: Vec<(usize, usize)>,
    is_done: bool,
}

impl Expulsion {
    /// Whether it keeps them out, and was not refused.
    fn is_ban_of(&self, whom: &Whom) -> bool {
        let is_same = self.whom.is(whom);
        let is_refused = self.answer.is_some_and(|answer| answer.closed.is_none());
        is_same && !is_refused && self.ban.is_some()
    }

    /// Until when a ban holds at the least.
    fn until(&self) -> u64 {
        self.sent + self.ban.unwrap_or_default()
    }

    /// Whether they may be kept out, or have been, at some moment of this time.
    fn may_hold(&self, whom: &Whom, from: u64, to: u64) -> bool {
        let Some(length) = self.ban.filter(|_| self.is_ban_of(whom) && self.sent <= to) else {
            return false;
        };
        self.answer.is_none_or(|answer| from <= answer.at + length)
    }

    /// Whether it was decided behind a moment, or may still be.
    fn may_come_after(&self, moment: u64) -> bool {
        self.answer.is_none_or(|answer| answer.at >= moment)
    }
}

/// An administrator's wish that somebody is kept out no longer.
#[derive(Debug)]
pub struct Lift {
    whom: Whom,
    answered: Option<u64>,
}

/// Reasons for which a connection may be closed that is on its way out for another.
fn is_abrupt(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Reset
            | CloseReason::Stall
            | CloseReason::OutboxFull
            | CloseReason::MemoryBudget
            | CloseReason::InputBudget
            | CloseReason::StoreUnavailable
    )
}

impl Oracle {
    /// An administrator asks that somebody goes, perhaps for a while. Returns the wish's number.
    pub fn expel(&mut self, whom: Whom, ban: Option<u64>) -> usize {
        let holders = match &whom {
            Whom::Nick(nick) => self.holders(nick),
            Whom::Session(no) => vec![(*no, self.voices[*no].wishes.len())],
            Whom::Place(_) => {
                let is_there = |no: &usize| {
                    let is_open = self.voices[*no].opened.is_some() && !self.may_be_leaving(*no);
                    is_open && self.place_of(*no).is(&whom)
                };
                (0..self.voices.len()).filter(is_there).map(|no| (no, 0)).collect()
            }
        };
        // No ban concerns the control socket.
        let login = |no: usize| self.voices[no].login.is_some();
        let holders = holders.into_iter().filter(|(no, _)| ban.is_none() || !login(*no)).collect();
        let sent = self.now;
        let (answer, is_done) = (None, false);
        self.expelled.push(Expulsion { whom, ban, sent, answer, holders, is_done });
        self.expelled.len() - 1
    }

    /// It was answered: how many go, or why nobody does.
    pub fn expulsion_answered(&mut self, which: usize, closed: Option<u64>, code: &str) {
        let at = self.now;
        let is_there = |(no, names): &(usize, usize)| {
            let voice = &self.voices[*no];
            let is_named = match self.expelled[which].whom {
                Whom::Nick(_) => voice.wishes.len() == *names,
                Whom::Session(_) | Whom::Place(_) => voice.opened.is_some(),
            };
            is_named && !voice.leaving && !self.stopping
        };
        let holders = self.expelled[which].holders.clone();
        let holders: Vec<_> = holders.into_iter().filter(is_there).collect();
        let found = holders.iter().find(|(no, _)| self.voices[*no].reason.is_none());
        assert!(
            code != "no_such_nick" || found.is_none(),
            "nobody was found to be closed, and #{found:?} is there"
        );
        let expulsion = &mut self.expelled[which];
        (expulsion.answer, expulsion.holders) = (Some(Answer { at, closed }), holders);
        expulsion.is_done = closed.is_none();
        match (closed.map(|closed| closed > 0), expulsion.ban) {
            (Some(true), Some(_)) => self.reach("ban", "closes"),
            (Some(false), Some(_)) => self.reach("ban", "closes nobody"),
            (Some(_), None) => self.reach("kick", "closes"),
            (None, _) => self.reach("kick", "is refused"),
        }
    }

    /// An administrator lets somebody in again. Returns the wish's number.
    pub fn lift(&mut self, whom: Whom) -> usize {
        self.lifts.push(Lift { whom, answered: None });
        self.lifts.len() - 1
    }

    /// It was answered.
    pub fn lift_answered(&mut self, which: usize, ok: bool) {
        self.lifts[which].answered = Some(self.now);
        self.reach("ban", if ok { "is lifted" } else { "is none" });
    }

    /// Whether an administrator may have closed a connection.
    pub fn may_be_expelled(&self, no: usize) -> bool {
        self.expelled.iter().any(|expulsion| self.may_concern(expulsion, no))
    }

    /// Whether more than one may have: whoever is leaving for one is closed at once for the next.
    pub fn may_be_expelled_again(&self, no: usize) -> bool {
        self.expelled.iter().filter(|expulsion| self.may_concern(expulsion, no)).count() > 1
    }

    fn may_concern(&self, expulsion: &Expulsion, no: usize) -> bool {
        let voice = &self.voices[no];
        if expulsion.answer.is_some_and(|answer| answer.closed.is_none_or(|closed| closed == 0))
            || expulsion.ban.is_some() && voice.login.is_some()
        {
            return false;
        }
        let until = expulsion.answer.map_or(self.now, |answer| answer.at);
        let was_there = voice.opened.is_some_and(|opened| opened <= until)
            && voice.closed.is_none_or(|closed| closed >= expulsion.sent);
        was_there
            && match &expulsion.whom {
                Whom::Nick(nick) => self.could_be_called(no, nick, expulsion.sent, until),
                Whom::Session(session) => *session == no,
                Whom::Place(_) => self.place_of(no).is(&expulsion.whom),
            }
    }

    /// Whether somebody is still to go, or it is too early to say that nobody is.
    pub fn awaits_expulsion(&self) -> bool {
        self.expelled.iter().any(|expulsion| !expulsion.is_done && expulsion.answer.is_some())
    }

    /// Whoever was to be closed is closed in time: all who were meant for certain, and as many as the reply said.
    pub fn check_expulsions(&mut self, now: u64, resumed: u64) {
        for which in 0..self.expelled.len() {
            let expulsion = &self.expelled[which];
            let Some(answer) = expulsion.answer else { continue };
            if expulsion.is_done || now < answer.at.max(resumed) + LEAVING_MAX {
                continue;
            }
            let stays = expulsion.holders.iter().find(|(no, _)| self.voices[*no].reason.is_none());
            assert!(stays.is_none(), "{:?} was to be closed, and #{stays:?} stays", expulsion.whom);
            let went = |no: &usize| {
                let voice = &self.voices[*no];
                let by_hand = |reason: &CloseReason| {
                    matches!(reason, CloseReason::Kicked | CloseReason::Banned) || is_abrupt(reason)
                };
                voice.reason.as_ref().is_some_and(|(reason, at)| {
                    by_hand(reason) && *at >= expulsion.sent && self.may_concern(expulsion, *no)
                })
            };
            let (went, closed) = ((0..self.voices.len()).filter(went).count(), answer.closed);
            assert!(
                closed.is_some_and(|closed| went as u64 >= closed),
                "{:?}: {closed:?} were to be closed, and {went} were",
                expulsion.whom
            );
            self.expelled[which].is_done = true;
        }
    }

    /// The network that a connection over TCP comes from.
    fn place_of(&self, no: usize) -> Whom {
        Whom::Place(no as u64 % self.places)
    }

    /// A ban that was certainly in force from a moment until now.
    fn ban_in_force(&self, whom: &Whom, since: u64) -> Option<&Expulsion> {
        let now = self.now;
        // Whatever was decided of the same name or network behind a ban is in its place.
        let is_undone = |ban: &Expulsion| {
            let mut others = self.expelled.iter().filter(|other| other.is_ban_of(whom));
            let ends = others.any(|other| other.may_come_after(ban.sent) && other.until() <= now);
            let mut lifts = self.lifts.iter().filter(|lift| lift.whom.is(whom));
            ends || lifts.any(|lift| lift.answered.is_none_or(|at| at >= ban.sent))
        };
        let holds = |ban: &&Expulsion| {
            let is_decided = ban.answer.is_some_and(|answer| answer.at <= since);
            ban.is_ban_of(whom) && is_decided && now < ban.until() && !is_undone(ban)
        };
        self.expelled.iter().find(holds)
    }

    /// A name was granted that was asked for at `sent`: no ban keeps it out.
    pub fn check_not_banned(&self, no: usize, nick: &str, sent: u64) {
        let ban = self.ban_in_force(&Whom::Nick(nick.to_owned()), sent);
        assert!(ban.is_none(), "#{no} got the name `{nick}`, which is banned: {ban:?}");
    }

    /// A connection was let in: no ban keeps its network out.
    pub fn check_let_in(&self, no: usize) {
        let is_local = self.voices[no].login.is_some();
        let ban = self.ban_in_force(&self.place_of(no), self.now).filter(|_| !is_local);
        assert!(ban.is_none(), "#{no} was let in from a network that is banned: {ban:?}");
    }

    /// A name was refused as banned that was asked for at `sent`: some ban may have been in force.
    pub fn check_banned(&mut self, no: usize, nick: &str, sent: u64) {
        let (now, whom) = (self.now, Whom::Nick(nick.to_owned()));
        let ban = self.expelled.iter().any(|ban| ban.may_hold(&whom, sent, now));
        assert!(ban, "#{no} was refused the name `{nick}` as banned, which it is not");
        self.reach("ban", "keeps out");
    }

    /// Whether a connection may be refused for where it comes from.
    pub fn may_be_kept_out(&self, no: usize) -> bool {
        let (now, place) = (self.now, self.place_of(no));
        let is_local = self.voices[no].login.is_some();
        !is_local && self.expelled.iter().any(|ban| ban.may_hold(&place, now, now))
    }
}
