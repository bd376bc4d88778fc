import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Sends messages with a key that no other message has, and writes down each one that a broker has acknowledged. */
final class Sender {
    private final String address;
    private final Json truth;
    private final AtomicLong number = new AtomicLong(System.currentTimeMillis());
    private final AtomicLong acked = new AtomicLong();
    private final AtomicLong unsure = new AtomicLong();
    private final List<Thread> threads = new ArrayList<Thread>();
    private volatile boolean halted;
    private DefaultMQProducer producer;

    Sender(String address, Path file) throws Exception {
        this.address = address;
        this.truth = new Json(file);
    }

    /** Sends so many messages, each as often as it takes; fails when the time is over. */
    String send(String topic, int count, long millis) throws Exception {
        long end = System.currentTimeMillis() + millis;
        for (int sent = 0; sent < count; ) {
            if (one(topic)) {
                sent++;
            } else if (System.currentTimeMillis() > end) {
                throw new IllegalStateException(sent + " of " + count + " messages sent to " + topic);
            } else {
                Thread.sleep(100);
            }
        }
        return counts();
    }

    /** Sends to these topics in turn from so many threads until it is told to halt. */
    String load(final List<String> topics, int count) throws Exception {
        halted = false;
        producer();
        for (int n = 0; n < count; n++) {
            final int first = n;
            Thread thread = new Thread(new Runnable() {
                public void run() {
                    try {
                        for (int i = first; !halted; i++) {
                            if (!one(topics.get(i % topics.size()))) {
                                Thread.sleep(20);
                            }
                        }
                    } catch (Exception e) {
                        e.printStackTrace();
                    }
                }
            });
            threads.add(thread);
            thread.start();
        }
        return counts();
    }

    String halt() throws Exception {
        halted = true;
        for (Thread thread : threads) {
            thread.join();
        }
        threads.clear();
        return counts();
    }

    String counts() {
        return Json.object("acked", acked.get(), "unsure", unsure.get());
    }

    /** Whether the message was acknowledged. What was sent without an answer may be there or not, and is written down as unsure. */
    private boolean one(String topic) throws Exception {
        long n = number.incrementAndGet();
        String key = "K" + n;
        byte[] body = body(n);
        Message message = new Message(topic, "Tag" + n % 3, key, body);
        if (n % 7 == 0) {
            message.putUserProperty("color", "blue");
        }
        SendResult result;
        try {
            result = producer().send(message);
        } catch (MQClientException e) {
            if (String.valueOf(e.getMessage()).contains("No route")) {
                return false;
            }
            return unsure(topic, key, e);
        } catch (Exception e) {
            return unsure(topic, key, e);
        }
        truth.line("state", "acked", "broker", result.getMessageQueue().getBrokerName(), "topic", topic,
            "queue_id", result.getMessageQueue().getQueueId(), "queue_offset", result.getQueueOffset(), "key", key, "message_id", result.getMsgId(), "body", Json.digest(body), "status", result.getSendStatus());
        acked.incrementAndGet();
        return true;
    }

    private boolean unsure(String topic, String key, Exception e) throws Exception {
        truth.line("state", "unsure", "topic", topic, "key", key, "error", e);
        unsure.incrementAndGet();
        return false;
    }

    private synchronized DefaultMQProducer producer() throws Exception {
        if (producer == null) {
            DefaultMQProducer started = new DefaultMQProducer("GID_rehearsal_producer");
            started.setNamesrvAddr(address);
            started.setSendMsgTimeout(10000);
            // A second attempt could store the message twice.
            started.setRetryTimesWhenSendFailed(0);
            started.start();
            producer = started;
        }
        return producer;
    }

    private static byte[] body(long n) {
        Random random = new Random(n);
        StringBuilder text = new StringBuilder("message " + n + " ");
        for (int left = 20 + random.nextInt(400); left > 0; left--) {
            text.append((char) ('a' + random.nextInt(26)));
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }
}
