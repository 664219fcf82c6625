// The skin opens its menus with elements that only a mouse can press, and draws icons as words that would be read aloud.
"use strict";

const ICON = ".material-symbols-outlined";
const NAMES = { dock_to_right: "Show or hide the navigation", visibility: "Show or hide the password", stacked_bar_chart: "Dashboard" };

// Pressed by a mouse only: it becomes a button, also for the Tab, Enter and space keys.
function reachable(one) {
  one.setAttribute("role", "button");
  one.setAttribute("tabindex", "0");
  one.addEventListener("keydown", (event) => {
    if (event.target !== one || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    one.click();
  });
}

// What shows nothing but an icon is named for what it does; then the icon's own word is passed over.
function named(one) {
  const icon = one.matches(ICON) ? one : one.querySelector(ICON);
  const word = icon ? icon.textContent.trim() : "";
  if (!word || one.textContent.trim() !== word || one.ariaLabel || one.title) return;
  one.setAttribute("aria-label", NAMES[word] || word.replaceAll("_", " "));
}

document.addEventListener("DOMContentLoaded", () => {
  const pressed = "a, button, [role=button], [x-on\\:click]";
  const natural = "a[href], button, input, select, textarea, summary, label";
  for (const one of document.querySelectorAll("[x-on\\:click]")) if (!one.matches(natural)) reachable(one);
  for (const one of document.querySelectorAll(pressed)) named(one);
  for (const icon of document.querySelectorAll(ICON)) if (!icon.hasAttribute("role")) icon.setAttribute("aria-hidden", "true");
  // Django draws the loupe of its two-list choice as a bare span; with a role its label is read aloud.
  window.addEventListener("load", () => {
    for (const loupe of document.querySelectorAll(".search-label-icon")) loupe.setAttribute("role", "img");
  });
});
