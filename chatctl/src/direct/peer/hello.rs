//! Who one is, as the two sides of a talk tell each other when it begins.

use crate::client::{Fields, Refusal};
use proto::Nick;
use serde_json::Value;

/// The longest address that is taken: `[IPV6%ZONE]:PORT` is shorter.
const ADDRESS_BYTES_MAX: usize = 128;

/// The longest name of a program that is kept.
const AGENT_BYTES_MAX: usize = 64;

/// What one side says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Its program.
    pub agent: Option<String>,
    /// Its user's nickname.
    pub nick: Option<String>,
    /// Where it listens itself.
    pub address: Option<String>,
    /// The caller wants turns, and has the first.
    pub turns: bool,
}

impl Hello {
    /// This program, whose user has this name.
    pub fn ours(nick: Option<String>) -> Self {
        let agent = Some(concat!("chatctl ", env!("CARGO_PKG_VERSION")).to_owned());
        Self { agent, nick, address: None, turns: false }
    }

    pub(super) fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.insert("version".to_owned(), Value::from(proto::vocabulary::VERSION));
        for (name, text) in
            [("agent", &self.agent), ("nick", &self.nick), ("address", &self.address)]
        {
            if let Some(text) = text {
                fields.insert(name.to_owned(), Value::from(text.as_str()));
            }
        }
        if self.turns {
            fields.insert("turns".to_owned(), Value::from(true));
        }
        fields
    }

    /// What a stranger says of itself, as far as it can be believed.
    pub(super) fn of(fields: &Fields) -> Result<Self, Refusal> {
        let no = |code: &str, message: String| {
            Err(Refusal { code: code.to_owned(), message, retry_after: None })
        };
        let text = |name: &str, most: usize| {
            let text = fields.get(name).and_then(Value::as_str);
            text.filter(|text| text.len() <= most).map(str::to_owned)
        };
        if fields.get("version").and_then(Value::as_u64).is_none_or(|version| version == 0) {
            return no("bad_request", "hello has a `version`, from 1 on".to_owned());
        }
        let nick = match fields.get("nick").and_then(Value::as_str).map(Nick::parse_any) {
            None => None,
            Some(Ok(nick)) => Some(nick.as_str().to_owned()),
            Some(Err(error)) => return no("bad_nickname", error.to_string()),
        };
        Ok(Self {
            agent: text("agent", AGENT_BYTES_MAX),
            nick,
            address: text("address", ADDRESS_BYTES_MAX),
            turns: fields.get("turns").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}
