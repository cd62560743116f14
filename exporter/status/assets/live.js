/* Updates a page in place: the parts with `data-live`, and the rows that a search leaves. Without it, everything
   works by links and the form. The server makes all texts; this script only moves them. */
"use strict";
(() => {
  const EVERY_MS = 5000, TYPING_MS = 250, WAIT_MS = 10000;
  const form = document.getElementById("filter");
  const contact = document.getElementById("contact"), lost = document.getElementById("lost");
  let timer = 0, asked = 0, paused = false, seen = new Date();

  /* The address of the page, without the user and password that it may have. */
  const here = () => location.origin + location.pathname + location.search;

  /* Make `old` like `now`. An element that stays keeps focus and selection. */
  function patch(old, now) {
    if (old.isEqualNode(now)) return;
    if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== now.nodeName) {
      old.replaceWith(now);
      return;
    }
    for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of now.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old.nodeName === "TBODY") return patchRows(old, now);
    const before = [...old.childNodes], after = [...now.childNodes];
    after.forEach((node, at) => (at < before.length ? patch(before[at], node) : old.append(node)));
    before.slice(after.length).forEach((node) => node.remove());
  }

  /* The same for rows, which are known by where their first link leads, or else by their place. */
  const keyOf = (row, at) => row.querySelector("a")?.getAttribute("href") ?? at;
  function patchRows(old, now) {
    const known = new Map([...old.rows].map((row, at) => [keyOf(row, at), row]));
    [...now.rows].forEach((row, at) => {
      const key = keyOf(row, at), mine = known.get(key);
      if (mine) {
        known.delete(key);
        const was = mine.cells[0].className;
        patch(mine, row);
        if (mine.cells[0].className !== was) mine.classList.add("changed");
      }
      const placed = mine ?? row;
      if (old.rows[at] !== placed) old.insertBefore(placed, old.rows[at] ?? null);
    });
    known.forEach((row) => row.remove());
  }

  function show(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const focused = document.activeElement;
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(part.id);
      if (now) patch(part, document.adoptNode(now));
    }
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  async function update() {
    clearTimeout(timer);
    const number = ++asked;
    try {
      const answer = await fetch(here(), { cache: "no-store", signal: AbortSignal.timeout(WAIT_MS) });
      if (!answer.ok) throw new Error(answer.status);
      const text = await answer.text();
      if (number !== asked) return; /* a newer one is under way */
      const selection = getSelection();
      if (selection.isCollapsed || !selection.anchorNode?.parentElement?.closest("[data-live]")) show(text);
      seen = new Date();
      contact.textContent = "updated " + seen.toLocaleTimeString();
      lost.textContent = "";
    } catch {
      if (number !== asked) return;
      contact.textContent = "";
      lost.textContent = "no answer since " + seen.toLocaleTimeString();
    }
    plan(EVERY_MS);
  }

  function plan(after_ms) {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(update, after_ms);
  }

  /* Go to what the form says, without loading the page again. */
  function search() {
    const query = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...query]) if (!value || (name === "sort" && value === "worst")) query.delete(name);
    history.replaceState(null, "", location.pathname + (query.size ? "?" + query : ""));
    update();
  }

  if (form) {
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(search, TYPING_MS);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      search();
    });
    form.querySelector("button").hidden = true;
  }

  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Pause updates";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Go on" : "Pause updates";
    if (paused) clearTimeout(timer);
    else update();
  });
  lost.after(button);
  contact.textContent = "updated " + seen.toLocaleTimeString();
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : paused || update()));
  plan(EVERY_MS);
})();
