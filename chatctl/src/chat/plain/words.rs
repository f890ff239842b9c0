//! The words of the line client: what stands to the left of what is typed, and what others said, made safe.

use crate::chat::model::entry::Content;
use crate::chat::model::{Model, TalkState, ViewName};
use crate::{clock, moments, visible};

/// What is to the left of what is typed.
pub(super) fn prompt(model: &Model) -> String {
    let focus = model.views().focus();
    let title = model.views().view(focus).map_or("", |view| view.title.as_str());
    let away = if model.away().is_some() { "away, " } else { "" };
    let lost = if model.link().is_up() { "" } else { "not connected, " };
    // That nobody is registered without a connection has been said.
    let is_known = model.link().is_up() || model.talk().wish().is_some();
    let talk = match focus {
        ViewName::Talk => talk_shown(model),
        _ if is_known => format!("{title}, {}", talk_shown(model)),
        _ => title.to_owned(),
    };
    format!("[{lost}{away}{talk}] ")
}

/// How far the talk is.
fn talk_shown(model: &Model) -> String {
    let words = model.talk_words();
    match model.talk().state() {
        TalkState::Waiting { since, .. } => {
            format!("{words} since {}", moments::shown(&since.to_string(), &clock::wall(), true))
        }
        TalkState::Registered | TalkState::Ready { .. } | TalkState::Open { .. } => words,
    }
}

/// Whether a line is one; two slashes say one.
pub(super) fn is_command(line: &[u8]) -> bool {
    line.starts_with(b"/") && !line.starts_with(b"//")
}

/// What somebody said, made safe.
pub(super) fn shown(content: &Content) -> String {
    match content {
        // What ends with a line's end has no empty line behind that.
        Content::Text(text) => visible::paragraph(text.strip_suffix('\n').unwrap_or(text)),
        Content::Data(data) => visible::hex(data),
    }
}

/// Words with a full stop, so that others can stand behind them.
pub(super) fn sentence(words: &str) -> String {
    let is_one = words.ends_with(['.', '!', '?']);
    format!("{words}{}", if is_one { "" } else { "." })
}
