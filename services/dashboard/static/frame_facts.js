// What is known of a frame, in words and numbers.
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { number, percent, plain, whole } from "./words.js";
import { fullTime } from "./zone.js";

const STATES = { ok: "assessed", not_assessable: "not assessable", failed: "failed", waiting: "waiting for its result", quarantined: "in quarantine" };
const SHAPES = { ok: "ok", not_assessable: "rejected", failed: "rejected", quarantined: "rejected", waiting: "no_data" };

export function frameHeadline(frame) {
  return [
    h("span", { class: "state", data: { state: frame.state } }, icon(SHAPES[frame.state] ?? "no_data"), STATES[frame.state] ?? plain(frame.state)),
    frame.potency === null ? null : h("span", {}, h("b", { class: "big" }, `${whole(frame.potency)} %`), ` potency of this frame, 90 % interval ${whole(frame.low)}–${whole(frame.high)}`),
    frame.state === "ok" ? null : h("span", { class: "reason" }, frame.reason_text ?? frame.reason ?? ""),
    h("span", {}, `position ${frame.position}, ${fullTime(frame.acquired_at)}`),
  ];
}

function list(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "numbers" }, known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function value(raw) {
  if (typeof raw === "number") return number(raw);
  if (typeof raw === "boolean") return raw ? "yes" : "no";
  if (raw !== null && typeof raw === "object") return Object.entries(raw).filter(([, v]) => v !== null).map(([k, v]) => `${plain(k)} ${value(v)}`).join(", ");
  return raw === null ? null : String(raw);
}

const fold = (title, facts) =>
  facts && Object.keys(facts).length ? h("details", {}, h("summary", {}, title), list(Object.entries(facts).map(([name, raw]) => [plain(name), value(raw)]))) : null;

export function frameFacts(frame) {
  const size = frame.shape_px ? `${frame.shape_px[1]} × ${frame.shape_px[0]} px` : null;
  return [
    list([
      ["file", h("bdi", { class: "path" }, frame.source)],
      ["cells", whole(frame.cells)],
      ["nuclei", whole(frame.nuclei)],
      ["confluency", percent(frame.confluency)],
      ["size", size],
      ["pixel size", frame.pixel_size_um ? `${number(frame.pixel_size_um)} µm` : null],
      ["arrived", frame.arrived_at ? fullTime(frame.arrived_at) : null],
    ]),
    fold("Quality", frame.quality),
    fold("Sample", frame.sample),
    fold("Population", frame.population),
    fold("Digests and versions", { frame: frame.frame_id, ...frame.provenance }),
  ];
}
