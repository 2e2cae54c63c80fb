// Why an estimate is what it is: what moved it, in words, and the cells that carry it.
import { get, part } from "./api.js";
import { h, put } from "./dom.js";
import { plain, unit, whole } from "./words.js";
import { fullTime } from "./zone.js";

const EFFECT = /: (?:lowers|raises) [^:]*$/; // the sentence ends with what stands beside it as a number
let shownFrame = null;

function bar(contribution, most) {
  const share = Math.round((100 * Math.abs(contribution)) / Math.max(most, 1e-9));
  return h("meter", { class: contribution < 0 ? "lowers" : "raises", min: "0", max: "100", value: String(share), "aria-hidden": "true" });
}

function word(one, most) {
  const does = one.contribution < 0 ? "lowers" : "raises";
  return h("li", {}, h("div", { class: "effect" }, h("b", {}, `${does} by ${Math.abs(one.contribution) < 1 ? Math.abs(one.contribution).toFixed(1) : whole(Math.abs(one.contribution))}`), bar(one.contribution, most)), h("p", {}, unit(one.text.replace(EFFECT, ""))));
}

function thumbnail(one, why) {
  return h("li", {}, h("a", { href: `/flasks/${part(why.flask)}/frames?at=${why.frame_id}&cell=${one.cell}` }, h("img", { src: one.url, alt: `cell ${one.cell}: ${unit(one.text)}`, width: "88", height: "88", loading: "lazy" }), h("span", {}, unit(one.text))));
}

/** Fill an element with the reasons of a flask's newest assessed frame, or of one frame. */
export async function showWhy(host, flask, frame = null) {
  if (!host.childElementCount) put(host, h("p", { class: "muted", role: "status" }, "measuring the newest frame…"));
  const why = await get(`flasks/${part(flask)}/why`, { frame });
  if (why.frame_id !== null && why.frame_id === shownFrame) return;
  shownFrame = why.frame_id;
  if (why.frame_id === null) {
    put(host, h("p", { class: "muted" }, why.reason ?? "There is no measured frame yet."));
    return;
  }
  const most = Math.max(...why.words.map((one) => Math.abs(one.contribution)), 0);
  put(
    host,
    h("p", { class: "muted" }, `Frame of ${fullTime(why.acquired_at)}`, why.potency === null ? "" : `: ${whole(why.potency)} % (${whole(why.low)}–${whole(why.high)})`, ". ", h("a", { href: `/flasks/${part(flask)}/frames?at=${why.frame_id}` }, "See the frame")),
    why.reason ? h("p", { class: "notice" }, why.reason) : null,
    why.words.length ? h("p", { class: "muted small" }, "Effects in points of potency, against the mean of what the model learnt from.") : null,
    h("ol", { class: "reasons" }, why.words.map((one) => word(one, most))),
    why.thumbnails.length ? [h("h3", {}, `Cells that carry it${why.cell_feature ? `: ${plain(why.cell_feature)}` : ""}`), h("ul", { class: "thumbnails" }, why.thumbnails.map((one) => thumbnail(one, why)))] : null,
  );
}
