// What every page has: the connection's state, open alarms, the zone of times, and the announcements of alarms.
import { get } from "./api.js";
import { byId, h, put, say } from "./dom.js";
import { connect, on } from "./live.js";
import { clockTime, isUtc, toggleZone, zoneName } from "./zone.js";

const title = document.title;
let known = null; // flask and channel of the alarms that were told, so that only new ones are announced

function showOpen(open) {
  const count = byId("open-alarms");
  count.hidden = open === 0;
  put(count, String(open), h("span", { class: "sr" }, " not acknowledged"));
  document.title = open ? `(${open}) ${title}` : title;
}

async function lookAtAlarms() {
  const { items, unseen_alarms: open } = await get("alarms");
  showOpen(open);
  const unseen = items.filter((alarm) => alarm.unseen);
  const keyOf = (alarm) => `${alarm.flask}\n${alarm.channel}`;
  if (known) {
    const fresh = unseen.filter((alarm) => !known.has(keyOf(alarm)));
    if (fresh.length) say(byId("announce"), `New alarm. ${fresh.map((alarm) => `${alarm.flask}, ${alarm.channel}: ${alarm.what}`).join(". ")}`);
  }
  known = new Set(unseen.map(keyOf));
}

const retryLater = () => {}; // the next message or connection asks again

function connection() {
  let since = null;
  const live = byId("live");
  const cutOff = byId("cut-off");
  on("open", () => {
    since = null;
    live.dataset.state = "live";
    say(byId("live-words"), "live");
    cutOff.hidden = true;
    document.body.classList.remove("is-cut-off");
  });
  on("closed", () => {
    since ??= Date.now() / 1000;
    live.dataset.state = "lost";
    say(byId("live-words"), "not live");
    const lostAt = since;
    setTimeout(() => {
      if (since !== lostAt) return; // a short break is no news
      cutOff.hidden = false;
      say(cutOff, `The server has not answered since ${clockTime(lostAt)} ${zoneName()}. What stands here is from then; it is tried again by itself.`);
      document.body.classList.add("is-cut-off");
    }, 3000);
  });
}

function zone() {
  const button = byId("zone");
  const name = button.querySelector("[data-name]");
  const show = () => say(name, isUtc() ? "UTC" : `local time (${zoneName()})`);
  button.addEventListener("click", toggleZone);
  document.addEventListener("zonechange", show);
  show();
}

function menu() {
  const details = document.querySelector(".menu");
  document.addEventListener("click", (event) => {
    if (!details.contains(event.target)) details.open = false;
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    details.open = false;
    details.querySelector("summary").focus();
  });
}

document.querySelector(`[data-nav="${document.body.dataset.page}"]`)?.setAttribute("aria-current", "page");
zone();
menu();
connection();
on("alarms", () => lookAtAlarms().catch(retryLater));
on("again", () => lookAtAlarms().catch(retryLater));
connect();
lookAtAlarms().catch(retryLater);
