// An alarm for somebody who is woken by it: what, since when, how sure, what follows, what to do, by when; and a tap.
import { actions } from "./acting.js";
import { get, part } from "./api.js";
import { h, put } from "./dom.js";
import { icon, statusIcon } from "./icons.js";
import { plain, span, statusWord } from "./words.js";
import { fullTime, inZone, shortTime } from "./zone.js";

const seconds = (moment) => Date.parse(moment) / 1000;
const MACHINE = "(this machine)";

function due(alarm, now) {
  if (!alarm.respond_by || !alarm.unseen) return null;
  const left = seconds(alarm.respond_by) - seconds(now);
  const words = left >= 0 ? `act within ${span(left)}` : `should have been acted on ${span(-left)} ago`;
  return h("span", { class: left < 0 ? "overdue" : "" }, `${words} (${shortTime(alarm.respond_by)})`);
}

function timing(alarm, now) {
  const since = alarm.onset_at ?? alarm.since;
  const parts = [h("span", {}, `since ${fullTime(since)}, ${span(seconds(now) - seconds(since))}`), due(alarm, now)];
  if (alarm.raised_at) parts.splice(1, 0, h("span", {}, `raised ${shortTime(alarm.raised_at)}`));
  if (alarm.shelved_until) parts.push(h("span", {}, `shelved until ${fullTime(alarm.shelved_until)}`));
  return h("p", { class: "timing" }, parts);
}

function who(alarm) {
  if (alarm.by === "" || alarm.by === "cellvigil") return null;
  const words = alarm.why || `${statusWord(alarm.status)} by ${alarm.by}`;
  return h("p", { class: "muted" }, `${shortTime(alarm.since)}: `, h("bdi", {}, inZone(words)));
}

function told(alarm) {
  const words = alarm.told.map((one) => `${one.receiver}: ${plain(one.state)}${one.at ? ` ${shortTime(one.at)}` : ""}${one.last_error ? ` (${one.last_error})` : ""}`);
  return words.length ? h("p", { class: "muted small" }, `Told: ${words.join("; ")}`) : null;
}

const wordsOf = (alarm) => get(`alarms/${part(alarm.flask)}/${part(alarm.channel)}/words`);

/** How sure the detector is, at once and without a tap; a card without it is still a card. */
function sureness(alarm) {
  const line = h("p", { hidden: true });
  wordsOf(alarm).then(
    ({ words }) => {
      if (!words["how sure"]) return;
      put(line, h("b", {}, "How sure: "), words["how sure"]);
      line.hidden = false;
    },
    () => {},
  );
  return line;
}

function details(alarm) {
  const host = h("div", {});
  const load = async () => {
    if (host.childElementCount) return;
    try {
      const { words } = await wordsOf(alarm);
      put(host, h("dl", { class: "words" }, Object.entries(words).map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])));
    } catch (error) {
      put(host, h("p", { class: "muted" }, error.message));
    }
  };
  return h("details", { ontoggle: load }, h("summary", {}, "Everything about it"), host);
}

function links(alarm, here) {
  const found = [];
  if (!here && alarm.flask !== MACHINE) found.push(h("a", { href: `/flasks/${part(alarm.flask)}` }, "Course"));
  if (alarm.frame_id) found.push(h("a", { href: `/flasks/${part(alarm.flask)}/frames?at=${alarm.frame_id}` }, "The frame"));
  return found.length ? h("p", { class: "links" }, found) : null;
}

export function alarmCard(alarm, now, { done, here = false } = {}) {
  const name = alarm.flask === MACHINE ? "This machine" : alarm.flask;
  const status = alarm.status === "unacknowledged" ? "not acknowledged" : statusWord(alarm.status);
  return h(
    "article",
    { class: "alarm", data: { status: alarm.status, priority: alarm.priority || "none", flask: alarm.flask, channel: alarm.channel } },
    h("h3", {}, statusIcon(alarm.status), here ? null : h("bdi", {}, name), h("span", { class: "channel" }, plain(alarm.channel)), h("span", { class: "badge" }, [alarm.priority, status].filter(Boolean).join(", "))),
    alarm.what ? h("p", { class: "what" }, inZone(alarm.what)) : null,
    timing(alarm, now),
    here && alarm.raised_at ? sureness(alarm) : null,
    alarm.action ? h("p", { class: "do" }, icon("arrow"), h("span", {}, h("b", {}, "Do: "), alarm.action)) : null,
    alarm.likely_cause ? h("p", { class: "muted" }, `Likely: ${alarm.likely_cause}`) : null,
    alarm.consequence ? h("p", { class: "muted" }, `If nothing is done: ${alarm.consequence}`) : null,
    who(alarm),
    alarm.waiting.length ? h("p", { class: "muted", role: "status" }, `Noted, takes effect as soon as the chain runs: ${alarm.waiting.join("; ")}`) : null,
    actions(alarm, done),
    links(alarm, here),
    details(alarm),
    told(alarm),
  );
}
