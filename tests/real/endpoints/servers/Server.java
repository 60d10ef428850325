import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.HexFormat;

/** Answers each request with the SHA-256 of its body, by Java's HttpServer. Arguments: the port. */
public class Server {
    public static void main(String[] arguments) throws Exception {
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        server.createContext("/", exchange -> {
            try {
                var digest = MessageDigest.getInstance("SHA-256").digest(exchange.getRequestBody().readAllBytes());
                var answer = HexFormat.of().formatHex(digest).getBytes();
                exchange.sendResponseHeaders(200, answer.length);
                exchange.getResponseBody().write(answer);
                exchange.close();
            } catch (java.security.NoSuchAlgorithmException error) {
                throw new IllegalStateException(error);
            }
        });
        server.start();
    }
}
