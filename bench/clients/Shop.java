import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import rialto.*;

/** As shop.py. */
public class Shop {
    private static Prices prices;
    private static int products, state = 1, wrong;
    private static final Request ANNA = Request.of("anna");

    private static int draw() {
        state = (state * 1103515245 + 12345) & 0x7fffffff;
        return (state >> 8) % products;
    }

    private static String name(int number) {
        String digits = Integer.toString(number);
        return "sku-" + "0".repeat(6 - digits.length()) + digits;
    }

    private static long one() {
        int number = draw();
        String sku = name(number);
        long began = System.nanoTime();
        long amount = prices.quote(sku, ANNA).amount();
        long took = System.nanoTime() - began;
        if (amount != 1000 + number) {
            wrong++;
        }
        return took;
    }

    private static long page() {
        int[] numbers = IntStream.range(0, 50).map(i -> draw()).toArray();
        List<String> skus = Arrays.stream(numbers).mapToObj(Shop::name).toList();
        long began = System.nanoTime();
        List<Quote> quotes = prices.page(skus, ANNA);
        long took = System.nanoTime() - began;
        for (int i = 0; i < 50; i++) {
            if (quotes.get(i).amount() != 1000 + numbers[i]) {
                wrong++;
            }
        }
        return took;
    }

    private static long[] measure(LongSupplier ask, double seconds) {
        long[] ticks = new long[1 << 20];
        int n = 0;
        for (long end = System.nanoTime() + (long) (seconds * 1e9); n < ticks.length && System.nanoTime() < end;) {
            ticks[n++] = ask.getAsLong();
        }
        Arrays.sort(ticks, 0, n);
        return new long[] { ticks[n / 2], ticks[(int) (n * 99L / 100)], n };
    }

    public static void main(String[] args) {
        prices = new Prices(args[0]);
        products = Integer.parseInt(args[1]);
        double seconds = Double.parseDouble(args[2]);
        for (int i = 0; i < 200000; i++) { // until it is compiled
            one();
        }
        for (int i = 0; i < 5000; i++) {
            page();
        }
        long[] one = measure(Shop::one, seconds), page = measure(Shop::page, seconds);
        System.out.println(one[0] + " " + one[1] + " " + page[0] + " " + page[1] + " " + one[2] + " " + wrong);
    }
}
