import java.util.List;
import rialto.*;

/** The price of a product for a customer:  java -cp ... Example anna milk-1l */
public class Example {
    public static void main(String[] args) {
        for (Quote quote : new Prices().page(List.of(args).subList(1, args.length), Request.of(args[0]))) {
            System.out.println(args[0] + " pays " + (quote.ok() ? quote.text() : quote.status()) + " for " + quote.sku());
        }
    }
}
