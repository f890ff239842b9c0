//! What the daemon counts as one line for the log, under the names that `stats` has on the wire.

use std::fmt::Write as _;

use proto::reply::{LimitHits, Stats};

/// Writes fields as `name=value`. All fields of the type are named, so that a new one is met here.
macro_rules! write_fields {
    ($line:ident, $value:expr => $kind:ident { $($field:ident),* } and $($other:ident),*) => {
        let $kind { $($field,)* $($other: _,)* } = $value;
        $(let _ = write!($line, " {}={}", stringify!($field), $field);)*
    };
}

/// The line. Neither a name nor an address is in it.
pub(super) fn summary(stats: &Stats<'_>) -> String {
    let mut line = String::from("counted:");
    write_fields!(line, stats => Stats {
        uptime_ms, connections_native, connections_v1, connections_control, connections_undecided, accepted, cut_slow, gaps, rooms,
        messages, deliveries, encoded_v05, encoded_v1, turn_longest_us, bytes_in, bytes_out, blocks, block_bytes, private_bytes,
        recent_bytes
    } and server, version, connections_max, hits, who);
    if let Some(most) = stats.connections_max {
        let _ = write!(line, " connections_max={most}");
    }
    write_fields!(line, &stats.hits => LimitHits {
        paused_messages, paused_bytes, paused_fanout, paused_store, refused_connections, refused_clients_per_ip,
        refused_accept_rate, refused_control, refused_nick_changes, refused_rooms
    } and);
    line
}
