// The sample shop: asks its own server for a page of prices once a second, and shows them. Texts of others go into the page as
// text, never as markup.
"use strict";

const LOOK_MS = 1000; // between two looks
const LOOK_MAX_MS = 15000; // after looks that failed, twice as long each time, up to this
const MOVED_MS = 1500; // how long a price that moved is marked
const WAIT_MS = 8000; // for any answer

const by = (id) => document.getElementById(id);
const state = { from: 0, size: 0, shown: new Map(), look: 0, failed: 0, timer: 0, consent: 0 };

async function ask(path, options = {}) {
    const answer = await fetch(path, { signal: AbortSignal.timeout(WAIT_MS), ...options });
    const json = await answer.json();
    if (!answer.ok) throw new Error(json.title || `status ${answer.status}`);
    return json;
}

// An amount in minor units as people of the reader's language write it, with the decimals that the currency has here.
function money(minor, currency, decimals) {
    const value = minor / 10 ** decimals;
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    try {
        return new Intl.NumberFormat(undefined, { style: "currency", currency, currencyDisplay: "symbol", ...digits }).format(value);
    } catch {
        return `${value.toFixed(decimals)} ${currency}`; // letters that are no currency
    }
}

const percent = (ratio) => new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" }).format(ratio);
const list = (words) => new Intl.ListFormat("en").format(words);

function make(tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
}

function put(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

// ---- products -----------------------------------------------------------------------------------------------------------

function query() {
    return new URLSearchParams({ customer: by("customer").value, zone: by("zone").value, department: by("department").value,
        find: by("find").value.trim(), from: state.from });
}

// Said when personal data were used, whether or not they moved the price, and only then; in the words of the law where one asks for them.
function disclosure(p) {
    if (p.data_used.length === 0) return "";
    return `${p.disclosure || "This price was set by an algorithm using your personal data."} Used: ${list(p.data_used)}.`;
}

const NOTES = { offer: "personal offer", lock: "promised price", stale: "not fresh", list: "list price for everybody", bounded: "at its limit",
    neutral: "personal terms out of date: not used", superseded: "from a service that was replaced", starting: "list price: the service is starting", demo: "demo price" };

function notes(p) {
    const said = p.flags.filter((flag) => flag in NOTES).map((flag) => NOTES[flag]);
    if (p.list !== p.baseline) said.unshift(`list price ${money(p.list, p.currency, p.decimals)}`);
    return said.join(" · ");
}

function fill(card, p) {
    const priced = p.no_price === undefined;
    put(card.querySelector("h3"), p.title);
    put(card.querySelector(".code"), p.sku);
    put(card.querySelector(".price .amount"), priced ? money(p.amount, p.currency, p.decimals) : "no price now");
    const own = priced && p.amount !== p.baseline;
    put(card.querySelector(".price .label"), own ? "Your price" : "Price");
    const change = own && p.baseline > 0 ? ` (${percent(p.amount / p.baseline - 1)})` : "";
    put(card.querySelector(".baseline .amount"), priced ? money(p.baseline, p.currency, p.decimals) + change : "");
    put(card.querySelector(".notes"), priced ? notes(p) : p.no_price);
    const words = priced ? disclosure(p) : "";
    const told = card.querySelector(".disclosure");
    put(told, words);
    told.hidden = words === "";
    card.classList.toggle("personal", words !== "");
    card.querySelector(".why").disabled = !priced;
}

function cardOf(p) {
    const card = by("card").content.firstElementChild.cloneNode(true);
    card.dataset.sku = p.sku;
    const why = card.querySelector(".why");
    why.setAttribute("aria-label", `Why this price? ${p.title}`);
    why.addEventListener("click", () => explain(p.sku, p.title));
    return card;
}

function showProducts(products) {
    const there = new Map([...by("products").children].map((card) => [card.dataset.sku, card]));
    const cards = products.map((p) => there.get(p.sku) || cardOf(p));
    if (cards.length !== there.size || cards.some((card, i) => by("products").children[i] !== card)) by("products").replaceChildren(...cards);
    products.forEach((p, i) => {
        const before = state.shown.get(p.sku);
        if (before !== undefined && before !== p.amount) {
            cards[i].classList.add("moved");
            setTimeout(() => cards[i].classList.remove("moved"), MOVED_MS);
        }
        fill(cards[i], p);
    });
    state.shown = new Map(products.map((p) => [p.sku, p.amount]));
}

function showChoices(select, rows) {
    const chosen = select.value;
    const same = rows.length + 1 === select.options.length && rows.every(([value, text], i) => select.options[i + 1].value === value && select.options[i + 1].text === text);
    if (same || document.activeElement === select) return; // not under the reader's hand
    while (select.options.length > 1) select.remove(1);
    for (const [value, text] of rows) select.add(new Option(text, value));
    select.value = [...select.options].some((o) => o.value === chosen) ? chosen : "";
}

function show(page) {
    showChoices(by("department"), page.departments.map((d) => [d.name, `${d.name} (${d.products})`]));
    showChoices(by("zone"), page.zones.map((zone) => [zone, zone]));
    showProducts(page.products);
    state.size = page.size;
    const end = page.from + page.products.length;
    put(by("where"), page.total === 0 ? "Nothing found" : `${page.from + 1} to ${end} of ${page.total}${page.is_cut ? " or more" : ""}`);
    by("back").disabled = page.from === 0;
    by("next").disabled = end >= page.total;
}

function trouble(text) {
    put(by("trouble"), text);
    by("trouble").hidden = text === "";
}

// One look at the prices. Only the newest answer counts: what was asked before a choice is not shown after it.
async function look() {
    clearTimeout(state.timer);
    const number = ++state.look;
    try {
        const page = await ask(`/api/page?${query()}`);
        if (number !== state.look) return;
        state.failed = 0;
        trouble("");
        show(page);
    } catch (error) {
        if (number !== state.look) return;
        state.failed++;
        trouble(`Prices cannot be read now (${error.message}). Trying again.`);
    }
    if (!document.hidden) state.timer = setTimeout(look, Math.min(LOOK_MS * 2 ** Math.min(state.failed, 5), LOOK_MAX_MS));
}

function lookFrom(from) {
    state.from = from;
    state.shown.clear(); // another customer's price is no move
    return look();
}

// ---- consents ------------------------------------------------------------------------------------------------------------

const switches = () => [...by("consents").querySelectorAll("input")];
const gpc = () => navigator.globalPrivacyControl === true; // the browser sends "Sec-GPC: 1" with every request then

function showConsent({ consent = {}, opt_out: optedOut = false }) {
    for (const input of switches()) input.checked = consent[input.name] === true;
    by("opt-out").checked = optedOut;
}

function hint(customer, optedOut) {
    if (customer === "") return "Choose a customer to see what they permit. Everybody pays the baseline price until they permit something.";
    if (gpc()) return "Your browser sends Global Privacy Control: that opts you out of everything.";
    return optedOut ? "This customer opted out of everything. Switch that off to choose again." : "A switch is in force as soon as it is answered.";
}

const putConsent = (customer, wanted) => ask(`/api/customers/${encodeURIComponent(customer)}/consent`,
    { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wanted) });

async function readConsent() {
    const customer = by("customer").value, number = ++state.consent;
    by("consents").disabled = by("opt-out").disabled = true;
    showConsent({});
    put(by("consent-hint"), hint(customer, false));
    if (customer === "") return;
    try {
        if (gpc()) {
            await putConsent(customer, { opt_out: true });
            look();
        }
        const told = await ask(`/api/customers/${encodeURIComponent(customer)}/consent`);
        if (number !== state.consent) return;
        showConsent(told);
        by("consents").disabled = told.opt_out;
        by("opt-out").disabled = gpc();
        put(by("consent-hint"), hint(customer, told.opt_out));
    } catch (error) {
        if (number === state.consent) put(by("consent-hint"), `What this customer permits cannot be read now (${error.message}).`);
    }
}

const nowSaid = (input, name) => input.id === "opt-out" ? (input.checked ? "None of your data moves a price any more" : "You may choose again: everything is still off")
    : `${name} ${input.checked ? "may move your prices now" : "moves no price of yours any more"}`;

async function switchConsent(input) {
    const customer = by("customer").value, wanted = input.checked;
    const name = input.closest("label").querySelector("b").textContent;
    let anew = input.id === "opt-out";
    try {
        const answer = await putConsent(customer, { [input.name]: wanted });
        if (answer.rejected) throw new Error(answer.findings?.[0]?.text || "refused");
        anew ||= answer.findings?.length > 0; // not as wished: opted out meanwhile, elsewhere
        put(by("said"), anew && input.id !== "opt-out" ? answer.findings[0].text : `${nowSaid(input, name)}.`);
    } catch (error) {
        if (by("customer").value === customer) input.checked = !wanted;
        put(by("said"), `${name} is as it was: ${error.message}.`);
    }
    if (anew) await readConsent();
    await look();
}

// ---- why -----------------------------------------------------------------------------------------------------------------

const times = (text) => (text === undefined ? "" : `× ${Number(text).toFixed(4)}`);

// Rows are lists of texts: the first names the row, those that stand under `numbers` are numbers.
function table(caption, words, numbers, rows) {
    const element = make("table"), heads = make("tr");
    element.append(make("caption", caption), heads);
    [...words, ...numbers].forEach((text, i) => {
        const th = make("th", text, i < words.length ? "" : "number");
        th.scope = "col";
        heads.append(th);
    });
    for (const cells of rows) {
        const tr = make("tr");
        cells.forEach((text, i) => tr.append(make(i === 0 ? "th" : "td", text, i < words.length ? "" : "number")));
        tr.firstChild.scope = "row";
        element.append(tr);
    }
    return element;
}

const number = (value) => (value === null || value === undefined ? undefined : Number(value).toLocaleString(undefined, { maximumFractionDigits: 3 }));
const lookedAt = (step) => (step.inputs || []).map((input) => `${input.name.replaceAll("_", " ")}: ${number(input.value) ?? input.state}`).join("; ");
const priceAt = (e, step) => (step.amount_minor === undefined ? "" : money(Number(step.amount_minor), e.currency, e.decimals));
const spoke = (guard) => (typeof guard === "string" ? guard : guard.name || JSON.stringify(guard));

function whyText(e) {
    const parts = [make("p", `Priced ${e.zone ? `in ${e.zone}` : "everywhere alike"} by the model ${e.model}, version ${e.version}.`)];
    parts.push(table("From the list price to the baseline price", ["Step", "Looked at"], ["Factor", "Price"],
        e.steps.map((step) => [step.name || step.step, lookedAt(step), times(step.times), priceAt(e, step)])));
    if (e.guardrails?.length) parts.push(make("p", `Guardrails that spoke: ${list(e.guardrails.map(spoke))}.`));
    if (!e.customer) return parts;
    if (e.personal?.rows)
        parts.push(table("What this customer's data do", ["Rule", "Rests on"], ["Factor"], e.personal.rows.map((rule) =>
            [rule.name, `${list(rule.rests_on)}${rule.permitted ? "" : ": not permitted, not looked at"}`, rule.permitted ? times(rule.times) : ""])));
    if (e.personal_steps?.length)
        parts.push(table("From the baseline price to your price", ["Step"], ["Factor", "Price"],
            e.personal_steps.map((step) => [step.name || step.step, times(step.times), priceAt(e, step)])));
    const pays = e.amount === e.baseline ? "the baseline price" : `${money(e.amount, e.currency, e.decimals)} instead of ${money(e.baseline, e.currency, e.decimals)}`;
    parts.push(make("p", `${e.customer} pays ${pays}.`));
    return parts;
}

async function explain(sku, title) {
    put(by("why-title"), `Why this price? ${title}`);
    by("why-text").replaceChildren(make("p", "Asking the service."));
    by("why").showModal();
    try {
        const e = await ask(`/api/why/${encodeURIComponent(sku)}?${new URLSearchParams({ customer: by("customer").value, zone: by("zone").value })}`);
        by("why-text").replaceChildren(...whyText(e));
    } catch (error) {
        by("why-text").replaceChildren(make("p", `No explanation now: ${error.message}.`));
    }
}

// ---- the beginning ---------------------------------------------------------------------------------------------------------

async function start() {
    by("customer").addEventListener("change", () => {
        put(by("said"), "");
        readConsent();
        lookFrom(state.from);
    });
    for (const id of ["zone", "department"]) by(id).addEventListener("change", () => lookFrom(id === "zone" ? state.from : 0));
    by("find").addEventListener("input", () => lookFrom(0));
    by("back").addEventListener("click", () => lookFrom(Math.max(0, state.from - state.size)));
    by("next").addEventListener("click", () => lookFrom(state.from + state.size));
    for (const input of [...switches(), by("opt-out")]) input.addEventListener("change", () => switchConsent(input));
    document.addEventListener("visibilitychange", () => document.hidden || look());
    look();
    try {
        const { customers } = await ask("/api/customers");
        for (const c of customers) by("customer").add(new Option(c.about ? `${c.id} (${c.about})` : c.id, c.id));
    } catch (error) {
        trouble(`The list of customers cannot be read (${error.message}).`);
    }
    readConsent();
}

start();
