// A frame with its outlines laid over it; the picture is fetched as large as it is shown, and no larger.
import { get } from "./api.js";
import { h, put, say, svg } from "./dom.js";
import { number, unit } from "./words.js";

const MOST = 8;
const WIDTHS = [640, 1024, 1600, 2400, 4096];

export class Stage {
  constructor(frame, sheet, words) {
    this.frame = frame;
    this.sheet = sheet;
    this.words = words;
    this.magnification = 1;
    this.outlines = { cells: true, nuclei: true };
    this.feature = "";
    this.ready = true;
    this.detail = null;
    this.clicked = null;
    sheet.addEventListener("click", (event) => this.#click(event));
  }

  #width() {
    const [, columns] = this.detail?.shape_px ?? [0, 1024];
    const needed = this.frame.clientWidth * this.magnification * Math.min(2, window.devicePixelRatio || 1);
    return Math.min(WIDTHS.find((width) => width >= needed) ?? WIDTHS.at(-1), columns || WIDTHS[0]);
  }

  #picture(id) {
    return `/api/v1/frames/${id}/image.jpg?width=${this.#width()}`;
  }

  preload(id) {
    new Image().src = this.#picture(id);
  }

  show(detail) {
    this.detail = detail;
    const [rows, columns] = detail.shape_px ?? [1, 1];
    this.sheet.setAttribute("data-frame", detail.frame_id);
    this.sheet.style.aspectRatio = `${columns} / ${rows}`;
    this.sheet.style.setProperty("--ratio", String(columns / rows));
    if (!detail.has_image) {
      put(this.sheet);
      this.#say("The picture is not to be had: its file is no longer where it was, or cannot be read.");
      return;
    }
    this.#say("");
    this.ready = false;
    const picture = h("img", { src: this.#picture(detail.frame_id), alt: `Frame of ${detail.flask}, position ${detail.position}, ${detail.acquired_at}`, draggable: "false" });
    const settled = () => (this.ready = true);
    picture.addEventListener("load", settled);
    picture.addEventListener("error", () => {
      settled();
      this.#say("The picture could not be loaded.");
    });
    this.marker = svg("svg", { class: "marker", viewBox: `0 0 ${columns} ${rows}`, "aria-hidden": "true" });
    put(this.sheet, picture, this.#layers(), this.marker);
  }

  #layers() {
    const { frame_id: id, has_outlines: outlined } = this.detail;
    if (!outlined) return [];
    const layer = (kind, source) => h("img", { class: `layer layer-${kind}`, src: source, alt: "", draggable: "false" });
    const wanted = [];
    const width = `width=${this.#width()}`;
    if (this.feature) wanted.push(layer("fill", `/api/v1/frames/${id}/cells.png?${width}&colour_by=${encodeURIComponent(this.feature)}`));
    if (this.outlines.cells) wanted.push(layer("cells", `/api/v1/frames/${id}/cells.png?${width}`));
    if (this.outlines.nuclei) wanted.push(layer("nuclei", `/api/v1/frames/${id}/nuclei.png?${width}`));
    return wanted;
  }

  #relayer() {
    for (const old of this.sheet.querySelectorAll(".layer")) old.remove();
    this.marker?.before(...this.#layers());
  }

  #say(words) {
    this.words.hidden = words === "";
    say(this.words, words);
  }

  outline(kind, visible) {
    this.outlines[kind] = visible;
    this.#relayer();
  }

  async colourBy(feature, legend) {
    this.feature = feature;
    this.#relayer();
    legend.hidden = !feature;
    if (!feature) return;
    put(legend, "measuring the cells…");
    const { low = null, high = null, unit: of } = (await get(`frames/${this.detail.frame_id}/cells`)).features[feature] ?? {};
    put(legend, h("span", {}, number(low)), h("span", { class: "ramp", "aria-hidden": "true" }), h("span", {}, `${number(high)} ${unit(of)}`));
  }

  zoom(factor) {
    this.magnification = Math.min(MOST, Math.max(1, this.magnification * factor));
    this.sheet.style.setProperty("--zoom", String(this.magnification));
    const picture = this.sheet.querySelector("img");
    if (picture && this.detail) {
      picture.src = this.#picture(this.detail.frame_id);
      this.#relayer();
    }
    return this.magnification;
  }

  #click(event) {
    const box = this.sheet.getBoundingClientRect();
    const [rows, columns] = this.detail?.shape_px ?? [0, 0];
    this.clicked?.(((event.clientY - box.top) / box.height) * rows, ((event.clientX - box.left) / box.width) * columns);
  }

  /** Frame a cell; box is rows from, to, columns from, to. */
  mark(box) {
    if (!this.marker) return;
    put(this.marker);
    if (!box) return;
    const [top, bottom, left, right] = box;
    for (const look of ["marker-under", "marker-over"]) {
      this.marker.append(svg("rect", { x: left - 3, y: top - 3, width: right - left + 6, height: bottom - top + 6, class: look }));
    }
    if (this.magnification > 1) this.#reveal((top + bottom) / 2, (left + right) / 2);
  }

  #reveal(y, x) {
    const [rows, columns] = this.detail.shape_px;
    this.frame.scrollTo({ left: (x / columns) * this.sheet.clientWidth - this.frame.clientWidth / 2, top: (y / rows) * this.sheet.clientHeight - this.frame.clientHeight / 2 });
  }
}
