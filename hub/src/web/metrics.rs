//! What the server counts, for Prometheus: the text format, version 0.0.4.
//!
//! It is what `stats` tells, under names that say their unit. Neither a name nor an address is in it.

use alloc::string::String;
use core::fmt::{Display, Write};

use proto::reply::{LimitHits, Stats, Store};

use super::Hub;
use crate::stats::Condition;

/// What the format is called.
pub(super) const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Microseconds in a second.
const SECOND_US: f64 = 1_000_000.0;

/// The page in the making.
struct Page(String);

impl Page {
    /// A family of series: what it is, and that its values follow.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A value of a series that has a label.
    fn labelled(&mut self, name: &str, label: (&str, &str), value: impl Display) {
        let _ = writeln!(self.0, "{name}{{{}=\"{}\"}} {value}", label.0, label.1);
    }

    /// A family that is one series.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "counter", help, value);
    }
}

impl Hub {
    /// The page of metrics.
    pub(super) fn metrics(&self) -> String {
        let stats = self.stats();
        let mut page = Page(String::new());
        connections(&mut page, &stats);
        messages(&mut page, &stats);
        memory(&mut page, &stats);
        hits(&mut page, &stats.hits);
        store(&mut page, &stats.store);
        self.commits(&mut page);
        self.turns(&mut page);
        page.0
    }

    /// How long commits took, as a summary: the quantiles of the latest, the sum and the number of all.
    fn commits(&self, page: &mut Page) {
        const NAME: &str = "chatd_commit_seconds";
        let Condition { commit_p50_us, commit_p99_us, commits, commits_took_us, .. } =
            self.condition;
        // Of nothing there is no quantile.
        let told = |micros| if commits == 0 { f64::NAN } else { seconds(micros) };
        page.family(NAME, "summary", "How long commits took; the quantiles are of the latest.");
        page.labelled(NAME, ("quantile", "0.5"), told(commit_p50_us));
        page.labelled(NAME, ("quantile", "0.99"), told(commit_p99_us));
        let sum = seconds(commits_took_us);
        let _ = writeln!(page.0, "{NAME}_sum {sum}\n{NAME}_count {commits}");
    }

    /// How long turns of the loop took, as a histogram.
    fn turns(&self, page: &mut Page) {
        const NAME: &str = "chatd_turn_seconds";
        page.family(NAME, "histogram", "How long a turn of the loop took, without its sleep.");
        let turns = self.lately.turns();
        for (end_us, count) in self.lately.turns_within() {
            let end = seconds(end_us);
            let _ = writeln!(page.0, "{NAME}_bucket{{le=\"{end}\"}} {count}");
        }
        let (count, sum) = (turns.count, seconds(self.lately.turns_took_us()));
        let _ = writeln!(page.0, "{NAME}_bucket{{le=\"+Inf\"}} {count}\n{NAME}_sum {sum}");
        let _ = writeln!(page.0, "{NAME}_count {count}");
    }
}

#[allow(clippy::cast_precision_loss, reason = "nobody looks at the sixteenth digit of a time")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / SECOND_US
}

fn connections(page: &mut Page, stats: &Stats<'_>) {
    const NAME: &str = "chatd_connections";
    page.gauge("chatd_uptime_seconds", "Since the daemon started.", stats.uptime_ms / 1_000);
    page.family(NAME, "gauge", "Connections by what they speak.");
    for (protocol, count) in [
        ("native", stats.connections_native),
        ("v1", stats.connections_v1),
        ("control", stats.connections_control),
        ("websocket", stats.connections_websocket),
        ("http", stats.connections_http),
        ("events", stats.connections_events),
        ("undecided", stats.connections_undecided),
    ] {
        page.labelled(NAME, ("protocol", protocol), count);
    }
    page.counter("chatd_accepted_total", "Connections that came.", stats.accepted);
    page.counter("chatd_cut_slow_total", "Receivers cut for being too slow.", stats.cut_slow);
    page.counter("chatd_gaps_total", "Gaps told to slow receivers.", stats.gaps);
    page.gauge("chatd_rooms", "Rooms.", stats.rooms);
    page.gauge("chatd_talks_waiting", "Connections that wait for a talk.", stats.talks_waiting);
    page.gauge("chatd_talks_open", "One-to-one talks that are open.", stats.talks_open);
}

fn messages(page: &mut Page, stats: &Stats<'_>) {
    const NAME: &str = "chatd_encoded_total";
    page.counter("chatd_messages_total", "Messages said.", stats.messages);
    page.counter("chatd_deliveries_total", "Messages handed to receivers.", stats.deliveries);
    page.family(NAME, "counter", "Events encoded, each once for v0.5 and once for v1.");
    page.labelled(NAME, ("protocol", "v05"), stats.encoded_v05);
    page.labelled(NAME, ("protocol", "v1"), stats.encoded_v1);
    page.counter("chatd_received_bytes_total", "Bytes from all connections.", stats.bytes_in);
    page.counter("chatd_sent_bytes_total", "Bytes to all connections.", stats.bytes_out);
}

fn memory(page: &mut Page, stats: &Stats<'_>) {
    const NAME: &str = "chatd_queue_bytes";
    page.family(NAME, "gauge", "Bytes that wait for receivers, shared ones counted once.");
    page.labelled(NAME, ("kind", "shared"), stats.block_bytes);
    page.labelled(NAME, ("kind", "private"), stats.private_bytes);
    page.gauge("chatd_kept_bytes", "Bytes of what is not heard to its end.", stats.kept_bytes);
    page.gauge("chatd_recent_bytes", "Bytes of messages in memory.", stats.recent_bytes);
}

fn hits(page: &mut Page, hits: &LimitHits) {
    const NAME: &str = "chatd_limit_hits_total";
    page.family(NAME, "counter", "How often a limit was hit.");
    for (limit, count) in [
        ("messages", hits.paused_messages),
        ("bytes", hits.paused_bytes),
        ("fanout", hits.paused_fanout),
        ("store", hits.paused_store),
        ("connections", hits.refused_connections),
        ("clients_per_ip", hits.refused_clients_per_ip),
        ("accept_rate", hits.refused_accept_rate),
        ("control", hits.refused_control),
        ("nick_changes", hits.refused_nick_changes),
        ("rooms", hits.refused_rooms),
    ] {
        page.labelled(NAME, ("limit", limit), count);
    }
}

fn store(page: &mut Page, store: &Store) {
    let up = u8::from(matches!(store.state, "none" | "well"));
    page.gauge("chatd_store_up", "Whether messages can be posted.", up);
    page.gauge("chatd_store_queue_messages", "Messages that wait for it.", store.queue_messages);
    page.gauge("chatd_store_queue_bytes", "Their content in bytes.", store.queue_bytes);
    page.gauge("chatd_database_bytes", "What the history takes of the disk.", store.database_bytes);
    page.gauge("chatd_disk_free_bytes", "What is free of its disk.", store.free_bytes);
}
