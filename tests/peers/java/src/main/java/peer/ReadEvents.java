package peer;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads events the way a stranger would: the writer's schema comes from the registry, the reader's is the committed file.
 * Arguments: bootstrap, registry, topic, number of events, schema file. Prints one JSON object for each event; ends with
 * status 1 when they have not all come in time.
 */
public final class ReadEvents {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final int HEADER_BYTES = 5;

    private final HttpClient http = HttpClient.newHttpClient();
    private final ObjectMapper json = new ObjectMapper();
    private final Map<Integer, Schema> writers = new HashMap<>();
    private final String registry;
    private final Schema reader;

    private ReadEvents(String registry, Path schema) throws Exception {
        this.registry = registry;
        this.reader = new Schema.Parser().parse(Files.readString(schema));
    }

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[2];
        int wanted = Integer.parseInt(arguments[3]);
        ReadEvents events = new ReadEvents(arguments[1], Path.of(arguments[4]));
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "isolation.level", "read_committed");
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        int seen = 0;
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions =
                    consumer.partitionsFor(topic).stream().map(each -> new TopicPartition(topic, each.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (seen < wanted && System.nanoTime() < deadline) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    System.out.println(events.read(record));
                    seen++;
                }
            }
        }
        System.exit(seen == wanted ? 0 : 1);
    }

    private String read(ConsumerRecord<byte[], byte[]> record) throws Exception {
        ByteBuffer header = ByteBuffer.wrap(record.value());
        if (header.get() != 0) {
            throw new IllegalStateException("not the Confluent wire format");
        }
        Schema writer = writer(header.getInt());
        BinaryDecoder decoder =
                DecoderFactory.get().binaryDecoder(record.value(), HEADER_BYTES, record.value().length - HEADER_BYTES, null);
        GenericRecord event = new GenericDatumReader<GenericRecord>(writer, reader).read(null, decoder);
        if (!decoder.isEnd()) {
            throw new IllegalStateException("bytes are left over");
        }
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("key", new String(record.key(), StandardCharsets.UTF_8));
        for (Schema.Field field : reader.getFields()) {
            shown.put(field.name(), plain(event.get(field.pos())));
        }
        return json.writeValueAsString(shown);
    }

    private static Object plain(Object value) {
        if (value instanceof CharSequence text) {
            return text.toString();
        }
        if (value instanceof GenericRecord inner) {
            Map<String, Object> fields = new LinkedHashMap<>();
            inner.getSchema().getFields().forEach(field -> fields.put(field.name(), plain(inner.get(field.pos()))));
            return fields;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> entries = new LinkedHashMap<>();
            map.forEach((name, inner) -> entries.put(name.toString(), plain(inner)));
            return entries;
        }
        return value;
    }

    private Schema writer(int id) throws Exception {
        Schema known = writers.get(id);
        if (known == null) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).timeout(PATIENCE).build();
            HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
            known = new Schema.Parser().parse(json.readTree(answer.body()).get("schema").asText());
            writers.put(id, known);
        }
        return known;
    }
}
