/* console.js - the page of the pricing team. All that it shows comes from the service's HTTP interface (/openapi.json); what it may do, its token says.
 *
 *   every POLL_MS: /metrics, /v1/status, /v1/prices?cursor= --> state --> the view that is open
 *
 * Everything from the service is put into the page as text, never as markup. */
"use strict";

const POLL_MS = 2000;
const POINTS = 150;        // of a chart through time: five minutes
const PRICES_MAX = 50000;  // followed in one zone; further ones are counted
const MOVERS_SHOWN = 40;

const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, text, more = {}) {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null)
        made.textContent = text;
    Object.assign(made, more);
    return made;
}

function tableRow(cells) {
    const row = element("tr");
    for (const cell of cells)
        if (cell instanceof HTMLTableCellElement) {
            row.append(cell);
        } else {
            const made = element("td");
            made.append(cell ?? "");
            row.append(made);
        }
    return row;
}

/* Rows that say what they said stay the elements that they were, and a table in which somebody works with the keyboard holds still. */
function fillTable(table, head, rows) {
    if (table.tHead && table.contains(document.activeElement))
        return;
    const top = tableRow(head.map((name) => Array.isArray(name) ? element("th", name[0], { scope: "col", className: name[1] }) : element("th", name, { scope: "col" })));
    if (!table.tHead)
        table.append(element("thead"), element("tbody"));
    if (!table.tHead.firstChild?.isEqualNode(top))
        table.tHead.replaceChildren(top);
    const body = table.tBodies[0];
    rows.map(tableRow).forEach((row, i) => {
        if (!body.rows[i])
            body.append(row);
        else if (!body.rows[i].isEqualNode(row) || row.querySelector("button"))
            body.rows[i].replaceWith(row);
    });
    while (body.rows.length > rows.length)
        body.lastChild.remove();
}

const numberCell = (text, className = "") => element("td", text, { className: `number ${className}` });
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = (ms) => new Date(ms).toLocaleString();

function money(minor, currency, decimals) {
    const value = minor / 10 ** decimals;
    return new Intl.NumberFormat(undefined, { style: "currency", currency, minimumFractionDigits: decimals }).format(value);
}

function seconds(value) {
    return value === null ? "–" : value < 0.001 ? `${Math.round(value * 1e6)} µs` : value < 1 ? `${+(value * 1000).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`;
}

/* ---- the service ------------------------------------------------------------------------------------------------- */

class Refused extends Error {
    constructor(status, problem) {
        super(problem.detail || problem.title || `HTTP ${status}`);
        this.status = status;
        this.problem = problem;
    }
}

async function ask(path, body) {
    const headers = {};
    const token = sessionStorage.getItem("token");
    if (token)
        headers.Authorization = `Bearer ${token}`;
    const answer = await fetch(path, body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.ok)
        return answer;
    throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

const askJson = async (path, body) => (await ask(path, body)).json();

/* A view's request: what goes wrong is said at `where`; without a token the way in is shown. */
async function attempt(where, work) {
    byId(where).textContent = "";
    try {
        return await work();
    } catch (error) {
        if (error.status === 401 || error.status === 403)
            showEnter(sessionStorage.getItem("token") ? error.message : "");
        else
            byId(where).textContent = error.message;
        return null;
    }
}

/* Prometheus text: sums over all processes, and histograms as [bound, count] in rising order. */
function readMetrics(text) {
    const sum = new Map(), histogram = new Map();
    for (const line of text.split("\n")) {
        const found = /^rialto_(\w+?)(_bucket)?(?:\{(.*)\})? (\S+)$/.exec(line);
        if (!found)
            continue;
        const [, name, bucket, labels, value] = found;
        if (!bucket) {
            sum.set(name, (sum.get(name) ?? 0) + Number(value));
            continue;
        }
        const bound = /le="([^"]+)"/.exec(labels)[1];
        const bounds = histogram.get(name) ?? new Map();
        const at = bound === "+Inf" ? Infinity : Number(bound);
        bounds.set(at, (bounds.get(at) ?? 0) + Number(value));
        histogram.set(name, bounds);
    }
    return { sum, histogram, ms: performance.now() };
}

/* The bound under which a share of what was counted between two readings lies; null when nothing was. */
function quantile(now, before, name, share) {
    const bounds = now.histogram.get(name), old = before.histogram.get(name);
    if (!bounds || !old)
        return null;
    const sorted = [...bounds.keys()].sort((a, b) => a - b);
    const count = (bound) => bounds.get(bound) - (old.get(bound) ?? 0);
    const all = count(Infinity);
    if (!(all > 0))
        return null;
    return sorted.find((bound) => count(bound) >= share * all);
}

const rate = (now, before, name) => Math.max(0, ((now.sum.get(name) ?? 0) - (before.sum.get(name) ?? 0)) * 1000 / (now.ms - before.ms));

/* ---- charts ------------------------------------------------------------------------------------------------------ */

const charts = new Map();

function baseOptions(more = {}) {
    const ticks = { color: colour("--soft") }, grid = { color: colour("--line") };
    return {
        responsive: true, maintainAspectRatio: false, animation: false, parsing: more.parsing ?? true,
        plugins: { legend: { display: more.legend ?? true, labels: { color: colour("--ink"), boxWidth: 14 } }, tooltip: more.tooltip ?? {} },
        scales: {
            x: { ticks: { ...ticks, maxTicksLimit: 8, maxRotation: 0 }, grid, ...(more.x ?? {}) },
            y: { ticks, grid, ...(more.y ?? {}) },
        },
    };
}

function draw(id, config) {
    charts.get(id)?.destroy();
    charts.set(id, new Chart(typeof id === "string" ? byId(id) : id, config));
}

const line = (label, data, number, more = {}) => ({ label, data, borderColor: colour(`--c${number}`), backgroundColor: colour(`--c${number}`), borderWidth: 2, pointRadius: 0, ...more });

function timeChart(id, labels, datasets, more = {}) {
    const chart = charts.get(id);
    if (chart && chart.data.datasets.length === datasets.length) {
        chart.data.labels = labels;
        datasets.forEach((set, i) => { chart.data.datasets[i].data = set.data; });
        chart.update("none");
    } else {
        draw(id, { type: "line", data: { labels, datasets }, options: baseOptions(more) });
    }
}

/* ---- what is going on -------------------------------------------------------------------------------------------- */

const KINDS = ["demand", "supply", "weather", "product", "competitor", "customer", "location", "offer", "receipt", "zone", "forget"];
const history = { times: [], rejected: [], changed: [], quotes: [], kinds: new Map(KINDS.map((kind) => [kind, []])) };
const readings = []; // of the last minute, for quantiles
let status = null, statusWhy = "";

function remember(now, before) {
    const push = (list, value) => { list.push(value); if (list.length > POINTS) list.shift(); };
    push(history.times, clock(Date.now()));
    for (const [kind, values] of history.kinds)
        push(values, rate(now, before, `${kind}_signals_total`));
    push(history.rejected, rate(now, before, "signals_rejected_total"));
    push(history.changed, rate(now, before, "cells_changed_total"));
    push(history.quotes, rate(now, before, "http_quotes_total"));
}

function tile(name, value, className = "") {
    const made = element("div", null, { className: "tile" });
    made.append(element("b", value, { className }), element("span", name));
    return made;
}

const whole = (value) => Math.round(value).toLocaleString();

function showOverview() {
    const now = readings.at(-1), before = readings[0];
    if (!now)
        return;
    const recent = readings.at(-2); // until there are two, what counts is known and what is a rate is not
    const aSecond = (name) => recent ? whole(rate(now, recent, name)) : "–";
    const redis = status ? status.workers.filter((w) => w.redis).length : null;
    byId("tiles").replaceChildren(
        tile("signals taken a second", aSecond("signals_accepted_total")),
        tile("prices changed a second", aSecond("cells_changed_total")),
        tile("signal to price, half / 99 %", `${seconds(quantile(now, before, "signal_to_price_seconds", 0.5))} / ${seconds(quantile(now, before, "signal_to_price_seconds", 0.99))}`),
        tile("acknowledged within, 99 %", seconds(quantile(now, before, "acknowledged_signal_seconds", 0.99))),
        tile("quotes over HTTP a second", aSecond("http_quotes_total")),
        tile("products", whole(now.sum.get("products") ?? 0)),
        tile("baseline prices", whole(now.sum.get("cells") ?? 0)),
        tile("customers with terms", whole(now.sum.get("customers") ?? 0)),
        tile("workers with Redis", redis === null ? "–" : `${redis} of ${status.workers.length}`, redis !== null && redis < status.workers.length ? "bad" : ""),
        tile("restarts of processes", whole(now.sum.get("restarts_total") ?? 0)));
    const came = [...history.kinds].filter(([, values], i) => i < 3 || values.some((value) => value > 0));
    timeChart("chart-signals", history.times, [...came.map(([kind, values], i) => line(kind, values, i % 6 + 1, { borderDash: i < 6 ? [] : [5, 3] })),
                                               line("rejected", history.rejected, 6, { borderDash: [2, 2] })], { y: { beginAtZero: true } });
    const rates = [...history.kinds].map(([kind]) => [kind, recent ? rate(now, recent, `${kind}_signals_total`).toFixed(1) : "–", now.sum.get(`${kind}_signals_total`) ?? 0]);
    fillTable(byId("kinds"), ["kind of signal", ["a second", "number"], ["since the gateway's start", "number"]],
              rates.filter(([, , all]) => all > 0).map(([kind, now, all]) => [kind, numberCell(now), numberCell(whole(all))]));
    timeChart("chart-prices", history.times, [line("prices changed", history.changed, 1), line("quotes over HTTP", history.quotes, 3)], { y: { beginAtZero: true } });
    if (status)
        fillTable(byId("workers"), ["worker", "connected", "applied", "in Redis", "waiting", "Redis"],
            status.workers.map((w) => [String(w.index), w.connected ? "yes" : element("td", "no", { className: "bad" }), w.applied.toLocaleString(),
                                       w.durable.toLocaleString(), w.waiting.toLocaleString(), w.redis ? "there" : element("td", "away", { className: "bad" })]));
}

function showHealth(reachable) {
    const say = (text, className) => { byId("health").textContent = text; byId("health").className = `state ${className}`; };
    if (!reachable)
        say("the service does not answer", "bad");
    else if (!status)
        say(statusWhy || "answers; no token yet", "");
    else if (!status.ready || status.degraded.length > 0)
        say(status.reason || status.degraded.join("; "), "bad");
    else
        say(status.change.mode === "normal" && status.change.freeze.length === 0 ? "healthy" : "healthy, prices frozen", "good");
    byId("instance").textContent = status ? status.instance : "";
}

async function poll() {
    let reachable = true;
    try {
        const now = readMetrics(await (await ask("/metrics")).text());
        if (readings.length > 0)
            remember(now, readings.at(-1));
        readings.push(now);
        if (readings.length > 30)
            readings.shift();
        await followPrices();
    } catch (error) {
        reachable = error instanceof Refused;
    }
    if (sessionStorage.getItem("token"))
        try {
            status = await askJson("/v1/status");
            statusWhy = "";
        } catch (error) {
            status = null;
            statusWhy = error.message;
        }
    showHealth(reachable);
    showView();
    if (view() === "product" && product.sku && document.visibilityState === "visible")
        await explain();
    setTimeout(poll, POLL_MS);
}

/* ---- prices -------------------------------------------------------------------------------------------------------- */

const prices = { zone: "", cursor: "", first: new Map(), now: new Map(), beyond: 0, since: Date.now(), busy: false };

async function followPrices() {
    if (prices.busy)
        return;
    prices.busy = true;
    try {
        const query = new URLSearchParams();
        if (prices.zone)
            query.set("zone", prices.zone);
        if (prices.cursor)
            query.set("cursor", prices.cursor);
        const zone = prices.zone;
        const text = await (await ask(`/v1/prices?${query}`)).text();
        if (zone !== prices.zone)
            return;
        for (const row of text.split("\n"))
            if (row)
                takePrice(JSON.parse(row));
        byId("prices-said").textContent = "";
    } catch (error) {
        prices.cursor = "";
        if (!(error instanceof Refused))
            throw error;
        byId("prices-said").textContent = error.message;
    } finally {
        prices.busy = false;
    }
}

function takePrice(row) {
    if (row.cursor) {
        prices.cursor = row.cursor;
        return;
    }
    if (!prices.first.has(row.sku)) {
        if (prices.first.size >= PRICES_MAX) {
            prices.beyond++;
            return;
        }
        prices.first.set(row.sku, row);
    }
    prices.now.set(row.sku, row);
}

function showPrices() {
    byId("since").textContent = clock(prices.since);
    const moved = [], others = [];
    for (const [sku, now] of prices.now) {
        const first = prices.first.get(sku);
        if (now.amount !== first.amount)
            moved.push({ sku, first, now, share: now.amount / first.amount - 1 });
        else
            others.push({ sku, first, now, share: 0, off: Math.abs(now.amount / now.list - 1) });
    }
    moved.sort((a, b) => Math.abs(b.share) - Math.abs(a.share) || (a.sku < b.sku ? -1 : 1));
    if (moved.length < MOVERS_SHOWN) // what stands still can be looked at too: those farthest from their list price first
        others.sort((a, b) => b.off - a.off || (a.sku < b.sku ? -1 : 1));
    fillTable(byId("movers"), ["product", "zone of its price", ["list", "number"], ["then", "number"], ["now", "number"], ["moved", "number"], "because of"], [...moved, ...others].slice(0, MOVERS_SHOWN).map(({ sku, first, now, share }) => [
        sku, now.zone, numberCell(money(now.list, now.currency, now.decimals)), numberCell(money(first.amount, first.currency, first.decimals)),
        numberCell(money(now.amount, now.currency, now.decimals)),
        share === 0 ? numberCell("–") : numberCell(`${share > 0 ? "▲ +" : "▼ "}${(share * 100).toFixed(1)} %`, share > 0 ? "up" : "down"),
        element("a", `Why? ${sku}`, { href: `#product/${encodeURIComponent(sku)}/${encodeURIComponent(prices.zone)}` })]));
    if (!byId("prices-said").textContent)
        byId("prices-said").textContent = `${moved.length.toLocaleString()} of ${prices.now.size.toLocaleString()} prices have moved` +
            (moved.length < MOVERS_SHOWN && others.length > 0 ? "; the others follow, those farthest from their list price first" : "") +
            (prices.beyond > 0 ? `; ${prices.beyond.toLocaleString()} more are not followed here` : "");
}

byId("zone-form").addEventListener("submit", (event) => {
    event.preventDefault();
    Object.assign(prices, { zone: byId("zone").value.trim(), cursor: "", first: new Map(), now: new Map(), beyond: 0, since: Date.now() });
    attempt("prices-said", followPrices).then(showView);
});

/* ---- one product --------------------------------------------------------------------------------------------------- */

const PAST_PAGES = 5;      // of the price journal, 1000 changes each
const LIVE_POINTS = 2000;
const CHANGES_SHOWN = 30;
const product = { sku: "", zone: "", customer: "" };

/* `past`: changes out of the journal, null before its answer, `loading`: the promise of it; `live`: what was seen since. A point is
 * {x, baseline, amount, factors}; x is service time, which `ahead` is of the browser's. */
function forget() {
    Object.assign(product, { past: null, loading: null, pastSaid: "", from: 0, ahead: 0, live: [] });
    charts.get("chart-history")?.destroy();
    charts.delete("chart-history");
}

async function explain() {
    const query = new URLSearchParams();
    if (product.zone)
        query.set("zone", product.zone);
    if (product.customer)
        query.set("customer", product.customer);
    const told = await attempt("product-why", () => askJson(`/v1/explain/${encodeURIComponent(product.sku)}?${query}`));
    byId("product").hidden = told === null;
    if (!told || told.sku !== product.sku)
        return;
    if (product.past === null) {
        const loading = product.loading ??= loadPast(told, Number(byId("span").value) * 1000), loaded = await loading;
        if (product.loading !== loading) // another product, or another span, meanwhile
            return;
        if (product.past === null)
            Object.assign(product, loaded);
    }
    showProduct(told);
}

/* What the price was before the page was opened. Without a journal the chart begins now, and says why. */
async function loadPast(told, spanMs) {
    const query = new URLSearchParams({ zone: told.zone || "world" }), entries = [];
    let ahead = 0, from = Date.now(), pastSaid = "";
    try {
        const now = await askJson(`/v1/journal/${encodeURIComponent(told.sku)}?${query}&limit=1`);
        ahead = now.to_ms - 1 - Date.now();
        from = now.to_ms - spanMs;
        query.set("from", new Date(from).toISOString());
        let next = null, pages = 0;
        do {
            const page = await askJson(`/v1/journal/${encodeURIComponent(told.sku)}?${query}`);
            entries.push(...page.entries);
            next = page.next;
            query.set("from", next ?? "");
        } while (next && ++pages < PAST_PAGES);
        if (next)
            pastSaid = `Only the first ${entries.length.toLocaleString()} changes of this time are shown: look at a shorter one.`;
    } catch (error) {
        pastSaid = `Nothing is known from before you looked: ${error.message}.`;
        from = Date.now() + ahead;
    }
    return { ahead, from, pastSaid, past: pastPoints(entries.filter((entry) => entry.currency === told.currency), told, from) };
}

function pastPoints(entries, told, from) {
    const points = [], units = 10 ** told.decimals, first = entries[0];
    if (first?.before > 0 && first.first_ms > from)
        points.push({ x: from, baseline: first.before / units, factors: [] });
    if (!first && told.since_ms <= from)
        points.push({ x: from, baseline: told.baseline / units, factors: told.steps.filter((step) => step.step === "factor") });
    for (const entry of entries) {
        if (entry.moves > 1 && entry.low > 0 && entry.low_ms < entry.when_ms)
            points.push({ x: entry.low_ms, baseline: entry.low / units, factors: [] });
        points.push({ x: entry.when_ms, baseline: entry.amount > 0 ? entry.amount / units : null, factors: entry.factors, entry });
    }
    return points;
}

function lookAt(sku, zone, customer) {
    if (sku === product.sku && zone === product.zone && customer === product.customer)
        return;
    Object.assign(product, { sku, zone, customer });
    forget();
    byId("sku").value = sku;
    byId("product-zone").value = zone;
    byId("customer").value = customer;
    byId("product-hint").hidden = sku !== "";
    if (sku)
        explain();
}

/* Amounts along the way, each step from the one before it. */
function waterfall(steps) {
    let before = 0;
    return steps.filter((step) => step.amount_minor !== undefined).map((step) => {
        const after = Number(step.amount_minor), from = before;
        before = after;
        return { name: step.name ?? step.step, from, after };
    });
}

function ago(ms) {
    const s = ms / 1000;
    if (Math.abs(s) < 0.5)
        return "just now";
    if (s < 0)
        return `${Math.round(-s)} s ahead`;
    return s < 120 ? `${Math.round(s)} s ago` : s < 7200 ? `${Math.round(s / 60)} min ago` : s < 172800 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86400)} days ago`;
}

/* Value, whose it is, and when it was seen there: "available 5 units, of berlin, seen 2 s ago". */
function inputText(input) {
    if (input.value === null)
        return `${input.name}: ${input.state}${
            input.age_ms ? ` (of ${input.zone || "the world"}, seen ${ago(input.age_ms)})` : ""}, so no opinion`;
    const seen = input.age_ms ? `, of ${input.zone || "the world"}, seen ${ago(input.age_ms)}` : "";
    return `${input.name} ${valueText(input.name, +Number(input.value), input.unit)}${seen}`;
}

/* As rialto explain says it: 14.128972 h is 14:07, the sixth weekday Saturday. */
function valueText(name, value, unit)
{
    const seconds = Math.floor(value * 3600 + 0.01); // 0.133333 h are eight minutes
    if (name === "hour")
        return `${String(Math.floor(seconds / 3600)).padStart(2, "0")}:${
            String(Math.floor(seconds / 60) % 60).padStart(2, "0")}`;
    if (name === "weekday")
        return [ "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" ][value - 1] ?? value;
    return `${value} ${unit}`;
}

function showProduct(told) {
    const units = 10 ** told.decimals, say = (minor) => money(minor, told.currency, told.decimals);
    const steps = [...told.steps, ...told.personal_steps], bars = waterfall(steps).filter((bar, i) => i === 0 || bar.from !== bar.after);
    byId("product-title").textContent = `${told.title || told.sku} — ${say(told.amount)}`;
    byId("product-line").textContent = `${told.category}; list ${say(told.list)}, baseline ${say(told.baseline)}, between ${say(told.floor)} and ${say(told.ceiling)}; ` +
        `${told.zone || "world"}; model ${told.model} ${told.version}; stands since ${moment(told.since_ms)}` + (told.why_not ? `; ${told.why_not}` : "");
    bars.push({ name: "amount", from: 0, after: told.amount });
    const lowest = Math.min(...bars.slice(1, -1).map((bar) => Math.min(bar.from, bar.after)), told.list, told.amount);
    draw("chart-waterfall", {
        type: "bar",
        data: { labels: bars.map((bar) => bar.name), datasets: [{
            data: bars.map((bar) => [Math.min(bar.from || lowest * 0.9, bar.after) / units, Math.max(bar.from, bar.after) / units]),
            backgroundColor: bars.map((bar, i) => colour(i === 0 || i === bars.length - 1 ? "--c1" : bar.after > bar.from ? "--up" : "--down")) }] },
        options: baseOptions({ legend: false, y: { min: Math.floor(lowest * 0.9) / units } }),
    });
    rememberProduct(told, units);
    fillTable(byId("steps"), ["step", ["times", "number"], ["amount", "number"], "because of"], steps.map((step) => [
        step.name ? `${step.step} ${step.name}` : step.step, numberCell(step.times ?? ""),
        numberCell(step.amount_minor === undefined ? "" : (Number(step.amount_minor) / units).toFixed(told.decimals + 2)),
        [...(step.inputs ?? []).map(inputText), step.consent ? `permitted: ${step.consent}` : "", step.text ?? ""].filter(Boolean).join("; ")]));
}

function rememberProduct(told, units) {
    const factors = told.steps.filter((step) => step.step === "factor"), now = Date.now() + product.ahead, last = product.live.at(-1);
    const point = { x: last ? now : Math.max(Math.min(told.since_ms, now), product.from, product.past.at(-1)?.x ?? 0), baseline: told.baseline / units, amount: told.amount / units, factors };
    const same = (a, b) => a.baseline === b.baseline && a.amount === b.amount && JSON.stringify(a.factors.map((f) => f.times)) === JSON.stringify(b.factors.map((f) => f.times));
    if (!last || !same(last, point))
        product.live.push(point);
    if (product.live.length > LIVE_POINTS)
        product.live.shift();
    showHistory(told, units, [...product.past.filter((one) => one.x <= product.live[0].x), ...product.live, { ...point, x: now }]);
}

function showHistory(told, units, points) {
    const names = [...new Set(points.flatMap((point) => point.factors.map((factor) => factor.name)))];
    const along = (name) => points.flatMap((point) => point.factors.filter((factor) => factor.name === name).map((factor) => ({ x: point.x, y: Number(factor.times) })));
    const reach = (values) => Math.max(...values.map((value) => Math.abs(value.y - 1)));
    const moving = names.map((name) => [name, along(name)]).filter(([, values]) => reach(values) > 0).sort((a, b) => reach(b[1]) - reach(a[1])).slice(0, 4);
    const sets = [line("baseline", points.map((point) => ({ x: point.x, y: point.baseline })), 1, { stepped: "before" })];
    if (product.customer)
        sets.push(line("amount", points.filter((point) => point.amount !== undefined).map((point) => ({ x: point.x, y: point.amount })), 6, { stepped: "before" }));
    sets.push(...moving.map(([name, values], i) => line(`× ${name}`, values, i + 2, { yAxisID: "factors", stepped: "before", borderDash: [5, 3] })));
    const chart = charts.get("chart-history"), from = product.from, to = points.at(-1).x;
    const day = to - from > 2 * 86400e3;
    const options = baseOptions({ parsing: true, y: { grace: "10%" }, tooltip: { callbacks: { title: (items) => moment(items[0].parsed.x) } } });
    Object.assign(options.scales.x, { type: "linear", min: from, max: to });
    options.scales.x.ticks.callback = (ms) => day ? new Date(ms).toLocaleDateString([], { day: "numeric", month: "short" }) : clock(ms);
    options.scales.factors = { position: "right", grid: { display: false }, ticks: { color: colour("--soft") }, title: { display: true, text: "factors", color: colour("--soft") }, display: moving.length > 0 };
    if (chart && chart.data.datasets.length === sets.length) {
        sets.forEach((set, i) => Object.assign(chart.data.datasets[i], set));
        chart.options.scales.x.min = from;
        chart.options.scales.x.max = to;
        chart.update("none");
    } else {
        draw("chart-history", { type: "line", data: { datasets: sets }, options });
    }
    byId("past-said").textContent = product.pastSaid;
    const changes = points.slice(0, -1).filter((point, i) => i === 0 || point.baseline !== points[i - 1].baseline);
    fillTable(byId("past"), ["since", ["baseline", "number"], ["list", "number"], "factors", "model"], changes.slice(-CHANGES_SHOWN).reverse().map((point) => [
        moment(point.x), numberCell(point.baseline === null ? "no price" : money(Math.round(point.baseline * units), told.currency, told.decimals)),
        numberCell(point.entry ? money(point.entry.list, told.currency, told.decimals) : ""),
        point.factors.filter((factor) => Number(factor.times) !== 1).map((factor) => `${factor.name} × ${+Number(factor.times).toFixed(4)}`).join(", "),
        point.entry ? `${point.entry.model} ${point.entry.version}` : ""]));
}

byId("span").addEventListener("change", () => {
    const live = product.live;
    forget();
    product.live = live;
    explain();
});

byId("product-form").addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = ["#product", byId("sku").value.trim(), byId("product-zone").value.trim(), byId("customer").value.trim()].map((word, i) => i ? encodeURIComponent(word) : word).join("/");
    lookAt(byId("sku").value.trim(), byId("product-zone").value.trim(), byId("customer").value.trim());
});

/* ---- models -------------------------------------------------------------------------------------------------------- */

const models = { change: 0, live: {}, edits: {}, loading: false };

/* JSON with comments to JSON: comments become blanks, texts stay. */
function withoutComments(text) {
    return text.replace(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (found) => found[0] === '"' ? found : found.replace(/[^\n]/g, " "));
}

function parseModel(text) {
    try {
        return JSON.parse(withoutComments(text));
    } catch {
        return null;
    }
}

async function loadModels() {
    if (models.loading)
        return;
    models.loading = true;
    await attempt("models-why", async () => {
        const list = await askJson("/v1/models");
        models.list = list;
        models.now = list.changes.at(-1);
        if (list.changes.length > 1 && list.changes[0].change > models.now.change)
            models.now = list.changes[0];
        const kept = list.kept.find((one) => one.change === models.now.models) ?? list.kept[0];
        models.live = kept ? (await askJson(`/v1/models/${kept.change}`)).files : {};
        models.change = models.now.change;
        showModels();
    });
    models.loading = false;
}

function select(id, names) {
    const chosen = byId(id).value;
    byId(id).replaceChildren(...names.map((name) => element("option", name, { value: name })));
    if (names.includes(chosen))
        byId(id).value = chosen;
}

function showModels() {
    const now = models.now, at = (to) => to === "list" ? "list price" : "last price";
    const frozen = now.freeze.map((one) => `${one.by} ${one.pattern || "world"} at its ${at(one.to)}`);
    if (now.mode !== "normal")
        frozen.unshift(`every price at its ${at(now.mode)}`);
    byId("in-force").textContent = `Change ${now.change}, models of change ${now.models}, by ${now.who} on ${moment(now.when_ms)}: ${now.what}.` +
        (now.pinned ? " Pinned: nobody changes models now." : "") +
        (frozen.length > 0 ? ` Frozen: ${frozen.join("; ")}.` : "");
    byId("do-thaw").hidden = frozen.length === 0;
    byId("do-pin").textContent = now.pinned ? "Take the pin out…" : "Pin the models…";
    const files = Object.keys(models.live).sort();
    select("file", [...new Set([...files, ...Object.keys(models.edits)])]);
    select("model", files);
    const kept = new Set(models.list.kept.map((one) => one.change));
    fillTable(byId("changes"), ["change", "when", "who", "what", "models", ""], [...models.list.changes].sort((a, b) => b.change - a.change).map((one) => {
        const back = kept.has(one.models) && one.models !== now.models ? element("button", `Back to the models of ${one.models}…`, { type: "button", className: "link" }) : "";
        if (back)
            back.addEventListener("click", () => change(`Back to the models of change ${one.models}?`, "Every price follows at once.", "/v1/models/rollback", () => ({ to: one.models })));
        return [String(one.change), moment(one.when_ms), one.who, one.note ? `${one.what}: ${one.note}` : one.what, String(one.models), back];
    }));
    showFile();
    showCurves();
}

function showFile() {
    const file = byId("file").value;
    byId("editor").value = models.edits[file] ?? models.live[file] ?? "";
}

/* The points of a factor that is a list of them; others say in words what they are. */
function showCurves() {
    const model = parseModel(models.live[byId("model").value] ?? "");
    byId("model-about").textContent = model?.about ?? "";
    for (const [id, chart] of charts)
        if (id instanceof HTMLCanvasElement) {
            chart.destroy();
            charts.delete(id);
        }
    byId("curves").replaceChildren();
    for (const factor of model?.factors ?? []) {
        const box = element("div", null, { className: "tile" });
        byId("curves").append(box);
        box.append(element("h2", factor.name));
        const points = factor.curve ?? factor.steps, table = factor.categories ?? factor.zones ?? factor.tier;
        if (!points && !table) {
            box.append(element("code", factor.expression ?? JSON.stringify(factor.cases ?? factor.markup ?? factor.clearing ?? {})));
            continue;
        }
        const frame = element("div", null, { className: "chart" }), canvas = element("canvas");
        const words = points ? points.map(([x, y]) => `${y} at ${x}`).join(", ") : Object.entries(table).map(([name, y]) => `${name} ${y}`).join(", ");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `${factor.name}: times ${words}`);
        frame.append(canvas);
        box.append(frame);
        if (points) {
            const span = (points.at(-1)[0] - points[0][0]) || 1;
            const from = points[0][0] - span / 8;
            const all = [[points[0][0] >= 0 ? Math.max(0, from) : from, points[0][1]], ...points, [points.at(-1)[0] + span / 8, points.at(-1)[1]]];
            draw(canvas, { type: "line", data: { datasets: [line("times", all.map(([x, y]) => ({ x, y })), 1, { stepped: factor.steps ? "before" : false, pointRadius: 2 })] },
                           options: baseOptions({ legend: false, x: { type: "linear", title: { display: true, text: factor.input, color: colour("--soft") } } }) });
        } else {
            draw(canvas, { type: "bar", data: { labels: Object.keys(table), datasets: [line("times", Object.values(table), 1)] }, options: baseOptions({ legend: false }) });
        }
    }
}

const edited = () => ({ files: { ...models.live, ...models.edits } });

function showFaults(faults) {
    byId("faults").replaceChildren(...faults.map((fault) => {
        const row = element("li"), file = (fault.file || "").split("/").at(-1);
        const go = element("button", `${file}:${fault.line}:${fault.column}`, { type: "button", className: "link" });
        go.addEventListener("click", () => {
            byId("file").value = file;
            showFile();
            const lines = byId("editor").value.split("\n"), from = lines.slice(0, fault.line - 1).join("\n").length + (fault.line > 1 ? 1 : 0);
            byId("editor").focus();
            byId("editor").setSelectionRange(from, from + (lines[fault.line - 1] ?? "").length);
        });
        row.append(go, ` ${fault.pointer ? `${fault.pointer}: ` : ""}${fault.reason}`);
        return row;
    }));
}

/* Good models, what is remarked of them all the same, and who wins where two claim a product. */
function showChecked(checked)
{
    byId("diff-said").textContent = "These models are good.";
    byId("remarks").replaceChildren(
        ...checked.remarks.map((remark) => element("li", `${remark.model}: ${remark.text}`)),
        ...checked.winners.map((winner) => element("li", winner.text)));
}

/* A request about the edited files: faults at their lines, or what came of it. */
async function aboutEdits(path, body, done) {
    showFaults([]);
    byId("remarks").replaceChildren();
    fillTable(byId("diff"), [], []);
    byId("diff-said").textContent = "…";
    await attempt("diff-said", async () => {
        try {
            await done(await askJson(path, body));
        } catch (error) {
            if (!error.problem?.faults)
                throw error;
            showFaults(error.problem.faults);
            byId("diff-said").textContent = `${error.problem.faults.length} faults; nothing was changed`;
        }
    });
}

function showDiff(diff) {
    byId("diff-said").textContent = `${diff.up.toLocaleString()} of ${diff.prices.toLocaleString()} prices would rise, ${diff.down.toLocaleString()} fall, ` +
        `${diff.uncovered.toLocaleString()} lose their model; the largest change is ${diff.max_change_pct.toFixed(2)} %`;
    fillTable(byId("diff"), ["product", "zone", ["now", "number"], ["then", "number"], ["moves", "number"]], diff.moves.map((move) => [
        move.sku, move.zone || "world", numberCell(money(move.now, move.currency, move.decimals)),
        numberCell(money(move.becomes, move.currency, move.decimals)), numberCell(`${move.pct.toFixed(2)} %`)]));
}

let answered = () => {}; // what the question that stands resolves by

/* Asks whether one is sure; resolves to the note, or null. */
function sure(what, text, freeze) {
    answered(null);
    byId("sure-what").textContent = what;
    byId("sure-text").textContent = text;
    byId("sure-freeze").hidden = !freeze;
    byId("sure-note").value = "";
    byId("sure").returnValue = "no";
    byId("sure").showModal();
    return new Promise((resolve) => { answered = resolve; });
}

/* A browser may tell of it when the next question stands already. */
byId("sure").addEventListener("close", () => {
    if (!byId("sure").open)
        answered(byId("sure").returnValue === "yes" ? byId("sure-note").value.trim() : null);
});

/* A key that is still down from the question's own button answers nothing, and Enter in a field goes to the button, not through it. */
byId("sure").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || (!event.repeat && event.target.localName === "button"))
        return;
    event.preventDefault();
    if (!event.repeat && event.target.localName === "input")
        byId("sure").querySelector("button[value=yes]").focus();
});

async function change(what, text, path, body, freeze = false) {
    const note = await sure(what, text, freeze);
    if (note === null)
        return;
    await attempt("models-why", async () => {
        const done = await askJson(path, { ...body(), ...(note ? { note } : {}) });
        const held = done.held === undefined ? "" : done.held === 0 ? " No price that stands is meant by these words." : ` Prices held by it: ${done.held}.`;
        byId("models-said").textContent = `Change ${done.change.number} is in force.${held}`;
    });
    await loadModels();
}

byId("do-check").addEventListener("click", () => aboutEdits("/v1/models/check", edited(), showChecked));
byId("do-diff").addEventListener("click", () => aboutEdits("/v1/models/diff", edited(), showDiff));
byId("do-apply").addEventListener("click", async () => {
    const note = await sure("Bring these models into force?", "Every price follows at once. Models that are no good change nothing.");
    if (note === null)
        return;
    await aboutEdits("/v1/models/apply", { ...edited(), ...(note ? { note } : {}) }, async (done) => {
        models.edits = {};
        byId("diff-said").textContent = `Change ${done.change.number} is in force.`;
        await loadModels();
    });
});
byId("do-pin").addEventListener("click", () => change(models.now?.pinned ? "Take the pin out?" : "Pin the models?", "While they are pinned nobody changes models.", "/v1/models/pin", () => ({ pinned: !models.now.pinned })));
byId("do-freeze").addEventListener("click", () => change("Freeze prices?", "They stay where they are, whatever the signals say, until they are let go.", "/v1/freeze", () => {
    const kind = byId("freeze-what").value;
    return { [kind]: kind === "all" ? true : byId("freeze-which").value.trim(), to: byId("freeze-to").value };
}, true));
byId("do-thaw").addEventListener("click", () => change("Let every price move again?", "All freezes end.", "/v1/freeze", () => ({ all: true, to: "off" })));
byId("file").addEventListener("change", showFile);
byId("model").addEventListener("change", showCurves);
byId("editor").addEventListener("input", () => { models.edits[byId("file").value] = byId("editor").value; });
byId("drop-edits").addEventListener("click", () => { models.edits = {}; showFaults([]); showModels(); });
byId("upload").addEventListener("change", async (event) => {
    for (const file of event.target.files)
        models.edits[file.name] = await file.text();
    showModels();
    if (event.target.files.length > 0) {
        byId("file").value = event.target.files[0].name;
        showFile();
    }
    event.target.value = ""; // or the same file, mended, would be no change
});

/* ---- which view ---------------------------------------------------------------------------------------------------- */

const VIEWS = ["overview", "prices", "product", "models"];

function view() {
    const name = location.hash.slice(1).split("/")[0];
    return VIEWS.includes(name) ? name : "overview";
}

function showEnter(why) {
    byId("enter").hidden = false;
    byId("enter-why").textContent = why;
}

function showView() {
    for (const name of VIEWS)
        byId(`view-${name}`).hidden = name !== view();
    for (const link of document.querySelectorAll("nav a"))
        if (link.hash === `#${view()}`)
            link.setAttribute("aria-current", "page");
        else
            link.removeAttribute("aria-current");
    if (view() === "overview")
        showOverview();
    if (view() === "prices")
        showPrices();
    if (view() === "models" && status && status.change.number !== models.change)
        loadModels();
}

function arrive() {
    const [name, ...words] = location.hash.slice(1).split("/").map(decodeURIComponent);
    if (name === "product" && words.length > 0)
        lookAt(words[0] ?? "", words[1] ?? "", words[2] ?? "");
    if (view() === "models")
        loadModels();
    showView();
}

byId("enter").addEventListener("submit", async (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", byId("token").value);
    try {
        status = await askJson("/v1/status");
        byId("token").value = "";
        byId("enter").hidden = true;
        byId("enter-why").textContent = "";
        showHealth(true);
        arrive();
    } catch (error) {
        sessionStorage.removeItem("token");
        byId("enter-why").textContent = error.message;
    }
});

addEventListener("hashchange", arrive);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const chart of charts.values())
        chart.destroy();
    charts.clear();
    arrive();
});
byId("enter").hidden = sessionStorage.getItem("token") !== null;
arrive();
poll();
