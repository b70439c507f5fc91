package sellable.peers.flink;

import sellable.peers.inventory.Movement;

/** A movement, and the line that told it. */
public class Arrival {
    private static final String NOBODY = "";

    public Movement movement;
    public Line line;

    /** The SKU that it is about; what is refused need not have one. */
    String key() {
        return movement.refusal == null ? movement.sku : NOBODY;
    }
}
