//! INFO clients.

use std::sync::atomic::Ordering;

use super::{Observed, Text};

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    let Observed { node, settings, .. } = observed;
    let mut connected = 0;
    let mut blocked = 0;
    let mut input_max = 0;
    let mut output_max = 0;
    let mut subscribers = 0;
    let mut watching = 0;
    for client in node.clients.all() {
        let view = client.view.lock();
        connected += usize::from(!view.replica);
        blocked += usize::from(client.is_held());
        input_max = input_max.max(client.input_bytes.load(Ordering::Relaxed));
        output_max = output_max.max(client.output_waiting().bytes);
        let channels = view.subscriptions + view.pattern_subscriptions + view.shard_subscriptions;
        subscribers += usize::from(channels > 0);
        watching += usize::from(view.watch > 0);
    }
    let blocking_keys: usize = observed.keys.iter().map(|shard| shard.blocked.keys()).sum();
    let end_awaited = observed.keys.iter();
    let end_awaited = end_awaited.map(|shard| shard.blocked.keys_whose_end_is_awaited());
    let end_awaited: usize = end_awaited.sum();
    text.field("connected_clients", connected);
    text.field("cluster_connections", 0);
    text.field("maxclients", settings.maxclients);
    text.field("client_recent_max_input_buffer", input_max);
    text.field("client_recent_max_output_buffer", output_max);
    text.field("blocked_clients", blocked);
    text.field("tracking_clients", 0);
    text.field("pubsub_clients", subscribers);
    text.field("watching_clients", watching);
    text.field("clients_in_timeout_table", blocked);
    text.field("total_blocking_keys", blocking_keys);
    text.field("total_blocking_keys_on_nokey", end_awaited);
}
