//! Which characters nicknames have: printable ASCII, or letters of the world's scripts.
//!
//! The charset `unicode` is PRECIS `UsernameCasePreserved` (RFC 8265) with words parted by single spaces, stricter where that is
//! simpler: characters that need a context (the joiners, middle dots) are refused. Names that look alike are not refused here; they
//! have one [`skeleton`], and the hub gives it to one owner.

use alloc::string::String;

use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::names::{NICK_BYTES_MAX, NICK_CHARS_MAX, NICK_MARKS_MAX, NameError, is_marked};

/// Which characters nicknames may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// Printable ASCII.
    #[default]
    Ascii,
    /// Letters, digits and marks of every script, and printable ASCII. Names that look alike have one owner.
    Unicode,
}

/// Composing makes a text shorter, but not by more than this: what is longer is refused before work is done for it.
const RAW_BYTES_MAX: usize = 6 * NICK_BYTES_MAX;

const _: () = assert!(RAW_BYTES_MAX > 255, "what a v0.5 short string holds is looked at");

/// The name as it is shown and kept: composed (NFC), its letters of their usual width.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn enforce(text: &str) -> Result<String, NameError> {
    if text.is_empty() {
        return Err(NameError::NickEmpty);
    }
    if text.len() > RAW_BYTES_MAX {
        return Err(NameError::NickTooLarge(text.len()));
    }
    let name: String = text.chars().flat_map(usual_width).nfc().collect();
    if let Some(wrong) = name.chars().find(|c| *c != ' ' && !is_allowed(*c)) {
        return Err(NameError::NickForbidden(wrong));
    }
    let chars = name.chars().count();
    if chars > NICK_CHARS_MAX {
        return Err(NameError::NickTooLong(chars));
    }
    if name.len() > NICK_BYTES_MAX {
        return Err(NameError::NickTooLarge(name.len()));
    }
    if name.starts_with(' ') || name.ends_with(' ') {
        return Err(NameError::NickOuterSpace);
    }
    if name.contains("  ") {
        return Err(NameError::NickSpaces);
    }
    if !marks_fit(&name) {
        return Err(NameError::NickMarks);
    }
    if !runs_one_way(&name) {
        return Err(NameError::NickDirections);
    }
    if is_marked(&name, |text| folded(skeleton(text))) {
        return Err(NameError::NickMarked);
    }
    debug_assert!(is_nfc(&name), "composing it again changes nothing");
    Ok(name)
}

/// Characters without regard to case. Through the capital, so that the two small sigmas are one, and sharp s is `ss`.
pub(crate) fn folded(text: impl Iterator<Item = char>) -> String {
    text.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// What a text looks like, as UTS 39 has it: two with the same skeleton are taken for each other.
pub(crate) fn skeleton(text: &str) -> impl Iterator<Item = char> + '_ {
    unicode_security::skeleton(text)
}

/// The wide and narrow forms of East Asian typesetting stand for the usual ones (RFC 8265, "Width Mapping Rule").
fn usual_width(c: char) -> impl Iterator<Item = char> {
    let is_form = matches!(c, '\u{ff01}'..='\u{ffee}');
    let whole = (!is_form).then_some(c);
    let usual = is_form.then(|| core::iter::once(c).nfkc());
    whole.into_iter().chain(usual.into_iter().flatten())
}

/// Whether RFC 8264's `IdentifierClass` has a character, those left out that need a context, and the few signs that it excepts.
fn is_allowed(c: char) -> bool {
    use GeneralCategory as Category;
    if matches!(c, '!'..='~') {
        return true;
    }
    // Another way to write something else (section 9.17, HasCompat).
    if is_left_out(c) || !core::iter::once(c).nfkc().eq([c]) {
        return false;
    }
    matches!(
        c.general_category(),
        Category::LowercaseLetter
            | Category::UppercaseLetter
            | Category::OtherLetter
            | Category::ModifierLetter
            | Category::DecimalNumber
            | Category::NonspacingMark
            | Category::SpacingMark
    )
}

/// Letters and marks that are not for names all the same.
fn is_left_out(c: char) -> bool {
    // Fillers, tone and repeat marks (section 9.6, Exceptions).
    let excepted = matches!(
        c,
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}'
    );
    // What shows nothing (9.13, PrecisIgnorableProperties): the joiner of graphemes, fillers, vowels, variation selectors, tags.
    let ignorable = matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}');
    // Parts of Hangul syllables that composed to none (9.9, OldHangulJamo).
    let jamo =
        matches!(c, '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{d7b0}'..='\u{d7ff}');
    excepted || ignorable || jamo
}

/// Whether each mark has a letter under it, and no letter too many.
fn marks_fit(name: &str) -> bool {
    // The beginning and a space carry none.
    let mut room = 0_usize;
    for c in name.chars() {
        if c.general_category_group() == GeneralCategoryGroup::Mark {
            let Some(less) = room.checked_sub(1) else { return false };
            room = less;
        } else {
            room = if c == ' ' { 0 } else { NICK_MARKS_MAX };
        }
    }
    true
}

/// The Bidi Rule of RFC 5893, section 2, over the whole name: one with letters that run to the left begins and ends with them or a
/// digit, and has no others. So a name is shown in the order in which it is compared.
fn runs_one_way(name: &str) -> bool {
    use BidiClass::{AL, AN, BN, CS, EN, ES, ET, NSM, ON, R, WS};
    let classes = || name.chars().map(bidi_class);
    if !classes().any(|class| matches!(class, R | AL | AN)) {
        return true;
    }
    let begins = classes().next().is_some_and(|class| matches!(class, R | AL));
    let last = classes().rfind(|class| *class != NSM);
    let ends = last.is_some_and(|class| matches!(class, R | AL | EN | AN));
    let within = |class| matches!(class, R | AL | AN | EN | ES | CS | ET | ON | BN | NSM | WS);
    let both_digits = classes().any(|class| class == EN) && classes().any(|class| class == AN);
    begins && ends && classes().all(within) && !both_digits
}

#[cfg(test)]
mod tests;
