package peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import acme.wire.livep.Live.Msg;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.StringValue;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Runs cases of ../cases.json, one JSON line each. */
final class Client {
    private static final int CASE_LIMIT_S = 30;
    private static final int FIRST_TEXT_LIMIT = 4096;
    private static final long EARLY_NANOS = TimeUnit.MILLISECONDS.toNanos(150);
    private static final int DEADLINE_SLACK_MS = 20;

    static void run(String target, String cases) throws Exception {
        Map<String, JsonObject> known = new LinkedHashMap<>();
        String text = Files.readString(Path.of(System.getProperty("cases")));
        for (JsonElement spec : JsonParser.parseString(text).getAsJsonArray()) {
            known.put(Wire.text(spec.getAsJsonObject(), "id", ""), spec.getAsJsonObject());
        }
        java.net.InetSocketAddress address = Wire.address(target);
        ManagedChannel channel = NettyChannelBuilder.forAddress(address.getHostString(), address.getPort())
                .usePlaintext()
                // 64 MiB messages; grpc-java's own limit is 4 MiB for what is received.
                .maxInboundMessageSize(Integer.MAX_VALUE)
                // A fixed name, so that what a server tells of it does not depend on the port.
                .overrideAuthority("live.example")
                .build();
        ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
        for (String id : cases.equals("all") ? List.copyOf(known.keySet()) : List.of(cases.split(","))) {
            JsonObject spec = known.get(id);
            String why = spec == null ? "no such case" : Wire.text(spec, "skip", null);
            JsonObject line = why == null ? runCase(channel, timer, spec) : new JsonObject();
            if (why != null) {
                line.addProperty("case", id);
                line.addProperty("skip", why);
            }
            Main.OUT.println(Wire.GSON.toJson(line));
        }
        timer.shutdownNow();
        channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }

    private static JsonObject runCase(ManagedChannel channel, ScheduledExecutorService timer, JsonObject spec)
            throws InterruptedException {
        long started = System.nanoTime();
        int streams = Wire.number(spec, "streams", 1);
        CountDownLatch ended = new CountDownLatch(streams);
        List<Call> calls = new ArrayList<>();
        for (int stream = 0; stream < streams; stream++) {
            calls.add(new Call(spec, stream, ended));
        }
        calls.forEach(call -> call.open(channel, timer));
        Seen seen;
        if (!ended.await(CASE_LIMIT_S, TimeUnit.SECONDS)) {
            calls.forEach(call -> call.abandon("the case is over"));
            seen = new Seen(spec);
            seen.end = end("error", null, "no end within " + CASE_LIMIT_S + " s", null);
        } else {
            seen = streams == 1 ? calls.get(0).seen : addedUp(spec, calls);
        }
        return seen.line(started);
    }

    /** Many streams as one: the digest is that of the digests, the end the first bad one. */
    private static Seen addedUp(JsonObject spec, List<Call> calls) {
        Seen total = new Seen(spec);
        total.first = calls.get(0).seen.first;
        total.end = calls.get(0).seen.end;
        for (Call call : calls) {
            total.messages += call.seen.messages;
            total.digest.update(HexFormat.of().formatHex(call.seen.digest.digest()).getBytes(UTF_8));
            if (Wire.text(total.end, "kind", "").equals("ok")) {
                total.end = call.seen.end;
            }
        }
        return total;
    }

    private static JsonObject end(String kind, Integer code, String message, String details) {
        JsonObject end = new JsonObject();
        end.addProperty("kind", kind);
        end.addProperty("code", code);
        // A client's own texts name ports.
        end.addProperty("message", message == null ? "" : message.replaceAll("127\\.0\\.0\\.1:\\d+", "PEER"));
        end.addProperty("details", details);
        end.add("extra", JsonNull.INSTANCE);
        return end;
    }

    /** `detail-text` when it is what the contract asks for; any other bytes as they are. */
    private static String toldDetails(int code, String message, Metadata trailers) {
        byte[] raw = trailers.get(Wire.DETAILS);
        if (raw == null) {
            return null;
        }
        try {
            com.google.rpc.Status status = com.google.rpc.Status.parseFrom(raw);
            boolean plain = status.getCode() == code && status.getMessage().equals(message);
            if (plain && status.getDetailsCount() == 1 && status.getDetails(0).is(StringValue.class)) {
                return status.getDetails(0).unpack(StringValue.class).getValue();
            }
        } catch (InvalidProtocolBufferException e) {
            // Shown raw.
        }
        return "raw:" + Base64.getEncoder().encodeToString(raw);
    }

    /** What a caller got of one call. */
    private static final class Seen {
        final JsonObject spec;
        final MessageDigest digest;
        int messages;
        String first = "";
        JsonObject headers = new JsonObject();
        JsonObject trailers = new JsonObject();
        JsonObject end;
        Long headersAt;
        Long firstAt;

        Seen(JsonObject spec) {
            this.spec = spec;
            try {
                digest = MessageDigest.getInstance("SHA-256");
            } catch (NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
        }

        void message(Msg message) {
            String text = message.getText();
            if (Wire.text(spec, "report", "").equals("deadline")) {
                JsonElement remaining = JsonParser.parseString(text).getAsJsonObject().get("deadline_ms");
                // gRPC's core rounds a timeout up to hundredths of a second when it writes it.
                int limit = Wire.number(spec, "deadline_ms", 0) + 10;
                text = Boolean.toString(
                        !remaining.isJsonNull() && remaining.getAsInt() > 0 && remaining.getAsInt() <= limit);
            }
            if (messages == 0) {
                first = text.substring(0, Math.min(text.length(), FIRST_TEXT_LIMIT));
                firstAt = System.nanoTime();
            }
            messages++;
            digest.update(text.getBytes(UTF_8));
            digest.update((byte) '|');
            digest.update(message.getBlob().asReadOnlyByteBuffer());
            digest.update((byte) '|');
            digest.update(Integer.toString(message.getN()).getBytes(UTF_8));
        }

        private Boolean earlyHeaders() {
            JsonObject script = spec.getAsJsonObject("script");
            if (script == null || !Wire.flag(script, "flush", false)) {
                return null;
            }
            return headersAt != null && firstAt != null && firstAt - headersAt >= EARLY_NANOS;
        }

        JsonObject line(long started) {
            JsonObject line = new JsonObject();
            line.add("case", spec.get("id"));
            line.add("headers", headers);
            line.addProperty("early_headers", earlyHeaders());
            line.addProperty("messages", messages);
            line.addProperty("digest", HexFormat.of().formatHex(digest.digest()));
            line.addProperty("first", first);
            line.add("trailers", trailers);
            line.add("end", end);
            line.addProperty("ms", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started));
            return line;
        }
    }

    /** One call, driven by its callbacks, which the library runs one after the other. */
    private static final class Call extends ClientCall.Listener<Msg> {
        final Seen seen;
        private final JsonObject spec;
        private final int stream;
        private final CountDownLatch ended;
        private final int toSend;
        private ClientCall<Msg, Msg> call;
        private int sent;
        private volatile boolean cancelled;
        private long started;

        Call(JsonObject spec, int stream, CountDownLatch ended) {
            this.spec = spec;
            this.stream = stream;
            this.ended = ended;
            this.seen = new Seen(spec);
            this.toSend = Wire.number(spec, "messages", 1);
        }

        void open(ManagedChannel channel, ScheduledExecutorService timer) {
            MethodType type = switch (Wire.text(spec, "shape", "")) {
                case "unary" -> MethodType.UNARY;
                case "upload" -> MethodType.CLIENT_STREAMING;
                case "download" -> MethodType.SERVER_STREAMING;
                default -> MethodType.BIDI_STREAMING;
            };
            CallOptions options = CallOptions.DEFAULT;
            if (spec.has("deadline_ms")) {
                options = options.withDeadlineAfter(Wire.number(spec, "deadline_ms", 0), TimeUnit.MILLISECONDS);
            }
            if (Wire.flag(spec, "gzip", false)) {
                options = options.withCompression("gzip");
            }
            Metadata headers = new Metadata();
            if (spec.has("metadata")) {
                for (JsonElement entry : spec.getAsJsonArray("metadata")) {
                    JsonArray pair = entry.getAsJsonArray();
                    String name = pair.get(0).getAsString();
                    String value = pair.get(1).getAsString();
                    boolean binary = name.endsWith(Metadata.BINARY_HEADER_SUFFIX);
                    Wire.put(headers, name, value, binary ? Base64.getDecoder().decode(value) : null);
                }
            }
            String service = Wire.text(spec, "service", Wire.SERVICE);
            call = channel.newCall(Wire.method(service, Wire.text(spec, "method", ""), type), options);
            started = System.nanoTime();
            call.start(this, headers);
            call.request(1);
            if (spec.has("cancel_after_ms")) {
                timer.schedule(
                        () -> abandon("cancelled by the caller"),
                        Wire.number(spec, "cancel_after_ms", 0),
                        TimeUnit.MILLISECONDS);
            }
            if (pingPong() && toSend > 0) {
                sendNext();
            } else {
                while (sent < toSend) {
                    sendNext();
                }
                halfClose();
            }
        }

        // The library refuses to send on a call that was cancelled, which a callback may have done meanwhile.
        synchronized void abandon(String why) {
            cancelled = true;
            call.cancel(why, null);
        }

        @Override
        public void onHeaders(Metadata headers) {
            seen.headersAt = System.nanoTime();
            seen.headers = Wire.xMetadata(headers);
        }

        @Override
        public void onMessage(Msg message) {
            if (cancelled) {
                return;
            }
            seen.message(message);
            if (seen.messages == Wire.number(spec, "cancel_after_messages", -1)) {
                abandon("cancelled by the caller");
                return;
            }
            call.request(1);
            if (pingPong()) {
                if (sent < toSend) {
                    sendNext();
                } else if (seen.messages == toSend) {
                    halfClose();
                }
            }
        }

        @Override
        public void onClose(Status closed, Metadata trailers) {
            Status status =
                    late(closed) ? Status.DEADLINE_EXCEEDED.withDescription("deadline exceeded") : closed;
            int code = status.getCode().value();
            seen.trailers = cancelled ? new JsonObject() : Wire.xMetadata(trailers);
            String details = toldDetails(code, status.getDescription(), trailers);
            seen.end = end(code == 0 ? "ok" : "status", code, status.getDescription(), details);
            ended.countDown();
        }

        /**
         * Whether the call ended by its deadline. It is chance whose clock is first, the caller's or the server's, and
         * some servers reset a late call or end it with CANCELLED; so all these ends are told as one.
         */
        private boolean late(Status status) {
            Status.Code code = status.getCode();
            if (!spec.has("deadline_ms") || (code != Status.Code.CANCELLED && code != Status.Code.DEADLINE_EXCEEDED)) {
                return false;
            }
            long due = Wire.number(spec, "deadline_ms", 0) - DEADLINE_SLACK_MS;
            return System.nanoTime() - started >= TimeUnit.MILLISECONDS.toNanos(due);
        }

        private boolean pingPong() {
            return Wire.text(spec, "drive", "").equals("ping_pong");
        }

        private synchronized void halfClose() {
            if (!cancelled && Wire.flag(spec, "half_close", true)) {
                call.halfClose();
            }
        }

        private synchronized void sendNext() {
            int i = sent++;
            if (cancelled) {
                return;
            }
            if (Wire.flag(spec, "empty", false)) {
                call.sendMessage(Msg.getDefaultInstance());
                return;
            }
            String text = spec.has("streams") ? "s" + stream + "m" + i : "m" + i;
            if (i == 0 && spec.has("script")) {
                text = Wire.GSON.toJson(spec.get("script"));
            }
            call.sendMessage(Msg.newBuilder()
                    .setText(text)
                    .setBlob(Wire.blob(Wire.number(spec, "blob", 0)))
                    .setN(i + 1)
                    .build());
        }
    }

    private Client() {}
}
