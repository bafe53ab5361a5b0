<?php
// As shop.py.
declare(strict_types=1);
require __DIR__ . '/../../clients/php/Rialto.php';

[, $folder, $products, $seconds] = $argv;
$products = (int) $products;
$prices = new Rialto\Prices($folder);
$state = 1;
$wrong = 0;

function draw(): int
{
    global $state, $products;
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    return ($state >> 8) % $products;
}

function measure(callable $ask): array
{
    global $seconds;
    $ticks = [];
    $end = hrtime(true) + (int) ((float) $seconds * 1e9);
    while (hrtime(true) < $end) {
        $ticks[] = $ask();
    }
    sort($ticks);
    return [$ticks[intdiv(count($ticks), 2)], $ticks[intdiv(count($ticks) * 99, 100)], count($ticks)];
}

function one(): int
{
    global $prices, $wrong;
    $number = draw();
    $sku = sprintf('sku-%06d', $number);
    $began = hrtime(true);
    $amount = $prices->quote($sku, customer: 'anna')->amount;
    $took = hrtime(true) - $began;
    $wrong += (int) ($amount !== 1000 + $number);
    return $took;
}

function page(): int
{
    global $prices, $wrong;
    $numbers = array_map(fn (): int => draw(), range(1, 50));
    $skus = array_map(fn (int $number): string => sprintf('sku-%06d', $number), $numbers);
    $began = hrtime(true);
    $amounts = array_map(fn (Rialto\Quote $quote): int => $quote->amount, $prices->page($skus, customer: 'anna'));
    $took = hrtime(true) - $began;
    $wrong += (int) ($amounts !== array_map(fn (int $number): int => 1000 + $number, $numbers));
    return $took;
}

[$one50, $one99, $count] = measure('one');
[$page50, $page99] = measure('page');
echo "$one50 $one99 $page50 $page99 $count $wrong\n";
