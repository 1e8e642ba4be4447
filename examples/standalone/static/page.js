// The page around a run: its buttons, its steps, its diagram.

import { Run } from "./run.js";

const PAUSE = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 600;

const run = new Run();
const find = (selector) => document.querySelector(selector);
const steps = new Map(
  [...document.querySelectorAll("[data-step]")].map((item) => [item.dataset.step, item]),
);
const buttons = { run: find("#run"), next: find("#next"), restart: find("#restart") };
const caption = find("#caption");
const introduction = caption.textContent;
/** What is on the page of each step, so that what did not change stays as it is. */
const drawn = new Map();
let busy = false;

// -- doing ---------------------------------------------------------------------

/** Take one step; every other button waits meanwhile. */
async function take(step) {
  busy = true;
  const { url } = steps.get(step).dataset;
  const taken = run.take(step, url);
  draw();
  await taken;
  busy = false;
  draw();
  say(step);
}

/** Take the next step and, where that was asked for, those after it. */
async function goOn() {
  while (run.next) {
    const step = run.next;
    if (step === "tenant") return leave();
    await take(step);
    if (!run.all || run.problem) break;
    if (run.next) await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
  focusNext();
}

/** Go to the tenant.  The run is kept, and this page comes back to it. */
async function leave() {
  const { address } = run.held;
  await take("tenant");
  location.assign(address);
}

async function once(step) {
  await take(step);
  focusNext();
}

function restart(all) {
  run.reset();
  run.all = all;
  goOn();
}

function press(action) {
  return () => busy || action();
}

buttons.run.addEventListener("click", press(() => {
  if (!run.next || run.problem) return restart(true);
  run.all = true;
  goOn();
}));
buttons.next.addEventListener("click", press(() => (run.next ? goOn() : restart(false))));
buttons.restart.addEventListener("click", press(() => {
  run.reset();
  draw();
  buttons.run.focus();
}));

// -- showing -------------------------------------------------------------------

/** Make an element; text is only ever text. */
function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...content.filter((part) => part !== null && part !== undefined));
  return element;
}

function button(text, action, kind = "") {
  return make("button", { type: "button", class: kind, click: press(action) }, text);
}

/** A body: JSON with its names set off, or lines of text. */
function body(label, value) {
  if (value === null || value === undefined) return null;
  const text = typeof value === "string"
    ? value
    : JSON.stringify(value, null, 2)
      .replace(/\[[^[\]{}]*\]/g, (list) => list.replace(/\s+/g, " "))
      .replaceAll("\\n", "\n     ");
  const parts = text.split(/("[^"\n]*"(?=:)|(?<=^|[\n &?])[a-z_]+(?==)|… \([0-9]+\))/);
  return [
    make("p", { class: "label" }, label),
    make("pre", {}, make("code", {}, ...parts.map((part, index) => (
      index % 2 ? make("span", { class: part.startsWith("…") ? "rest" : "name" }, part) : part
    )))),
  ];
}

function exchange({ request, host, by, from, sent, status, received, gist, note }) {
  const shown = make("div", { class: note ? "exchange checked" : "exchange" });
  if (note) shown.append(make("p", { class: "note" }, note));
  if (request) {
    const who = by === "browser" || host ? "Your browser" : "This page";
    const asked = make("p", { class: "asked" }, `${who} sent${from ? `, from ${from}` : ""}: `);
    asked.append(make("code", {}, request), host ? ` to ${host}` : "");
    shown.append(asked);
  }
  shown.append(...(body(sent && typeof sent === "object" ? "Body" : "With", sent) ?? []));
  if (status) {
    const kind = /^[23]/.test(status) ? "status" : "status bad";
    shown.append(make("p", { class: "asked" }, "The server answered: ",
      make("code", { class: kind }, status)));
  }
  if (gist) shown.append(...body("What matters in its body", gist));
  if (gist || (note && received)) {
    shown.append(make("details", {},
      make("summary", {}, note ? "Its claims" : "The whole body"), body("", received)[1]));
  } else if (received) {
    shown.append(...body(typeof received === "object" ? "Body" : "With", received));
  }
  return shown;
}

function problem({ title, detail, hint, type, again }) {
  const code = type?.split("#")[1];
  return make("div", { class: "problem", role: "alert" },
    make("p", {}, make("strong", {}, title)),
    detail && detail !== title ? make("p", {}, detail) : null,
    hint ? make("p", {}, hint) : null,
    code ? make("p", { class: "soft" }, "Error code: ", make("code", {}, code)) : null,
    make("p", { class: "ways" },
      again === "tenant" ? button("Go to the tenant", goOn) : null,
      again && again !== "tenant" ? button("Try again", () => once(again)) : null,
      button("Start over", () => buttons.restart.click(), again ? "second" : ""),
    ),
  );
}

function you({ name, email, user_id: id }) {
  const called = name ?? email ?? id;
  const initials = called.split(/\s+/).slice(0, 2).map((word) => word[0]).join("");
  return make("div", { class: "you" },
    make("span", { class: "face", "aria-hidden": "true" }, initials.toUpperCase()),
    make("div", {},
      make("h4", { id: "you", tabindex: "-1" }, `You are ${called}`),
      make("p", {}, [email, id].filter(Boolean).join(" · ")),
    ),
  );
}

/** What each step's own button says, where it has one now. */
function act(name) {
  if (busy || (run.problem && (run.next || run.problem.step === name))) return null;
  if (run.at === "signed-in" && name === "refresh") return ["Refresh the tokens", "second"];
  if (run.at === "signed-in" && name === "clear") return ["Clear the session", "second"];
  if (run.all || run.at === "new" || name !== run.next) return null;
  return [name === "tenant" ? "Go to the tenant" : "Take this step", ""];
}

function drawStep(item, name) {
  const log = run.log[name];
  const failed = run.problem?.step === name;
  const isNow = busy && run.last === name;
  item.classList.toggle("done", Boolean(log) && !failed && !isNow);
  item.classList.toggle("now", isNow || (!busy && !run.problem && run.next === name));
  item.classList.toggle("failed", failed);
  item.toggleAttribute("aria-busy", isNow);
  if (run.last === name) item.setAttribute("aria-current", "step");
  else item.removeAttribute("aria-current");
  const told = [failed && run.problem, log, name === "token" && run.user];
  if (drawn.get(name) !== JSON.stringify(told)) {
    drawn.set(name, JSON.stringify(told));
    const [trouble, exchanges, user] = told;
    item.querySelector(".log").replaceChildren(
      ...(trouble ? [problem(trouble)] : []),
      ...(exchanges ?? []).map(exchange),
      ...(user ? [you(user)] : []),
    );
  }
  const place = item.querySelector(".act");
  const what = act(name);
  place.hidden = !what;
  place.replaceChildren();
  if (what) place.append(button(what[0], () => (run.next ? goOn() : once(name)), what[1]));
}

function draw() {
  for (const [name, item] of steps) drawStep(item, name);
  for (const part of document.querySelectorAll("[data-steps]")) {
    part.classList.toggle("on", part.dataset.steps.split(" ").includes(run.last));
  }
  caption.textContent = run.last ? steps.get(run.last).dataset.caption : introduction;
  const under = run.next && run.at !== "new" && !run.problem;
  const again = run.at === "new" ? "" : " again";
  buttons.run.textContent = under ? "Run the rest" : `Run every step${again}`;
  const next = under && steps.get(run.next).dataset.title;
  buttons.next.textContent = next ? `Next: ${next}` : "One step at a time";
  buttons.next.hidden = Boolean(run.problem);
  buttons.restart.hidden = run.at === "new" && !run.problem;
  for (const each of document.querySelectorAll("button")) {
    each.setAttribute("aria-disabled", String(busy));
  }
}

/** Tell those who do not see it what happened. */
function say(step) {
  const { title } = steps.get(step).dataset;
  const status = run.log[step].findLast((entry) => entry.status)?.status;
  const user = step === "token" && run.user ? ` You are ${run.user.name ?? run.user.email}.` : "";
  const next = run.next ? ` Next: ${steps.get(run.next).dataset.title}.` : "";
  const said = `${title}: ${status ?? "on the way"}.${user}${next}`;
  // A problem is an alert, and speaks for itself.
  find("#status").textContent = run.problem ? "" : said;
}

function focusNext() {
  const item = steps.get(run.problem?.step ?? run.next ?? run.last);
  const target = (run.last === "token" && !run.problem && find("#you"))
    || item.querySelector(".problem button, .act button") || item.querySelector("h3");
  target.focus({ preventScroll: true });
  const seen = target.closest(".problem, .you, .act") ?? target;
  seen.scrollIntoView({ block: "nearest", behavior: PAUSE ? "smooth" : "auto" });
}

/** Begin, or go on where the page was left. */
function show() {
  busy = false;
  if (run.problem?.again === "tenant") {
    // Back to the page before the sign-in was finished, and forward again: it may be now.
    run.at = "away";
    run.problem = null;
  }
  draw();
  if (run.at === "away" && !run.problem) {
    if (run.all) return goOn();
    focusNext();
  }
}

find("#controls").hidden = false;
show();
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  // The back button brought the page as it was before the tenant.
  run.load();
  show();
});
