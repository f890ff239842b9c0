//! A line of JSON to a message that can be posted, or to why it cannot.

use crate::client::Fields;
use proto::RoomName;
use proto::client::{content, put_content};
use serde_json::Value;
use uuid::Uuid;

/// A message as it is to be posted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Post {
    /// The message's own id, in its one spelling.
    pub(super) id: String,
    /// Where to, and what.
    pub(super) fields: Fields,
    /// How long the content is.
    pub(super) bytes: usize,
}

/// Understands a line. What it says beside the room, the id, the content and what that is, is of no use: the daemon gives the number and the
/// time, and knows who posts.
pub(super) fn understand(line: &[u8], limit: usize) -> Result<Post, String> {
    let object: Fields =
        serde_json::from_slice(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let room = text("room").ok_or("it has no `room`")?;
    let room = RoomName::parse(room).map_err(|error| error.to_string())?;
    let id = text("message_id").ok_or("it has no `message_id`")?;
    let id = Uuid::try_parse(id).map_err(|_| format!("its `message_id` is no UUID: {id}"))?;
    if object.contains_key("text") == object.contains_key("data") {
        return Err("it has not one of `text` and `data`".to_owned());
    }
    let content = content(&object).ok_or("its `text` is no text, or its `data` no base64")?;
    if content.len() > limit {
        let bytes = content.len();
        return Err(format!("its content has {bytes} bytes; the limit is {limit} bytes"));
    }
    let mut fields = Fields::new();
    fields.insert("room".to_owned(), Value::from(room.as_str()));
    put_content(&mut fields, &content);
    if let Some(name) = text("content_type") {
        // Whether it is one is for the daemon to say.
        fields.insert("content_type".to_owned(), Value::from(name));
    }
    Ok(Post { id: id.hyphenated().to_string(), fields, bytes: content.len() })
}

#[cfg(test)]
mod tests {
    use super::understand;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const ID: &str = "7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e";

    fn of(line: &Value) -> Result<Value, String> {
        understand(line.to_string().as_bytes(), 10).map(|post| Value::Object(post.fields))
    }

    #[test]
    fn what_the_content_is_goes_with_it() {
        let line =
            json!({"room": "ops", "message_id": ID, "text": "x", "content_type": "a/b", "seq": 7});
        let posted = json!({"room": "ops", "text": "x", "content_type": "a/b"});
        assert_eq!(of(&line), Ok(posted));
    }

    #[test]
    fn what_is_no_message_of_a_room_is_told_apart() {
        for (line, why) in [
            (json!([]), "no JSON object"),
            (json!({}), "no `room`"),
            (json!({"room": "a b", "message_id": ID, "text": ""}), "room name"),
            (json!({"to": "Ada", "message_id": ID, "text": "hi"}), "no `room`"),
            (json!({"room": "ops", "text": "hi"}), "no `message_id`"),
            (json!({"room": "ops", "message_id": "7", "text": "hi"}), "no UUID"),
            (json!({"room": "ops", "message_id": ID}), "not one of"),
            (json!({"room": "ops", "message_id": ID, "text": "a", "data": "YQ=="}), "not one of"),
            (json!({"room": "ops", "message_id": ID, "text": 7}), "no text"),
            (json!({"room": "ops", "message_id": ID, "data": "?"}), "no base64"),
            (json!({"room": "ops", "message_id": ID, "text": "eleven byte"}), "11 bytes"),
        ] {
            let said = of(&line).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn an_id_has_one_spelling_and_what_the_daemon_gives_is_left_out() {
        let line = json!({"event": "message", "room": "#Ops", "seq": 9, "time": "t", "from": "Ada",
            "message_id": ID.to_uppercase(), "text": "hi"});
        let post = understand(line.to_string().as_bytes(), 10).expect("a message");
        assert_eq!((post.id.as_str(), post.bytes), (ID, 2));
        assert_eq!(Value::Object(post.fields), json!({"room": "ops", "text": "hi"}));
    }

    proptest! {
        #[test]
        fn any_content_comes_through_exactly(content in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut line = json!({"room": "ops", "message_id": ID});
            proto::client::put_content(line.as_object_mut().expect("an object"), &content);
            let post = understand(line.to_string().as_bytes(), 40).expect("a message");
            prop_assert_eq!(proto::client::content(&post.fields), Some(content));
        }

        #[test]
        fn any_line_is_understood_or_refused(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = understand(&line, 40);
        }
    }
}
