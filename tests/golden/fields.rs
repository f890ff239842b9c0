//! The fields of replies and events that docs/protocol.md names are those that the scripts show: every one that is named is seen,
//! and every one that is seen is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proto::REQUESTS;
use proto::vocabulary::EVENTS;
use serde_json::Value;

use crate::scripts;

type Fields = BTreeSet<String>;

/// The fields of `ok` replies by request, and of events by name, each combination once.
#[derive(Default)]
struct Seen {
    replies: BTreeMap<String, BTreeSet<Fields>>,
    events: BTreeMap<String, BTreeSet<Fields>>,
}

impl Seen {
    fn of_all_scripts() -> Self {
        let mut seen = Self::default();
        for (name, path) in scripts() {
            seen.read(&name, &fs::read_to_string(path).unwrap());
        }
        seen
    }

    fn read(&mut self, script: &str, text: &str) {
        let mut asked: BTreeMap<(&str, String), String> = BTreeMap::new();
        for line in text.lines() {
            if let Some((who, json)) =
                line.strip_prefix("> ").and_then(|line| line.split_once(" asks "))
            {
                if let (Some(request), Some(id)) = (text_of(json, "request"), text_of(json, "id")) {
                    asked.insert((who, id), request);
                }
                continue;
            }
            let Some((who, json)) = line.split_once(": ").filter(|(_, json)| json.starts_with('{'))
            else {
                continue;
            };
            // Behind it may be how often it was said.
            let said = serde_json::Deserializer::from_str(json).into_iter::<Value>().next();
            let said = said.unwrap().unwrap_or_else(|error| panic!("{script}: {line}: {error}"));
            let fields = |without: &[&str]| -> Fields {
                let names = said.as_object().unwrap().keys().cloned();
                names.filter(|name| !without.contains(&name.as_str())).collect()
            };
            if let Some(event) = said["event"].as_str() {
                self.events.entry(event.to_owned()).or_default().insert(fields(&["event"]));
            } else if said["ok"] == true {
                let id = said["reply"].as_str().unwrap().to_owned();
                let Some(request) = asked.get(&(who, id)) else { continue };
                let replies = self.replies.entry(request.clone()).or_default();
                replies.insert(fields(&["reply", "ok"]));
            }
        }
    }
}

/// A text field of a request as it is written; scripts have short forms that are no JSON.
fn text_of(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next().map(str::to_owned)
}

#[test]
fn each_reply_has_the_fields_that_the_document_names() {
    let seen = Seen::of_all_scripts().replies;
    for row in REQUESTS {
        let named: BTreeSet<Fields> = row
            .reply
            .split("; or ")
            .map(|names| names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned))
            .map(Iterator::collect)
            .collect();
        let seen = seen.get(row.name).unwrap_or_else(|| panic!("no reply to `{}`", row.name));
        assert_eq!(*seen, named, "seen and named in replies to `{}`", row.name);
    }
}

#[test]
fn each_event_has_the_fields_that_the_document_names() {
    let seen = Seen::of_all_scripts().events;
    for (event, fields, _) in EVENTS {
        let all = seen.get(*event).unwrap_or_else(|| panic!("no event `{event}`"));
        let mut named = Fields::new();
        for field in fields.split(", ") {
            let one_of: Vec<&str> = field.trim_end_matches('?').split(" or ").collect();
            named.extend(one_of.iter().map(|name| (*name).to_owned()));
            for said in all.iter().filter(|_| !field.ends_with('?')) {
                let there = one_of.iter().filter(|name| said.contains(**name)).count();
                assert_eq!(there, 1, "`{event}` has one of {one_of:?}, and has {said:?}");
            }
        }
        let seen: Fields = all.iter().flatten().cloned().collect();
        assert_eq!(seen, named, "seen and named in `{event}`");
    }
}
