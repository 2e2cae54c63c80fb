// Every flask at a glance, the most urgent first.
import { act, mayAct } from "./acting.js";
import { get, part } from "./api.js";
import { change } from "./change.js";
import { byId, h, put, say } from "./dom.js";
import { icon, statusIcon } from "./icons.js";
import { on } from "./live.js";
import { sparkline } from "./spark.js";
import { DASH, isJudged, isUnseen, percent, plain, potencyWords, shortChannel, span, stateWord, statusWord, whole } from "./words.js";
import { fullTime, inZone, shortTime } from "./zone.js";

const REFRESH_MS = 60_000; // ages grow while nothing arrives
const LOUD = ["out_of_service", "shelved", "acknowledged", "returned_unacknowledged", "latched", "unacknowledged"];
const SHORT_STATUS = { normal: "ok", suppressed: "not judged" };
const STATES = ["alarm", "stale", "no_data", "ok"];
const tiles = new Map(); // flask -> {data, element}
let now = null;
let floor = null; // percent; the curves show where it lies
let shown = null; // one state, or all

function tile(data) {
  const worst = data.alarms[0];
  return h(
    "li",
    { class: "tile", data: { state: data.state, flask: data.flask, ...(worst && { status: worst.status, priority: worst.priority }) } },
    heading(data, worst),
    h("div", { class: "tile-mid" }, potency(data), sparkline(data, floor)),
    facts(data),
    data.state === "no_data" ? h("p", { class: "channels" }, "no channel judged yet") : channels(data.channels),
    worst ? cause(worst, data.alarms.length) : null,
    worst && isUnseen(worst.status) && mayAct() ? acknowledge(data.flask, worst) : null,
  );
}

function heading(data, worst) {
  const known = worst?.status === "acknowledged";
  const words = data.state === "alarm" ? (known ? "acknowledged" : `alarm, ${worst?.priority}`) : stateWord(data.state);
  return h(
    "h2",
    {},
    h("a", { href: `/flasks/${part(data.flask)}`, title: data.flask }, h("bdi", {}, data.flask)),
    h("span", { class: "state" }, icon(known && data.state === "alarm" ? "acknowledged" : data.state), words),
  );
}

function potency(data) {
  if (data.potency === null || data.potency === undefined) {
    return h("div", { class: "potency none" }, h("span", { class: "big" }, DASH), h("span", { class: "range" }, data.reason ? plain(data.reason) : data.state === "no_data" ? "no estimate yet" : "not assessable"));
  }
  return h(
    "div",
    { class: "potency" },
    h("span", { class: "big" }, whole(data.potency), h("small", {}, "%")),
    h("span", { class: "range", title: "90 % interval, percent of the reference lot" }, `${whole(data.low)}–${whole(data.high)}`),
    h("span", { class: "trend" }, isJudged(data) ? change(data.spark) : "not judged now"),
    h("span", { class: "sr" }, potencyWords(data)),
  );
}

function facts(data) {
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return h(
    "dl",
    { class: "facts" },
    fact("confluency", percent(data.confluency)),
    fact("cells", whole(data.cells)),
    fact("last frame", data.last_frame_at ? `${span(data.last_frame_age_s)} ago` : "never"),
  );
}

/** Channels by how they stand: those that need a look by name, the others as a count. */
function channels(all) {
  const groups = new Map();
  for (const [channel, status] of Object.entries(all)) groups.set(status, [...(groups.get(status) ?? []), channel]);
  const order = [...groups].sort(([a], [b]) => LOUD.indexOf(b) - LOUD.indexOf(a));
  const item = ([status, names]) => {
    const quiet = !LOUD.includes(status);
    const allWell = groups.size === 1 && status === "normal";
    const text = quiet ? `${names.length} ${allWell ? "channels " : ""}${SHORT_STATUS[status] ?? statusWord(status)}` : names.map(shortChannel).join(", ");
    return h("li", { data: { status }, title: `${statusWord(status)}: ${names.join(", ")}` }, statusIcon(status), h("span", { "aria-hidden": "true" }, text), h("span", { class: "sr" }, `${names.join(", ")}: ${statusWord(status)}`));
  };
  return h("ul", { class: "channels", "aria-label": "Channels" }, order.map(item));
}

/** What is wrong, without the numbers of the moment at which it was raised: the tile shows those of now. */
function cause(alarm, count) {
  const more = count > 1 ? `, ${count - 1} more` : "";
  const [what] = alarm.cause.split(/[:;] /);
  return h("p", { class: "cause", title: inZone(alarm.cause) }, h("b", {}, `since ${shortTime(alarm.since, now)}${more}: `), inZone(what));
}

/** For the small screen, where the tile is what one has in one's hand: one tap. */
function acknowledge(flask, alarm) {
  const button = h("button", { type: "button", class: "primary tap" }, "Acknowledge", h("span", { class: "sr" }, ` ${flask} ${alarm.channel}`));
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      say(button, (await act({ flask, channel: alarm.channel }, "acknowledge", { comment: "" })).note);
      await reload();
    } catch (error) {
      say(button, `Not done: ${error.message}`);
      button.disabled = false;
    }
  });
  return button;
}

function order() {
  const list = byId("fleet");
  const sorted = [...tiles.values()].sort((a, b) => b.data.urgency - a.data.urgency || a.data.flask.localeCompare(b.data.flask, "en", { numeric: true }));
  const wanted = sorted.map((one) => one.element);
  if (wanted.some((element, i) => list.children[i] !== element)) {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    list.replaceChildren(...wanted);
    focused?.focus({ preventScroll: true });
  }
}

function place(data) {
  const old = tiles.get(data.flask);
  const element = tile(data);
  if (old) {
    const focused = old.element.contains(document.activeElement);
    old.element.replaceWith(element);
    if (focused) element.querySelector("a").focus({ preventScroll: true });
  }
  tiles.set(data.flask, { data, element });
}

function filters() {
  const count = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const { data } of tiles.values()) count[data.state] = (count[data.state] ?? 0) + 1;
  if (shown && !count[shown]) shown = null;
  const chip = (state, text, n) =>
    h("button", { type: "button", class: "chip", "aria-pressed": String(shown === state), data: { state: state ?? "all" }, onclick: () => pick(state) }, state ? icon(state) : null, h("b", {}, String(n)), text);
  const focused = document.activeElement?.closest?.("#filters button")?.dataset.state;
  put(byId("filters"), chip(null, tiles.size === 1 ? "flask" : "flasks", tiles.size), STATES.filter((state) => count[state]).map((state) => chip(state, stateWord(state), count[state])));
  if (focused) byId("filters").querySelector(`[data-state="${focused}"]`)?.focus();
  for (const { data, element } of tiles.values()) element.hidden = shown !== null && data.state !== shown;
}

function pick(state) {
  shown = shown === state ? null : state;
  filters();
}

function machine(alarms) {
  put(byId("machine"), (alarms ?? []).map((alarm) => h("li", { class: "notice", data: { priority: alarm.priority } }, statusIcon(alarm.status), h("span", {}, h("b", {}, `This machine, ${alarm.channel}: `), alarm.cause), h("a", { href: "/alarms" }, "Alarms"))));
}

function asOf() {
  if (now !== null) say(byId("as-of"), `as of ${fullTime(now, now)}`);
}

function take(fleet) {
  now = Date.parse(fleet.now) / 1000;
  floor = fleet.floor;
  const here = new Set(fleet.flasks.map((data) => data.flask));
  for (const flask of tiles.keys()) if (!here.has(flask)) tiles.delete(flask);
  fleet.flasks.forEach(place);
  machine(fleet.machine.alarms);
  byId("empty").hidden = tiles.size > 0;
  byId("fleet").setAttribute("aria-busy", "false");
  settle();
}

function settle() {
  order();
  filters();
  asOf();
}

function update(message) {
  place(message.tile);
  byId("empty").hidden = true;
  settle();
}

const complain = (error) => {
  const empty = byId("empty");
  empty.hidden = tiles.size > 0;
  say(empty, `The flasks could not be loaded: ${error.message}`);
};
const reload = () => get("fleet").then(take).catch(complain);

on("fleet", (message) => take(message.fleet));
on("estimate", update);
on("tile", update);
on("alarms", (message) => machine(message.machine.alarms));
on("heartbeat", (message) => {
  now = Date.parse(message.now) / 1000;
  asOf();
});
document.addEventListener("zonechange", () => {
  for (const { data } of [...tiles.values()]) place(data);
  settle();
});
setInterval(reload, REFRESH_MS);
reload();
