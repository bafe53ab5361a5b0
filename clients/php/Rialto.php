<?php
declare(strict_types=1);

/* Prices out of Rialto's shared memory, for PHP 8.1 and newer with its FFI extension. The C library makes the quote.
 *
 *     require 'Rialto.php';
 *     $prices = new Rialto\Prices();                       // $RIALTO_CACHE, else /dev/shm/rialto
 *     $quote = $prices->quote('milk-1l', customer: 'anna');
 *     echo $quote->text();
 *
 * On the command line this works as it is. Behind a web server PHP allows FFI to preloaded files only (ffi.enable=preload):
 * preload.php says which three lines php.ini needs; the library is then loaded once for all requests. */

namespace Rialto;

use FFI;

const PAGE_MAX = 512;

class RialtoException extends \RuntimeException
{
    /** @param string $status the library's name for it, such as "NO_CACHE" */
    public function __construct(public readonly string $status, string $text)
    {
        parent::__construct("$status: $text");
    }
}

class UnknownProduct extends RialtoException
{
}

/** What a customer pays for one product. Amounts are minor units of the currency. */
final class Quote
{
    public readonly int $amount;
    public readonly int $baseline;
    public readonly int $list;
    public readonly int $floor;
    public readonly int $ceiling;
    public readonly string $currency;
    public readonly int $decimals;
    /** @var string[] such as "PERSONAL" */
    public readonly array $flags;
    /** @var string[] kinds of personal data that the amount rests on */
    public readonly array $restsOn;
    /** @var string[] kinds of personal data that were read for it, whether they moved it or not */
    public readonly array $dataUsed;
    /** "" is the world */
    public readonly string $zone;
    public readonly int $zoneLevel;
    public readonly int $asOfMs;
    public readonly int $validUntilMs;
    public readonly int $ageMs;
    public readonly int $multiplierE4;
    public readonly int $rule;
    public readonly int $group;
    public readonly int $disclosure;
    /** what a policy asks to be said beside the price; "": nothing */
    public readonly string $disclosureText;

    /** @internal */
    public function __construct(public readonly string $sku, public readonly string $status, array $of, FFI\CData $handle)
    {
        $this->amount = $of['amount'];
        $this->baseline = $of['baseline'];
        $this->list = $of['list'];
        $this->floor = $of['floor'];
        $this->ceiling = $of['ceiling'];
        $this->currency = $of['currency'];
        $this->decimals = $of['decimals'];
        $this->flags = Library::names(Library::$flags, $of['flags']);
        $this->restsOn = Library::names(Library::$kinds, $of['kinds']);
        $this->dataUsed = Library::names(Library::$kinds, $of['used']);
        $this->zone = $of['zone'];
        $this->zoneLevel = $of['zone_level'];
        $this->asOfMs = $of['as_of_ms'];
        $this->validUntilMs = $of['valid_until_ms'];
        $this->ageMs = $of['age_ms'];
        $this->multiplierE4 = $of['multiplier_e4'];
        $this->rule = $of['rule'];
        $this->group = $of['group'];
        $this->disclosure = $of['disclosure'];
        $this->disclosureText = $of['disclosure'] === 0 ? '' : Library::words($handle, $of['rule'], $of['disclosure']);
    }

    /** False: there is no price, $status says why, and every amount is 0. */
    public function ok(): bool
    {
        return $this->status === 'OK';
    }

    /** The amount for people, such as "11.40 CNY". */
    public function text(): string
    {
        $room = Library::$c->new('char[64]');
        Library::$c->rialto_money_text($this->amount, $this->currency, $this->decimals, 64, $room);
        return FFI::string($room);
    }
}

/** librialto, loaded once in a process, and what it says about its struct. @internal */
final class Library
{
    public static ?FFI $c = null;
    public static int $quoteBytes;
    /** format of unpack() that reads one struct */
    public static string $format;
    /** @var array<int, string> */
    public static array $flags;
    /** @var array<int, string> */
    public static array $kinds;

    public static function load(?string $path): void
    {
        if (self::$c !== null) {
            return;
        }
        self::$c = self::preloaded($path) ?? FFI::cdef(self::declarations(), $path ?? (getenv('RIALTO_LIBRARY') ?: 'librialto.so.0'));
        self::describe();
    }

    private static function preloaded(?string $path): ?FFI
    {
        try {
            return $path === null ? FFI::scope('RIALTO') : null;
        } catch (\FFI\Exception) {
            return null;
        }
    }

    private static function declarations(): string
    {
        return preg_replace('/^#.*$/m', '', file_get_contents(__DIR__ . '/rialto.ffi.h'));
    }

    private static function describe(): void
    {
        $codes = ['i8' => 'q', 'u8' => 'Q', 'u4' => 'L', 'u2' => 'S', 'u1' => 'C'];
        $parts = [];
        for ($f = self::$c->rialto_quote_fields(); $f->name !== null; $f++) {
            $code = $f->kind === 's' ? 'Z' . $f->bytes : $codes[$f->kind . $f->bytes];
            $parts[] = '@' . $f->offset . '/' . $code . FFI::string(FFI::cast('char *', $f->name));
        }
        self::$quoteBytes = $f->offset;
        self::$format = implode('/', $parts);
        self::$flags = self::bits(self::$c->rialto_flag_names());
        self::$kinds = self::bits(self::$c->rialto_kind_names());
    }

    private static function bits(FFI\CData $row): array
    {
        for ($found = []; $row->name !== null; $row++) {
            $found[$row->bit] = FFI::string(FFI::cast('char *', $row->name));
        }
        return $found;
    }

    public static function names(array $of, int $bits): array
    {
        return $bits === 0 ? [] : array_values(array_filter($of, fn (int $bit): bool => ($bits & $bit) !== 0, ARRAY_FILTER_USE_KEY));
    }

    public static function words(FFI\CData $handle, int $rule, int $disclosure): string
    {
        $room = self::$c->new('char[256]');
        self::$c->rialto_disclosure_text($handle, $rule, $disclosure, 256, $room);
        return FFI::string($room);
    }

    public static function exception(int $status): RialtoException
    {
        $name = self::$c->rialto_status_name($status);
        $class = $name === 'UNKNOWN_PRODUCT' ? UnknownProduct::class : RialtoException::class;
        return new $class($name, self::$c->rialto_status_text($status));
    }
}

/** A cache folder, mapped read-only. It opens the tables anew by itself when the service has replaced them. */
final class Prices
{
    private const BASES = ['store' => 0, 'address' => 1, 'device' => 2, 'ip' => 3];
    private const RETIRED = 9;
    private ?FFI\CData $handle;
    private FFI\CData $one;

    /**
     * @param ?string $folder  null: $RIALTO_CACHE, else /dev/shm/rialto
     * @param ?string $library path of librialto.so; null: $RIALTO_LIBRARY, else where the system finds it
     * @throws RialtoException NO_CACHE while there are no tables, ...
     */
    public function __construct(private readonly ?string $folder = null, ?string $library = null)
    {
        Library::load($library);
        $this->handle = $this->open();
        $this->one = Library::$c->new('char[' . Library::$quoteBytes . ']');
    }

    private function open(): FFI\CData
    {
        $handle = Library::$c->new('void *');
        $status = Library::$c->rialto_open($this->folder, FFI::addr($handle));
        if ($status !== 0) {
            throw Library::exception($status);
        }
        return $handle;
    }

    /** Ask, and once more on new tables if these were replaced. */
    private function ask(callable $call): void
    {
        $status = $call($this->handle ?? throw new \LogicException('these prices are closed'));
        if ($status === self::RETIRED) {
            $this->close();
            $this->handle = $this->open();
            $status = $call($this->handle);
        }
        if ($status !== 0) {
            throw Library::exception($status);
        }
    }

    /** The price of one product. Throws UnknownProduct, or RialtoException for anything else that stands in the way. */
    public function quote(string $sku, ?string $customer = null, ?string $zone = null, string $basis = 'store', ?string $currency = null): Quote
    {
        [$request, $held] = self::request($customer, $zone, $basis, $currency);
        $id = self::id($sku);
        $this->ask(fn (FFI\CData $handle): int => Library::$c->rialto_quote($handle, FFI::addr($request), $id, FFI::addr($this->one)));
        return new Quote($sku, 'OK', unpack(Library::$format, FFI::string($this->one, Library::$quoteBytes)), $this->handle);
    }

    /**
     * The prices of up to 512 products for one customer, in the same order, each with a status of its own.
     * @param string[] $skus
     * @return Quote[]
     */
    public function page(array $skus, ?string $customer = null, ?string $zone = null, string $basis = 'store', ?string $currency = null): array
    {
        $n = count($skus);
        if ($n === 0) {
            return [];
        }
        [$request, $held] = self::request($customer, $zone, $basis, $currency);
        $bytes = Library::$quoteBytes;
        $names = Library::$c->new("const char *[$n]");
        $texts = [];
        foreach (array_values($skus) as $i => $sku) {
            $names[$i] = FFI::cast('const char *', FFI::addr($texts[] = self::text($sku)));
        }
        $room = Library::$c->new('char[' . $n * $bytes . ']');
        $statuses = Library::$c->new("int[$n]");
        $this->ask(fn (FFI\CData $handle): int => Library::$c->rialto_quote_page($handle, FFI::addr($request), $n, FFI::cast('const char **', FFI::addr($names)), FFI::addr($room), FFI::cast('int *', FFI::addr($statuses))));
        $all = FFI::string($room, $n * $bytes);
        $quotes = [];
        foreach (array_values($skus) as $i => $sku) {
            $status = $statuses[$i] === 0 ? 'OK' : Library::$c->rialto_status_name($statuses[$i]);
            $quotes[] = new Quote($sku, $status, unpack(Library::$format, substr($all, $i * $bytes, $bytes)), $this->handle);
        }
        return $quotes;
    }

    /** Service time, Unix milliseconds: what expiries are measured against. */
    public function nowMs(): int
    {
        return Library::$c->rialto_now_ms($this->handle);
    }

    public function close(): void
    {
        if ($this->handle !== null) {
            Library::$c->rialto_close($this->handle);
        }
        $this->handle = null;
    }

    public function __destruct()
    {
        $this->close();
    }

    /** An id for C. One with a 0 in it would end there and name something else: C gets one instead that it refuses. */
    private static function id(string $id): string
    {
        return str_contains($id, "\0") ? str_repeat('x', 64) : $id;
    }

    private static function text(string $id): FFI\CData
    {
        $bytes = self::id($id) . "\0";
        $room = FFI::new('char[' . strlen($bytes) . ']');
        FFI::memcpy($room, $bytes, strlen($bytes));
        return $room;
    }

    /** The C struct, and the texts that it points at: these must live as long as it is used. */
    private static function request(?string $customer, ?string $zone, string $basis, ?string $currency): array
    {
        $request = Library::$c->new('struct rialto_request');
        $held = [];
        foreach (['customer' => $customer, 'zone' => $zone, 'currency' => $currency] as $member => $value) {
            if ($value !== null && $value !== '') {
                $request->$member = FFI::cast('const char *', FFI::addr($held[] = self::text($value)));
            }
        }
        $request->basis = self::BASES[$basis] ?? throw new \ValueError("no such basis: $basis");
        return [$request, $held];
    }
}
