import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The small job on Kafka Streams: one thread, a RocksDB store with its cache and changelog.
 *
 * <p>SmallJob given[0]ANTEE BOOTSTRAP PREFIX FOLDER COMMIT_SECONDS (given[0]ANTEE: at_least_once or exactly_once_v2)
 */
public final class SmallJob {
  @JsonIgnoreProperties(ignoreUnknown = true)
  public static final class Order {
    public long revenue_minor;
  }

  public record Total(long count, long sum) {}

  static final class Totals implements Processor<String, byte[], String, byte[]> {
    private final ObjectReader orders = new ObjectMapper().readerFor(Order.class);
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Total> totals;

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      this.totals = context.getStateStore("totals");
    }

    @Override
    public void process(Record<String, byte[]> record) {
      Order order;
      try {
        order = orders.readValue(record.value());
      } catch (java.io.IOException error) {
        throw new IllegalArgumentException(error);
      }
      Total before = totals.get(record.key());
      long count = before == null ? 1 : before.count() + 1;
      long sum = (before == null ? 0 : before.sum()) + order.revenue_minor;
      totals.put(record.key(), new Total(count, sum));
      if (count % 50 == 0) {
        String said =
            "{\"customer\":\"" + record.key() + "\",\"count\":" + count + ",\"sum\":" + sum + "}";
        context.forward(record.withValue(said.getBytes(StandardCharsets.UTF_8)));
      }
    }
  }

  static Serde<Total> totalSerde() {
    return Serdes.serdeFrom(
        (topic, total) ->
            total == null ? null : ByteBuffer.allocate(16).putLong(total.count()).putLong(total.sum()).array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Total(buffer.getLong(), buffer.getLong());
        });
  }

  public static void main(String[] given) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, given[2] + "streams");
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given[1]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, given[3]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, given[0]);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Math.round(Double.parseDouble(given[4]) * 1000));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.producerPrefix("acks"), "all");
    settings.put(StreamsConfig.producerPrefix("compression.type"), "lz4");

    Topology topology = new Topology();
    topology.addSource(
        "in", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), "small-in");
    topology.addProcessor("total", Totals::new, "in");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("totals"), Serdes.String(), totalSerde())
            .withCachingEnabled(),
        "total");
    topology.addSink(
        "out", given[2] + "out", Serdes.String().serializer(), Serdes.ByteArray().serializer(), "total");

    KafkaStreams streams = new KafkaStreams(topology, settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
