//! Who may do what, as docs/protocol.md says it, and a good example of each request: what the matrices of requests and roles share.
//!
//! What is expected comes from the document alone, so that a wrong row of the code's table is a difference.

use proto::RequestKind;
use serde_json::{Value, json};

use crate::binaries::checkout;

/// A message id, but for its last digit.
pub const UUID: &str = "00000000-0000-4000-8000-00000000000";

/// The fields of a request that is all right; each kind has its row, or this does not compile.
pub fn fields(kind: RequestKind) -> Value {
    match kind {
        RequestKind::Hello => json!({"version": 1, "agent": "matrix"}),
        RequestKind::Nick => json!({"nick": "Grace"}),
        RequestKind::Join => json!({"room": "ops", "after": 0}),
        RequestKind::Leave | RequestKind::Members => json!({"room": "ops"}),
        RequestKind::Post => {
            json!({"id": format!("{UUID}1"), "room": "ops", "text": "hi", "receipt": true})
        }
        RequestKind::Receipt => json!({"message_id": format!("{UUID}9")}),
        RequestKind::Tail => json!({"rooms": ["ops"], "last": 3}),
        RequestKind::History => json!({"room": "ops", "limit": 3}),
        RequestKind::Whois => json!({"nick": "Witness"}),
        RequestKind::Topic => json!({"room": "ops", "topic": "tonight"}),
        RequestKind::Away => json!({"text": "lunch"}),
        RequestKind::Bridge => json!({"peer": "Witness", "turns": "yes", "direct": 4711}),
        RequestKind::Chat => json!({"peer": "Witness", "direct": false}),
        RequestKind::Say => json!({"id": format!("{UUID}2"), "peer": "Witness", "text": "hi"}),
        RequestKind::Unbridge
        | RequestKind::Pass
        | RequestKind::Hangup
        | RequestKind::Rooms
        | RequestKind::Ping
        | RequestKind::Stats
        | RequestKind::Connections
        | RequestKind::Bans
        | RequestKind::Reload
        | RequestKind::Stop => json!({}),
        RequestKind::Kick => json!({"nick": "Victim", "reason": "noise"}),
        RequestKind::Ban => json!({"nick": "Mallory", "seconds": 60, "reason": "noise"}),
        RequestKind::Unban => json!({"nick": "Mallory"}),
        RequestKind::Announce => json!({"text": "back at eight"}),
        RequestKind::LogLevel => json!({"level": "debug"}),
        RequestKind::DebugStall => json!({"seconds": 1}),
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Root.
    Root,
    /// The user that the daemon runs as.
    Own,
    /// In one of the admin groups.
    Admin,
    /// In one of the send groups.
    Send,
    /// In one of the watch groups.
    Watch,
    /// In one of each of the two.
    SendAndWatch,
    /// In none of the groups.
    Nobody,
    /// Somebody over the network.
    Tcp,
}

impl Role {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::Root,
        Self::Own,
        Self::Admin,
        Self::Send,
        Self::Watch,
        Self::SendAndWatch,
        Self::Nobody,
        Self::Tcp,
    ];

    /// What the document says: whether this word of its table lets them.
    pub fn may(self, word: &str) -> bool {
        let (sends, watches, rules) = match self {
            Self::Root | Self::Own | Self::Admin => (true, true, true),
            Self::SendAndWatch | Self::Tcp => (true, true, false),
            Self::Send => (true, false, false),
            Self::Watch => (false, true, false),
            Self::Nobody => (false, false, false),
        };
        match word {
            "anyone" => true,
            "send" => sends,
            "watch" => watches,
            "send and watch" => sends && watches,
            "admin" => rules,
            _ => panic!("docs/protocol.md: `{word}` is no permission"),
        }
    }
}

/// A use of a request, and what it needs by the document.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The request's name.
    pub request: &'static str,
    /// Its kind.
    pub kind: RequestKind,
    /// With these fields.
    pub fields: Value,
    /// Words that the role has to have, each of them.
    pub needs: Vec<String>,
}

impl Cell {
    /// Whether the document lets this role.
    pub fn is_for(&self, role: Role) -> bool {
        self.needs.iter().all(|word| role.may(word))
    }
}

/// Each request, as plain as it may be and with each field that needs more than the request.
pub fn cells() -> Vec<Cell> {
    let document = std::fs::read_to_string(checkout().join("docs/protocol.md")).unwrap();
    let mut cells = Vec::new();
    for row in proto::REQUESTS {
        let start = format!("| `{}` |", row.name);
        let line = document.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("docs/protocol.md has no row of {}", row.name));
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let (needed, documented) = (columns[2].to_owned(), columns[3]);
        let special: Vec<(&str, &str)> = documented.split(", ").filter_map(special).collect();
        let mut plain = fields(row.kind);
        for (field, _) in &special {
            plain.as_object_mut().unwrap().remove(*field);
        }
        let cell = |fields, needs| Cell { request: row.name, kind: row.kind, fields, needs };
        cells.push(cell(plain.clone(), vec![needed.clone()]));
        for (field, word) in special {
            let mut with = plain.clone();
            with[field] = json!("Witness");
            cells.push(cell(with, vec![needed.clone(), word.to_owned()]));
        }
    }
    assert!(cells.len() > proto::REQUESTS.len(), "some fields need more than their request");
    cells
}

/// A field that needs a permission of its own, of a documented one such as `nick?: nickname (admin)`.
fn special(field: &str) -> Option<(&str, &str)> {
    let (name, form) = field.split_once("?: ")?;
    let word = form.strip_suffix(')')?.rsplit_once(" (")?.1;
    Some((name, word))
}
