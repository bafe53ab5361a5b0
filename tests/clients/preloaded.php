<?php
// A page of a shop: the classes and the library are there already.   argv: folder of the cache
declare(strict_types=1);

echo (new Rialto\Prices($argv[1]))->quote('milk', customer: 'anna')->text(), "\n";
