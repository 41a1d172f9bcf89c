// Asks once a second for the parts that changed. Without it the browser loads the page anew every five seconds.
"use strict";
(() => {
  const main = document.querySelector("main[data-page]"), link = document.getElementById("link");
  if (!main) return;
  const have = {};
  let answered = Date.now(), asking = false, pressed = null;

  // What is renewed while something is pressed would swallow the click, or move it away from under the pointer: it is
  // asked for again once the press is over. Of the other button, which opens a menu, the end may never be told.
  document.addEventListener("pointerdown", (event) => { pressed = event.button === 0 ? event : null; });
  const release = () => {
    const over = pressed;
    setTimeout(() => { if (pressed === over) pressed = null; });
  };
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, release);

  const put = (part, html) => {
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const opened = part.querySelector("details")?.open;
    part.innerHTML = html;
    if (opened) part.querySelector("details")?.setAttribute("open", "");
    if (focused) [...part.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === focused)?.focus();
  };

  const show = () => {
    const silent = Math.round((Date.now() - answered) / 1000), lost = silent > 4;
    document.body.classList.toggle("lost", lost);
    link.classList.toggle("lost", lost);
    link.textContent = lost ? `No connection to this page's server for ${silent} s: nothing here is current`
      : document.querySelector(".headline.late") ? "no gateway" : "live";
  };

  const ask = async () => {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const query = new URLSearchParams({ page: main.dataset.page, have: Object.values(have).join(".") });
      const answer = await fetch(`/parts?${query}`, { cache: "no-store", signal: AbortSignal.timeout(4000) });
      if (answer.ok) {
        for (const [name, told] of Object.entries(await answer.json())) {
          const part = document.getElementById(name);
          if (part && !pressed) { put(part, told.html); have[name] = told.is; }
        }
        answered = Date.now();
      } else if (answer.status === 404) location.assign("/");
    } catch { /* shown by its age */ }
    asking = false;
    show();
  };

  show();
  setInterval(ask, 1000);
  setInterval(show, 1000);
  document.addEventListener("visibilitychange", ask);
})();
