import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Paths;
import java.util.Arrays;

import org.apache.rocketmq.namesrv.NamesrvStartup;

/**
 * The client of a site, and its name server if one is asked for: a JVM that obeys lines on its standard input and answers each
 * with one line of JSON on its standard output. It ends with its input.
 *
 * Arguments: ADDRESS_OF_NAME_SERVER TRUTH_FILE [CONFIGURATION_OF_NAME_SERVER]
 */
public class Agent {
    public static void main(String[] args) throws Exception {
        // What the libraries print goes to standard error: standard output is only for answers.
        PrintStream answers = new PrintStream(System.out, true, "UTF-8");
        System.setOut(System.err);
        if (args.length > 2) {
            NamesrvStartup.main(new String[] {"-c", args[2]});
        }
        Sender sender = new Sender(args[0], Paths.get(args[1]));
        answers.println("{\"ready\":true}");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                answers.println(obey(args[0], sender, line.split(" ")));
            } catch (Throwable e) {
                e.printStackTrace();
                answers.println("{\"error\":" + Json.text(String.valueOf(e)) + "}");
            }
        }
        Runtime.getRuntime().halt(0);
    }

    private static String obey(String address, Sender sender, String[] words) throws Exception {
        switch (words[0]) {
            case "send":
                return sender.send(words[1], Integer.parseInt(words[2]), Long.parseLong(words[3]));
            case "load":
                return sender.load(Arrays.asList(words[1].split(",")), Integer.parseInt(words[2]));
            case "acked":
                return sender.counts();
            case "halt":
                return sender.halt();
            case "drain":
                return Receiver.drain(address, words[1], Paths.get(words[2]));
            case "consume":
                return Receiver.consume(address, words[1], words[2], Long.parseLong(words[3]), Long.parseLong(words[4]), Paths.get(words[5]));
            case "leave":
                return Receiver.leave();
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }
}
