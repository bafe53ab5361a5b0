<?php
// The price of a product for a customer:  php example.php anna milk-1l
require __DIR__ . '/Rialto.php';

$customer = $argv[1];
foreach ((new Rialto\Prices())->page(array_slice($argv, 2), customer: $customer) as $quote) {
    printf("%s pays %s for %s\n", $customer, $quote->ok() ? $quote->text() : $quote->status, $quote->sku);
}
