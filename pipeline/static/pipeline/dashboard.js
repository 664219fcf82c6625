// The dashboard follows what happens: what has changed takes the place of what is shown. Without it a reload says the same.
"use strict";

const EVERY = 10000;

async function follow() {
  try {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return; // the server restarts, or the session has ended: a later look will tell
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const shown of document.querySelectorAll("[data-follow]")) {
      const now = fresh.getElementById(shown.id);
      if (now && now.innerHTML !== shown.dataset.told && !shown.contains(document.activeElement)) {
        shown.dataset.told = now.innerHTML;
        shown.replaceChildren(...now.childNodes);
      }
    }
  } catch {
    // no network: the next look will tell
  } finally {
    setTimeout(follow, EVERY);
  }
}

setTimeout(follow, EVERY);
