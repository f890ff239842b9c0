//! `[[room]]`: rooms that always exist, and how much of each is kept. What a room does not say it has from `[history]`.

use std::collections::BTreeMap;

use hub::LastingRoom;
use proto::RoomName;

use super::load::{ConfigError, RoomSettings, Settings};
use super::table::Value;
use super::{size, text};
use crate::history::Limits;

/// The rooms for the hub.
pub(super) fn lasting(settings: &Settings) -> BTreeMap<RoomName, LastingRoom> {
    let room = |room: &RoomSettings| {
        let topic = match value(room, "topic") {
            Some(Value::Text(topic)) => Some(topic.as_str().into()),
            _ => None,
        };
        (room.name.clone(), LastingRoom { topic })
    };
    settings.rooms.iter().map(room).collect()
}

/// What is kept of those that say something about it themselves.
pub(super) fn limits(settings: &Settings, usual: Limits) -> BTreeMap<RoomName, Limits> {
    let own = |room: &RoomSettings| {
        let number = |name, usual| match value(room, name) {
            Some(Value::Size(size)) => size.map(|size| size as u64),
            _ => usual,
        };
        let own = Limits {
            max_age: match value(room, "max_age") {
                Some(Value::Span(span)) => *span,
                _ => usual.max_age,
            },
            max_messages: number("max_messages", usual.max_messages),
            max_bytes: number("max_bytes", usual.max_bytes),
        };
        (own != usual).then(|| (room.name.clone(), own))
    };
    settings.rooms.iter().filter_map(own).collect()
}

/// All of them are among the rooms that there may be, with the default room.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let home = text(settings, "server", "default_room");
    let home = RoomName::parse(&home).expect("it was checked");
    let count = settings.rooms.iter().filter(|room| room.name != home).count() + 1;
    match (size(settings, "limits", "rooms"), settings.rooms.last()) {
        (Some(most), Some(last)) if most < count => Err(ConfigError {
            place: last.origin.to_string(),
            message: format!(
                "with this [[room]] there are {count} rooms, and limits.rooms is {most}; raise it"
            ),
        }),
        _ => Ok(()),
    }
}

fn value<'a>(room: &'a RoomSettings, name: &str) -> Option<&'a Value> {
    room.get(name).map(|setting| &setting.value)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proto::Span;

    use super::super::Config;
    use super::*;
    use crate::args::Args;

    fn load(text: &str) -> Result<Config, String> {
        let mut settings = Settings::new();
        let read = settings.read(Path::new("chatd.toml"), text);
        let machine =
            read.and_then(|()| super::super::put_machine(&mut settings, &Args::default()));
        machine.and_then(|()| Config::from_settings(settings)).map_err(|error| error.to_string())
    }

    fn refusal(text: &str) -> String {
        load(text).unwrap_err()
    }

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).unwrap()
    }

    const TWO: &str = "[history]\nmax_age = \"9d\"\nmax_messages = 7\n[[room]]\nname = \"#Ops\"\ntopic = \"Deploys\"\nmax_age = \"off\"\n\
                       [[room]]\nname = \"dev\"\nmax_messages = 5\nmax_bytes = \"1MiB\"\n[[room]]\nname = \"lobby\"\n";

    #[test]
    fn rooms_are_the_hubs_and_what_they_do_not_say_they_have_from_the_history() {
        let config = load(TWO).unwrap();
        let rooms = config.settings(5).lasting_rooms;
        assert_eq!(rooms.len(), 3);
        assert_eq!(rooms[&name("ops")].topic.as_deref(), Some("Deploys"));
        assert_eq!(rooms[&name("dev")].topic, None);
        let kept = &config.retention.rooms;
        let ops = Limits { max_age: None, max_messages: Some(7), max_bytes: None };
        assert_eq!(kept[&name("ops")], ops);
        let nine = Some(Span::from_secs(9 * 86_400));
        let dev = Limits { max_age: nine, max_messages: Some(5), max_bytes: Some(1 << 20) };
        assert_eq!(kept[&name("dev")], dev);
        assert!(!kept.contains_key(&name("lobby")), "it says nothing of its own");
    }

    #[test]
    fn what_is_in_effect_can_be_read_again() {
        let printed = load(TWO).unwrap().print_effective();
        assert!(printed.contains("[[room]]\nname = \"#Ops\""), "{printed}");
        let again = load(&printed).unwrap();
        assert_eq!(again.settings(5).lasting_rooms, load(TWO).unwrap().settings(5).lasting_rooms);
        assert_eq!(again.retention, load(TWO).unwrap().retention);
        assert!(!load("").unwrap().print_effective().contains("room]"));
    }

    #[test]
    fn a_room_that_is_wrong_names_its_line_and_the_nearest_key() {
        for (text, wrong) in [
            ("[[room]]\n", "1: write each room as [[room]] and, below it, name = \"NAME\""),
            (
                "\n[[room]]\ntopic = \"x\"\n",
                "2: write each room as [[room]] and, below it, name = \"NAME\"",
            ),
            ("room = [\"ops\"]\n", "1: write each room as [[room]] and, below it, name = \"NAME\""),
            ("[room]\nname = \"x\"\n", "1: write this section as [[room]]"),
            ("[[rooms]]\n", "1: unknown section 'rooms'; did you mean 'room'?"),
            (
                "[[room]]\nmax_mesages = 5\n",
                "2: unknown key 'room.max_mesages'; did you mean 'room.max_messages'?",
            ),
            (
                "[[room]]\nname = \"a b\"\n",
                "2: room.name: The room name has the character U+0020; use letters a-z, digits and . _ + - only.",
            ),
            (
                "[[room]]\nname = \"a\"\nmax_age = \"7\"\n",
                "3: room.max_age: '7' is no duration; write a number and ms, s, m, h or d, such as 10s",
            ),
            (
                "[[room]]\nname = \"a\"\n[[room]]\nname = \"#A\"\n",
                "3: room 'a' has its [[room]] at chatd.toml:1",
            ),
        ] {
            assert_eq!(refusal(text), format!("chatd.toml:{wrong}"));
        }
        let topic = refusal("[[room]]\nname = \"a\"\ntopic = \"\"\n");
        assert!(
            topic.starts_with("chatd.toml:3: room.topic: write a line of 1 to 390 bytes"),
            "{topic}"
        );
        assert!(refusal("[[room]]\nname = \"a\"\ntopic = \"a\\nb\"\n").contains("control"));
    }

    #[test]
    fn there_are_no_more_rooms_than_there_may_be() {
        let text = "[limits]\nrooms = 2\n[[room]]\nname = \"a\"\n[[room]]\nname = \"b\"\n";
        let wrong = "with this [[room]] there are 3 rooms, and limits.rooms is 2; raise it";
        assert_eq!(refusal(text), format!("chatd.toml:5: {wrong}"));
        let many: Vec<String> =
            (0..1_001).map(|no| format!("[[room]]\nname = \"r{no}\"\n")).collect();
        assert!(refusal(&many.concat()).contains("there are 1000 [[room]]s already"));
    }
}
