package sellable.peers.inventory;

/** Where a peer keeps its state. What is not there is null. */
public interface Stock {
    SkuState sku(String sku);

    void keep(String sku, SkuState state);

    KeyState key(String sku, String location);

    void keep(String sku, String location, KeyState state);

    Reservation reservation(String sku, String name);

    void keep(String sku, String name, Reservation reservation);

    byte[] chunk(String sku, String location, long number);

    /** A chunk of null is dropped. */
    void keep(String sku, String location, long number, byte[] chunk);

    /** To be asked at an instant whether a reservation expires. */
    void schedule(long instant, String sku, String reservation);
}
