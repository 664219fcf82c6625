// What the pages do by themselves. Without it everything works, only less comfortably.
"use strict";

// A form that acts is sent once: the second click of a double click finds the button asleep.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-once")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-disabled", "true");
});

// The figures of a column have as many decimals as the longest of them, so that they stand beneath each other.
const FIGURE = /^[+-]?[\d,]+(?:\.(\d+))?$/;

function level(table) {
  const columns = new Map();
  for (const cell of table.querySelectorAll("tbody td.ms-number")) {
    const figure = FIGURE.exec(cell.textContent.trim());
    if (figure) columns.set(cell.cellIndex, [...(columns.get(cell.cellIndex) ?? []), [cell, figure[1] ?? ""]]);
  }
  for (const column of columns.values()) {
    const most = Math.max(...column.map(([, decimals]) => decimals.length));
    for (const [cell, decimals] of column) {
      if (decimals.length === most) continue;
      const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
      while (text.nextNode() && !text.currentNode.data.trim());
      text.currentNode.data = text.currentNode.data.trimEnd() + (decimals ? "" : ".") + "0".repeat(most - decimals.length);
    }
  }
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".ms-table").forEach(level));

// Going back to a page from the browser's memory wakes its forms up again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button[type=submit]")) button.removeAttribute("aria-disabled");
  }
});
