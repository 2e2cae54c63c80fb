// Runs before the first paint, so that a chosen theme never flashes in the other one. No module for that reason.
"use strict";
(() => {
  const KEY = "cellvigil-theme";
  const ORDER = ["auto", "light", "dark"];

  const stored = () => {
    try {
      const theme = localStorage.getItem(KEY);
      return ORDER.includes(theme) ? theme : "auto";
    } catch {
      return "auto"; // storage is off: follow the system
    }
  };

  const apply = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };

  apply(stored());

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const name = button.querySelector("[data-name]");
    const show = () => {
      name.textContent = stored();
    };
    button.addEventListener("click", () => {
      const next = ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length];
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // storage is off: the choice holds for this page only
      }
      apply(next);
      name.textContent = next;
      document.dispatchEvent(new CustomEvent("themechange"));
    });
    show();
  });
})();
