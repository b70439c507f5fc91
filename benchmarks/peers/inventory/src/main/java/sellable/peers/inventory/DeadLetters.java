package sellable.peers.inventory;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** What is refused goes out with the code of its fault, so that somebody can mend it. */
public final class DeadLetters {
    private final JsonFactory factory = new JsonFactory();

    public byte[] record(String code, byte[] payload) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(payload.length + 64);
        try (JsonGenerator json = factory.createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("code", code);
            json.writeStringField("outcome", "refused");
            String text = decoded(payload);
            if (text == null) {
                json.writeBinaryField("payload_base64", payload);
            } else {
                json.writeStringField("payload", text);
            }
            json.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error); // nothing is written but memory
        }
        return out.toByteArray();
    }

    private static String decoded(byte[] payload) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(payload)).toString();
        } catch (CharacterCodingException error) {
            return null;
        }
    }
}
