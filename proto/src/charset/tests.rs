//! The charset `unicode`: what is a name, and which names are taken for each other.

use alloc::string::ToString;

use unicode_properties::GeneralCategoryGroup as Group;

use super::*;
use crate::names::Nick;

fn parse(text: &str) -> Result<Nick, NameError> {
    Nick::parse_in(text, Charset::Unicode)
}

fn name(text: &str) -> Nick {
    parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn conflict(one: &str, other: &str) -> bool {
    let (one, other) = (name(one), name(other));
    one.key() == other.key() || one.skeleton() == other.skeleton()
}

#[test]
fn letters_of_every_script_make_names() {
    for text in [
        "Ada Lovelace",
        "Zoë",
        "Łukasz Żak",
        "Наталья",
        "Δημήτρης",
        "김철수",
        "山田 太郎",
        "さくら",
        "สมชาย",
        "नेहा",
        "Nguyễn Văn A",
        "אברהם",
        "محمد 2",
        "ada_l-1 [x]~",
        "straße",
    ] {
        assert_eq!(name(text).as_str(), text);
    }
}

#[test]
fn a_name_is_composed_and_of_usual_width() {
    assert_eq!(name("Zoe\u{308}").as_str(), "Zoë");
    assert_eq!(name("\u{1112}\u{1161}\u{11ab}").as_str(), "한");
    assert_eq!(name("\u{ff21}\u{ff44}\u{ff41}").as_str(), "Ada");
    assert_eq!(name("\u{ff76}\u{ff9e}").as_str(), "ガ");
    assert_eq!(name("\u{212b}").as_str(), "Å");
}

#[test]
fn controls_separators_and_what_shows_nothing_are_refused() {
    let controls = ['\0', '\n', '\u{1b}', '\u{7f}', '\u{85}'];
    let without_width = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}'];
    let of_directions =
        ['\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{61c}'];
    let separators = ['\u{a0}', '\u{2003}', '\u{2028}', '\u{2029}', '\u{3000}', '\u{1680}'];
    let fillers =
        ['\u{34f}', '\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{17b4}', '\u{180e}'];
    let selectors_and_tags = ['\u{fe0f}', '\u{e0100}', '\u{e0041}', '\u{2800}'];
    let no_characters = ['\u{e000}', '\u{fffe}', '\u{378}', '\u{10ffff}'];
    let all = controls.into_iter().chain(without_width).chain(of_directions).chain(separators);
    for c in all.chain(fillers).chain(selectors_and_tags).chain(no_characters) {
        let refused = parse(&alloc::format!("a{c}b"));
        let is_refused = matches!(refused, Err(NameError::NickForbidden(_)));
        assert!(is_refused, "U+{:04X} gives {refused:?}", u32::from(c));
    }
}

#[test]
fn signs_and_other_ways_to_write_a_letter_are_refused() {
    for c in ['😀', '©', '€', '“', '·', '\u{1d400}', 'ﬁ', '²', 'Ⅷ', 'ª', '\u{640}', '\u{1100}']
    {
        let text = alloc::format!("a{c}b");
        assert_eq!(parse(&text), Err(NameError::NickForbidden(c)), "{c}");
    }
}

#[test]
fn a_letter_carries_two_marks() {
    assert!(parse("q\u{301}\u{323}").is_ok());
    assert_eq!(parse("q\u{301}\u{323}\u{308}"), Err(NameError::NickMarks));
    assert_eq!(parse("\u{301}a"), Err(NameError::NickMarks));
    assert_eq!(parse("a \u{301}b"), Err(NameError::NickMarks));
    let tower = "a".to_string() + &"\u{336}".repeat(20);
    assert_eq!(parse(&tower), Err(NameError::NickMarks));
}

#[test]
fn a_name_runs_one_way() {
    for text in ["אבab", "abאב", "אב ab", "1אב", "אב-", "א1\u{661}"] {
        assert_eq!(parse(text), Err(NameError::NickDirections), "{text:?}");
    }
    for text in ["אב 1", "אב-גד", "محمد\u{64b}"] {
        assert!(parse(text).is_ok(), "{text:?}");
    }
}

#[test]
fn spaces_are_single_and_inside() {
    assert_eq!(parse("a  b"), Err(NameError::NickSpaces));
    assert_eq!(parse(" a"), Err(NameError::NickOuterSpace));
    assert_eq!(parse("a\u{3000}"), Err(NameError::NickForbidden('\u{3000}')));
    assert_eq!(parse(""), Err(NameError::NickEmpty));
}

#[test]
fn a_name_has_32_characters_and_64_bytes() {
    assert!(parse(&"x".repeat(32)).is_ok());
    assert_eq!(parse(&"x".repeat(33)), Err(NameError::NickTooLong(33)));
    assert!(parse(&"ж".repeat(32)).is_ok());
    assert!(parse(&"字".repeat(21)).is_ok());
    assert_eq!(parse(&"字".repeat(22)), Err(NameError::NickTooLarge(66)));
    assert_eq!(parse(&"x".repeat(100_000)), Err(NameError::NickTooLarge(100_000)));
}

#[test]
fn names_that_look_alike_conflict() {
    for (one, other) in [
        // Cyrillic a, and the same with the case of one letter changed.
        ("ada", "\u{430}d\u{430}"),
        ("ADA", "\u{410}da"),
        // A capital i, a digit.
        ("PayPal", "PayPaI"),
        ("PayPal", "PayPa1"),
        ("scope", "\u{455}\u{441}\u{43e}\u{440}\u{435}"),
        ("modem", "rnodern"),
        ("Ω", "\u{2126}"),
        ("naïve", "nai\u{308}ve"),
        // Greek omicron.
        ("o", "\u{3bf}"),
    ] {
        assert!(conflict(one, other), "{one} and {other}");
    }
}

#[test]
fn names_that_differ_in_case_conflict() {
    for (one, other) in [
        ("ada", "ADA"),
        ("ZOË", "zoë"),
        ("НАТАЛЬЯ", "наталья"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("straße", "STRASSE"),
        ("ADAI", "adai"),
    ] {
        assert!(conflict(one, other), "{one} and {other}");
        assert_eq!(name(one).key(), name(other).key(), "{one} and {other}");
    }
}

#[test]
fn other_names_do_not_conflict() {
    for (one, other) in [("vick", "nick"), ("ada", "adä"), ("anna", "ana"), ("山田", "山口")] {
        assert!(!conflict(one, other), "{one} and {other}");
    }
    // Where there is nothing but ASCII, only the case is left out of account.
    let (one, other) = (Nick::parse("PayPal").unwrap(), Nick::parse("PayPa1").unwrap());
    assert_ne!(one.key(), other.key());
}

/// Every character there is, behind a letter: what gets through is visible, and stays as it is.
#[test]
fn no_character_slips_through() {
    let mut allowed = 0;
    for c in '\0'..=char::MAX {
        let Ok(nick) = parse(&alloc::format!("a{c}")) else { continue };
        assert_eq!(parse(nick.as_str()), Ok(nick.clone()), "{c:?}");
        for shown in nick.as_str().chars() {
            let group = shown.general_category_group();
            let ascii = matches!(shown, '!'..='~');
            let fits = matches!(group, Group::Letter | Group::Mark | Group::Number);
            assert!(ascii || fits, "U+{:04X}", u32::from(c));
        }
        assert!(crate::names::printable_line(nick.as_str()), "U+{:04X}", u32::from(c));
        allowed += 1;
    }
    assert!(allowed > 100_000, "only {allowed} characters are allowed");
}
