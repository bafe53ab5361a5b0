package rialto;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** librialto, loaded once, and what it says about its struct: no second description of it stands here. */
final class LibRialto {
    static final int OK = 0;
    static final int BAD_INPUT = 1;
    static final int RETIRED = 9;

    static native int rialto_open(String folder, Pointer ret);
    static native void rialto_close(Pointer handle);
    static native int rialto_quote(Pointer handle, Pointer request, Pointer sku, Pointer ret);
    static native int rialto_quote_page(Pointer handle, Pointer request, long n, Pointer skus, Pointer ret, Pointer statuses);
    static native long rialto_disclosure_text(Pointer handle, short rule, short disclosure, long n, Pointer ret);
    static native long rialto_now_ms(Pointer handle);
    static native String rialto_status_name(int status);
    static native String rialto_status_text(int status);
    static native Pointer rialto_quote_fields();
    static native Pointer rialto_flag_names();
    static native Pointer rialto_kind_names();

    static final int ID_ROOM = 72; // of an id: 63 bytes, its 0, and more, to see that one is too long
    private static final int WORDS_ROOM = 256;
    static final int QUOTE_BYTES;
    private static final Map<String, Integer> AT = new HashMap<>();
    private static final Map<String, Integer> ROOM = new HashMap<>();
    private static final List<Map.Entry<Integer, String>> FLAGS;
    private static final List<Map.Entry<Integer, String>> KINDS;

    static {
        // Property "rialto.library" is a path; without it the system's search, and JNA's jna.library.path, find it.
        Native.register(LibRialto.class, NativeLibrary.getInstance(System.getProperty("rialto.library", "librialto.so.0")));
        Pointer row = rialto_quote_fields();
        for (; row.getPointer(0) != null; row = row.share(16)) {
            String name = row.getPointer(0).getString(0);
            AT.put(name, row.getInt(8));
            ROOM.put(name, row.getShort(12) & 0xffff);
        }
        QUOTE_BYTES = row.getInt(8);
        FLAGS = bits(rialto_flag_names());
        KINDS = bits(rialto_kind_names());
    }

    private LibRialto() {
    }

    private static List<Map.Entry<Integer, String>> bits(Pointer row) {
        List<Map.Entry<Integer, String>> found = new ArrayList<>();
        for (; row.getPointer(0) != null; row = row.share(16)) {
            found.add(Map.entry(row.getInt(8), row.getPointer(0).getString(0)));
        }
        return found;
    }

    private static Set<String> names(List<Map.Entry<Integer, String>> of, int bits) {
        if (bits == 0) {
            return Set.of();
        }
        Set<String> found = new LinkedHashSet<>();
        for (Map.Entry<Integer, String> row : of) {
            if ((bits & row.getKey()) != 0) {
                found.add(row.getValue());
            }
        }
        return found;
    }

    static RialtoException exception(int status) {
        return new RialtoException(rialto_status_name(status), rialto_status_text(status));
    }

    private static final int AMOUNT = AT.get("amount"), BASELINE = AT.get("baseline"), LIST = AT.get("list"),
            FLOOR = AT.get("floor"), CEILING = AT.get("ceiling"), CURRENCY = AT.get("currency"), DECIMALS = AT.get("decimals"),
            FLAGS_AT = AT.get("flags"), KINDS_AT = AT.get("kinds"), ZONE = AT.get("zone"), ZONE_LEVEL = AT.get("zone_level"),
            AS_OF = AT.get("as_of_ms"), VALID_UNTIL = AT.get("valid_until_ms"), AGE = AT.get("age_ms"),
            MULTIPLIER = AT.get("multiplier_e4"), RULE = AT.get("rule"), GROUP = AT.get("group"), DISCLOSURE = AT.get("disclosure"), USED = AT.get("used");

    private static String text(Pointer at, int offset) {
        return at.getByte(offset) == 0 ? "" : at.getString(offset, "UTF-8");
    }

    /** The struct at `at`, as the library left it. */
    private static Quote quote(String sku, String status, Pointer at, String words) {
        return new Quote(sku, status, at.getLong(AMOUNT), at.getLong(BASELINE), at.getLong(LIST), at.getLong(FLOOR),
                at.getLong(CEILING), text(at, CURRENCY), at.getByte(DECIMALS) & 0xff, names(FLAGS, at.getInt(FLAGS_AT)),
                names(KINDS, at.getShort(KINDS_AT) & 0xffff), text(at, ZONE), at.getByte(ZONE_LEVEL) & 0xff, at.getLong(AS_OF),
                at.getLong(VALID_UNTIL), at.getInt(AGE) & 0xffffffffL, at.getShort(MULTIPLIER) & 0xffff, at.getShort(RULE) & 0xffff,
                at.getByte(GROUP) & 0xff, at.getShort(DISCLOSURE) & 0xffff, names(KINDS, at.getByte(USED) & 0xff), words);
    }

    /** What a policy asks to be said beside the price of the struct at `at`, which came from these tables. */
    private static String words(Pointer handle, Pointer at) {
        short disclosure = at.getShort(DISCLOSURE);
        if (disclosure == 0) {
            return "";
        }
        Memory room = new Memory(WORDS_ROOM);
        rialto_disclosure_text(handle, at.getShort(RULE), disclosure, WORDS_ROOM, room);
        return text(room, 0);
    }

    /** Room of one thread for one call: a request, its ids, and what comes back for n products. */
    static final class Room {
        private static final int REQUEST = 0, CUSTOMER = 32, ZONE_ID = CUSTOMER + ID_ROOM,
                CURRENCY_ID = ZONE_ID + ID_ROOM, SKUS = CURRENCY_ID + ID_ROOM;
        private final Memory memory;
        private final int n;
        private final String[] words; // asked for while the tables are held

        Room(int n) {
            this.n = n;
            this.words = new String[n];
            this.memory = new Memory(SKUS + (long) n * (ID_ROOM + 8 + QUOTE_BYTES + 4));
        }

        int size() {
            return n;
        }

        /** One that is too long is cut to what is still too long; one with a 0 in it, where C would see another, is made so. */
        private void put(int at, String id) {
            byte[] bytes = (id.indexOf('\0') < 0 ? id : "x".repeat(ID_ROOM)).getBytes(StandardCharsets.UTF_8);
            int length = Math.min(bytes.length, ID_ROOM - 1);
            memory.write(at, bytes, 0, length);
            memory.setByte(at + length, (byte) 0);
        }

        private void point(int member, int at, String id) {
            boolean is = id != null && !id.isEmpty();
            memory.setPointer(REQUEST + member, is ? memory.share(at) : null);
            if (is) {
                put(at, id);
            }
        }

        void request(Request request) {
            memory.setInt(REQUEST + 16, request.basis().ordinal());
            point(0, CUSTOMER, request.customer());
            point(8, ZONE_ID, request.zone());
            point(24, CURRENCY_ID, request.currency());
        }

        void sku(int i, String sku) {
            memory.setPointer(names() + 8L * i, memory.share(SKUS + (long) i * ID_ROOM));
            put(SKUS + i * ID_ROOM, sku);
        }

        private long names() {
            return SKUS + (long) n * ID_ROOM;
        }

        private long quotes() {
            return names() + 8L * n;
        }

        private long statuses() {
            return quotes() + (long) n * QUOTE_BYTES;
        }

        int ask(Pointer handle) {
            int status = rialto_quote(handle, memory, memory.share(SKUS), memory.share(quotes()));
            return said(handle, status, 1);
        }

        int askPage(Pointer handle, int count) {
            int status = rialto_quote_page(handle, memory, count, memory.share(names()), memory.share(quotes()), memory.share(statuses()));
            return said(handle, status, count);
        }

        private int said(Pointer handle, int status, int count) {
            for (int i = 0; status == OK && i < count; i++) {
                words[i] = LibRialto.words(handle, at(i));
            }
            return status;
        }

        private Pointer at(int i) {
            return memory.share(quotes() + (long) i * QUOTE_BYTES);
        }

        int status(int i) {
            return memory.getInt(statuses() + 4L * i);
        }

        Quote quote(int i, String sku, String status) {
            return LibRialto.quote(sku, status, at(i), words[i]);
        }
    }
}
