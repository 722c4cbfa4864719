// Wide tables in the admin scroll sideways on a phone: make them reachable by keyboard.
document.addEventListener("DOMContentLoaded", () => {
  for (const region of document.querySelectorAll(".inline-group .tabular")) {
    region.tabIndex = 0;
  }
});
