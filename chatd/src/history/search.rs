//! What people search for, as the index of words is asked for it.
//!
//! Every piece is put between quotes, so nothing that is typed is an operator of the index's own language.

/// The question for messages with all of the words: `"a phrase"` is one, `begin*` stands for all words that begin so. Signs between
/// words do not count; where there is nothing else, nothing is found.
pub(super) fn question(words: &str) -> String {
    let mut question = String::new();
    for (at, piece) in words.split('"').enumerate() {
        if at % 2 == 1 {
            quote(&mut question, piece, false);
            continue;
        }
        for word in piece.split_whitespace() {
            let stem = word.trim_end_matches('*');
            quote(&mut question, stem, stem.len() < word.len());
        }
    }
    if question.is_empty() {
        // A phrase without words is in no message; no phrase at all would be an error.
        question.push_str("\"\"");
    }
    question
}

fn quote(question: &mut String, piece: &str, is_beginning: bool) {
    assert!(!piece.contains('"'), "pieces are what is between quotes");
    // The index reads the question up to the first NUL.
    let piece = piece.replace('\0', " ");
    if !piece.chars().any(char::is_alphanumeric) && piece.is_ascii() {
        return;
    }
    question.push('"');
    question.push_str(&piece);
    question.push_str(if is_beginning { "\"* " } else { "\" " });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_quoted() {
        let cases = [
            ("disk full", r#""disk" "full" "#),
            (r#"say "no space left" now"#, r#""say" "no space left" "now" "#),
            ("NOT a OR (b)", r#""NOT" "a" "OR" "(b)" "#),
            ("back* content:x ^y {a}", r#""back"* "content:x" "^y" "{a}" "#),
            (r#"an "open phrase"#, r#""an" "open phrase" "#),
            ("* \" - \0", r#""""#),
            ("a\0b", r#""a b" "#),
        ];
        for (words, expected) in cases {
            assert_eq!(question(words), expected, "{words:?}");
        }
    }
}
