<?php
declare(strict_types=1);
require __DIR__ . '/../../clients/php/Rialto.php';

function plain(Rialto\Quote $q): array
{
    $flags = $q->flags;
    $kinds = $q->restsOn;
    $used = $q->dataUsed;
    sort($flags);
    sort($kinds);
    sort($used);
    return ['sku' => $q->sku, 'status' => $q->status, 'amount' => $q->amount, 'baseline' => $q->baseline, 'list' => $q->list,
        'floor' => $q->floor, 'ceiling' => $q->ceiling, 'currency' => $q->currency, 'decimals' => $q->decimals, 'flags' => $flags,
        'rests_on' => $kinds, 'data_used' => $used, 'zone' => $q->zone, 'level' => $q->zoneLevel, 'as_of_ms' => $q->asOfMs,
        'valid_until_ms' => $q->validUntilMs, 'multiplier_e4' => $q->multiplierE4, 'disclosure' => $q->disclosure, 'disclosure_text' => $q->disclosureText,
        'text' => $q->ok() ? $q->text() : ''];
}

$prices = null;
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    $who = ['customer' => $asked['customer'] ?? null, 'zone' => $asked['zone'] ?? null, 'basis' => $asked['basis'] ?? 'store',
        'currency' => $asked['currency'] ?? null];
    try {
        $prices ??= new Rialto\Prices($argv[1]);
        $answer = isset($asked['skus']) ? array_map('plain', $prices->page($asked['skus'], ...$who)) : plain($prices->quote($asked['sku'], ...$who));
    } catch (Rialto\RialtoException $e) {
        $answer = ['error' => $e->status];
    }
    echo json_encode($answer, JSON_UNESCAPED_UNICODE), "\n";
}
