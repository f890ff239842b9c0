//! What the daemon counts as one line for the log, under the names that `stats` has on the wire.

use std::fmt::Write as _;

use proto::reply::{LimitHits, Recent, Stats, Store, Turns};

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
        uptime_ms, connections_native, connections_v1, connections_control, connections_websocket, connections_http, connections_events, connections_undecided, accepted, cut_slow, gaps, rooms,
        talks_waiting, talks_open, messages, deliveries, encoded_v05, encoded_v1, bytes_in, bytes_out, blocks, block_bytes, private_bytes, kept_bytes,
        recent_bytes
    } and server, version, turns, recent, connections_max, store_bytes_max, hits, store, who, process);
    let Turns { count, p50_us, p99_us, longest_us } = stats.turns;
    let _ = write!(
        line,
        " turns={count} turn_p50_us={p50_us} turn_p99_us={p99_us} turn_longest_us={longest_us}"
    );
    let Recent { ms, messages, deliveries, turns } = stats.recent;
    let _ = write!(
        line,
        " recent.ms={ms} recent.messages={messages} recent.deliveries={deliveries} recent.turns={} recent.turn_longest_us={}",
        turns.count, turns.longest_us
    );
    let Store {
        state,
        queue_messages,
        queue_bytes,
        commit_p50_us,
        commit_p99_us,
        database_bytes,
        free_bytes,
    } = stats.store;
    let _ = write!(
        line,
        " store={state} store.queue_messages={queue_messages} store.queue_bytes={queue_bytes} store.commit_p50_us={commit_p50_us} \
         store.commit_p99_us={commit_p99_us} store.database_bytes={database_bytes} store.free_bytes={free_bytes}"
    );
    if let Some(most) = stats.connections_max {
        let _ = write!(line, " connections_max={most}");
    }
    if let Some(most) = stats.store_bytes_max {
        let _ = write!(line, " store_bytes_max={most}");
    }
    write_fields!(line, &stats.hits => LimitHits {
        paused_messages, paused_bytes, paused_fanout, paused_store, refused_connections, refused_clients_per_ip,
        refused_accept_rate, refused_control, refused_nick_changes, refused_rooms
    } and);
    line
}
