// Elements from data. Text goes in as text and never as markup, so a name like `<img onerror=…>` stays a name.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.setAttribute("class", value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child);
  }
  return element;
}

export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

export const byId = (id) => document.getElementById(id);

export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** Change a text only where it differs, so that nothing is announced or laid out again for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function table(headings, rows, { empty = "none", caption = "" } = {}) {
  return h(
    "div",
    { class: "table-scroll", tabindex: "0", role: "group", "aria-label": caption || "table" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col", class: heading.class }, heading.hidden ? h("span", { class: "sr" }, heading.hidden) : heading.text ?? heading)))),
      h(
        "tbody",
        {},
        rows.length
          ? rows.map((row) => h("tr", {}, row.map((cell, i) => h("td", { class: headings[i].class }, cell))))
          : h("tr", {}, h("td", { colspan: String(headings.length), class: "muted" }, empty)),
      ),
    ),
  );
}
