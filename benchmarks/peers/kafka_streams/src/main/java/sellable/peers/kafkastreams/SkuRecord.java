package sellable.peers.kafkastreams;

import java.util.HashMap;
import java.util.Map;
import sellable.peers.inventory.Bytes;
import sellable.peers.inventory.KeyState;
import sellable.peers.inventory.SkuState;

/**
 * All that is known of a SKU, in one record: its sums and its locations.
 *
 * <p>One record means one look into the cache and one write a movement. A location that did not
 * change is written as the bytes it was read from.
 */
final class SkuRecord {
    private final Map<String, Place> places = new HashMap<>();
    private SkuState state;

    /** A location: as bytes, as an object, or both when the object did not change. */
    private static final class Place {
        private byte[] encoded;
        private KeyState key;
    }

    /** Null before anything was applied. */
    SkuState state() {
        return state;
    }

    void keep(SkuState changed) {
        state = changed;
    }

    KeyState key(String location) {
        Place place = places.get(location);
        if (place == null) {
            return null;
        }
        if (place.key == null) {
            place.key = KeyState.read(new Bytes(place.encoded));
        }
        return place.key;
    }

    void keep(String location, KeyState changed) {
        Place place = places.computeIfAbsent(location, name -> new Place());
        place.key = changed;
        place.encoded = null;
    }

    Iterable<String> locations() {
        return places.keySet();
    }

    void write(Bytes out) {
        state.write(out);
        out.putNumber(places.size());
        places.forEach((location, place) -> {
            out.putText(location);
            if (place.encoded == null) {
                Bytes own = new Bytes();
                place.key.write(own);
                place.encoded = own.toArray();
            }
            out.putNumber(place.encoded.length);
            out.putRaw(place.encoded);
        });
    }

    static SkuRecord read(Bytes in) {
        SkuRecord record = new SkuRecord();
        record.state = SkuState.read(in);
        long locations = in.getNumber();
        for (long count = 0; count < locations; count++) {
            Place place = new Place();
            record.places.put(in.getText(), place);
            place.encoded = in.getRaw((int) in.getNumber());
        }
        return record;
    }
}
