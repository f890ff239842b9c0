//! What a body is: the Content-Type of a posted message, which is kept and given back (RFC 9110, section 8.3).
//!
//! It is given back with what keeps a browser from running it: [`DOWNLOAD_FIELDS`].

use super::head::Fields;
use super::lines::is_token;
use super::origin::NOT_EMBEDDED;
use super::routes::Refusal;
use super::status::Status;

/// The longest Content-Type in bytes: any type of the registry, which has 127 characters at most on each side of its slash, and with
/// those that are in use the name of a file as a parameter.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// What `curl -d` says of everything, and forms in pages of themselves: nobody means it.
const FORM: &str = "application/x-www-form-urlencoded";

/// What the answer says that carries what somebody posted: it is saved, never shown or run.
pub const DOWNLOAD_FIELDS: [(&str, &str); 4] = [
    ("Content-Disposition", "attachment"),
    ("X-Content-Type-Options", "nosniff"),
    NOT_EMBEDDED,
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
];

/// The type of a posted body; nothing where it is not said, or said without meaning it.
///
/// # Errors
/// Where it is no type, too long, or there are two.
pub fn media_type<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Refusal> {
    let wrong = || {
        Refusal::new(
            Status::BadRequest,
            "The Content-Type is not one TYPE/SUBTYPE of at most 255 bytes.",
        )
    };
    let Some(text) = fields.text("content-type").map_err(|_| wrong())? else { return Ok(None) };
    if !is_media_type(text) {
        return Err(wrong());
    }
    Ok(Some(text).filter(|text| !bare(text).eq_ignore_ascii_case(FORM)))
}

/// Whether something is one type and perhaps its parameters, in plain characters.
pub fn is_media_type(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_token);
    let fits =
        bare(text).split_once('/').is_some_and(|(kind, rest)| is_word(kind) && is_word(rest));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    fits && is_plain && text.len() <= MEDIA_TYPE_BYTES_MAX
}

/// The type without its parameters.
fn bare(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::http::head::Head;

    fn kind(fields: &str) -> Result<Option<alloc::string::String>, Status> {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        let head = Head::parse(head.as_bytes()).unwrap();
        media_type(&head.fields).map(|kind| kind.map(Into::into)).map_err(|refusal| refusal.status)
    }

    #[test]
    fn a_type_is_taken_as_it_was_written() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        let letters = "%D1%8F".repeat(28);
        let longest = format!("{docx}; name*=UTF-8''{letters}x");
        assert_eq!(
            longest.len(),
            MEDIA_TYPE_BYTES_MAX,
            "a long type with a name in Cyrillic letters"
        );
        for text in
            ["image/png", "text/plain; charset=utf-8", "application/vnd.a+json ;x=\"y\"", &longest]
        {
            assert_eq!(kind(&format!("Content-Type: {text}")), Ok(Some(text.into())));
        }
        assert_eq!(kind("A: b"), Ok(None));
        assert_eq!(kind("Content-Type: Application/x-www-form-urlencoded"), Ok(None), "curl -d");
        let long = format!("Content-Type: a/b;{}", "x".repeat(252));
        for wrong in [
            "Content-Type:",
            "Content-Type: text",
            "Content-Type: /",
            "Content-Type: a/b/c",
            "Content-Type: a /b",
            "Content-Type: a/b, c/d",
            "Content-Type: a/b\r\nContent-Type: a/b",
            "Content-Type: a/\u{e9}",
            &long,
        ] {
            assert_eq!(kind(wrong), Err(Status::BadRequest), "{wrong}");
        }
    }
}
