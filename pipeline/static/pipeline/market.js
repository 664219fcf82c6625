// Copies the address of an analyst's page: as it is, or as it stays for ever.
"use strict";

// The clipboard of the browser is there on https and on this machine; elsewhere a field that is selected does it.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await copy(new URL(button.dataset.copy || location.href, location.href).href);
  const words = button.querySelector("[data-says]");
  const before = words.textContent;
  words.textContent = words.dataset.says;
  words.setAttribute("role", "status");
  setTimeout(() => { words.textContent = before; }, 2000);
});
