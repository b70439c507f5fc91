package sellable.peers.flink;

import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;
import sellable.peers.inventory.Channels;

/** Sends every record to the topic of its outlet. */
final class TopicOf implements KafkaRecordSerializationSchema<Told> {
    static final int DEAD_LETTERS = Channels.COUNT;
    private static final long serialVersionUID = 1L;

    private final String[] topics = new String[Channels.COUNT + 1];

    TopicOf(String prefix) {
        for (int channel = 0; channel < Channels.COUNT; channel++) {
            topics[channel] = prefix + "availability." + Channels.name(channel);
        }
        topics[DEAD_LETTERS] = prefix + "exceptions";
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(
            Told told, KafkaSinkContext context, Long timestamp) {
        return new ProducerRecord<>(topics[told.outlet], told.key, told.record);
    }
}
