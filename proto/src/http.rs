//! HTTP/1.1 without sockets (RFC 9110, RFC 9112): [`Reader`] takes requests from bytes, [`Response`] makes bytes, [`routes`] says what
//! a request asks for and [`origin`] whether a page may ask it.
//!
//! What is done for a request is decided by whoever drives this; nothing here knows rooms, and time is an argument.

mod chunked;
pub mod etag;
pub mod events;
mod fault;
pub mod forwarded;
mod head;
mod lines;
mod media;
mod message_id;
pub mod origin;
mod reader;
pub mod response;
pub mod routes;
mod status;
mod target;

pub use fault::HttpFault;
pub use head::{BodyLength, Fields, Head, Method, Version};
pub use media::{DOWNLOAD_FIELDS, MEDIA_TYPE_BYTES_MAX, is_media_type, media_type};
pub use message_id::message_id;
pub use reader::{HEAD_BYTES_MAX, Item, Reader, Step};
pub use response::{Content, Manner, Response};
pub use routes::{Asset, PAGE, Refusal, Route, Site, route};
pub use status::Status;
pub use target::{Authority, Target, decode};
