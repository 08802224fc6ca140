//! Attributes that OpenTelemetry renamed: spans of older instrumentation have the old name, and a
//! store may hold both.
//!
//! From the schema files and the registry of the semantic conventions, up to version 1.44. Left
//! out: renames that concern metrics alone, keys that were split in several (`http.target`) and
//! keys whose values mean something else under the new name (`rpc.grpc.status_code`).

/// Old and new name; a key that was renamed twice stands with each later name, the newest first.
const RENAMED: &[(&str, &str)] = &[
    // http, url, client, server, network
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.url", "url.full"),
    ("http.scheme", "url.scheme"),
    ("http.user_agent", "user_agent.original"),
    ("browser.user_agent", "user_agent.original"),
    ("http.client_ip", "client.address"),
    ("http.server_name", "server.address"),
    ("http.flavor", "network.protocol.version"),
    ("http.retry_count", "http.request.resend_count"),
    ("http.retry_count", "http.resend_count"),
    ("http.resend_count", "http.request.resend_count"),
    ("http.request_content_length", "http.request.body.size"),
    ("http.response_content_length", "http.response.body.size"),
    ("http.request_content_length_uncompressed", "http.request.body.size"),
    ("http.response_content_length_uncompressed", "http.response.body.size"),
    // On client spans, where it mostly stood; on server spans it is client.address.
    ("net.peer.name", "server.address"),
    ("net.peer.port", "server.port"),
    ("net.host.name", "server.address"),
    ("net.host.port", "server.port"),
    ("net.peer.ip", "network.peer.address"),
    ("net.peer.ip", "net.sock.peer.addr"),
    ("net.host.ip", "network.local.address"),
    ("net.host.ip", "net.sock.host.addr"),
    ("net.sock.peer.addr", "network.peer.address"),
    ("net.sock.peer.port", "network.peer.port"),
    ("net.sock.host.addr", "network.local.address"),
    ("net.sock.host.port", "network.local.port"),
    ("net.transport", "network.transport"),
    ("net.app.protocol.name", "network.protocol.name"),
    ("net.app.protocol.name", "net.protocol.name"),
    ("net.app.protocol.version", "network.protocol.version"),
    ("net.app.protocol.version", "net.protocol.version"),
    ("net.protocol.name", "network.protocol.name"),
    ("net.protocol.version", "network.protocol.version"),
    ("net.host.connection.type", "network.connection.type"),
    ("net.host.connection.subtype", "network.connection.subtype"),
    ("net.host.carrier.name", "network.carrier.name"),
    ("net.host.carrier.mcc", "network.carrier.mcc"),
    ("net.host.carrier.mnc", "network.carrier.mnc"),
    ("net.host.carrier.icc", "network.carrier.icc"),
    ("tls.client.server_name", "server.address"),
    ("peer.service", "service.peer.name"),
    // db
    ("db.system", "db.system.name"),
    ("db.statement", "db.query.text"),
    ("db.operation", "db.operation.name"),
    ("db.name", "db.namespace"),
    ("db.cassandra.keyspace", "db.namespace"),
    ("db.cassandra.keyspace", "db.name"),
    ("db.hbase.namespace", "db.namespace"),
    ("db.hbase.namespace", "db.name"),
    ("db.elasticsearch.cluster.name", "db.namespace"),
    ("db.sql.table", "db.collection.name"),
    ("db.mongodb.collection", "db.collection.name"),
    ("db.cassandra.table", "db.collection.name"),
    ("db.cosmosdb.container", "db.collection.name"),
    ("db.cassandra.coordinator.dc", "cassandra.coordinator.dc"),
    ("db.cassandra.coordinator.id", "cassandra.coordinator.id"),
    ("db.cassandra.consistency_level", "cassandra.consistency.level"),
    ("db.cassandra.idempotence", "cassandra.query.idempotent"),
    ("db.cassandra.page_size", "cassandra.page.size"),
    ("db.cassandra.speculative_execution_count", "cassandra.speculative_execution.count"),
    ("db.cosmosdb.client_id", "azure.client.id"),
    ("db.cosmosdb.connection_mode", "azure.cosmosdb.connection.mode"),
    ("db.cosmosdb.consistency_level", "azure.cosmosdb.consistency.level"),
    ("db.cosmosdb.request_charge", "azure.cosmosdb.operation.request_charge"),
    ("db.cosmosdb.request_content_length", "azure.cosmosdb.request.body.size"),
    ("db.cosmosdb.regions_contacted", "azure.cosmosdb.operation.contacted_regions"),
    ("db.cosmosdb.status_code", "db.response.status_code"),
    ("db.cosmosdb.sub_status_code", "azure.cosmosdb.response.sub_status_code"),
    ("db.elasticsearch.node.name", "elasticsearch.node.name"),
    // messaging
    ("messaging.destination", "messaging.destination.name"),
    ("messaging.temp_destination", "messaging.destination.temporary"),
    ("messaging.message_id", "messaging.message.id"),
    ("messaging.conversation_id", "messaging.message.conversation_id"),
    ("messaging.operation", "messaging.operation.type"),
    ("messaging.client_id", "messaging.client.id"),
    ("messaging.kafka.client_id", "messaging.client.id"),
    ("messaging.kafka.client_id", "messaging.client_id"),
    ("messaging.rocketmq.client_id", "messaging.client.id"),
    ("messaging.rocketmq.client_id", "messaging.client_id"),
    ("messaging.message_payload_size_bytes", "messaging.message.body.size"),
    ("messaging.message_payload_size_bytes", "messaging.message.payload_size_bytes"),
    ("messaging.message.payload_size_bytes", "messaging.message.body.size"),
    ("messaging.protocol", "network.protocol.name"),
    ("messaging.protocol_version", "network.protocol.version"),
    ("messaging.kafka.consumer_group", "messaging.consumer.group.name"),
    ("messaging.kafka.consumer_group", "messaging.kafka.consumer.group"),
    ("messaging.kafka.consumer.group", "messaging.consumer.group.name"),
    ("messaging.rocketmq.client_group", "messaging.consumer.group.name"),
    ("messaging.eventhubs.consumer.group", "messaging.consumer.group.name"),
    (
        "messaging.servicebus.destination.subscription_name",
        "messaging.destination.subscription.name",
    ),
    ("messaging.kafka.partition", "messaging.destination.partition.id"),
    ("messaging.kafka.partition", "messaging.kafka.destination.partition"),
    ("messaging.kafka.destination.partition", "messaging.destination.partition.id"),
    ("messaging.kafka.message_key", "messaging.kafka.message.key"),
    ("messaging.kafka.message.offset", "messaging.kafka.offset"),
    ("messaging.kafka.tombstone", "messaging.kafka.message.tombstone"),
    ("messaging.rabbitmq.routing_key", "messaging.rabbitmq.destination.routing_key"),
    ("messaging.rocketmq.message_type", "messaging.rocketmq.message.type"),
    ("messaging.rocketmq.message_tag", "messaging.rocketmq.message.tag"),
    ("messaging.rocketmq.message_keys", "messaging.rocketmq.message.keys"),
    // rpc
    ("rpc.system", "rpc.system.name"),
    ("rpc.connect_rpc.error_code", "rpc.response.status_code"),
    ("rpc.jsonrpc.request_id", "jsonrpc.request.id"),
    ("rpc.jsonrpc.version", "jsonrpc.protocol.version"),
    ("message.type", "rpc.message.type"),
    ("message.id", "rpc.message.id"),
    ("message.compressed_size", "rpc.message.compressed_size"),
    ("message.uncompressed_size", "rpc.message.uncompressed_size"),
    // code, gen_ai
    ("code.function", "code.function.name"),
    ("code.filepath", "code.file.path"),
    ("code.lineno", "code.line.number"),
    ("code.column", "code.column.number"),
    ("gen_ai.system", "gen_ai.provider.name"),
    ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"),
    ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens"),
    ("gen_ai.openai.request.seed", "gen_ai.request.seed"),
    ("gen_ai.openai.request.response_format", "gen_ai.output.type"),
    ("gen_ai.openai.request.service_tier", "openai.request.service_tier"),
    ("gen_ai.openai.response.service_tier", "openai.response.service_tier"),
    ("gen_ai.openai.response.system_fingerprint", "openai.response.system_fingerprint"),
    // resources and the rest
    ("deployment.environment", "deployment.environment.name"),
    ("container.runtime", "container.runtime.name"),
    ("telemetry.auto.version", "telemetry.distro.version"),
    ("otel.library.name", "otel.scope.name"),
    ("otel.library.version", "otel.scope.version"),
    ("faas.execution", "faas.invocation_id"),
    ("faas.id", "cloud.resource_id"),
    ("enduser.role", "user.roles"),
    ("android.state", "android.app.state"),
    ("ios.state", "ios.app.state"),
    ("az.namespace", "azure.resource_provider.namespace"),
    ("az.service_request_id", "azure.service.request.id"),
    ("feature_flag.provider_name", "feature_flag.provider.name"),
    ("feature_flag.variant", "feature_flag.result.variant"),
    ("feature_flag.evaluation.reason", "feature_flag.result.reason"),
    ("feature_flag.evaluation.error.message", "feature_flag.error.message"),
    ("process.executable.build_id.profiling", "process.executable.build_id.htlhash"),
    ("vcs.repository.change.id", "vcs.change.id"),
    ("vcs.repository.change.title", "vcs.change.title"),
    ("vcs.repository.ref.name", "vcs.ref.head.name"),
    ("vcs.repository.ref.revision", "vcs.ref.head.revision"),
    ("vcs.repository.ref.type", "vcs.ref.head.type"),
];

/// The other names of a key: what it was renamed to, and what was renamed to it.
pub(crate) fn others(key: &str) -> impl Iterator<Item = &'static str> {
    let newer = RENAMED.iter().filter(move |(old, _)| *old == key).map(|(_, new)| *new);
    let older = RENAMED.iter().filter(move |(_, new)| *new == key).map(|(old, _)| *old);
    newer.chain(older)
}

/// Whether `old` was renamed to `new`.
pub(crate) fn is_newer(new: &str, old: &str) -> bool {
    RENAMED.contains(&(old, new))
}

#[cfg(test)]
mod tests {
    use super::{RENAMED, is_newer, others};

    #[test]
    fn a_key_is_found_from_its_old_and_from_its_new_name() {
        let of = |key| others(key).collect::<Vec<_>>();
        assert_eq!(of("http.status_code"), ["http.response.status_code"]);
        assert_eq!(of("http.response.status_code"), ["http.status_code"]);
        assert_eq!(of("http.route"), [""; 0]);
        assert!(is_newer("db.query.text", "db.statement"));
        assert!(!is_newer("db.statement", "db.query.text"));
    }

    #[test]
    fn a_later_name_of_a_later_name_is_listed_too_and_nothing_goes_in_a_circle() {
        for (index, (old, new)) in RENAMED.iter().enumerate() {
            assert!(old != new && !is_newer(old, new), "{old} and {new}");
            assert!(!RENAMED[..index].contains(&(*old, *new)), "{old} to {new} stands twice");
            for (_, newest) in RENAMED.iter().filter(|(between, _)| between == new) {
                assert!(is_newer(newest, old), "{old} to {newest} by way of {new}");
            }
        }
    }
}
