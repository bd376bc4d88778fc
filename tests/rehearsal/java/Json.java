import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;

/** JSON lines, written so that a killed process loses none. */
final class Json implements AutoCloseable {
    private final BufferedWriter file;

    Json(Path path) throws IOException {
        file = Files.newBufferedWriter(path, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /** Names and values in turn; a value is a number or text. */
    synchronized void line(Object... members) throws IOException {
        file.write(object(members) + "\n");
        file.flush();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    static String object(Object... members) {
        StringBuilder json = new StringBuilder("{");
        for (int i = 0; i < members.length; i += 2) {
            Object value = members[i + 1];
            json.append(i > 0 ? "," : "").append('"').append(members[i]).append("\":");
            json.append(value instanceof Number ? value.toString() : text(String.valueOf(value)));
        }
        return json.append('}').toString();
    }

    static String text(String value) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : value.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }

    static String digest(byte[] body) throws Exception {
        StringBuilder hex = new StringBuilder();
        for (byte b : MessageDigest.getInstance("SHA-256").digest(body)) {
            hex.append(String.format("%02x", b));
        }
        return hex.toString();
    }
}
