// Keeps ages, times and the connection's state up to date. Fragments come by htmx over server-sent events.
"use strict";
(() => {
  const skew = Number(document.documentElement.dataset.now) - Date.now();
  const now = () => Date.now() + skew;
  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

  const aheadS = 60;

  function ago(span) {
    if (span < -aheadS) return ago(-span).replace("ago", "ahead");
    const seconds = Math.max(0, span);
    if (seconds < 99.5) return `${Math.round(seconds)} s ago`;
    if (seconds < 5970) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
    return `${Math.round(seconds / 86400)} d ago`;
  }

  function freshen(root) {
    for (const time of root.querySelectorAll("time[data-age]")) {
      const at = Number(time.dataset.age);
      const text = ago((now() - at) / 1000);
      if (time.textContent !== text) time.textContent = text;
      if (!time.title) time.title = clock.format(at);
      const seen = time.closest(".seen");
      if (seen) judge(seen, (now() - at) / 1000);
    }
    for (const time of root.querySelectorAll("time[data-clock]")) {
      const text = clock.format(Number(time.dataset.clock));
      if (time.textContent !== text) time.textContent = text;
    }
    saySilence();
  }

  function judge(seen, age) {
    const state = age < -aheadS ? "ahead" : age <= Number(seen.dataset.late) ? "fresh" : age <= Number(seen.dataset.gone) ? "late" : "gone";
    if (!seen.classList.contains(state)) {
      seen.classList.remove("fresh", "late", "gone", "ahead");
      seen.classList.add(state);
    }
  }

  // What is shown of a machine that has gone silent is old, however calm it looks.
  function saySilence() {
    const mark = document.getElementById("silence");
    if (!mark) return;
    const silent = document.querySelectorAll(".card .seen.gone").length;
    mark.hidden = silent === 0;
    const text = silent === 1 ? "1 machine is silent: what is shown of it is old." : `${silent} machines are silent: what is shown of them is old.`;
    if (silent && mark.textContent !== text) mark.textContent = text;
  }

  const newest = new Map();

  function noteSeen(found) {
    for (const [key, at] of Object.entries(found)) newest.set(key, at);
    applySeen(document);
  }

  // A fragment may have been rendered a moment before the newest times came.
  function applySeen(root) {
    for (const seen of root.querySelectorAll("[data-seen]")) {
      const time = seen.querySelector("time[data-age]");
      const at = newest.get(seen.dataset.seen);
      if (time && at && at > Number(time.dataset.age)) {
        time.dataset.age = at;
        time.title = "";
      }
    }
    freshen(root);
  }

  const sinks = { seen: noteSeen };
  window.babbitt = { now, sinks };

  const words = { live: "live", connecting: "connecting", lost: "connection lost, trying again" };
  function link(state) {
    const mark = document.getElementById("link-state");
    if (mark.dataset.state === state) return;
    mark.dataset.state = state;
    mark.querySelector(".words").textContent = words[state];
  }

  document.addEventListener("htmx:sseOpen", () => link("live"));
  document.addEventListener("htmx:sseError", () => link("lost"));
  // A fragment that replaced what is being pressed would swallow the click: it waits, by its event's name and in the
  // order in which they came, until the press is over. Its element may be another one by then.
  const held = new Map();
  let pressed = false;
  const release = () => {
    pressed = false;
    setTimeout(() => {
      if (pressed) return;
      for (const [name, fragment] of held) {
        const element = document.querySelector(`[sse-swap="${name}"]`);
        if (element) window.htmx.swap(element, fragment, { swapStyle: "innerHTML" });
      }
      held.clear();
    });
  };
  // Of the other button, which opens a menu, the end may never be told.
  document.addEventListener("pointerdown", (event) => (pressed = event.button === 0));
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, release);
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const element = event.target;
    if (element.dataset.sink) {
      sinks[element.dataset.sink]?.(JSON.parse(event.detail.data));
    } else if (element.hasAttribute("data-reload")) {
      if (event.detail.type === "resync" || event.detail.data.trim()) location.reload();
    } else if (pressed || held.size) {
      held.delete(event.detail.type);
      held.set(event.detail.type, event.detail.data);
    } else {
      return;
    }
    event.preventDefault();
  });
  document.addEventListener("htmx:afterSwap", (event) => applySeen(event.target));

  freshen(document);
  if (!document.querySelector("[sse-connect]")) link("live");
  setInterval(() => freshen(document), 1000);
})();
