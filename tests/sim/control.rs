//! A client of the control socket: lines of JSON, with its own reader of them.

use crate::answers;
use crate::clients::Client;
use crate::net::Net;
use crate::oracle::Oracle;

/// Reads every whole line that has come.
pub fn hear(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let bytes = std::mem::take(&mut client.heard);
    let mut rest = &bytes[..];
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        answers::take(client, line, net, oracle);
    }
    client.heard = rest.to_vec();
}
