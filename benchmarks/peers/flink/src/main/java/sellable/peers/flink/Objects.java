package sellable.peers.flink;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import sellable.peers.inventory.KeyState;
import sellable.peers.inventory.Reservation;
import sellable.peers.inventory.SkuState;

/** What is known of one SKU without a look into RocksDB, and what of it is not written there yet. */
final class Objects {
    /** The identity of a movement of the SKU. */
    record Identity(long high, long low) {}

    SkuState state;
    boolean stateChanged;
    final Map<String, KeyState> keys = new HashMap<>();
    final Set<String> keysChanged = new HashSet<>();
    final Map<String, Reservation> reservationsChanged = new HashMap<>();
    final Map<Identity, Long> newIdentities = new HashMap<>();

    /** The tick at which it is published next; 0 when nothing is to be. */
    long tick;

    boolean isWritten() {
        return !stateChanged
                && keysChanged.isEmpty()
                && reservationsChanged.isEmpty()
                && newIdentities.isEmpty();
    }
}
