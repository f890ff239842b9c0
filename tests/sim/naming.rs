//! The oracle's knowledge of names: who is called what for certain, who may be or may have been at a time, and whether a name was
//! refused though it was free, or granted though it was not.

use std::collections::BTreeSet;

use crate::oracle::{Oracle, Wish};

/// Why a name was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Somebody has it.
    Taken,
    /// An administrator keeps it out.
    Banned,
    /// It is no name, or too many were asked for.
    Otherwise,
}

impl Refused {
    /// Why, as v1 says it.
    pub fn of_code(code: &str) -> Self {
        match code {
            "nickname_in_use" => Self::Taken,
            "forbidden" => Self::Banned,
            _ => Self::Otherwise,
        }
    }

    /// Why, as v0.5 says it.
    pub fn of_text(text: &str) -> Self {
        match text {
            "Nickname already taken." => Self::Taken,
            _ if text.contains("` is banned") => Self::Banned,
            _ => Self::Otherwise,
        }
    }
}

/// What of two names is compared.
pub fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether a name may be one that the daemon made: a guest's, or an address.
fn is_generated(nick: &str) -> bool {
    nick.starts_with("guest-") || nick.starts_with("sim:")
}

impl Oracle {
    /// The daemon closed a connection.
    pub fn closed(&mut self, no: usize) {
        self.voices[no].closed = Some(self.now);
    }

    /// A connection asks for a nickname in a frame that ends at `end` of its stream.
    pub fn wish(&mut self, no: usize, request: Option<[u8; 16]>, nick: String, end: u64) {
        let sent = self.now;
        let voice = &mut self.voices[no];
        let after_posts = voice.posts.len();
        voice.wishes.push(Wish { request, nick, after_posts, granted: None, end, sent, known: 0 });
    }

    /// A nickname of v0.5 was granted or not: answers come in the order of the requests, one each.
    pub fn nick_answered(&mut self, no: usize, request: [u8; 16], why: Option<Refused>) {
        let wishes = &self.voices[no].wishes;
        let open = wishes
            .iter()
            .position(|wish| wish.request.is_some() && wish.granted.is_none())
            .unwrap_or_else(|| panic!("#{no} got an answer more than it has requests"));
        let wish = &wishes[open];
        assert_eq!(wish.request, Some(request), "#{no} got its answers out of order");
        let nick = wish.nick.clone();
        self.named(no, open, why.map_or(Ok(&*nick), Err));
    }

    /// A wish was answered: with the name that the connection has from there on, or not.
    pub fn named(&mut self, no: usize, which: usize, nick: Result<&str, Refused>) {
        let known = self.now;
        let wish = &mut self.voices[no].wishes[which];
        (wish.granted, wish.known) = (Some(nick.is_ok()), known);
        let (wished, sent) = (wish.nick.clone(), wish.sent);
        let nick = match nick {
            Ok(nick) => nick,
            Err(Refused::Taken) => {
                let holder = self.others(no).any(|other| {
                    self.voices[other].closed.is_none_or(|closed| closed >= sent)
                        && self.could_be_called(other, &wished, sent, known)
                });
                assert!(holder, "#{no} was refused the name `{wished}`, which nobody has");
                return;
            }
            Err(Refused::Banned) => return self.check_banned(no, &wished, sent),
            Err(Refused::Otherwise) => return,
        };
        assert!(
            wished.is_empty() || wished == nick,
            "#{no} asked for `{wished}` and is called `{nick}`"
        );
        nick.clone_into(&mut wish.nick);
        self.check_not_banned(no, nick, sent);
        let holder = self.others(no).find(|other| {
            let voice = &self.voices[*other];
            let before = voice.wishes.last().is_some_and(|wish| wish.known < sent);
            before
                && voice.closed.is_none()
                && self.called(*other).is_some_and(|has| same(has, nick))
        });
        assert!(holder.is_none(), "#{no} got the name `{nick}`, which #{holder:?} has");
    }

    fn others(&self, no: usize) -> impl Iterator<Item = usize> {
        (0..self.voices.len()).filter(move |other| *other != no)
    }

    /// What a connection is called for certain: every wish of its is answered.
    pub fn called(&self, no: usize) -> Option<&str> {
        let voice = &self.voices[no];
        if voice.wishes.iter().any(|wish| wish.granted.is_none()) {
            return None;
        }
        let granted = voice.wishes.iter().rev().find(|wish| wish.granted == Some(true));
        granted.map(|wish| &*wish.nick).or(voice.login.as_deref())
    }

    /// Whether a connection may be or have been called so.
    pub fn may_be_called(&self, no: usize, nick: &str) -> bool {
        let voice = &self.voices[no];
        let wished = |wish: &Wish| match wish.granted {
            Some(false) => false,
            // What a `hello` without a nickname gives is seen in its reply.
            None if wish.nick.is_empty() && wish.request.is_none() => true,
            Some(true) | None => same(&wish.nick, nick),
        };
        voice.login.as_deref().is_some_and(|login| same(login, nick))
            || voice.names.iter().any(|name| same(name, nick))
            || voice.is_guest && is_generated(nick)
            || voice.wishes.iter().any(wished)
    }

    /// Whether a connection may have been called so at some moment of a time.
    pub fn could_be_called(&self, no: usize, nick: &str, from: u64, to: u64) -> bool {
        let voice = &self.voices[no];
        // The last name that it certainly had before that time: the names before it were no longer its own.
        let first = voice
            .wishes
            .iter()
            .rposition(|wish| wish.granted == Some(true) && wish.known < from)
            .filter(|_| voice.login.is_none());
        let fits = |wish: &Wish| match wish.granted {
            Some(false) => false,
            None if wish.nick.is_empty() && wish.request.is_none() => true,
            Some(true) | None => same(&wish.nick, nick),
        };
        let wishes = &voice.wishes[first.unwrap_or(0)..];
        voice.login.as_deref().is_some_and(|login| same(login, nick))
            || first.is_none() && voice.names.iter().any(|name| same(name, nick))
            || first.is_none() && voice.is_guest && is_generated(nick)
            || wishes.iter().any(|wish| wish.sent <= to && fits(wish))
    }

    /// All that a connection may be or have been called, without capitals.
    pub fn names_of(&self, no: usize) -> BTreeSet<String> {
        let voice = &self.voices[no];
        let wished = voice.wishes.iter().filter(|wish| wish.granted != Some(false));
        let wished = wished.map(|wish| &wish.nick);
        let all = voice.login.iter().chain(&voice.names).chain(wished);
        all.map(|name| name.to_ascii_lowercase()).collect()
    }

    /// Whether it may be gone, or going, by its own doing or an administrator's.
    pub fn may_be_leaving(&self, no: usize) -> bool {
        let voice = &self.voices[no];
        voice.leaving || voice.closed.is_some() || self.stopping || self.may_be_expelled(no)
    }

    /// Those who are called so for certain and are there, and how many names they have asked for.
    pub fn holders(&self, nick: &str) -> Vec<(usize, usize)> {
        let is = |no: &usize| {
            let is_there = self.voices[*no].opened.is_some() && !self.may_be_leaving(*no);
            is_there && self.called(*no).is_some_and(|name| same(name, nick))
        };
        (0..self.voices.len()).filter(is).map(|no| (no, self.voices[no].wishes.len())).collect()
    }

    /// Whether one of the holders of a name is still there and is still called so.
    pub fn still_holds(&self, (no, wishes): (usize, usize)) -> bool {
        !self.may_be_leaving(no) && self.voices[no].wishes.len() == wishes
    }

    /// At the end: every message carries the name that its author had at that place of its stream.
    pub fn check_names(&self) {
        for (no, voice) in self.voices.iter().enumerate() {
            let mut name: Option<&str> = voice.login.as_deref();
            let mut wishes = voice.wishes.iter().peekable();
            for (count, post) in voice.posts.iter().enumerate() {
                while let Some(wish) = wishes.next_if(|wish| wish.after_posts <= count) {
                    match wish.granted {
                        Some(true) => name = Some(&wish.nick),
                        Some(false) => {}
                        None => name = None,
                    }
                }
                let said = post.message.map(|message| &*self.messages[message].from);
                let direct = post.direct.as_ref().and_then(|direct| direct.from.as_deref());
                let Some(from) = said.or(direct).filter(|_| !post.resent) else { continue };
                match post.as_nick.as_deref().or(name) {
                    Some(name) => {
                        assert_eq!(from, name, "post {count} of #{no} has another's name");
                    }
                    None => name = Some(from),
                }
            }
        }
    }
}
