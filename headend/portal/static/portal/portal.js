// What HTML alone cannot do: a regular event that refreshes parts of a page, and local times as tooltips.
(() => {
  "use strict";
  const TICK_MS = 2000;

  const addLocalTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    addLocalTimes(document);
    setInterval(() => {
      // A page in the background does not load the server.
      if (document.visibilityState === "visible") {
        document.body.dispatchEvent(new Event("headend:tick"));
      }
    }, TICK_MS);
  });
  document.addEventListener("htmx:afterSwap", (event) => addLocalTimes(event.target));
})();
