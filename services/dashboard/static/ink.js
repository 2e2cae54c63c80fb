// Colours and letters of the style sheet for canvases.
import { h } from "./dom.js";

const probe = h("span", { hidden: true });

/** A colour of the style sheet as a canvas understands it, in the theme that is on. */
export function colour(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

export const font = (size) => `${size}px ${getComputedStyle(document.body).fontFamily}`;
