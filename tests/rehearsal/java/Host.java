import java.util.Arrays;

/** Runs the main method of a class, and ends with its standard input: no broker outlives whoever started it. */
public class Host {
    public static void main(String[] args) throws Exception {
        Thread watch = new Thread(new Runnable() {
            public void run() {
                try {
                    while (System.in.read() >= 0) {
                        continue;
                    }
                } catch (java.io.IOException e) {
                    e.printStackTrace();
                }
                Runtime.getRuntime().halt(1);
            }
        });
        watch.setDaemon(true);
        watch.start();
        String[] rest = Arrays.copyOfRange(args, 1, args.length);
        Class.forName(args[0]).getMethod("main", String[].class).invoke(null, (Object) rest);
    }
}
