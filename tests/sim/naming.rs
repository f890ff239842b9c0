//! The oracle's knowledge of names: who is called what for certain, who may be, and from that who may have been kicked, and
//! whether a name was refused though it was free.

use crate::oracle::{Oracle, Wish};

/// What of two names is compared.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
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
    pub fn nick_answered(&mut self, no: usize, request: [u8; 16], granted: bool, taken: bool) {
        let wishes = &self.voices[no].wishes;
        let open = wishes
            .iter()
            .position(|wish| wish.request.is_some() && wish.granted.is_none())
            .unwrap_or_else(|| panic!("#{no} got an answer more than it has requests"));
        let wish = &wishes[open];
        assert_eq!(wish.request, Some(request), "#{no} got its answers out of order");
        let nick = wish.nick.clone();
        self.named(no, open, granted.then_some(&*nick), taken);
    }

    /// A wish was answered: with the name that the connection has from there on, or not, perhaps since it is `taken`.
    pub fn named(&mut self, no: usize, which: usize, nick: Option<&str>, taken: bool) {
        let known = self.now;
        let wish = &mut self.voices[no].wishes[which];
        (wish.granted, wish.known) = (Some(nick.is_some()), known);
        let (wished, sent) = (wish.nick.clone(), wish.sent);
        let Some(nick) = nick else {
            let holder = self.others(no).any(|other| {
                self.voices[other].closed.is_none_or(|closed| closed >= sent)
                    && self.may_be_called(other, &wished)
            });
            assert!(!taken || holder, "#{no} was refused the name `{wished}`, which nobody has");
            return;
        };
        assert!(
            wished.is_empty() || wished == nick,
            "#{no} asked for `{wished}` and is called `{nick}`"
        );
        nick.clone_into(&mut wish.nick);
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
            || voice.wishes.iter().any(wished)
    }

    /// Whether it may be gone, or going, by its own doing or an administrator's.
    pub fn may_be_leaving(&self, no: usize) -> bool {
        let voice = &self.voices[no];
        voice.leaving || voice.closed.is_some() || self.stopping || self.may_be_expelled(no)
    }

    /// Whether an administrator may have closed it.
    pub fn may_be_expelled(&self, no: usize) -> bool {
        self.expelled.iter().any(|nick| self.may_be_called(no, nick))
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
