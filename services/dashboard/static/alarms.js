// Every alarm that stands, what happened, and what alarms most.
import { alarmCard } from "./alarm_card.js";
import { get, part } from "./api.js";
import { byId, h, put, say, table } from "./dom.js";
import { icon } from "./icons.js";
import { on } from "./live.js";
import { Pages } from "./pages_of.js";
import { plain } from "./words.js";
import { fullTime, inZone, shortTime, zoneName } from "./zone.js";

const MACHINE = "(this machine)";
const HISTORY = 30;

/** What happened, in words; of what somebody did with who, and the comment. */
function happened({ state, by, cause }) {
  const at = by === "cellvigil" ? -1 : cause.indexOf(` by ${by}`);
  const [head, rest] = at < 0 ? [plain(state), cause && `: ${cause}`] : [cause.slice(0, at), cause.slice(at)];
  return h("span", {}, h("b", {}, head), h("bdi", {}, inZone(rest)));
}

const flaskLink = (flask) => (flask === MACHINE ? "this machine" : h("a", { href: `/flasks/${part(flask)}` }, h("bdi", {}, flask)));

function busy() {
  const typing = document.activeElement?.closest?.("#standing");
  return typing?.contains(document.activeElement) && document.activeElement.value;
}

const standing = new Pages(
  (cursor) => get("alarms", { cursor }),
  (items, answer) => {
    byId("standing").setAttribute("aria-busy", "false");
    say(byId("summary"), `${answer.unseen_alarms} not acknowledged, ${answer.open_alarms} standing${answer.suppressed ? `, ${answer.suppressed} more cannot be judged because of these` : ""}; as of ${fullTime(answer.now)}`);
    const focused = document.activeElement?.closest?.(".alarm")?.dataset;
    put(byId("standing"), items.length ? items.map((alarm) => alarmCard(alarm, answer.now, { done: refresh })) : h("p", { class: "notice" }, icon("ok"), "No alarm stands."));
    if (focused) [...byId("standing").children].find((one) => one.dataset.flask === focused.flask && one.dataset.channel === focused.channel)?.querySelector("button, a, summary")?.focus({ preventScroll: true });
  },
  byId("more-standing"),
);

const history = new Pages(
  (cursor) => get("alarms/history", { cursor, limit: HISTORY, flask: byId("history-flask").value }),
  (items) => {
    const headings = [{ text: `at (${zoneName()})`, class: "nowrap" }, { text: "flask", class: "name" }, { text: "channel", class: "nowrap" }, "what"];
    const rows = items.map((event) => [shortTime(event.at), flaskLink(event.flask), plain(event.channel), happened(event)]);
    put(byId("history"), table(headings, rows, { empty: "nothing yet", caption: "History of alarms" }));
  },
  byId("more-history"),
);

async function actors() {
  const { items, raised } = await get("alarms/bad-actors", { days: byId("days").value });
  const rows = items.map((one) => [flaskLink(one.flask), plain(one.channel), String(one.raised), `${Math.round(100 * one.share)} %`, shortTime(one.last_at)]);
  const headings = [{ text: "flask", class: "name" }, { text: "channel", class: "nowrap" }, { text: "raised", class: "number" }, { text: `of ${raised}`, class: "number" }, { text: "last", class: "nowrap" }];
  put(byId("actors"), table(headings, rows, { empty: "no alarm in this time", caption: "Alarms by how often they came" }));
}

async function flasks() {
  const select = byId("history-flask");
  const { flasks: all } = await get("fleet");
  put(select, h("option", { value: "" }, "all"), all.map((one) => h("option", { value: one.flask }, one.flask)));
}

const complain = (error) => say(byId("summary"), error.message);
function refresh() {
  const skip = busy(); // nobody loses a comment half written
  return Promise.all([skip ? null : standing.reload(), history.reload(), actors()]).catch(complain);
}

byId("days").addEventListener("change", () => actors().catch(complain));
byId("history-flask").addEventListener("change", () => history.reload().catch(complain));
on("alarms", refresh);
on("again", refresh);
document.addEventListener("zonechange", refresh);
flasks().catch(complain);
refresh();
