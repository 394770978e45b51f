package peer;

import acme.wire.livep.Live.Msg;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.protobuf.ByteString;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.protobuf.ProtoUtils;
import java.net.InetSocketAddress;
import java.util.Base64;
import java.util.TreeSet;

/** What the server and the client share: methods, blobs, metadata. */
final class Wire {
    static final String SERVICE = "acme.wire.livep.LiveP";
    static final Gson GSON = new GsonBuilder().disableHtmlEscaping().serializeNulls().create();
    static final Metadata.Key<byte[]> DETAILS =
            Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

    static MethodDescriptor<Msg, Msg> method(String service, String name, MethodType type) {
        return MethodDescriptor.<Msg, Msg>newBuilder()
                .setType(type)
                .setFullMethodName(MethodDescriptor.generateFullMethodName(service, name))
                .setRequestMarshaller(ProtoUtils.marshaller(Msg.getDefaultInstance()))
                .setResponseMarshaller(ProtoUtils.marshaller(Msg.getDefaultInstance()))
                .build();
    }

    static ByteString blob(int size) {
        byte[] bytes = new byte[size];
        for (int i = 0; i < size; i++) {
            bytes[i] = (byte) (i * 31 + 7);
        }
        return ByteString.copyFrom(bytes);
    }

    /** The `x-` keys with all their values; those of `-bin` keys in base64. */
    static JsonObject xMetadata(Metadata metadata) {
        JsonObject seen = new JsonObject();
        // By key, as the order of different keys means nothing; the values of one key keep theirs.
        for (String name : new TreeSet<>(metadata.keys())) {
            if (!name.startsWith("x-")) {
                continue;
            }
            JsonArray values = new JsonArray();
            if (name.endsWith(Metadata.BINARY_HEADER_SUFFIX)) {
                for (byte[] value : metadata.getAll(Metadata.Key.of(name, Metadata.BINARY_BYTE_MARSHALLER))) {
                    values.add(Base64.getEncoder().encodeToString(value));
                }
            } else {
                for (String value : metadata.getAll(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER))) {
                    values.add(value);
                }
            }
            seen.add(name, values);
        }
        return seen;
    }

    static void put(Metadata metadata, String name, String text, byte[] bytes) {
        if (name.endsWith(Metadata.BINARY_HEADER_SUFFIX)) {
            metadata.put(Metadata.Key.of(name, Metadata.BINARY_BYTE_MARSHALLER), bytes);
        } else {
            metadata.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), text);
        }
    }

    static int number(JsonObject object, String name, int otherwise) {
        JsonElement value = object.get(name);
        return value == null ? otherwise : value.getAsInt();
    }

    static boolean flag(JsonObject object, String name, boolean otherwise) {
        JsonElement value = object.get(name);
        return value == null ? otherwise : value.getAsBoolean();
    }

    static String text(JsonObject object, String name, String otherwise) {
        JsonElement value = object.get(name);
        return value == null ? otherwise : value.getAsString();
    }

    static InetSocketAddress address(String text) {
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(text.substring(0, colon), Integer.parseInt(text.substring(colon + 1)));
    }

    private Wire() {}
}
