//! The vocabulary's tables as Markdown, for docs/protocol.md; `tidy` holds the document against them.

use alloc::string::String;
use core::fmt::Write;

use crate::requests::REQUESTS;
use crate::vocabulary::{ERROR_CODES, EVENTS};

/// The table of requests.
pub fn request_table() -> String {
    let mut table = String::from(
        "| request | may | fields | what it does | the reply carries |\n|---|---|---|---|---|\n",
    );
    for row in REQUESTS {
        let mut fields = String::new();
        for field in row.fields {
            let mark = if field.required { "" } else { "?" };
            for (at, (name, form)) in field.wire.iter().enumerate() {
                let separator = match at {
                    0 if fields.is_empty() => "",
                    0 => ", ",
                    _ => " or ",
                };
                let _ = write!(fields, "{separator}{name}{mark}: {form}");
            }
            if let Some(permission) = field.permission {
                let _ = write!(fields, " ({})", permission.word());
            }
        }
        let (name, may) = (row.name, row.permission.word());
        let _ =
            writeln!(table, "| `{name}` | {may} | {fields} | {} | {} |", row.summary, row.reply);
    }
    table
}

/// The table of events.
pub fn event_table() -> String {
    let mut table = String::from("| event | fields | what it tells |\n|---|---|---|\n");
    for (name, fields, meaning) in EVENTS {
        let _ = writeln!(table, "| `{name}` | {fields} | {meaning} |");
    }
    table
}

/// The table of error codes.
pub fn error_table() -> String {
    let mut table = String::from("| code | meaning |\n|---|---|\n");
    for (_, word, meaning) in ERROR_CODES {
        let _ = writeln!(table, "| `{word}` | {meaning} |");
    }
    table
}
