// Follows a run while it is under way: every two seconds what has changed takes the place of what is shown, and at its end the
// page is brought up to date once. Without it the page says the same when it is loaded again.
"use strict";

const EVERY = 2000;
const AT_MOST = 30000;
const PARTS = ["#run-told", "#run-progress"];
const ROWS = "#run-steps tbody tr, #run-weeks tbody tr";

// Only what differs is replaced, so that who reads or has the focus elsewhere is left alone.
function replace(shown, fresh) {
  if (shown && fresh && shown.innerHTML !== fresh.innerHTML) shown.replaceChildren(...fresh.cloneNode(true).childNodes);
}

async function get(url) {
  const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function update(found) {
  for (const part of PARTS) replace(document.querySelector(part), found.querySelector(part));
  for (const row of found.querySelectorAll(ROWS)) replace(document.getElementById(row.id), row);
  document.getElementById("run-live").dataset.state = found.getElementById("run-live").dataset.state;
}

// The end changes what can be done and what was made: the head of the page, and the parts that only an ended run has whole.
async function finish() {
  const page = await get(location.href);
  const itself = `#header-inner a[href="${location.pathname}"]`;
  for (const head of [".ms-head", itself]) replace(document.querySelector(head), page.querySelector(head));
  for (const section of page.querySelectorAll("[data-ended]")) replace(document.getElementById(section.id), section);
  update(page);
}

async function follow(live, wait) {
  let next = EVERY;
  try {
    const found = await get(live.dataset.live + location.search);
    const now = found.getElementById("run-live");
    if (!now) return;
    update(found);
    if (!now.hasAttribute("data-under-way")) return await finish();
  } catch {
    next = Math.min(2 * wait, AT_MOST); // the server restarts, or the session has ended: a later look will tell
  }
  setTimeout(follow, next, live, next);
}

const live = document.querySelector("[data-live]");
if (live?.querySelector("[data-under-way]")) setTimeout(follow, EVERY, live, EVERY);
