//! What is wrong with a request so that nothing behind it can be understood: each fault has its status, and ends the connection.
//!
//! What can be answered without losing one's place in the bytes (an unknown path, a foreign page) is no fault: see
//! [`super::Refusal`].

use core::fmt;

use super::status::Status;

macro_rules! faults {
    ($($fault:ident $status:ident $word:literal $message:literal;)*) => {
        /// Why the bytes of an HTTP peer cannot be read on. It is answered, and the connection is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum HttpFault {
            $(#[doc = $message] $fault,)*
        }

        impl HttpFault {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$fault),*];

            /// What it is answered with.
            pub const fn status(self) -> Status {
                match self {
                    $(Self::$fault => Status::$status,)*
                }
            }

            /// The fault as one word, for logs and counters.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$fault => $word,)*
                }
            }

            /// What is wrong and what to do, for people.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$fault => $message,)*
                }
            }
        }
    };
}

faults! {
    LineEnd BadRequest "http_line_end" "A line does not end with CR LF; neither is sent alone.";
    Control BadRequest "http_control" "The head has a control character.";
    Folded BadRequest "http_folded" "A line of the head begins with a space: fields are not folded.";
    FieldName BadRequest "http_field_name" "A field's name has a character that names do not have, or no colon directly behind it.";
    RequestLine BadRequest "http_request_line" "The first line is not METHOD, one space, PATH, one space, HTTP/1.1.";
    Target BadRequest "http_target" "The path has a character that must be percent-encoded, or a percent sign without two hexadecimal digits.";
    TargetForm BadRequest "http_target_form" "The target is none that this method has: give a path, a whole http URL, or * with OPTIONS.";
    HostMissing BadRequest "http_no_host" "The request has no Host.";
    HostRepeated BadRequest "http_hosts" "The request has more than one Host.";
    HostWrong BadRequest "http_host" "The Host is not a name or address with perhaps a port, or not the one of the target.";
    FieldRepeated BadRequest "http_field_repeated" "A field that has one value is there more than once.";
    FieldValue BadRequest "http_field_value" "A field's value has characters that it cannot have.";
    LengthRepeated BadRequest "http_lengths" "The request has more than one Content-Length.";
    LengthWrong BadRequest "http_length" "The Content-Length is not a number of digits only.";
    LengthAndCoding BadRequest "http_length_and_coding" "The request has both a Content-Length and a Transfer-Encoding.";
    CodingWrong BadRequest "http_coding" "The Transfer-Encoding does not end with chunked, names it twice, or comes with HTTP/1.0.";
    BodyWithUpgrade BadRequest "http_body_with_upgrade" "A request with Upgrade has a body.";
    Chunk BadRequest "http_chunk" "A chunk is not SIZE in hexadecimal, CR LF, so many bytes, CR LF.";
    LengthMissing LengthRequired "http_no_length" "The request has neither Content-Length nor chunked body; say how long the body is.";
    BodyTooLong ContentTooLarge "http_body_too_long" "The body is longer than a message may be; send it in parts.";
    TargetTooLong UriTooLong "http_target_too_long" "The first line is longer than 8 KiB.";
    Expectation ExpectationFailed "http_expectation" "The only expectation is 100-continue.";
    HeadTooLong FieldsTooLarge "http_head_too_long" "The head is longer than 8 KiB.";
    FieldsTooMany FieldsTooLarge "http_fields_too_many" "The head has more than 64 fields.";
    ChunkExtra FieldsTooLarge "http_chunk_extra" "The chunks' extensions or the trailers are too long; leave them out.";
    Method NotImplemented "http_method" "The method is none of GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE and PATCH.";
    Coding NotImplemented "http_unknown_coding" "The only transfer coding is chunked.";
    Version VersionNotSupported "http_version" "The version is neither HTTP/1.1 nor HTTP/1.0.";
}

impl fmt::Display for HttpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for HttpFault {}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_a_word_of_its_own_and_a_status_of_an_error() {
        let words: BTreeSet<_> = HttpFault::ALL.iter().map(|fault| fault.word()).collect();
        assert_eq!(words.len(), HttpFault::ALL.len());
        assert!(HttpFault::ALL.iter().all(|fault| fault.status().code() >= 400));
    }
}
