package sellable.peers.inventory;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.HashSet;
import java.util.Set;

/**
 * From the bytes of a message to a movement, or to the code of its first fault.
 *
 * <p>One object is filled again and again. Not for several threads.
 */
public final class MovementReader {
    private static final int MOST_BYTES = 64 * 1024;
    private static final long MOST_UNITS = 1_000_000_000L;
    private static final int LONGEST_ID = 128;
    private static final int LONGEST_SOURCE = 64;
    private static final int LONGEST_SKU = 100;
    private static final int LONGEST_LOCATION = 64;
    private static final int LONGEST_NOTE = 256;
    private static final int WRONG = -2;

    private final JsonFactory factory = new JsonFactory();
    private final Instants instants = new Instants();
    private final Digests digests = new Digests();
    private final Movement movement = new Movement();

    private final Set<String> wrongFields = new HashSet<>();

    private boolean schemaWrong;
    private boolean typeKnown;
    private boolean fieldWrong;

    /** Reads a message; `refusal` of the answer tells what is wrong with it. */
    public Movement read(byte[] message) {
        Movement m = movement;
        m.clear();
        schemaWrong = typeKnown = false;
        wrongFields.clear();
        if (message.length > MOST_BYTES) {
            m.refusal = "oversize";
            return m;
        }
        try (JsonParser json = factory.createParser(message)) {
            if (json.nextToken() != JsonToken.START_OBJECT) {
                m.refusal = "malformed";
                return m;
            }
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String name = json.currentName();
                fieldWrong = false;
                readField(json, name, json.nextToken());
                if (fieldWrong) {
                    wrongFields.add(name);
                } else if (!wrongFields.isEmpty()) {
                    wrongFields.remove(name); // given twice: the last one counts
                }
            }
            if (json.nextToken() != null) {
                m.refusal = "malformed";
                return m;
            }
        } catch (IOException error) {
            m.refusal = "malformed";
            return m;
        }
        m.refusal = examine();
        if (m.refusal == null) {
            digests.seal(m);
        }
        return m;
    }

    private void readField(JsonParser json, String name, JsonToken token) throws IOException {
        Movement m = movement;
        switch (name) {
            case "id" -> m.id = text(json, token, 1, LONGEST_ID);
            case "source" -> m.source = text(json, token, 1, LONGEST_SOURCE);
            case "sku" -> m.sku = identifier(json, token, LONGEST_SKU);
            case "location" -> m.location = identifier(json, token, LONGEST_LOCATION);
            case "to_location" -> m.toLocation = identifier(json, token, LONGEST_LOCATION);
            case "from_location" -> m.fromLocation = identifier(json, token, LONGEST_LOCATION);
            case "reservation" -> m.reservation = text(json, token, 1, LONGEST_ID);
            case "occurred_at" -> m.at = instant(json, token);
            case "expires_at" -> m.expires = instant(json, token);
            case "quantity" -> readQuantity(json, token);
            case "type" -> readType(json, token);
            case "disposition" -> {
                int disposition = disposition(json, token);
                m.disposition = disposition < 0 ? Movement.SELLABLE : disposition;
            }
            case "from" -> m.from = disposition(json, token);
            case "to" -> m.to = disposition(json, token);
            case "channel" -> {
                String channel = text(json, token, 0, Integer.MAX_VALUE);
                m.channel = channel == null ? Channels.NONE : Channels.number(channel);
            }
            case "policy" -> {
                String policy = text(json, token, 0, Integer.MAX_VALUE);
                m.force = "force".equals(policy);
                fieldWrong |= policy != null && !m.force && !"strict".equals(policy);
            }
            case "allow_partial" -> {
                m.allowPartial = token == JsonToken.VALUE_TRUE;
                fieldWrong |= !m.allowPartial
                        && token != JsonToken.VALUE_FALSE
                        && token != JsonToken.VALUE_NULL;
            }
            case "correlation_id" -> m.correlationId = text(json, token, 0, LONGEST_NOTE);
            case "reason", "reference" -> text(json, token, 0, LONGEST_NOTE);
            case "schema" -> schemaWrong = token != JsonToken.VALUE_NULL
                    && (token != JsonToken.VALUE_NUMBER_INT || !"1".equals(json.getText()));
            default -> json.skipChildren();
        }
    }

    /** The first fault in the order of the contract: schema, type, fields, channel. */
    private String examine() {
        Movement m = movement;
        if (schemaWrong) {
            return "unsupported_schema";
        }
        if (!typeKnown) {
            return "unknown_type";
        }
        if (!wrongFields.isEmpty()
                || m.id == null
                || m.source == null
                || m.sku == null
                || m.at == Movement.NEVER
                || !hasWhatItsTypeNeeds()) {
            return "invalid_field";
        }
        return m.type == Movement.Type.RESERVE && m.channel == Channels.UNKNOWN
                ? "unknown_channel"
                : null;
    }

    private boolean hasWhatItsTypeNeeds() {
        Movement m = movement;
        boolean placed = m.location != null;
        return switch (m.type) {
            case SALE, RETURN -> placed && isPositive();
            case RECEIPT -> placed && isPositive() && !m.location.equals(m.fromLocation);
            case EXPECT, ADJUSTMENT -> placed && m.hasQuantity && m.quantity != 0;
            case COUNT -> placed && m.hasQuantity && m.quantity >= 0;
            case TRANSFER -> placed
                    && isPositive()
                    && m.toLocation != null
                    && !m.location.equals(m.toLocation);
            case RECLASSIFY -> placed && isPositive() && m.from >= 0 && m.to >= 0 && m.from != m.to;
            case RESERVE -> isPositive() && m.reservation != null;
            case CONFIRM, RELEASE -> m.reservation != null && (!m.hasQuantity || m.quantity > 0);
            case ALLOCATE -> placed
                    && m.reservation != null
                    && (!m.hasQuantity || m.quantity > 0);
            case FULFIL -> placed && isPositive() && m.reservation != null;
        };
    }

    private boolean isPositive() {
        return movement.hasQuantity && movement.quantity > 0;
    }

    private void readType(JsonParser json, JsonToken token) throws IOException {
        movement.type = token == JsonToken.VALUE_STRING ? typeOf(json.getText()) : null;
        typeKnown = movement.type != null;
        skip(json, token);
    }

    private static Movement.Type typeOf(String name) {
        return switch (name) {
            case "sale" -> Movement.Type.SALE;
            case "return" -> Movement.Type.RETURN;
            case "receipt" -> Movement.Type.RECEIPT;
            case "expect" -> Movement.Type.EXPECT;
            case "transfer" -> Movement.Type.TRANSFER;
            case "adjustment" -> Movement.Type.ADJUSTMENT;
            case "count" -> Movement.Type.COUNT;
            case "reclassify" -> Movement.Type.RECLASSIFY;
            case "reserve" -> Movement.Type.RESERVE;
            case "confirm" -> Movement.Type.CONFIRM;
            case "allocate" -> Movement.Type.ALLOCATE;
            case "release" -> Movement.Type.RELEASE;
            case "fulfil" -> Movement.Type.FULFIL;
            default -> null;
        };
    }

    private void readQuantity(JsonParser json, JsonToken token) throws IOException {
        movement.hasQuantity = false;
        if (token == JsonToken.VALUE_NULL) {
            return;
        }
        if (token != JsonToken.VALUE_NUMBER_INT
                || json.getNumberType() != JsonParser.NumberType.INT) {
            fieldWrong = true;
            skip(json, token);
            return;
        }
        movement.hasQuantity = true;
        movement.quantity = json.getIntValue();
        fieldWrong |= Math.abs(movement.quantity) > MOST_UNITS;
    }

    private long instant(JsonParser json, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_NULL) {
            return Movement.NEVER;
        }
        long instant = token == JsonToken.VALUE_STRING
                ? instants.parse(json.getText())
                : Movement.NEVER;
        fieldWrong |= instant == Movement.NEVER;
        skip(json, token);
        return instant;
    }

    private int disposition(JsonParser json, JsonToken token) throws IOException {
        String name = text(json, token, 0, Integer.MAX_VALUE);
        if (name == null) {
            return -1;
        }
        int disposition = switch (name) {
            case "sellable" -> Movement.SELLABLE;
            case "inspecting" -> Movement.INSPECTING;
            case "damaged" -> Movement.DAMAGED;
            default -> WRONG;
        };
        fieldWrong |= disposition == WRONG;
        return disposition;
    }

    /** A text without control characters; null when there is none, or a wrong one. */
    private String text(JsonParser json, JsonToken token, int shortest, int longest)
            throws IOException {
        if (token != JsonToken.VALUE_STRING) {
            fieldWrong |= token != JsonToken.VALUE_NULL;
            skip(json, token);
            return null;
        }
        String text = json.getText();
        if (text.length() < shortest || !isClean(text, false) || isLonger(text, longest)) {
            fieldWrong = true;
        }
        return text;
    }

    private String identifier(JsonParser json, JsonToken token, int longest) throws IOException {
        String text = text(json, token, 1, longest);
        if (text != null
                && !text.isEmpty()
                && (!isClean(text, true)
                        || text.charAt(0) == ' '
                        || text.charAt(text.length() - 1) == ' ')) {
            fieldWrong = true;
        }
        return text;
    }

    /** Lengths are in characters, not in the halves that Java counts. */
    private static boolean isLonger(String text, int longest) {
        return text.length() > longest && text.codePointCount(0, text.length()) > longest;
    }

    private static boolean isClean(String text, boolean printable) {
        for (int at = 0; at < text.length(); at++) {
            char character = text.charAt(at);
            if (character < ' ' || character == 0x7f || (printable && character == '|')) {
                return false;
            }
            if (character > 0x7f) {
                return isCleanBeyondAscii(text, printable);
            }
        }
        return true;
    }

    private static boolean isCleanBeyondAscii(String text, boolean printable) {
        return text.codePoints().allMatch(character -> switch (Character.getType(character)) {
            case Character.CONTROL, Character.SURROGATE -> false;
            case Character.FORMAT,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> !printable;
            case Character.SPACE_SEPARATOR -> !printable || character == ' ';
            default -> !printable || character != '|';
        });
    }

    private static void skip(JsonParser json, JsonToken token) throws IOException {
        if (token == JsonToken.START_OBJECT || token == JsonToken.START_ARRAY) {
            json.skipChildren();
        }
    }
}
