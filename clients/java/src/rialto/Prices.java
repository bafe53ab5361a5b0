package rialto;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;

/**
 * Prices out of Rialto's shared memory. The C library makes the quote; this class hands it on. For Java 17 and newer with JNA.
 *
 * <pre>
 * Prices prices = new Prices();                                  // $RIALTO_CACHE, else /dev/shm/rialto
 * Quote quote = prices.quote("milk-1l", Request.of("anna"));
 * System.out.println(quote.text());
 * </pre>
 *
 * One object serves any number of threads. It opens the tables anew by itself when the service has replaced them.
 */
public final class Prices implements AutoCloseable {
    public static final int PAGE_MAX = 512;

    /** One opened cache. It is closed when the last thread that uses it has let go, not before. */
    private static final class Mapping {
        private static final Cleaner CLEANER = Cleaner.create();
        final Pointer handle;

        Mapping(String folder) {
            Memory held = new Memory(Native.POINTER_SIZE);
            int status = LibRialto.rialto_open(folder, held);
            if (status != LibRialto.OK) {
                throw LibRialto.exception(status);
            }
            Pointer opened = held.getPointer(0);
            handle = opened;
            CLEANER.register(this, () -> LibRialto.rialto_close(opened));
        }
    }

    private interface Call {
        int on(Pointer handle);
    }

    private final String folder;
    private final ThreadLocal<LibRialto.Room> one = ThreadLocal.withInitial(() -> new LibRialto.Room(1));
    private final ThreadLocal<LibRialto.Room> many = new ThreadLocal<>();
    private volatile Mapping mapping;

    public Prices() {
        this(null);
    }

    /**
     * @param folder null: $RIALTO_CACHE, else /dev/shm/rialto
     * @throws RialtoException NO_CACHE while there are no tables, or what else stands in the way
     */
    public Prices(String folder) {
        this.folder = folder;
        this.mapping = new Mapping(folder);
    }

    /* Ask, and once more on new tables if these were replaced. */
    private int ask(Call call) {
        Mapping used = mapping;
        if (used == null) {
            throw new IllegalStateException("these prices are closed");
        }
        int status = call.on(used.handle);
        Reference.reachabilityFence(used);
        if (status == LibRialto.RETIRED) {
            mapping = used = new Mapping(folder);
            status = call.on(used.handle);
            Reference.reachabilityFence(used);
        }
        return status;
    }

    /** The price of one product; throws RialtoException (UNKNOWN_PRODUCT, OTHER_CURRENCY, ...) where there is none. */
    public Quote quote(String sku, Request request) {
        LibRialto.Room room = one.get();
        room.request(request);
        room.sku(0, sku);
        int status = ask(room::ask);
        if (status != LibRialto.OK) {
            throw LibRialto.exception(status);
        }
        return room.quote(0, sku, "OK");
    }

    /** The prices of up to 512 products for one customer, in the same order, each with a status of its own. */
    public List<Quote> page(List<String> skus, Request request) {
        int n = skus.size();
        if (n > PAGE_MAX) {
            throw LibRialto.exception(LibRialto.BAD_INPUT);
        }
        LibRialto.Room room = roomFor(n);
        room.request(request);
        for (int i = 0; i < n; i++) {
            room.sku(i, skus.get(i));
        }
        int status = ask(handle -> room.askPage(handle, n));
        if (status != LibRialto.OK) {
            throw LibRialto.exception(status);
        }
        List<Quote> quotes = new ArrayList<>(n);
        for (int i = 0; i < n; i++) {
            int own = room.status(i);
            quotes.add(room.quote(i, skus.get(i), own == LibRialto.OK ? "OK" : LibRialto.rialto_status_name(own)));
        }
        return quotes;
    }

    private LibRialto.Room roomFor(int n) {
        LibRialto.Room room = many.get();
        if (room == null || room.size() < n) {
            room = new LibRialto.Room(Math.min(PAGE_MAX, Math.max(64, n)));
            many.set(room);
        }
        return room;
    }

    /** Service time, Unix milliseconds: what expiries are measured against. */
    public long nowMs() {
        Mapping used = mapping;
        long now = LibRialto.rialto_now_ms(used.handle);
        Reference.reachabilityFence(used);
        return now;
    }

    /** Lets go of the tables; they are unmapped when nobody uses them any more. */
    @Override
    public void close() {
        mapping = null;
    }
}
