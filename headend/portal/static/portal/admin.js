// Wide tables inside the admin's pages scroll sideways on a phone: let the keyboard reach them.
document.addEventListener("DOMContentLoaded", () => {
  for (const region of document.querySelectorAll(".inline-group .tabular")) {
    region.tabIndex = 0;
  }
});
