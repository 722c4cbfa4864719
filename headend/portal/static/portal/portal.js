// A regular event that refreshes parts of a page, local times as tooltips, and errors that disappear when the user
// changes the value.
(() => {
  "use strict";
  const TICK_MS = 2000;

  const addLocalTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    }
  };

  // The error "To must not be earlier than From" is shown at one of the two fields.
  const WINDOW = ["start", "end"];

  // The error belongs to the old value. The server checks the new one.
  const removeErrors = (event) => {
    const { form, name } = event.target;
    if (!form) return;
    for (const each of WINDOW.includes(name) ? WINDOW : [name]) {
      const field = form.elements.namedItem(each);
      if (!(field instanceof Element)) continue;
      field.removeAttribute("aria-invalid");
      field.closest("div")?.querySelector(".errorlist")?.remove();
    }
  };
  document.addEventListener("input", removeErrors);

  document.addEventListener("DOMContentLoaded", () => {
    addLocalTimes(document);
    setInterval(() => {
      // A page in the background must not cause requests.
      if (document.visibilityState === "visible") {
        document.body.dispatchEvent(new Event("headend:tick"));
      }
    }, TICK_MS);
  });
  document.addEventListener("htmx:afterSwap", (event) => addLocalTimes(event.target));
})();
