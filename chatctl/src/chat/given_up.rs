//! What is said at the end of lines that were typed and are not known to be sent: how many, and which.

use super::model::entry::Content;
use crate::visible;

/// So many of them are shown, and so much of each: more is no longer read, but told.
const SHOWN_MAX: usize = 20;
const CHARACTERS_MAX: usize = 1_000;

/// In lines of which the first has the number; none where there is nothing. With each goes whether it may have arrived.
pub(super) fn words<'a>(unsent: impl IntoIterator<Item = (&'a [u8], bool)>) -> Vec<String> {
    let all: Vec<_> = unsent.into_iter().collect();
    if all.is_empty() {
        return Vec::new();
    }
    let shown = all.iter().take(SHOWN_MAX).map(|(content, is_tried)| {
        let arrived = if *is_tried { " (it may have arrived)" } else { "" };
        format!("it was: {}{arrived}", shown(content))
    });
    let more = all.len().saturating_sub(SHOWN_MAX);
    let more = (more > 0).then(|| format!("and {more} more"));
    [format!("{} not sent", all.len())].into_iter().chain(shown).chain(more).collect()
}

fn shown(content: &[u8]) -> String {
    let text = match Content::of(content.to_vec()) {
        Content::Text(text) => text,
        Content::Data(data) => return visible::hex(&data),
    };
    let mut characters = text.chars();
    let begin: String = characters.by_ref().take(CHARACTERS_MAX).collect();
    if characters.next().is_some() { format!("{begin} ...") } else { begin }
}

#[cfg(test)]
mod tests {
    use super::{CHARACTERS_MAX, SHOWN_MAX, words};

    #[test]
    fn the_number_and_the_lines_are_said_and_what_may_have_arrived() {
        assert_eq!(words([]), [""; 0]);
        let said = words([(&b"hello"[..], false), (b"\xff", true)]);
        let known = ["2 not sent", "it was: hello", "it was: [1 bytes: ff] (it may have arrived)"];
        assert_eq!(said, known);
    }

    #[test]
    fn very_many_and_very_long_ones_are_cut() {
        let long = "x".repeat(CHARACTERS_MAX + 1);
        let said = words(vec![(long.as_bytes(), false); SHOWN_MAX + 3]);
        assert_eq!(said.len(), SHOWN_MAX + 2);
        assert!(said[1].ends_with("x ...") && said[1].len() < long.len() + 20, "{}", said[1]);
        assert_eq!(said[SHOWN_MAX + 1], "and 3 more");
    }
}
