package peer;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/** grpc-java as a stream peer: {@code server --listen A} or {@code client --target A --cases all}. */
final class Main {
    static final PrintStream OUT =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    public static void main(String[] args) {
        try {
            run(args);
            System.exit(0);
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1);
        }
    }

    private static void run(String[] args) throws Exception {
        List<String> options = Arrays.asList(args);
        String side = args.length == 0 ? "" : args[0];
        switch (side) {
            case "server" -> Server.serve(option(options, "--listen", "127.0.0.1:0"));
            case "client" -> {
                if (!option(options, "--codec", "protobuf").equals("protobuf")
                        || !option(options, "--transport", "grpc").equals("grpc")) {
                    throw new IllegalArgumentException("this peer speaks protobuf over grpc");
                }
                Client.run(option(options, "--target", null), option(options, "--cases", "all"));
            }
            default -> throw new IllegalArgumentException("server or client?");
        }
    }

    private static String option(List<String> options, String name, String otherwise) {
        int at = options.indexOf(name);
        return at < 0 || at + 1 >= options.size() ? otherwise : options.get(at + 1);
    }
}
