//! The cursor file of a follower: which history, and what of each room has been handed on, so that the next run goes
//! on from there.
//!
//! It is replaced by rename, never written over, so that at any moment there is a whole one. What was handed on is said
//! by its owner: only what the reader of stdout, or the program that was run, has really got.

use crate::failure::Failure;
use proto::{Now, Span};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// After a change the file is replaced so soon at the latest: what a killed follower repeats came within that time.
const SAVE_SPAN: Span = Span::from_millis(500);

/// A file that is longer is no cursor: 10,000 rooms with names of 64 bytes are a tenth of it.
const CURSOR_BYTES_MAX: u64 = 8 << 20;

/// What is said of any other file.
const NO_CURSOR: &str = "it is no cursor file; remove it to begin anew";

/// Where a follower was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The history that the numbers belong to.
    pub history: Option<String>,
    /// The last message of each room that was handed on.
    pub rooms: BTreeMap<String, u64>,
}

/// A cursor file in use.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    /// The rooms that are followed; all where there is none.
    follows: BTreeSet<String>,
    position: Position,
    saved: Option<Position>,
    due: Option<Now>,
    failed: bool,
}

impl Cursor {
    /// Reads the file, and makes sure that it can be replaced. The position is that of the last run, if there was one.
    pub(super) fn open(
        path: &Path,
        follows: &BTreeSet<String>,
    ) -> Result<(Self, Option<Position>), Failure> {
        // The file is replaced where it lies, not the link to it.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let unusable = |error: &io::Error| Failure::file(&path.display().to_string(), error);
        let found = match fs::metadata(&path) {
            Ok(about) if !about.is_file() || about.len() > CURSOR_BYTES_MAX => None,
            Ok(_) => fs::read_to_string(&path).map_err(|error| unusable(&error)).map(Some)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
            Err(error) => return Err(unusable(&error)),
        };
        let found = found.map(|text| understand(&text, follows));
        let Some(Ok(position)) = found else {
            let why = found.and_then(Result::err);
            let why = why.unwrap_or_else(|| NO_CURSOR.to_owned());
            return Err(Failure::usage(format!("--cursor-file {}: {why}", path.display())));
        };
        let cursor = Self {
            path,
            follows: follows.clone(),
            position: position.clone().unwrap_or_default(),
            saved: position.clone(),
            due: None,
            failed: false,
        };
        if position.is_none() {
            let tried = File::create(cursor.fresh()).map(drop);
            let tried = tried.and_then(|()| fs::remove_file(cursor.fresh()));
            tried.map_err(|error| Failure::file(&cursor.path.display().to_string(), &error))?;
        }
        cursor.check_invariants();
        Ok((cursor, position))
    }

    /// All of this has been handed on. Numbers of another history than before mean nothing any more.
    pub(super) fn note(&mut self, now: Now, history: Option<&str>, rooms: &BTreeMap<String, u64>) {
        if self.position.history.as_deref() != history {
            self.position = Position { history: history.map(str::to_owned), ..Position::default() };
        }
        let all = self.follows.is_empty();
        for (room, seq) in rooms.iter().filter(|(room, _)| all || self.follows.contains(*room)) {
            let last = self.position.rooms.entry(room.clone()).or_default();
            *last = (*seq).max(*last);
        }
        if self.saved.as_ref() != Some(&self.position) {
            self.due.get_or_insert(now.after(SAVE_SPAN));
        }
        self.check_invariants();
    }

    /// When the file is to be replaced.
    pub(super) fn due(&self) -> Option<Now> {
        self.due
    }

    /// Replaces the file, if that is due. What goes wrong is said once; the end tries again.
    pub(super) fn save_in_time(&mut self, now: Now) -> Result<(), Failure> {
        if self.due.is_none_or(|due| now < due) {
            return Ok(());
        }
        match self.save() {
            Err(failure) if !self.failed => {
                self.failed = true;
                self.due = Some(now.after(SAVE_SPAN));
                Err(failure)
            }
            Err(_) => {
                self.due = Some(now.after(SAVE_SPAN));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Replaces the file, if anything has changed.
    pub(super) fn save(&mut self) -> Result<(), Failure> {
        if self.saved.as_ref() == Some(&self.position) || self.position.history.is_none() {
            self.due = None;
            return Ok(());
        }
        let saved = self.replace();
        saved.map_err(|error| Failure::file(&self.path.display().to_string(), &error))?;
        self.saved = Some(self.position.clone());
        self.due = None;
        self.failed = false;
        self.check_invariants();
        Ok(())
    }

    fn replace(&self) -> io::Result<()> {
        let mut file = File::create(self.fresh())?;
        file.write_all(written(&self.position, &self.follows).as_bytes())?;
        // The name must not come to stand for less than is in the file, not even when the machine fails.
        file.sync_data()?;
        fs::rename(self.fresh(), &self.path)
    }

    /// Where the next one is written.
    fn fresh(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        PathBuf::from(name)
    }

    fn check_invariants(&self) {
        let all = self.follows.is_empty();
        let known = |room: &String| all || self.follows.contains(room);
        assert!(self.position.rooms.keys().all(known), "only followed rooms have a place");
    }
}

fn written(position: &Position, follows: &BTreeSet<String>) -> String {
    let follows = (!follows.is_empty()).then_some(follows);
    let object = json!({"history": position.history, "follows": follows, "rooms": position.rooms});
    format!("{object}\n")
}

/// What a file says; nothing where it is empty. The numbers of other rooms than are followed now would be lost.
fn understand(text: &str, follows: &BTreeSet<String>) -> Result<Option<Position>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let strange = || NO_CURSOR.to_owned();
    let object: Value = serde_json::from_str(text).map_err(|_| strange())?;
    let history = object["history"].as_str().ok_or_else(strange)?;
    let names = |value: &Value| -> Option<BTreeSet<String>> {
        value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let theirs = match &object["follows"] {
        Value::Null => BTreeSet::new(),
        list => names(list).ok_or_else(strange)?,
    };
    if theirs != *follows {
        let of = if theirs.is_empty() {
            "all rooms".to_owned()
        } else {
            theirs.iter().map(|room| format!("#{room}")).collect::<Vec<_>>().join(", ")
        };
        return Err(format!("it is of a follower of {of}; each needs a file of its own"));
    }
    let rooms = object["rooms"].as_object().ok_or_else(strange)?;
    let rooms: Option<BTreeMap<String, u64>> =
        rooms.iter().map(|(room, seq)| Some((room.clone(), seq.as_u64()?))).collect();
    let rooms = rooms.ok_or_else(strange)?;
    if !follows.is_empty() && !rooms.keys().all(|room| follows.contains(room)) {
        return Err(strange());
    }
    Ok(Some(Position { history: Some(history.to_owned()), rooms }))
}

#[cfg(test)]
mod tests {
    use super::{NO_CURSOR, Position, understand, written};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_file_of_others_is_refused() {
        let lobby = BTreeSet::from(["lobby".to_owned()]);
        assert_eq!(understand("\n", &lobby), Ok(None));
        for text in ["x", "{}", "[1]", "{\"history\":\"h\",\"follows\":[1],\"rooms\":{}}"] {
            assert_eq!(understand(text, &lobby), Err(NO_CURSOR.to_owned()), "{text}");
        }
        let all = written(
            &Position { history: Some("h".to_owned()), ..Position::default() },
            &BTreeSet::new(),
        );
        let why = understand(&all, &lobby).expect_err("another's");
        assert!(why.contains("all rooms"), "{why}");
        let negative = "{\"history\":\"h\",\"follows\":[\"lobby\"],\"rooms\":{\"lobby\":-1}}";
        assert!(understand(negative, &lobby).is_err());
        let foreign = "{\"history\":\"h\",\"follows\":[\"lobby\"],\"rooms\":{\"ops\":1}}";
        assert!(understand(foreign, &lobby).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_understood(
            rooms in proptest::collection::btree_map("[a-z]{1,8}", any::<u64>(), 0..20),
            all in any::<bool>(),
        ) {
            let follows: BTreeSet<String> =
                if all { BTreeSet::new() } else { rooms.keys().cloned().collect() };
            let position = Position { history: Some("h".to_owned()), rooms };
            let text = written(&position, &follows);
            prop_assert_eq!(text.lines().count(), 1);
            prop_assert_eq!(understand(&text, &follows), Ok(Some(position)));
        }

        #[test]
        fn any_file_is_understood_or_refused(text in ".{0,80}") {
            let _ = understand(&text, &BTreeSet::new());
        }
    }
}
