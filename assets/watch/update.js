// Fetches the runs every two seconds and changes what differs on the page, so that scroll positions, selections and what the
// reader unfolded stay.
"use strict";

const PERIOD = 2000;
const runs = document.getElementById("runs");
const connection = document.getElementById("connection");

// Makes the node `old` equal to `fresh`.
function merge(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(fresh);
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, i) => (before[i] ? merge(before[i], node) : old.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

// Shows the runs of the fragment `html`, in its order.
function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body.children;
  const old = new Map([...runs.children].map((run) => [run.dataset.run, run]));
  let place = runs.firstElementChild;
  for (const run of [...fresh]) {
    const kept = old.get(run.dataset.run);
    if (kept === undefined || kept.nodeName !== run.nodeName) {
      runs.insertBefore(run, place);
      continue;
    }
    merge(kept, run);
    if (kept === place) place = place.nextElementSibling;
    else runs.insertBefore(kept, place);
  }
  while (place) {
    const gone = place;
    place = place.nextElementSibling;
    gone.remove();
  }
}

async function update() {
  try {
    const response = await fetch("/runs", { signal: AbortSignal.timeout(10 * PERIOD) });
    if (!response.ok) throw new Error(response.statusText);
    show(await response.text());
    connection.textContent = "";
  } catch {
    connection.textContent ||= `wgrad watch has not answered since ${new Date().toLocaleTimeString()}; the figures are from then.`;
  }
  setTimeout(update, PERIOD);
}

setTimeout(update, PERIOD);
