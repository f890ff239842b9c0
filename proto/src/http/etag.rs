//! Entity tags: whether what a client has is still what there is (RFC 9110, sections 8.8.3 and 13.1.2).

use alloc::format;
use alloc::string::String;

use super::head::Fields;

/// The tag of something whose bytes have this digest: a strong one.
pub fn tag(digest: u128) -> String {
    format!("\"{digest:032x}\"")
}

/// Whether `If-None-Match` names this tag, or any: then the answer to GET and HEAD is 304. Tags are compared weakly, as that field
/// is (RFC 9110, section 13.1.2).
pub fn is_known(fields: &Fields<'_>, tag: &str) -> bool {
    let bare = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    fields.list("if-none-match").any(|known| known == b"*" || bare(known) == bare(tag.as_bytes()))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::http::head::Head;

    fn known(value: &str, tag: &str) -> bool {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{value}\r\n\r\n");
        is_known(&Head::parse(head.as_bytes()).unwrap().fields, tag)
    }

    #[test]
    fn a_client_that_names_the_tag_has_it() {
        let ours = tag(0xabc);
        assert_eq!(ours, "\"00000000000000000000000000000abc\"");
        assert!(known(&format!("If-None-Match: {ours}"), &ours));
        assert!(known(&format!("If-None-Match: \"x\", W/{ours}"), &ours));
        assert!(known(&format!("If-None-Match: \"x\"\r\nif-none-match: {ours}"), &ours));
        assert!(known("If-None-Match: *", &ours));
        assert!(!known("If-None-Match: \"x\"", &ours) && !known("If-Match: *", &ours));
        assert!(!known("If-None-Match:", &ours) && !known("If-None-Match: abc", &ours));
    }
}
