import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Writes down the messages that a consumer gets. */
final class Receiver {
    private static final AtomicLong INSTANCES = new AtomicLong();

    private static final long PATIENCE = 240000;

    /** The consumer of the group that consumes now, and what it writes to. */
    private static DefaultMQPushConsumer member;
    private static Json received;

    private Receiver() {
    }

    /** Every message of every queue of a topic, from the first offset on, by pulling. */
    static String drain(String address, String topic, Path file) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("GID_rehearsal_drain");
        consumer.setNamesrvAddr(address);
        consumer.setInstanceName("drain-" + INSTANCES.incrementAndGet());
        consumer.start();
        long count = 0;
        try (Json out = new Json(file)) {
            for (MessageQueue queue : queues(consumer, topic)) {
                long offset = consumer.minOffset(queue);
                long end = consumer.maxOffset(queue);
                for (int idle = 0; offset < end && idle < 20; ) {
                    PullResult result = consumer.pull(queue, "*", offset, 32);
                    List<MessageExt> found = result.getMsgFoundList();
                    for (MessageExt message : found == null ? Collections.<MessageExt>emptyList() : found) {
                        write(out, queue, message);
                        count++;
                    }
                    if (result.getNextBeginOffset() > offset) {
                        idle = 0;
                    } else {
                        idle++;
                        Thread.sleep(100);
                    }
                    offset = Math.max(offset, result.getNextBeginOffset());
                }
            }
        } finally {
            consumer.shutdown();
        }
        return Json.object("messages", count);
    }

    /** The queues of a topic; a broker that has just started may not be registered yet. */
    private static Collection<MessageQueue> queues(DefaultMQPullConsumer consumer, String topic) throws Exception {
        for (long end = System.currentTimeMillis() + PATIENCE;;) {
            try {
                return consumer.fetchSubscribeMessageQueues(topic);
            } catch (MQClientException e) {
                if (System.currentTimeMillis() > end) {
                    throw e;
                }
                Thread.sleep(200);
            }
        }
    }

    /**
     * Consumes as a group until it has so many different messages, or nothing came for a time. The group stays, so that what it
     * commits arrives: a member that leaves at once may take the last offsets with it.
     */
    static String consume(String address, String group, String topics, long wanted, long idle, Path file) throws Exception {
        final Json out = new Json(file);
        final AtomicLong last = new AtomicLong(System.currentTimeMillis());
        final Set<String> seen = Collections.synchronizedSet(new HashSet<String>());
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(address);
        consumer.setInstanceName("consume-" + INSTANCES.incrementAndGet());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(2);
        consumer.setPersistConsumerOffsetInterval(1000);
        for (String topic : topics.split(",")) {
            consumer.subscribe(topic, "*");
        }
        consumer.registerMessageListener(new MessageListenerConcurrently() {
            public ConsumeConcurrentlyStatus consumeMessage(List<MessageExt> messages, ConsumeConcurrentlyContext context) {
                try {
                    for (MessageExt message : messages) {
                        write(out, context.getMessageQueue(), message);
                        seen.add(message.getKeys());
                        last.set(System.currentTimeMillis());
                    }
                } catch (Exception e) {
                    e.printStackTrace();
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            }
        });
        member = consumer;
        received = out;
        consumer.start();
        while (seen.size() < wanted && System.currentTimeMillis() - last.get() < idle) {
            Thread.sleep(50);
        }
        return Json.object("messages", seen.size());
    }

    /** Leaves the group. */
    static String leave() throws Exception {
        member.shutdown();
        received.close();
        return Json.object("left", 1);
    }

    private static void write(Json out, MessageQueue queue, MessageExt message) throws Exception {
        out.line("broker", queue.getBrokerName(), "topic", message.getTopic(), "queue_id", message.getQueueId(),
            "queue_offset", message.getQueueOffset(), "key", message.getKeys(), "message_id", message.getMsgId(), "body", Json.digest(message.getBody()));
    }
}
