//! The status codes that chatd answers with (RFC 9110, section 15), each with the word that its JSON body has in `error`.

use crate::vocabulary::ErrorCode;

macro_rules! statuses {
    ($($status:ident $code:literal $reason:literal $word:literal;)*) => {
        /// A status code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Status {
            $(#[doc = $reason] $status,)*
        }

        impl Status {
            /// Every status code.
            pub const ALL: &[Self] = &[$(Self::$status),*];

            /// The number on the wire.
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$status => $code,)*
                }
            }

            /// The words behind the number, for people.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$status => $reason,)*
                }
            }

            /// What `error` says in a JSON body, where nothing says it more precisely.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$status => $word,)*
                }
            }
        }
    };
}

statuses! {
    Continue 100 "Continue" "";
    SwitchingProtocols 101 "Switching Protocols" "";
    Ok 200 "OK" "";
    NoContent 204 "No Content" "";
    NotModified 304 "Not Modified" "";
    PermanentRedirect 308 "Permanent Redirect" "moved";
    BadRequest 400 "Bad Request" "bad_request";
    Forbidden 403 "Forbidden" "forbidden";
    NotFound 404 "Not Found" "not_found";
    MethodNotAllowed 405 "Method Not Allowed" "method_not_allowed";
    RequestTimeout 408 "Request Timeout" "timeout";
    Conflict 409 "Conflict" "id_conflict";
    LengthRequired 411 "Length Required" "length_required";
    ContentTooLarge 413 "Content Too Large" "too_large";
    UriTooLong 414 "URI Too Long" "too_large";
    ExpectationFailed 417 "Expectation Failed" "expectation_failed";
    UpgradeRequired 426 "Upgrade Required" "upgrade_required";
    TooManyRequests 429 "Too Many Requests" "rate_limited";
    FieldsTooLarge 431 "Request Header Fields Too Large" "too_large";
    NotImplemented 501 "Not Implemented" "not_implemented";
    ServiceUnavailable 503 "Service Unavailable" "shutting_down";
    VersionNotSupported 505 "HTTP Version Not Supported" "version_not_supported";
}

impl Status {
    /// The status of an error of the vocabulary.
    pub const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::BadRequest
            | ErrorCode::UnknownRequest
            | ErrorCode::NoNickname
            | ErrorCode::BadNickname
            | ErrorCode::BadRoom
            | ErrorCode::NotInRoom
            | ErrorCode::NotInTalk
            | ErrorCode::BadConfiguration => Self::BadRequest,
            ErrorCode::Forbidden => Self::Forbidden,
            ErrorCode::NoSuchRoom
            | ErrorCode::NoSuchNick
            | ErrorCode::NoSuchMessage
            | ErrorCode::NoSuchBan => Self::NotFound,
            ErrorCode::NicknameInUse
            | ErrorCode::IdConflict
            | ErrorCode::NotYourTurn
            | ErrorCode::Busy => Self::Conflict,
            ErrorCode::TooLarge => Self::ContentTooLarge,
            ErrorCode::LimitReached | ErrorCode::RateLimited => Self::TooManyRequests,
            ErrorCode::StoreUnavailable | ErrorCode::ShuttingDown => Self::ServiceUnavailable,
        }
    }

    /// Whether a response with this status never has a body, and no Content-Length (RFC 9110, sections 8.6 and 15.4.5).
    pub const fn is_bodiless(self) -> bool {
        matches!(
            self,
            Self::Continue | Self::SwitchingProtocols | Self::NoContent | Self::NotModified
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::ERROR_CODES;

    #[test]
    fn every_error_of_the_vocabulary_has_a_status_of_an_error() {
        for (code, word, _) in ERROR_CODES {
            assert!(Status::of(*code).code() >= 400, "{word}");
        }
    }

    #[test]
    fn the_statuses_are_in_the_order_of_their_numbers_and_say_what_is_wrong() {
        assert!(Status::ALL.is_sorted_by_key(|status| status.code()));
        for status in Status::ALL {
            assert_eq!(status.word().is_empty(), status.code() < 308, "{status:?}");
            assert!(!status.is_bodiless() || status.word().is_empty(), "{status:?}");
        }
    }
}
