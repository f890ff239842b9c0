//! A seed's limits in the words of the hub and of the turn.

use chatd::turn::Tuning;
use hub::{Anonymous, Durability, Planted, Quota, Settings};
use proto::{Span, WireLimits};

use crate::swarm::Plan;

/// The hub's settings.
pub fn settings(plan: &Plan, planted: Option<Planted>) -> Settings {
    let (limits, quotas) = (&plan.limits, &plan.quotas);
    let by_second = |count| Quota { count, span: Span::from_secs(1) };
    let span = |micros| Some(Span::from_micros(micros));
    let shipped = Settings::default();
    Settings {
        server_name: "sim.server".into(),
        anonymous: if limits.endpoint_names { Anonymous::Endpoint } else { Anonymous::Guest },
        wire: WireLimits { message: limits.message, ..WireLimits::default() },
        connections: Some(limits.connections),
        messages_per_s: limits.messages_per_s,
        message_burst: limits.message_burst,
        bytes_per_s: limits.bytes_per_s,
        byte_burst: limits.byte_burst,
        clients_per_ip: quotas.clients_per_ip,
        accept_rate: quotas.accepts.map(|(rate, _)| by_second(rate)),
        accept_burst: quotas.accepts.map_or(1, |(_, burst)| burst),
        fanout_per_s: quotas.fanout.map(|(rate, _)| rate),
        fanout_burst: quotas.fanout.map_or(1, |(_, burst)| burst),
        nick_changes: quotas.nick_changes.map(by_second),
        outbox: Some(limits.outbox),
        store: Some(limits.store),
        detect: span(limits.detect),
        frame_timeout: span(limits.frame_timeout),
        idle: span(limits.idle),
        keepalive: span(limits.keepalive),
        stall: span(limits.stall),
        wait_timeout: quotas.wait_timeout.map(Span::from_micros),
        turn_timeout: quotas.turn_timeout.map(Span::from_micros),
        durability: if plan.store.durable { Durability::Sync } else { Durability::None },
        recent: Some(limits.recent),
        rooms: Some(limits.rooms),
        rooms_joined: Some(limits.rooms_joined),
        kept: quotas.kept.unwrap_or(shipped.kept),
        small_room: quotas.small_room.unwrap_or(shipped.small_room),
        planted,
        ..shipped
    }
}

/// The turn's own settings.
pub fn tuning(plan: &Plan) -> Tuning {
    let limits = &plan.limits;
    Tuning {
        paced: limits.pace,
        shutdown_timeout: Span::from_micros(limits.shutdown_timeout),
        supervised: None,
    }
}
