package rialto;

/** What the library answered; {@link #status} is its name for it, such as "UNKNOWN_PRODUCT" or "NO_CACHE". */
public class RialtoException extends RuntimeException {
    private static final long serialVersionUID = 1L;
    public final String status;

    RialtoException(String status, String text) {
        super(status + ": " + text);
        this.status = status;
    }
}
