package peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import acme.wire.livep.Live.Msg;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.StringValue;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.logging.Level;
import java.util.logging.Logger;

/** LiveP: does what the script in the first request message says. */
final class Server {
    // Tells of each handler that throws, which a script may ask for. Held, as the library's registry does not hold it.
    private static final Logger EXECUTOR_LOG = Logger.getLogger("io.grpc.internal.SerializingExecutor");

    static void serve(String listen) throws IOException {
        EXECUTOR_LOG.setLevel(Level.OFF);
        InetSocketAddress address = Wire.address(listen);
        ServerServiceDefinition service = ServerServiceDefinition.builder(Wire.SERVICE)
                .addMethod(Wire.method(Wire.SERVICE, "Ask", MethodType.UNARY), Ask::new)
                .addMethod(Wire.method(Wire.SERVICE, "Upload", MethodType.CLIENT_STREAMING), Upload::new)
                .addMethod(Wire.method(Wire.SERVICE, "Download", MethodType.SERVER_STREAMING), Download::new)
                .addMethod(Wire.method(Wire.SERVICE, "Chat", MethodType.BIDI_STREAMING), Chat::new)
                .build();
        io.grpc.Server server = NettyServerBuilder.forAddress(address)
                // 64 MiB messages; grpc-java's own limit is 4 MiB for what is received.
                .maxInboundMessageSize(Integer.MAX_VALUE)
                .addService(service)
                .build()
                .start();
        Main.OUT.println("LISTENING " + address.getHostString() + ":" + server.getPort());
        while (System.in.read() >= 0) {
            // Whoever started this closes stdin to end it.
        }
    }

    /** Leaves a handler whose call was cancelled, reset or lost. */
    private static final class Gone extends RuntimeException {}

    /** One call: its script, and how much of the request has been read. Its callbacks block where the script waits. */
    private abstract static class Call extends ServerCall.Listener<Msg> {
        private static final int HANG_MS = 20_000;

        final ServerCall<Msg, Msg> call;
        JsonObject script = new JsonObject();
        int readCount;
        private final Metadata requestHeaders;
        private final Context context = Context.current();
        private final CountDownLatch gone = new CountDownLatch(1);
        private boolean headersSent;
        private boolean replied;
        private boolean hung;
        private boolean over;

        Call(ServerCall<Msg, Msg> call, Metadata requestHeaders) {
            this.call = call;
            this.requestHeaders = requestHeaders;
            // `onCancel` waits until a callback returns, so a callback that blocks is told by the context.
            context.addListener(cancelled -> gone.countDown(), Runnable::run);
            call.request(1);
        }

        abstract void message(Msg message);

        abstract void halfClose();

        @Override
        public final void onMessage(Msg message) {
            guarded(() -> {
                readCount++;
                if (readCount == 1) {
                    start(message);
                }
                message(message);
                if (!over) {
                    call.request(1);
                }
            });
        }

        @Override
        public final void onHalfClose() {
            guarded(() -> {
                if (Wire.flag(script, "observe", false)) {
                    // Some clients half-close and then reset when they cancel: wait for the reset.
                    sleep(100);
                }
                halfClose();
            });
        }

        @Override
        public final void onCancel() {
            guarded(() -> {
                throw new Gone();
            });
        }

        private void guarded(Runnable callback) {
            if (over) {
                return;
            }
            try {
                callback.run();
                if (over) {
                    observe(false);
                }
            } catch (Gone e) {
                over = true;
                observe(true);
            }
        }

        private void observe(boolean cancelled) {
            if (!Wire.flag(script, "observe", false)) {
                return;
            }
            JsonObject seen = new JsonObject();
            seen.add("case", script.get("case"));
            seen.addProperty("method", call.getMethodDescriptor().getBareMethodName());
            seen.addProperty("cancelled", cancelled);
            if (cancelled) {
                seen.addProperty("code", context.cancellationCause() instanceof TimeoutException ? 4 : 1);
                seen.addProperty("text", "");
            }
            seen.addProperty("messages", readCount);
            Main.OUT.println("OBS " + Wire.GSON.toJson(seen));
        }

        private void start(Msg first) {
            if (first.getText().startsWith("{")) {
                try {
                    script = JsonParser.parseString(first.getText()).getAsJsonObject();
                } catch (JsonParseException e) {
                    // Not a script.
                }
            }
            if (Wire.flag(script, "gzip", false)) {
                call.setCompression("gzip");
                call.setMessageCompression(true);
            }
            if (Wire.flag(script, "flush", false)) {
                sendHeaders();
                pause();
            }
        }

        private void sendHeaders() {
            if (!headersSent) {
                headersSent = true;
                call.sendHeaders(metadata("headers"));
            }
        }

        private void sleep(int millis) {
            try {
                if (gone.await(millis, TimeUnit.MILLISECONDS)) {
                    throw new Gone();
                }
            } catch (InterruptedException e) {
                throw new Gone();
            }
        }

        private void pause() {
            sleep(Wire.number(script, "pause_ms", 0));
        }

        final void reply(String text, ByteString blob, int n) {
            if (replied) {
                pause();
            } else if (Wire.flag(script, "tell", false)) {
                text = whatWasSeen();
            }
            replied = true;
            sendHeaders();
            int size = Wire.number(script, "size", -1);
            ByteString payload = size < 0 ? blob : Wire.blob(size);
            call.sendMessage(Msg.newBuilder().setText(text).setBlob(payload).setN(n).build());
        }

        final void replies(int count) {
            for (int n = 0; n < count; n++) {
                reply("", ByteString.EMPTY, n);
            }
        }

        private String whatWasSeen() {
            Deadline deadline = context.getDeadline();
            JsonElement remaining =
                    deadline == null ? JsonNull.INSTANCE : new JsonPrimitive(deadline.timeRemaining(TimeUnit.MILLISECONDS));
            JsonObject seen = new JsonObject();
            seen.add("meta", Wire.xMetadata(requestHeaders));
            seen.addProperty("authority", call.getAuthority());
            seen.addProperty("path", "/" + call.getMethodDescriptor().getFullMethodName());
            seen.add("deadline_ms", remaining);
            return Wire.GSON.toJson(seen);
        }

        private JsonObject endOfScript() {
            return script.has("end") ? script.getAsJsonObject("end") : new JsonObject();
        }

        private String endKind() {
            return Wire.text(endOfScript(), "kind", "ok");
        }

        private boolean endsWell() {
            return endKind().equals("ok") || endKind().equals("hang");
        }

        private void hang() {
            if (endKind().equals("hang") && !hung) {
                hung = true;
                sleep(HANG_MS);
            }
        }

        final void answerOnce(String text, ByteString blob, int n) {
            hang();
            if (endsWell()) {
                reply(text, blob, n);
            }
        }

        final void end() {
            hang();
            JsonObject end = endOfScript();
            String kind = endKind();
            String message = Wire.text(end, "message", "");
            over = true;
            Metadata trailers = metadata("trailers");
            if (kind.equals("error")) {
                if (script.has("headers")) {
                    sendHeaders();
                }
                observe(false);
                throw new IllegalStateException(message);
            }
            if (endsWell()) {
                sendHeaders();
                call.close(Status.OK, trailers);
                return;
            }
            if (script.has("headers")) {
                sendHeaders();
            }
            Status status = Status.UNKNOWN.withDescription(kind + ": " + message);
            if (kind.equals("status")) {
                int code = Wire.number(end, "code", 2);
                status = Status.fromCodeValue(code).withDescription(message);
                if (Wire.flag(end, "details", false)) {
                    trailers.merge(details(code, message));
                }
            }
            call.close(status, trailers);
        }

        private static Metadata details(int code, String message) {
            com.google.rpc.Status status = com.google.rpc.Status.newBuilder()
                    .setCode(code)
                    .setMessage(message)
                    .addDetails(Any.pack(StringValue.of("detail-text")))
                    .build();
            StatusRuntimeException exception = StatusProto.toStatusRuntimeException(status);
            return exception.getTrailers();
        }

        /** Script metadata; the value of a `-bin` key is its text as bytes. */
        private Metadata metadata(String name) {
            Metadata metadata = new Metadata();
            if (script.has(name)) {
                for (Map.Entry<String, JsonElement> entry : script.getAsJsonObject(name).entrySet()) {
                    String value = entry.getValue().getAsString();
                    Wire.put(metadata, entry.getKey(), value, value.getBytes(UTF_8));
                }
            }
            return metadata;
        }
    }

    private static final class Ask extends Call {
        private Msg request = Msg.getDefaultInstance();

        Ask(ServerCall<Msg, Msg> call, Metadata headers) {
            super(call, headers);
        }

        @Override
        void message(Msg message) {
            request = message;
        }

        @Override
        void halfClose() {
            answerOnce(request.getText(), request.getBlob(), request.getN());
            end();
        }
    }

    private static final class Upload extends Call {
        private int total;

        Upload(ServerCall<Msg, Msg> call, Metadata headers) {
            super(call, headers);
        }

        @Override
        void message(Msg message) {
            total += message.getN();
            if (readCount == Wire.number(script, "early", -1)) {
                halfClose();
            }
        }

        @Override
        void halfClose() {
            answerOnce(Integer.toString(readCount), ByteString.EMPTY, total);
            end();
        }
    }

    private static final class Download extends Call {
        Download(ServerCall<Msg, Msg> call, Metadata headers) {
            super(call, headers);
        }

        @Override
        void message(Msg message) {
            // Its script has been taken from it.
        }

        @Override
        void halfClose() {
            replies(Wire.number(script, "replies", 3));
            end();
        }
    }

    private static final class Chat extends Call {
        Chat(ServerCall<Msg, Msg> call, Metadata headers) {
            super(call, headers);
        }

        @Override
        void message(Msg message) {
            if (Wire.number(script, "replies", 0) == 0) {
                reply(message.getText(), message.getBlob(), message.getN());
            }
            if (readCount == Wire.number(script, "early", -1)) {
                end();
            }
        }

        @Override
        void halfClose() {
            replies(Wire.number(script, "replies", 0));
            end();
        }
    }

    private Server() {}
}
