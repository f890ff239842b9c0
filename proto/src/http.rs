//! HTTP/1.1 without sockets (RFC 9110, RFC 9112): [`Reader`] takes requests from bytes, [`Response`] makes bytes.
//!
//! What is done for a request is decided by whoever drives this; nothing here knows rooms, and time is an argument.

mod chunked;
pub mod etag;
mod fault;
mod head;
mod lines;
mod reader;
pub mod response;
mod status;
mod target;

pub use chunked::{LAST_CHUNK, chunk};
pub use fault::HttpFault;
pub use head::{BodyLength, Fields, Head, Method, Version};
pub use reader::{HEAD_BYTES_MAX, Item, Reader, Step};
pub use response::{Content, Manner, Response};
pub use status::Status;
pub use target::{Authority, Target, decode};
