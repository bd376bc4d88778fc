import java.io.File;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;

/** Walks a commit log with the broker's own decoder and CRC check, once per line of input; prints messages and seconds. */
public class Walk {
    public static void main(String[] args) throws Exception {
        try (java.util.Scanner lines = new java.util.Scanner(System.in)) {
            while (lines.hasNextLine()) {
                lines.nextLine();
                long start = System.nanoTime();
                long messages = walk(new File(args[0]));
                System.out.println(messages + " " + (System.nanoTime() - start) / 1e9);
                System.out.flush();
            }
        }
    }

    private static long walk(File folder) throws Exception {
        File[] files = folder.listFiles();
        Arrays.sort(files);
        long messages = 0;
        for (File file : files) {
            try (RandomAccessFile opened = new RandomAccessFile(file, "r")) {
                ByteBuffer log = opened.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, opened.length());
                while (log.remaining() > 8) {
                    int begin = log.position();
                    int magic = log.getInt(begin + 4);
                    if (magic != MessageDecoder.MESSAGE_MAGIC_CODE && magic != MessageDecoder.MESSAGE_MAGIC_CODE_V2) {
                        break;
                    }
                    int size = log.getInt(begin);
                    // Body, no decompression, no client object, no properties as text, CRC.
                    MessageExt message = MessageDecoder.decode(log, true, false, false, false, true);
                    if (message == null) {
                        throw new IllegalStateException("no message at " + begin + " of " + file);
                    }
                    messages++;
                    log.position(begin + size);
                }
            }
        }
        return messages;
    }
}
