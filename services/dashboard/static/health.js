// Whether the chain itself is well: workers, queues, what was given up or refused, and what exactly is running.
import { get, part, post } from "./api.js";
import { byId, h, put, say, table } from "./dom.js";
import { icon, statusIcon } from "./icons.js";
import { on } from "./live.js";
import { Pages } from "./pages_of.js";
import { number, plain, span, whole } from "./words.js";
import { fullTime, shortTime, zoneName } from "./zone.js";
import { mayAct } from "./acting.js";

const REFRESH_MS = 10_000;
const SLOW_S = 300;
const LOW_DISK_GIB = 5;
const AUDIT = 20;

const figure = (name, value, note, bad = false) =>
  h("div", { class: bad ? "figure bad" : "figure" }, h("span", { class: "muted" }, bad ? [icon("alarm"), " "] : null, name), h("span", { class: "big" }, value), h("span", { class: "muted small" }, note));

function figures(health) {
  const given_up = health.deliveries.given_up ?? 0;
  put(
    byId("figures"),
    figure("chain", health.running ? "running" : "not running", health.server ?? "no queue server", !health.running),
    figure("oldest waiting frame", health.waiting_frames ? span(health.lag_s) : "none", `${whole(health.waiting_frames)} waiting`, health.lag_s > SLOW_S),
    figure("frames in the last hour", whole(health.frames_per_hour), `${whole(health.estimates)} estimates in all`),
    figure("failed frames", whole(health.failures), `${health.dead_letters === null ? "queue not reached" : `${whole(health.dead_letters)} dead letters`}`, (health.dead_letters ?? 0) > 0),
    figure("quarantined files", whole(health.quarantined), Object.entries(health.files).map(([state, n]) => `${plain(state)} ${whole(n)}`).join(", ")),
    figure("notifications", whole(Object.values(health.deliveries).reduce((a, b) => a + b, 0)), Object.entries(health.deliveries).map(([state, n]) => `${plain(state)} ${whole(n)}`).join(", ") || "nobody is told: no receiver is set up", given_up > 0),
    figure("free on disk", `${number(health.disk_free_gib)} GiB`, "where the state folder lies", health.disk_free_gib < LOW_DISK_GIB),
    figure("audit log", health.audit_broken_at === null ? "intact" : "broken", health.audit_broken_at === null ? `${whole(health.audit_lines)} lines, each sealed by the next` : `line ${health.audit_broken_at} was changed by hand`, health.audit_broken_at !== null),
  );
}

function workers(health) {
  const beats = table([{ text: "worker", class: "name" }, { text: "state", class: "nowrap" }, "says"], health.workers.map((one) => [one.name.startsWith(one.stage) ? one.name : `${one.stage} ${one.name}`, plain(one.state), Object.entries(one.told).map(([name, text]) => `${plain(name)}: ${text}`).join("; ")]), { empty: "no worker beats", caption: "Workers" });
  const queues = table(["stream", { text: "waiting", class: "number" }], health.queues.map((one) => [one.stream, whole(one.waiting)]), { empty: "the queue cannot be asked", caption: "Queues" });
  put(byId("workers"), beats, queues);
}

const pairs = (facts) => h("dl", { class: "numbers" }, Object.entries(facts).filter(([, value]) => value !== null && value !== "").map(([name, value]) => [h("dt", {}, plain(name)), h("dd", { class: "digest" }, typeof value === "number" ? number(value, 4) : typeof value === "boolean" ? (value ? "yes" : "no") : String(value))]));

function engine(found) {
  if (!found) return put(byId("engine"), h("p", { class: "muted" }, "No frame has been segmented yet."));
  const agreed = found.parity === null ? "it is the reference engine itself" : found.parity.passes ? "agrees with the reference engine" : `does not agree: ${found.parity.reason}`;
  put(
    byId("engine"),
    h("p", {}, h("b", {}, found.engine), ", ", h("span", {}, found.parity?.passes === false ? icon("alarm") : icon("ok"), ` ${agreed}`)),
    pairs({ ...(found.parity ?? {}), engine_digest: found.engine_digest, weights_digest: found.weights_digest, newest_frame: fullTime(found.at) }),
  );
}

const machine = (alarms) => put(byId("machine"), alarms.map((alarm) => h("li", { class: "notice", data: { priority: alarm.priority } }, statusIcon(alarm.status), h("span", {}, h("b", {}, `${alarm.channel}: `), alarm.cause), h("a", { href: "/alarms" }, "Alarms"))));

async function overview() {
  const health = await get("health");
  say(byId("as-of"), `as of ${fullTime(health.now)}`);
  machine(health.alarms);
  figures(health);
  workers(health);
  engine(health.engine);
  put(byId("versions"), pairs({ ...health.versions, ...health.digests }));
}

function requeue(letter) {
  if (!mayAct() || !letter.can_requeue) return null;
  const button = h("button", { type: "button" }, "Queue again");
  const outcome = h("span", { role: "status", class: "muted small" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      say(outcome, ` ${(await post(`dead-letters/${part(letter.id)}/requeue`)).note}`);
      await dead.reload();
    } catch (error) {
      say(outcome, ` ${error.message}`);
      button.disabled = false;
    }
  });
  return h("span", {}, button, outcome);
}

const dead = new Pages(
  (cursor) => get("dead-letters", { cursor }),
  (items, answer) => {
    const rows = items.map((one) => [shortTime(one.since), h("span", {}, h("bdi", { class: "path" }, one.source ?? one.frame_id?.slice(0, 12) ?? plain(one.kind)), h("br"), h("span", { class: "muted small" }, `${one.stage}: ${plain(one.reason)}. ${one.detail}`)), requeue(one)]);
    put(byId("dead"), table([{ text: `since (${zoneName()})`, class: "nowrap" }, "what and why", { hidden: "action" }], rows, { empty: answer.available ? "none" : "the queue cannot be asked: the chain is not running", caption: "Dead letters" }));
  },
  byId("more-dead"),
);

const quarantine = new Pages(
  (cursor) => get("quarantine", { cursor, limit: 10 }),
  (items) => {
    const preview = (one) => (one.preview_url ? h("img", { class: "preview", src: one.preview_url, alt: `what can be read of ${one.source}`, width: "84", height: "84", loading: "lazy" }) : h("span", { class: "muted small" }, "nothing to see"));
    const rows = items.map((one) => [preview(one), h("span", {}, h("bdi", { class: "path" }, one.source), h("br"), h("b", {}, plain(one.reason)), `: ${one.detail}`, h("br"), h("span", { class: "muted small" }, `${whole(one.size_bytes)} bytes, first seen ${fullTime(one.first_seen)}`))]);
    put(byId("quarantine"), table([{ hidden: "preview" }, "file and reason"], rows, { empty: "none", caption: "Quarantine" }));
  },
  byId("more-quarantine"),
);

const audit = new Pages(
  (cursor) => get("audit", { cursor, limit: AUDIT }),
  (items) => {
    const rows = items.map((one) => [String(one.number), shortTime(one.written_at), h("span", {}, h("bdi", {}, one.flask), one.channel ? ` ${one.channel}` : "", `: ${one.text}`)]);
    put(byId("audit"), table([{ text: "line", class: "number" }, { text: `written (${zoneName()})`, class: "nowrap" }, "what"], rows, { empty: "empty", caption: "Audit log, newest first" }));
  },
  byId("more-audit"),
);

const complain = (error) => say(byId("as-of"), error.message);
const all = () => Promise.all([overview(), dead.reload(), quarantine.reload(), audit.reload()]).catch(complain);
on("again", all);
on("alarms", () => audit.reload().catch(complain));
document.addEventListener("zonechange", all);
setInterval(() => document.hidden || overview().catch(complain), REFRESH_MS);
all();
