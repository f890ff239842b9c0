//! The views: one by room, one by person, one for the talk, one for the server; which of them is seen, and what is unread in the
//! others.

use super::entry::{Entry, What};
use super::log::{ENTRIES_BACK_MAX, ENTRIES_MAX, Log};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Which view. They sort as they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViewName {
    /// Where this client and the server speak.
    Server,
    /// A room.
    Room(String),
    /// One person, by the nickname in small letters.
    Nick(String),
    /// The talk.
    Talk,
}

/// What is known of the messages before those that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Older {
    /// There may be some.
    Unknown,
    /// They have been asked for.
    Asked,
    /// There are none, or none that are kept.
    None,
}

/// A view.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name for people: `#lobby`, `@Bob`.
    pub title: String,
    /// Its lines.
    pub log: Log,
    /// How many messages came since it was seen.
    pub unread: usize,
    /// How many of them name us, or are for us alone.
    pub mentions: usize,
    /// The first of them, while it is not seen and as long as it is seen then: a line is drawn before it.
    pub first_unread: Option<u64>,
    /// Whether there are older messages.
    pub older: Older,
    /// So far back they have come, also where nobody wants to hear them and none is here.
    pub(super) came_from: Option<u64>,
    /// Whether somebody reads far back.
    pub is_back: bool,
}

/// All views; there is always the server's.
#[derive(Clone, Debug)]
pub struct Views {
    all: BTreeMap<ViewName, View>,
    focus: ViewName,
}

impl ViewName {
    /// The view of one person.
    pub fn of_nick(nick: &str) -> Self {
        Self::Nick(folded(nick))
    }

    /// The room, where it is one's view.
    pub fn room(&self) -> Option<&str> {
        match self {
            Self::Room(room) => Some(room),
            Self::Server | Self::Nick(_) | Self::Talk => None,
        }
    }
}

/// A name as it is compared: without regard to case.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl Default for Views {
    fn default() -> Self {
        let all = BTreeMap::from([(ViewName::Server, View::new("server"))]);
        Self { all, focus: ViewName::Server }
    }
}

impl View {
    fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            log: Log::default(),
            unread: 0,
            mentions: 0,
            first_unread: None,
            older: Older::Unknown,
            came_from: None,
            is_back: false,
        }
    }

    /// Whether something in it is worth a look.
    pub fn is_active(&self) -> bool {
        self.unread > 0
    }
}

impl Views {
    /// All of them, as they are shown.
    pub fn iter(&self) -> impl Iterator<Item = (&ViewName, &View)> {
        self.all.iter()
    }

    /// One of them.
    pub fn view(&self, name: &ViewName) -> Option<&View> {
        self.all.get(name)
    }

    /// The one that is seen.
    pub fn focus(&self) -> &ViewName {
        &self.focus
    }

    /// The next one with something unread, those with mentions first: what Alt-A goes to.
    pub fn next_active(&self) -> Option<&ViewName> {
        let rank = |view: &View| usize::from(view.mentions == 0);
        let active = self.all.iter().filter(|(_, view)| view.is_active());
        active.min_by_key(|(_, view)| rank(view)).map(|(name, _)| name)
    }

    /// The view, made where there is none.
    pub(super) fn open(&mut self, name: &ViewName, title: &str) -> &mut View {
        self.all.entry(name.clone()).or_insert_with(|| View::new(title))
    }

    /// One of them, to change it.
    pub(super) fn view_mut(&mut self, name: &ViewName) -> Option<&mut View> {
        self.all.get_mut(name)
    }

    /// Sees another view: what was unread there is read, and its line is drawn until another is seen.
    pub(super) fn see(&mut self, name: &ViewName) {
        assert!(self.all.contains_key(name), "what is seen is there");
        if self.focus != *name {
            self.leave();
            self.focus = name.clone();
        }
        if let Some(view) = self.all.get_mut(name) {
            (view.unread, view.mentions) = (0, 0);
        }
        assert!(self.all[&self.focus].unread == 0, "what is seen is read");
    }

    /// Closes a view; the one that is seen makes way for a neighbour.
    pub(super) fn close(&mut self, name: &ViewName) {
        assert!(*name != ViewName::Server, "the server's view is always there");
        let was_seen = self.focus == *name;
        self.all.remove(name);
        if was_seen {
            let before = self.all.range(..name.clone()).next_back();
            let next = before.map_or(ViewName::Server, |(name, _)| name.clone());
            self.focus = next.clone();
            self.see(&next);
        }
    }

    /// Puts a line into a view that is there, and counts it where somebody else says it and nobody sees it.
    pub(super) fn put(
        &mut self,
        name: &ViewName,
        time: Timestamp,
        place: Option<u64>,
        what: What,
    ) -> Option<u64> {
        let is_seen = self.focus == *name;
        let view = self.all.get_mut(name)?;
        let said = match &what {
            What::Message(message) if !message.is_own => Some(message.is_mention),
            What::Message(_) | What::Gap { .. } | What::Event(_) | What::Note(_) => None,
        };
        let number = view.log.put(time, place, what);
        if let Some(is_mention) = said.filter(|_| !is_seen) {
            view.unread += 1;
            view.mentions += usize::from(is_mention);
            view.first_unread.get_or_insert(number);
        }
        view.trim();
        Some(number)
    }

    fn leave(&mut self) {
        if let Some(view) = self.all.get_mut(&self.focus) {
            view.first_unread = None;
            view.is_back = false;
            view.trim();
        }
    }
}

impl View {
    /// Forgets the oldest lines past the limit; they can be asked for again.
    pub(super) fn trim(&mut self) {
        let most = if self.is_back { ENTRIES_BACK_MAX } else { ENTRIES_MAX };
        if self.log.trim(most) {
            self.came_from = None;
            if self.older == Older::None {
                self.older = Older::Unknown;
            }
        }
    }

    /// Before which place older messages are to be asked for; none where nothing of the room is here.
    pub(super) fn oldest(&self) -> Option<u64> {
        [self.log.oldest_place(), self.came_from].into_iter().flatten().min()
    }

    /// The last line that is a message.
    pub fn last_message(&self) -> Option<&Entry> {
        self.log.entries().rev().find(|entry| entry.message().is_some())
    }
}
