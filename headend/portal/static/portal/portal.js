// What the pages cannot do as plain HTML: a tick for what moves, and the reader's own time on hover.
(() => {
  "use strict";
  const ownTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    ownTimes(document);
    setInterval(() => {
      if (document.visibilityState === "visible") {
        document.body.dispatchEvent(new Event("headend:tick"));
      }
    }, 2000);
  });
  document.addEventListener("htmx:afterSwap", (event) => ownTimes(event.target));
})();
