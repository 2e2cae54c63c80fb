// One cell of a frame: chosen by a click or step by step, with all that was measured on it.
import { get } from "./api.js";
import { h, put } from "./dom.js";
import { number, unit } from "./words.js";

const contains = ([top, bottom, left, right], y, x) => y >= top && y <= bottom && x >= left && x <= right;
const distance = ([cy, cx], y, x) => Math.hypot(cy - y, cx - x);

export class CellPicker {
  constructor(host, stage) {
    this.host = host;
    this.stage = stage;
    this.first = [...host.childNodes];
    this.detail = null;
    this.page = null;
    this.at = -1;
    stage.clicked = (y, x) => this.#pick(y, x);
  }

  /** A new frame is shown: nothing is known of its cells before somebody asks. */
  frame(detail) {
    if (this.detail?.frame_id === detail.frame_id) return;
    this.detail = detail;
    this.page = null;
    this.at = -1;
    put(this.host, ...this.first);
  }

  async #load() {
    if (!this.detail.has_outlines) {
      put(this.host, h("p", { class: "muted" }, "Nothing was outlined on this frame."));
      return false;
    }
    const asked = this.detail.frame_id;
    if (this.page) return true;
    put(this.host, h("p", { class: "muted" }, "measuring the cells…"));
    try {
      const page = await get(`frames/${asked}/cells`);
      if (this.detail.frame_id !== asked) return false; // another frame is shown by now
      this.page = page;
      return true;
    } catch (error) {
      put(this.host, h("p", { class: "muted" }, error.message));
      return false;
    }
  }

  async #pick(y, x) {
    if (!(await this.#load())) return;
    const near = this.page.cells.map((cell, i) => [i, cell]).filter(([, cell]) => contains(cell.box_px, y, x));
    near.sort(([, a], [, b]) => distance(a.centroid_px, y, x) - distance(b.centroid_px, y, x));
    this.at = near.length ? near[0][0] : -1;
    this.#draw();
  }

  async step(by) {
    if (!(await this.#load()) || !this.page.cells.length) return;
    this.at = (this.at + by + this.page.cells.length) % this.page.cells.length;
    this.#draw();
  }

  async show(id) {
    if (!(await this.#load())) return;
    this.at = this.page.cells.findIndex((cell) => cell.cell === id);
    this.#draw();
  }

  #draw() {
    const cell = this.page.cells[this.at];
    this.stage.mark(cell?.box_px ?? null);
    if (!cell) {
      put(this.host, h("p", { class: "muted" }, "No cell was outlined there."));
      return;
    }
    const about = this.page.features;
    const row = ([name, value]) => [h("dt", { title: about[name]?.definition ?? "" }, about[name]?.label ?? name), h("dd", {}, `${number(value)} ${unit(about[name]?.unit)}`)];
    put(
      this.host,
      h("p", {}, h("b", {}, `Cell ${cell.cell}`), ` (${this.at + 1} of ${this.page.cells.length})`, cell.whole ? "" : ", cut by the border: it counts in no mean"),
      h("p", { class: "chips" }, h("button", { type: "button", class: "chip", onclick: () => this.step(-1) }, "Cell before"), h("button", { type: "button", class: "chip", onclick: () => this.step(1) }, "Next cell")),
      h("dl", { class: "numbers" }, Object.entries(cell.values).map(row)),
    );
  }
}
