//! What the oracle holds of messages to one nickname, and of receipts: each message reaches whoever has the name exactly once, or
//! its author got an error; `delivered` comes at most once by message and receiver, and only after that receiver's receipt.

use std::collections::{BTreeMap, BTreeSet};

use crate::hearing::brief;
use crate::oracle::{Oracle, author_of};

/// What makes a post one to a nickname.
#[derive(Debug, Default)]
pub struct Direct {
    pub to: String,
    /// When it was sent first.
    pub sent: u64,
    /// Who had the name when it was sent, and how many names they had asked for.
    pub holders: Vec<(usize, usize)>,
    /// The time of its first reply.
    pub time: Option<String>,
    /// Whom it has reached, and how much of it.
    pub heard: BTreeMap<usize, usize>,
    pub from: Option<String>,
}

/// What a post's author knows of receipts.
#[derive(Debug, Default)]
pub struct Receipts {
    pub wanted: bool,
    /// Who has sent one.
    pub sent: BTreeSet<usize>,
    /// Whose was accepted.
    pub accepted: BTreeSet<usize>,
    /// The names of those events that came.
    pub delivered: Vec<String>,
}

impl Oracle {
    /// A message to a nickname came, or to v0.5 a part of it: the text from where the last part ended.
    fn reached(&mut self, no: usize, from: &str, (who, count): (usize, usize), whole: bool) {
        self.deliveries += 1;
        let post = &mut self.voices[who].posts[count];
        let direct = post.direct.as_mut();
        let direct = direct.unwrap_or_else(|| panic!("#{no} got post {count} of #{who} in secret"));
        let before = direct.from.replace(from.to_owned());
        assert!(
            before.is_none_or(|before| before == from),
            "post {count} of #{who} came from two names"
        );
        if whole {
            let before = direct.heard.insert(no, post.content.len());
            assert!(before.is_none(), "#{no} got post {count} of #{who} twice");
        }
        let (to, sent) = (direct.to.clone(), direct.sent);
        let was_meant = self.could_be_called(no, &to, sent, self.now);
        assert!(was_meant, "#{no} got what is for `{to}`, which it was not called then");
        let is_v1 = self.voices[no].login.is_some() || self.sessions.contains_key(&no);
        self.reach("hear", if is_v1 { "direct" } else { "direct in v0.5" });
    }

    /// A v1 client got a message that is for one nickname.
    pub fn direct_message(
        &mut self,
        no: usize,
        (from, to): (&str, &str),
        content: &[u8],
        id: &str,
    ) -> (usize, usize) {
        let author = author_of(content).expect("what is said to one nickname has its mark");
        let post = &self.voices[author.0].posts[author.1];
        assert!(post.content == content, "#{no} got {author:?} with other content");
        let known = post.id.map(|id| crate::asking::uuid_text(&id));
        assert_eq!(known.as_deref(), Some(id), "#{no} got {author:?} with another id");
        let wanted = post.direct.as_ref().map_or("nobody", |direct| &direct.to);
        assert!(wanted.eq_ignore_ascii_case(to), "#{no} got {author:?} for `{to}`, not `{wanted}`");
        self.reached(no, from, author, true);
        author
    }

    /// A v0.5 client got a Broadcast that is for it alone, or a part of it.
    pub fn direct_broadcast(&mut self, no: usize, from: &str, text: &str) {
        let begun = self.ears[no].direct.take();
        let fresh = || (author_of(text.as_bytes()).expect("it has its mark"), 0);
        let (author, part) = begun.unwrap_or_else(fresh);
        let whole = String::from_utf8_lossy(&self.voices[author.0].posts[author.1].content);
        let rest = &whole[part..];
        assert!(rest.starts_with(text), "#{no} got `{}`, not `{}`", brief(text), brief(rest));
        let is_last = rest.len() == text.len();
        if !is_last {
            self.ears[no].direct = Some((author, part + text.len()));
        }
        self.reached(no, from, author, is_last);
    }

    /// A message to a nickname was answered.
    pub fn direct_answered(&mut self, no: usize, count: usize, time: Option<&str>, code: &str) {
        self.under_way.remove(&(no, count));
        let direct = self.voices[no].posts[count].direct.as_mut().expect("it is for one nickname");
        if let Some(time) = time {
            let first = direct.time.get_or_insert_with(|| time.to_owned());
            assert_eq!(first, time, "post {count} of #{no} was taken at two times");
            self.reach("direct", "delivered");
            return;
        }
        let holders = direct.holders.clone();
        // On the control socket the sending connection alone is nobody to write to.
        let is_itself = |holder: usize| holder == no && self.voices[no].login.is_some();
        let there =
            holders.into_iter().find(|holder| self.still_holds(*holder) && !is_itself(holder.0));
        assert!(
            code != "no_such_nick" || there.is_none(),
            "post {count} of #{no} found nobody, and #{there:?} has the name"
        );
        if code == "no_such_nick" {
            self.reach("direct", "nobody");
        }
    }

    /// A receipt goes to the author of a post.
    pub fn receipt_sent(&mut self, no: usize, (who, count): (usize, usize)) {
        let is_first = self.voices[who].posts[count].receipts.sent.insert(no);
        if !is_first {
            self.reach("receipt", "again");
        }
        *self.under_way.entry((who, count)).or_default() += 256;
    }

    /// It was accepted.
    pub fn receipt_accepted(&mut self, no: usize, (who, count): (usize, usize)) {
        let receipts = &mut self.voices[who].posts[count].receipts;
        assert!(receipts.wanted, "#{no} gave a receipt that #{who} did not want");
        receipts.accepted.insert(no);
        self.reach("receipt", "accepted");
    }

    /// An author heard that somebody has its message.
    pub fn delivered(&mut self, no: usize, id: &str, by: &str) {
        let has_id =
            |id_of: Option<[u8; 16]>| id_of.is_some_and(|of| crate::asking::uuid_text(&of) == id);
        let posts = &self.voices[no].posts;
        let mine = posts.iter().position(|post| has_id(post.id) && !post.receipts.sent.is_empty());
        let mine = mine.unwrap_or_else(|| panic!("#{no}: {by} gave no receipt of {id}"));
        let receipts = &posts[mine].receipts;
        assert!(receipts.wanted, "#{no} wanted no receipts of {id}");
        let by_them = receipts.delivered.iter().filter(|name| *name == by).count();
        let senders =
            receipts.sent.iter().filter(|sender| self.may_be_called(**sender, by)).count();
        assert!(
            by_them < senders && receipts.delivered.len() < receipts.sent.len(),
            "#{no} hears again that {by} has {id}, from {:?}",
            receipts.sent
        );
        let is_direct = posts[mine].direct.is_some();
        assert!(!is_direct || receipts.delivered.is_empty(), "#{no}: {id} was for one");
        self.voices[no].posts[mine].receipts.delivered.push(by.to_owned());
        self.reach("receipt", "delivered");
    }

    /// The bytes of messages and receipts that are said to one and may be on their way through the daemon.
    pub fn directs_under_way(&self) -> usize {
        self.under_way.values().sum()
    }

    /// At the end, after everything flowed: what was answered `ok` has reached those who have had the name all the time, what was
    /// refused nobody; and every accepted receipt has reached the author.
    pub fn check_directs(&self, no: usize) {
        let voice = &self.voices[no];
        for (count, post) in voice.posts.iter().enumerate() {
            let receivers = self.receivers(&post.receipts.accepted);
            let delivered = post.receipts.delivered.len();
            let due = if post.direct.is_some() { receivers.min(1) } else { receivers };
            assert!(
                delivered >= due,
                "#{no} heard of {delivered} of {receivers} receipts of its post {count}"
            );
            let Some(direct) = &post.direct else { continue };
            if direct.time.is_none() {
                assert!(
                    direct.heard.is_empty(),
                    "post {count} of #{no} was refused and reached {:?}",
                    direct.heard
                );
                continue;
            }
            let missed = direct
                .holders
                .iter()
                .find(|holder| self.still_holds(**holder) && !direct.heard.contains_key(&holder.0));
            assert!(
                missed.is_none(),
                "post {count} of #{no} was acknowledged and not {missed:?}'s"
            );
        }
    }

    /// How many of these surely count apart: those that may have had one name, at different times, may count once.
    fn receivers(&self, who: &BTreeSet<usize>) -> usize {
        let mut groups: Vec<BTreeSet<String>> = Vec::new();
        for no in who {
            let mut names = self.names_of(*no);
            groups.retain(|group| {
                let apart = group.is_disjoint(&names);
                if !apart {
                    names.extend(group.iter().cloned());
                }
                apart
            });
            groups.push(names);
        }
        groups.len()
    }
}
